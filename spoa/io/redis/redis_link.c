#include "spoa/io/redis/redis_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/connector.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/loop_stalls.h"
#include "spoa/io/net/socket_addr.h"
#include "spoa/io/net/tls.h"
#include "spoa/io/redis/reply_parser.h"

/*
 * One read takes this much, of TLS a whole record. The rest waits in the kernel until the others had their turn: with
 * thousands of services each of many short replies may begin a connection to a node.
 */
#define READ_SIZE TLS_RECORD_MAX
#define PLAIN_READ_SIZE 4096
#define HURRIED_READ_SIZE 2048
/*
 * While this many bytes wait to be sent, the conversation is not asked for more commands. One turn of the loop writes
 * no more: some 350 questions, up to a quarter of a millisecond where what they ask about is in no cache.
 */
#define UNSENT_MAX ((size_t)16 * 1024)
/* Then the conversation may stay overdue, so the timer fires no earlier than after this time. */
#define UNSENT_WAIT_MS 20

/* Commands that wait to be sent, as bytes. */
struct output {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

struct redis_link {
    struct ev_loop *loop;
    ev_io io; /* its fd is -1 if there is no socket */
    ev_timer timer;
    struct connector *connector;
    struct redis_link_options options;
    struct tls_stream *stream; /* only while a socket speaks TLS */
    /* Only while a reply has come in part. Thousands of links wait for their next reply: it would take half of their memory. */
    struct reply_parser *parser;
    struct output output;
    int64_t socket_off_ms; /* see loop_stalls_puts_off() */
    int64_t timer_off_ms;
    int failed; /* an errno for on_socket() to report, 0: none */
    bool is_connected;
    bool hurries; /* it reads less this time; see loop_stalls_hurries() */
};

static bool output_reserve(struct output *output, size_t len)
{
    size_t capacity = output->capacity > 0 ? output->capacity : 1024;

    while (capacity - output->len < len)
        capacity *= 2;
    if (capacity == output->capacity)
        return true;
    uint8_t *data = realloc(output->data, capacity);
    if (data == NULL)
        return false;
    output->data = data;
    output->capacity = capacity;
    return true;
}

/*
 * Writes a mark and a length, as in "$12\r\n". Returns where it ends. printf() is too slow, and
 * redisFormatCommandArgv() uses it: with a thousand services it took a quarter of the CPU time of an idle
 * agent.
 */
static uint8_t *put_head(uint8_t *at, uint8_t mark, size_t number)
{
    uint8_t digits[20];
    size_t count = 0;

    do
        digits[count++] = (uint8_t)('0' + number % 10);
    while ((number /= 10) > 0);
    *at++ = mark;
    while (count > 0)
        *at++ = digits[--count];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

#define HEAD_MAX 23

/* Appends the command as an array of bulk strings (RESP2). False if memory is short. */
static bool output_append(struct output *output, const struct conversation_command *command)
{
    size_t most = HEAD_MAX;

    for (size_t i = 0; i < command->count; i++)
        most += HEAD_MAX + command->args[i].len + 2;
    if (!output_reserve(output, most))
        return false;
    uint8_t *at = put_head(output->data + output->len, '*', command->count);
    for (size_t i = 0; i < command->count; i++) {
        struct span arg = command->args[i];
        at = put_head(at, '$', arg.len);
        if (arg.len > 0)
            memcpy(at, arg.data, arg.len);
        at += arg.len;
        *at++ = '\r';
        *at++ = '\n';
    }
    output->len = (size_t)(at - output->data);
    return true;
}

static void output_finish(struct output *output)
{
    free(output->data);
    *output = (struct output){.data = NULL};
}

/* Drops what was sent. Frees the memory if nothing is left, as between two polls. */
static void output_consume(struct output *output, size_t len)
{
    output->len -= len;
    if (output->len == 0)
        output_finish(output);
    else
        memmove(output->data, output->data + len, output->len);
}

/* Waits on the socket for `events`. */
static void watch(struct redis_link *link, int fd, int events)
{
    ev_io_stop(link->loop, &link->io);
    ev_io_set(&link->io, fd, events);
    ev_io_start(link->loop, &link->io);
}

static void end_parser(struct redis_link *link)
{
    reply_parser_destroy(link->parser);
    link->parser = NULL;
}

/* Drops the connection, or the attempt to connect. Does not tell the conversation. */
static void disconnect(struct redis_link *link)
{
    connector_cancel(link->connector);
    ev_io_stop(link->loop, &link->io);
    if (link->io.fd != -1)
        close(link->io.fd);
    ev_io_set(&link->io, -1, EV_NONE);
    tls_stream_destroy(link->stream);
    link->stream = NULL;
    end_parser(link);
    output_finish(&link->output);
    link->failed = 0;
    link->is_connected = false;
}

static void lose(struct redis_link *link, const char *reason, enum conversation_end end)
{
    conversation_lost(link->options.conversation, reason, end, clock_ms());
    disconnect(link);
}

/* ECONNREFUSED comes from connect() only: an open connection is never refused. */
static enum conversation_end end_of(int code)
{
    if (code == ECONNREFUSED)
        return CONVERSATION_END_REFUSED;
    return code == ECONNRESET || code == EPIPE ? CONVERSATION_END_CLOSED : CONVERSATION_END_SILENT;
}

static void lose_by_errno(struct redis_link *link, int code)
{
    if (code == EPROTO && link->stream != NULL)
        lose(link, tls_stream_error(link->stream), CONVERSATION_END_SILENT);
    else
        lose(link, strerror(code), end_of(code));
}

/* Runs after every event: the owner lets other links speak, then this link speaks. */
static void finish_step(struct redis_link *link)
{
    link->options.stepped(link->options.context);
    redis_link_pump(link);
}

static bool keeps(void *context, const struct reply *element)
{
    return conversation_keeps(context, element);
}

/* False if memory is short. */
static bool begin_parser(struct redis_link *link)
{
    if (link->parser != NULL)
        return true;
    link->parser = reply_parser_create(link->options.everyday);
    if (link->parser != NULL && conversation_is_choosy(link->options.conversation))
        reply_parser_set_filter(link->parser,
                                (struct reply_filter){.keeps = keeps, .context = link->options.conversation});
    return link->parser != NULL;
}

static void begin_talking(struct redis_link *link)
{
    connector_keep(link->connector);
    link->is_connected = true;
    link->options.conversation->is_remote = socket_is_remote(link->io.fd);
    conversation_connected(link->options.conversation, clock_ms());
}

static void handshake(struct redis_link *link)
{
    int result = tls_stream_handshake(link->stream);

    if (result == 1)
        begin_talking(link);
    else if (result == -1)
        lose(link, tls_stream_error(link->stream), CONVERSATION_END_SILENT);
    else
        watch(link, link->io.fd, tls_stream_wants_write(link->stream) ? EV_WRITE : EV_READ);
}

static void begin_session(struct redis_link *link)
{
    if (link->options.tls == NULL) {
        begin_talking(link);
        return;
    }
    link->stream = tls_stream_create(link->options.tls, link->io.fd, link->options.peer);
    if (link->stream == NULL)
        lose_by_errno(link, ENOMEM);
    else
        handshake(link);
}

static void on_connected(void *context, const struct connector_result *result)
{
    struct redis_link *link = context;

    if (result->fd != -1) {
        ev_io_set(&link->io, result->fd, EV_NONE);
        begin_session(link);
    } else {
        lose(link, result->reason, end_of(result->code));
    }
    finish_step(link);
}

/* The time limit of connecting begins. */
static void on_found(void *context)
{
    struct redis_link *link = context;

    conversation_found(link->options.conversation, clock_ms());
    redis_link_pump(link);
}

static void begin_attempt(struct redis_link *link)
{
    if (link->options.peer->kind == ADDR_NAME)
        conversation_looks_up(link->options.conversation, clock_ms());
    connector_start(link->connector, link->options.peer,
                    link->options.conversation->settings->connect_timeout_ms);
}

static void take_replies(struct redis_link *link)
{
    int64_t now_ms = clock_ms();
    const struct reply *reply = NULL;
    enum reply_parser_result result = reply_parser_next(link->parser, &reply);

    for (; result == REPLY_PARSER_REPLY; result = reply_parser_next(link->parser, &reply)) {
        if (conversation_reply(link->options.conversation, reply, now_ms) == CONVERSATION_DISCONNECT) {
            disconnect(link);
            return;
        }
    }
    if (result == REPLY_PARSER_FAILED)
        lose(link, reply_parser_error(link->parser), CONVERSATION_END_SILENT);
    else if (reply_parser_is_idle(link->parser))
        end_parser(link);
}

static void take_bytes(struct redis_link *link)
{
    uint8_t bytes[READ_SIZE];
    size_t size = link->hurries ? HURRIED_READ_SIZE : PLAIN_READ_SIZE;
    ssize_t got = link->stream != NULL ? tls_stream_read(link->stream, bytes, sizeof(bytes))
                                       : read(link->io.fd, bytes, size);

    if (got > 0 && !begin_parser(link)) {
        lose_by_errno(link, ENOMEM);
    } else if (got > 0) {
        reply_parser_feed(link->parser, span_of(bytes, (size_t)got));
        take_replies(link);
    } else if (got == 0) {
        lose(link, "connection closed", CONVERSATION_END_CLOSED);
    } else if (errno != EAGAIN && errno != EINTR) {
        lose_by_errno(link, errno);
    }
}

/* TLS must send something of its own before it can read on. */
static bool wants_write(const struct redis_link *link)
{
    return link->stream != NULL && tls_stream_wants_write(link->stream);
}

/* What the socket has to say. */
static void hear(struct redis_link *link, int events)
{
    if (!link->is_connected) {
        handshake(link);
        return;
    }
    if ((events & EV_READ) != 0 || wants_write(link))
        take_bytes(link);
    if (link->is_connected && link->failed != 0)
        lose_by_errno(link, link->failed);
}

/* Reads less, but not two times in a row: the loop may serve the links in the same order each time. */
static void hurry(struct redis_link *link)
{
    bool hurries = loop_stalls_hurries(link->loop);

    link->hurries = hurries && !link->hurries && link->failed == 0;
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct redis_link *link = container_of(io, struct redis_link, io);
    bool is_patient = link->options.is_patient && link->failed == 0; /* the loop tells a failure only once */

    if (is_patient && loop_stalls_puts_off(loop, &link->socket_off_ms))
        return;
    if (!is_patient)
        hurry(link);
    hear(link, events);
    finish_step(link);
    loop_stalls_has_worked(loop);
}

static void tick(struct redis_link *link)
{
    switch (conversation_tick(link->options.conversation, clock_ms())) {
    case CONVERSATION_NOTHING:
        break;
    case CONVERSATION_CONNECT:
        begin_attempt(link);
        break;
    case CONVERSATION_DISCONNECT:
        disconnect(link);
        break;
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct redis_link *link = container_of(timer, struct redis_link, timer);
    bool is_patient = link->options.is_patient;

    (void)events;
    if (is_patient && loop_stalls_puts_off_timer(loop, timer, &link->timer_off_ms))
        return;
    if (!is_patient)
        (void)loop_stalls_hurries(loop); /* it counts what it takes, but has nothing to leave */
    /* What came in time is read before it is found late. */
    if (link->socket_off_ms != 0 && link->io.fd != -1)
        hear(link, EV_READ);
    link->socket_off_ms = 0;
    tick(link);
    finish_step(link);
    loop_stalls_has_worked(loop);
}

static void collect_commands(struct redis_link *link)
{
    struct conversation_command command;
    int64_t now_ms = clock_ms();

    while (link->failed == 0 && link->output.len < UNSENT_MAX &&
           conversation_next(link->options.conversation, now_ms, &command))
        if (!output_append(&link->output, &command))
            link->failed = ENOMEM;
}

static void send_output(struct redis_link *link)
{
    ssize_t sent = link->stream != NULL
                       ? tls_stream_write(link->stream, link->output.data, link->output.len)
                       : send(link->io.fd, link->output.data, link->output.len, MSG_NOSIGNAL);

    if (sent == -1) {
        if (errno != EAGAIN && errno != EINTR)
            link->failed = errno;
        return;
    }
    output_consume(&link->output, (size_t)sent);
}

static void send_commands(struct redis_link *link)
{
    collect_commands(link);
    bool has_more = link->output.len >= UNSENT_MAX;
    if (link->failed == 0 && link->output.len > 0)
        send_output(link);
    bool is_waiting = link->failed == 0 && (has_more || link->output.len > 0 || wants_write(link));
    int events = EV_READ | (is_waiting ? EV_WRITE : 0);
    if ((link->io.events & (EV_READ | EV_WRITE)) != events)
        watch(link, link->io.fd, events);
    /* A failure cannot be reported from here: pump may run within the owner's `stepped`, which must not be
     * called again. on_socket() reports it, after it has read what the peer sent before it closed. */
    if (link->failed != 0)
        ev_feed_event(link->loop, &link->io, EV_READ);
}

void redis_link_pump(struct redis_link *link)
{
    if (link->is_connected)
        send_commands(link);
    int64_t wake_ms = conversation_wake_ms(link->options.conversation);
    int64_t patience_ms = clock_ms() + UNSENT_WAIT_MS;
    if (link->output.len >= UNSENT_MAX && wake_ms < patience_ms)
        wake_ms = patience_ms;
    loop_arm(link->loop, &link->timer, wake_ms);
}

struct redis_link *redis_link_create(struct ev_loop *loop, struct resolver *resolver,
                                     const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof(*link));

    if (link == NULL)
        return NULL;
    const struct connector_options connects = {
        .found = on_found, .done = on_connected, .context = link, .is_asked_often = options->is_patient};
    link->connector = connector_create(loop, resolver, &connects);
    if (link->connector == NULL) {
        free(link);
        return NULL;
    }
    link->loop = loop;
    link->options = *options;
    ev_io_init(&link->io, on_socket, -1, EV_NONE);
    loop_put_first(&link->io);
    ev_timer_init(&link->timer, on_timer, 0.0, 0.0);
    /* Starts by the timer, so that `stepped` is never called from here. */
    loop_arm(loop, &link->timer, conversation_wake_ms(options->conversation));
    return link;
}

void redis_link_move(struct redis_link *link, const struct tls *tls, redis_link_stepped_fn stepped,
                     void *context)
{
    link->options.tls = tls;
    link->options.stepped = stepped;
    link->options.context = context;
}

void redis_link_reset(struct redis_link *link)
{
    disconnect(link);
}

void redis_link_destroy(struct redis_link *link)
{
    if (link == NULL)
        return;
    disconnect(link);
    ev_timer_stop(link->loop, &link->timer);
    connector_destroy(link->connector);
    free(link);
}
