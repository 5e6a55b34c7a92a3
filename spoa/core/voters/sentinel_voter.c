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
    peer_init(&voter->query_peer, &voter->query, &settings->credentials, settings->poll_ms);
    peer_init(&voter->hints_peer, &voter->hints, &settings->credentials, settings->poll_ms);
}
