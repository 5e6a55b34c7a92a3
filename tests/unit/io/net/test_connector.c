/* The connector: what it tells its caller while it tries the addresses of a name. */
#include "spoa/io/net/connector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "tests/unit/io/net/name_service.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000

struct told {
    unsigned found;
    unsigned done;
    int fd;
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
}

/* The caller's time limit for connecting begins once, whatever the number of addresses. Nobody listens there. */
static void test_addresses_are_found_once(void **state)
{
    struct told told = {.fd = -1};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct resolver *resolver = resolver_create(loop);
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &told};
    struct connector *connector = connector_create(loop, resolver, &options);
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;
    struct addr peer;

    (void)state;
    assert_true(resolver != NULL && connector != NULL);
    name_service_reset();
    name_service.ipv4[0] = "127.0.0.1";
    name_service.ipv4[1] = "127.0.0.2";
    name_service.ipv4[2] = "127.0.0.3";
    assert_true(addr_parse(span_of_text("peer.test:1"), &peer));
    connector_start(connector, &peer, 1000);
    while (told.done == 0 && clock_ms() < deadline_ms) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(told.done, 1);
    assert_int_equal(told.fd, -1);
    assert_int_equal(told.found, 1);
    connector_destroy(connector);
    resolver_destroy(resolver);
    name_service_await_idle();
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_found_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
