#include "spoa/core/parking.h"

#include <stdlib.h>
#include <utlist.h>

struct parked_stream {
    uint64_t stream_id;
    uint64_t frame_id;
    int64_t t_parked_ms;
    int64_t deadline_ms;
    bool is_due;
    struct parking_queue *queue;
    struct parking_client *client;
    struct parked_stream *next_of_queue; /* of the free ones too */
    struct parked_stream *prev_of_queue;
    struct parked_stream *next_of_client;
    struct parked_stream *prev_of_client;
};

struct parking {
    parking_wake_fn wake;
    void *context;
    struct parking_queue *busy; /* the queues that have streams */
    struct parking_client *woken;
    int64_t wake_ms; /* no deadline is before; it may lie too early, which costs a look */
    size_t count;
    struct parked_stream *free;
    struct parked_stream streams[];
};

struct parking *parking_create(size_t max, parking_wake_fn wake, void *context)
{
    struct parking *parking = calloc(1, sizeof(*parking) + max * sizeof(struct parked_stream));

    if (parking == NULL)
        return NULL;
    parking->wake = wake;
    parking->context = context;
    parking->wake_ms = INT64_MAX;
    for (size_t i = 0; i < max; i++)
        LL_PREPEND2(parking->free, &parking->streams[i], next_of_queue);
    return parking;
}

void parking_destroy(struct parking *parking)
{
    free(parking);
}

size_t parking_count(const struct parking *parking)
{
    return parking->count;
}

static void make_due(struct parking *parking, struct parked_stream *stream)
{
    struct parking_client *client = stream->client;
    bool was_quiet = parking->woken == NULL;

    if (!stream->is_due) {
        DL_DELETE2(client->waiting, stream, prev_of_client, next_of_client);
        DL_APPEND2(client->due, stream, prev_of_client, next_of_client);
        stream->is_due = true;
    }
    if (client->is_woken)
        return;
    client->is_woken = true;
    DL_APPEND(parking->woken, client);
    if (was_quiet)
        parking->wake(parking->context);
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct parking_queue *queue = (struct parking_queue *)(void *)self;

    (void)change;
    if (!service_is_open(service, queue->role))
        return;
    for (struct parked_stream *stream = queue->streams; stream != NULL; stream = stream->next_of_queue)
        make_due(queue->parking, stream);
}

void parking_queue_init(struct parking_queue *queue, struct parking *parking, struct service *service,
                        enum service_role role, const uint8_t *identities)
{
    *queue = (struct parking_queue){
        .observer = {.changed = decision_changed},
        .service = service,
        .role = role,
        .identities = identities,
        .parking = parking,
    };
    if (parking != NULL)
        service_observe(service, &queue->observer);
}

bool parking_park(struct parking_queue *queue, struct parking_client *client, uint64_t stream_id,
                  uint64_t frame_id, int64_t now_ms)
{
    struct parking *parking = queue->parking;

    if (parking == NULL || parking->free == NULL || service_is_open(queue->service, queue->role))
        return false;
    int64_t park_ms = service_settings(queue->service)->park_ms;
    if (park_ms == 0)
        return false;
    struct parked_stream *stream = parking->free;
    LL_DELETE2(parking->free, stream, next_of_queue);
    *stream = (struct parked_stream){
        .stream_id = stream_id,
        .frame_id = frame_id,
        .t_parked_ms = now_ms,
        .deadline_ms = now_ms + park_ms,
        .queue = queue,
        .client = client,
    };
    if (queue->streams == NULL)
        DL_APPEND(parking->busy, queue);
    DL_APPEND2(queue->streams, stream, prev_of_queue, next_of_queue);
    DL_APPEND2(client->waiting, stream, prev_of_client, next_of_client);
    client->count++;
    parking->count++;
    if (stream->deadline_ms < parking->wake_ms)
        parking->wake_ms = stream->deadline_ms;
    return true;
}

void parking_queue_move(struct parking_queue *from, struct parking_queue *to)
{
    struct parked_stream *streams = from->streams;

    if (streams == NULL)
        return;
    if (to != NULL) {
        DL_DELETE(from->parking->busy, from);
        DL_APPEND(to->parking->busy, to);
        from->streams = NULL;
        to->streams = streams;
    }
    for (struct parked_stream *stream = streams; stream != NULL; stream = stream->next_of_queue) {
        if (to == NULL)
            stream->deadline_ms = INT64_MIN;
        else
            stream->queue = to;
        if (to == NULL || service_is_open(to->service, to->role))
            make_due(from->parking, stream);
    }
}

static void unpark(struct parked_stream *stream)
{
    struct parking_client *client = stream->client;
    struct parking_queue *queue = stream->queue;
    struct parking *parking = queue->parking;

    DL_DELETE2(queue->streams, stream, prev_of_queue, next_of_queue);
    if (stream->is_due)
        DL_DELETE2(client->due, stream, prev_of_client, next_of_client);
    else
        DL_DELETE2(client->waiting, stream, prev_of_client, next_of_client);
    client->count--;
    parking->count--;
    if (queue->streams == NULL)
        DL_DELETE(parking->busy, queue);
    LL_PREPEND2(parking->free, stream, next_of_queue);
}

bool parking_next(struct parking_client *client, int64_t now_ms, struct parking_answer *ret_answer)
{
    struct parked_stream *stream;

    while ((stream = client->due) != NULL) {
        struct parking_queue *queue = stream->queue;
        struct span actions = service_answer(queue->service, queue->role, queue->identities, now_ms);
        /* The name may be gone again since it was made due: it has time until its deadline. */
        if (!service_is_open(queue->service, queue->role) && now_ms < stream->deadline_ms) {
            DL_DELETE2(client->due, stream, prev_of_client, next_of_client);
            DL_APPEND2(client->waiting, stream, prev_of_client, next_of_client);
            stream->is_due = false;
            continue;
        }
        *ret_answer = (struct parking_answer){
            .stream_id = stream->stream_id,
            .frame_id = stream->frame_id,
            .actions = actions,
            .is_named = service_can_name(queue->service, queue->role),
            .queue = queue,
            .parked_ms = now_ms - stream->t_parked_ms,
        };
        unpark(stream);
        return true;
    }
    return false;
}

void parking_hurry(struct parking_client *client)
{
    while (client->waiting != NULL)
        make_due(client->waiting->queue->parking, client->waiting);
    for (struct parked_stream *stream = client->due; stream != NULL; stream = stream->next_of_client) {
        stream->deadline_ms = INT64_MIN;
        make_due(stream->queue->parking, stream); /* so that the client is woken where nothing waited */
    }
}

void parking_drop(struct parking_client *client, struct parking *parking)
{
    while (client->waiting != NULL)
        unpark(client->waiting);
    while (client->due != NULL)
        unpark(client->due);
    if (client->is_woken)
        DL_DELETE(parking->woken, client);
    client->is_woken = false;
}

struct parking_client *parking_take_woken(struct parking *parking)
{
    struct parking_client *client = parking->woken;

    if (client == NULL)
        return NULL;
    DL_DELETE(parking->woken, client);
    client->is_woken = false;
    return client;
}

int64_t parking_wake_ms(const struct parking *parking)
{
    return parking->wake_ms;
}

void parking_tick(struct parking *parking, int64_t now_ms)
{
    if (now_ms < parking->wake_ms)
        return;
    parking->wake_ms = INT64_MAX;
    for (struct parking_queue *queue = parking->busy; queue != NULL; queue = queue->next) {
        struct parked_stream *stream = queue->streams;
        for (; stream != NULL && stream->deadline_ms <= now_ms; stream = stream->next_of_queue)
            make_due(parking, stream);
        if (stream != NULL && stream->deadline_ms < parking->wake_ms)
            parking->wake_ms = stream->deadline_ms;
    }
}
