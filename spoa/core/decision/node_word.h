/* What a node of the map said of itself last, or why it says nothing. For the status: no decision depends on it. */
#ifndef SPOA_CORE_DECISION_NODE_WORD_H
#define SPOA_CORE_DECISION_NODE_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/span.h"

/* So much is kept of what a peer says, with the NUL: an address, or most of an error. The rest is cut off. */
#define NODE_WORD_MAX 96

enum node_saying {
    NODE_NOT_ASKED,
    NODE_SAYS_MASTER,
    NODE_SAYS_REPLICA, /* the words are the address of the node that it follows, or "" */
    NODE_SAYS_LOADING, /* its data, or it lost its master */
    NODE_REFUSES,      /* to say what it is; the words are its own */
    NODE_UNREACHABLE,  /* the words are the reason */
    NODE_LISTED,       /* it was not asked; the master lists it as a connected replica */
};

/* All zero: it was not asked. */
struct node_word {
    enum node_saying saying;
    int64_t since_ms; /* since when it is the same */
    int64_t t_ms;     /* when it was heard last */
    char *own_words;  /* NULL: none, as of most nodes; see node_word_text() */
};

/* Frees the words. */
void node_word_finish(struct node_word *word);

/* The words, "" if there are none. */
const char *node_word_text(const struct node_word *word);

/* What the master lists counts only where the node said nothing itself for `life_ms`. If memory is short, the words are
 * missing. */
void node_word_note(struct node_word *word, enum node_saying saying, struct span words, int64_t life_ms,
                    int64_t now_ms);

/* `word` becomes what `other` is. If memory is short, the words are missing. */
void node_word_copy(struct node_word *word, const struct node_word *other);

/* "not-asked", "master", "replica", "loading", "refuses", "unreachable" or "listed". */
const char *node_saying_text(enum node_saying saying);

#endif
