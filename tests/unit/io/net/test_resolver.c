/* The resolver and its threads against a name service of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "proto/addr.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "tests/unit/io/net/name_service.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_S 20.0

struct answer {
    unsigned calls;
    size_t count;
    bool is_denied;
    char reason[128];
    char text[512]; /* "127.0.0.1:26379 ::1:26379" */
    bool asks_again;
};

static struct ev_loop *loop;
static struct resolver *resolver;
static ev_timer deadline;
static bool is_late;

static void on_deadline(struct ev_loop *ended, ev_timer *timer, int events)
{
    (void)ended;
    (void)timer;
    (void)events;
    is_late = true;
}

static int open_resolver(void **state)
{
    (void)state;
    name_service_reset();
    loop = ev_loop_new(EVFLAG_AUTO);
    is_late = false;
    ev_timer_init(&deadline, on_deadline, DEADLINE_S, 0.0);
    ev_timer_start(loop, &deadline);
    resolver = resolver_create(loop);
    return resolver != NULL ? 0 : -1;
}

static int close_resolver(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    resolver = NULL;
    name_service_reset();
    name_service_await_idle();
    ev_timer_stop(loop, &deadline);
    /* Everything was stopped: nothing keeps the loop. */
    int is_alive = ev_run(loop, EVRUN_NOWAIT) ? -1 : 0;
    ev_loop_destroy(loop);
    return is_alive;
}

static void on_done(void *context, const struct resolver_answer *got);

static struct resolver_query *look_up_family(const char *name, int family, bool is_slow,
                                             struct answer *answer)
{
    struct addr addr;
    const struct resolver_options options = {
        .name = &addr, .family = family, .is_slow = is_slow, .done = on_done, .context = answer};

    assert_true(addr_from_parts(span_of_text(name), span_of_text("26379"), &addr));
    struct resolver_query *query = resolver_lookup(resolver, &options);
    assert_non_null(query);
    return query;
}

static struct resolver_query *look_up(const char *name, struct answer *answer)
{
    return look_up_family(name, AF_UNSPEC, false, answer);
}

static void on_done(void *context, const struct resolver_answer *got)
{
    struct answer *answer = context;

    answer->calls++;
    answer->count = got->count;
    answer->is_denied = got->is_denied;
    answer->text[0] = '\0';
    snprintf(answer->reason, sizeof(answer->reason), "%s", got->reason);
    for (size_t i = 0; i < got->count; i++) {
        char host[INET6_ADDRSTRLEN] = "";
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        memcpy(&ipv4, &got->addresses[i], sizeof(ipv4));
        memcpy(&ipv6, &got->addresses[i], sizeof(ipv6));
        bool is_ipv4 = got->addresses[i].ss_family == AF_INET;
        inet_ntop(got->addresses[i].ss_family, is_ipv4 ? (void *)&ipv4.sin_addr : (void *)&ipv6.sin6_addr,
                  host, sizeof(host));
        size_t len = strlen(answer->text);
        snprintf(answer->text + len, sizeof(answer->text) - len, "%s%s:%u", i > 0 ? " " : "", host,
                 (unsigned)ntohs(is_ipv4 ? ipv4.sin_port : ipv6.sin6_port));
    }
    if (answer->asks_again) {
        answer->asks_again = false;
        (void)look_up("sentinel.test", answer);
    }
}

static void await_calls(const struct answer *answer, unsigned calls)
{
    while (answer->calls < calls && !is_late)
        ev_run(loop, EVRUN_ONCE);
    assert_false(is_late);
    assert_int_equal(answer->calls, calls);
}

static void await(const struct answer *answer)
{
    await_calls(answer, 1);
}

static void check_lookup(const char *name, const char *expected)
{
    struct answer answer = {.calls = 0};

    (void)look_up(name, &answer);
    assert_int_equal(answer.calls, 0);
    await(&answer);
    assert_string_equal(answer.text, expected);
}

static unsigned asked(void)
{
    return name_service_count(&name_service.asked);
}

static void in_the_order_of_the_name_service(void **state)
{
    (void)state;
    name_service.ipv4[0] = "127.0.0.9";
    name_service.ipv4[1] = "127.0.0.2";
    name_service.ipv6[0] = "::7";
    check_lookup("sentinel.test", "::7:26379 127.0.0.9:26379 127.0.0.2:26379");
    name_service.ipv4[0] = "127.0.0.8";
    name_service.ipv4[1] = NULL;
    name_service.ipv6[0] = NULL;
    check_lookup("sentinel.test", "127.0.0.8:26379");
    assert_int_equal(asked(), 2);
}

/* As where /etc/hosts has a name twice. */
static void no_address_twice(void **state)
{
    (void)state;
    name_service.ipv4[0] = "127.0.0.1";
    name_service.ipv4[1] = "127.0.0.1";
    check_lookup("localhost", "127.0.0.1:26379");
}

static void check_failure(int code, bool is_denied)
{
    struct answer answer = {.calls = 0};

    name_service.code = code;
    (void)look_up("nobody.test", &answer);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.is_denied, is_denied);
    assert_string_equal(answer.reason, gai_strerror(code));
}

static void failures(void **state)
{
    (void)state;
    check_failure(EAI_NONAME, true);
    check_failure(EAI_NODATA, true);
    check_failure(EAI_AGAIN, false);
    check_failure(EAI_FAIL, false);
}

static void no_address(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    (void)look_up("empty.test", &answer);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_true(answer.is_denied);
}

/* Between look-ups nothing is watched, no timer runs. */
static void idle_resolver_leaves_the_loop(void **state)
{
    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    check_lookup("sentinel.test", "127.0.0.2:26379");
    ev_timer_stop(loop, &deadline);
    assert_false(ev_run(loop, EVRUN_NOWAIT));
}

static void one_look_up_for_all_who_ask(void **state)
{
    struct answer answers[5] = {{.calls = 0}};
    struct answer other = {.calls = 0};

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("one");
    for (size_t i = 0; i < 5; i++)
        (void)look_up("one.test", &answers[i]);
    (void)look_up_family("one.test", AF_INET, false, &other);
    name_service_await_held(2);
    assert_int_equal(asked(), 2);
    name_service_hold(NULL);
    for (size_t i = 0; i < 5; i++)
        await(&answers[i]);
    await(&other);
    assert_int_equal(asked(), 2);
}

static void who_asks_while_it_is_told_is_told_later(void **state)
{
    struct answer answer = {.asks_again = true};

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    (void)look_up("sentinel.test", &answer);
    await(&answer);
    await_calls(&answer, 2);
    assert_int_equal(asked(), 2);
}

static void held_names_do_not_delay_others(void **state)
{
    struct answer slow[LOOKUP_THREADS_SLOW_MAX + 20] = {{.calls = 0}};
    struct resolver_query *queries[LOOKUP_THREADS_SLOW_MAX + 20];
    char name[32];

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("slow");
    for (unsigned i = 0; i < LOOKUP_THREADS_SLOW_MAX + 20; i++) {
        snprintf(name, sizeof(name), "slow-%u.test", i);
        queries[i] = look_up_family(name, AF_UNSPEC, true, &slow[i]);
    }
    name_service_await_held(LOOKUP_THREADS_SLOW_MAX);
    check_lookup("quick.test", "127.0.0.2:26379");
    /* What waits for a thread ends at once. The rest follows. */
    resolver_cancel(queries[LOOKUP_THREADS_SLOW_MAX + 19]);
    assert_int_equal(name_service_count(&name_service.held), LOOKUP_THREADS_SLOW_MAX);
    name_service_hold(NULL);
    for (unsigned i = 0; i < LOOKUP_THREADS_SLOW_MAX + 19; i++)
        await(&slow[i]);
    assert_int_equal(slow[LOOKUP_THREADS_SLOW_MAX + 19].calls, 0);
}

static void threads_are_bounded(void **state)
{
    static struct answer answers[3 * LOOKUP_THREADS_MAX];
    char name[32];

    (void)state;
    memset(answers, 0, sizeof(answers));
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("");
    int64_t begun_us = clock_us();
    for (unsigned i = 0; i < 3 * LOOKUP_THREADS_MAX; i++) {
        snprintf(name, sizeof(name), "many-%u.test", i);
        (void)look_up(name, &answers[i]);
    }
    print_message("%d look-ups begun in %lld us\n", 3 * LOOKUP_THREADS_MAX,
                  (long long)(clock_us() - begun_us));
    name_service_await_held(LOOKUP_THREADS_MAX);
    name_service_hold(NULL);
    for (unsigned i = 0; i < 3 * LOOKUP_THREADS_MAX; i++)
        await(&answers[i]);
    assert_int_equal(name_service_count(&name_service.most_running), LOOKUP_THREADS_MAX);
}

static void cancelled_query_is_silent(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("one");
    struct resolver_query *query = look_up("one.test", &cancelled);
    name_service_await_held(1);
    resolver_cancel(query);
    name_service_hold(NULL);
    check_lookup("two.test", "127.0.0.2:26379");
    assert_int_equal(cancelled.calls, 0);
}

/* A name server that is slower than the patience of who asks: the next one has its answer. */
static void answer_that_came_too_late_is_used(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("one");
    struct resolver_query *query = look_up("one.test", &cancelled);
    name_service_await_held(1);
    resolver_cancel(query);
    name_service_hold(NULL);
    name_service_await_idle();
    check_lookup("two.test", "127.0.0.2:26379");
    unsigned before = asked();
    check_lookup("one.test", "127.0.0.2:26379");
    assert_int_equal(asked(), before);
    /* Once. */
    check_lookup("one.test", "127.0.0.2:26379");
    assert_int_equal(asked(), before + 1);
}

static void failure_that_came_too_late_is_not_used(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    name_service.code = EAI_AGAIN;
    name_service_hold("one");
    struct resolver_query *query = look_up("one.test", &cancelled);
    name_service_await_held(1);
    resolver_cancel(query);
    name_service_hold(NULL);
    name_service_await_idle();
    name_service.code = 0;
    name_service.ipv4[0] = "127.0.0.2";
    check_lookup("two.test", "127.0.0.2:26379");
    check_lookup("one.test", "127.0.0.2:26379");
}

/* The leak check looks on: the thread frees what it has. */
static void destroyed_while_it_runs(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    name_service_hold("");
    struct resolver_query *query = look_up("one.test", &cancelled);
    name_service_await_held(1);
    resolver_cancel(query);
    resolver_destroy(resolver);
    resolver = NULL;
    assert_int_equal(cancelled.calls, 0);
}

static void many_addresses_are_bounded(void **state)
{
    static char texts[LOOKUP_ADDRESSES_MAX + 4][16];
    struct answer answer = {.calls = 0};

    (void)state;
    for (size_t i = 0; i < LOOKUP_ADDRESSES_MAX + 4; i++) {
        snprintf(texts[i], sizeof(texts[i]), "127.0.0.%zu", i + 1);
        name_service.ipv4[i] = texts[i];
    }
    (void)look_up("many.test", &answer);
    await(&answer);
    assert_int_equal(answer.count, LOOKUP_ADDRESSES_MAX);
}

static void nothing_to_free(void **state)
{
    (void)state;
    resolver_destroy(NULL);
    resolver_cancel(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_resolver, close_resolver)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_the_order_of_the_name_service),
        TEST(no_address_twice),
        TEST(failures),
        TEST(no_address),
        TEST(idle_resolver_leaves_the_loop),
        TEST(one_look_up_for_all_who_ask),
        TEST(who_asks_while_it_is_told_is_told_later),
        TEST(held_names_do_not_delay_others),
        TEST(threads_are_bounded),
        TEST(cancelled_query_is_silent),
        TEST(answer_that_came_too_late_is_used),
        TEST(failure_that_came_too_late_is_not_used),
        TEST(destroyed_while_it_runs),
        TEST(many_addresses_are_bounded),
        cmocka_unit_test(nothing_to_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
