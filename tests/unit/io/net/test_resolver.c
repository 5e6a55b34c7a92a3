/* The resolver against a name server of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/io/net/resolver.h"
#include "tests/unit/io/net/dns_peer.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_S 20.0

struct answer {
    unsigned calls;
    size_t count;
    bool is_denied;
    char reason[128];
    char text[512]; /* "127.0.0.1:26379 ::1:26379" */
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
    loop = ev_loop_new(EVFLAG_AUTO);
    is_late = false;
    if (loop == NULL || !dns_peer_open(loop))
        return -1;
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
    dns_peer_close(loop);
    ev_timer_stop(loop, &deadline);
    /* Everything was stopped: nothing keeps the loop. */
    int is_alive = ev_run(loop, EVRUN_NOWAIT) ? -1 : 0;
    ev_loop_destroy(loop);
    return is_alive;
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
}

static void await(const struct answer *answer)
{
    while (answer->calls == 0 && !is_late)
        ev_run(loop, EVRUN_ONCE);
    assert_false(is_late);
    assert_int_equal(answer->calls, 1);
}

static void check_lookup(const char *name, const char *expected)
{
    struct answer answer = {.calls = 0};

    (void)resolver_lookup(resolver, name, 26379, on_done, &answer);
    await(&answer);
    assert_string_equal(answer.text, expected);
}

static void both_families_in_one_order(void **state)
{
    (void)state;
    dns_peer.ipv4[0] = "127.0.0.9";
    dns_peer.ipv4[1] = "127.0.0.2";
    dns_peer.ipv4[2] = "127.0.0.5";
    dns_peer.ipv6[0] = "::7";
    dns_peer.ipv6[1] = "::1";
    const char *expected = "127.0.0.2:26379 127.0.0.5:26379 127.0.0.9:26379 ::1:26379 ::7:26379";
    check_lookup("sentinel.test", expected);
    /* Asked anew, and rotated as name servers do it. */
    unsigned before = dns_peer.queries;
    dns_peer.ipv4[0] = "127.0.0.5";
    dns_peer.ipv4[2] = "127.0.0.9";
    check_lookup("sentinel.test", expected);
    assert_true(dns_peer.queries > before);
    dns_peer.ipv4[0] = "127.0.0.8";
    dns_peer.ipv4[1] = NULL;
    dns_peer.ipv6[0] = NULL;
    check_lookup("sentinel.test", "127.0.0.8:26379");
}

static void hosts_file_first(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    dns_peer.ipv4[0] = "192.0.2.1";
    (void)resolver_lookup(resolver, "localhost", 7, on_done, &answer);
    await(&answer);
    assert_memory_equal(answer.text, "127.0.0.1:7", 11);
    assert_int_equal(dns_peer.queries, 0);
}

static void unknown_name(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    dns_peer.rcode = 3;
    (void)resolver_lookup(resolver, "nobody.test", 26379, on_done, &answer);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_true(answer.is_denied);
    assert_non_null(strstr(answer.reason, "not found"));
}

/* Between look-ups nothing is watched, no timer runs. */
static void idle_resolver_leaves_the_loop(void **state)
{
    (void)state;
    dns_peer.ipv4[0] = "127.0.0.2";
    check_lookup("sentinel.test", "127.0.0.2:26379");
    ev_io_stop(loop, &dns_peer.io);
    ev_timer_stop(loop, &deadline);
    assert_false(ev_run(loop, EVRUN_NOWAIT));
}

/* The name is there and has no address. */
static void no_address(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    (void)resolver_lookup(resolver, "empty.test", 26379, on_done, &answer);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_true(answer.is_denied);
    assert_string_not_equal(answer.reason, "");
    assert_null(strstr(answer.reason, "uccess"));
}

static void silent_server(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    dns_peer.is_holding = true;
    assert_non_null(resolver_lookup(resolver, "slow.test", 26379, on_done, &answer));
    assert_int_equal(answer.calls, 0);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_false(answer.is_denied);
    assert_non_null(strstr(answer.reason, "imeout"));
    assert_true(dns_peer.queries >= 2);
}

/* A name that c-ares refuses without asking anybody: `done` comes before the function returns. */
static void impossible_name(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    assert_null(resolver_lookup(resolver, "a..b", 26379, on_done, &answer));
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.count, 0);
}

static void cancelled_query_is_silent(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    dns_peer.ipv4[0] = "127.0.0.2";
    dns_peer.is_holding = true;
    struct resolver_query *query = resolver_lookup(resolver, "one.test", 26379, on_done, &cancelled);
    assert_non_null(query);
    while (dns_peer.held_count == 0 && !is_late)
        ev_run(loop, EVRUN_ONCE);
    resolver_cancel(query);
    dns_peer_release();
    check_lookup("two.test", "127.0.0.2:26379");
    assert_int_equal(cancelled.calls, 0);
}

/* Its memory goes with the resolver: the leak check looks on. */
static void cancelled_before_the_end(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    dns_peer.is_holding = true;
    struct resolver_query *query = resolver_lookup(resolver, "one.test", 26379, on_done, &cancelled);
    assert_non_null(query);
    resolver_cancel(query);
    resolver_destroy(resolver);
    resolver = NULL;
    assert_int_equal(cancelled.calls, 0);
}

static void many_addresses_are_bounded(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    for (size_t i = 0; i < RESOLVER_ADDRESSES_MAX + 4; i++)
        dns_peer.ipv4[i] = "127.0.0.2";
    (void)resolver_lookup(resolver, "many.test", 26379, on_done, &answer);
    await(&answer);
    assert_int_equal(answer.count, RESOLVER_ADDRESSES_MAX);
}

static void nothing_to_free(void **state)
{
    (void)state;
    resolver_destroy(NULL);
    resolver_cancel(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_families_in_one_order, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(hosts_file_first, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(unknown_name, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(idle_resolver_leaves_the_loop, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(no_address, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(silent_server, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(impossible_name, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(cancelled_query_is_silent, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(cancelled_before_the_end, open_resolver, close_resolver),
        cmocka_unit_test_setup_teardown(many_addresses_are_bounded, open_resolver, close_resolver),
        cmocka_unit_test(nothing_to_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
