#include "spoa/core/voters/sentinel_voter.h"

#include "spoa/core/voters/sentinel_topics.h"

void sentinel_voter_init(struct sentinel_voter *voter, const struct sentinel_settings *settings,
                         struct voter_group *group, unsigned index, const char *name, struct metrics *metrics,
                         uint64_t seed, int64_t now_ms)
{
    *voter = (struct sentinel_voter){
        .settings = settings,
        .group = group,
        .metrics = metrics,
        .name = name,
        .index = index,
    };
    conversation_init(&voter->query, &settings->query, &sentinel_query_topic, voter,
                      (struct awaited_room){voter->query_runs, SENTINEL_QUERY_RUNS}, seed, now_ms);
    conversation_init(&voter->hints, &settings->hints, &sentinel_hints_topic, voter,
                      (struct awaited_room){voter->hints_runs, SENTINEL_HINTS_RUNS},
                      seed ^ 0x9e3779b97f4a7c15u, now_ms);
}

struct conversation_settings sentinel_query_settings(uint32_t connect_timeout_ms, uint32_t poll_ms,
                                                     uint32_t reply_timeout_ms)
{
    return (struct conversation_settings){
        .connect_timeout_ms = connect_timeout_ms,
        .silence_ms = poll_ms + reply_timeout_ms,
        .retry_min_ms = 100,
        .retry_max_ms = 2000,
        .refused_retry_ms = 60000,
    };
}

struct conversation_settings sentinel_hints_settings(uint32_t connect_timeout_ms, uint32_t reply_timeout_ms)
{
    return (struct conversation_settings){
        .connect_timeout_ms = connect_timeout_ms,
        .silence_ms = 2 * reply_timeout_ms,
        .retry_min_ms = 100,
        .retry_max_ms = 5000,
        .refused_retry_ms = 60000,
    };
}
