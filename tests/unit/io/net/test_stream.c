/* Streams over socket pairs, with our own client at the other end. */
#include "spoa/io/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/tls.h"
#include "tests/lib/log_capture.h"
#include "tests/unit/io/descriptors.h"
#include "tests/unit/io/net/certificate_fixture.h"

#define LONG ((size_t)1024 * 1024)
#define TURNS 100000

static const struct addr peer = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};

static struct tls *server_tls;
static struct tls *client_tls;
static int to_server[2]; /* a relay between client and server can hold bytes back; see join() */
static int to_client[2];
static struct stream stream;
static size_t opened_before;
static struct tls_stream *client;
static uint8_t sent[LONG];
static uint8_t got[LONG];

static int set_up_all(void **state)
{
    for (size_t i = 0; i < LONG; i++)
        sent[i] = (uint8_t)(i * 7 + i / 1000);
    (void)signal(SIGPIPE, SIG_IGN);
    return make_certificate(state);
}

static void make_tls(bool asks_clients, bool has_own)
{
    const struct config_tls ours = {.is_on = true,
                                    .cert_file = certificate,
                                    .key_file = certificate_key,
                                    .ca_file = asks_clients ? certificate : NULL};
    const struct config_tls theirs = {.is_on = true,
                                      .ca_file = certificate,
                                      .cert_file = has_own ? certificate : NULL,
                                      .key_file = has_own ? certificate_key : NULL};
    char error[TLS_ERROR_MAX];

    server_tls = tls_create_server(&ours, error);
    assert_non_null(server_tls);
    client_tls = tls_create(&theirs, error);
    assert_non_null(client_tls);
}

/* The server's end is to_server[1]; the client's is to_server[0], or with a relay to_client[0]. */
static int set_up(void **state)
{
    (void)state;
    opened_before = count_descriptors();
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to_server) == -1 ||
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to_client) == -1;
}

/* Fails where a descriptor was left. */
static int tear_down(void **state)
{
    (void)state;
    tls_stream_destroy(client);
    tls_destroy(server_tls);
    tls_destroy(client_tls);
    client = NULL;
    server_tls = client_tls = NULL;
    stream_close(&stream);
    close(to_server[0]);
    close(to_client[0]);
    close(to_client[1]);
    return stream.fd != -1 || stream.tls != NULL || count_descriptors() != opened_before;
}

static void open_streams(int client_fd)
{
    assert_true(stream_open(&stream, to_server[1], server_tls));
    client = tls_stream_create(client_tls, client_fd, &peer);
    assert_non_null(client);
}

static ssize_t read_nothing(void)
{
    uint8_t byte;

    return stream_read(&stream, &byte, sizeof(byte));
}

/* Until both are ready. */
static void shake_hands(void)
{
    int done = 0;

    for (int i = 0; i < TURNS && !(done == 1 && stream_is_ready(&stream)); i++) {
        if (done != 1)
            done = tls_stream_handshake(client);
        assert_int_not_equal(done, -1);
        assert_int_equal(read_nothing(), -1);
        assert_int_equal(errno, EAGAIN);
    }
    assert_int_equal(done, 1);
    assert_true(stream_is_ready(&stream));
}

static void test_plain(void **state)
{
    uint8_t bytes[16];

    (void)state;
    assert_true(stream_open(&stream, to_server[1], NULL));
    assert_false(stream_is_secure(&stream));
    assert_true(stream_is_ready(&stream));
    assert_int_equal(read_nothing(), -1);
    assert_int_equal(errno, EAGAIN);
    assert_false(stream_awaits_room(&stream, false));
    assert_true(stream_awaits_room(&stream, true));
    assert_false(stream_has_unread(&stream));
    assert_int_equal(write(to_server[0], "a", 1), 1);
    assert_true(stream_has_unread(&stream));
    assert_int_equal(write(to_server[0], "bc", 2), 2);
    assert_false(stream_has_part(&stream));
    assert_int_equal(stream_read(&stream, bytes, sizeof(bytes)), 3);
    assert_int_equal(stream_write(&stream, span_of("def", 3)), 3);
    stream_end(&stream);
    assert_int_equal(read(to_server[0], bytes, sizeof(bytes)), 3);
    assert_int_equal(read(to_server[0], bytes, sizeof(bytes)), 0);
}

static int count_unread(int fd)
{
    int count = -1;

    assert_int_equal(ioctl(fd, FIONREAD, &count), 0);
    return count;
}

static void test_both_directions(void **state)
{
    uint8_t bytes[16];

    (void)state;
    make_tls(true, true);
    open_streams(to_server[0]);
    assert_true(stream_is_secure(&stream));
    assert_false(stream_is_ready(&stream));
    shake_hands();
    assert_false(stream_awaits_room(&stream, false));
    assert_int_equal(tls_stream_write(client, "question", 8), 8);
    assert_true(stream_has_unread(&stream));
    assert_int_equal(stream_read(&stream, bytes, sizeof(bytes)), 8);
    assert_false(stream_has_unread(&stream));
    /* The files may be others by now, and what was read from them gone. */
    tls_destroy(server_tls);
    server_tls = NULL;
    assert_int_equal(stream_write(&stream, span_of("answer", 6)), 6);
    assert_int_equal(tls_stream_read(client, bytes, sizeof(bytes)), 6);
    assert_memory_equal(bytes, "answer", 6);
    assert_int_equal(count_unread(to_server[0]), 0);
    stream_end(&stream);
    assert_true(count_unread(to_server[0]) > 0); /* not only the socket has an end, but what is said, too */
    assert_int_equal(tls_stream_read(client, bytes, sizeof(bytes)), 0);
}

/* More than the sockets hold: the rest is written when the peer has read. */
static void test_long_output(void **state)
{
    size_t written = 0;
    size_t received = 0;
    unsigned waits = 0;

    (void)state;
    make_tls(false, false);
    open_streams(to_server[0]);
    shake_hands();
    for (int i = 0; i < TURNS && received < LONG; i++) {
        if (written < LONG) {
            ssize_t len = stream_write(&stream, span_of(sent + written, LONG - written));
            assert_true(len > 0 || errno == EAGAIN);
            written += len > 0 ? (size_t)len : 0;
            waits += written < LONG;
            assert_true(written == LONG || stream_awaits_room(&stream, true));
        }
        ssize_t len = tls_stream_read(client, got + received, LONG - received);
        received += len > 0 ? (size_t)len : 0;
    }
    assert_int_equal(received, LONG);
    assert_true(waits > 1);
    assert_memory_equal(got, sent, LONG);
}

/* Hands at most `max` bytes on from the client to the server. How many. */
static size_t relay(size_t max)
{
    ssize_t len = read(to_client[1], got, max);

    if (len <= 0)
        return 0;
    assert_int_equal(write(to_server[0], got, (size_t)len), len);
    return (size_t)len;
}

static void relay_back(void)
{
    ssize_t len = read(to_server[0], got, sizeof(got));

    if (len > 0)
        assert_int_equal(write(to_client[1], got, (size_t)len), len);
}

/* Byte by byte: nothing is lost, and what cannot be read yet is known. */
static void test_trickle(void **state)
{
    uint8_t bytes[16];
    int done = 0;
    unsigned parts = 0;

    (void)state;
    make_tls(false, false);
    open_streams(to_client[0]);
    for (int i = 0; i < TURNS && !(done == 1 && stream_is_ready(&stream)); i++) {
        if (done != 1)
            done = tls_stream_handshake(client);
        (void)relay(1);
        assert_int_equal(read_nothing(), -1);
        assert_int_equal(errno, EAGAIN);
        assert_false(stream_awaits_room(&stream, false));
        relay_back();
    }
    assert_true(stream_is_ready(&stream));
    assert_false(stream_has_part(&stream));
    assert_int_equal(tls_stream_write(client, "question", 8), 8);
    ssize_t len = -1;
    while (relay(1) == 1 && (len = stream_read(&stream, bytes, sizeof(bytes))) == -1) {
        assert_int_equal(errno, EAGAIN);
        parts += stream_has_part(&stream) && stream_has_unread(&stream);
    }
    assert_int_equal(len, 8);
    assert_true(parts > 8);
    assert_false(stream_has_part(&stream));
}

/* The peer does not read: the handshake waits for room, and goes on when there is some. */
static void test_no_room_for_the_handshake(void **state)
{
    size_t filled = 0;
    ssize_t len;

    (void)state;
    make_tls(false, false);
    open_streams(to_client[0]);
    while ((len = write(to_server[1], sent, 1000)) > 0)
        filled += (size_t)len;
    assert_int_equal(tls_stream_handshake(client), 0);
    assert_true(relay(LONG) > 0);
    assert_int_equal(read_nothing(), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(stream_awaits_room(&stream, false));
    while (filled > 0) {
        len = read(to_server[0], got, filled);
        assert_true(len > 0);
        filled -= (size_t)len;
    }
    for (int i = 0; i < TURNS && !stream_is_ready(&stream); i++) {
        assert_int_equal(read_nothing(), -1);
        assert_false(stream_awaits_room(&stream, false));
        relay_back();
        assert_int_not_equal(tls_stream_handshake(client), -1);
        (void)relay(LONG);
    }
    assert_true(stream_is_ready(&stream));
}

static void check_refusal(const char *reason)
{
    ssize_t len = -1;

    errno = EAGAIN;
    for (int i = 0; i < TURNS && len == -1 && errno == EAGAIN; i++) {
        if (client != NULL)
            (void)!tls_stream_handshake(client);
        len = read_nothing();
    }
    assert_int_equal(len, -1);
    assert_int_equal(errno, EPROTO);
    log_capture_begin(LOG_LEVEL_WARNING);
    stream_log_failure(&stream, EVENT_SPOP_TLS_FAILED);
    assert_non_null(strstr(log_capture_last("spop-tls-failed"), reason));
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

static void test_plain_peer(void **state)
{
    static const char hello[] = "\0\0\0\x08\x01\0\0\0\x01\0\0\0";

    (void)state;
    make_tls(false, false);
    assert_true(stream_open(&stream, to_server[1], server_tls));
    assert_int_equal(write(to_server[0], hello, sizeof(hello)), sizeof(hello));
    check_refusal("TLS: wrong version number");
}

/* Makes both ends of `to_server` those of a connection by TCP; the client's address is written. */
static void connect_by_tcp(char ret_text[ADDR_TEXT_MAX])
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(local);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int calling = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listening, (const struct sockaddr *)&local, sizeof(local)), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&local, &len), 0);
    assert_int_equal(connect(calling, (const struct sockaddr *)&local, sizeof(local)), 0);
    int accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_int_equal(getsockname(calling, (struct sockaddr *)&local, &len), 0);
    (void)snprintf(ret_text, ADDR_TEXT_MAX, "127.0.0.1:%u", (unsigned)ntohs(local.sin_port));
    assert_int_equal(dup2(calling, to_server[0]), to_server[0]);
    assert_int_equal(dup2(accepted, to_server[1]), to_server[1]);
    close(listening);
    close(calling);
    close(accepted);
}

static void test_who_it_was_is_told(void **state)
{
    char expected[ADDR_TEXT_MAX + 32];
    char text[ADDR_TEXT_MAX];

    (void)state;
    connect_by_tcp(text);
    make_tls(false, false);
    assert_true(stream_open(&stream, to_server[1], server_tls));
    assert_int_equal(write(to_server[0], "this is no record", 17), 17);
    while (read_nothing() == -1 && errno == EAGAIN)
        continue;
    assert_int_equal(errno, EPROTO);
    log_capture_begin(LOG_LEVEL_WARNING);
    stream_log_failure(&stream, EVENT_SPOP_TLS_FAILED);
    (void)snprintf(expected, sizeof(expected), "peer=%s reason=TLS: ", text);
    assert_non_null(strstr(log_capture_last("spop-tls-failed"), expected));
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

static void test_peer_without_certificate(void **state)
{
    (void)state;
    make_tls(true, false);
    open_streams(to_server[0]);
    check_refusal("TLS: peer did not return a certificate");
}

/* It only looked whether somebody listens: no fault. */
static void test_peer_that_closes(void **state)
{
    (void)state;
    make_tls(false, false);
    assert_true(stream_open(&stream, to_server[1], server_tls));
    assert_int_equal(read_nothing(), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(shutdown(to_server[0], SHUT_WR), 0);
    assert_true(read_nothing() == 0 || errno != EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_both_directions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trickle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room_for_the_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plain_peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_it_was_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_without_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_that_closes, set_up, tear_down),
    };
    const struct CMUnitTest plain[] = {
        cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
    };

    if (strcmp(tls_version(), "not built") == 0)
        return cmocka_run_group_tests(plain, NULL, NULL);
    return cmocka_run_group_tests(tests, set_up_all, remove_certificate);
}
