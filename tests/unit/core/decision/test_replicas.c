/*
 * Which replicas may be named: what a majority says, for how long, how far they are behind, and whose turn it
 * is.
 */
#include "spoa/core/decision/replicas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VOTERS 3
#define SERVERS 4
#define F 2000
#define START 100000

static uint8_t identities[VOTERS];

static struct service_server servers[SERVERS] = {{.weight = 1}, {.weight = 1}, {.weight = 1}, {.weight = 1}};
static const struct quorum_config quorum = {
    .identities = identities, .voters = VOTERS, .threshold = 2, .vote_life_ms = F};
static struct replicas_config config;
static struct replicas *replicas;

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVERS; i++)
        servers[i].weight = 1;
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = (uint8_t)i;
    config = (struct replicas_config){.is_enabled = true};
    replicas = replicas_create(&config, &quorum, servers, SERVERS);
    assert_non_null(replicas);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    replicas_destroy(replicas);
    return 0;
}

/* Server 0 is the master; `up` is a bit for each of the others. */
static void say(unsigned voter, uint64_t up, int64_t t_sent_ms)
{
    const struct replicas_view view = {.t_sent_ms = t_sent_ms, .master = 0, .up = up};

    replicas_note_view(replicas, voter, &view);
}

static uint64_t evaluate(int64_t now_ms)
{
    int64_t review_ms = INT64_MAX;

    return replicas_evaluate(replicas, 0, now_ms, &review_ms);
}

static void test_a_majority(void **state)
{
    (void)state;
    assert_int_equal(evaluate(START), 0);
    say(0, 0x6, START);
    assert_int_equal(evaluate(START), 0);
    say(1, 0xA, START);
    assert_int_equal(evaluate(START), 0x2); /* each server is counted for itself */
    say(2, 0x8, START);
    assert_int_equal(evaluate(START), 0xA);
    say(2, 0x0, START + 1); /* it says otherwise now */
    assert_int_equal(evaluate(START + 1), 0x2);
    say(2, 0x8, START); /* an older reply that comes late */
    assert_int_equal(evaluate(START + 1), 0x2);
    replicas_forget(replicas, 0);
    assert_int_equal(evaluate(START + 1), 0);
}

static void test_views_expire(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    say(0, 0x2, START);
    say(1, 0x2, START + 100);
    say(2, 0x2, START + 500);
    assert_int_equal(replicas_evaluate(replicas, 0, START + 500, &review_ms), 0x2);
    assert_int_equal(review_ms, START + F);
    assert_int_equal(evaluate(START + F), 0x2);
    assert_int_equal(evaluate(START + 100 + F - 1), 0x2);
    assert_int_equal(evaluate(START + 100 + F), 0);
}

static void test_only_of_this_master(void **state)
{
    const struct replicas_view of_another = {.t_sent_ms = START, .master = 1, .up = 0x4};
    int64_t review_ms = INT64_MAX;

    (void)state;
    say(0, 0x4, START);
    replicas_note_view(replicas, 1, &of_another);
    assert_int_equal(evaluate(START), 0);
    say(2, 0x5, START); /* whoever is the master is no replica of itself */
    say(0, 0x5, START);
    assert_int_equal(evaluate(START), 0x4);
    assert_int_equal(replicas_evaluate(replicas, 1, START, &review_ms), 0);
    assert_int_equal(replicas_evaluate(replicas, QUORUM_NO_CANDIDATE, START, &review_ms), 0);
    assert_true(replicas_is_about(replicas, 1));
    assert_false(replicas_is_about(replicas, 2));
}

static void test_one_identity_counts_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        say(i, 0x2, START);
    identities[1] = 0;
    identities[2] = QUORUM_NO_IDENTITY;
    assert_int_equal(evaluate(START), 0);
    identities[2] = 2;
    assert_int_equal(evaluate(START), 0x2);
}

/* ---- lag ---- */

/* The master is at `offset`, servers 1 to 3 so far. */
static void probe(int64_t offset, int64_t one, int64_t two, int64_t other, int64_t t_sent_ms)
{
    const int64_t offsets[SERVERS] = {REPLICA_NOT_CONNECTED, one, two, other};

    replicas_note_offsets(replicas, offset, offsets, t_sent_ms);
    say(0, 0xE, t_sent_ms);
    say(1, 0xE, t_sent_ms);
}

static void test_lag_in_bytes(void **state)
{
    (void)state;
    config.max_lag = (struct lag_limit){.unit = LAG_BYTES, .amount = 100};
    say(0, 0xE, START);
    say(1, 0xE, START);
    assert_int_equal(evaluate(START), 0); /* nobody said how far they are */
    probe(1000, 1000, 900, 899, START);
    assert_int_equal(evaluate(START), 0x6);
    probe(1000, 1000, REPLICA_NOT_CONNECTED, 899, START);
    assert_int_equal(evaluate(START), 0x2);
    probe(1000, 1001, 0, 900, START); /* it acknowledged more since the master spoke of itself */
    assert_int_equal(evaluate(START), 0xA);
    replicas_forget_offsets(replicas);
    assert_int_equal(evaluate(START), 0);
}

/* The master cannot be asked any more: how far behind a replica is in bytes is not known any more either. */
static void test_lag_in_bytes_expires(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    config.max_lag = (struct lag_limit){.unit = LAG_BYTES, .amount = 100};
    probe(1000, 1000, 1000, 0, START);
    say(0, 0x6, START + 1000);
    say(1, 0x6, START + 1000);
    assert_int_equal(replicas_evaluate(replicas, 0, START + 1000, &review_ms), 0x6);
    assert_int_equal(review_ms, START + F);
    assert_int_equal(evaluate(START + F - 1), 0x6);
    assert_int_equal(evaluate(START + F), 0);
    probe(1000, 1000, 1000, 0, START + F);
    assert_int_equal(evaluate(START + F), 0x6);
}

static void test_lag_in_time(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    config.max_lag = (struct lag_limit){.unit = LAG_MS, .amount = 3000};
    /* 1 follows at once, 2 is a second behind, 3 stands still. */
    probe(1000, 1000, 900, 500, START);
    assert_int_equal(evaluate(START), 0x2);
    probe(2000, 2000, 1000, 500, START + 1000);
    assert_int_equal(evaluate(START + 1000), 0x6);
    probe(3000, 3000, 2000, 500, START + 2000);
    assert_int_equal(evaluate(START + 2000), 0x6);
    probe(4000, 4000, 2500, 500, START + 3000); /* slower now */
    probe(5000, 5000, 2600, 500, START + 4000);
    assert_int_equal(replicas_evaluate(replicas, 0, START + 4000, &review_ms), 0x6);
    assert_int_equal(review_ms, START + 1000 + 3001); /* all up to 2000 it has, which was at START + 1000 */
    probe(5000, 5000, 2700, 500, START + 4001);
    assert_int_equal(evaluate(START + 4001), 0x2);
    probe(5000, 5000, 5000, 5000, START + 5000);
    assert_int_equal(evaluate(START + 5000), 0xE);
}

/* After a replica had all it is followed from what the master has then. */
static void test_lag_after_a_rest(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    config.max_lag = (struct lag_limit){.unit = LAG_MS, .amount = 3000};
    probe(1000, 1000, 0, 0, START);
    probe(2000, 1000, 0, 0, START + 1000);
    probe(3000, 2000, 0, 0, START + 2000);
    assert_int_equal(replicas_evaluate(replicas, 0, START + 2000, &review_ms), 0x2);
    assert_int_equal(evaluate(START + 1000 + 3000), 0);
    say(0, 0xE, START + 4000);
    say(1, 0xE, START + 4000);
    assert_int_equal(evaluate(START + 1000 + 3000), 0x2); /* all that the master had at START + 1000 */
    assert_int_equal(evaluate(START + 1000 + 3001), 0);
}

static void test_a_master_that_counts_anew(void **state)
{
    (void)state;
    config.max_lag = (struct lag_limit){.unit = LAG_MS, .amount = 3000};
    probe(1000000, 1000000, 999999, 0, START);
    probe(50, 50, 40, 0, START + 1000);
    probe(100, 100, 50, 0, START + 2000);
    assert_int_equal(evaluate(START + 2000), 0x6);
}

static void test_weight_0_is_never_named(void **state)
{
    (void)state;
    servers[2].weight = 0;
    say(0, 0x6, START);
    say(1, 0x6, START);
    assert_int_equal(evaluate(START), 0x2);
}

/* The last server is the master: voters 1 and 2 hold the first one to be its replica, and it has all. */
static void follow_with_the_first(void)
{
    const struct replicas_view view = {.t_sent_ms = START, .master = SERVERS - 1, .up = 0x1};
    const int64_t offsets[SERVERS] = {1000, REPLICA_NOT_CONNECTED, REPLICA_NOT_CONNECTED,
                                      REPLICA_NOT_CONNECTED};

    config.max_lag = (struct lag_limit){.unit = LAG_BYTES, .amount = 100};
    replicas_note_view(replicas, 1, &view);
    replicas_note_view(replicas, 2, &view);
    assert_int_equal(replicas_find_unlisted(replicas, SERVERS - 1, START), 0);
    replicas_note_offsets(replicas, 1000, offsets, START);
}

static void test_the_first_server_is_a_replica(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    follow_with_the_first();
    assert_int_equal(replicas_find_unlisted(replicas, SERVERS - 1, START), -1);
    assert_int_equal(replicas_evaluate(replicas, SERVERS - 1, START, &review_ms), 0x1);
    replicas_forget_offsets(replicas);
    assert_int_equal(replicas_evaluate(replicas, SERVERS - 1, START, &review_ms), 0);
}

/* In the next map the servers stand in the opposite order. */
static int32_t translate_candidate(void *context, int32_t candidate)
{
    (void)context;
    return SERVERS - 1 - candidate;
}

static int translate_server(void *context, size_t server)
{
    (void)context;
    return server < SERVERS ? (int)(SERVERS - 1 - server) : -1;
}

/* The first server and the last voter are handed over like all others. */
static void test_handed_over(void **state)
{
    static const int voters[VOTERS] = {2, 1, 0};
    const struct succession succession = {
        .voters = voters, .candidate = translate_candidate, .server = translate_server};
    struct replicas *next = replicas_create(&config, &quorum, servers, SERVERS);
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_non_null(next);
    follow_with_the_first();
    replicas_inherit(next, replicas, &succession);
    assert_int_equal(replicas_evaluate(next, 0, START, &review_ms), 0x8);
    assert_int_equal(replicas_translate(0x1, &succession), 0x8);
    assert_int_equal(replicas_translate(0xA, &succession), 0x5);
    replicas_destroy(next);
}

/* Of what two files know of a server the later word counts, and the later time at which it had all. */
static void test_what_is_newer_is_handed_over(void **state)
{
    static const int voters[VOTERS] = {-1, -1, -1};
    const struct succession succession = {
        .voters = voters, .candidate = translate_candidate, .server = translate_server};
    struct replicas *former = replicas_create(&config, &quorum, servers, SERVERS);
    const int64_t none = REPLICA_NOT_CONNECTED;
    const int64_t early[SERVERS] = {none, 1000, 1000, 500};
    const int64_t late[SERVERS] = {none, 500, none, 1000};
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_non_null(former);
    config.max_lag = (struct lag_limit){.unit = LAG_BYTES, .amount = 100};
    /* The former's servers 1, 2 and 3 are 2, 1 and 0 here. */
    replicas_note_offsets(former, 1000, early, START);
    probe(1000, 1000, 0, 0, START - 10);
    replicas_inherit(replicas, former, &succession);
    assert_int_equal(evaluate(START - 10), 0x6); /* 2 was far behind before */
    replicas_note_offsets(former, 1000, late, START - 5);
    replicas_inherit(replicas, former, &succession);
    assert_int_equal(evaluate(START - 10), 0x6); /* the former knew less, and earlier */
    replicas_note_offsets(former, 1000, late, START + 10);
    replicas_inherit(replicas, former, &succession);
    assert_int_equal(evaluate(START - 10), 0x2); /* 2 has fallen behind */
    config.max_lag = (struct lag_limit){.unit = LAG_MS, .amount = 100};
    replicas_note_offsets(former, 1000, early, START + 20);
    probe(1000, 0, 0, 0, START + 30);
    assert_int_equal(evaluate(START + 30), 0x6);
    assert_int_equal(replicas_evaluate(replicas, 0, START + 120, &review_ms), 0);
    replicas_inherit(replicas, former, &succession);
    assert_int_equal(evaluate(START + 120), 0x6); /* that takes longer to learn */
    assert_int_equal(evaluate(START + 121), 0);
    replicas_destroy(former);
}

/* A view that is newer is handed over, and no view of a voter that was not there. */
static void test_views_are_handed_over(void **state)
{
    static const int voters[VOTERS] = {0, 1, -1};
    const struct succession succession = {
        .voters = voters, .candidate = translate_candidate, .server = translate_server};
    const struct replicas_view view = {.t_sent_ms = START, .master = SERVERS - 1, .up = 0x4};
    struct replicas *former = replicas_create(&config, &quorum, servers, SERVERS);

    (void)state;
    assert_non_null(former);
    for (unsigned i = 0; i < VOTERS; i++)
        replicas_note_view(former, i, &view);
    say(0, 0x4, START - 1);
    say(1, 0x4, START); /* not older than the former's */
    say(2, 0x4, START - 1);
    replicas_inherit(replicas, former, &succession);
    assert_int_equal(evaluate(START), 0x4);
    say(1, 0x6, START);
    assert_int_equal(evaluate(START), 0x6); /* voters 0 and 1; it is voter 2 that has 4 */
    replicas_destroy(former);
}

/* A map may have no server. What is said of it takes no more room than there is. */
static void test_a_map_without_servers(void **state)
{
    struct replicas *none = replicas_create(&config, &quorum, servers, 0);
    const struct replicas_view view = {.t_sent_ms = START, .master = 0, .up = 0x2};
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_non_null(none);
    for (unsigned i = 0; i < VOTERS; i++) {
        replicas_forget(none, i);
        replicas_note_view(none, i, &view);
    }
    replicas_forget_offsets(none);
    assert_int_equal(replicas_evaluate(none, 0, START, &review_ms), 0);
    assert_true(replicas_is_about(none, 0));
    assert_false(replicas_is_about(none, QUORUM_NO_CANDIDATE));
    replicas_destroy(none);
}

/* Only one that counts, is up and has no offset is not listed. */
static void test_who_is_unlisted(void **state)
{
    (void)state;
    say(0, 0xC, START);
    say(1, 0xC, START);
    assert_int_equal(replicas_find_unlisted(replicas, 0, START), -1); /* the lag does not matter */
    config.max_lag = (struct lag_limit){.unit = LAG_MS, .amount = 100};
    assert_int_equal(replicas_find_unlisted(replicas, 0, START), 2);
    servers[2].weight = 0;
    assert_int_equal(replicas_find_unlisted(replicas, 0, START), 3);
    assert_int_equal(replicas_find_unlisted(replicas, 1, START), -1);
    probe(1000, REPLICA_NOT_CONNECTED, REPLICA_NOT_CONNECTED, 0, START);
    servers[1].weight = 0;
    assert_int_equal(replicas_find_unlisted(replicas, 0, START), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_majority, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_views_expire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_of_this_master, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_identity_counts_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lag_in_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lag_in_bytes_expires, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lag_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lag_after_a_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_master_that_counts_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_weight_0_is_never_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_server_is_a_replica, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_handed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_newer_is_handed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_views_are_handed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_unlisted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_map_without_servers, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
