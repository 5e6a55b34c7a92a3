#include "spoa/core/decision/node_word.h"

#include <stddef.h>
#include <string.h>

void node_word_note(struct node_word *word, enum node_saying saying, struct span words, int64_t life_ms,
                    int64_t now_ms)
{
    size_t len = words.len < sizeof(word->words) - 1 ? words.len : sizeof(word->words) - 1;
    bool has_own_word = word->saying != NODE_NOT_ASKED && word->saying != NODE_LISTED;
    char kept[NODE_WORD_MAX];

    if (saying == NODE_LISTED && has_own_word && now_ms - word->t_ms < life_ms)
        return;
    for (size_t i = 0; i < len; i++)
        kept[i] = (char)(words.data[i] >= ' ' && words.data[i] <= '~' ? words.data[i] : '?');
    kept[len] = '\0';
    if (saying != word->saying || strcmp(kept, word->words) != 0)
        word->since_ms = now_ms;
    word->saying = saying;
    word->t_ms = now_ms;
    memcpy(word->words, kept, len + 1);
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
