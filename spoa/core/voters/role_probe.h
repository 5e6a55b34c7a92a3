/*
 * Asks the node that is named what it is: one conversation, aimed at one node after the other. What it hears can
 * keep a node from being named and never name one. Where it hears nothing, that changes nothing either.
 */
#ifndef SPOA_CORE_VOTERS_ROLE_PROBE_H
#define SPOA_CORE_VOTERS_ROLE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/redis/redis_command.h"
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
    struct awaited_run runs[ROLE_PROBE_RUNS];
    unsigned greetings;
    int64_t next_ms;
    bool has_answered; /* on this link */
    bool is_loading;   /* PING was refused; the reply to ROLE comes next */
    bool told_refused; /* in the log, since it was aimed */
    bool told_down;    /* likewise */
};

/* All pointers are borrowed and must outlive the probe, which must not move. It does nothing until it is aimed. */
void role_probe_init(struct role_probe *probe, const struct role_probe_settings *settings,
                     struct voter_group *group, size_t service, struct metrics *metrics, uint64_t seed);

/* From now on `target` is asked; nothing happens where it was before. The conversation's tick may be due then. */
void role_probe_aim(struct role_probe *probe, const struct addr *target, int64_t now_ms);

/* Default times of the conversation, in ms. */
struct conversation_settings role_probe_conversation(uint32_t connect_timeout_ms, uint32_t interval_ms,
                                                     uint32_t reply_timeout_ms);

#endif
