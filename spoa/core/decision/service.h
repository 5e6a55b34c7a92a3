/*
 * A service: one monitored master, what is said of it, the server map, the decision and the answer prepared from
 * it. It tells its observers of every change and knows none of them.
 */
#ifndef SPOA_CORE_DECISION_SERVICE_H
#define SPOA_CORE_DECISION_SERVICE_H

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/decision/policy.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/replicas.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/decision/service_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_settings {
    const char *name;    /* what HAProxy asks for */
    const char *monitor; /* what Sentinel calls it */
    unsigned slot;       /* of a Redis Cluster: its owner is the master */
    const struct service_server *servers;
    size_t server_count;
    bool allow_any_address; /* name addresses outside the map too, without a server name */
    int64_t park_ms;        /* an answer without a name may be kept back for so long; 0: not at all */
    bool refuses_gone;      /* one whose client has gone meanwhile gets no name */
    struct quorum_config quorum;
    struct policy_config policy;
    struct replicas_config replicas;
};

/* Whom HAProxy asks for. */
enum service_role {
    SERVICE_ROLE_MASTER,
    SERVICE_ROLE_REPLICA,
};

/* Whether we see the connections of the clients to HAProxy, which tells whether they are still there. */
enum service_sight {
    SERVICE_SIGHT_UNKNOWN, /* nobody has asked yet */
    SERVICE_SIGHT_SEEN,
    SERVICE_SIGHT_NOT_GIVEN,  /* HAProxy does not send the clients' addresses, or not in order */
    SERVICE_SIGHT_ABSENT,     /* HAProxy is in another network namespace, or behind address translation */
    SERVICE_SIGHT_IMPOSSIBLE, /* the kernel does not say */
};

/* What is answered now, and why. */
struct service_decision {
    /* What every answer looks at comes first, so that it is in one cache line. */
    int64_t review_ms; /* the decision must not be used from this time on */
    enum service_state state;
    bool is_doubtful; /* with a name: our own link to the node broke, so new connections had better wait */
    bool
        is_fenced; /* existing sessions to the master named last are to be cut: no quorum for so long, or it is
                          about to be replaced */
    uint64_t replicas; /* the servers of the map that may be named as a replica, a bit each */
    enum service_reason reason;
    const struct addr
        *addr;          /* the node that the state is about: named, vetoed, down, outside the map; or NULL */
    const char *server; /* with a name: the master's server, NULL where it is outside the map. Else NULL */
    unsigned votes;     /* for `addr` */
    int64_t oldest_sent_ms; /* with `votes`: when the oldest of them was asked for */
    uint64_t generation;    /* switches so far; the first master counts as one */
    int64_t t_switched_ms;  /* when the generation began; INT64_MIN before the first */
};

/* What an observer is told. */
struct service_change {
    const struct service_decision *before;
    const struct service_decision *after;
    bool switched;               /* another master than the one named last, however long ago that was */
    const struct addr *replaced; /* with `switched`: the master named before, NULL for the first one */
    const char *replaced_server; /* its server, or NULL */
    bool is_first_answer;        /* nothing changed, but for the first time a switch was told to somebody */
    int64_t now_ms;
};

/* What was answered; the counters outlive a reload. */
struct service_counters {
    uint64_t answers[SERVICE_STATE_COUNT]; /* for the master, by the state that was told */
    uint64_t replicas_named;
    uint64_t replicas_unnamed;
};

/* What one voter says. */
struct service_voice {
    const struct addr *addr; /* whom it names; NULL: nobody */
    enum quorum_ballot ballot;
    int64_t t_sent_ms; /* with another ballot than QUORUM_SILENT */
};

struct service;

/* Called after every change of state, reason, votes, doubt, fence, replicas or node; the pointers are valid during the call. */
struct service_observer {
    void (*changed)(struct service_observer *self, const struct service *service,
                    const struct service_change *change);
    struct service_observer *next;
};

/* What a voter says of the service's master. */
struct service_ballot {
    enum quorum_ballot ballot;
    const struct addr *addr; /* with QUORUM_NAMES */
    int64_t t_sent_ms;
};

/* `settings` and what they point to must outlive the service. NULL where memory is short. */
struct service *service_create(const struct service_settings *settings, int64_t now_ms);
void service_destroy(struct service *service); /* NULL is fine */

/*
 * Takes over what `former`, the service of that name under another configuration, remembers: the master named last, the
 * switches so far, since when there is no majority. To be called before anything is recorded.
 */
void service_inherit(struct service *service, const struct service *former);

/*
 * Takes the place of `former`, which tells its observers nothing from now on. Where it names another master than `former`
 * did last, its own observers are told of a switch: those of `former` will not be.
 */
void service_succeed(struct service *service, struct service *former, int64_t now_ms);

/* Adds an observer, which must outlive the service. */
void service_observe(struct service *service, struct service_observer *observer);

const struct service_settings *service_settings(const struct service *service);

/* The server of the master named last, however long ago that was; NULL before the first, and for one outside the map. */
const char *service_last_server(const struct service *service);

/* The decision as it stood at the last evaluation. */
const struct service_decision *service_decision(const struct service *service);

const struct service_counters *service_counters(const struct service *service);

/* The alarms as they stood then. */
const struct alarms *service_alarms(const struct service *service);

/*
 * What follows records something and evaluates. `identities` as in quorum_evaluate(). Afterwards
 * service_take_ask_all() is to be called.
 */

/* `voter` said who the master is. */
enum quorum_receipt service_vote(struct service *service, unsigned voter, const struct service_ballot *ballot,
                                 const uint8_t *identities, int64_t now_ms);

/* `voter` said of `addr`, which it holds to be the master, what SENTINEL MASTER says. */
void service_facts(struct service *service, unsigned voter, const struct addr *addr,
                   const struct sentinel_facts *facts, int64_t t_sent_ms, const uint8_t *identities,
                   int64_t now_ms);

/* Whether those who ask for this role can be seen has changed; raises or clears the alarm about it. */
void service_note_sight(struct service *service, enum service_role role, enum service_sight sight,
                        int64_t now_ms);

/* `voter` answered CKQUORUM: whether it sees a majority of the Sentinels. */
void service_witness(struct service *service, unsigned voter, bool says_ok, int64_t t_sent_ms,
                     const uint8_t *identities, int64_t now_ms);

/* The node at `addr` said what it is. */
void service_role(struct service *service, const struct addr *addr, enum node_role role, int64_t t_sent_ms,
                  const uint8_t *identities, int64_t now_ms);

/*
 * Our link to the node at `addr`, which worked, was reset or closed. It may be dead: that may delay answers, until the
 * node is heard again or park_ms is over, and never changes them.
 */
void service_doubt(struct service *service, const struct addr *addr, const uint8_t *identities,
                   int64_t now_ms);

/* The node at `addr` refused our attempt to connect: a doubt that there is goes on, see doubt_confirm(). False where there
 * is none. */
bool service_confirm_doubt(struct service *service, const struct addr *addr, int64_t until_ms,
                           const uint8_t *identities, int64_t now_ms);

/* `voter` said that the servers `up` (a bit each) are replicas of `master`, and up. Where replicas are enabled. */
void service_replicas(struct service *service, unsigned voter, const struct addr *master, uint64_t up,
                      int64_t t_sent_ms, const uint8_t *identities, int64_t now_ms);

/* The node at `master` said how far it is and its replicas are, as replicas_take_offsets() takes it. */
void service_offsets(struct service *service, const struct addr *master, int64_t offset,
                     const int64_t *offsets, int64_t t_sent_ms, const uint8_t *identities, int64_t now_ms);

/* A Sentinel says that it is about to replace the master at `addr`. */
void service_expect_failover(struct service *service, const struct addr *addr, const uint8_t *identities,
                             int64_t now_ms);

/* The host of `voter` refuses connections, or does so no longer. */
void service_refuse(struct service *service, unsigned voter, bool is_refusing, const uint8_t *identities,
                    int64_t now_ms);

/* Drops what `voter` said: it turned out to be another Sentinel than before. */
void service_forget(struct service *service, unsigned voter, const uint8_t *identities, int64_t now_ms);

/* Evaluates: to be called when decision->review_ms has come, or identities changed. */
void service_review(struct service *service, const uint8_t *identities, int64_t now_ms);

/* True once after somebody disagreed: all voters are to be asked at once. */
bool service_take_ask_all(struct service *service);

/* Whether `voter` is to be asked SENTINEL MASTER or CKQUORUM with its next poll: something depends on it. */
bool service_wants_facts(const struct service *service, unsigned voter);
bool service_wants_witness(const struct service *service);

/* The server of the map with this address, -1 where there is none. */
int service_find_server(const struct service *service, const struct addr *addr);

/* What `voter` said last, fresh or not. */
struct service_voice service_voice(const struct service *service, unsigned voter);

/* Whom `voter` held to be the master when it was heard last; NULL where it named nobody. */
const struct addr *service_named_by(const struct service *service, unsigned voter);

/* Whether somebody can be named for this role, by the decision as it stood last. */
bool service_can_name(const struct service *service, enum service_role role);

/* The same, and nothing speaks against sending a new connection there at once. */
bool service_is_open(const struct service *service, enum service_role role);

/*
 * The actions of an ACK for this service, valid until the next call that takes the service. Reviews first where
 * the decision has run out, so an answer never rests on expired votes, however late the timers are. Each answer that
 * names a replica names the next one.
 */
struct span service_answer(struct service *service, enum service_role role, const uint8_t *identities,
                           int64_t now_ms);

/* An answer that service_answer() gave went out. */
void service_note_answer(struct service *service, enum service_role role, bool is_named, int64_t now_ms);

#endif
