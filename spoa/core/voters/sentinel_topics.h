/* The two conversations of a struct sentinel_voter, for sentinel_voter.c. */
#ifndef SPOA_CORE_VOTERS_SENTINEL_TOPICS_H
#define SPOA_CORE_VOTERS_SENTINEL_TOPICS_H

#include "spoa/core/redis/conversation.h"

extern const struct conversation_topic sentinel_query_topic;
extern const struct conversation_topic sentinel_hints_topic;

#endif
