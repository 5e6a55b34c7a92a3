/*
 * The kinds of errors with which a peer refuses what it is asked. Its own words are what the log tells. The kind
 * says what follows from them, and whether they were told before.
 */
#ifndef SPOA_CORE_REDIS_REFUSAL_H
#define SPOA_CORE_REDIS_REFUSAL_H

#include <stdbool.h>

#include "spoa/core/redis/reply.h"

enum refusal {
    REFUSAL_NONE, /* the reply is no error */
    REFUSAL_PASSWORD,
    REFUSAL_RIGHT,
    REFUSAL_COMMAND,
    REFUSAL_PROTECTED,
    REFUSAL_FULL,
    REFUSAL_LOADING,
    REFUSAL_MASTER_DOWN,
    REFUSAL_BUSY,
    REFUSAL_NO_REPLICAS,
    REFUSAL_OTHER, /* an error that is none of these */
    REFUSALS,
};

enum refusal refusal_of(const struct reply *reply);

/* The same for the words of an error. */
enum refusal refusal_of_words(struct span words);

/* What the refusal means for the operator, in a sentence; "" for REFUSAL_NONE. */
const char *refusal_meaning(enum refusal refusal);

/* Whether the peer sends this error to a connection that it closes at once, whatever it is asked. */
bool refusal_closes(enum refusal refusal);

#endif
