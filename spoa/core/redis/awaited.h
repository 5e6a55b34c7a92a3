/*
 * The replies that are awaited on one connection, in the order in which they will come. Requests that follow
 * one another and differ in their subject only form a run: a poll of a thousand services takes one place.
 *
 *      room.runs
 *      +-------------+-------------+-------------+-------------+-------------+
 *      |    free     | kind 1      | kind 2      | kind 2      |    free     |
 *      |             | subject 0   | subjects    | subjects    |             |
 *      |             |             | 0 to 999    | 3 and 4     |             |
 *      +-------------+-------------+-------------+-------------+-------------+
 *                      ^ head: the               ^ last: grows by the
 *                      next reply                next subject of the
 *                      belongs here              same kind and moment
 *
 * It is a ring: the first place follows the last one.
 */
#ifndef SPOA_CORE_REDIS_AWAITED_H
#define SPOA_CORE_REDIS_AWAITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a reply belongs to. */
struct awaited_request {
    unsigned kind;  /* the topic's own */
    size_t subject; /* the topic's own; requests of one kind, moment and consecutive subjects form a run */
    int64_t t_sent_ms;
};

struct awaited_run {
    struct awaited_request first;
    size_t count;
    size_t answered;
    bool is_endless; /* has no deadline: more replies follow for an unlimited time */
};

/* Where the runs stand; borrowed. */
struct awaited_room {
    struct awaited_run *runs;
    unsigned size;
};

struct awaited {
    struct awaited_room room;
    unsigned head;
    unsigned count; /* of runs */
};

/* Nothing is awaited. */
void awaited_init(struct awaited *awaited, struct awaited_room room);

/* Nothing is awaited any more: the connection has ended. */
void awaited_forget(struct awaited *awaited);

/* Whether there may be no room for another request. */
bool awaited_is_full(const struct awaited *awaited);

/* `request` was sent. It is not full. */
void awaited_add(struct awaited *awaited, const struct awaited_request *request);

/* The request that the next reply belongs to. False where no reply is awaited. */
bool awaited_next(const struct awaited *awaited, struct awaited_request *ret_request);

/* That request is answered. */
void awaited_finish(struct awaited *awaited);

/* More replies to that request will follow: it stays the next one, and nobody waits for them. */
void awaited_go_on(struct awaited *awaited);

/* When the oldest request that is waited for was sent; INT64_MAX where there is none. */
int64_t awaited_oldest_ms(const struct awaited *awaited);

#endif
