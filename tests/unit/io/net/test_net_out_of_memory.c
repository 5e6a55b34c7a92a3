/* The n-th allocation fails, for every n: listeners, TLS and buffers say so, and lose nothing. */
#include "tests/unit/io/allocation_fixture.h"

#include <errno.h>
#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/core/base/log.h"
#include "spoa/core/base/metrics.h"
#include "spoa/io/net/buffer.h"
#include "spoa/io/net/listeners.h"
#include "spoa/io/net/stream.h"
#include "spoa/io/net/tls.h"

static bool is_secure;

/* An address, plain or with a certificate that is not there: what is told is that memory is short. */
static bool open_address(void)
{
    static struct metrics metrics;
    static const struct listeners_row row = {
        "listen", offsetof(struct config_agent, listens), {.name = "spop"}};
    char nowhere[] = "/nowhere.pem";
    struct config_listen listen = {
        .addr = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}},
        .mode = -1,
        .tls = {.is_on = is_secure, .cert_file = nowhere, .key_file = nowhere},
    };
    const struct config_agent config = {.listens = {.list = &listen, .count = 1}};
    char error[LISTEN_SOCKET_ERROR_MAX] = "";
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    struct listeners *listeners = listeners_create(loop, &row, 1, &metrics);
    int result = listeners != NULL ? listeners_open(listeners, NULL, &config, error) : -1;
    assert_int_equal(result, has_failed || is_secure ? -1 : 0);
    assert_int_equal(strstr(error, "out of memory") != NULL, has_failed && listeners != NULL);
    listeners_destroy(listeners);
    ev_loop_destroy(loop);
    return !has_failed;
}

/* Both kinds of streams. The descriptor stays ours where there is none. */
static bool open_streams(void)
{
    const struct addr peer = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};
    char name[] = "redis.test";
    const struct config_tls settings = {.is_on = true, .server_name = name};
    char error[TLS_ERROR_MAX] = "";
    struct stream stream = {.fd = -1};
    struct tls_stream *client = NULL;
    bool is_open = false;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct tls *tls = tls_create(&settings, error);
    if (tls != NULL) {
        client = tls_stream_create(tls, ends[0], &peer);
        is_open = stream_open(&stream, ends[1], tls);
    } else {
        assert_string_equal(error, "out of memory");
    }
    assert_int_equal(stream.fd, is_open ? ends[1] : -1);
    assert_int_equal(client != NULL && is_open, !has_failed);
    if (is_open)
        stream_close(&stream);
    else
        assert_int_equal(close(ends[1]), 0);
    assert_int_equal(close(ends[0]), 0);
    tls_stream_destroy(client);
    tls_destroy(tls);
    return !has_failed;
}

/* What was there before is gone as well. */
static bool store(void)
{
    struct buffer buffer = {.data = NULL};
    bool is_first = buffer_store(&buffer, span_of_text("first"));
    bool is_second = buffer_store(&buffer, span_of_text("second"));

    assert_int_equal(is_first && is_second, !has_failed);
    assert_true(span_equals_text(buffer_span(&buffer), is_second ? "second" : ""));
    assert_int_equal(buffer.size, is_second ? strlen("second") : 0);
    buffer_finish(&buffer);
    return !has_failed;
}

static void test_listeners(void **state)
{
    (void)state;
    is_secure = false;
    fail_each(open_address);
    is_secure = true;
    fail_each(open_address);
}

static void test_streams(void **state)
{
    (void)state;
    if (strcmp(tls_version(), "not built") == 0)
        skip();
    fail_each(open_streams);
}

static void test_buffers(void **state)
{
    (void)state;
    fail_each(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_buffers),
    };

    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
