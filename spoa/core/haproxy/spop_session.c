#include "spoa/core/haproxy/spop_session.h"

#include "spoa/core/haproxy/actions.h"
#include "spoa/core/haproxy/question_cache.h"

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

/* `queue` is NULL if it is not known from before. */
INLINE void take_notify(struct spop_session *session, const struct spop_frame *frame,
                        struct parking_queue *queue, int64_t now_ms, struct sink *out)
{
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

/* A function of its own, so that the rest of spop_session_feed() needs few registers. */
__attribute__((noinline)) static size_t feed(struct spop_session *session, struct span in, int64_t now_ms,
                                             struct sink *out)
{
    size_t taken = 0;

    while (session->phase != SPOP_SESSION_CLOSED && sink_room(out) >= SPOP_SESSION_REPLY_MAX) {
        struct spop_frame frame;
        int size = spop_frame_parse(in.data + taken, in.len - taken, session->max_frame_size, &frame);
        if (size == 0)
            break;
        if (size < 0) {
            refuse(session, (enum spop_status) - size, out);
            break;
        }
        taken += (size_t)size;
        if (is_question(&frame) && session->phase == SPOP_SESSION_ACTIVE) {
            take_notify(session, &frame, service_table_recall(session->table, frame.payload), now_ms, out);
        } else {
            struct spop_frame copy = frame; /* then `frame` itself needs no memory */
            take_other(session, &copy, out);
        }
    }
    return taken;
}

/* What was sent to so many. */
INLINE void note_at_hand(const struct spop_session *session, struct answer *answer, uint64_t times,
                         int64_t now_ms)
{
    session->metrics->notifies_total += times;
    session->metrics->answers_named_total += times;
    answer_note_at_hand(answer, times, now_ms);
}

/* What a question for this queue gets if its answer is at hand, and its client need not be looked at; else NULL. */
INLINE const struct answer_words *words_at_hand(const struct parking_queue *queue, int64_t now_ms)
{
    bool is_simple = queue->role == SERVICE_ROLE_MASTER && now_ms < queue->sight_ms;

    return is_simple ? answer_at_hand(queue->answer, now_ms) : NULL;
}

/* ---- questions about several services by turns ---- */

/* The questions at the front of `in`. */
static size_t parse_questions(const struct spop_session *session, struct span in,
                              struct spop_frame frames[SERVICE_TABLE_AHEAD_MAX])
{
    size_t count = 0;
    int size;

    while (count < SERVICE_TABLE_AHEAD_MAX &&
           (size = spop_frame_parse(in.data, in.len, session->max_frame_size, &frames[count])) > 0 &&
           is_question(&frames[count])) {
        in = span_of(in.data + size, in.len - (size_t)size);
        count++;
    }
    return count;
}

INLINE void answer_one(struct spop_session *session, const struct spop_frame *frame,
                       struct parking_queue *queue, int64_t now_ms, struct sink *out)
{
    const struct answer_words *words = queue != NULL ? words_at_hand(queue, now_ms) : NULL;

    if (words == NULL) {
        take_notify(session, frame, queue, now_ms, out);
        return;
    }
    out->at = spop_ack_put(out->at, frame->stream_id, frame->frame_id, answer_actions(words));
    note_at_hand(session, queue->answer, 1, now_ms);
}

/* Questions are looked up for many of them at once. */
__attribute__((noinline)) static size_t feed_mixed(struct spop_session *session, struct span in,
                                                   int64_t now_ms, struct sink *out)
{
    struct spop_frame frames[SERVICE_TABLE_AHEAD_MAX];
    struct parking_queue *queues[SERVICE_TABLE_AHEAD_MAX]; /* NULL: not known from before */
    const uint8_t *at = in.data;
    size_t count;
    size_t next;

    do {
        struct span rest = span_of(at, in.len - (size_t)(at - in.data));
        count = session->phase == SPOP_SESSION_ACTIVE ? parse_questions(session, rest, frames) : 0;
        service_table_recall_all(session->table, frames, count, queues);
        for (next = 0; next < count && session->phase == SPOP_SESSION_ACTIVE &&
                       sink_room(out) >= SPOP_SESSION_REPLY_MAX;
             next++) {
            answer_one(session, &frames[next], queues[next], now_ms, out);
            at = frames[next].payload.data + frames[next].payload.len;
        }
    } while (count > 0 && next == count);
    size_t taken = (size_t)(at - in.data);
    return taken + feed(session, span_of(at, in.len - taken), now_ms, out);
}

/* ---- the usual case: all questions of a read are the one that came last ---- */

static bool has_one_frame(struct span in)
{
    return in.len < SPOP_LEN_BYTES || in.len - SPOP_LEN_BYTES <= spop_u32_read(in.data);
}

/* The same words for the questions at the front of `in`, as long as each is this one. Returns how many there were. */
INLINE uint64_t repeat(const struct spop_session *session, const struct question_slot *question,
                       struct span actions, struct span *in, struct sink *out)
{
    uint32_t max_frame_size = session->max_frame_size;
    struct span rest = *in;
    const uint8_t *end = out->end;
    uint8_t *at = out->at;
    uint64_t count = 0;
    struct spop_frame frame;
    int size;

    while ((size_t)(end - at) >= SPOP_SESSION_REPLY_MAX &&
           __builtin_expect((size = spop_frame_parse(rest.data, rest.len, max_frame_size, &frame)) > 0 &&
                                is_question(&frame) && question_is_same(question, frame.payload),
                            1)) {
        at = spop_ack_put(at, frame.stream_id, frame.frame_id, actions);
        rest = span_of(rest.data + size, rest.len - (size_t)size);
        count++;
    }
    *in = rest;
    out->at = at;
    return count;
}

/* Answers the questions at the front of `in` that are the one that came last, if its answer is at hand. Takes them off. */
INLINE void answer_latest(struct spop_session *session, int64_t now_ms, struct span *in, struct sink *out)
{
    const struct question_slot *question = service_table_latest(session->table);

    if (session->phase != SPOP_SESSION_ACTIVE || question == NULL || out->full)
        return;
    const struct answer_words *words = words_at_hand(question->queue, now_ms);
    if (words == NULL)
        return;
    uint64_t count = repeat(session, question, answer_actions(words), in, out);
    if (count > 0)
        note_at_hand(session, question->queue->answer, count, now_ms);
}

size_t spop_session_feed(struct spop_session *session, struct span in, int64_t now_ms, struct sink *out)
{
    struct span rest = in;

    if (!service_table_is_mixed(session->table))
        answer_latest(session, now_ms, &rest, out);
    else if (!has_one_frame(in))
        return feed_mixed(session, in, now_ms, out);
    return in.len - rest.len + (rest.len > 0 ? feed(session, rest, now_ms, out) : 0);
}
