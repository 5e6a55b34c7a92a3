/* Connections in a real loop, with clients on real sockets. */
#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/serve/spop_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/socket_addr.h"
#include "tests/lib/log_capture.h"
#include "tests/lib/spop_peer.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_S 20.0
#define MANY 20000

struct caller {
    int fd;
    bool is_over; /* the server has closed */
    size_t got;
    uint8_t bytes[4 * 1024 * 1024];
};

static struct ev_loop *loop;
static ev_timer deadline;
static struct spop_server *server;
static struct service_table *table;
static struct metrics metrics;
static struct acceptor_protocol protocol;
static struct acceptor acceptor;
static bool is_listening;
static struct addr addr; /* where the server listens */
static struct caller client;
static unsigned drained;
static uint8_t out_space[2 * 1024 * 1024];

static void on_deadline(struct ev_loop *of, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(of, EVBREAK_ALL);
    fail_msg("nothing happened for %.0f s", DEADLINE_S);
}

static void on_drained(void *context)
{
    (void)context;
    drained++;
}

/* A table without services answers "unknown-service", which is all that is needed here. */
static int set_up(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    memset(&client, 0, sizeof(client));
    client.fd = -1;
    drained = 0;
    is_listening = false;
    log_capture_begin(LOG_LEVEL_DEBUG);
    loop = ev_loop_new(EVFLAG_AUTO);
    table = service_table_create(NULL);
    server = spop_server_create(loop, table, &metrics);
    ev_timer_init(&deadline, on_deadline, DEADLINE_S, 0.0);
    ev_timer_start(loop, &deadline);
    return loop == NULL || table == NULL || server == NULL;
}

static void stop_listening(void)
{
    if (is_listening)
        acceptor_close(&acceptor);
    is_listening = false;
}

static int tear_down(void **state)
{
    (void)state;
    stop_listening();
    if (client.fd != -1)
        close(client.fd);
    spop_server_destroy(server);
    service_table_destroy(table);
    ev_loop_destroy(loop);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return metrics.connections_total != metrics.connections_closed_total;
}

static void listen_on(const struct addr *where)
{
    char error[LISTEN_SOCKET_ERROR_MAX];
    struct listen_socket_options options = {.addr = where, .mode = -1, .owner = "", .group = ""};

    protocol = (struct acceptor_protocol){.name = "spop", .take = spop_server_take, .context = server};
    assert_int_equal(acceptor_open(&acceptor, loop, &options, &protocol, &metrics, false, error), 0);
    is_listening = true;
    addr = acceptor.listening.addr; /* with the port that the kernel chose */
}

static void listen_on_loopback(void)
{
    const struct addr where = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};

    listen_on(&where);
}

static int connect_client(void)
{
    struct sockaddr_storage storage;
    socklen_t len;

    assert_true(socket_addr_from(&addr, &storage, &len));
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&storage, len), 0);
    return fd;
}

static void receive(void)
{
    ssize_t got = 0;

    while (!client.is_over && (got = recv(client.fd, client.bytes + client.got,
                                          sizeof(client.bytes) - client.got, MSG_DONTWAIT)) > 0)
        client.got += (size_t)got;
    client.is_over = client.is_over || got == 0;
}

/* The number of whole frames that came; the last one in `last`. */
static size_t frames(struct spop_frame *last)
{
    struct span rest = span_of(client.bytes, client.got);
    size_t count = 0;

    while (spop_peer_reply(&rest, last))
        count++;
    return count;
}

static struct spop_frame await_frames(size_t count)
{
    struct spop_frame frame = {.type = 0};

    for (receive(); frames(&frame) < count; receive())
        ev_run(loop, EVRUN_ONCE | (client.is_over ? EVRUN_NOWAIT : 0));
    assert_int_equal(frames(&frame), count);
    return frame;
}

static void await_connections(size_t count)
{
    while (spop_server_connections(server) != count)
        ev_run(loop, EVRUN_ONCE);
}

/* Sends all, in pieces of at most `piece` bytes, while the loop runs. */
static void send_all(const struct sink *out, size_t piece)
{
    size_t len = (size_t)(out->at - out_space);
    size_t sent = 0;

    assert_false(out->full);
    while (sent < len) {
        size_t part = len - sent < piece ? len - sent : piece;
        ssize_t took = send(client.fd, out_space + sent, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took > 0)
            sent += (size_t)took;
        else
            assert_true(errno == EAGAIN);
        ev_run(loop, EVRUN_NOWAIT);
    }
}

static void say_hello(void)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    client.fd = connect_client();
    spop_peer_hello(&out, 16380, false);
    send_all(&out, SIZE_MAX);
    struct spop_frame frame = await_frames(1);
    assert_int_equal(frame.type, SPOP_AGENT_HELLO);
}

static void check_talk(void)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    say_hello();
    assert_int_equal(spop_server_connections(server), 1);
    spop_peer_notify(&out, 7, 8, "mymaster", NULL);
    send_all(&out, SIZE_MAX);
    struct spop_frame frame = await_frames(2);
    assert_true(frame.type == SPOP_ACK && frame.stream_id == 7 && frame.frame_id == 8);
    assert_true(spop_peer_says(&frame, "state", "unknown-service"));
    close(client.fd);
    client.fd = -1;
    await_connections(0);
    assert_int_equal(metrics.connections_total, 1);
    assert_int_equal(metrics.connections_closed_total, 1);
    assert_int_equal(log_capture_count("spop-error"), 0);
}

static void tcp(void **state)
{
    (void)state;
    listen_on_loopback();
    check_talk();
}

/* On a socket in a directory of its own, which close_local() removes. */
static void listen_on_local(char directory[32])
{
    char text[64];
    struct addr where;

    snprintf(directory, 32, "/tmp/server-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(text, sizeof(text), "unix:%s/socket", directory);
    assert_true(addr_parse(span_of_text(text), &where));
    listen_on(&where);
}

/* The socket goes with the listener. */
static void close_local(const char *directory)
{
    stop_listening();
    assert_int_equal(rmdir(directory), 0);
}

static void unix_socket(void **state)
{
    char directory[32];

    (void)state;
    listen_on_local(directory);
    check_talk();
    close_local(directory);
}

static void in_single_bytes(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    listen_on_loopback();
    client.fd = connect_client();
    spop_peer_hello(&out, 16380, false);
    for (unsigned i = 0; i < 5; i++)
        spop_peer_notify(&out, i, 1, "mymaster", NULL);
    send_all(&out, 1);
    struct spop_frame frame = await_frames(6);
    assert_int_equal(frame.stream_id, 4);
}

/* What one connection has sent by halves does not mix with what the others send meanwhile. */
static void two_clients(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));
    struct spop_frame frame;

    (void)state;
    listen_on_loopback();
    int other = connect_client();
    spop_peer_hello(&out, 256, true); /* while the table is ready: it has no service that is starting */
    assert_int_equal(send(other, out_space, 20, 0), 20);
    await_connections(1);
    say_hello();
    out = sink_of(out_space, sizeof(out_space));
    spop_peer_hello(&out, 256, true);
    size_t rest = (size_t)(out.at - out_space) - 20;
    assert_int_equal(send(other, out_space + 20, rest, 0), rest);
    close(client.fd);
    client.fd = other;
    client.got = 0;
    frame = await_frames(1);
    assert_int_equal(frame.type, SPOP_AGENT_HELLO);
    assert_int_equal(metrics.healthchecks_total, 1);
}

/*
 * The client sends far more than the buffers of both sides hold (those of a UNIX socket do not grow) and
 * reads only when nothing goes any more: nothing is lost, doubled or out of order.
 */
static void client_that_does_not_read(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));
    struct spop_frame frame;
    char directory[32];
    unsigned stuck = 0;

    (void)state;
    listen_on_local(directory);
    say_hello();
    for (unsigned i = 0; i < MANY; i++)
        spop_peer_frame(&out, SPOP_NOTIFY, i, 1, span_of(NULL, 0)); /* short: the replies are far longer */
    size_t len = (size_t)(out.at - out_space);
    for (size_t sent = 0; sent < len;) {
        ssize_t took = send(client.fd, out_space + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took > 0)
            sent += (size_t)took;
        else if (++stuck % 100 == 0)
            receive();
        ev_run(loop, EVRUN_NOWAIT);
    }
    assert_true(stuck >= 100); /* all was full */
    await_frames(1 + MANY);
    struct span rest = span_of(client.bytes, client.got);
    assert_true(spop_peer_reply(&rest, &frame));
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(spop_peer_reply(&rest, &frame));
        assert_int_equal(frame.stream_id, i);
    }
    assert_int_equal(metrics.notifies_total, MANY);
    close_local(directory);
}

/* It is told what was wrong, then our side is shut down; once it closes, too, nothing is left. */
static void garbage(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    listen_on_loopback();
    client.fd = connect_client();
    sink_put(&out, "GET / HTTP/1.0\r\n\r\n", 18);
    send_all(&out, SIZE_MAX);
    struct spop_frame frame = await_frames(1);
    assert_int_equal(spop_peer_status(&frame), SPOP_STATUS_TOO_BIG);
    for (receive(); !client.is_over; receive())
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(spop_server_connections(server), 1);
    assert_string_equal(log_capture_last("spop-error"), "warning spop-error error=frame is too big status=3");
    close(client.fd);
    client.fd = -1;
    await_connections(0);
    assert_int_equal(metrics.protocol_errors_total, 1);
}

static void on_wait_over(struct ev_loop *of, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(of, EVBREAK_ALL);
}

static void run_for(double seconds)
{
    ev_timer timer;

    ev_now_update(loop);
    ev_timer_init(&timer, on_wait_over, seconds, 0.0);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
}

static bool is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* At the limit the oldest peer without HELLO makes room. A peer with HELLO stays, and so does a young one. */
static void silent_peers_make_room(void **state)
{
    int silent[2];

    (void)state;
    spop_server_limit(server, 3, 0);
    listen_on_loopback();
    say_hello();
    int talker = client.fd;
    for (size_t i = 0; i < 2; i++) {
        silent[i] = connect_client();
        await_connections(2 + i);
    }
    int young = connect_client(); /* a guest: the others may still say HELLO */
    await_connections(4);
    assert_int_equal(metrics.refused_total, 0);
    run_for(1.1);
    client.got = 0;
    say_hello();
    assert_int_equal(metrics.refused_total, 1);
    assert_int_equal(log_capture_count("connection-refused"), 1);
    assert_true(is_closed(silent[0]));
    assert_false(is_closed(silent[1]) || is_closed(talker) || is_closed(young));
    close(silent[0]);
    close(silent[1]);
    close(talker);
    close(young);
}

static void drain_without_connections(void **state)
{
    (void)state;
    listen_on_loopback();
    spop_server_drain(server, on_drained, NULL);
    assert_int_equal(drained, 1);
}

/* What was sent before is answered, then comes AGENT-DISCONNECT. */
static void drain(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    listen_on_loopback();
    say_hello();
    spop_peer_notify(&out, 5, 1, "mymaster", NULL);
    assert_int_equal(send(client.fd, out_space, (size_t)(out.at - out_space), 0), out.at - out_space);
    spop_server_drain(server, on_drained, NULL); /* the loop has not run in between */
    assert_int_equal(drained, 0);
    struct spop_frame frame = await_frames(3);
    assert_int_equal(spop_peer_status(&frame), SPOP_STATUS_NORMAL);
    assert_int_equal(metrics.notifies_total, 1);
    close(client.fd);
    client.fd = -1;
    await_connections(0);
    assert_int_equal(drained, 1);
    assert_int_equal(log_capture_count("spop-error"), 0);
}

/* A peer that never closes is left after the time for lingering. */
static void drain_of_a_peer_that_stays(void **state)
{
    (void)state;
    listen_on_loopback();
    say_hello();
    spop_server_drain(server, on_drained, NULL);
    await_connections(0);
    assert_int_equal(drained, 1);
}

static void destroy_with_connections(void **state)
{
    int fds[10];

    (void)state;
    listen_on_loopback();
    for (size_t i = 0; i < 10; i++)
        fds[i] = connect_client();
    await_connections(10);
    spop_server_destroy(server);
    server = NULL;
    assert_int_equal(metrics.connections_closed_total, 10);
    for (size_t i = 0; i < 10; i++)
        close(fds[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tcp),
        TEST(unix_socket),
        TEST(in_single_bytes),
        TEST(two_clients),
        TEST(client_that_does_not_read),
        TEST(garbage),
        TEST(silent_peers_make_room),
        TEST(drain_without_connections),
        TEST(drain),
        TEST(drain_of_a_peer_that_stays),
        TEST(destroy_with_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
