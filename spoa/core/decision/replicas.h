/*
 * The replicas of a service: which of its servers a majority of the Sentinels holds to be up, and which of
 * these are behind. Pure: all times in ms, dated and expired as votes are (quorum.h).
 */
#ifndef SPOA_CORE_DECISION_REPLICAS_H
#define SPOA_CORE_DECISION_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/decision/succession.h"

/* Servers of a service: a bit each in a set. */
#define REPLICAS_MAX 64

struct replicas_config {
    bool is_enabled;
    bool fall_back; /* the master is named if no replica can be */
    struct lag_limit max_lag;
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
 * `config`, `quorum` and `servers` (at most REPLICAS_MAX) are borrowed. A server of weight 0 is never named.
 * NULL if memory is short.
 */
struct replicas *replicas_create(const struct replicas_config *config, const struct quorum_config *quorum,
                                 const struct service_server *servers, size_t server_count);
void replicas_destroy(struct replicas *replicas); /* NULL is fine */

/* Drops what `voter` said. */
void replicas_forget(struct replicas *replicas, unsigned voter);

/* `voter` says that the servers `up` are replicas of the candidate `master`, and up. */
void replicas_note_view(struct replicas *replicas, unsigned voter, const struct replicas_view *view);

/*
 * The master is at `offset`. `offsets` has for each server how far it is in the master's eyes,
 * REPLICA_NOT_CONNECTED for a server that is no replica of it. Offsets are bytes of the replication stream.
 * All this was asked for at `t_sent_ms`.
 */
void replicas_note_offsets(struct replicas *replicas, int64_t offset, const int64_t *offsets,
                           int64_t t_sent_ms);

/*
 * Takes over views and offsets that are newer in `former`, the replicas of the same service under another
 * configuration.
 */
void replicas_inherit(struct replicas *replicas, const struct replicas *former,
                      const struct succession *succession);

/* A set of servers of the former map, as a set of the next one. */
uint64_t replicas_translate(uint64_t former, const struct succession *succession);

/* There is another master: the offsets that the old one told are of no use. */
void replicas_forget_offsets(struct replicas *replicas);

/*
 * The servers that may be named: a majority of the voters holds each to be an up replica of `master`, and it
 * is not too far behind. `*ret_review_ms` becomes the time at which that has to be looked at again, where
 * that is before what it was.
 */
uint64_t replicas_evaluate(const struct replicas *replicas, int32_t master, int64_t now_ms,
                           int64_t *ret_review_ms);

/*
 * A server that a majority holds to be an up replica of `master`, and that this master did not list when it
 * told its offsets last. -1 where there is none, and where the lag does not matter.
 */
int replicas_find_unlisted(const struct replicas *replicas, int32_t master, int64_t now_ms);

/* Whether some view is about `candidate`, expired or not. */
bool replicas_is_about(const struct replicas *replicas, int32_t candidate);

#endif
