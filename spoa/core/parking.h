/*
 * Parked streams: NOTIFYs that get no answer yet, because nobody is named now and somebody may be in a moment. All
 * memory is taken at the start; beyond it streams are answered at once. Pure: time comes in.
 *
 * A stream waits in two lists: that of its service, in the order of the deadlines, and that of its client, which is
 * the connection that it came on. When it is due its client is woken, to answer all that is due in one go.
 */
#ifndef SPOA_CORE_PARKING_H
#define SPOA_CORE_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/service.h"

struct parking;
struct parked_stream;

/* The streams that ask for one role of one service. */
struct parking_queue {
    struct service_observer observer;
    struct service *service;
    enum service_role role;
    const uint8_t *identities;     /* its group's, as service_answer() wants them */
    struct parking *parking;       /* NULL: this service's streams are never parked */
    struct parked_stream *streams; /* the oldest first */
    struct parking_queue *next;    /* of those that have some */
    struct parking_queue *prev;
};

/* The streams of one connection; zero is an empty one. */
struct parking_client {
    struct parked_stream *waiting;
    struct parked_stream *due; /* to be answered, in the order in which they became due */
    size_t count;              /* of both */
    bool is_woken;
    struct parking_client *next; /* of those that are woken */
    struct parking_client *prev;
};

/* Called when a client is woken and none was before. Not the place to answer: it may be deep in another's call. */
typedef void (*parking_wake_fn)(void *context);

/* Room for `max` streams. NULL where memory is short. */
struct parking *parking_create(size_t max, parking_wake_fn wake, void *context);
void parking_destroy(struct parking *parking); /* NULL is fine; no stream is parked any more */

/* Begins to watch the service: when it names somebody its streams are due. The queue must outlive the service. */
void parking_queue_init(struct parking_queue *queue, struct parking *parking, struct service *service,
                        enum service_role role, const uint8_t *identities);

/*
 * Hands the streams of a queue over to that of the same role and service under another configuration; to NULL, where
 * there is none any more: then they are due at once, and `from` must stay until they are answered.
 */
void parking_queue_move(struct parking_queue *from, struct parking_queue *to);

/*
 * Parks a stream of `queue` that came on `client`. False where it must be answered at once: a name is there and
 * nothing speaks against it, the service does not park, or there is no room.
 */
bool parking_park(struct parking_queue *queue, struct parking_client *client, uint64_t stream_id,
                  uint64_t frame_id, int64_t now_ms);

/* What is to be answered now. */
struct parking_answer {
    uint64_t stream_id;
    uint64_t frame_id;
    struct span actions; /* valid until the next call that takes the service */
    bool is_named;
    const struct parking_queue *queue; /* whose answer it is; NULL: of no service that there is */
    int64_t parked_ms;                 /* how long it was kept back */
};

/* Takes the next stream of `client` that is due off the lists; of one service the oldest first. False where none is. */
bool parking_next(struct parking_client *client, int64_t now_ms, struct parking_answer *ret_answer);

/* All streams of `client` are due at once: it is to be closed in good order. */
void parking_hurry(struct parking_client *client);

/* Forgets all streams of `client`: its HAProxy is gone. */
void parking_drop(struct parking_client *client, struct parking *parking);

/* Takes the next client that was woken. NULL where there is none. */
struct parking_client *parking_take_woken(struct parking *parking);

/* When parking_tick() is due; INT64_MAX where nothing is parked. */
int64_t parking_wake_ms(const struct parking *parking);

/* Makes due what waited until its deadline. */
void parking_tick(struct parking *parking, int64_t now_ms);

/* Streams that are parked now. */
size_t parking_count(const struct parking *parking);

#endif
