/*
 * A Sentinel as a voter. There are two conversations with it: one asks for its votes, the other listens for
 * hints to ask now. The access rights that Redis documents for clients are enough. Without the right to
 * subscribe the agent only polls.
 */
#ifndef SPOA_CORE_VOTERS_SENTINEL_VOTER_H
#define SPOA_CORE_VOTERS_SENTINEL_VOTER_H

#include "spoa/core/base/metrics.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/redis/peer.h"
#include "spoa/core/voters/voter_group.h"

#include <stdbool.h>
#include <stdint.h>

/* How many runs of commands may await their replies (awaited.h): a greeting, and questions about services
 * whose numbers need not be consecutive. */
#define SENTINEL_QUERY_RUNS 64
#define SENTINEL_HINTS_RUNS 8

/* Shared by the Sentinels of a group; borrowed. */
struct sentinel_settings {
    struct redis_credentials credentials;
    uint32_t poll_ms;
    struct conversation_settings query; /* of the conversation that asks */
    struct conversation_settings hints; /* of the conversation that listens */
    bool early;                         /* also listen for the beginning of a failover */
};

/* Faults of the Sentinel in the conversation that asks. If a fault concerns a vote, its subject is the
 * service. */
enum sentinel_fault {
    SENTINEL_FAULT_AUTH = 1u << 0,     /* it refused the password */
    SENTINEL_FAULT_MYID = 1u << 1,     /* it does not say who it is, so its votes do not count */
    SENTINEL_FAULT_ERROR = 1u << 2,    /* an error instead of an address: NOAUTH, NOPERM, LOADING ... */
    SENTINEL_FAULT_ADDRESS = 1u << 3,  /* an empty host, port 0, or something that is no address */
    SENTINEL_FAULT_REPLY = 1u << 4,    /* a reply of another shape */
    SENTINEL_FAULT_UNKNOWN = 1u << 5,  /* it knows no master of that name */
    SENTINEL_FAULT_FACTS = 1u << 6,    /* it refuses SENTINEL MASTER */
    SENTINEL_FAULT_WITNESS = 1u << 7,  /* it refuses SENTINEL CKQUORUM */
    SENTINEL_FAULT_REPLICAS = 1u << 8, /* it refuses SENTINEL REPLICAS */
    SENTINEL_FAULT_PEERS = 1u << 9,    /* it refuses SENTINEL SENTINELS */
    SENTINEL_FAULTS_OF_VOTES =
        SENTINEL_FAULT_ERROR | SENTINEL_FAULT_ADDRESS | SENTINEL_FAULT_REPLY | SENTINEL_FAULT_UNKNOWN,
};

_Static_assert(SENTINEL_FAULT_PEERS < 1u << PEER_FAULTS_MAX, "the peer remembers each fault");

struct sentinel_voter {
    const struct sentinel_settings *settings;
    struct voter_group *group;
    struct metrics *metrics;
    const char *name; /* for the log: its address */
    unsigned index;   /* in the group */
    struct conversation query;
    struct conversation hints;
    struct peer query_peer;
    struct peer hints_peer;
    struct awaited_run query_runs[SENTINEL_QUERY_RUNS];
    struct awaited_run hints_runs[SENTINEL_HINTS_RUNS];
    int64_t next_poll_ms;
    bool myid_asked;      /* SENTINEL MYID was sent on `query` */
    bool myid_refused;    /* to be asked again with the next poll, after AUTH */
    bool hint_subscribed; /* SUBSCRIBE was sent on `hints` */
};

/* All pointers are borrowed and must outlive the voter, which must not move. `seed` varies its back-off. */
void sentinel_voter_init(struct sentinel_voter *voter, const struct sentinel_settings *settings,
                         struct voter_group *group, unsigned index, const char *name, struct metrics *metrics,
                         uint64_t seed, int64_t now_ms);

#endif
