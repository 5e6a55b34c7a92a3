/*
 * The replies that are awaited on one connection, in the order in which they will come. Requests form a run
 * if they follow one another, have the same kind and moment, and have consecutive subjects. So a poll of a
 * thousand services takes one place.
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
 * The places form a ring: the first follows the last.
 */
#ifndef SPOA_CORE_REDIS_AWAITED_H
#define SPOA_CORE_REDIS_AWAITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The request that a reply answers. */
struct awaited_request {
    unsigned kind;  /* defined by the topic */
    size_t subject; /* defined by the topic; consecutive subjects form a run */
    int64_t t_sent_ms;
};

struct awaited_run {
    struct awaited_request first;
    size_t count;
    size_t answered;
    bool is_endless; /* has no deadline: more replies follow for an unlimited time */
};

/* The memory of the runs; borrowed. */
struct awaited_room {
    struct awaited_run *runs;
    unsigned size;
};

struct awaited {
    struct awaited_room room;
    unsigned head;
    unsigned count; /* of runs in use */
};

/* Begins with nothing awaited. Borrows the runs of `room`. */
void awaited_init(struct awaited *awaited, struct awaited_room room);

/* Forgets all requests, because the connection has ended. */
void awaited_forget(struct awaited *awaited);

/* Whether there may be no room for another request. */
bool awaited_is_full(const struct awaited *awaited);

/* Adds a request that was sent. `awaited` is not full. */
void awaited_add(struct awaited *awaited, const struct awaited_request *request);

/* The request that the next reply belongs to. False if no reply is awaited. */
bool awaited_next(const struct awaited *awaited, struct awaited_request *ret_request);

/* Notes that the request of awaited_next() is answered. */
void awaited_finish(struct awaited *awaited);

/* Notes that more replies to the request of awaited_next() will follow. It stays the next one, and from
 * now on it has no deadline. */
void awaited_go_on(struct awaited *awaited);

/* When the oldest request that has a deadline was sent; INT64_MAX if there is none. */
int64_t awaited_oldest_ms(const struct awaited *awaited);

#endif
