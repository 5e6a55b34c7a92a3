/* Early fence: a master that is about to be replaced is not named and its sessions are cut, for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/events.h"
#include "tests/unit/core/decision/policy_fixture.h"

#define EARLY_MAX 3000

static void announce(const char *address)
{
    struct addr addr = addr_of(address);

    (void)step_link(f.service, SERVICE_FAILOVER_BEGINS, &addr, 0, f.now_ms);
}

static bool is_fenced(void)
{
    return service_decision(f.service)->is_fenced;
}

static void begin_early(bool early_fence)
{
    begin((struct policy_config){.early_fence = early_fence, .early_fence_max_ms = EARLY_MAX});
    agree(3, R1);
    expect_ok("R1");
}

static void test_early_fence_until_the_switch(void **state)
{
    (void)state;
    begin_early(true);
    announce(R1);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER, NULL);
    assert_true(is_fenced());
    f.now_ms += 1000;
    agree(3, R1); /* they go on naming it for about a second */
    expect(SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER, NULL);
    vote(0, R2); /* a dissent: pending for another reason, and fenced all the same */
    assert_true(is_fenced());
    agree(3, R2);
    expect_ok("R2");
    assert_false(is_fenced());
    announce(R1); /* late news of the same failover */
    expect_ok("R2");
    end();
}

static void test_early_fence_ends_by_itself(void **state)
{
    (void)state;
    begin_early(true);
    announce(R1);
    f.now_ms += EARLY_MAX - 1;
    agree(3, R1);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER, NULL);
    f.now_ms++;
    expect_ok("R1"); /* by the clock alone */
    assert_false(is_fenced());
    assert_int_equal(service_decision(f.service)->generation, 1);
    /* One Sentinel that goes on saying so is not believed for a while. */
    announce(R1);
    expect_ok("R1");
    f.now_ms += (int64_t)EARLY_FENCE_REST * EARLY_MAX - 1;
    agree(3, R1);
    announce(R1);
    expect_ok("R1");
    f.now_ms++;
    announce(R1);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER, NULL);
    end();
}

static void test_early_fence_on_o_down_and_on_the_flag(void **state)
{
    const struct sentinel_facts failing_over = {.is_failing_over = true, .other_sentinels = 2, .quorum = 2};

    (void)state;
    begin_early(true);
    say_down(0, R1, true);
    assert_false(is_fenced()); /* one is no majority */
    say_down(1, R1, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    assert_true(is_fenced());
    end();
    begin_early(true);
    say_facts(0, R2, failing_over);
    expect_ok("R1");
    say_facts(0, R1, failing_over);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER, NULL);
    assert_true(is_fenced());
    end();
}

static void test_early_fence_is_about_the_master_named(void **state)
{
    (void)state;
    begin_early(true);
    announce(R2);
    announce("10.0.0.9:6379");
    expect_ok("R1");
    end();
    begin_early(false);
    announce(R1);
    expect_ok("R1");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_early_fence_until_the_switch),
        cmocka_unit_test(test_early_fence_ends_by_itself),
        cmocka_unit_test(test_early_fence_on_o_down_and_on_the_flag),
        cmocka_unit_test(test_early_fence_is_about_the_master_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
