/*
 * Parked streams: NOTIFYs that get no answer yet, because nobody is named now and somebody may be in a moment. All
 * memory is taken at the start; beyond it streams are answered at once. Pure: time comes in.
 *
 * A stream waits in two lists: that of its service, in the order of the deadlines, and that of its connection (struct
 * parking_client). When it is due its connection is woken, to answer all that is due in one go.
 *
 * HAProxy keeps what a waiting client has sent, and delivers it later even when the client has closed. So the client's own
 * connection to HAProxy is looked at every PARKING_LOOK_MS, and once more before the stream is answered with a name. A stream
 * whose client has gone is answered with the state "client-gone", at once.
 */
#ifndef SPOA_CORE_HAPROXY_PARKING_H
#define SPOA_CORE_HAPROXY_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/answer.h"
#include "spoa/core/haproxy/client.h"

/* How often a waiting client is looked at. */
#define PARKING_LOOK_MS 250
/* A look that is older does not count when a stream is to be answered with a name. */
#define PARKING_STALE_MS 100

struct parking;
struct parked_stream;

/* The streams that ask for one role of one service. */
struct parking_queue {
    struct service_observer observer;
    struct service *service;
    enum service_role role;
    struct answer *answer;         /* what is said to them */
    struct parking *parking;       /* NULL: this service's streams are never parked */
    int64_t sight_ms;              /* when it is to be looked whether clients can be seen; INT64_MAX: never */
    unsigned misses;               /* clients in a row that were not seen */
    enum service_sight sight;      /* whether they can be seen, as far as it is known */
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

/* Called when a client is woken and none was before, and when parking_look() has something to do. Not the place to answer:
 * it may be deep in another's call. */
typedef void (*parking_wake_fn)(void *context);

/* Room for `max` streams. NULL where memory is short. */
MUST_CHECK struct parking *parking_create(size_t max, parking_wake_fn wake, void *context);

/* How clients are looked at; before any queue is made. Without it, or with NULL, they are not. */
void parking_look_with(struct parking *parking, client_look_fn *look, void *context);
void parking_destroy(struct parking *parking); /* NULL is fine; no stream is parked any more */

/* Begins to watch the service of `answer`: when it names a node its streams are due. The queue must outlive the service. */
void parking_queue_init(struct parking_queue *queue, struct parking *parking, struct answer *answer,
                        enum service_role role);

/*
 * Hands the streams of a queue over to that of the same role and service under another configuration. They wait no longer
 * than if they had been parked there. `to` is NULL if there is no such service any more: then they are due at once, and
 * `from` must stay until they are answered.
 */
void parking_queue_move(struct parking_queue *from, struct parking_queue *to);

/*
 * Parks a stream of `queue` that came on `client`, on behalf of `asker`. False where it must be answered at once: a name is
 * there and nothing speaks against it, the service does not park, or there is no room.
 */
MUST_CHECK bool parking_park(struct parking_queue *queue, struct parking_client *client,
                             const struct client *asker, uint64_t stream_id, uint64_t frame_id,
                             int64_t now_ms);

/*
 * Looks whether the clients of a queue can be seen at all, by the one that asks now, and tells the service. To be called
 * with a NOTIFY from `queue->sight_ms` on; that is set anew.
 */
void parking_check_sight(struct parking_queue *queue, const struct client *asker, int64_t now_ms);

/* Looks at up to CLIENT_LOOK_MAX clients whose turn it is. True where the turn of more has come. */
bool parking_look(struct parking *parking, int64_t now_ms);

/* What is to be answered now. */
struct parking_answer {
    uint64_t stream_id;
    uint64_t frame_id;
    struct span actions; /* valid until the next call that takes the service */
    bool is_named;
    bool is_gone;                      /* its client is not there any more */
    const struct parking_queue *queue; /* whose answer it is; NULL: of no service that there is */
    int64_t parked_ms;                 /* how long it was kept back */
};

/* Takes the next stream of `client` that is due off the lists; of one service the oldest first. False where none is. */
MUST_CHECK bool parking_next(struct parking_client *client, int64_t now_ms,
                             struct parking_answer *ret_answer);

/* All streams of `client` are due at once: it is to be closed in good order. */
void parking_hurry(struct parking_client *client);

/* Forgets all streams of `client`: its HAProxy is gone. */
void parking_drop(struct parking_client *client, struct parking *parking);

/* Takes the next client that was woken. NULL where there is none. */
struct parking_client *parking_take_woken(struct parking *parking);

/* When parking_tick() is due; INT64_MAX where nothing waits for a time. */
int64_t parking_wake_ms(const struct parking *parking);

/* Makes due what waited until its deadline, and wakes where clients are to be looked at. */
void parking_tick(struct parking *parking, int64_t now_ms);

/* Streams that are parked now. */
size_t parking_count(const struct parking *parking);

#endif
