/*
 * Asks the node that is named what it is: one conversation, aimed at one node after the other. A reply can keep a
 * node from being named, and can never name one. Without a reply nothing changes.
 */
#ifndef SPOA_CORE_VOTERS_ROLE_PROBE_H
#define SPOA_CORE_VOTERS_ROLE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/redis/peer.h"
#include "spoa/core/voters/voter_group.h"

/* Commands that may await their replies: a greeting, and three times PING and ROLE. */
#define ROLE_PROBE_RUNS 8

/* Of the nodes of one service; borrowed. */
struct role_probe_settings {
    struct redis_credentials credentials;
    uint32_t interval_ms;
    struct conversation_settings conversation;
};

struct role_probe {
    const struct role_probe_settings *settings;
    struct voter_group *group;
    size_t service; /* in the group */
    struct metrics *metrics;
    struct addr target;
    bool is_aimed;
    struct conversation conversation;
    struct peer peer;
    struct awaited_run runs[ROLE_PROBE_RUNS];
    unsigned step; /* what is sent next, once the link is greeted */
    int64_t next_ms;
    int64_t return_ms; /* a link that was closed is not connected again at once before this time */
    bool is_loading;   /* PING was refused; the reply to ROLE comes next */
};

/* All pointers are borrowed and must outlive the probe, which must not move. Nothing happens until it is aimed. */
void role_probe_init(struct role_probe *probe, const struct role_probe_settings *settings,
                     struct voter_group *group, size_t service, struct metrics *metrics, uint64_t seed);

/* `target` is asked from now on. Nothing happens where it is asked already. The conversation's tick may be due. */
void role_probe_aim(struct role_probe *probe, const struct addr *target, int64_t now_ms);

#endif
