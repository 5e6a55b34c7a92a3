#include "spoa/core/haproxy/spop_session.h"

#include "spoa/core/haproxy/actions.h"

_Static_assert(ACTIONS_MAX + SPOP_HEADER_MAX <= SPOP_FRAME_SIZE_MIN,
               "an ACK must fit the smallest frame size");
_Static_assert(SPOP_FRAME_SIZE_MIN + SPOP_LEN_BYTES <= SPOP_SESSION_REPLY_MAX, "a reply needs that room");

void spop_session_init(struct spop_session *session, struct service_table *table, struct metrics *metrics,
                       const bool *draining)
{
    *session = (struct spop_session){
        .phase = SPOP_SESSION_HELLO,
        .max_frame_size = SPOP_SESSION_FRAME_MAX,
        .status = SPOP_STATUS_NORMAL,
        .table = table,
        .metrics = metrics,
        .draining = draining,
    };
}

bool spop_session_resume(struct spop_session *session, uint32_t max_frame_size)
{
    if (max_frame_size < SPOP_FRAME_SIZE_MIN || max_frame_size > SPOP_SESSION_FRAME_MAX)
        return false;
    session->phase = SPOP_SESSION_ACTIVE;
    session->max_frame_size = max_frame_size;
    return true;
}

static void disconnect(struct spop_session *session, enum spop_status status, const char *message,
                       struct sink *out)
{
    spop_agent_disconnect_write(out, status, message);
    session->phase = SPOP_SESSION_CLOSED;
    session->status = status;
}

void spop_session_close(struct spop_session *session, enum spop_status status, struct sink *out)
{
    if (session->phase != SPOP_SESSION_CLOSED)
        disconnect(session, status, spop_status_text(status), out);
}

static void refuse(struct spop_session *session, enum spop_status status, struct sink *out)
{
    session->metrics->protocol_errors_total++;
    disconnect(session, status, spop_status_text(status), out);
}

/* A refused check marks the agent's server DOWN in HAProxy. So no client waits for an agent that cannot
 * answer yet, or that will soon stop. */
static bool may_pass_check(const struct spop_session *session)
{
    return !*session->draining && service_table_is_ready(session->table);
}

static void take_hello(struct spop_session *session, const struct spop_frame *frame, struct sink *out)
{
    struct spop_hello hello;

    if (frame->stream_id != 0 || frame->frame_id != 0) {
        refuse(session, SPOP_STATUS_INVALID, out);
        return;
    }
    enum spop_status status = spop_hello_decode(frame->payload, &hello);
    if (status != SPOP_STATUS_NORMAL) {
        refuse(session, status, out);
        return;
    }
    if (hello.healthcheck && !may_pass_check(session)) {
        disconnect(session, SPOP_STATUS_RESOURCE, "not ready", out);
        return;
    }
    if (!hello.healthcheck && session->is_guest) {
        session->is_refused = true;
        disconnect(session, SPOP_STATUS_RESOURCE, "too many connections", out);
        return;
    }
    if (hello.max_frame_size < session->max_frame_size)
        session->max_frame_size = hello.max_frame_size;
    session->metrics->healthchecks_total += hello.healthcheck;
    session->phase = hello.healthcheck ? SPOP_SESSION_CHECKED : SPOP_SESSION_ACTIVE;
    spop_agent_hello_write(out, session->max_frame_size, true);
}

/* Inline, because every question comes through here. */
#define INLINE static inline __attribute__((always_inline))
/* What few questions need is in functions of their own, so that the rest needs few registers. */
#define RARE __attribute__((cold, noinline)) static

/* Counts an ACK that was written. `queue` is NULL if it was about no service. */
INLINE void note_answer(const struct spop_session *session, const struct parking_queue *queue, bool is_named,
                        int64_t now_ms)
{
    struct metrics *metrics = session->metrics;

    metrics->notifies_total++;
    if (is_named)
        metrics->answers_named_total++;
    else
        metrics->answers_unnamed_total++;
    if (queue != NULL)
        answer_note(queue->answer, queue->role, is_named, now_ms);
}

static bool is_whole(const struct spop_frame *frame)
{
    return (frame->flags & SPOP_FLAG_FIN) != 0;
}

static bool is_question(const struct spop_frame *frame)
{
    return frame->type == SPOP_NOTIFY && is_whole(frame);
}

/* Questions that were looked up ahead: those that come next. */
struct ahead {
    size_t next;
    size_t count;
    struct parking_queue *queues[SERVICE_TABLE_AHEAD_MAX]; /* NULL: not known from before */
};

__attribute__((noinline)) static void look_ahead(const struct spop_session *session, struct span in,
                                                 struct ahead *ahead)
{
    struct span payloads[SERVICE_TABLE_AHEAD_MAX];
    struct spop_frame frame;
    size_t count = 0;
    int size;

    while (count < SERVICE_TABLE_AHEAD_MAX &&
           (size = spop_frame_parse(in.data, in.len, session->max_frame_size, &frame)) > 0 &&
           is_question(&frame)) {
        payloads[count++] = frame.payload;
        in = span_of(in.data + size, in.len - (size_t)size);
    }
    service_table_recall_all(session->table, payloads, count, ahead->queues);
    ahead->count = count;
    ahead->next = 0;
}

/* The queue for a question that was not met before, or is not kept. NULL: it is answered, or the session is
 * closed. */
RARE struct parking_queue *meet(struct spop_session *session, struct span payload, uint64_t stream_id,
                                uint64_t frame_id, int64_t now_ms, struct sink *out)
{
    struct service_table *table = session->table;
    struct parking_queue *queue = NULL;

    if (!service_table_resolve(table, payload, &queue)) {
        refuse(session, SPOP_STATUS_INVALID, out);
    } else if (queue == NULL) {
        service_table_note_unknown(table, payload, now_ms);
        spop_ack_write(out, stream_id, frame_id, answer_actions(service_table_answer(table, NULL, now_ms)));
        note_answer(session, NULL, false, now_ms);
    }
    return queue;
}

RARE void check_sight(const struct spop_session *session, struct parking_queue *queue, struct span payload,
                      int64_t now_ms)
{
    if (!parking_may_check_sight(service_table_parking(session->table), now_ms))
        return;
    struct client asker = question_client(payload);
    parking_check_sight(queue, &asker, now_ms);
}

RARE bool park(struct spop_session *session, struct parking_queue *queue, struct span payload,
               uint64_t stream_id, uint64_t frame_id, int64_t now_ms)
{
    if (*session->draining || !parking_may_park(queue))
        return false;
    struct client asker = question_client(payload);
    bool is_parked = parking_park(queue, &session->parked, &asker, stream_id, frame_id, now_ms);
    session->metrics->parked_total += is_parked;
    return is_parked;
}

INLINE void take_notify(struct spop_session *session, const struct spop_frame *frame, struct ahead *ahead,
                        int64_t now_ms, struct sink *out)
{
    struct parking_queue *queue =
        ahead != NULL ? ahead->queues[ahead->next++] : service_table_recall(session->table, frame->payload);

    if (queue == NULL)
        queue = meet(session, frame->payload, frame->stream_id, frame->frame_id, now_ms, out);
    if (queue == NULL)
        return;
    if (now_ms >= queue->sight_ms)
        check_sight(session, queue, frame->payload, now_ms);
    const struct answer_words *words = answer_give(queue->answer, queue->role, now_ms);
    if (!words->is_open && park(session, queue, frame->payload, frame->stream_id, frame->frame_id, now_ms))
        return;
    spop_ack_write(out, frame->stream_id, frame->frame_id, answer_actions(words));
    note_answer(session, queue, words->is_named, now_ms);
}

void spop_session_release(struct spop_session *session, int64_t now_ms, struct sink *out)
{
    struct parking_answer answer;

    while (session->phase == SPOP_SESSION_ACTIVE && sink_room(out) >= SPOP_SESSION_REPLY_MAX &&
           parking_next(&session->parked, now_ms, &answer)) {
        spop_ack_write(out, answer.stream_id, answer.frame_id, answer.actions);
        session->metrics->clients_gone_total += answer.is_gone;
        /* A client that has gone was not told any state of the service. */
        note_answer(session, answer.is_gone ? NULL : answer.queue, answer.is_named, now_ms);
        histogram_add(&session->metrics->parked_times, metrics_parked_bounds_us,
                      (uint64_t)answer.parked_ms * 1000, 1);
    }
}

void spop_session_finish(struct spop_session *session, int64_t now_ms)
{
    struct parking *parking = service_table_parking(session->table);

    if (parking != NULL)
        parking_drop(&session->parked, parking, now_ms);
}

RARE void take_other(struct spop_session *session, const struct spop_frame *frame, struct sink *out)
{
    if (frame->type == SPOP_UNSET || !is_whole(frame)) {
        refuse(session, SPOP_STATUS_NO_FRAGMENTATION, out);
    } else if (frame->type == SPOP_HAPROXY_DISCONNECT) {
        disconnect(session, SPOP_STATUS_NORMAL, "bye", out);
    } else if (session->phase == SPOP_SESSION_HELLO) {
        if (frame->type == SPOP_HAPROXY_HELLO)
            take_hello(session, frame, out);
        else
            refuse(session, SPOP_STATUS_INVALID, out);
    } else if (frame->type <= SPOP_NOTIFY || (frame->type >= SPOP_AGENT_HELLO && frame->type <= SPOP_ACK)) {
        refuse(session, SPOP_STATUS_INVALID, out); /* known, but not allowed here or not from HAProxy */
    }
    /* The specification does not know the other types: they may be skipped. */
}

/* `ahead` is empty; NULL: questions are looked up one by one. */
INLINE size_t feed(struct spop_session *session, struct span in, struct ahead *ahead, int64_t now_ms,
                   struct sink *out)
{
    size_t taken = 0;

    while (session->phase != SPOP_SESSION_CLOSED && sink_room(out) >= SPOP_SESSION_REPLY_MAX) {
        struct span rest = span_of(in.data + taken, in.len - taken);
        struct spop_frame frame;
        if (ahead != NULL && ahead->next == ahead->count && session->phase == SPOP_SESSION_ACTIVE)
            look_ahead(session, rest, ahead);
        int size = spop_frame_parse(rest.data, rest.len, session->max_frame_size, &frame);
        if (size == 0)
            break;
        if (size < 0) {
            refuse(session, (enum spop_status) - size, out);
            break;
        }
        taken += (size_t)size;
        if (is_question(&frame) && session->phase == SPOP_SESSION_ACTIVE) {
            take_notify(session, &frame, ahead, now_ms, out);
        } else {
            struct spop_frame copy = frame; /* then `frame` itself needs no memory */
            take_other(session, &copy, out);
        }
    }
    return taken;
}

/* A function of its own, so that the rest of spop_session_feed() is small enough to be inlined. */
__attribute__((noinline)) static size_t feed_mixed(struct spop_session *session, struct span in,
                                                   int64_t now_ms, struct sink *out)
{
    struct ahead ahead;

    ahead.next = ahead.count = 0;
    return feed(session, in, &ahead, now_ms, out);
}

static bool has_one_frame(struct span in)
{
    return in.len < SPOP_LEN_BYTES || in.len - SPOP_LEN_BYTES <= spop_u32_read(in.data);
}

size_t spop_session_feed(struct spop_session *session, struct span in, int64_t now_ms, struct sink *out)
{
    return service_table_is_mixed(session->table) && !has_one_frame(in)
               ? feed_mixed(session, in, now_ms, out)
               : feed(session, in, NULL, now_ms, out);
}
