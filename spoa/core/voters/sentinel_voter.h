/*
 * A Sentinel as a voter: two conversations with it, one that asks (its votes) and one that listens (hints to
 * ask now). Works with the access rights that Redis documents for clients; without the right to subscribe the
 * agent polls only.
 */
#ifndef SPOA_CORE_VOTERS_SENTINEL_VOTER_H
#define SPOA_CORE_VOTERS_SENTINEL_VOTER_H

#include "spoa/core/redis/conversation.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/redis/redis_command.h"
#include "spoa/core/voters/voter_group.h"

#include <stdbool.h>
#include <stdint.h>

/* Runs of commands that may await their replies: of questions, whose services need not stand in a row, and of a greeting. */
#define SENTINEL_QUERY_RUNS 64
#define SENTINEL_HINTS_RUNS 8

/* Shared by the Sentinels of a group; borrowed. */
struct sentinel_settings {
    struct redis_credentials credentials;
    uint32_t poll_ms;
    struct conversation_settings query; /* of the conversation that asks */
    struct conversation_settings hints; /* of the one that listens */
    bool early;                         /* listen to the beginning of a failover as well */
};

/* What went wrong and is in the log already: each once per connection. */
enum sentinel_fault {
    SENTINEL_FAULT_AUTH = 1u << 0,     /* it refused the password */
    SENTINEL_FAULT_MYID = 1u << 1,     /* it would not say who it is: its votes do not count */
    SENTINEL_FAULT_ERROR = 1u << 2,    /* an error instead of an address: NOAUTH, NOPERM, LOADING ... */
    SENTINEL_FAULT_ADDRESS = 1u << 3,  /* an empty host, port 0, or nothing that is an address */
    SENTINEL_FAULT_REPLY = 1u << 4,    /* a reply of another shape */
    SENTINEL_FAULT_UNKNOWN = 1u << 5,  /* it knows no master of that name */
    SENTINEL_FAULT_FACTS = 1u << 6,    /* no right to SENTINEL MASTER */
    SENTINEL_FAULT_WITNESS = 1u << 7,  /* no right to SENTINEL CKQUORUM */
    SENTINEL_FAULT_REPLICAS = 1u << 8, /* no right to SENTINEL REPLICAS */
};

struct sentinel_voter {
    const struct sentinel_settings *settings;
    struct voter_group *group;
    struct metrics *metrics;
    const char *name; /* for the log: its address */
    unsigned index;   /* in the group */
    struct conversation query;
    struct conversation hints;
    struct awaited_run query_runs[SENTINEL_QUERY_RUNS];
    struct awaited_run hints_runs[SENTINEL_HINTS_RUNS];
    unsigned greetings; /* of `query`: said so far on this connection */
    int64_t next_poll_ms;
    unsigned faults;      /* enum sentinel_fault */
    bool myid_refused;    /* ask again with the next poll, after AUTH */
    bool told_up;         /* in the log, since the last "sentinel-down" */
    bool told_down;       /* likewise since the last "sentinel-up" */
    bool hint_greeted;    /* AUTH was sent on `hints` */
    bool hint_subscribed; /* SUBSCRIBE was sent on `hints` */
    bool hints_refused;   /* told in the log */
};

/* All pointers are borrowed and must outlive the voter, which must not move. `seed` varies its back-off. */
void sentinel_voter_init(struct sentinel_voter *voter, const struct sentinel_settings *settings,
                         struct voter_group *group, unsigned index, const char *name, struct metrics *metrics,
                         uint64_t seed, int64_t now_ms);

/* Default times of the two conversations for a group's configuration, in ms. */
struct conversation_settings sentinel_query_settings(uint32_t connect_timeout_ms, uint32_t poll_ms,
                                                     uint32_t reply_timeout_ms);
struct conversation_settings sentinel_hints_settings(uint32_t connect_timeout_ms, uint32_t reply_timeout_ms);

#endif
