/*
 * A peer that has a name, where the n-th allocation fails, for every n: it is told that it cannot be reached, and why. Its
 * other addresses and look-ups are not lost by that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/io/net/connector.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "tests/unit/io/allocation_fixture.h"
#include "tests/unit/io/net/name_service.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000

static struct ev_loop *loop;

struct told {
    unsigned done;
    int code;
    const char *reason;
};

static void on_found(void *context)
{
    (void)context;
}

static void on_done(void *context, const struct connector_result *result)
{
    struct told *told = context;

    assert_int_equal(result->fd, -1);
    told->done++;
    told->code = result->code;
    told->reason = result->reason;
}

static void run(const struct told *told)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (told->done == 0 && clock_ms() < deadline_ms) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(told->done, 1);
}

/* Nobody can say which addresses the name has: all look-ups are made. */
static bool name_without_an_answer(void)
{
    struct told told = {.done = 0};
    struct addr peer;
    struct resolver *resolver = resolver_create(loop);
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &told};
    struct connector *connector = resolver != NULL ? connector_create(loop, resolver, &options) : NULL;

    assert_true(addr_parse(span_of_text("peer.test:1"), &peer));
    if (connector != NULL) {
        connector_start(connector, &peer, 1000);
        run(&told);
        if (strcmp(told.reason, gai_strerror(EAI_AGAIN)) != 0 &&
            strcmp(told.reason, "no thread or memory for the look-up") != 0)
            assert_int_equal(told.code, ENOMEM);
        assert_true(has_failed || strcmp(told.reason, gai_strerror(EAI_AGAIN)) == 0);
    }
    connector_destroy(connector);
    resolver_destroy(resolver);
    name_service_await_idle();
    return connector != NULL && !has_failed;
}

static bool address(void)
{
    struct told told = {.done = 0};
    struct addr peer;
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &told};
    struct connector *connector = connector_create(loop, NULL, &options);

    assert_true(addr_parse(span_of_text("127.0.0.1:1"), &peer));
    if (connector == NULL)
        return false;
    connector_start(connector, &peer, 1000);
    run(&told);
    assert_int_equal(told.code, has_failed ? ENOMEM : ECONNREFUSED);
    connector_destroy(connector);
    return !has_failed;
}

/* ---- the C library's files change ---- */

static ino_t hosts; /* the number of /etc/hosts, which is another file then */

/* In place of the C library's, where it has one. NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int stat(const char *restrict path, struct stat *restrict found)
{
    if (strcmp(path, "/etc/hosts") != 0)
        return fstatat(AT_FDCWD, path, found, 0);
    *found = (struct stat){.st_ino = hosts};
    return 0;
}

static void on_answer(void *context, const struct resolver_answer *answer)
{
    struct told *told = context;

    told->done++;
    told->reason = answer->reason;
}

static struct resolver_query *look_up(struct resolver *resolver, const struct addr *name, struct told *told)
{
    const struct resolver_options options = {
        .name = name, .family = AF_UNSPEC, .done = on_answer, .context = told};

    return resolver_lookup(resolver, &options);
}

/* A look-up that cannot begin again for lack of memory goes on as it is. Its answer comes in any case. */
static bool look_up_that_begins_again(void)
{
    struct told first = {.done = 0};
    struct told second = {.done = 0};
    struct addr one;
    struct addr two;
    unsigned long kept = countdown;

    countdown = 0;
    assert_true(addr_parse(span_of_text("one.test:1"), &one) && addr_parse(span_of_text("two.test:1"), &two));
    struct resolver *resolver = resolver_create(loop);
    assert_non_null(resolver);
    name_service_hold("one");
    assert_non_null(look_up(resolver, &one, &first));
    name_service_await_held(1);
    hosts++;
    countdown = kept;
    bool is_begun = look_up(resolver, &two, &second) != NULL;
    countdown = 0;
    name_service_hold(NULL);
    run(&first);
    if (is_begun)
        run(&second);
    name_service_await_idle();
    resolver_destroy(resolver);
    assert_int_equal(first.done, 1);
    return is_begun && !has_failed;
}

static void test_files(void **state)
{
    (void)state;
    name_service.code = EAI_AGAIN;
    fail_each(look_up_that_begins_again);
}

static void test_name(void **state)
{
    (void)state;
    name_service.code = EAI_AGAIN;
    fail_each(name_without_an_answer);
}

static void test_address(void **state)
{
    (void)state;
    fail_each(address);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    return loop != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ev_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
