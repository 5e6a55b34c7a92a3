/*
 * A group of voters and the services that they vote on: who is who, who must be asked what, and when a
 * decision has to be looked at again. It carries votes into the services and questions out to the voters.
 */
#ifndef SPOA_CORE_VOTERS_VOTER_GROUP_H
#define SPOA_CORE_VOTERS_VOTER_GROUP_H

#include "proto/span.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/voters/voter_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SENTINEL MYID: 40 hexadecimal digits. */
#define VOTER_IDENTITY_LEN 40

struct voter_group;

/* What a voter may be asked about a service. */
enum voter_question {
    VOTER_ASK_MASTER,   /* whom it holds to be the master: its vote */
    VOTER_ASK_FACTS,    /* what else it knows of that master */
    VOTER_ASK_WITNESS,  /* whether it sees a majority itself */
    VOTER_ASK_REPLICAS, /* which replicas of that master it holds to be up */
    VOTER_QUESTIONS,
};

/* All borrowed; they must outlive the group. */
struct voter_group_options {
    const char *name; /* of the group, "" for the unnamed one */
    enum voter_source source;
    unsigned voter_count;
    const char *const *voter_names; /* one per voter, for the log; the list itself is copied */
    struct service *const *services;
    size_t service_count;
    uint8_t *identities; /* one per voter: those of all these services, see quorum_config; kept up to date */
    struct metrics *metrics;
};

/* Copies the options. NULL where memory is short. */
struct voter_group *voter_group_create(const struct voter_group_options *options, int64_t now_ms);
void voter_group_destroy(struct voter_group *group); /* NULL is fine */

unsigned voter_group_voter_count(const struct voter_group *group);

/* "" for the unnamed one. */
const char *voter_group_name(const struct voter_group *group);

const char *voter_group_voter_name(const struct voter_group *group, unsigned voter);

/* Whether `voter` answered within the life of a vote. */
bool voter_group_is_heard(const struct voter_group *group, unsigned voter, int64_t now_ms);

size_t voter_group_service_count(const struct voter_group *group);
const struct service *voter_group_service(const struct voter_group *group, size_t service);

/* The name under which the voters know the service. */
const char *voter_group_monitor(const struct voter_group *group, size_t service);

/* The MYID of a voter, empty where it is not known. */
const char *voter_group_identity(const struct voter_group *group, unsigned voter);

/*
 * `voter` says who it is: 40 hexadecimal digits, or an empty span where it would not say. Votes of a voter that
 * turns out to be another than before are dropped. Two voters with one identity count once; that is logged.
 */
void voter_group_identify(struct voter_group *group, unsigned voter, struct span identity, int64_t now_ms);

/*
 * There is a new connection to `voter`. What it said before is dropped if it never told who it was: its address may be
 * shared, and whoever answers now must not inherit these votes.
 */
void voter_group_connected(struct voter_group *group, unsigned voter, int64_t now_ms);

/* For each voter of `group`, the index of the voter of `former` that is the same Sentinel (by its MYID); -1 where there is none, or
 * where that is not known. `ret_voters` has room for all voters of `group`. */
void voter_group_match(const struct voter_group *group, const struct voter_group *former, int *ret_voters);

/* Something happened to a service: see service_step(), and what follows from it for the voters. */
bool voter_group_step(struct voter_group *group, size_t service, const struct service_event *event,
                      int64_t now_ms);

/* Others than the group made its services evaluate, as a change-over does: does what follows from that for the voters, and for
 * the time of the next review. */
void voter_group_catch_up(struct voter_group *group);

/* A Sentinel says that it is about to replace the master at `addr`, which it knows as `monitor`. */
void voter_group_expect_failover(struct voter_group *group, struct span monitor, const struct addr *addr,
                                 int64_t now_ms);

/* The host of `voter` refuses connections, or does so no longer. */
void voter_group_refuse(struct voter_group *group, unsigned voter, bool is_refusing, int64_t now_ms);

/*
 * Marks what `voter` is to be asked: for every service whom it names; in turn, over VOTER_FACTS_POLLS polls, what
 * else it knows, and at once where something depends on it.
 */
#define VOTER_FACTS_POLLS 10
void voter_group_poll(struct voter_group *group, unsigned voter);

/* When `voter` is to be polled next. They go in turn, so that the first to know of a change is asked sooner; a dissent
 * makes all be asked. */
int64_t voter_group_next_poll_ms(const struct voter_group *group, unsigned voter, uint32_t poll_ms,
                                 int64_t now_ms);

/* Marks all that `voter` can say of the services that it knows as `monitor`, or of all where that is empty. */
void voter_group_ask(struct voter_group *group, unsigned voter, struct span monitor);

/* Whether there is something to ask `voter`. */
bool voter_group_wants(const struct voter_group *group, unsigned voter);

/* Takes the next question for `voter` off its marks. False where there is none. */
bool voter_group_next(struct voter_group *group, unsigned voter, enum voter_question *ret_question,
                      size_t *ret_service);

/* Those of the group, as they stood last. */
const struct alarms *voter_group_alarms(const struct voter_group *group);

/* When voter_group_tick() is due; QUORUM_NEVER where nothing can change by time alone. */
int64_t voter_group_wake_ms(const struct voter_group *group);

/* Looks at the decisions that have run out. */
void voter_group_tick(struct voter_group *group, int64_t now_ms);

#endif
