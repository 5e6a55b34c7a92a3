/*
 * A group of voters and the services that they vote on: who is who, who must be asked what, and when a
 * decision has to be looked at again. It carries votes into the services and questions out to the voters.
 */
#ifndef SPOA_CORE_VOTER_GROUP_H
#define SPOA_CORE_VOTER_GROUP_H

#include "proto/span.h"
#include "spoa/core/metrics.h"
#include "spoa/core/quorum.h"
#include "spoa/core/service.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SENTINEL MYID: 40 hexadecimal digits. */
#define VOTER_IDENTITY_LEN 40

struct voter_group;

/* `services` are borrowed and must outlive the group; so must `metrics`. `voter_names` (one per voter, for the
 * log) likewise. NULL where memory is short. */
struct voter_group *voter_group_create(unsigned voter_count, const char *const *voter_names,
                                       struct service *const *services, size_t service_count,
                                       struct metrics *metrics);
void voter_group_destroy(struct voter_group *group); /* NULL is fine */

unsigned voter_group_voter_count(const struct voter_group *group);

/* The identities as quorum_evaluate() takes them. */
const uint8_t *voter_group_identities(const struct voter_group *group);

/* The MYID of a voter, empty where it is not known. */
const char *voter_group_identity(const struct voter_group *group, unsigned voter);

/* The name under which the voters know the service. */
const char *voter_group_monitor(const struct voter_group *group, size_t service);

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

/* `voter` answered for `service`. */
enum quorum_receipt voter_group_vote(struct voter_group *group, unsigned voter, size_t service,
                                     const struct service_ballot *ballot, int64_t now_ms);

/* Marks what `voter` is to be asked: every service, or those that it knows as `monitor`. */
void voter_group_ask_all(struct voter_group *group, unsigned voter);
void voter_group_ask(struct voter_group *group, unsigned voter, struct span monitor);

/* Whether there is something to ask `voter`. */
bool voter_group_wants(const struct voter_group *group, unsigned voter);

/* Takes the next service to ask `voter` about off its marks. False where there is none. */
bool voter_group_next(struct voter_group *group, unsigned voter, size_t *ret_service);

/* When voter_group_tick() is due; QUORUM_NEVER where nothing can change by time alone. */
int64_t voter_group_wake_ms(const struct voter_group *group);

/* Looks at the decisions that have run out. */
void voter_group_tick(struct voter_group *group, int64_t now_ms);

#endif
