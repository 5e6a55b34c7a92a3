#include "spoa/core/haproxy/parking.h"

#include <stdlib.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/haproxy/answer.h"
/* How soon to check again whether clients can be seen: soon while that is not clear, later once it is. */
#define SIGHT_DOUBT_MS 100
#define SIGHT_UNSEEN_MS 1000
#define SIGHT_SEEN_MS 10000
/* After so many misses in a row it is clear that clients cannot be seen. A single client may just have left. */
#define MISSES_MAX 10

/* Why a stream's client is to be looked at. */
enum look {
    LOOK_NEVER,
    LOOK_FIRST,   /* to find out whether it can be seen */
    LOOK_WATCH,   /* every PARKING_LOOK_MS; the list is in the order of the last looks */
    LOOK_RELEASE, /* before the stream is answered */
    LOOKS,
};

struct parked_stream {
    uint64_t stream_id;
    uint64_t frame_id;
    int64_t t_parked_ms;
    int64_t deadline_ms;
    int64_t t_looked_ms;
    struct client asker; /* looked at if its kind is CLIENT_TCP */
    enum look look;
    bool is_due;
    bool is_seen; /* the asker was there at the last look */
    bool is_gone;
    struct parking_queue *queue;
    struct parking_client *client;
    struct parked_stream *next_of_queue; /* also links the free streams */
    struct parked_stream *prev_of_queue;
    struct parked_stream *next_of_client;
    struct parked_stream *prev_of_client;
    struct parked_stream *next_of_look;
    struct parked_stream *prev_of_look;
};

struct parking {
    parking_wake_fn wake;
    void *context;
    struct parking_queue *busy; /* the queues that have streams */
    struct parking_client *woken;
    int64_t wake_ms; /* no deadline is earlier; it may be too early, which only costs a look */
    size_t count;
    size_t max;
    client_look_fn *look; /* NULL: clients are not looked at */
    void *look_context;
    int64_t t_sight_ms; /* of the last parking_check_sight() */
    struct parked_stream *looks[LOOKS];
    size_t gone_len;
    uint8_t gone[ACTIONS_MAX];      /* the actions for a client that has gone */
    struct parked_stream *free;     /* of those that were used before */
    struct parked_stream streams[]; /* those that were never used have no memory yet */
};

struct parking *parking_create(size_t max, parking_wake_fn wake, void *context)
{
    struct parking *parking = calloc(1, sizeof(*parking) + max * sizeof(struct parked_stream));

    if (parking == NULL)
        return NULL;
    parking->wake = wake;
    parking->context = context;
    parking->wake_ms = INT64_MAX;
    parking->gone_len = actions_encode(&(struct actions){.state = "client-gone"}, parking->gone);
    parking->max = max;
    return parking;
}

void parking_look_with(struct parking *parking, client_look_fn *look, void *context)
{
    parking->look = look;
    parking->look_context = context;
}

void parking_destroy(struct parking *parking)
{
    free(parking);
}

size_t parking_count(const struct parking *parking)
{
    return parking->count;
}

/* Tells the service how many clients wait, after the streams of the queue have changed. */
static void tell_waiting(const struct parking_queue *queue)
{
    const struct service_waiting waiting = {
        .count = queue->count,
        .oldest_ms = queue->streams != NULL ? queue->streams->t_parked_ms : 0,
    };

    service_note_waiting(queue->service, queue->role, &waiting);
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

static bool is_refusing_gone(const struct service *service)
{
    const struct service_settings *settings = service_settings(service);

    return settings->park_ms != 0 && settings->refuses_gone;
}

static void set_look(struct parked_stream *stream, enum look look)
{
    struct parking *parking = stream->queue->parking;

    if (stream->look != LOOK_NEVER)
        DL_DELETE2(parking->looks[stream->look], stream, prev_of_look, next_of_look);
    stream->look = look;
    if (look == LOOK_NEVER)
        return;
    bool was_empty = parking->looks[look] == NULL;
    DL_APPEND2(parking->looks[look], stream, prev_of_look, next_of_look);
    if (was_empty && look != LOOK_WATCH)
        parking->wake(parking->context);
}

static bool can_be_seen(const struct parked_stream *stream)
{
    return stream->asker.kind == CLIENT_TCP && !stream->is_gone;
}

/* The stream is to be answered, after a look at its client if that is possible. */
static void make_ready(struct parking *parking, struct parked_stream *stream)
{
    if (stream->is_due || !can_be_seen(stream))
        make_due(parking, stream);
    else if (stream->look != LOOK_RELEASE)
        set_look(stream, LOOK_RELEASE);
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct parking_queue *queue = container_of(self, struct parking_queue, observer);

    (void)change;
    if (!service_is_open(service, queue->role))
        return;
    for (struct parked_stream *stream = queue->streams; stream != NULL; stream = stream->next_of_queue)
        make_ready(queue->parking, stream);
}

void parking_queue_init(struct parking_queue *queue, struct parking *parking, struct answer *answer,
                        enum service_role role)
{
    struct service *service = answer->service;

    *queue = (struct parking_queue){
        .observer = {.changed = decision_changed},
        .service = service,
        .role = role,
        .answer = answer,
        .parking = parking,
        .sight_ms = parking != NULL && is_refusing_gone(service) ? INT64_MIN : INT64_MAX,
    };
    if (parking != NULL)
        service_observe(service, &queue->observer);
}

/* ---- whether clients can be seen ---- */

static enum service_sight judge_sight(const struct parking_queue *queue, const struct client *asker,
                                      enum client_state state)
{
    if (asker->kind != CLIENT_TCP)
        return SERVICE_SIGHT_NOT_GIVEN;
    if (queue->parking->look == NULL || state == CLIENT_STATE_UNKNOWN)
        return SERVICE_SIGHT_IMPOSSIBLE;
    return state == CLIENT_STATE_ABSENT ? SERVICE_SIGHT_ABSENT : SERVICE_SIGHT_SEEN;
}

static void note_sight(struct parking_queue *queue, enum service_sight sight, int64_t now_ms)
{
    if (sight != queue->sight)
        service_note_sight(queue->service, queue->role, sight, now_ms);
    queue->sight = sight;
}

bool parking_may_check_sight(const struct parking *parking, int64_t now_ms)
{
    /* One look is enough for all questions of one read, however many services they are about. */
    return parking->t_sight_ms != now_ms;
}

void parking_check_sight(struct parking_queue *queue, const struct client *asker, int64_t now_ms)
{
    struct parking *parking = queue->parking;
    enum client_state state = CLIENT_STATE_UNKNOWN;

    if (!parking_may_check_sight(parking, now_ms))
        return;
    parking->t_sight_ms = now_ms;
    queue->sight_ms = now_ms + SIGHT_SEEN_MS;
    if (asker->kind == CLIENT_LOCAL) {
        if (queue->sight == SERVICE_SIGHT_NOT_GIVEN) /* now they are given */
            note_sight(queue, SERVICE_SIGHT_UNKNOWN, now_ms);
        return;
    }
    if (asker->kind == CLIENT_TCP && parking->look != NULL)
        parking->look(parking->look_context, &asker, 1, &state);
    enum service_sight sight = judge_sight(queue, asker, state);
    if (sight == SERVICE_SIGHT_SEEN) {
        queue->misses = 0;
    } else if (++queue->misses < MISSES_MAX) {
        queue->sight_ms = now_ms + SIGHT_DOUBT_MS;
        return;
    } else {
        queue->sight_ms = now_ms + SIGHT_UNSEEN_MS;
    }
    note_sight(queue, sight, now_ms);
}

/* ---- looks ---- */

static bool is_watch_due(const struct parked_stream *stream, int64_t now_ms)
{
    return now_ms - stream->t_looked_ms >= PARKING_LOOK_MS;
}

static size_t choose(const struct parking *parking, int64_t now_ms,
                     struct parked_stream *chosen[CLIENT_LOOK_MAX])
{
    static const enum look order[] = {LOOK_RELEASE, LOOK_FIRST, LOOK_WATCH};
    size_t count = 0;

    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
        for (struct parked_stream *stream = parking->looks[order[i]];
             stream != NULL && count < CLIENT_LOOK_MAX; stream = stream->next_of_look) {
            if (order[i] == LOOK_WATCH && !is_watch_due(stream, now_ms))
                break;
            chosen[count++] = stream;
        }
    return count;
}

static bool is_alike(int64_t a_ms, int64_t b_ms)
{
    return a_ms - b_ms < PARKING_ALIKE_MS && b_ms - a_ms < PARKING_ALIKE_MS;
}

/* HAProxy has closed the client's connection, although we have not answered: for the client that is a refusal. */
static void note_given_up(const struct parked_stream *stream, int64_t now_ms)
{
    struct parking_queue *queue = stream->queue;
    struct parking_given_up *last = &queue->given_up;
    int64_t age_ms = now_ms - stream->t_parked_ms;
    bool is_proof = last->is_any && is_alike(age_ms, last->age_ms);

    if (queue->role == SERVICE_ROLE_MASTER)
        service_note_refusal(queue->service);
    if (last->is_told && !is_proof)
        return;
    last->t_seen_ms = now_ms;
    if (last->is_any && stream->t_parked_ms - last->t_parked_ms < PARKING_APART_MS)
        return;
    last->is_any = true;
    last->is_told = is_proof;
    last->t_parked_ms = stream->t_parked_ms;
    last->age_ms = is_proof && last->age_ms < age_ms ? last->age_ms : age_ms;
    if (is_proof)
        service_note_given_up(queue->service, queue->role, last->age_ms, now_ms);
}

static void forget_given_up(struct parking_queue *queue, int64_t now_ms)
{
    queue->given_up = (struct parking_given_up){.is_any = false};
    service_note_given_up(queue->service, queue->role, SERVICE_NOT_GIVEN_UP, now_ms);
}

/* HAProxy still waits for the stream. It may have no such limit any more. */
static void note_patience(const struct parked_stream *stream, int64_t now_ms)
{
    const struct parking_given_up *last = &stream->queue->given_up;

    if (last->is_told && now_ms - stream->t_parked_ms >= last->age_ms + PARKING_ALIKE_MS &&
        stream->t_parked_ms > last->t_seen_ms && now_ms - last->t_seen_ms >= PARKING_GIVEN_UP_HOLD_MS)
        forget_given_up(stream->queue, now_ms);
}

/* Takes the result of a look. A client that was never seen is served as if clients were not looked at: its
 * connection must be elsewhere. */
static void take_look(struct parking *parking, struct parked_stream *stream, enum client_state state,
                      int64_t now_ms)
{
    bool is_released = stream->look == LOOK_RELEASE;

    stream->t_looked_ms = now_ms;
    if (state == CLIENT_STATE_GIVEN_UP)
        note_given_up(stream, now_ms);
    if (state == CLIENT_STATE_GONE || state == CLIENT_STATE_GIVEN_UP ||
        (state == CLIENT_STATE_ABSENT && stream->is_seen))
        stream->is_gone = true;
    else if (state == CLIENT_STATE_ABSENT)
        stream->asker.kind = CLIENT_NOT_GIVEN; /* treated as if no addresses were sent */
    else if (state == CLIENT_STATE_THERE)
        stream->is_seen = true;
    if (state == CLIENT_STATE_THERE)
        note_patience(stream, now_ms);
    set_look(stream, can_be_seen(stream) && !is_released ? LOOK_WATCH : LOOK_NEVER);
    if (is_released || stream->is_gone)
        make_due(parking, stream);
}

static bool has_looks(const struct parking *parking, int64_t now_ms)
{
    const struct parked_stream *watched = parking->looks[LOOK_WATCH];

    return parking->looks[LOOK_RELEASE] != NULL || parking->looks[LOOK_FIRST] != NULL ||
           (watched != NULL && is_watch_due(watched, now_ms));
}

bool parking_look(struct parking *parking, int64_t now_ms)
{
    struct parked_stream *chosen[CLIENT_LOOK_MAX];
    const struct client *clients[CLIENT_LOOK_MAX];
    enum client_state states[CLIENT_LOOK_MAX];
    size_t count = choose(parking, now_ms, chosen);

    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        clients[i] = &chosen[i]->asker;
    parking->look(parking->look_context, clients, count, states);
    for (size_t i = 0; i < count; i++)
        take_look(parking, chosen[i], states[i], now_ms);
    return has_looks(parking, now_ms);
}

/* ---- parking ---- */

/* Streams stand in the order of their deadlines. So if `park` has become shorter, it is shorter after the last one. */
static int64_t next_deadline(const struct parking_queue *queue, int64_t deadline_ms)
{
    const struct parked_stream *last = queue->streams != NULL ? queue->streams->prev_of_queue : NULL;

    return last != NULL && last->deadline_ms > deadline_ms ? last->deadline_ms : deadline_ms;
}

bool parking_park(struct parking_queue *queue, struct parking_client *client, const struct client *asker,
                  uint64_t stream_id, uint64_t frame_id, int64_t now_ms)
{
    struct parking *parking = queue->parking;

    if (!parking_may_park(queue) || parking->count == parking->max)
        return false;
    int64_t park_ms = service_decision(queue->service)->park_ms;
    /* With none on the list, those that were used before are all in use. */
    struct parked_stream *stream = parking->free != NULL ? parking->free : &parking->streams[parking->count];
    if (parking->free != NULL)
        LL_DELETE2(parking->free, stream, next_of_queue);
    *stream = (struct parked_stream){
        .stream_id = stream_id,
        .frame_id = frame_id,
        .t_parked_ms = now_ms,
        .deadline_ms = next_deadline(queue, now_ms + park_ms),
        .asker = *asker,
        .queue = queue,
        .client = client,
    };
    if (parking->look == NULL || !is_refusing_gone(queue->service))
        stream->asker.kind = CLIENT_NOT_GIVEN;
    if (can_be_seen(stream))
        set_look(stream, LOOK_FIRST);
    if (queue->streams == NULL)
        DL_APPEND(parking->busy, queue);
    DL_APPEND2(queue->streams, stream, prev_of_queue, next_of_queue);
    DL_APPEND2(client->waiting, stream, prev_of_client, next_of_client);
    client->count++;
    queue->count++;
    parking->count++;
    tell_waiting(queue);
    if (stream->deadline_ms < parking->wake_ms)
        parking->wake_ms = stream->deadline_ms;
    return true;
}

/* Deadlines are only cut, so the streams stay in their order, and in front of all that `to` parks later. */
static void move_stream(struct parked_stream *stream, struct parking_queue *to)
{
    int64_t deadline_ms = stream->t_parked_ms + service_decision(to->service)->park_ms;

    stream->queue = to;
    if (deadline_ms >= stream->deadline_ms)
        return;
    stream->deadline_ms = deadline_ms;
    if (deadline_ms >= to->parking->wake_ms)
        return;
    to->parking->wake_ms = deadline_ms;
    to->parking->wake(to->parking->context); /* the timer is set to a later time */
}

/* It stays true, unless nobody waits for so long any more, or nobody looks. */
static void move_given_up(const struct parking_queue *from, struct parking_queue *to, int64_t now_ms)
{
    to->given_up = from->given_up;
    if (to->given_up.is_told &&
        (!is_refusing_gone(to->service) || service_decision(to->service)->park_ms < to->given_up.age_ms))
        forget_given_up(to, now_ms);
}

void parking_queue_move(struct parking_queue *from, struct parking_queue *to, int64_t now_ms)
{
    struct parked_stream *streams = from->streams;

    move_given_up(from, to, now_ms);
    if (streams == NULL)
        return;
    DL_DELETE(from->parking->busy, from);
    DL_APPEND(to->parking->busy, to);
    to->streams = streams;
    to->count = from->count;
    from->streams = NULL;
    from->count = 0;
    tell_waiting(to);
    for (struct parked_stream *stream = streams; stream != NULL; stream = stream->next_of_queue) {
        move_stream(stream, to);
        if (service_is_open(to->service, to->role))
            make_ready(from->parking, stream);
    }
}

void parking_queue_close(struct parking_queue *queue, struct span last_word)
{
    queue->last_word = last_word;
    for (struct parked_stream *stream = queue->streams; stream != NULL; stream = stream->next_of_queue)
        make_due(queue->parking, stream);
}

/* The one place where a stream leaves. */
static void unpark(struct parked_stream *stream, int64_t now_ms)
{
    struct parking_client *client = stream->client;
    struct parking_queue *queue = stream->queue;
    struct parking *parking = queue->parking;

    service_note_wait(queue->service, queue->role, now_ms - stream->t_parked_ms);
    set_look(stream, LOOK_NEVER);
    DL_DELETE2(queue->streams, stream, prev_of_queue, next_of_queue);
    if (stream->is_due)
        DL_DELETE2(client->due, stream, prev_of_client, next_of_client);
    else
        DL_DELETE2(client->waiting, stream, prev_of_client, next_of_client);
    client->count--;
    queue->count--;
    parking->count--;
    tell_waiting(queue);
    if (queue->streams == NULL)
        DL_DELETE(parking->busy, queue);
    LL_PREPEND2(parking->free, stream, next_of_queue);
}

/* The first due stream goes on waiting if the name is gone before its deadline, or if the last look is too old. */
static bool goes_on_waiting(struct parking_client *client, int64_t now_ms)
{
    struct parked_stream *stream = client->due;
    bool is_open = service_is_open(stream->queue->service, stream->queue->role);
    bool is_over = is_open || now_ms >= stream->deadline_ms;
    /* HAProxy may not have read our answers for a while. */
    bool is_stale = can_be_seen(stream) && now_ms - stream->t_looked_ms > PARKING_STALE_MS;

    if (is_over && !is_stale)
        return false;
    DL_DELETE2(client->due, stream, prev_of_client, next_of_client);
    DL_APPEND2(client->waiting, stream, prev_of_client, next_of_client);
    stream->is_due = false;
    if (can_be_seen(stream)) {
        /* the list of LOOK_WATCH is in this order */
        stream->t_looked_ms = is_over ? stream->t_looked_ms : now_ms;
        set_look(stream, is_over ? LOOK_RELEASE : LOOK_WATCH);
    }
    return true;
}

/* The answer to a stream that must not be given a name; empty if it may. */
static struct span refusal(const struct parked_stream *stream)
{
    const struct parking *parking = stream->queue->parking;

    return stream->is_gone ? span_of(parking->gone, parking->gone_len) : stream->queue->last_word;
}

bool parking_next(struct parking_client *client, int64_t now_ms, struct parking_answer *ret_answer)
{
    struct parked_stream *stream;

    while ((stream = client->due) != NULL) {
        struct parking_queue *queue = stream->queue;
        struct span actions = refusal(stream);
        bool is_named = false;
        if (actions.len == 0) {
            const struct answer_words *words = answer_give(queue->answer, queue->role, now_ms);
            if (goes_on_waiting(client, now_ms))
                continue;
            actions = answer_actions(words);
            is_named = words->is_named;
        }
        *ret_answer = (struct parking_answer){
            .stream_id = stream->stream_id,
            .frame_id = stream->frame_id,
            .actions = actions,
            .is_named = is_named,
            .is_gone = stream->is_gone,
            .queue = queue->last_word.len > 0 ? NULL : queue,
            .parked_ms = now_ms - stream->t_parked_ms,
        };
        unpark(stream, now_ms);
        return true;
    }
    return false;
}

void parking_hurry(struct parking_client *client)
{
    for (struct parked_stream *stream = client->waiting, *next = NULL; stream != NULL; stream = next) {
        next = stream->next_of_client;
        stream->deadline_ms = INT64_MIN;
        make_ready(stream->queue->parking, stream);
    }
    for (struct parked_stream *stream = client->due; stream != NULL; stream = stream->next_of_client) {
        stream->deadline_ms = INT64_MIN;
        make_due(stream->queue->parking, stream); /* wakes the client even if nothing was waiting */
    }
}

void parking_drop(struct parking_client *client, struct parking *parking, int64_t now_ms)
{
    while (client->waiting != NULL)
        unpark(client->waiting, now_ms);
    while (client->due != NULL)
        unpark(client->due, now_ms);
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
    const struct parked_stream *watched = parking->looks[LOOK_WATCH];
    int64_t look_ms = watched != NULL ? watched->t_looked_ms + PARKING_LOOK_MS : INT64_MAX;

    return look_ms < parking->wake_ms ? look_ms : parking->wake_ms;
}

static void end_waits(struct parking *parking, int64_t now_ms)
{
    parking->wake_ms = INT64_MAX;
    for (struct parking_queue *queue = parking->busy; queue != NULL; queue = queue->next) {
        struct parked_stream *stream = queue->streams;
        for (; stream != NULL && stream->deadline_ms <= now_ms; stream = stream->next_of_queue)
            make_ready(parking, stream);
        if (stream != NULL && stream->deadline_ms < parking->wake_ms)
            parking->wake_ms = stream->deadline_ms;
    }
}

void parking_tick(struct parking *parking, int64_t now_ms)
{
    if (now_ms >= parking->wake_ms)
        end_waits(parking, now_ms);
    if (has_looks(parking, now_ms))
        parking->wake(parking->context);
}
