/* What is sent to a Redis or a Sentinel, what is made of its reply, and why there is none; with TLS, too. */
#include "spoa/cli/redis_client.h"

#include "tests/unit/cli/peer_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/cli/stopwatch.h"
#include "spoa/core/config/config.h"
#include "spoa/core/redis/reply.h"
#include "spoa/io/net/tls.h"
#include "spoa/io/redis/reply_parser.h"
#include "tests/unit/io/net/certificate_fixture.h"

#define LONG_REPLY 100000

static const char *const ping[] = {"PING", NULL};
static const struct config_tls no_tls;
static struct config_tls with_tls;

/* ---- peers ---- */

static const char *greeting = "+PONG\r\n";

/* Says the greeting, then of each command how it came. */
static void serve_echo(int sock)
{
    char bytes[4096];
    char head[16];

    for (bool is_greeted = false;; is_greeted = true) {
        ssize_t got = recv(sock, bytes, sizeof(bytes), 0);
        if (got <= 0)
            return;
        if (!is_greeted && bytes[1] == '1') {
            (void)send(sock, greeting, strlen(greeting), MSG_NOSIGNAL);
            continue;
        }
        int len = snprintf(head, sizeof(head), "$%zd\r\n", got);
        (void)send(sock, head, (size_t)len, MSG_NOSIGNAL);
        (void)send(sock, bytes, (size_t)got, MSG_NOSIGNAL);
        (void)send(sock, "\r\n", 2, MSG_NOSIGNAL);
    }
}

/* Says the greeting to the first command, and then nothing. */
static void serve_once(int sock)
{
    char bytes[256];

    if (recv(sock, bytes, sizeof(bytes), 0) > 0)
        (void)send(sock, greeting, strlen(greeting), MSG_NOSIGNAL);
    while (recv(sock, bytes, sizeof(bytes), 0) > 0)
        continue;
}

static void serve_nothing(int sock)
{
    char byte;

    while (recv(sock, &byte, 1, 0) > 0)
        continue;
}

static void hang_up(int sock)
{
    (void)sock;
}

/* Answers when others are given up. */
static void serve_late(int sock)
{
    char bytes[256];

    while (recv(sock, bytes, sizeof(bytes), 0) > 0) {
        (void)poll(NULL, 0, BLOCKING_SOCKET_TIMEOUT_S * 1000 + 700);
        (void)send(sock, "+LATE\r\n", 7, MSG_NOSIGNAL);
    }
}

/* Over TLS: a greeting, then a long reply to each command. */
static void serve_tls(int sock)
{
    char error[TLS_ERROR_MAX];
    char bytes[256];
    static char reply[LONG_REPLY];
    struct tls *tls = tls_create_server(&with_tls, error);
    struct tls_stream *stream = tls != NULL ? tls_stream_accept(tls, sock) : NULL;
    size_t len = (size_t)snprintf(reply, sizeof(reply), "$%d\r\n", LONG_REPLY - 20);

    memset(reply + len, 'x', LONG_REPLY - 20);
    memcpy(reply + len + LONG_REPLY - 20, "\r\n", 2);
    if (stream == NULL || tls_stream_read(stream, bytes, sizeof(bytes)) <= 0)
        return;
    (void)!tls_stream_write(stream, "+PONG\r\n", 7);
    while (tls_stream_read(stream, bytes, sizeof(bytes)) > 0)
        (void)!tls_stream_write(stream, reply, len + LONG_REPLY - 18);
}

static struct redis_client open_at(const struct peer *peer, const char *username, const char *password)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    char *const user = (char *)(uintptr_t)username;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    char *const secret = (char *)(uintptr_t)password;
    const struct config_credentials credentials = {.username = user, .password = secret};

    return redis_client_open(&peer->addr, &credentials, &no_tls);
}

/* ---- tests ---- */

static void expect_closed(const struct redis_client *client, const char *error)
{
    assert_string_equal(client->error, error);
    assert_null(client->parser);
    assert_null(client->stream);
    assert_null(client->tls);
    assert_int_equal(client->fd, -1);
}

static void expect_text(const struct reply *reply, const char *text)
{
    assert_non_null(reply);
    assert_int_equal(reply->kind, REPLY_TEXT);
    assert_true(span_equals_text(reply->text, text));
}

static void expect_patience(int fd, unsigned seconds)
{
    struct timeval timeout;
    socklen_t len = sizeof(timeout);

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len), 0);
    assert_int_equal(timeout.tv_sec, seconds);
}

static void commands(void **state)
{
    static const char *const words[] = {"SET", "a b", "", NULL};
    struct peer peer = peer_start(serve_echo);
    size_t before = count_descriptors();
    struct redis_client client = open_at(&peer, NULL, NULL);

    (void)state;
    assert_string_equal(client.error, "");
    assert_false(client.wants_password);
    assert_int_equal(fcntl(client.fd, F_GETFL) & O_NONBLOCK, 0);
    expect_patience(client.fd, BLOCKING_SOCKET_TIMEOUT_S);
    expect_text(redis_client_ask(&client, words), "*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n");
    expect_text(redis_client_ask(&client, ping), "*1\r\n$4\r\nPING\r\n");
    redis_client_close(&client);
    expect_closed(&client, "");
    assert_null(redis_client_ask(&client, ping));
    redis_client_close(&client);
    assert_int_equal(count_descriptors(), before);
    peer_stop(&peer);
}

/* The first command has the password, and a refusal of it is known as one. */
static void passwords(void **state)
{
    static const struct {
        const char *says;
        const char *password;
        bool is_refused;
    } cases[] = {
        {"-WRONGPASS no\r\n", "p", true},  {"-ERR odd\r\n", "p", true}, {"-NOAUTH no\r\n", NULL, true},
        {"-ERR odd\r\n", NULL, false},     {"+OK\r\n", "p", false},     {"-LOADING data\r\n", NULL, false},
        {"-NOPERM ping\r\n", NULL, false}, {":7\r\n", "p", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        greeting = cases[i].says;
        struct peer peer = peer_start(serve_once);
        struct redis_client client = open_at(&peer, NULL, cases[i].password);
        assert_int_equal(client.wants_password, cases[i].is_refused);
        assert_non_null(client.parser);
        size_t len = cases[i].is_refused ? strlen(cases[i].says) - strlen("-\r\n") : 0;
        assert_int_equal(strlen(client.error), len);
        assert_memory_equal(client.error, cases[i].says + 1, len);
        redis_client_close(&client);
        peer_stop(&peer);
    }
}

static void expect_greeting(const char *username, const char *password, const char *sent)
{
    struct addr addr;
    char bytes[256] = "";
    int listener = peer_bind(8, &addr);
    pid_t pid = fork();

    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        const struct peer peer = {.addr = addr};
        struct redis_client client = open_at(&peer, username, password);
        redis_client_close(&client);
        _exit(0);
    }
    int sock = accept(listener, NULL, NULL);
    assert_int_equal(recv(sock, bytes, strlen(sent), MSG_WAITALL), strlen(sent));
    assert_string_equal(bytes, sent);
    close(sock);
    close(listener);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void greetings(void **state)
{
    (void)state;
    expect_greeting(NULL, NULL, "*1\r\n$4\r\nPING\r\n");
    expect_greeting("user", NULL, "*1\r\n$4\r\nPING\r\n");
    expect_greeting(NULL, "pass", "*2\r\n$4\r\nAUTH\r\n$4\r\npass\r\n");
    expect_greeting("u", "pass", "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$4\r\npass\r\n");
}

/* A peer that closes, says that it does, or says nonsense, is known at once. */
static void peers_that_leave(void **state)
{
    static const struct {
        void (*serve)(int sock);
        const char *says;
        const char *error;
    } cases[] = {
        {hang_up, "", "no reply"},
        {serve_once, "-ERR max number of clients reached\r\n", "ERR max number of clients reached"},
        {serve_once, "-DENIED Redis is running in protected mode\r\n",
         "DENIED Redis is running in protected mode"},
        {serve_once, "nonsense\r\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        greeting = cases[i].says;
        struct peer peer = peer_start(cases[i].serve);
        size_t before = count_descriptors();
        int64_t begin_ms = stopwatch_ms();
        struct redis_client client = open_at(&peer, NULL, NULL);
        assert_true(stopwatch_ms() - begin_ms < BLOCKING_SOCKET_TIMEOUT_S * 1000 - 500);
        assert_string_not_equal(client.error, "");
        expect_closed(&client, cases[i].error != NULL ? cases[i].error : client.error);
        assert_false(client.wants_password);
        assert_int_equal(count_descriptors(), before);
        peer_stop(&peer);
    }
}

/* The same later, and a peer that falls silent. Nothing more is sent then. */
static void peers_that_leave_later(void **state)
{
    (void)state;
    greeting = "+PONG\r\n";
    struct peer silent = peer_start(serve_once);
    struct redis_client client = open_at(&silent, NULL, NULL);
    size_t before = count_descriptors();
    int64_t begin_ms = stopwatch_ms();

    assert_null(redis_client_ask(&client, ping));
    assert_true(stopwatch_ms() - begin_ms >= BLOCKING_SOCKET_TIMEOUT_S * 1000 - 100);
    expect_closed(&client, "no reply");
    assert_int_equal(count_descriptors(), before - 1);
    client = open_at(&silent, NULL, NULL);
    assert_non_null(client.parser);
    shutdown(client.fd, SHUT_WR);
    assert_null(redis_client_ask(&client, ping));
    expect_closed(&client, "no reply");
    client = open_at(&silent, NULL, NULL);
    begin_ms = stopwatch_ms();
    shutdown(client.fd, SHUT_RD);
    assert_null(redis_client_ask(&client, ping));
    assert_true(stopwatch_ms() - begin_ms < BLOCKING_SOCKET_TIMEOUT_S * 1000 - 500);
    expect_closed(&client, "no reply");
    peer_stop(&silent);
    greeting = "+PONG\r\n-ERR max number of clients reached\r\n";
    struct peer full = peer_start(serve_once);
    client = open_at(&full, NULL, NULL);
    assert_null(redis_client_ask(&client, ping));
    expect_closed(&client, "ERR max number of clients reached");
    peer_stop(&full);
}

/* The longest patience of all counts for the first reply, and each has its own later. Others do not wait for it. */
static void patience(void **state)
{
    static const struct config_credentials none;
    struct peer late = peer_start(serve_late);
    struct peer silent = peer_start(serve_nothing);
    struct redis_target targets[] = {
        {.addr = &late.addr,
         .credentials = &none,
         .tls = &no_tls,
         .patience_s = BLOCKING_SOCKET_TIMEOUT_S + 3},
        {.addr = &silent.addr, .credentials = &none, .tls = &no_tls},
        {.addr = &late.addr, .credentials = &none, .tls = &no_tls, .patience_s = 1},
    };

    (void)state;
    int64_t begin_ms = stopwatch_ms();
    redis_client_open_all(targets, 3);
    assert_true(stopwatch_ms() - begin_ms >= BLOCKING_SOCKET_TIMEOUT_S * 1000 + 2900);
    expect_closed(&targets[1].client, "no reply");
    for (size_t i = 0; i < 3; i += 2) {
        assert_string_equal(targets[i].client.error, "");
        assert_int_equal(fcntl(targets[i].client.fd, F_GETFL) & O_NONBLOCK, 0);
        expect_patience(targets[i].client.fd, targets[i].patience_s);
        redis_client_close(&targets[i].client);
    }
    peer_stop(&late);
    peer_stop(&silent);
}

static int64_t busy_ms(void)
{
    struct timespec busy;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &busy), 0);
    return (int64_t)busy.tv_sec * 1000 + busy.tv_nsec / 1000000;
}

/* They cost the usual time limit together, and no work meanwhile. One that nobody listens for costs none. */
static void silent_peers(void **state)
{
    static const struct config_credentials none;
    struct peer silent = peer_start(serve_nothing);
    struct addr nowhere;
    int sock = peer_bind(-1, &nowhere);
    struct redis_target targets[] = {
        {.addr = &silent.addr, .credentials = &none, .tls = &no_tls},
        {.addr = &nowhere, .credentials = &none, .tls = &no_tls},
        {.addr = &silent.addr, .credentials = &none, .tls = &with_tls},
    };

    (void)state;
    int64_t begin_ms = stopwatch_ms();
    int64_t begin_busy_ms = busy_ms();
    redis_client_open_all(targets, strcmp(tls_version(), "not built") == 0 ? 2 : 3);
    assert_in_range(stopwatch_ms() - begin_ms, BLOCKING_SOCKET_TIMEOUT_S * 1000 - 100,
                    BLOCKING_SOCKET_TIMEOUT_S * 2000);
    assert_true(busy_ms() - begin_busy_ms < BLOCKING_SOCKET_TIMEOUT_S * 500);
    expect_closed(&targets[0].client, "no reply");
    expect_closed(&targets[1].client, "Connection refused");
    if (strcmp(tls_version(), "not built") != 0)
        expect_closed(&targets[2].client, "TLS: no answer");
    close(sock);
    peer_stop(&silent);
}

static void secure(void **state)
{
    static const struct config_credentials none;
    struct peer peer = peer_start(serve_tls);
    struct peer plain = peer_start(hang_up);
    struct config_tls trusting = {.is_on = true, .ca_file = certificate};
    struct config_tls distrusting = {.is_on = true};
    struct config_tls bad = {.is_on = true, .ca_file = (char[]){"/nowhere.pem"}};
    size_t before = count_descriptors();

    (void)state;
    struct redis_client client = redis_client_open(&peer.addr, &none, &trusting);
    assert_string_equal(client.error, "");
    assert_non_null(client.stream);
    for (int i = 0; i < 2; i++) {
        const struct reply *reply = redis_client_ask(&client, ping);
        assert_non_null(reply);
        assert_int_equal(reply->text.len, LONG_REPLY - 20);
    }
    redis_client_close(&client);
    expect_closed(&client, "");
    client = redis_client_open(&peer.addr, &none, &distrusting);
    assert_non_null(strstr(client.error, "certificate"));
    expect_closed(&client, client.error);
    client = redis_client_open(&peer.addr, &none, &bad);
    assert_non_null(strstr(client.error, "/nowhere.pem"));
    expect_closed(&client, client.error);
    int64_t begin_ms = stopwatch_ms();
    client = redis_client_open(&plain.addr, &none, &trusting);
    assert_true(stopwatch_ms() - begin_ms < BLOCKING_SOCKET_TIMEOUT_S * 1000 - 500);
    assert_string_not_equal(client.error, "");
    expect_closed(&client, client.error);
    assert_int_equal(count_descriptors(), before);
    peer_stop(&peer);
    peer_stop(&plain);
}

static void fields(void **state)
{
    struct reply elements[] = {
        {.kind = REPLY_TEXT, .text = span_of_text("ip")},
        {.kind = REPLY_TEXT, .text = span_of_text("a")},
        {.kind = REPLY_TEXT, .text = span_of_text("port")},
        {.kind = REPLY_INTEGER},
        {.kind = REPLY_INTEGER},
        {.kind = REPLY_TEXT, .text = span_of_text("b")},
        {.kind = REPLY_TEXT, .text = span_of_text("a")},
        {.kind = REPLY_TEXT, .text = span_of_text("c")},
        {.kind = REPLY_TEXT, .text = span_of_text("last")},
    };
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = elements, .count = 9};

    (void)state;
    assert_true(span_equals_text(redis_client_field(&reply, "ip"), "a"));
    assert_true(span_equals_text(redis_client_field(&reply, "a"), "c"));
    assert_int_equal(redis_client_field(&reply, "port").len, 0);
    assert_int_equal(redis_client_field(&reply, "last").len, 0);
    assert_int_equal(redis_client_field(&reply, "").len, 0);
    assert_int_equal(redis_client_field(NULL, "ip").len, 0);
}

static bool keeps_none(void *context, const struct reply *element)
{
    (void)context;
    (void)element;
    return false;
}

static void filters(void **state)
{
    static const struct reply_filter filter = {.keeps = keeps_none};
    struct redis_client client = {.fd = -1};

    (void)state;
    redis_client_filter(&client, &filter); /* nobody is there */
    redis_client_close(&client);
    greeting = "+PONG\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
    struct peer peer = peer_start(serve_once);
    client = open_at(&peer, NULL, NULL);
    redis_client_filter(&client, &filter);
    const struct reply *reply = redis_client_ask(&client, ping);
    assert_non_null(reply);
    assert_int_equal(reply->count, 0);
    redis_client_close(&client);
    peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),  cmocka_unit_test(passwords),
        cmocka_unit_test(greetings), cmocka_unit_test(peers_that_leave),
        cmocka_unit_test(patience),  cmocka_unit_test(peers_that_leave_later),
        cmocka_unit_test(fields),    cmocka_unit_test(silent_peers),
        cmocka_unit_test(filters),   cmocka_unit_test(secure),
    };
    bool has_tls = strcmp(tls_version(), "not built") != 0;

    with_tls = (struct config_tls){.is_on = true, .cert_file = certificate, .key_file = certificate_key};
    return cmocka_run_group_tests_name("redis_client", tests, has_tls ? make_certificate : NULL,
                                       has_tls ? remove_certificate : NULL);
}
