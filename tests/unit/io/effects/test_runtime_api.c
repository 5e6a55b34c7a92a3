/* Rounds of calls to a HAProxy that this program plays: who is called, and what is made of what is said. */
#include "spoa/io/effects/runtime_api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/io/clock_fixture.h"
#include "tests/unit/io/descriptors.h"

#define START_MS 100000
#define INFO "Name: HAProxy\nVersion: 2.6.12\n\n"
#define WHOLE "shutdown sessions server be/R1;shutdown sessions server be/R2\n"
#define OLD_WHOLE "@!12 shutdown sessions server be/R1;@!12 shutdown sessions server be/R2;quit\n"
#define WORKERS "# workers\n11 worker 0 x\n# old workers\n12 worker 1 x\n\n"

static const char *const api_names[] = {"A"};
static char backend[] = "be";
static char *const backends[] = {backend};
static const struct service_server servers[] = {{.name = "R1"}, {.name = "R2"}, {.name = "R3"}};
static const struct cut_service service = {
    .name = "m", .servers = servers, .server_count = 3, .backends = backends, .backend_count = 1};

struct fixture {
    struct ev_loop *loop;
    int haproxy;
    struct sockaddr_un path;
    struct addr addr;
    struct metrics metrics;
    struct cut_debts *debts;
    struct cut_items items;
    struct runtime_api *api;
    unsigned ended;
    char complaint[RUNTIME_COMPLAINT_MAX]; /* "": none */
    size_t descriptors;                    /* before the test */
};

static struct fixture f;

static void on_ended(void *context, const char *complaint)
{
    struct fixture *of = context;

    of->ended++;
    (void)snprintf(of->complaint, sizeof(of->complaint), "%s", complaint != NULL ? complaint : "");
}

static void listen_as_haproxy(void)
{
    char text[sizeof(f.path.sun_path) + sizeof("unix:")];

    f.path.sun_family = AF_UNIX;
    (void)snprintf(f.path.sun_path, sizeof(f.path.sun_path), "/tmp/test-runtime-api-%d", (int)getpid());
    (void)unlink(f.path.sun_path);
    f.haproxy = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f.haproxy, (struct sockaddr *)&f.path, sizeof(f.path)), 0);
    assert_int_equal(listen(f.haproxy, 8), 0);
    (void)snprintf(text, sizeof(text), "unix:%s", f.path.sun_path);
    assert_true(addr_parse(span_of_text(text), &f.addr));
}

static void create_debts(struct cut_debts **ret_debts)
{
    *ret_debts = cut_debts_create(api_names, 1, &f.metrics);
    assert_non_null(*ret_debts);
    assert_true(cut_debts_add(*ret_debts, &service));
}

/* R3 is the master: be/R1 and be/R2 are to be cut. */
static int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    f.descriptors = count_descriptors();
    f.loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(f.loop);
    listen_as_haproxy();
    create_debts(&f.debts);
    cut_debts_name(f.debts, 0, "R3", START_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    runtime_api_destroy(f.api);
    skip_time(f.loop, 10000);
    cut_items_finish(&f.items);
    cut_debts_destroy(f.debts);
    if (f.haproxy != -1)
        close(f.haproxy);
    (void)unlink(f.path.sun_path);
    ev_loop_destroy(f.loop);
    assert_int_equal(count_descriptors(), f.descriptors);
    return 0;
}

static void begin(bool is_master, bool is_trial)
{
    if (f.api == NULL)
        f.api = runtime_api_create(f.loop, &f.addr, is_master, on_ended, &f);
    assert_non_null(f.api);
    cut_items_finish(&f.items);
    f.items = (struct cut_items){.list = NULL};
    if (is_trial)
        assert_true(cut_debts_list(f.debts, &f.items));
    else
        assert_true(cut_debts_take(f.debts, 0, START_MS, &f.items));
    const struct runtime_visit_options what = {
        .debts = f.debts, .items = &f.items, .is_trial = is_trial, .is_old = true, .pid = 7};
    f.ended = 0;
    runtime_api_begin(f.api, &what);
}

/* The next call, where this is said. */
static int take_call(const char *line)
{
    char heard[1024] = "";
    int fd;

    while ((fd = accept(f.haproxy, NULL, NULL)) == -1)
        ev_run(f.loop, EVRUN_ONCE);
    turn(f.loop);
    assert_true(recv(fd, heard, sizeof(heard) - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(heard, line);
    return fd;
}

static void reply(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn(f.loop);
    close(fd);
    turn(f.loop);
}

static void expect_call(const char *line, const char *text)
{
    reply(take_call(line), text);
}

/* The round is over, with these outcomes: 'c'onfirmed, 'i'ncomplete, 'f'ailed. Nobody is called any more. */
static void expect_end(const char *outcomes, const char *complaint)
{
    turn(f.loop);
    assert_int_equal(f.ended, 1);
    assert_string_equal(f.complaint, complaint);
    for (size_t i = 0; i < strlen(outcomes); i++)
        assert_int_equal("cif"[f.items.list[i].outcome], outcomes[i]);
    skip_time(f.loop, 10000);
    assert_int_equal(f.ended, 1);
    if (f.haproxy != -1)
        assert_int_equal(accept(f.haproxy, NULL, NULL), -1);
}

/* ---- one process ---- */

/* Each round is as the first one. */
static void a_cut(void **state)
{
    (void)state;
    begin(false, false);
    expect_call("show info\n", INFO);
    expect_call(WHOLE, "\nPermission denied\n\n");
    expect_end("cf", "Permission denied");
    cut_debts_name(f.debts, 0, "R3", START_MS);
    cut_debts_destroy(f.debts);
    create_debts(&f.debts);
    cut_debts_name(f.debts, 0, "R3", START_MS);
    begin(false, false);
    expect_call("show info\n", INFO);
    expect_call(WHOLE, "\n\n");
    expect_end("cc", "");
}

/* HAProxy may close before it was told all, or never. */
static void a_call_that_fails(void **state)
{
    (void)state;
    begin(false, false);
    expect_call("show info\n", INFO);
    int fd = take_call(WHOLE);
    skip_time(f.loop, 2010);
    close(fd);
    expect_end("ff", "timeout");
}

/* Each line is said on a connection of its own: the second one cannot be made. */
static void a_second_call_that_cannot_be_made(void **state)
{
    (void)state;
    begin(false, false);
    int fd = take_call("show info\n");
    close(f.haproxy);
    f.haproxy = -1;
    reply(fd, INFO);
    expect_end("ff", "Connection refused");
}

static void nobody_is_there(void **state)
{
    (void)state;
    (void)unlink(f.path.sun_path);
    begin(false, false);
    expect_end("ff", "No such file or directory");
    runtime_api_destroy(f.api);
    f.api = NULL;
    cut_debts_destroy(f.debts);
    create_debts(&f.debts);
    cut_debts_name(f.debts, 0, "R3", START_MS);
    begin(true, false);
    expect_end("ff", "No such file or directory");
}

/* What it says when all is known does not matter: the connection is closed at once. */
static void an_endless_reply(void **state)
{
    (void)state;
    begin(false, false);
    int fd = take_call("show info\n");
    assert_int_equal(send(fd, "Permission denied\n\n", 19, MSG_NOSIGNAL), 19);
    expect_end("ff", "Permission denied");
    assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_DONTWAIT), 0);
    close(fd);
}

/* ---- a master ---- */

/* All workers are visited at the same time. */
static void all_workers(void **state)
{
    (void)state;
    begin(true, false);
    expect_call("show proc;quit\n", WORKERS);
    int first = take_call("@!12 show info;quit\n");
    int second = take_call("@!11 show info;quit\n");
    reply(second, INFO);
    second = take_call("@!11 shutdown sessions server be/R1;@!11 shutdown sessions server be/R2;quit\n");
    reply(second, "\n\n");
    assert_int_equal(f.ended, 0);
    reply(first, INFO);
    expect_call(OLD_WHOLE, "\nno\n\n");
    expect_end("cf", "be/R2: no");
}

/* A worker that was replaced need not know the present servers. */
static void a_trial(void **state)
{
    static const char line[] =
        "@!11 shutdown sessions server -/-;@!11 get weight be/R1;@!11 get weight be/R2;"
        "@!11 get weight be/R3;quit\n";

    (void)state;
    for (int i = 0; i < 2; i++) {
        begin(true, true);
        expect_call("show proc;quit\n", WORKERS);
        expect_call("@!11 show info;quit\n", INFO);
        expect_call(line, i == 0
                              ? "No such backend.\n\n0 (initial 0)\n\n0 (initial 1)\n\n0 (initial 0)\n\n"
                              : "Permission denied\n\n0 (initial 0)\n\n0 (initial 1)\n\n0 (initial 0)\n\n");
        expect_end("", i == 0 ? "" : "Permission denied");
    }
}

/* The list of workers must be whole, and have one. The servers are still owed otherwise. */
static void no_list(void **state)
{
    static const char *const cases[][2] = {
        {"# workers\n11 worker 0 x\n", "closed before all was answered"},
        {"", "closed before all was answered"},
        {"Unknown command\n\n", "this is no master with workers: it says 'Unknown command'"},
        {"# workers\n\n", "this is no master with workers: it says '# workers'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cut_debts_destroy(f.debts);
        create_debts(&f.debts);
        cut_debts_name(f.debts, 0, "R3", START_MS);
        begin(true, false);
        expect_call("show proc;quit\n", cases[i][0]);
        expect_end("ff", cases[i][1]);
    }
    begin(true, true); /* the list is read again for each call */
    int fd = take_call("show proc;quit\n");
    skip_time(f.loop, 2010);
    close(fd);
    expect_end("", "timeout");
}

/* ---- a move ---- */

/* The round goes on, and its end is told to the new one. */
static void a_move(void **state)
{
    struct fixture next = {.ended = 0};

    (void)state;
    create_debts(&next.debts);
    begin(false, false);
    int fd = take_call("show info\n");
    assert_true(cut_debts_inherit(next.debts, f.debts, START_MS));
    cut_debts_adopt(next.debts, &f.items);
    cut_debts_destroy(f.debts);
    f.debts = next.debts;
    next.addr = f.addr;
    struct cut_items items = f.items;
    const struct runtime_visit_options what = {.debts = f.debts, .items = &items};
    runtime_api_move(f.api, &next.addr, &next, &what);
    memset(&f.addr, 0, sizeof(f.addr)); /* the configuration that it is of is gone */
    reply(fd, INFO);
    expect_call(WHOLE, "\nno\n\n");
    turn(f.loop);
    assert_int_equal(f.ended, 0);
    assert_int_equal(next.ended, 1);
    assert_string_equal(next.complaint, "be/R2: no");
    assert_int_equal(items.list[0].outcome, CUT_CONFIRMED);
    assert_int_equal(items.list[1].outcome, CUT_FAILED);
    f.items = items;
}

/* Nothing of it is used again: the build with AddressSanitizer looks. */
static void an_end_in_the_midst(void **state)
{
    (void)state;
    begin(true, false);
    close(take_call("show proc;quit\n"));
    turn(f.loop);
    runtime_api_destroy(f.api);
    f.api = NULL;
    skip_time(f.loop, 10000);
    assert_int_equal(f.ended, 1);
    runtime_api_destroy(NULL);
    begin(true, false);
    int fd = take_call("show proc;quit\n");
    runtime_api_destroy(f.api);
    f.api = NULL;
    skip_time(f.loop, 10000);
    close(fd);
    begin(true, false);
    expect_call("show proc;quit\n", WORKERS);
    close(take_call("@!12 show info;quit\n"));
    runtime_api_destroy(f.api);
    f.api = NULL;
    skip_time(f.loop, 10000);
    assert_int_equal(f.ended, 0);
    close(accept(f.haproxy, NULL, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cut),
        TEST(a_call_that_fails),
        TEST(a_second_call_that_cannot_be_made),
        TEST(nobody_is_there),
        TEST(an_endless_reply),
        TEST(all_workers),
        TEST(a_trial),
        TEST(no_list),
        TEST(a_move),
        TEST(an_end_in_the_midst),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests_name("runtime_api", tests, NULL, NULL);
}
