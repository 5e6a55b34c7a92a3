/*
 * A group of voters and the services that they vote on. It knows the voters' identities, what each voter must
 * be asked, and when a decision must be reviewed. It passes events to the services and questions to the
 * voters.
 */
#ifndef SPOA_CORE_VOTERS_VOTER_GROUP_H
#define SPOA_CORE_VOTERS_VOTER_GROUP_H

#include "proto/span.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/voter_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of an identity, for example of SENTINEL MYID: 40 hexadecimal digits. */
#define VOTER_IDENTITY_LEN 40

struct voter_group;

/* What a voter may be asked about a service. */
enum voter_question {
    VOTER_ASK_MASTER,   /* which node is the master: its vote */
    VOTER_ASK_FACTS,    /* what else it knows about that master */
    VOTER_ASK_WITNESS,  /* whether it sees a majority of the Sentinels */
    VOTER_ASK_PEERS,    /* when it heard the other Sentinels last */
    VOTER_ASK_REPLICAS, /* which replicas of that master it considers up */
    VOTER_QUESTIONS,
};

/* All pointers are borrowed and must outlive the group. */
struct voter_group_options {
    const char *name; /* of the group, "" for the unnamed one */
    enum voter_source source;
    unsigned voter_count;
    const char *const *voter_names; /* one per voter, for the log; the list is copied, the names are not */
    struct service *const *services;
    size_t service_count;
    /* One per voter. The group keeps them up to date, and all its services read them (see quorum_config). */
    uint8_t *identities;
    struct metrics *metrics;
};

/* Copies the options. NULL if memory is short. */
struct voter_group *voter_group_create(const struct voter_group_options *options, int64_t now_ms);
void voter_group_destroy(struct voter_group *group); /* NULL is fine */

unsigned voter_group_voter_count(const struct voter_group *group);

/* The name of the group; "" for the unnamed one. */
const char *voter_group_name(const struct voter_group *group);

/* Who its voters are. */
enum voter_source voter_group_source(const struct voter_group *group);

const char *voter_group_voter_name(const struct voter_group *group, unsigned voter);

/* Whether `voter` answered a question about a master that was sent within the life of a vote, and does not refuse
 * us. */
bool voter_group_is_heard(const struct voter_group *group, unsigned voter, int64_t now_ms);

size_t voter_group_service_count(const struct voter_group *group);
const struct service *voter_group_service(const struct voter_group *group, size_t service);

/* The name under which the voters know the service. */
const char *voter_group_monitor(const struct voter_group *group, size_t service);

/* The identity of a voter; empty if it is not known. */
const char *voter_group_identity(const struct voter_group *group, unsigned voter);

/*
 * `voter` has said who it is. `identity` has 40 hexadecimal digits, or is empty if the voter did not say. If
 * the voter turns out to be another than before, its earlier votes are dropped. Two voters with one identity
 * have one vote; this is logged.
 */
void voter_group_identify(struct voter_group *group, unsigned voter, struct span identity, int64_t now_ms);

/*
 * There is a new connection to `voter`. If its identity is not known, all that it said before is dropped:
 * several voters may share its address, and the one that answers now must not inherit the votes of another.
 */
void voter_group_connected(struct voter_group *group, unsigned voter, int64_t now_ms);

/* For each voter of `group`: the index of the voter of `former` with the same identity, or -1 if there is
 * none or the identity is not known. `ret_voters` has room for all voters of `group`. */
void voter_group_match(const struct voter_group *group, const struct voter_group *former, int *ret_voters);

/* Passes an event to service_step() and returns its result. Also does what follows from the event for the
 * voters. */
bool voter_group_step(struct voter_group *group, size_t service, const struct service_event *event,
                      int64_t now_ms);

/*
 * Others than the group made one of its services evaluate, as a change-over does: does what follows from that for
 * the voters, and for the time of the next review.
 */
void voter_group_catch_up(struct voter_group *group, size_t service);

/* A Sentinel says that it is about to replace the master at `addr`, which it knows as `monitor`. */
void voter_group_expect_failover(struct voter_group *group, struct span monitor, const struct addr *addr,
                                 int64_t now_ms);

/*
 * A reload: `group` takes the place of `former`. Why a voter of the same name has no vote, and since when, goes on. It
 * is told of one that has not answered yet, too.
 */
void voter_group_inherit(struct voter_group *group, const struct voter_group *former);

/* Our connection to `voter`, or the attempt to connect, has ended. */
void voter_group_lost(struct voter_group *group, unsigned voter, const struct conversation_loss *loss,
                      int64_t now_ms);

/* What a voter may refuse beside its votes. Those are numbered as the services are. */
#define VOTER_SUBJECT_IDENTITY SIZE_MAX

/*
 * `voter` refuses us with an error: `words`. Empty: it has answered. `subject` is the service that it was asked
 * about, or VOTER_SUBJECT_IDENTITY. Only an answer about the same subject ends the refusal, or the end of the
 * connection for another reason.
 */
void voter_group_note_words(struct voter_group *group, unsigned voter, size_t subject, struct span words,
                            int64_t now_ms);

/* With which words `voter` refuses us; "" if it does not. Printable ASCII, shorter than
 * CONVERSATION_WORDS_MAX: other bytes are '?', and the rest is cut off. */
const char *voter_group_words(const struct voter_group *group, unsigned voter);

/*
 * Why `voter` has no vote: its own words if it refuses us, else how the connection, or the attempt to connect, ended.
 * "" if it has answered since. In the same form.
 */
const char *voter_group_fault(const struct voter_group *group, unsigned voter);

/* Since when that is so; valid with a fault. */
int64_t voter_group_fault_since_ms(const struct voter_group *group, unsigned voter);

/*
 * Marks what `voter` is asked now. Within `poll_ms` it is asked for its vote on every service. With many services a
 * Sentinel is polled in parts, one after another, so that neither it nor we have to do everything at once. All parts
 * that became due since the last call are marked, and all after it was connected, unless voter_group_ask_all() marked
 * them. Nodes answer for all services at once.
 *
 * Facts are asked in turn: each service once in VOTER_FACTS_POLLS polls, or in every poll while its decision depends on
 * them. With `down-after` so many voters are asked in every poll that each majority has one of them (sentries). Once
 * one of them has not heard the master for nearly that long, all are asked at once, and then every VOTER_WATCH_MS.
 * Replicas are asked with the facts, or in every poll where the service names them. Witness and peers are asked for the
 * services that use them; while a witness stands in for a majority, facts and peers every VOTER_WATCH_MS.
 */
#define VOTER_FACTS_POLLS 10
#define VOTER_WATCH_MS 200
void voter_group_poll(struct voter_group *group, unsigned voter, uint32_t poll_ms, int64_t now_ms);

/* Whether the next part to be polled is the first one. */
bool voter_group_begins_poll(const struct voter_group *group, unsigned voter, uint32_t poll_ms);

/* When `voter` is to be polled next, in full or in part. The polls of the voters are spread over `poll_ms`, so that one of
 * them soon shows a change. If it disagrees, all voters are asked. */
int64_t voter_group_next_poll_ms(const struct voter_group *group, unsigned voter, uint32_t poll_ms,
                                 int64_t now_ms);

/* Marks all questions about all services. */
void voter_group_ask_all(struct voter_group *group, unsigned voter);

/* Marks the questions about the services that `voter` knows as `monitor`: vote, facts and replicas. If `monitor` is empty
 * it is as voter_group_ask_all(). */
void voter_group_ask(struct voter_group *group, unsigned voter, struct span monitor);

/* Whether there is something to ask `voter`. */
bool voter_group_wants(const struct voter_group *group, unsigned voter);

/* Takes the next question for `voter` and removes its mark. False if there is none. */
bool voter_group_next(struct voter_group *group, unsigned voter, enum voter_question *ret_question,
                      size_t *ret_service);

/* The alarms of the group, as of the last call. */
const struct alarms *voter_group_alarms(const struct voter_group *group);

/* When voter_group_tick() is due: 0 if it has not looked at all services yet, QUORUM_NEVER if nothing can change without an
 * event. */
int64_t voter_group_wake_ms(const struct voter_group *group);

/*
 * Reviews the decisions that have expired. A look at a service costs a unit of the budget, a review so many. The next call
 * goes on where this one ends.
 */
#define VOTER_REVIEW_COST 16
void voter_group_tick(struct voter_group *group, int64_t now_ms, size_t budget);

#endif
