/* A voter turns out to be another one: nothing that it said before counts. */
#include "tests/unit/core/decision/handover_fixture.h"

/* What Sentinels that turn out to be others said of replicas does not count, although they name the master again. */
static void test_forgotten_replicas(void **state)
{
    struct addr addr = addr_of(A);
    const struct service_event view = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = START, .addr = &addr, .servers = 0x2};
    const int64_t offsets[REPLICAS_MAX] = {REPLICA_NOT_CONNECTED, 1000, REPLICA_NOT_CONNECTED};
    const struct service_event told = {
        .kind = SERVICE_SAID_OFFSETS, .t_sent_ms = START, .addr = &addr, .offset = 1000, .offsets = offsets};
    const struct service_event forgotten = {.kind = SERVICE_VOTER_FORGOTTEN};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    for (unsigned i = 0; i < VOTERS; i++)
        (void)step_as(former.service, i, &view, START);
    (void)service_step(former.service, &told, START);
    assert_int_equal(service_decision(former.service)->replicas, 0x2);
    for (unsigned i = 0; i < 2; i++)
        (void)step_as(former.service, i, &forgotten, START + 1);
    agree(&former, A, START + 2);
    assert_true(service_state_names(service_decision(former.service)->state));
    assert_int_equal(service_decision(former.service)->replicas, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forgotten_replicas)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
