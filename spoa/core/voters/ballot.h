/* Turns the reading of a voter's reply into a ballot. */
#ifndef SPOA_CORE_VOTERS_BALLOT_H
#define SPOA_CORE_VOTERS_BALLOT_H

#include "spoa/core/decision/quorum.h"
#include "spoa/core/redis/reply.h"

static inline enum quorum_ballot ballot_of(enum reply_reading reading)
{
    if (reading == REPLY_READ_OK)
        return QUORUM_NAMES;
    return reading == REPLY_READ_NONE ? QUORUM_UNKNOWN_NAME : QUORUM_INVALID;
}

#endif
