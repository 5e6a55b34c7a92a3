#include "spoa/io/redis/redis_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/socket_addr.h"
#include "spoa/io/net/tls.h"
#include "spoa/io/redis/reply_parser.h"

/* One read() takes this much. The rest waits in the kernel until the others had their turn. */
#define READ_SIZE TLS_RECORD_MAX
/* While this many bytes wait to be sent, the conversation is not asked for more commands. */
#define UNSENT_MAX ((size_t)256 * 1024)
/* Then the conversation may stay overdue, so the timer fires no earlier than after this time. */
#define UNSENT_WAIT_MS 20

/* How long name servers may take, s, if an address that worked is known. Less than the default
 * connect-timeout. */
#define LOOKUP_PATIENCE_S 0.2

/* Finds a peer that vanished: probes it after this time without traffic, s, then at this interval. */
#define KEEP_IDLE_S 5
#define KEEP_INTERVAL_S 2

/* Commands that wait to be sent, as bytes. */
struct output {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

/* What is known about the name that was looked up last. */
struct name_memory {
    struct addr name; /* the peer may have changed since */
    /* The address of the last connection that worked; AF_UNSPEC if none did. */
    struct sockaddr_storage good;
    struct sockaddr_storage tried; /* the address of this connection */
    size_t attempts;               /* picks the address */
};

struct redis_link {
    struct ev_loop *loop;
    ev_io io; /* its fd is -1 if there is no socket */
    ev_timer timer;
    struct resolver *resolver;
    struct resolver_query *query; /* while a name is looked up */
    ev_timer patience;            /* runs with `query`, if `good` is known */
    struct redis_link_options options;
    struct tls_stream *stream;   /* only while a socket speaks TLS */
    struct reply_parser *parser; /* only while connected */
    struct output output;
    struct name_memory *names; /* NULL before the first look-up */
    bool is_looking_up;        /* resolver_lookup() has not returned */
    int failed;                /* an errno for on_socket() to report, 0: none */
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

static bool is_connected(const struct redis_link *link)
{
    return link->parser != NULL;
}

/* Waits on the socket for `events`. */
static void watch(struct redis_link *link, int fd, int events)
{
    ev_io_stop(link->loop, &link->io);
    ev_io_set(&link->io, fd, events);
    ev_io_start(link->loop, &link->io);
}

static void forget_lookup(struct redis_link *link)
{
    resolver_cancel(link->query);
    link->query = NULL;
    ev_timer_stop(link->loop, &link->patience);
}

/* Drops the connection, or the attempt to connect. Does not tell the conversation. */
static void disconnect(struct redis_link *link)
{
    forget_lookup(link);
    ev_io_stop(link->loop, &link->io);
    if (link->io.fd != -1)
        close(link->io.fd);
    ev_io_set(&link->io, -1, EV_NONE);
    tls_stream_destroy(link->stream);
    link->stream = NULL;
    reply_parser_destroy(link->parser);
    link->parser = NULL;
    output_finish(&link->output);
    link->failed = 0;
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

static socklen_t socket_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void connect_to(struct redis_link *link, const struct sockaddr_storage *address, socklen_t len)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        lose_by_errno(link, errno);
        return;
    }
    if (address->ss_family != AF_UNIX)
        socket_tune_tcp(fd, KEEP_IDLE_S, KEEP_INTERVAL_S);
    /* An interrupted connect() goes on, too (connect(2)). */
    if (connect(fd, (const struct sockaddr *)address, len) == -1 && errno != EINPROGRESS && errno != EINTR) {
        int code = errno;
        close(fd);
        lose_by_errno(link, code);
        return;
    }
    watch(link, fd, EV_WRITE);
}

/* Runs after every event: the owner lets other links speak, then this link speaks. */
static void finish_step(struct redis_link *link)
{
    link->options.stepped(link->options.context);
    redis_link_pump(link);
}

static void connect_to_one(struct redis_link *link, const struct sockaddr_storage *address)
{
    link->names->tried = *address;
    connect_to(link, address, socket_len(address));
}

/* Whether the name that was looked up last is the peer's. */
static bool is_for_peer(const struct redis_link *link)
{
    return link->names != NULL && addr_equals(&link->names->name, link->options.peer);
}

/* Whether an address of the peer's name worked before. */
static bool knows_address(const struct redis_link *link)
{
    return is_for_peer(link) && link->names->good.ss_family != AF_UNSPEC;
}

static void on_resolved(void *context, const struct resolver_answer *answer)
{
    struct redis_link *link = context;

    link->query = NULL;
    ev_timer_stop(link->loop, &link->patience);
    if (answer->count > 0)
        connect_to_one(link, &answer->addresses[link->names->attempts++ % answer->count]);
    else if (!answer->is_denied && knows_address(link))
        connect_to_one(link, &link->names->good);
    else
        lose(link, answer->reason, CONVERSATION_END_SILENT);
    if (!link->is_looking_up)
        finish_step(link);
}

static void on_impatience(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct redis_link *link = container_of(timer, struct redis_link, patience);

    (void)loop;
    (void)events;
    forget_lookup(link);
    connect_to_one(link, &link->names->good);
    finish_step(link);
}

static void look_up(struct redis_link *link)
{
    if (link->names == NULL)
        link->names = calloc(1, sizeof(*link->names));
    if (link->names == NULL) {
        lose_by_errno(link, ENOMEM);
        return;
    }
    if (!is_for_peer(link)) {
        link->names->name = *link->options.peer;
        link->names->good.ss_family = AF_UNSPEC;
    }
    link->is_looking_up = true;
    link->query = resolver_lookup(link->resolver, link->options.peer->host, link->options.peer->port,
                                  on_resolved, link);
    link->is_looking_up = false;
    if (link->query == NULL || !knows_address(link))
        return;
    ev_timer_set(&link->patience, LOOKUP_PATIENCE_S, 0.0);
    ev_timer_start(link->loop, &link->patience);
}

static void begin_attempt(struct redis_link *link)
{
    struct sockaddr_storage address;
    socklen_t len = 0;

    if (socket_addr_from(link->options.peer, &address, &len))
        connect_to(link, &address, len);
    else
        look_up(link);
}

static bool keeps(void *context, const struct reply *element)
{
    return conversation_keeps(context, element);
}

static void begin_talking(struct redis_link *link)
{
    /* If the peer changed while this connection was made, the address is not the peer's. */
    if (link->options.peer->kind == ADDR_NAME && is_for_peer(link))
        link->names->good = link->names->tried;
    link->parser = reply_parser_create(link->options.everyday);
    if (link->parser == NULL) {
        lose_by_errno(link, ENOMEM);
        return;
    }
    if (conversation_is_choosy(link->options.conversation))
        reply_parser_set_filter(link->parser,
                                (struct reply_filter){.keeps = keeps, .context = link->options.conversation});
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

static void finish_connect(struct redis_link *link)
{
    int code = 0;
    socklen_t len = sizeof(code);

    if (getsockopt(link->io.fd, SOL_SOCKET, SO_ERROR, &code, &len) == -1)
        code = errno;
    if (code != 0) {
        lose_by_errno(link, code);
        return;
    }
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
}

static void take_bytes(struct redis_link *link)
{
    uint8_t bytes[READ_SIZE];
    ssize_t got = link->stream != NULL ? tls_stream_read(link->stream, bytes, sizeof(bytes))
                                       : read(link->io.fd, bytes, sizeof(bytes));

    if (got > 0) {
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

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct redis_link *link = container_of(io, struct redis_link, io);

    (void)loop;
    if (!is_connected(link)) {
        if (link->stream != NULL)
            handshake(link);
        else
            finish_connect(link);
    } else {
        if ((events & EV_READ) != 0 || wants_write(link))
            take_bytes(link);
        if (is_connected(link) && link->failed != 0)
            lose_by_errno(link, link->failed);
    }
    finish_step(link);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct redis_link *link = container_of(timer, struct redis_link, timer);

    (void)loop;
    (void)events;
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
    finish_step(link);
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

/* False if the socket takes no more now. */
static bool send_output(struct redis_link *link)
{
    ssize_t sent = link->stream != NULL
                       ? tls_stream_write(link->stream, link->output.data, link->output.len)
                       : send(link->io.fd, link->output.data, link->output.len, MSG_NOSIGNAL);

    if (sent == -1) {
        if (errno != EAGAIN && errno != EINTR)
            link->failed = errno;
        return false;
    }
    output_consume(&link->output, (size_t)sent);
    return link->output.len == 0;
}

static void send_commands(struct redis_link *link)
{
    bool is_taking = true;

    /* Repeats only if there was more to send than UNSENT_MAX. */
    while (is_taking) {
        collect_commands(link);
        is_taking = link->failed == 0 && link->output.len > 0 && send_output(link);
    }
    bool is_waiting = link->failed == 0 && (link->output.len > 0 || wants_write(link));
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
    if (is_connected(link))
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
    link->loop = loop;
    link->resolver = resolver;
    link->options = *options;
    ev_io_init(&link->io, on_socket, -1, EV_NONE);
    ev_timer_init(&link->timer, on_timer, 0.0, 0.0);
    ev_timer_init(&link->patience, on_impatience, 0.0, 0.0);
    /* Starts by the timer, so that `stepped` is never called from here. */
    loop_arm(loop, &link->timer, conversation_wake_ms(options->conversation));
    return link;
}

void redis_link_destroy(struct redis_link *link)
{
    if (link == NULL)
        return;
    disconnect(link);
    ev_timer_stop(link->loop, &link->timer);
    free(link->names);
    free(link);
}
