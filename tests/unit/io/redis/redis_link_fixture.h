/*
 * What the tests of the link share: a peer that is scripted, in the same loop (real sockets on the loopback),
 * a real conversation, and a topic that asks what the test says and writes down what happens.
 */
#ifndef TESTS_UNIT_IO_REDIS_REDIS_LINK_FIXTURE_H
#define TESTS_UNIT_IO_REDIS_REDIS_LINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/redis/redis_link.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_S 20.0
/* Longer than the deadline: what must not happen by time. */
#define NEVER_MS 60000
#define LARGE_ARG 65536
#define LARGE_COMMANDS 60
/* All of the large commands. */
#define PEER_BYTES_MAX (LARGE_COMMANDS * (LARGE_ARG + 64))

/* What the topic is to ask on each connection, and what came of it. */
struct talk {
    unsigned commands; /* to be sent on each connection: ASK 0, ASK 1 ... */
    bool is_large;     /* with an argument of LARGE_ARG bytes more */
    bool is_endless;   /* the first command is a subscription: replies to it go on */
    bool is_refused;   /* the first reply is */
    int64_t due_ms;    /* when there is more to do than to ask; 0: never */
    unsigned asked;    /* on this connection */
    unsigned asked_in_all;
    unsigned connected;
    unsigned replies;
    unsigned lost;
    char reasons[4][64]; /* of the first losses */
    enum conversation_end ends[4];
    char last_reply[256];
    unsigned stepped;
    bool is_stepping;
    struct redis_link *pumped[2]; /* within `stepped` */
};

/* The scripted peer. */
struct peer {
    ev_io accepting;
    ev_io talking;    /* fd -1 without a connection */
    ev_io idle;       /* with say_slowly: fires in every turn of the loop */
    const char *says; /* as soon as something came, or with speaks_first at once */
    size_t says_len;
    size_t said;
    bool speaks_first;
    bool say_slowly; /* a byte a turn of the loop */
    bool closes;     /* when all is said */
    bool is_deaf;    /* does not read */
    unsigned accepted;
    unsigned closed; /* by the other side */
    unsigned reads;
    size_t got;
    char bytes[PEER_BYTES_MAX]; /* the first of what came on this connection */
};

static struct ev_loop *loop;
static ev_timer deadline;
static bool is_late;
static struct peer peer;
static struct talk talk;
static struct addr addr;
static struct conversation conversation;
static struct conversation_settings settings;
static struct redis_link *redis_link;
static bool is_patient;
static char large[LARGE_ARG];

/* --- the topic --- */

static inline bool topic_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                              struct awaited_request *ret_request)
{
    struct talk *own = context;
    static char number[16];

    (void)now_ms;
    if (own->asked == own->commands)
        return false;
    snprintf(number, sizeof(number), "%u", own->asked);
    ret_command->count = own->is_large ? 3 : 2;
    ret_command->args[0] = span_of_text("ASK");
    ret_command->args[1] = span_of_text(number);
    ret_command->args[2] = span_of(large, sizeof(large));
    ret_request->kind = own->is_endless ? 2 : 1;
    ret_request->subject = own->asked++;
    own->asked_in_all++;
    return true;
}

static inline void print_reply(const struct reply *reply, char *out, size_t size)
{
    size_t len = strlen(out);

    if (reply->kind == REPLY_ARRAY) {
        for (size_t i = 0; i < reply->count; i++)
            print_reply(&reply->elements[i], out, size);
    } else if (reply->kind == REPLY_INTEGER) {
        snprintf(out + len, size - len, "%lld;", (long long)reply->number);
    } else {
        snprintf(out + len, size - len, "%.*s;", (int)(reply->text.len < 100 ? reply->text.len : 100),
                 reply->text.len > 0 ? (const char *)reply->text.data : "");
    }
}

static inline enum conversation_verdict topic_reply(void *context, const struct awaited_request *request,
                                                    const struct reply *reply, int64_t now_ms)
{
    struct talk *own = context;

    (void)now_ms;
    own->replies++;
    own->last_reply[0] = '\0';
    print_reply(reply, own->last_reply, sizeof(own->last_reply));
    if (own->is_refused)
        return CONVERSATION_REFUSED;
    return request->kind == 2 ? CONVERSATION_GOES_ON : CONVERSATION_DONE;
}

static inline void topic_connected(void *context, int64_t now_ms)
{
    struct talk *own = context;

    (void)now_ms;
    own->connected++;
    own->asked = 0;
}

static inline void topic_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct talk *own = context;

    (void)now_ms;
    if (own->lost < 4) {
        snprintf(own->reasons[own->lost], sizeof(own->reasons[0]), "%s", loss->reason);
        own->ends[own->lost] = loss->end;
    }
    own->lost++;
}

/* As a topic that polls says it: overdue as long as there is something to ask. */
static inline int64_t topic_wake_ms(const void *context)
{
    const struct talk *own = context;

    if (own->asked < own->commands)
        return 0;
    return own->due_ms != 0 ? own->due_ms : INT64_MAX;
}

static const struct conversation_topic topic = {
    .next = topic_next,
    .reply = topic_reply,
    .connected = topic_connected,
    .lost = topic_lost,
    .wake_ms = topic_wake_ms,
};

/* The owner: pumps, and must not be called from what it calls. */
static inline void on_stepped(void *context)
{
    struct talk *own = context;

    assert_false(own->is_stepping);
    own->is_stepping = true;
    own->stepped++;
    for (size_t i = 0; i < 2; i++)
        if (own->pumped[i] != NULL)
            redis_link_pump(own->pumped[i]);
    own->is_stepping = false;
}

/* --- the peer --- */

static inline void peer_hang_up(void)
{
    ev_io_stop(loop, &peer.talking);
    ev_io_stop(loop, &peer.idle);
    if (peer.talking.fd != -1)
        close(peer.talking.fd);
    ev_io_set(&peer.talking, -1, EV_NONE);
}

static inline void peer_speak(void)
{
    size_t len = peer.says_len - peer.said;

    if (len > 0 && peer.say_slowly)
        len = 1;
    while (len > 0 && peer.talking.fd != -1) {
        ssize_t sent = send(peer.talking.fd, peer.says + peer.said, len, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        peer.said += (size_t)sent;
        len -= (size_t)sent;
    }
    if (peer.said < peer.says_len) {
        ev_io_start(loop, &peer.idle);
        return;
    }
    ev_io_stop(loop, &peer.idle);
    if (peer.closes)
        peer_hang_up();
}

static inline void on_peer_idle(struct ev_loop *running, ev_io *io, int events)
{
    (void)running;
    (void)io;
    (void)events;
    peer_speak();
}

static inline void on_peer_readable(struct ev_loop *running, ev_io *io, int events)
{
    char scrap[65536];
    size_t room = sizeof(peer.bytes) - 1;
    ssize_t len = recv(io->fd, scrap, sizeof(scrap), 0);

    (void)running;
    (void)events;
    if (len <= 0) {
        peer.closed++;
        peer_hang_up();
        return;
    }
    if (peer.got < room) {
        size_t kept = (size_t)len < room - peer.got ? (size_t)len : room - peer.got;
        memcpy(peer.bytes + peer.got, scrap, kept);
        peer.bytes[peer.got + kept] = '\0';
    }
    peer.got += (size_t)len;
    peer.reads++;
    if (!peer.speaks_first)
        peer_speak();
}

static inline void on_peer_accept(struct ev_loop *running, ev_io *io, int events)
{
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int on = 1;

    (void)running;
    (void)events;
    if (fd == -1)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peer_hang_up();
    peer.accepted++;
    peer.said = 0;
    peer.got = 0;
    peer.reads = 0;
    ev_io_set(&peer.talking, fd, EV_READ);
    ev_io_set(&peer.idle, fd, EV_WRITE);
    if (!peer.is_deaf)
        ev_io_start(loop, &peer.talking);
    if (peer.speaks_first)
        peer_speak();
}

static inline void peer_says(const char *text)
{
    peer.says = text;
    peer.says_len = strlen(text);
}

static inline void peer_listen(int backlog)
{
    assert_int_equal(listen(peer.accepting.fd, backlog), 0);
    ev_io_start(loop, &peer.accepting);
}

/* --- set-up --- */

static inline void on_deadline(struct ev_loop *ended, ev_timer *timer, int events)
{
    (void)ended;
    (void)timer;
    (void)events;
    is_late = true;
}

/* A socket bound to a port of the kernel's choice; refuses until it listens. */
static inline int bind_loopback(const char *host, uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_not_equal(fd, -1);
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&peer, 0, sizeof(peer));
    memset(&talk, 0, sizeof(talk));
    loop = ev_loop_new(EVFLAG_AUTO);
    is_late = false;
    is_patient = true;
    if (loop == NULL)
        return -1;
    ev_timer_init(&deadline, on_deadline, DEADLINE_S, 0.0);
    ev_timer_start(loop, &deadline);
    addr = (struct addr){.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};
    ev_io_init(&peer.accepting, on_peer_accept, bind_loopback("127.0.0.1", 0, &addr.port), EV_READ);
    ev_io_init(&peer.talking, on_peer_readable, -1, EV_NONE);
    ev_io_init(&peer.idle, on_peer_idle, -1, EV_NONE);
    settings = (struct conversation_settings){.connect_timeout_ms = NEVER_MS,
                                              .silence_ms = NEVER_MS,
                                              .retry_min_ms = NEVER_MS,
                                              .retry_max_ms = NEVER_MS,
                                              .refused_retry_ms = NEVER_MS};
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)('a' + i % 23);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    redis_link_destroy(redis_link);
    redis_link = NULL;
    peer_hang_up();
    ev_io_stop(loop, &peer.accepting);
    close(peer.accepting.fd);
    ev_timer_stop(loop, &deadline);
    /* The link left nothing in the loop. */
    int is_alive = ev_run(loop, EVRUN_NOWAIT) ? -1 : 0;
    ev_loop_destroy(loop);
    return is_alive;
}

static struct awaited_run runs[64];

static inline void start_link(struct resolver *resolver)
{
    conversation_init(&conversation, &settings, &topic, &talk,
                      (struct awaited_room){runs, sizeof(runs) / sizeof(*runs)}, 1, clock_ms());
    const struct redis_link_options options = {
        .peer = &addr,
        .conversation = &conversation,
        .everyday = 1024,
        .is_patient = is_patient,
        .stepped = on_stepped,
        .context = &talk,
    };
    redis_link = redis_link_create(loop, resolver, &options);
    assert_non_null(redis_link);
    talk.pumped[0] = redis_link;
    assert_int_equal(talk.stepped, 0);
}

#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        while (!(condition) && !is_late)                                                                     \
            ev_run(loop, EVRUN_ONCE);                                                                        \
        assert_false(is_late);                                                                               \
    } while (0)

/* The link's socket: the one whose other end is the peer's port. */
static inline int find_socket(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in address = {.sin_family = AF_UNSPEC};
        socklen_t len = sizeof(address);
        if (getpeername(fd, (struct sockaddr *)&address, &len) == 0 && address.sin_family == AF_INET &&
            ntohs(address.sin_port) == addr.port)
            return fd;
    }
    return -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
