/* The actions of an answer, byte by byte: which variables HAProxy gets, and which are taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/actions.h"

/* SPOE.txt 3.2.7: the kind of the action, how many arguments it has, the scope txn; then a name with its
 * length. The types of values: INT64 4, IPV4 6, IPV6 7, STRING 8. */
#define SET "\1\3\2"
#define UNSET "\2\2\2"
#define STATE SET "\5state\10\2ok"
#define NO_NAME UNSET "\4addr" UNSET "\4port" UNSET "\5votes" UNSET "\12generation"
#define NUMBERS SET "\5votes\4\2" SET "\12generation\4\7"

#define assert_actions(actions, wanted) check_actions(actions, wanted, sizeof(wanted) - 1)

static void check_actions(const struct actions *actions, const char *wanted, size_t len)
{
    uint8_t out[ACTIONS_MAX];

    assert_int_equal(actions_encode(actions, out), len);
    assert_memory_equal(out, wanted, len);
}

/* Two votes and seven switches: no number can be taken for another. */
static struct actions name_it(const char *server, const char *address, struct addr *addr)
{
    assert_true(addr_parse(span_of_text(address), addr));
    return (struct actions){.state = "ok", .server = server, .addr = addr, .votes = 2, .generation = 7};
}

static void test_a_master_with_ipv4(void **state)
{
    struct addr addr;
    struct actions actions = name_it("R1", "10.1.2.3:80", &addr);

    (void)state;
    assert_actions(&actions, STATE SET "\6master\10\2R1" SET "\4addr\6\12\1\2\3" SET "\4port\4\120" NUMBERS);
}

static void test_a_replica_with_ipv6(void **state)
{
    struct addr addr;
    struct actions actions = name_it("R1", "[102:304:506:708:90a:b0c:d0e:f10]:80", &addr);

    (void)state;
    actions.is_replica = true;
    assert_actions(&actions,
                   STATE SET "\7replica\10\2R1" SET "\4addr\7\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20" SET
                             "\4port\4\120" NUMBERS);
}

/* A master that the map does not have, with a name of a host: set-dst could use neither, and what a former question left
 * behind must not stay. */
static void test_a_host_outside_the_map(void **state)
{
    struct addr addr;
    struct actions actions = name_it(NULL, "redis-1:80", &addr);

    (void)state;
    assert_actions(&actions, STATE UNSET "\6master" UNSET "\4addr" SET "\4port\4\120" NUMBERS);
}

static void test_nobody(void **state)
{
    struct actions actions = {.state = "ok", .votes = 2, .generation = 7};

    (void)state;
    assert_actions(&actions, STATE UNSET "\6master" NO_NAME);
    actions.is_replica = true;
    assert_actions(&actions, STATE UNSET "\7replica" NO_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_master_with_ipv4),
        cmocka_unit_test(test_a_replica_with_ipv6),
        cmocka_unit_test(test_a_host_outside_the_map),
        cmocka_unit_test(test_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
