/* Who gets a place, with connections that say to come from wherever the test wants. */
#include "spoa/core/base/metrics.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/status.h"
#include "spoa/io/serve/http_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/socket_addr.h"
#include "tests/unit/io/clock_fixture.h"

#define PEERS_MAX 128

static struct ev_loop *loop;
static struct http_server *server;
static struct metrics metrics;
static struct history history;
static const char *version;
static const char *token; /* that the next connection must send; NULL: none */
static int peers[PEERS_MAX];
static size_t peer_count;

static bool is_refusing; /* libmicrohttpd takes no connection */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
enum MHD_Result MHD_add_connection(struct MHD_Daemon *daemon, MHD_socket fd, const struct sockaddr *from,
                                   socklen_t len)
{
    enum MHD_Result (*add)(struct MHD_Daemon *, MHD_socket, const struct sockaddr *, socklen_t) = NULL;

    if (is_refusing) {
        close(fd);
        return MHD_NO;
    }
    *(void **)&add = dlsym(RTLD_NEXT, "MHD_add_connection");
    assert_non_null(add);
    return add(daemon, fd, from, len);
}

static bool is_short; /* libmicrohttpd has no memory for an answer */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
struct MHD_Response *MHD_create_response_from_buffer(size_t len, void *bytes,
                                                     enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *(*create)(size_t, void *, enum MHD_ResponseMemoryMode) = NULL;

    *(void **)&create = dlsym(RTLD_NEXT, "MHD_create_response_from_buffer");
    assert_non_null(create);
    return is_short ? NULL : create(len, bytes, mode);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
struct MHD_Response *MHD_create_response_from_callback(uint64_t len, size_t block,
                                                       MHD_ContentReaderCallback read_more, void *context,
                                                       MHD_ContentReaderFreeCallback end)
{
    struct MHD_Response *(*create)(uint64_t, size_t, MHD_ContentReaderCallback, void *,
                                   MHD_ContentReaderFreeCallback) = NULL;

    *(void **)&create = dlsym(RTLD_NEXT, "MHD_create_response_from_callback");
    assert_non_null(create);
    return is_short ? NULL : create(len, block, read_more, context, end);
}

static void fill(void *context, struct status *ret_status)
{
    static const struct unknown_service unknown;

    (void)context;
    *ret_status = (struct status){
        .version = version, .revision = "r", .metrics = &metrics, .history = &history, .unknown = &unknown};
}

static int set_up(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    peer_count = 0;
    version = "1";
    token = NULL;
    loop = ev_loop_new(EVFLAG_AUTO);
    server = http_server_create(loop, fill, NULL, &metrics);
    return loop == NULL || server == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_destroy(server);
    skip_time(loop, 20000); /* nothing of it is used again: the build with AddressSanitizer looks */
    for (size_t i = 0; i < peer_count; i++)
        close(peers[i]);
    ev_loop_destroy(loop);
    return 0;
}

/* A connection from that address, which has sent `text`. Returns its number. */
static size_t connect_from(const char *address, const char *text)
{
    struct acceptor_peer peer = {.token = token};
    struct addr addr;
    int ends[2];

    assert_true(addr_parse(span_of_text(address), &addr));
    assert_true(socket_addr_from(&addr, &peer.addr, &peer.len));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    assert_true(http_server_take(server, ends[0], &peer));
    assert_true(peer_count < PEERS_MAX);
    peers[peer_count] = ends[1];
    return peer_count++;
}

/* So many connections, from addresses that differ in a number. */
static void connect_many(const char *before, const char *after, unsigned count)
{
    char address[64];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(address, sizeof(address), "%s%u%s", before, i + 1, after);
        (void)connect_from(address, "GET");
    }
    turn(loop);
}

static bool is_open(size_t i)
{
    char bytes[64 * 1024];
    ssize_t got;

    do
        got = read(peers[i], bytes, sizeof(bytes));
    while (got > 0);
    return got == -1 && errno == EAGAIN;
}

static unsigned count_open(size_t first, size_t end)
{
    unsigned count = 0;

    for (size_t i = first; i < end; i++)
        count += is_open(i);
    return count;
}

static void a_host_has_so_many(void **state)
{
    static const char *const parts[][2] = {{"192.0.2.7:", ""}, {"[2001:db8::", "]:7"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t first = peer_count;
        connect_many(parts[i][0], parts[i][1], 20);
        assert_int_equal(count_open(first, peer_count), 16);
        assert_int_equal(count_open(first + 4, peer_count), 16); /* the oldest made room */
    }
    assert_int_equal(metrics.refused_total, 8);
}

static void places_are_kept_for_this_host(void **state)
{
    (void)state;
    connect_many("192.0.2.", ":7", 60);
    assert_int_equal(count_open(0, 60), 48);
    connect_many("127.0.0.1:", "", 16);
    assert_int_equal(count_open(0, 60), 48);
    assert_int_equal(count_open(60, 76), 16);
    (void)connect_from("unix:/x", "GET"); /* the oldest of all makes room */
    turn(loop);
    assert_int_equal(count_open(0, 60), 47);
    assert_int_equal(count_open(60, 77), 17);
}

static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/* Who is being answered keeps its place. */
static void nobody_is_cut_off(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        (void)connect_from("192.0.2.7:1", request);
    size_t late = connect_from("192.0.2.7:1", request);
    assert_false(is_open(late));
    turn(loop);
    assert_int_equal(count_open(0, 16), 16);
}

/* Three hosts that take all places for their answers: another host gets one of theirs. */
static void hosts_share(void **state)
{
    static const char *const hosts[] = {"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"};

    (void)state;
    for (unsigned i = 0; i < 48; i++)
        (void)connect_from(hosts[i / 16], request);
    size_t late = connect_from("192.0.2.4:1", request);
    assert_false(is_open(0));
    turn(loop);
    assert_true(is_open(late));
    assert_int_equal(count_open(1, 48), 47);
}

/* Who has not taken its answer after two seconds makes room. */
static void the_slow_make_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++)
        (void)connect_from("127.0.0.1:1", request);
    assert_false(is_open(connect_from("127.0.0.1:1", request)));
    skipped_us += 1990000;
    ev_now_update(loop);
    assert_false(is_open(connect_from("127.0.0.1:1", request)));
    skipped_us += 20000;
    ev_now_update(loop);
    size_t late = connect_from("127.0.0.1:1", request);
    assert_false(is_open(0));
    turn(loop);
    assert_true(is_open(late));
}

/* All that has come; "" where nothing has. `*ret_open` tells whether more may come. */
static const char *receive(size_t i, bool *ret_open)
{
    static char text[64 * 1024];
    size_t len = 0;
    ssize_t got;

    while ((got = read(peers[i], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)got;
    *ret_open = got == -1 && errno == EAGAIN;
    text[len] = '\0';
    return text;
}

/* What the server answers at once. */
static const char *answer(const char *question, bool *ret_open)
{
    size_t i = connect_from("127.0.0.1:1", question);

    skip_time(loop, 100); /* the pause after a page is over */
    return receive(i, ret_open);
}

static bool has(const char *text, const char *words)
{
    return strstr(text, words) != NULL;
}

static void send_more(size_t i, const char *text)
{
    assert_int_equal(write(peers[i], text, strlen(text)), (ssize_t)strlen(text));
    turn(loop);
}

/* Five seconds for a request, whatever comes of it meanwhile. The same between two requests. */
static void a_request_has_its_time(void **state)
{
    bool stays;

    (void)state;
    skip_time(loop, 60000); /* the loop has run for a while */
    size_t i = connect_from("127.0.0.1:1", "GET /hea");
    skip_time(loop, 3000);
    send_more(i, "lthz HTTP/1.1\r\n");
    skip_time(loop, 1990);
    assert_true(is_open(i));
    skip_time(loop, 20);
    assert_false(is_open(i));
    i = connect_from("127.0.0.1:1", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    turn(loop);
    assert_true(has(receive(i, &stays), " 200 OK") && stays);
    skip_time(loop, 4000);
    send_more(i, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(has(receive(i, &stays), " 200 OK") && stays);
    skip_time(loop, 4990);
    assert_true(is_open(i));
    skip_time(loop, 20);
    assert_false(is_open(i));
    assert_int_equal(metrics.refused_total, 0);
}

/* Larger than what the sockets take. */
static char *make_big(size_t size)
{
    char *big = malloc(size);

    assert_non_null(big);
    memset(big, 'v', size - 1);
    big[size - 1] = '\0';
    version = big;
    return big;
}

/* Ten seconds from the request on, whatever is taken of it meanwhile. */
static void an_answer_has_its_time(void **state)
{
    char *big = make_big((size_t)4 * 1024 * 1024);
    char bytes[1024];

    (void)state;
    size_t i = connect_from("127.0.0.1:1", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int k = 0; k < 9; k++) {
        skip_time(loop, 1000);
        assert_int_equal(read(peers[i], bytes, sizeof(bytes)), sizeof(bytes));
    }
    skip_time(loop, 990);
    (void)snprintf(bytes, sizeof(bytes), "x"); /* it is not shut down: it takes what is sent */
    assert_int_equal(write(peers[i], bytes, 1), 1);
    skip_time(loop, 20);
    assert_int_equal(send(peers[i], bytes, 1, MSG_NOSIGNAL), -1);
    free(big);
}

/* Whoever has taken all of a long answer may ask again. */
static void a_long_answer(void **state)
{
    char *big = make_big((size_t)1024 * 1024);
    static char bytes[256 * 1024];
    size_t len = 0;
    bool stays;

    (void)state;
    size_t i = connect_from("127.0.0.1:1", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int k = 0; k < 1000; k++) {
        turn(loop);
        ssize_t got = read(peers[i], bytes, sizeof(bytes));
        assert_true(got != 0);
        len += got > 0 ? (size_t)got : 0;
    }
    assert_true(len > 1024 * 1024);
    version = "1";
    free(big);
    send_more(i, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(has(receive(i, &stays), " 200 OK") && stays);
}

/* Whoever waits for another page goes on waiting when one is written. */
static void several_pages_at_once(void **state)
{
    static const char *const paths[] = {"/metrics", "/status", "/status.txt", "/explain.txt"};
    static const char *const words[] = {"redis_spoa_build_info", "\"version\":", "sentinel-spoa",
                                        "HTTP/1.1 200"};
    char question[64];
    bool stays;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(question, sizeof(question), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);
        (void)connect_from("127.0.0.1:1", question);
    }
    for (size_t i = 0; i < 4; i++) {
        skip_time(loop, 100); /* a page, and the pause after it */
        const char *text = receive(i, &stays);
        assert_true(stays);
        assert_true(has(text, " 200 OK\r\n"));
        assert_true(has(text, words[i]));
    }
}

/* A turn of the loop begins four long answers, so that HAProxy is answered between them. */
static void a_few_answers_a_turn(void **state)
{
    unsigned most = 0;
    unsigned done = 0;
    bool is_begun[10] = {false};

    (void)state;
    for (size_t i = 0; i < 10; i++)
        (void)connect_from("127.0.0.1:1", request);
    for (int k = 0; k < 1000 && done < 10; k++) {
        char bytes[64 * 1024];
        unsigned now = 0;
        ev_run(loop, EVRUN_NOWAIT);
        for (size_t i = 0; i < 10; i++)
            if (read(peers[i], bytes, sizeof(bytes)) > 0 && !is_begun[i]) {
                is_begun[i] = true;
                now++;
            }
        most = now > most ? now : most;
        done += now;
    }
    assert_int_equal(done, 10);
    assert_int_equal(most, 4);
}

/* Requests that come together are answered one after another. */
static void several_requests_at_once(void **state)
{
    char question[512] = "";
    bool stays;
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < 8; i++)
        (void)snprintf(question + strlen(question), sizeof(question) - strlen(question), "%s",
                       "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t i = connect_from("127.0.0.1:1", question);
    turn(loop);
    for (const char *text = receive(i, &stays); (text = strstr(text, " 200 OK\r\n")) != NULL; text++)
        count++;
    assert_int_equal(count, 8);
    assert_true(stays);
}

/* What every answer says of itself, and what only some do. */
static void headers(void **state)
{
    static const char healthy[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char with_token[] =
        "GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n";
    bool stays;

    (void)state;
    const char *text = answer(healthy, &stays);
    assert_true(stays && has(text, "HTTP/1.1 200 OK\r\n"));
    assert_true(has(text, "\r\nContent-Type: ") && has(text, "\r\nCache-Control: no-store\r\n"));
    assert_true(has(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_false(has(text, "\r\nAllow:") || has(text, "\r\nWWW-Authenticate:") || has(text, "close\r\n"));
    text = answer("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", &stays);
    assert_true(!stays && has(text, "HTTP/1.1 405 ") && has(text, "\r\nAllow: GET, HEAD"));
    assert_true(has(text, "\r\nConnection: close\r\n"));
    token = "secret";
    text = answer("GET /status HTTP/1.1\r\nHost: x\r\n\r\n", &stays);
    assert_true(stays && has(text, "HTTP/1.1 401 ") && has(text, "\r\nWWW-Authenticate: Bearer\r\n"));
    text = answer(with_token, &stays);
    assert_true(stays && has(text, "HTTP/1.1 200 ") && !has(text, "\r\nWWW-Authenticate:"));
    token = "secret2";
    text = answer(with_token, &stays);
    assert_true(has(text, "HTTP/1.1 401 "));
}

/* A request with a body is answered before the body comes, and is the last one. */
static void bodies(void **state)
{
    static const struct {
        const char *lines;
        bool is_last;
    } cases[] = {
        {"Content-Length: 0\r\n", false},
        {"Content-Length: 5\r\n", true},
        {"Transfer-Encoding: chunked\r\n", true},
        {"Content-Length: 5\r\nX: y\r\n", true},
    };
    char question[128];
    bool stays;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
        (void)snprintf(question, sizeof(question), "GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n",
                       i % 2 == 0 ? "healthz" : "metrics", cases[i / 2].lines);
        const char *text = answer(question, &stays);
        assert_true(has(text, " 200 OK\r\n"));
        assert_int_equal(has(text, "\r\nConnection: close\r\n"), cases[i / 2].is_last);
        assert_int_equal(stays, !cases[i / 2].is_last);
    }
}

/* libmicrohttpd does not take it, and closes it. The next one is taken. */
static void one_that_is_not_taken(void **state)
{
    bool stays;

    (void)state;
    is_refusing = true;
    assert_false(is_open(connect_from("127.0.0.1:1", "")));
    assert_int_equal(metrics.refused_total, 1);
    is_refusing = false;
    assert_true(has(answer("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &stays), " 200 OK"));
    assert_int_equal(metrics.refused_total, 1);
}

/* Who cannot be answered is closed. Nothing is lost: the build with AddressSanitizer looks. */
static void no_memory_for_an_answer(void **state)
{
    static const char *const questions[] = {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", request};
    bool stays;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        is_short = true;
        assert_string_equal(answer(questions[i], &stays), "");
        assert_false(stays);
        is_short = false;
        assert_true(has(answer(questions[i], &stays), " 200 OK\r\n"));
    }
}

/* It comes from nowhere that we know: the acceptor closes it. */
static void a_strange_family(void **state)
{
    const struct acceptor_peer peer = {.addr = {.ss_family = AF_NETLINK}, .len = sizeof(sa_family_t)};

    (void)state;
    assert_false(http_server_take(server, -1, &peer));
    assert_int_equal(metrics.refused_total, 0);
}

/* Who holds the oldest text where all of them take too much memory is too slow. */
static void old_texts_go(void **state)
{
    char *big = make_big((size_t)7 * 1024 * 1024);

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_equal(send(peers[k], "x", 1, MSG_NOSIGNAL), 1);
        (void)connect_from("127.0.0.1:1", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
        skip_time(loop, 100);
    }
    assert_int_equal(send(peers[0], "x", 1, MSG_NOSIGNAL), -1);
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(send(peers[i], "x", 1, MSG_NOSIGNAL), 1);
    free(big);
}

/* Clients wait for a page, or take one, when the server ends. */
static void an_end_in_the_midst(void **state)
{
    char *big = make_big((size_t)1024 * 1024);

    (void)state;
    (void)connect_from("127.0.0.1:1", request);
    turn(loop);
    (void)connect_from("127.0.0.1:1", request);
    (void)connect_from("127.0.0.1:1", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)connect_from("127.0.0.1:1", "GET");
    http_server_destroy(server);
    server = NULL;
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_host_has_so_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_are_kept_for_this_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hosts_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_slow_make_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_has_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_has_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_pages_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_few_answers_a_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_requests_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_for_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_strange_family, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_texts_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_in_the_midst, set_up, tear_down),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
