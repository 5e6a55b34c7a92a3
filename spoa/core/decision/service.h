/*
 * A service: one monitored master, the server map, the evidence about it and the decision. It is fed with
 * events and with time, and tells its observers of every change. It knows none of them.
 */
#ifndef SPOA_CORE_DECISION_SERVICE_H
#define SPOA_CORE_DECISION_SERVICE_H

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/decision/doubt.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/decision/node_word.h"
#include "spoa/core/decision/outage.h"
#include "spoa/core/decision/park.h"
#include "spoa/core/decision/policy.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/replicas.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/decision/service_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_settings {
    const char *name;       /* what HAProxy asks for */
    const char *monitor;    /* what Sentinel calls it */
    unsigned slot;          /* of a Redis Cluster: its owner is the master */
    bool allow_any_address; /* name addresses outside the map too, without a server name */
    bool refuses_gone;      /* a client that has left before its answer gets no name */
    const struct service_server *servers;
    size_t server_count;
    int64_t park_ms; /* longest time for which an answer without a name is kept back, or PARK_AUTO */
    struct quorum_config quorum;
    struct policy_config policy;
    struct replicas_config replicas;
};

/* Whom HAProxy asks for. */
enum service_role {
    SERVICE_ROLE_MASTER,
    SERVICE_ROLE_REPLICA,
    SERVICE_ROLES,
};

/* Whether we see the clients' connections to HAProxy. They tell whether a client is still there. */
enum service_sight {
    SERVICE_SIGHT_UNKNOWN, /* nobody has asked yet */
    SERVICE_SIGHT_SEEN,
    SERVICE_SIGHT_NOT_GIVEN,  /* HAProxy does not send the clients' addresses, or not in order */
    SERVICE_SIGHT_ABSENT,     /* HAProxy is in another network namespace, or behind address translation */
    SERVICE_SIGHT_IMPOSSIBLE, /* the kernel does not say */
};

/* What is answered now, and why. */
struct service_decision {
    /* Every answer looks at these. They come first, so that they share one cache line. */
    int64_t review_ms; /* the decision must not be used from this time on */
    enum service_state state;
    bool is_fenced;               /* the old sessions of the master named last must be cut */
    uint64_t replicas;            /* the servers of the map that may be named as a replica, a bit each */
    enum service_state ruled;     /* what the policy rules: `state`, or what it would be without the doubt */
    enum service_reason reason;   /* for `ruled` */
    enum doubt_cause doubt_cause; /* with SERVICE_DOUBTED */
    unsigned votes;               /* for `addr` */
    const struct addr
        *addr;          /* the node that the state is about: named, vetoed, down, outside the map; or NULL */
    const char *server; /* with a name: the master's server, NULL outside the map; without a name NULL */
    int64_t oldest_sent_ms; /* with `votes`: when the oldest of them was asked for */
    uint64_t generation;    /* switches so far; the first master counts as one */
    int64_t t_switched_ms;  /* when the generation began; INT64_MIN before the first */
    int64_t park_ms;        /* the `park` that is in effect; 0: not at all */
};

/* What an observer is told. */
struct service_change {
    const struct service_decision *before;
    const struct service_decision *after;
    bool switched;               /* another master than the one named last, however long ago that was */
    const struct addr *replaced; /* with `switched`: the master named before, NULL for the first one */
    const char *replaced_server; /* its server, or NULL */
    bool is_first_answer;        /* nothing changed: the first client was told of the last switch */
    const struct outage *outage; /* that goes on, or that this change ends; NULL: there is none */
    int64_t now_ms;
};

struct service;

/*
 * Called after every change of state, reason, votes, doubt, fence, replicas, park or node. The pointers are valid
 * during the call.
 */
struct service_observer {
    void (*changed)(struct service_observer *self, const struct service *service,
                    const struct service_change *change);
    struct service_observer *next;
};

/* What one voter says of the master. */
struct vote {
    enum quorum_ballot ballot;
    const struct addr *addr; /* with QUORUM_NAMES, else NULL */
    int64_t t_sent_ms;       /* not with QUORUM_SILENT */
};

/* Addresses in a Sentinel's list of replicas that the map lacks. */
struct service_strangers {
    const struct addr *node;   /* a node that may be promoted; NULL: none */
    const struct addr *leader; /* the node that the server `follower` was told to follow; NULL: none */
    int follower;
};

/* All that can happen to a service, but for the passing of time (service_review()). */
enum service_event_kind {
    /* A voter answered. */
    SERVICE_SAID_MASTER,   /* who the master is: `ballot`, and `addr` with QUORUM_NAMES */
    SERVICE_SAID_FACTS,    /* what it knows of `addr`, the master in its eyes: `facts` */
    SERVICE_SAID_WITNESS,  /* CKQUORUM: `is_so` where it sees a majority of the Sentinels */
    SERVICE_SAID_PEERS,    /* it heard a majority, itself included, within `age_ms`; UINT32_MAX: it did not */
    SERVICE_SAID_REPLICAS, /* `servers` (a bit each) are replicas of `addr`, and up */
    SERVICE_SAID_STRANGERS, /* `strangers` are in its list of replicas and not in the map */
    /* The node at `addr` answered. */
    SERVICE_SAID_ROLE,    /* what it is: `role` */
    SERVICE_SAID_OFFSETS, /* it is a master at `offset`, with `offsets` as replicas_note_offsets() takes them */
    SERVICE_SAID_MIN_REPLICAS, /* it is a master; `is_so`: it refuses writes while too few replicas follow it */
    SERVICE_SAID_NO_ROLE,      /* an error in place of what it is: `words`, `wants_password` */
    SERVICE_SAID_ANYTHING,     /* it is there; what it said does not matter */
    /* For the status only: what the node at `addr` said of itself, or why it says nothing: `saying`, `words`. */
    SERVICE_NODE_WORD,
    /*
     * Our link to the node at `addr` worked and was closed, or what we ask is no longer answered. The node may
     * be dead. That may delay answers, until the node is heard again or `park` is over. It never changes them.
     */
    SERVICE_LINK_CLOSED,
    SERVICE_LINK_SILENT,
    /*
     * The node at `addr` refused our attempt to connect. A doubt about it goes on until `until_ms`: see
     * doubt_confirm().
     */
    SERVICE_LINK_REFUSED,
    /* A Sentinel says that it is about to replace the master at `addr`. */
    SERVICE_FAILOVER_BEGINS,
    SERVICE_VOTER_REFUSES,    /* the host of a voter refuses connections, or does so no longer: `is_so` */
    SERVICE_VOTER_REFUSES_US, /* a voter lives and refuses what we ask, or does so no longer: `is_so` */
    SERVICE_VOTER_FORGOTTEN,  /* a voter turned out to be another one: what it said before does not count */
};

/* Whether a voter said this. */
bool service_is_said_by_voter(enum service_event_kind kind);

/*
 * One event. Of the last members only those count that the kind names. Pointers are borrowed during the call.
 */
struct service_event {
    enum service_event_kind kind;
    unsigned voter;
    int64_t t_sent_ms; /* of what was said: just before the request was written */
    const struct addr *addr;
    bool is_remote; /* the voter is known to be on another host than we */
    union {
        enum quorum_ballot ballot;
        const struct sentinel_facts *facts;
        bool is_so;
        uint32_t age_ms;
        uint64_t servers;
        const struct service_strangers *strangers;
        enum node_role role;
        struct {
            int64_t offset;
            const int64_t *offsets;
            const struct addr *unlisted; /* an address among its replicas that the map lacks, or NULL */
        };
        struct {
            struct span words; /* its own */
            bool wants_password;
            enum node_saying saying;
        };
        int64_t until_ms;
    };
};

/* `settings` and what they point to must outlive the service. NULL if memory is short. */
struct service *service_create(const struct service_settings *settings, int64_t now_ms);
void service_destroy(struct service *service); /* NULL is fine */

/* Adds an observer, which must outlive the service. */
void service_observe(struct service *service, struct service_observer *observer);

/* Observers that are added from now on are told nothing before handover(). Those that are there already are. */
void service_hold_observers(struct service *service);

/*
 * Records an event and evaluates. False where the event was of no use: a vote that comes too late, a word
 * about a node that nobody named, a refusal that confirms no doubt. Afterwards service_take_ask_all() is to
 * be called.
 */
bool service_step(struct service *service, const struct service_event *event, int64_t now_ms);

/*
 * Evaluates: to be called when decision->review_ms has come, or when the identities of the voters have
 * changed.
 */
void service_review(struct service *service, int64_t now_ms);

/* The same while a question is answered: nothing is allocated. The detail of an alarm that this raises is in the log, and
 * in the status with the next review. */
void service_review_to_answer(struct service *service, int64_t now_ms);

/* True once after a voter disagreed: all voters are to be asked at once. */
bool service_take_ask_all(struct service *service);

/* True once after the name was lost with the majority: all are to be asked at once what a witness knows. */
bool service_take_ask_witness(struct service *service);

/*
 * Whether `voter` is to be asked SENTINEL MASTER with its next poll, because something depends on it. Each majority of the
 * voters includes a sentry. With `down-after` it is enough to ask sentries while all that were asked hear the master.
 */
bool service_wants_facts(const struct service *service, unsigned voter, bool is_sentry, int64_t now_ms);

/* Whether all are to be asked CKQUORUM, and SENTINELS. */
bool service_wants_witness(const struct service *service);
bool service_wants_peers(const struct service *service);

/*
 * Whether facts and peers are to be asked for soon, before the next poll. `voter` has not heard the master for
 * `down-after`, or will not have within the life of a vote; if it is the only one, and that was longer ago than such a
 * life, it is no reason. Or a witness stands in for a majority, and what it hears decides.
 */
#define SERVICE_WATCH_MS 1200 /* a healthy age is below: Sentinel sends a PING a second */
bool service_is_watchful(const struct service *service, unsigned voter, int64_t now_ms);

/*
 * Whether the master is to be asked if it refuses writes while too few replicas follow it (min-replicas-to-write).
 * Only an alarm depends on it: nothing else bounds the loss.
 */
bool service_wants_min_replicas(const struct service *service, int64_t now_ms);

/*
 * Whether a Sentinel is to be asked SENTINEL REPLICAS with its next poll. `is_its_turn`: also where only an
 * alarm depends on it.
 */
bool service_wants_replicas(const struct service *service, bool is_its_turn);

const struct service_settings *service_settings(const struct service *service);

/* Why the state is what it is, for the log and the status: the cause of a doubt, else the reason; "" if there is none. */
const char *service_decision_reason(const struct service_decision *decision);

/* The decision as it stood at the last evaluation, and the alarms. */
const struct service_decision *service_decision(const struct service *service);
const struct alarms *service_alarms(const struct service *service);

/*
 * The server of the master named last, however long ago. NULL before the first one, and for one outside the
 * map.
 */
const char *service_last_server(const struct service *service);

/* Whether an address that a voter named may be named to HAProxy: the map has it, or `allow_any_address` lets it be. */
bool service_may_name(const struct service *service, const struct addr *addr);

/* The server of the map that has this address, as main address or alias. -1 where there is none. */
int service_find_server(const struct service *service, const struct addr *addr);

/* What the server of this index in the map said of itself last. */
const struct node_word *service_node_word(const struct service *service, size_t server);

/* The name of that server; NULL where there is none. */
const char *service_server(const struct service *service, const struct addr *addr);

/* Whether two addresses are equal or are of one server of the map. */
bool service_is_same_node(const struct service *service, const struct addr *a, const struct addr *b);

/* What `voter` said last, fresh or not. */
struct vote service_vote(const struct service *service, unsigned voter);

/*
 * For how long `voter` has not heard the master that it names, ms; -1 if it did not tell within the life of a
 * vote.
 */
int64_t service_silence_ms(const struct service *service, unsigned voter, int64_t now_ms);

/*
 * The longest down-after-milliseconds of the Sentinels that are heard; 0 if none has told it yet. While nobody is heard
 * it is the last one that was known, and during an outage it gets no shorter.
 */
uint32_t service_down_after_ms(const struct service *service);

/* Whether a node can be named for this role, by the decision as it stood last. */
bool service_has_name(const struct service *service, enum service_role role);

/* The same, and a new connection may be sent there at once. */
bool service_is_open(const struct service *service, enum service_role role);

/* Whether the clients that ask for this role can be seen has changed: raises or clears the alarm about it. */
void service_note_sight(struct service *service, enum service_role role, enum service_sight sight,
                        int64_t now_ms);

/* Those who wait for an answer about this role are `waiting` now. */
void service_note_waiting(struct service *service, enum service_role role,
                          const struct service_waiting *waiting);

/* A client has waited so long for an answer about this role, and gets it now. */
void service_note_wait(struct service *service, enum service_role role, int64_t waited_ms);

/* A client that asked for the master was told nobody, or HAProxy gave it up while it waited. */
void service_note_refusal(struct service *service);

const struct service_waiting *service_waiting(const struct service *service, enum service_role role);

/* The outage that goes on (`is_running`), or the last one; and all before it. */
const struct outage *service_outage(const struct service *service);
const struct outage_totals *service_outage_totals(const struct service *service);

/*
 * HAProxy gives clients up that wait here for an answer about this role, after so long, in ms: raises the alarm about
 * it. SERVICE_NOT_GIVEN_UP: it does so no longer.
 */
#define SERVICE_NOT_GIVEN_UP (-1)
void service_note_given_up(struct service *service, enum service_role role, int64_t after_ms, int64_t now_ms);

/* A client was told of the last switch, as the first one: the observers are told. */
void service_note_first_answer(struct service *service, int64_t now_ms);

#endif
