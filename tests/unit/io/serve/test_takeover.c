/* Two agents in one loop: one takes the other's place. Each has an SPOP server, and listens on the same UNIX socket. */
#include "spoa/io/serve/takeover.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/net/fd_pass.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/socket_activation.h"
#include "tests/lib/log_capture.h"
#include "tests/lib/spop_peer.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 10000
#define SPACE 4096

/* An agent. */
struct side {
    struct metrics metrics;
    struct spop_server *server;
    struct listeners_row row;
    struct listeners *listeners;
    struct takeover *takeover;
    pid_t taken; /* by whom; 0: it was not */
    unsigned given;
};

static struct ev_loop *loop;
static struct service_table *table;
static struct side old;
static struct side new;
static struct config_listen listen_at;
static struct config_agent agent; /* of both */
static char folder[32];
static size_t descriptors; /* before the test */
static uint8_t out_space[SPACE];

static bool is_unknown;  /* the kernel does not say who the peer is */
static bool is_spurious; /* nothing is there, although a socket is readable */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (!is_unknown || name != SO_PEERCRED)
        return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
    errno = EINVAL;
    return -1;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!is_spurious)
        return syscall(SYS_recvmsg, fd, message, flags);
    is_spurious = false;
    errno = EAGAIN;
    return -1;
}

static int failing_send; /* which one from now on fails; 0: none */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (failing_send == 0 || --failing_send > 0)
        return syscall(SYS_sendmsg, fd, message, flags);
    errno = EPIPE;
    return -1;
}

static size_t count_descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(list);
    while (readdir(list) != NULL)
        count++;
    (void)closedir(list);
    return count;
}

/* As an agent does: it accepts no more. */
static void on_taken(void *context, pid_t by)
{
    struct side *side = context;

    assert_int_equal(side->taken, 0);
    side->taken = by;
    listeners_close(side->listeners, &side->row.protocol);
}

static void on_given(void *context)
{
    struct side *side = context;

    side->given++;
}

static void create(struct side *side)
{
    memset(side, 0, sizeof(*side));
    side->server = spop_server_create(loop, table, &side->metrics);
    side->row = (struct listeners_row){"listen",
                                       offsetof(struct config_agent, listens),
                                       {.name = "spop", .take = spop_server_take, .context = side->server}};
    side->listeners = listeners_create(loop, &side->row, 1, &side->metrics);
    const struct takeover_options options = {
        .loop = loop,
        .listeners = side->listeners,
        .server = side->server,
        .taken = on_taken,
        .given = on_given,
        .context = side,
    };
    side->takeover = takeover_create(&options);
    assert_true(side->server != NULL && side->listeners != NULL && side->takeover != NULL);
}

static void destroy(struct side *side)
{
    takeover_destroy(side->takeover);
    listeners_destroy(side->listeners);
    spop_server_destroy(side->server);
    memset(side, 0, sizeof(*side));
}

static void start_listening(struct side *side)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

    assert_int_equal(listeners_open(side->listeners, NULL, &agent, error), 0);
}

static int set_up(void **state)
{
    char text[64];

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(text, sizeof(text), "unix:%s/socket", folder);
    listen_at = (struct config_listen){.mode = -1};
    assert_true(addr_parse(span_of_text(text), &listen_at.addr));
    agent = (struct config_agent){.listens = {.list = &listen_at, .count = 1}};
    log_capture_begin(LOG_LEVEL_DEBUG);
    is_unknown = is_spurious = false;
    failing_send = 0;
    descriptors = count_descriptors();
    loop = ev_loop_new(EVFLAG_AUTO);
    table = service_table_create(NULL);
    assert_true(loop != NULL && table != NULL);
    create(&old);
    create(&new);
    start_listening(&old);
    return 0;
}

/* Whoever has the socket last has removed its file. */
static int tear_down(void **state)
{
    (void)state;
    destroy(&old);
    destroy(&new);
    service_table_destroy(table);
    ev_loop_destroy(loop);
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(rmdir(folder), 0);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* Longer than the old one takes for a look at what it owes. */
static void wait_a_moment(void)
{
    for (int64_t end_ms = clock_ms() + 60; clock_ms() < end_ms; (void)usleep(1000))
        ev_run(loop, EVRUN_NOWAIT);
}

static void await(const unsigned *number, unsigned expected)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    for (; *number != expected && clock_ms() < deadline_ms; (void)usleep(1000))
        ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(*number, expected);
}

/* A client of the old one, which sends these bytes. */
static int connect_client(const void *bytes, size_t len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    turn();
    return fd;
}

static int connect_with_hello(void)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    spop_peer_hello(&out, 16380, false);
    return connect_client(out_space, (size_t)(out.at - out_space));
}

/* The type of the next frame that the client gets. */
static uint32_t next_frame(int fd)
{
    static uint8_t bytes[SPACE];
    struct spop_frame frame = {.type = 0};
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;
    ssize_t got = -1;

    for (; got == -1 && clock_ms() < deadline_ms; (void)usleep(1000)) {
        ev_run(loop, EVRUN_NOWAIT);
        got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    }
    assert_true(got > 0);
    struct span rest = span_of(bytes, (size_t)got);
    assert_true(spop_peer_reply(&rest, &frame));
    assert_int_equal(rest.len, 0);
    return frame.type;
}

static void ask(int fd)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    spop_peer_notify(&out, 1, 1, "m", NULL);
    assert_int_equal(send(fd, out_space, (size_t)(out.at - out_space), MSG_NOSIGNAL), out.at - out_space);
}

/* A connection to the old one's address for a takeover; its other end, which does not wait. */
static int ask_for_place(struct side *side)
{
    const struct acceptor_peer peer = {.len = 0};
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(takeover_give(side->takeover, ends[0], &peer));
    return ends[1];
}

static void send_record(int sock, uint32_t kind, int fd)
{
    const struct fd_record record = {.kind = kind};

    assert_int_equal(fd_pass_send(sock, &record, fd), 0);
}

/* What comes next; the descriptor with it, or -1. */
static int receive(int sock, struct fd_record *ret_record)
{
    int fd;

    assert_int_equal(fd_pass_receive(sock, ret_record, &fd), 1);
    return fd;
}

/* Drops what came before. */
static bool is_closed(int sock)
{
    char byte;
    ssize_t got;

    do
        got = recv(sock, &byte, 1, MSG_DONTWAIT);
    while (got > 0);
    return got == 0;
}

/* Takes the listeners that come first. */
static void take_listeners(struct side *side, int sock)
{
    struct fd_record record;
    int fd = receive(sock, &record);

    assert_int_equal(record.kind, TAKEOVER_LISTENER);
    assert_int_equal(record.value, 0); /* no service manager has opened it */
    assert_true(fd != -1);
    assert_true(socket_activation_add(fd, false));
    assert_int_equal(receive(sock, &record), -1);
    assert_int_equal(record.kind, TAKEOVER_LISTED);
    start_listening(side);
}

/* ---- tests ---- */

/* Connections go to the new one as they are; then the old one has nothing left to do. */
static void connections_go_along(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    int talker = connect_with_hello();
    assert_int_equal(next_frame(talker), SPOP_AGENT_HELLO);
    int silent = connect_client("", 0);
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    turn();
    assert_int_equal(old.taken, 0);
    assert_int_equal(spop_server_connections(old.server), 2);
    takeover_take(new.takeover, sock);
    await(&old.given, 1);
    assert_int_equal(old.taken, getpid());
    assert_int_equal(spop_server_connections(old.server), 0);
    char expected[96];
    (void)snprintf(expected, sizeof(expected), "info taken-over process=%d connections=2", (int)getpid());
    assert_string_equal(log_capture_last("taken-over"), expected);
    turn();
    (void)snprintf(expected, sizeof(expected), "info took-over process=%d connections=2", (int)getpid());
    assert_string_equal(log_capture_last("took-over"), expected);
    assert_int_equal(spop_server_connections(new.server), 2);
    ask(talker);
    assert_int_equal(next_frame(talker), SPOP_ACK);
    spop_peer_hello(&out, 16380, false);
    assert_int_equal(send(silent, out_space, (size_t)(out.at - out_space), MSG_NOSIGNAL), out.at - out_space);
    assert_int_equal(next_frame(silent), SPOP_AGENT_HELLO);
    close(talker);
    close(silent);
    destroy(&old); /* the file is not its any more */
    close(connect_client("", 0));
    wait_a_moment();
    assert_int_equal(log_capture_count("taken-over") + log_capture_count("took-over"), 2);
}

/* The frame that has begun is answered by the old one, however long that takes. */
static void what_is_owed_is_waited_for(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    int idle = connect_with_hello();
    int partial = connect_with_hello();
    assert_int_equal(next_frame(partial), SPOP_AGENT_HELLO);
    spop_peer_notify(&out, 1, 1, "m", NULL);
    size_t len = (size_t)(out.at - out_space);
    assert_int_equal(send(partial, out_space, len - 1, MSG_NOSIGNAL), len - 1);
    turn();
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    wait_a_moment();
    assert_int_equal(spop_server_connections(old.server), 1);
    assert_int_equal(spop_server_connections(new.server), 1);
    assert_int_equal(old.given, 0);
    assert_int_equal(log_capture_count("took-over"), 0);
    assert_int_equal(send(partial, out_space + len - 1, 1, MSG_NOSIGNAL), 1);
    assert_int_equal(next_frame(partial), SPOP_ACK);
    await(&old.given, 1);
    turn();
    assert_int_equal(spop_server_connections(new.server), 2);
    wait_a_moment();
    assert_int_equal(old.given, 1);
    close(idle);
    close(partial);
}

/* The one that has asked first goes on. */
static void one_at_a_time(void **state)
{
    (void)state;
    int sock = ask_for_place(&old);
    int other = ask_for_place(&old);
    assert_string_equal(log_capture_last("takeover-refused"),
                        "warning takeover-refused reason=another process is about to");
    assert_true(is_closed(other));
    close(other);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    await(&old.given, 1);
    assert_int_equal(log_capture_count("takeover-refused"), 1);
}

/* It ends before it is told anything, or before it is told all. The listeners stay ours alone, and the next one may ask. */
static void one_that_is_gone(void **state)
{
    (void)state;
    for (int i = 2; i >= 1; i--) {
        failing_send = i;
        int sock = ask_for_place(&old);
        assert_string_equal(log_capture_last("takeover-refused"),
                            "warning takeover-refused reason=Broken pipe");
        assert_true(is_closed(sock));
        close(sock);
        if (i == 2) {
            close(ask_for_place(&old));
            turn();
        }
    }
    assert_int_equal(log_capture_count("takeover-refused"), 2);
    failing_send = 2;
    close(ask_for_place(&old));
}

static void one_that_is_not_known(void **state)
{
    (void)state;
    is_unknown = true;
    int sock = ask_for_place(&old);
    assert_string_equal(log_capture_last("takeover-refused"),
                        "warning takeover-refused reason=another user's process");
    assert_true(is_closed(sock));
    close(sock);
}

static void nothing_to_read_is_no_end(void **state)
{
    (void)state;
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    is_spurious = true;
    send_record(sock, TAKEOVER_TAKE, -1);
    ev_run(loop, EVRUN_NOWAIT);
    assert_false(is_spurious);
    turn();
    assert_int_equal(old.taken, getpid());
    close(sock);
    listeners_own(new.listeners);
}

/* Without TAKE all is as before. Whatever else it says is no TAKE; a descriptor that comes with it is closed. */
static void one_that_does_not_take(void **state)
{
    static const uint32_t kinds[] = {0, TAKEOVER_LISTENER, TAKEOVER_LISTED, TAKEOVER_TAKE,
                                     TAKEOVER_CONNECTION};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t before = count_descriptors();
        int sock = ask_for_place(&old);
        if (kinds[i] != 0)
            send_record(sock, kinds[i], STDIN_FILENO);
        else
            assert_int_equal(send(sock, "x", 1, MSG_NOSIGNAL), 1); /* no record */
        turn();
        assert_true(is_closed(sock));
        close(sock);
        assert_int_equal(count_descriptors(), before);
    }
    close(ask_for_place(&old));
    wait_a_moment();
    assert_int_equal(old.taken, 0);
    assert_int_equal(old.given, 0);
    assert_int_equal(log_capture_count("takeover-refused"), 0);
    assert_int_equal(log_capture_count("took-over"), 0);
    close(connect_with_hello());
    assert_int_equal(old.metrics.connections_total, 1);
}

/* The new one dies when it has taken: what was not given stays, and is not given to anybody. */
static void one_that_dies_after_it_has_taken(void **state)
{
    struct fd_record record;

    (void)state;
    int client = connect_client("\0", 1);
    int sock = ask_for_place(&old);
    close(receive(sock, &record));
    send_record(sock, TAKEOVER_TAKE, -1);
    turn();
    assert_int_equal(old.taken, getpid());
    close(sock);
    turn();
    close(client);
    wait_a_moment();
    assert_int_equal(old.given, 0);
    /* The listeners are not its any more: whoever has taken them has the file. */
    assert_int_equal(unlink(listen_at.addr.name), 0);
}

/* What it says after TAKE ends it. */
static void one_that_takes_twice(void **state)
{
    struct fd_record record;

    (void)state;
    int client = connect_client("\0", 1); /* the beginning of a frame: it cannot be given */
    int sock = ask_for_place(&old);
    close(receive(sock, &record));
    (void)receive(sock, &record);
    send_record(sock, TAKEOVER_TAKE, -1);
    turn();
    assert_false(is_closed(sock));
    send_record(sock, TAKEOVER_TAKE, -1);
    turn();
    assert_true(is_closed(sock));
    assert_int_equal(log_capture_count("taken-over"), 1);
    close(client);
    close(sock);
    assert_int_equal(unlink(listen_at.addr.name), 0);
}

/* Only connections come to a new one. All else ends it, and a descriptor that comes with it is closed. */
static void what_a_new_one_takes(void **state)
{
    static const struct {
        uint32_t kind;
        bool has_fd;
    } cases[] = {
        {TAKEOVER_CONNECTION, false}, {TAKEOVER_TAKE, false},    {TAKEOVER_TAKE, true},
        {TAKEOVER_LISTED, false},     {TAKEOVER_LISTENER, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fd_record record;
        int ends[2];
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        takeover_take(new.takeover, ends[1]);
        assert_int_equal(receive(ends[0], &record), -1);
        assert_int_equal(record.kind, TAKEOVER_TAKE);
        send_record(ends[0], TAKEOVER_CONNECTION, pair[0]);
        send_record(ends[0], cases[i].kind, cases[i].has_fd ? pair[0] : -1);
        close(pair[0]);
        turn();
        assert_true(is_closed(ends[0]));
        close(ends[0]);
        assert_int_equal(log_capture_count("took-over"), i + 1);
        assert_non_null(strstr(log_capture_last("took-over"), " connections=1"));
        assert_int_equal(spop_server_connections(new.server), 1);
        assert_false(is_closed(pair[1]));
        close(pair[1]);
        turn();
        assert_int_equal(spop_server_connections(new.server), 0);
    }
    assert_int_equal(new.taken, 0);
}

/* The place goes from the old one to the new one, and back. */
static void there_and_back(void **state)
{
    (void)state;
    int client = connect_with_hello();
    assert_int_equal(next_frame(client), SPOP_AGENT_HELLO);
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    await(&old.given, 1);
    destroy(&old);
    turn();
    create(&old);
    sock = ask_for_place(&new);
    take_listeners(&old, sock);
    takeover_take(old.takeover, sock);
    await(&new.given, 1);
    assert_int_equal(new.taken, getpid());
    turn();
    assert_int_equal(spop_server_connections(old.server), 1);
    ask(client);
    assert_int_equal(next_frame(client), SPOP_ACK);
    close(client);
}

/* Nothing of it is used again: the build with AddressSanitizer looks. */
static void ends_in_the_midst(void **state)
{
    (void)state;
    int client = connect_client("\0", 1);
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    turn();
    assert_int_equal(old.taken, getpid());
    takeover_destroy(old.takeover);
    old.takeover = NULL;
    takeover_destroy(new.takeover);
    new.takeover = NULL;
    wait_a_moment();
    assert_int_equal(old.given, 0);
    close(client);
    takeover_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_go_along),   TEST(what_is_owed_is_waited_for),
        TEST(one_at_a_time),          TEST(one_that_is_gone),
        TEST(one_that_is_not_known),  TEST(nothing_to_read_is_no_end),
        TEST(one_that_does_not_take), TEST(one_that_dies_after_it_has_taken),
        TEST(one_that_takes_twice),   TEST(what_a_new_one_takes),
        TEST(there_and_back),         TEST(ends_in_the_midst),
    };

    return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
