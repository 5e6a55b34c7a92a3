/*
 * Asks the named node for its role. One conversation is aimed at one node after another. A reply can keep a
 * node from being named, but it can never make a node named. If a link that worked breaks or falls silent, the
 * node is in doubt (decision/doubt.h).
 *
 * A PING that was not answered for ROLE_PROBE_LATE_MS is late. Then PING is sent again and again, at this
 * distance. The node is silent if two PINGs had no answer within the reply time limit and nothing else was
 * heard since the first of them was sent. That is told once, and not again before the node was heard. So
 * - a pause of our own makes no node silent: the second PING is sent after it;
 * - a node that is slow, but answers, is not silent;
 * - where only our own way to the node is cut, that costs one doubt.
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

/* How many commands may await their replies: a greeting, and PING, ROLE and INFO, PING and ROLE once more, and
 * more PINGs once one is late. */
#define ROLE_PROBE_RUNS 9

/* TCP sends a lost packet again after 200 ms at the earliest (TCP_RTO_MIN of Linux): before that, a PING without an
 * answer says little. If the reply time limit is shorter, a PING is late after that. */
#define ROLE_PROBE_LATE_MS 200

/* For the nodes of one service; borrowed. */
struct role_probe_settings {
    struct redis_credentials credentials;
    uint32_t interval_ms;
    uint32_t reply_timeout_ms;
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
    int64_t info_ms;   /* INFO is not sent before */
    int64_t t_ping_ms; /* when the last PING was sent */
    unsigned unheard;  /* PINGs that were sent since the node was heard */
    int64_t silent_ms; /* with two of them: the node is silent from then on; INT64_MAX: not, or it was told */
    /* Before this time, a link that was closed is not connected again at once. */
    int64_t return_ms;
    bool is_refused; /* the last reply to ROLE was an error */
    bool is_loading; /* PING said LOADING or MASTERDOWN; the reply to ROLE comes next */
};

/* All pointers are borrowed and must outlive the probe, which must not move. Nothing happens before
 * role_probe_aim(). */
void role_probe_init(struct role_probe *probe, const struct role_probe_settings *settings,
                     struct voter_group *group, size_t service, struct metrics *metrics, uint64_t seed);

/*
 * Asks `target` from now on. Nothing changes if it is asked already, or if the service may not name it: an address outside
 * the map gets no connection and no password. Afterwards the conversation's tick may be due.
 */
void role_probe_aim(struct role_probe *probe, const struct addr *target, int64_t now_ms);

/*
 * A reload. The service of the next configuration may have no probe of its own, if it would ask with the same settings
 * (role_probe_is_alike()). While both services are about the same node, it is told what the former one was told. Then the
 * probe, with its connection, moves to it.
 */
bool role_probe_is_alike(const struct role_probe_settings *one, const struct role_probe_settings *other);

/*
 * Whether it asks the node that the next service is about, if any; if not, that needs a probe of its own. A node that has a
 * name in place of an address needs one, too: a reload looks names up again.
 */
bool role_probe_serves(const struct role_probe *probe, const struct service *next);

/* Tells the next service, which is `service` of `group`, what the former one knows of its node's role. */
void role_probe_tell(const struct role_probe *probe, struct voter_group *group, size_t service,
                     int64_t now_ms);

/*
 * From now on it asks for `service` of `group`. `settings` are alike. Its former group and settings may end. False if that
 * service may not name the node, or if the node has a name: then call role_probe_init(), and end the connection.
 */
bool role_probe_move(struct role_probe *probe, const struct role_probe_settings *settings,
                     struct voter_group *group, size_t service);

/* A reload has handed this decision over, perhaps without a change: aims at its node. If the node is in doubt,
 * and the probe waits for its next attempt, the attempt is made at once. */
void role_probe_catch_up(struct role_probe *probe, const struct service_decision *decision, int64_t now_ms);

#endif
