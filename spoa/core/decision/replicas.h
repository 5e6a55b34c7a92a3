/*
 * The replicas of a service: which of its servers a majority of the Sentinels holds to be one that is up, which of these
 * are behind, and whose turn it is. Pure: all times in ms, dated and expired as votes are (quorum.h).
 */
#ifndef SPOA_CORE_DECISION_REPLICAS_H
#define SPOA_CORE_DECISION_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/server_map.h"

/* Servers of a service: a bit each in a set. */
#define REPLICAS_MAX 64

struct replicas_config {
    bool is_enabled;
    struct lag_limit max_lag;
    bool fall_back; /* where there is none the master is named */
};

/* What one Sentinel said last. */
struct replicas_view {
    int64_t t_sent_ms; /* INT64_MIN: never */
    int32_t master;    /* the candidate that `up` are replicas of */
    uint64_t up;
};

struct replicas;

/* What a master says of a server that it does not know as a replica. */
#define REPLICA_NOT_CONNECTED (-1)

/*
 * `config`, `servers` (REPLICAS_MAX at the most) and their weights are borrowed: how often each is named beside the
 * others, 0: never. NULL where memory is short.
 */
struct replicas *replicas_create(const struct replicas_config *config, const struct quorum_config *quorum,
                                 const struct service_server *servers, size_t server_count);
void replicas_destroy(struct replicas *replicas); /* NULL is fine */

/* Drops what `voter` said. */
void replicas_forget(struct replicas *replicas, unsigned voter);

/* `voter` says that the servers `up` are replicas of the candidate `master`, and up. */
void replicas_take_view(struct replicas *replicas, unsigned voter, const struct replicas_view *view);

/*
 * The master is at `offset` and has heard of its replicas so far, REPLICA_NOT_CONNECTED where it has not: one offset per
 * server. Offsets are bytes of the replication stream; all this was asked for at `t_sent_ms`.
 */
void replicas_take_offsets(struct replicas *replicas, int64_t offset, const int64_t *offsets,
                           int64_t t_sent_ms);

/* There is another master: what the old one said of them is of no use. */
void replicas_forget_offsets(struct replicas *replicas);

/*
 * The servers that may be named: a majority of the voters (identities as in quorum_evaluate()) holds each to be an up
 * replica of `master`, and it is not too far behind. `*ret_review_ms` becomes the time at which that has to be looked
 * at again, where that is before what it was.
 */
uint64_t replicas_evaluate(const struct replicas *replicas, int32_t master, const uint8_t *identities,
                           int64_t now_ms, int64_t *ret_review_ms);

/* Whether some view is about `candidate`, expired or not. */
bool replicas_refer(const struct replicas *replicas, int32_t candidate);

/* Whose turn it is, of a set that is not empty: by turns, as often as their weights say. */
size_t replicas_next(struct replicas *replicas, uint64_t set);

#endif
