#include "spoa/core/decision/node_word.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/printable.h"

static void set_words(struct node_word *word, const char *words)
{
    node_word_finish(word);
    word->own_words = words[0] != '\0' ? strdup(words) : NULL;
}

void node_word_note(struct node_word *word, enum node_saying saying, struct span words, int64_t life_ms,
                    int64_t now_ms)
{
    bool has_own_word = word->saying != NODE_NOT_ASKED && word->saying != NODE_LISTED;
    char kept[NODE_WORD_MAX];

    if (saying == NODE_LISTED && has_own_word && now_ms - word->t_ms < life_ms)
        return;
    printable_copy(words, kept, sizeof(kept));
    bool has_same_words = strcmp(kept, node_word_text(word)) == 0;
    if (saying != word->saying || !has_same_words)
        word->since_ms = now_ms;
    word->saying = saying;
    word->t_ms = now_ms;
    if (has_same_words)
        return;
    set_words(word, kept);
}

void node_word_finish(struct node_word *word)
{
    free(word->own_words);
    word->own_words = NULL;
}

const char *node_word_text(const struct node_word *word)
{
    return word->own_words != NULL ? word->own_words : "";
}

void node_word_copy(struct node_word *word, const struct node_word *other)
{
    word->saying = other->saying;
    word->since_ms = other->since_ms;
    word->t_ms = other->t_ms;
    set_words(word, node_word_text(other));
}

const char *node_saying_text(enum node_saying saying)
{
    static const char *const texts[] = {
        [NODE_NOT_ASKED] = "not-asked",  [NODE_SAYS_MASTER] = "master", [NODE_SAYS_REPLICA] = "replica",
        [NODE_SAYS_LOADING] = "loading", [NODE_REFUSES] = "refuses",    [NODE_UNREACHABLE] = "unreachable",
        [NODE_LISTED] = "listed",
    };
    return texts[saying];
}
