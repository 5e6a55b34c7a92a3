/* The connector: what it tells its caller while it tries the addresses of a name. */
#include "spoa/io/net/connector.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "spoa/io/net/lookup_threads.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "tests/unit/io/net/name_service.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000

/* Addresses that fail at once, each in its way. */
#define NO_WAY "127.0.1.1"
#define REFUSES "127.0.1.2"
#define SILENT "127.0.1.3"

static bool fails_by_address;
static unsigned attempts; /* to connect */

/* In place of the C library's. */
int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    static const int codes[] = {ENETUNREACH, ECONNREFUSED, ETIMEDOUT};

    attempts++;
    if (fails_by_address && addr.__sockaddr__->sa_family == AF_INET) {
        errno = codes[(ntohl(addr.__sockaddr_in__->sin_addr.s_addr) & 0xff) - 1];
        return -1;
    }
    return (int)syscall(SYS_connect, fd, addr.__sockaddr__, len);
}

static int64_t set_ms; /* the agent's clock says this; 0: the true time */

/* In place of the C library's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_BOOTTIME || set_ms == 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    *now = (struct timespec){.tv_sec = set_ms / 1000, .tv_nsec = set_ms % 1000 * 1000000};
    return 0;
}

static bool has_no_thread;

/* Likewise. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size)
{
    int (*next)(pthread_attr_t *, size_t);

    *(void **)(void *)&next = dlsym(RTLD_NEXT, "pthread_attr_setstacksize");
    return has_no_thread ? ENOMEM : next(attributes, size);
}

struct told {
    unsigned found;
    unsigned done;
    int fd;
    int code;
    char reason[128];
};

static void on_found(void *context)
{
    struct told *told = context;

    told->found++;
}

static void on_done(void *context, const struct connector_result *result)
{
    struct told *told = context;

    told->done++;
    told->fd = result->fd;
    told->code = result->code;
    (void)snprintf(told->reason, sizeof(told->reason), "%s", result->reason);
}

/* Looks a name up, and tries its addresses until none is left. */
static struct told try_name(void)
{
    struct told told = {.fd = -1};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct resolver *resolver = resolver_create(loop);
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &told};
    struct connector *connector = connector_create(loop, resolver, &options);
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;
    struct addr peer;

    assert_true(resolver != NULL && connector != NULL);
    assert_true(addr_parse(span_of_text("peer.test:1"), &peer));
    connector_start(connector, &peer, 1000);
    while (told.done == 0 && clock_ms() < deadline_ms) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    connector_destroy(connector);
    resolver_destroy(resolver);
    name_service_reset();
    name_service_await_idle();
    ev_loop_destroy(loop);
    assert_int_equal(told.done, 1);
    assert_int_equal(told.fd, -1);
    return told;
}

/* A name with these addresses. */
static struct told try_addresses(const char *first, const char *second, const char *third)
{
    name_service.ipv4[0] = first;
    name_service.ipv4[1] = second;
    name_service.ipv4[2] = third;
    return try_name();
}

/* The caller's time limit for connecting begins once, whatever the number of addresses. Nobody listens there. */
static void test_addresses_are_found_once(void **state)
{
    (void)state;
    assert_int_equal(try_addresses("127.0.0.1", "127.0.0.2", "127.0.0.3").found, 1);
}

/* Only questions for one family are answered, whichever that is. Nobody listens at the address. */
static void test_one_family_is_answered(void **state)
{
    (void)state;
    name_service.only_family = AF_INET6;
    name_service.ipv6[0] = "::1";
    assert_int_equal(try_name().found, 1);
    name_service.only_family = AF_INET;
    name_service.ipv4[0] = "127.0.0.1";
    assert_int_equal(try_name().found, 1);
}

/* Whatever their order: no way there tells nothing of the peer, and a refusal all only where no address is silent. */
static void test_what_the_failures_tell(void **state)
{
    (void)state;
    fails_by_address = true;
    assert_int_equal(try_addresses(NO_WAY, REFUSES, NULL).code, ECONNREFUSED);
    assert_int_equal(try_addresses(REFUSES, NO_WAY, NULL).code, ECONNREFUSED);
    assert_int_equal(try_addresses(NO_WAY, REFUSES, SILENT).code, ETIMEDOUT);
    assert_int_equal(try_addresses(SILENT, REFUSES, NO_WAY).code, ETIMEDOUT);
    assert_int_equal(try_addresses(REFUSES, SILENT, NO_WAY).code, ETIMEDOUT);
    assert_int_equal(try_addresses(NO_WAY, NULL, NULL).code, ENETUNREACH);
    fails_by_address = false;
}

static struct told connect_to(struct ev_loop *loop, struct connector *connector, struct told *told,
                              const char *text)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;
    struct addr peer;

    *told = (struct told){.fd = -1};
    assert_true(addr_parse(span_of_text(text), &peer));
    connector_start(connector, &peer, 1000);
    while (told->done == 0 && clock_ms() < deadline_ms) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(told->done, 1);
    return *told;
}

/* Only IPv4 and IPv6 can be connected to. Where there is nothing else, there is no address. */
static void test_other_families(void **state)
{
    (void)state;
    name_service.has_other_family = true;
    assert_string_equal(try_name().reason, gai_strerror(EAI_NODATA));
    name_service.has_other_family = true;
    name_service.ipv4[0] = "127.0.0.1";
    unsigned before = attempts;
    assert_int_equal(try_name().code, ECONNREFUSED);
    assert_int_equal(attempts - before, 1);
}

/* A look-up that nobody makes would never end. */
static void test_no_thread(void **state)
{
    (void)state;
    has_no_thread = true;
    assert_string_equal(try_name().reason, "no thread or memory for the look-up");
    has_no_thread = false;
}

static void test_no_descriptor_is_left(void **state)
{
    struct told told;
    struct rlimit limit;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &told};
    struct connector *connector = connector_create(loop, NULL, &options);

    (void)state;
    assert_non_null(connector);
    ev_run(loop, EVRUN_NOWAIT);
    int free_one = dup(STDIN_FILENO);
    close(free_one);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = (rlim_t)free_one, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    (void)connect_to(loop, connector, &told, "127.0.0.1:1");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(told.fd, -1);
    assert_int_equal(told.code, EMFILE);
    connector_destroy(connector);
    ev_loop_destroy(loop);
}

/* The address that is kept is the first one of the next attempt. One that is not kept is not. */
static void test_what_is_kept_comes_first(void **state)
{
    struct told told;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    char text[32];
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct resolver *resolver = resolver_create(loop);
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &told};
    struct connector *connector = connector_create(loop, resolver, &options);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listening, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(text, sizeof(text), "peer.test:%u", (unsigned)ntohs(address.sin_port));
    name_service.ipv4[0] = "127.0.0.1";
    name_service.ipv4[1] = "127.0.0.2"; /* nobody listens there */
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = attempts;
        assert_int_not_equal(connect_to(loop, connector, &told, text).fd, -1);
        assert_int_equal(attempts - before, i < 2 ? 1 : 2);
        if (i == 0)
            connector_keep(connector);
        close(told.fd);
    }
    close(listening);
    connector_destroy(connector);
    resolver_destroy(resolver);
    name_service_reset();
    name_service_await_idle();
    ev_loop_destroy(loop);
}

/* ---- names that are slow, so that their look-ups leave room for others ---- */

/* From then on a look-up is slow (lookup_threads.h). */
#define SLOW_MS 50
/* The resolver does not keep an answer for so long. */
#define FORGOTTEN_MS 10000

struct slow_case {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct connector *connector;
    struct told told;
    struct resolver_query *others[LOOKUP_THREADS_SLOW_MAX];
    unsigned answers;
};

static void on_answer(void *context, const struct resolver_answer *answer)
{
    struct slow_case *test = context;

    (void)answer;
    test->answers++;
}

static struct resolver_query *look_up_family(struct slow_case *test, const char *kind, unsigned number,
                                             bool is_slow, int family)
{
    struct addr addr;
    char name[32];

    (void)snprintf(name, sizeof(name), "%s-%u.test", kind, number);
    assert_true(addr_from_parts(span_of_text(name), span_of_text("1"), &addr));
    const struct resolver_options options = {
        .name = &addr, .family = family, .is_slow = is_slow, .done = on_answer, .context = test};
    struct resolver_query *query = resolver_lookup(test->resolver, &options);
    assert_non_null(query);
    return query;
}

static struct resolver_query *look_up(struct slow_case *test, const char *kind, unsigned number, bool is_slow)
{
    return look_up_family(test, kind, number, is_slow, AF_UNSPEC);
}

#define AWAIT(test, condition)                                                                               \
    do {                                                                                                     \
        for (unsigned turns = 0; !(condition) && turns < DEADLINE_MS; turns++) {                             \
            ev_run((test)->loop, EVRUN_NOWAIT);                                                              \
            usleep(1000);                                                                                    \
        }                                                                                                    \
        assert_true(condition);                                                                              \
    } while (0)

/* The clock stands still. */
static void begin_slow(struct slow_case *test)
{
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &test->told};

    *test = (struct slow_case){.loop = ev_loop_new(EVFLAG_AUTO)};
    set_ms = 1000000;
    name_service_reset();
    name_service.ipv4[0] = "127.0.0.1";
    test->resolver = resolver_create(test->loop);
    test->connector = connector_create(test->loop, test->resolver, &options);
    assert_true(test->resolver != NULL && test->connector != NULL);
}

static void end_slow(struct slow_case *test)
{
    connector_destroy(test->connector);
    resolver_destroy(test->resolver);
    name_service_reset();
    name_service_await_idle();
    ev_loop_destroy(test->loop);
    set_ms = 0;
}

/* Begins a look-up of the peer, which is not answered before hold(NULL). */
static void begin_look_up(struct slow_case *test, const char *name)
{
    struct addr peer;

    set_ms += FORGOTTEN_MS;
    name_service_hold("");
    assert_true(addr_parse(span_of_text(name), &peer));
    connector_start(test->connector, &peer, 100000);
    name_service_await_held(1);
}

/* All look-ups have ended, and the resolver has heard of it. */
static void settle(struct slow_case *test)
{
    unsigned answers = test->answers;

    name_service_hold(NULL);
    name_service_await_idle();
    (void)look_up(test, "quick", 0, false);
    AWAIT(test, test->answers == answers + 1);
}

/* A look-up that is answered after so long. */
static void answer_after(struct slow_case *test, int64_t after_ms)
{
    unsigned done = test->told.done;

    begin_look_up(test, "peer.test:1");
    set_ms += after_ms;
    name_service_hold(NULL);
    AWAIT(test, test->told.done > done);
}

/* The look-up of both families fails: it is not an answer of no addresses, and the families are asked. */
static void test_a_failure_is_no_answer(void **state)
{
    (void)state;
    name_service.both_code = EAI_AGAIN;
    name_service.ipv4[0] = "127.0.0.1";
    assert_int_equal(try_name().found, 1);
}

/* What nobody could tell is the reason, and not the denial that came afterwards. */
static void test_the_reason_is_a_failure(void **state)
{
    struct slow_case test;
    struct addr peer;

    (void)state;
    begin_slow(&test);
    name_service.only_family = AF_INET;
    name_service.ipv4_code = EAI_AGAIN;
    name_service.code = EAI_NONAME;
    assert_true(addr_parse(span_of_text("peer.test:1"), &peer));
    connector_start(test.connector, &peer, 100000);
    name_service_await_held(1);
    set_ms += SLOW_MS;
    AWAIT(&test, name_service_count(&name_service.asked) == 3 && name_service_count(&name_service.held) == 2);
    assert_int_equal(test.told.done, 0);
    (void)look_up_family(&test, "after", 0, false, AF_INET); /* answers come one after the other */
    AWAIT(&test, test.answers == 1);
    pthread_mutex_lock(&name_service.lock);
    name_service.only_family = 0;
    pthread_mutex_unlock(&name_service.lock);
    name_service_hold(NULL);
    AWAIT(&test, test.told.done == 1);
    assert_string_equal(test.told.reason, gai_strerror(EAI_AGAIN));
    end_slow(&test);
}

/* A look-up that nobody waits for any more after so long. */
static void cancel_after(struct slow_case *test, int64_t after_ms)
{
    begin_look_up(test, "peer.test:1");
    set_ms += after_ms;
    connector_cancel(test->connector);
    settle(test);
}

/* All that slow names may take is taken: the connector's look-up goes on if its name is not slow. */
static void check_slow(struct slow_case *test, const char *name, bool is_slow)
{
    struct addr peer;
    unsigned found = test->told.found;
    unsigned answers = test->answers;

    set_ms += FORGOTTEN_MS;
    name_service_hold("held");
    for (unsigned i = 0; i < LOOKUP_THREADS_SLOW_MAX; i++)
        test->others[i] = look_up(test, "held", i, true);
    name_service_await_held(LOOKUP_THREADS_SLOW_MAX);
    assert_true(addr_parse(span_of_text(name), &peer));
    connector_start(test->connector, &peer, 100000);
    if (is_slow) {
        for (unsigned i = 1; i <= 3; i++) {
            (void)look_up(test, "quick", i, false);
            AWAIT(test, test->answers == answers + i);
        }
        assert_int_equal(test->told.found, found);
    } else {
        AWAIT(test, test->told.found == found + 1);
    }
    connector_cancel(test->connector);
    for (unsigned i = 0; i < LOOKUP_THREADS_SLOW_MAX; i++)
        resolver_cancel(test->others[i]);
    settle(test);
}

static void test_slow_answers(void **state)
{
    struct slow_case test;

    (void)state;
    begin_slow(&test);
    answer_after(&test, SLOW_MS - 1);
    check_slow(&test, "peer.test:1", false);
    answer_after(&test, SLOW_MS);
    check_slow(&test, "peer.test:1", true);
    check_slow(&test, "peer.test:1", true); /* what was not answered says nothing new */
    check_slow(&test, "another.test:1", false);
    end_slow(&test);
}

static void test_slow_look_ups_that_are_cancelled(void **state)
{
    struct slow_case test;

    (void)state;
    begin_slow(&test);
    cancel_after(&test, SLOW_MS - 1);
    check_slow(&test, "peer.test:1", false);
    cancel_after(&test, SLOW_MS);
    check_slow(&test, "peer.test:1", true);
    /* A quick answer says that it is slow no more. */
    answer_after(&test, 1);
    check_slow(&test, "peer.test:1", false);
    end_slow(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_found_once),
        cmocka_unit_test(test_one_family_is_answered),
        cmocka_unit_test(test_what_the_failures_tell),
        cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_no_thread),
        cmocka_unit_test(test_no_descriptor_is_left),
        cmocka_unit_test(test_what_is_kept_comes_first),
        cmocka_unit_test(test_a_failure_is_no_answer),
        cmocka_unit_test(test_the_reason_is_a_failure),
        cmocka_unit_test(test_slow_answers),
        cmocka_unit_test(test_slow_look_ups_that_are_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
