/* The connector: what it tells its caller while it tries the addresses of a name. */
#include "spoa/io/net/connector.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* In place of the C library's. */
int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    static const int codes[] = {ENETUNREACH, ECONNREFUSED, ETIMEDOUT};

    if (fails_by_address && addr.__sockaddr__->sa_family == AF_INET) {
        errno = codes[(ntohl(addr.__sockaddr_in__->sin_addr.s_addr) & 0xff) - 1];
        return -1;
    }
    return (int)syscall(SYS_connect, fd, addr.__sockaddr__, len);
}

struct told {
    unsigned found;
    unsigned done;
    int fd;
    int code;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_found_once),
        cmocka_unit_test(test_one_family_is_answered),
        cmocka_unit_test(test_what_the_failures_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
