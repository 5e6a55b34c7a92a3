#include "spoa/io/serve/spop_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/histogram.h"
#include "spoa/core/base/log.h"
#include "spoa/core/haproxy/spop_session.h"
#include "spoa/io/net/buffer.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/socket_addr.h"
#include "spoa/io/net/stream.h"
#include "spoa/io/serve/spop_connection_struct.h"
#include "spoa/io/serve/spop_context.h"
#include "spoa/io/serve/spop_kept.h"

/* How much of our answers the kernel may hold. Without a limit it holds megabytes for a peer that does not
 * read. */
#define SEND_BUFFER (128 * 1024)

/*
 * A peer must send HELLO within this time, s; a TLS handshake counts towards it. After a health check it must
 * also close within this time.
 */
#define HELLO_TIMEOUT_S 10.0
/* Where all places are taken, a connection without HELLO loses its place to a new one after this time, ms. */
#define SILENCE_MAX_MS 1000
/* A guest has this time for all that it wants, s. */
#define GUEST_TIMEOUT_S 2.0
/* How long we wait for the peer to close after AGENT-DISCONNECT, s, so that it can read the frame. */
#define LINGER_S 2.0
/* If a peer takes no waiting output for this time, s, its connection is closed. */
#define WRITE_TIMEOUT_S 30.0
/* A frame must be complete within this time, s, after its first byte. */
#define FRAME_TIMEOUT_S 10.0

/* Finds a host that vanished: probes it after this time without traffic, s, then at this interval. */
#define KEEP_IDLE_S 60
#define KEEP_INTERVAL_S 10

/* Inline, because every read comes through here. */
#define INLINE static inline __attribute__((always_inline))

struct spop_connection *spop_connection_next(const struct spop_connection *connection)
{
    return connection->next;
}

/* It is like any other from now on, or about to be closed. */
static void end_guest(struct spop_connection *connection)
{
    if (!connection->session.is_guest)
        return;
    connection->session.is_guest = false;
    spop_context_remove_guest(connection->context, connection);
}

void spop_connection_close(struct spop_connection *connection)
{
    struct spop_context *context = connection->context;

    end_guest(connection);
    ev_io_stop(context->loop, &connection->readable);
    ev_io_stop(context->loop, &connection->writable);
    ev_timer_stop(context->loop, &connection->deadline);
    stream_close(&connection->stream);
    if (context->visited_next == connection)
        context->visited_next = connection->next;
    DL_DELETE(context->connections, connection);
    spop_session_finish(&connection->session, clock_ms());
    spop_kept_finish(connection);
    free(connection);
    context->connection_count--;
    context->metrics->connections_closed_total++;
    context->gone(context);
}

static void set_deadline(struct spop_connection *connection, double wait_s)
{
    struct ev_loop *loop = connection->context->loop;

    connection->watch_until = 0.0;
    ev_timer_stop(loop, &connection->deadline);
    ev_now_update(loop);
    ev_timer_set(&connection->deadline, wait_s, 0.0);
    ev_timer_start(loop, &connection->deadline);
}

static void linger(struct spop_connection *connection)
{
    if (connection->session.is_refused)
        spop_context_note_refused(connection->context);
    else if (connection->session.status != SPOP_STATUS_NORMAL)
        log_event(EVENT_SPOP_ERROR, log_text("error", spop_status_text(connection->session.status)),
                  log_number("status", connection->session.status));
    connection->lingering = true;
    stream_end(&connection->stream);
    set_deadline(connection, LINGER_S);
}

/* What is left after a write, of which `sent` is the result. False if the connection had to be closed. */
__attribute__((noinline)) static bool keep_unsent(struct spop_connection *connection, struct span bytes,
                                                  ssize_t sent)
{
    bool is_broken = sent == -1 && errno != EAGAIN && errno != EINTR;
    size_t taken = sent > 0 ? (size_t)sent : 0;

    if (is_broken ||
        !spop_kept_store(connection, &connection->out, span_of(bytes.data + taken, bytes.len - taken))) {
        spop_connection_close(connection);
        return false;
    }
    return true;
}

/* Sends `bytes` and keeps what the socket does not take. False if the connection had to be closed. */
INLINE bool send_or_keep(struct spop_connection *connection, struct span bytes)
{
    ssize_t sent = bytes.len > 0 ? stream_write(&connection->stream, bytes) : 0;
    bool is_usual = sent == (ssize_t)bytes.len && connection->out.size == 0;

    return is_usual || keep_unsent(connection, bytes, sent);
}

/* Called after every event. Reads only while no output waits. */
static void update_watchers(struct spop_connection *connection)
{
    struct ev_loop *loop = connection->context->loop;
    bool has_output = connection->out.len > 0;
    bool awaits_room = stream_awaits_room(&connection->stream, has_output);

    if (has_output && (!ev_is_active(&connection->deadline) || connection->watch_until > 0.0))
        set_deadline(connection, WRITE_TIMEOUT_S);
    if (awaits_room == (ev_is_active(&connection->writable) != 0))
        return;
    ev_io_stop(loop, awaits_room ? &connection->readable : &connection->writable);
    ev_io_start(loop, awaits_room ? &connection->writable : &connection->readable);
}

/* Whether answers are owed: output waits, input waits, a frame is incomplete, or a stream is parked. */
static bool is_owing(const struct spop_connection *connection)
{
    if (!stream_is_ready(&connection->stream)) /* nothing can have been asked */
        return false;
    return connection->out.len > 0 || connection->in.len > 0 || connection->session.parked.count > 0 ||
           stream_has_unread(&connection->stream);
}

/* Ends the session and tells the peer why. False if the connection was closed. */
static bool end_session(struct spop_connection *connection, enum spop_status status)
{
    struct spop_context *context = connection->context;
    struct sink out = sink_of(context->out, SPOP_OUT_SIZE);

    if (!stream_is_ready(&connection->stream)) { /* nobody could be told */
        spop_connection_close(connection);
        return false;
    }
    spop_session_close(&connection->session, status, &out);
    return send_or_keep(connection, span_of(context->out, (size_t)(out.at - context->out)));
}

/* While draining, ends the session when it owes nothing. False if the connection was closed. */
static bool say_goodbye(struct spop_connection *connection)
{
    bool stays = !connection->context->draining || connection->session.phase == SPOP_SESSION_CLOSED ||
                 is_owing(connection);

    return stays || end_session(connection, SPOP_STATUS_NORMAL);
}

/* The time at which the peer has taken too long; 0: never. */
static ev_tstamp patience(const struct spop_connection *connection)
{
    double idle_s = connection->context->idle_timeout_s;
    ev_tstamp idle = idle_s > 0.0 ? connection->t_heard + idle_s : 0.0;
    ev_tstamp partial = connection->t_partial > 0.0 ? connection->t_partial + FRAME_TIMEOUT_S : 0.0;

    return partial > 0.0 && (idle <= 0.0 || partial < idle) ? partial : idle;
}

/* Sets the timer only if it would fire too late, not with every frame. If it fires too early,
 * on_deadline() sets it again. */
static void watch_peer(struct spop_connection *connection)
{
    struct ev_loop *loop = connection->context->loop;

    connection->t_heard = ev_now(loop);
    bool has_part = connection->in.len > 0 || stream_has_part(&connection->stream);
    if (!has_part || connection->session.parked.count > 0)
        connection->t_partial = 0.0;
    else if (connection->t_partial <= 0.0)
        connection->t_partial = connection->t_heard;
    ev_tstamp until = patience(connection);
    if (connection->watch_until > 0.0 && (until <= 0.0 || connection->watch_until <= until))
        return;
    ev_timer_stop(loop, &connection->deadline);
    connection->watch_until = until;
    if (until <= 0.0)
        return;
    ev_timer_set(&connection->deadline, until - connection->t_heard, 0.0);
    ev_timer_start(loop, &connection->deadline);
}

/* The usual case after an event: all is answered, and the timer for an idle peer fires early enough. */
INLINE bool is_settled(struct spop_connection *connection)
{
    const struct spop_context *context = connection->context;

    if (connection->session.phase != SPOP_SESSION_ACTIVE || context->draining ||
        stream_is_secure(&connection->stream) || connection->in.len > 0 || connection->out.len > 0 ||
        connection->t_partial > 0.0 || connection->watch_until <= 0.0 || ev_is_active(&connection->writable))
        return false;
    connection->t_heard = ev_now(context->loop);
    return connection->watch_until <= connection->t_heard + context->idle_timeout_s;
}

/* Does what the session's phase requires. */
__attribute__((noinline)) static void settle_phase(struct spop_connection *connection)
{
    if (!say_goodbye(connection))
        return;
    enum spop_session_phase phase = connection->session.phase;
    if (phase == SPOP_SESSION_CLOSED && connection->out.len == 0 && !connection->lingering)
        linger(connection);
    else if (phase == SPOP_SESSION_ACTIVE && connection->out.len == 0)
        watch_peer(connection);
    update_watchers(connection);
}

/* Called after every event. */
INLINE void settle(struct spop_connection *connection)
{
    if (!is_settled(connection))
        settle_phase(connection);
}

/* Answers the parked streams that are due, with one write() for all if SPOP_OUT_SIZE is enough. False if the
 * connection was closed. */
static bool release(struct spop_connection *connection)
{
    struct spop_context *context = connection->context;
    bool is_full = true;

    while (is_full && connection->out.len == 0) {
        struct sink out = sink_of(context->out, SPOP_OUT_SIZE);
        spop_session_release(&connection->session, clock_ms(), &out);
        is_full = sink_room(&out) < SPOP_SESSION_REPLY_MAX;
        if (!send_or_keep(connection, span_of(context->out, (size_t)(out.at - context->out))))
            return false;
    }
    return true;
}

/* Gives `in` to the session and sends its replies, with one write() for all if SPOP_OUT_SIZE is enough. */
INLINE void answer(struct spop_connection *connection, struct span in, int64_t now_ms)
{
    struct spop_context *context = connection->context;
    bool is_full = true;

    if (connection->session.is_guest && !spop_context_is_full(context))
        end_guest(connection);
    while (is_full && connection->out.len == 0 && connection->session.phase != SPOP_SESSION_CLOSED) {
        struct sink out = sink_of(context->out, SPOP_OUT_SIZE);
        size_t taken = spop_session_feed(&connection->session, in, now_ms, &out);
        in = span_of(in.data + taken, in.len - taken);
        if (taken > 0)
            connection->t_partial = 0.0; /* an incomplete frame is now another one */
        is_full = sink_room(&out) < SPOP_SESSION_REPLY_MAX;
        if (!send_or_keep(connection, span_of(context->out, (size_t)(out.at - context->out))))
            return;
    }
    if (connection->session.parked.count > 0)
        spop_context_arm(context);
    if (connection->session.phase == SPOP_SESSION_CLOSED)
        in.len = 0;
    if (in.len + connection->in.size == 0 || spop_kept_store(connection, &connection->in, in))
        settle(connection);
    else
        spop_connection_close(connection);
}

/* All frames of one read count with the time of the read. The connection may be freed by this call. */
INLINE void answer_timed(struct spop_connection *connection, struct span in)
{
    struct metrics *metrics = connection->context->metrics;
    uint64_t answered = metrics->notifies_total;
    int64_t started_us = clock_us();

    answer(connection, in, started_us / 1000);
    answered = metrics->notifies_total - answered;
    if (answered > 0)
        histogram_add(&metrics->answer_times, metrics_answer_bounds_us, (uint64_t)(clock_us() - started_us),
                      answered);
}

/* A read has brought nothing: `got` is its result. */
__attribute__((noinline)) static void take_nothing(struct spop_connection *connection, ssize_t got)
{
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        settle(connection);
    } else if (got == -1 && errno == EPROTO && stream_is_secure(&connection->stream)) {
        connection->context->metrics->protocol_errors_total++;
        stream_log_failure(&connection->stream, EVENT_SPOP_TLS_FAILED);
        spop_connection_close(connection);
    } else {
        /* HAProxy 3.1 and later close idle connections with a reset: that needs no warning. */
        log_event(EVENT_SPOP_CLOSED, log_text("reason", got == 0 ? "eof" : strerror(errno)));
        spop_connection_close(connection);
    }
}

/* Reads once, after the bytes that are kept from the last read, and answers. */
static void receive(struct spop_connection *connection)
{
    uint8_t *in = connection->context->in;
    size_t kept = connection->in.len;

    if (kept > 0)
        memcpy(in, buffer_span(&connection->in).data, kept);
    ssize_t got = stream_read(&connection->stream, in + kept, SPOP_READ_SIZE);
    if (got <= 0)
        take_nothing(connection, got);
    else if (!connection->lingering)
        answer_timed(connection, span_of(in, kept + (size_t)got));
}

void spop_connection_answer_parked(struct spop_session *session)
{
    struct spop_connection *connection = container_of(session, struct spop_connection, session);

    if (release(connection))
        settle(connection);
}

/* Sends what waits, and answers what came before the socket was full. */
__attribute__((noinline)) static void flush_output(struct spop_connection *connection)
{
    struct spop_context *context = connection->context;
    ssize_t sent = stream_write(&connection->stream, buffer_span(&connection->out));

    if (sent == -1) {
        if (errno != EAGAIN && errno != EINTR)
            spop_connection_close(connection);
        else
            update_watchers(connection);
        return;
    }
    spop_kept_consume(connection, &connection->out, (size_t)sent);
    if (connection->out.len > 0) {
        set_deadline(connection, WRITE_TIMEOUT_S);
        update_watchers(connection);
        return;
    }
    if (!release(connection))
        return;
    /* Continue with the input that came before the socket was full. */
    struct span kept = buffer_span(&connection->in);
    if (kept.len > 0)
        memcpy(context->in, kept.data, kept.len);
    answer(connection, span_of(context->in, kept.len), clock_ms());
}

/* The socket is as stream_awaits_room() wanted it. */
static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct spop_connection *connection = watcher->data;

    (void)loop;
    (void)events;
    if (connection->out.len > 0)
        flush_output(connection);
    else
        receive(connection);
}

/* Tells the peer that it took too long, and closes. */
static void give_up(struct spop_connection *connection)
{
    connection->context->metrics->timeouts_total++;
    if (end_session(connection, connection->t_partial > 0.0 ? SPOP_STATUS_TIMEOUT : SPOP_STATUS_NORMAL))
        settle(connection);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct spop_connection *connection = container_of(timer, struct spop_connection, deadline);

    (void)events;
    if (connection->watch_until <= 0.0) {
        if (!connection->lingering)
            connection->context->metrics->timeouts_total++;
        spop_connection_close(connection);
        return;
    }
    /* The peer waits for us. */
    if (connection->session.parked.count > 0)
        connection->t_heard = ev_now(loop);
    ev_tstamp until = patience(connection);
    connection->watch_until = until;
    if (until > 0.0 && until <= ev_now(loop)) {
        give_up(connection);
    } else if (until > 0.0) {
        ev_timer_set(timer, until - ev_now(loop), 0.0);
        ev_timer_start(loop, timer);
    }
}

/* NULL where memory is short. */
static struct spop_connection *add(struct spop_context *context, int fd, const struct tls *tls)
{
    const int send_buffer = SEND_BUFFER;
    struct spop_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL || !stream_open(&connection->stream, fd, tls)) {
        free(connection);
        return NULL;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
    socket_tune_tcp(fd, KEEP_IDLE_S, KEEP_INTERVAL_S);
    spop_session_init(&connection->session, context->table, context->metrics, &context->draining);
    connection->context = context;
    connection->opened_ms = clock_ms();
    DL_PREPEND(context->connections, connection);
    context->connection_count++;
    context->metrics->connections_total++;
    ev_io_init(&connection->readable, on_ready, fd, EV_READ);
    ev_io_init(&connection->writable, on_ready, fd, EV_WRITE);
    loop_put_first(&connection->readable);
    loop_put_first(&connection->writable);
    connection->readable.data = connection->writable.data = connection;
    ev_timer_init(&connection->deadline, on_deadline, HELLO_TIMEOUT_S, 0.0);
    ev_io_start(context->loop, &connection->readable);
    set_deadline(connection, HELLO_TIMEOUT_S);
    return connection;
}

static void receive_guest(struct spop_connection *connection)
{
    struct spop_context *context = connection->context;
    struct spop_connection *oldest = spop_context_oldest_guest(context);

    if (oldest != NULL) {
        if (oldest->session.phase == SPOP_SESSION_HELLO)
            spop_context_note_refused(context);
        spop_connection_close(oldest);
    }
    connection->session.is_guest = true;
    spop_context_add_guest(context, connection);
    set_deadline(connection, GUEST_TIMEOUT_S);
}

/*
 * Peers that say nothing must not keep HAProxy out: closes the one that has been silent for the longest time. False
 * if none has been for SILENCE_MAX_MS. The list of connections begins with the youngest.
 */
static bool replace_silent(struct spop_context *context)
{
    int64_t latest_ms = clock_ms() - SILENCE_MAX_MS;
    struct spop_connection *youngest = context->connections;

    for (struct spop_connection *each = youngest->prev; each->opened_ms <= latest_ms; each = each->prev) {
        if (each->session.phase == SPOP_SESSION_HELLO && !each->session.is_guest) {
            spop_context_note_refused(context);
            spop_connection_close(each);
            return true;
        }
        if (each == youngest)
            break;
    }
    return false;
}

bool spop_connection_open(struct spop_context *context, int fd, const struct tls *tls)
{
    bool is_guest = spop_context_is_full(context) && !replace_silent(context);
    struct spop_connection *connection = add(context, fd, tls);

    if (connection == NULL)
        return false;
    if (is_guest)
        receive_guest(connection);
    return true;
}

bool spop_connection_adopt(struct spop_context *context, int fd, uint32_t frame_size)
{
    struct spop_connection *connection = add(context, fd, NULL);

    if (connection == NULL || frame_size == 0)
        return connection != NULL;
    if (spop_session_resume(&connection->session, frame_size)) {
        ev_timer_stop(context->loop, &connection->deadline);
        watch_peer(connection);
    } else {
        spop_connection_close(connection);
    }
    return true;
}

/* The keys of a TLS connection are ours alone: the peer is told to connect again. */
static void send_away(struct spop_connection *connection)
{
    bool is_active = connection->session.phase == SPOP_SESSION_ACTIVE;

    if (is_active && !is_owing(connection) && end_session(connection, SPOP_STATUS_NORMAL))
        settle(connection);
}

void spop_connection_give(struct spop_connection *connection, spop_give_fn give, void *context)
{
    bool is_active = connection->session.phase == SPOP_SESSION_ACTIVE;
    bool is_free = (is_active || connection->session.phase == SPOP_SESSION_HELLO) &&
                   connection->in.len == 0 && connection->out.len == 0 &&
                   connection->session.parked.count == 0;

    if (stream_is_secure(&connection->stream))
        send_away(connection);
    else if (is_free &&
             give(context, connection->stream.fd, is_active ? connection->session.max_frame_size : 0))
        spop_connection_close(connection);
}

void spop_connection_drain(struct spop_connection *connection)
{
    parking_hurry(&connection->session.parked);
    /* If output still waits, the connection goes on until it is sent, or until the drain's limit. */
    if (!connection->lingering && connection->out.len == 0)
        receive(connection);
}
