/*
 * Parked streams: NOTIFYs that get no answer yet, because no node is named now but one may be named soon. All
 * memory is taken at the start; when it is used up, further streams are answered at once. Pure: time is an
 * argument.
 *
 * A stream waits in two lists: the list of its service, in the order of the deadlines, and the list of its
 * connection (struct parking_client). When a stream is due, its connection is woken and answers all its due
 * streams together.
 *
 * HAProxy keeps what a waiting client has sent, and delivers it later even if the client has closed. So the
 * client's own connection to HAProxy is looked at every PARKING_LOOK_MS, and once more before the stream is
 * answered with a name. If the client has gone, the stream is answered at once, with the state "client-gone".
 */
#ifndef SPOA_CORE_HAPROXY_PARKING_H
#define SPOA_CORE_HAPROXY_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/answer.h"
#include "spoa/core/haproxy/client.h"

/* The time between two looks at a waiting client. */
#define PARKING_LOOK_MS 250
/* A look that is older than this does not count when a stream is to be answered with a name. */
#define PARKING_STALE_MS 100

/*
 * HAProxy gives a stream up when its own time limit is over ('timeout processing'), and closes the client's
 * connection. If that limit is shorter than `park`, that is an alarm. One such stream proves nothing: an operator may
 * have shut it. Two do that waited for about the same time, but did not end at the same time.
 */
#define PARKING_ALIKE_MS 400
#define PARKING_APART_MS 1000

/*
 * Several frontends ask, and their limits may differ: clients that wait for longer do not prove that none is given up
 * any more. They do if none was given up for so long, and they were parked after the last one that was.
 */
#define PARKING_GIVEN_UP_HOLD_MS 60000

/* What was seen of that. */
struct parking_given_up {
    bool is_any;
    bool is_told;        /* the service knows */
    int64_t t_parked_ms; /* of the last stream of which that was seen */
    int64_t t_seen_ms;   /* when that was seen last */
    int64_t age_ms;      /* how long it had waited by then, at the most; with `is_told` the least of all */
};

struct parking;
struct parked_stream;

/* The streams that ask for one role of one service. */
struct parking_queue {
    struct service_observer observer;
    struct service *service;
    struct span last_word;         /* what they are answered with, once their service is gone; else empty */
    struct parking *parking;       /* NULL: this service's streams are never parked */
    unsigned misses;               /* how many clients in a row were not seen */
    enum service_sight sight;      /* whether clients can be seen, as far as we know */
    struct parked_stream *streams; /* the oldest first */
    size_t count;                  /* of them */
    struct parking_given_up given_up;
    struct parking_queue *next; /* in the list of queues that have streams */
    struct parking_queue *prev;
    /* Every question looks at these. */
    int64_t sight_ms;      /* when to check next whether clients can be seen; INT64_MAX: never */
    struct answer *answer; /* the source of the streams' answers */
    enum service_role role;
};

/* Begins to fetch from memory what a question looks at. */
static inline void parking_queue_fetch(const struct parking_queue *queue)
{
    __builtin_prefetch(&queue->sight_ms);
    __builtin_prefetch(&queue->role);
}

/* The streams of one connection. All zero: there are none. */
struct parking_client {
    struct parked_stream *waiting;
    struct parked_stream *due; /* to be answered, in the order in which they became due */
    size_t count;              /* of both lists */
    bool is_woken;
    struct parking_client *next; /* in the list of woken clients */
    struct parking_client *prev;
};

/* Called when a client is woken and no other client is woken already, and when parking_look() has
 * something to do. It must not answer streams, because it may be called deep inside another call. */
typedef void (*parking_wake_fn)(void *context);

/* Makes room for `max` streams. NULL if memory is short. */
MUST_CHECK struct parking *parking_create(size_t max, parking_wake_fn wake, void *context);

/* Sets how clients are looked at. To be called before any queue is made. Without this call, or with NULL,
 * clients are not looked at. */
void parking_look_with(struct parking *parking, client_look_fn *look, void *context);
void parking_destroy(struct parking *parking); /* NULL is fine; no stream may be parked any more */

/* Begins to observe the service of `answer`: when it names a node, its streams are due. The queue must
 * outlive the service. */
void parking_queue_init(struct parking_queue *queue, struct parking *parking, struct answer *answer,
                        enum service_role role);

/*
 * Hands the streams of a queue over to that of the same role and service under another configuration. They
 * wait no longer than if they had been parked there. What was seen of HAProxy's time limit goes with them.
 */
void parking_queue_move(struct parking_queue *from, struct parking_queue *to, int64_t now_ms);

/*
 * There is no such service any more. The streams of its queue are due at once, and the answer to them is
 * `last_word`, which names nobody. Both must stay until the streams are answered.
 */
void parking_queue_close(struct parking_queue *queue, struct span last_word);

/* Whether parking_park() would park a stream of this queue if it had room. */
static inline bool parking_may_park(const struct parking_queue *queue)
{
    return queue->parking != NULL && !service_is_open(queue->service, queue->role) &&
           service_decision(queue->service)->park_ms != 0;
}

/*
 * Parks a stream of `queue` that came on the connection `client`, for the client `asker`. False if it must be
 * answered at once: a node is named and open to new connections, the service does not park, or there is no
 * room.
 */
MUST_CHECK bool parking_park(struct parking_queue *queue, struct parking_client *client,
                             const struct client *asker, uint64_t stream_id, uint64_t frame_id,
                             int64_t now_ms);

/* Whether parking_check_sight() has something to do. Only to be called when `queue->sight_ms` has come. */
bool parking_may_check_sight(const struct parking *parking, int64_t now_ms);

/*
 * Checks whether the clients of a queue can be seen at all: looks at `asker`, the client that asks now, and
 * tells the service. To be called with a NOTIFY when `queue->sight_ms` has come; it is set to the next time.
 */
void parking_check_sight(struct parking_queue *queue, const struct client *asker, int64_t now_ms);

/* Looks at up to CLIENT_LOOK_MAX clients that are due for a look. True if more are due. */
bool parking_look(struct parking *parking, int64_t now_ms);

/* An answer that is to be sent now. */
struct parking_answer {
    uint64_t stream_id;
    uint64_t frame_id;
    struct span actions; /* valid until the next call with the service */
    bool is_named;
    bool is_gone;                      /* its client has gone */
    const struct parking_queue *queue; /* where it was parked; NULL: its service is gone */
    int64_t parked_ms;                 /* how long it was kept back */
};

/* Takes the next due stream of `client` out of the lists. Of one service, the oldest comes first. False if
 * no stream is due. */
MUST_CHECK bool parking_next(struct parking_client *client, int64_t now_ms,
                             struct parking_answer *ret_answer);

/* Makes all streams of `client` due at once, because the connection is to be closed in good order. */
void parking_hurry(struct parking_client *client);

/* Forgets all streams of `client`, because its HAProxy is gone. */
void parking_drop(struct parking_client *client, struct parking *parking, int64_t now_ms);

/* Takes the next client that was woken. NULL if there is none. */
struct parking_client *parking_take_woken(struct parking *parking);

/* When parking_tick() is due; INT64_MAX if nothing waits for a time. */
int64_t parking_wake_ms(const struct parking *parking);

/* Makes the streams due whose deadline has come, and calls the wake function if clients are to be looked
 * at. */
void parking_tick(struct parking *parking, int64_t now_ms);

/* How many streams are parked now. */
size_t parking_count(const struct parking *parking);

#endif
