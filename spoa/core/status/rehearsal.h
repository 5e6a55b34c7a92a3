/*
 * The account of a rehearsed failover: what became of each write, whom the Sentinels named, when sessions were cut. Pure.
 * Times are in ms of one clock. They are shown since the failover was ordered.
 */
#ifndef SPOA_CORE_STATUS_REHEARSAL_H
#define SPOA_CORE_STATUS_REHEARSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

struct text;

/* A time that has not come. */
#define REHEARSAL_NEVER INT64_MAX
/* The most writes that an account has room for. */
#define REHEARSAL_WRITES_MAX 65536
/* In place of the index of a server: no server, or one that the map lacks. */
#define REHEARSAL_NOBODY (-1)

/* What became of an attempt to write. */
enum rehearsal_outcome {
    REHEARSAL_ACKNOWLEDGED, /* by `server` */
    REHEARSAL_REFUSED,      /* the connection was refused or closed, or there was no reply in time */
    REHEARSAL_ASTRAY,       /* a node replied with an error: it is no master, for example */
};

/* One attempt, on a connection of its own. */
struct rehearsal_write {
    enum rehearsal_outcome outcome;
    int server; /* its index in the map, or REHEARSAL_NOBODY */
    int64_t t_ended_ms;
};

struct rehearsal {
    const char *const *servers; /* the names, by index; borrowed */
    unsigned sentinels;
    int old;              /* the master at the beginning */
    int new;              /* whom the first Sentinel named after it; REHEARSAL_NOBODY before */
    int64_t t_ordered_ms; /* when the failover was ordered */
    int64_t t_first_ms;   /* a first Sentinel named the new master; a majority; all of them */
    int64_t t_majority_ms;
    int64_t t_all_ms;
    int64_t t_cut_ms;               /* the session that was open before was closed */
    int64_t t_followed_ms;          /* the old master followed the new one */
    struct rehearsal_write *writes; /* by number */
    unsigned count;
    unsigned refused;
    unsigned astray;
    unsigned new_count; /* acknowledged by the new master */
};

/* The sums. Times without a write are between two that were acknowledged. */
struct rehearsal_sums {
    unsigned acknowledged;
    unsigned misrouted; /* astray, or acknowledged by a node that was not, or was no longer, the master */
    unsigned lost;      /* acknowledged, and not there at the end */
    unsigned lost_old;  /* of these: acknowledged by the old master */
    int64_t t_lost_first_ms;
    int64_t t_lost_last_ms;
    int64_t gap_ms; /* the longest time without a write, and when it began; -1: there were not two writes */
    int64_t t_gap_ms;
};

/* What a node has of the writes: a bit for each, beginning with the highest of the first byte, as of SETBIT. */
struct rehearsal_found {
    const unsigned char *bits; /* NULL: it could not be asked */
    size_t len;
};

/* Makes an empty account. False if memory is short. */
MUST_CHECK bool rehearsal_init(struct rehearsal *rehearsal, const char *const *servers, int old,
                               unsigned sentinels);
void rehearsal_finish(struct rehearsal *rehearsal);

/*
 * What has happened. The first of a kind adds a line to `out`, for somebody who watches. Writes come in the order of
 * their numbers, which begin with 0; those beyond REHEARSAL_WRITES_MAX are left out. `error` says why one failed. `votes` has the server that each
 * Sentinel names now, or REHEARSAL_NOBODY. The failover is ordered before the first vote and cut.
 */
void rehearsal_note_write(struct rehearsal *rehearsal, const struct rehearsal_write *write, const char *error,
                          struct text *out);
void rehearsal_note_order(struct rehearsal *rehearsal, int64_t t_ms);
void rehearsal_note_votes(struct rehearsal *rehearsal, const int *votes, int64_t t_ms, struct text *out);
void rehearsal_note_cut(struct rehearsal *rehearsal, int64_t t_ms, struct text *out);
void rehearsal_note_followed(struct rehearsal *rehearsal, int64_t t_ms, struct text *out);

/* Whether all that is waited for has happened, and the new master has taken so many writes. */
bool rehearsal_is_over(const struct rehearsal *rehearsal, unsigned writes);

struct rehearsal_sums rehearsal_sum(const struct rehearsal *rehearsal, const struct rehearsal_found *found);

/* Appends the sums, and a sentence for all that is not as it should be. Returns whether all is well. */
bool rehearsal_report(const struct rehearsal *rehearsal, const struct rehearsal_found *found,
                      struct text *out);

#endif
