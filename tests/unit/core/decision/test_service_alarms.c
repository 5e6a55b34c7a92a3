/* When each alarm of a service holds, to the millisecond, and in which words it is told. */
#include "spoa/core/decision/service_alarms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/log_capture.h"

enum { VOTERS = 3, SERVERS = 2, F = 2000 };
#define START 100000

static uint8_t identities[VOTERS];
static struct service_server servers[SERVERS];
static struct service_settings settings;
static struct sentinel_report sentinels[VOTERS];
static struct node_report nodes[SERVERS + 1];
static struct quorum_vote votes[VOTERS];
static struct evidence evidence;
static struct quorum quorum;
static struct server_map map;
static struct alarms alarms;

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

/* All three Sentinels are heard, and have told nothing yet. */
static int set_up(void **state)
{
    const struct quorum_vote vote = {.ballot = QUORUM_NAMES, .t_sent_ms = START};

    (void)state;
    servers[0] = (struct service_server){.name = "R1", .addr = addr_of("10.0.0.1:6379")};
    servers[1] = (struct service_server){.name = "R2", .addr = addr_of("10.0.0.2:6379")};
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = servers,
        .server_count = SERVERS,
        .park_ms = 8000,
        .quorum = {.identities = identities, .voters = VOTERS, .threshold = 2, .vote_life_ms = F},
    };
    alarms = (struct alarms){.holding = 0};
    evidence_init(&evidence, sentinels, nodes, SERVERS, &settings.quorum);
    quorum_init(&quorum, &settings.quorum, votes, START);
    server_map_init(&map, servers, SERVERS, 4);
    for (unsigned i = 0; i < VOTERS; i++) {
        identities[i] = (uint8_t)i;
        (void)quorum_note_vote(&quorum, i, &vote, 0, START);
    }
    log_capture_begin(LOG_LEVEL_DEBUG);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    alarms_finish(&alarms);
    server_map_finish(&map);
    return 0;
}

static bool is_raised(enum alarm_kind kind)
{
    return alarms_is_raised(&alarms, kind);
}

static void assert_detail(enum alarm_kind kind, const char *detail)
{
    assert_true(is_raised(kind));
    assert_string_equal(alarms_detail(&alarms, kind), detail);
}

/* A Sentinel with sound settings. */
static struct sentinel_facts sound(void)
{
    return (struct sentinel_facts){.down_after_ms = F + 1, .quorum = 2, .other_sentinels = VOTERS - 1};
}

static void tell_facts(unsigned voter, struct sentinel_facts facts)
{
    evidence_note_facts(&evidence, voter, 0, &facts, START);
    service_alarms_facts(&alarms, &settings, &evidence, &quorum, START);
}

static void test_sound_settings(void **state)
{
    (void)state;
    service_alarms_facts(&alarms, &settings, &evidence, &quorum, START); /* nobody has told anything */
    for (unsigned i = 0; i < VOTERS; i++)
        tell_facts(i, sound());
    assert_int_equal(alarms.raised, 0);
    assert_int_equal(alarms.holding, 0);
    assert_int_equal(log_capture_count(NULL), 0);
}

static void test_the_least_down_after_is_above_the_life_of_a_vote(void **state)
{
    struct sentinel_facts facts = sound();

    (void)state;
    tell_facts(0, facts);
    facts.down_after_ms = F;
    tell_facts(1, facts);
    assert_detail(ALARM_VOTE_LIFE, "vote-life 2000 ms, down-after-milliseconds 2000");
    tell_facts(2, sound()); /* the least counts, not the last */
    assert_true(is_raised(ALARM_VOTE_LIFE));
    tell_facts(1, sound());
    assert_false(is_raised(ALARM_VOTE_LIFE));
}

/* A voter that is no longer heard has no say, and neither has a node: it has no settings. */
static void test_whose_settings_count(void **state)
{
    struct sentinel_facts facts = {.down_after_ms = 1, .quorum = 0};

    (void)state;
    tell_facts(0, facts);
    assert_int_equal(alarms.raised & ~(UINT32_C(1) << ALARM_PARK), 0);
    facts.quorum = 1;
    evidence_note_facts(&evidence, 0, 0, &facts, START);
    service_alarms_facts(&alarms, &settings, &evidence, &quorum, START + F);
    assert_false(is_raised(ALARM_VOTE_LIFE));
    service_alarms_facts(&alarms, &settings, &evidence, &quorum, START + F - 1);
    assert_true(is_raised(ALARM_VOTE_LIFE));
}

static void test_down_after_is_below_that_of_the_sentinels(void **state)
{
    (void)state;
    settings.policy.down_after_ms = F;
    tell_facts(0, sound());
    assert_false(is_raised(ALARM_DOWN_AFTER));
    settings.policy.down_after_ms = F + 1;
    tell_facts(0, sound());
    assert_detail(ALARM_DOWN_AFTER, "down-after 2001 ms, down-after-milliseconds 2001");
    settings.policy.down_after_ms = 0;
    service_alarms_facts(&alarms, &settings, &evidence, &quorum, START + F); /* nobody is heard */
    assert_false(is_raised(ALARM_DOWN_AFTER));
}

/* `park` covers what a failover takes with the slowest Sentinel, or is off. */
static void test_park_covers_a_failover(void **state)
{
    struct sentinel_facts facts = sound();

    (void)state;
    facts.down_after_ms = 8000 - EVIDENCE_FAILOVER_MS;
    tell_facts(0, facts);
    assert_false(is_raised(ALARM_PARK));
    facts.down_after_ms++;
    tell_facts(1, facts);
    assert_detail(ALARM_PARK, "park 8000 ms, down-after-milliseconds 6001");
    settings.park_ms = PARK_AUTO;
    tell_facts(1, facts);
    assert_detail(ALARM_PARK,
                  "park auto (8000 ms at most), down-after-milliseconds 6001: lower it to 6000, or set "
                  "'park' to 8001 ms");
    settings.park_ms = 1;
    tell_facts(1, facts);
    assert_true(is_raised(ALARM_PARK));
    settings.park_ms = 0;
    tell_facts(1, facts);
    assert_false(is_raised(ALARM_PARK));
    settings.park_ms = 1;
    service_alarms_facts(&alarms, &settings, &evidence, &quorum, START + F); /* nobody is heard */
    assert_false(is_raised(ALARM_PARK));
}

/* One Sentinel that knows of another number is enough, whatever those behind it say. */
static void test_how_many_sentinels_there_are(void **state)
{
    const uint32_t others[] = {VOTERS, VOTERS - 2};
    const char *const details[] = {"3 configured, a Sentinel knows of 4",
                                   "3 configured, a Sentinel knows of 2"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sentinel_facts facts = sound();
        facts.other_sentinels = others[i];
        tell_facts(0, facts);
        tell_facts(1, sound());
        assert_false(is_raised(ALARM_SENTINEL_COUNT)); /* not at once */
        service_alarms_facts(&alarms, &settings, &evidence, &quorum, START);
        settings.quorum.vote_life_ms = 60000;
        service_alarms_facts(&alarms, &settings, &evidence, &quorum, START + 30000);
        settings.quorum.vote_life_ms = F;
        assert_detail(ALARM_SENTINEL_COUNT, details[i]);
        tell_facts(0, sound());
        assert_false(is_raised(ALARM_SENTINEL_COUNT));
    }
}

static void test_the_largest_quorum_can_be_reached(void **state)
{
    struct sentinel_facts facts = sound();

    (void)state;
    facts.quorum = VOTERS;
    tell_facts(0, facts);
    assert_false(is_raised(ALARM_SENTINEL_QUORUM));
    facts.quorum = VOTERS + 1;
    tell_facts(1, facts);
    tell_facts(2, sound());
    assert_detail(ALARM_SENTINEL_QUORUM, "quorum 4 of 3");
}

/* Nothing bounds what is lost: no `down-after`, no min-replicas-to-write, and slow Sentinels. */
static void test_what_bounds_the_loss(void **state)
{
    struct sentinel_facts facts = sound();

    (void)state;
    facts.down_after_ms = SERVICE_ALARMS_LOSS_MS;
    evidence_note_facts(&evidence, 0, 0, &facts, START);
    service_alarms_loss(&alarms, &settings, &evidence, &quorum, true, START);
    assert_false(is_raised(ALARM_UNBOUNDED_LOSS));
    facts.down_after_ms++;
    evidence_note_facts(&evidence, 0, 0, &facts, START);
    service_alarms_loss(&alarms, &settings, &evidence, &quorum, true, START);
    assert_detail(ALARM_UNBOUNDED_LOSS, "down-after-milliseconds 10001");
    service_alarms_loss(&alarms, &settings, &evidence, &quorum, false, START);
    assert_false(is_raised(ALARM_UNBOUNDED_LOSS));
    settings.policy.down_after_ms = 1;
    service_alarms_loss(&alarms, &settings, &evidence, &quorum, true, START);
    assert_false(is_raised(ALARM_UNBOUNDED_LOSS));
}

static void test_a_master_that_refuses_us(void **state)
{
    const struct span words = span_of_text("NOAUTH Authentication required.");

    (void)state;
    service_alarms_refusal(&alarms, &settings, &words, true, START);
    assert_detail(ALARM_NODE_PASSWORD, "NOAUTH Authentication required.");
    assert_int_equal(alarms.holding, UINT32_C(1) << ALARM_NODE_PASSWORD);
    service_alarms_refusal(&alarms, &settings, &words, false, START);
    assert_int_equal(alarms.holding, UINT32_C(1) << ALARM_NODE_REFUSES);
    service_alarms_refusal(&alarms, &settings, &words, false, START + 5000);
    assert_detail(ALARM_NODE_REFUSES, "NOAUTH Authentication required.");
    service_alarms_refusal(&alarms, &settings, NULL, true, START + 5000);
    assert_int_equal(alarms.holding, 0);
}

/* One voter that names nobody is no disagreement, and neither is an address outside the map. */
static void test_what_is_decided(void **state)
{
    const struct addr addr = addr_of("10.0.0.9:6379");
    struct service_decision decision = {.state = SERVICE_UNKNOWN_ADDRESS, .addr = &addr};
    struct quorum_result result = {.in_reach = 1, .sole = QUORUM_NO_CANDIDATE};

    (void)state;
    service_alarms_review(&alarms, &settings, &decision, &result, START);
    assert_detail(ALARM_UNKNOWN_ADDRESS, "10.0.0.9:6379: write 'server = NAME 10.0.0.9:6379', or "
                                         "'alias=10.0.0.9:6379' behind its server");
    assert_int_equal(alarms.holding, UINT32_C(1) << ALARM_UNKNOWN_ADDRESS);
    decision.state = SERVICE_OK;
    result.in_reach = 2;
    service_alarms_review(&alarms, &settings, &decision, &result, START);
    assert_int_equal(alarms.holding, UINT32_C(1) << ALARM_DISAGREEMENT);
    result.sole = 0;
    service_alarms_review(&alarms, &settings, &decision, &result, START);
    assert_int_equal(alarms.holding, 0);
    service_alarms_loopback(&alarms, &settings, &addr, START);
    assert_detail(ALARM_LOOPBACK, "10.0.0.9:6379");
    service_alarms_loopback(&alarms, &settings, NULL, START);
    assert_false(is_raised(ALARM_LOOPBACK));
}

/* Identities count, not entries. */
static void test_strangers_take_a_majority(void **state)
{
    const struct addr addr = addr_of("10.0.0.9:6379");
    int32_t stranger = SERVERS;

    (void)state;
    map.strangers = calloc(map.places, sizeof(*map.strangers));
    assert_non_null(map.strangers);
    map.strangers[0] = addr;
    sentinels[0].strangers = sentinels[1].strangers =
        (struct sentinel_strangers){.node = stranger, .leader = stranger, .follower = 1};
    identities[1] = 0;
    service_alarms_strangers(&alarms, &settings, &map, &evidence, &quorum, START);
    assert_int_equal(alarms.holding, 0);
    identities[1] = QUORUM_NO_IDENTITY;
    service_alarms_strangers(&alarms, &settings, &map, &evidence, &quorum, START);
    assert_int_equal(alarms.holding, 0);
    identities[1] = 1;
    service_alarms_strangers(&alarms, &settings, &map, &evidence, &quorum, START + F); /* nobody is heard */
    assert_int_equal(alarms.holding, 0);
    service_alarms_strangers(&alarms, &settings, &map, &evidence, &quorum, START);
    assert_detail(ALARM_UNMAPPED_NODE, "10.0.0.9:6379: write 'server = NAME 10.0.0.9:6379', or "
                                       "'alias=10.0.0.9:6379' behind its server");
    assert_false(is_raised(ALARM_UNMAPPED_LEADER)); /* not at once */
    settings.quorum.vote_life_ms = 60000;
    service_alarms_strangers(&alarms, &settings, &map, &evidence, &quorum, START + 10000);
    assert_detail(ALARM_UNMAPPED_LEADER,
                  "R2 follows 10.0.0.9:6379: write 'alias=10.0.0.9:6379' behind the master's server");
    sentinels[0].strangers.node = QUORUM_NO_CANDIDATE;
    sentinels[1].strangers.leader = QUORUM_NO_CANDIDATE;
    service_alarms_strangers(&alarms, &settings, &map, &evidence, &quorum, START + 10000);
    assert_int_equal(alarms.holding, 0);
}

static void test_a_replica_that_is_listed_by_another_address(void **state)
{
    const struct addr addr = addr_of("10.0.0.9:6379");

    (void)state;
    service_alarms_offsets(&alarms, &settings, -1, &addr, START);
    service_alarms_offsets(&alarms, &settings, 1, NULL, START);
    assert_int_equal(alarms.holding, 0);
    service_alarms_offsets(&alarms, &settings, 0, &addr, START);
    service_alarms_offsets(&alarms, &settings, 0, &addr, START + 5000);
    assert_detail(ALARM_UNLISTED_REPLICA,
                  "the master lists 10.0.0.9:6379 and not R1: write 'alias=10.0.0.9:6379' "
                  "behind the server that it is");
}

static void note_sight(enum service_role role, enum service_sight sight)
{
    service_alarms_sight(&alarms, &settings, role, sight, START);
}

/* Each role has its own clients. The alarm goes on while those of one role are not seen. */
static void test_clients_that_are_not_seen(void **state)
{
    (void)state;
    note_sight(SERVICE_ROLE_MASTER, SERVICE_SIGHT_UNKNOWN);
    assert_int_equal(log_capture_count(NULL), 0);
    note_sight(SERVICE_ROLE_MASTER, SERVICE_SIGHT_ABSENT);
    assert_detail(ALARM_GONE_CLIENTS_UNSEEN, "no such connection in this network namespace");
    note_sight(SERVICE_ROLE_REPLICA, SERVICE_SIGHT_NOT_GIVEN);
    assert_detail(ALARM_GONE_CLIENTS_UNSEEN, "HAProxy does not send src, src_port, dst and dst_port");
    note_sight(SERVICE_ROLE_REPLICA, SERVICE_SIGHT_IMPOSSIBLE);
    assert_detail(ALARM_GONE_CLIENTS_UNSEEN, "the kernel does not say");
    assert_int_equal(log_capture_count("clients-seen"), 0);
    note_sight(SERVICE_ROLE_MASTER, SERVICE_SIGHT_SEEN);
    assert_string_equal(log_capture_last("clients-seen"), "info clients-seen service=m role=master");
    assert_true(is_raised(ALARM_GONE_CLIENTS_UNSEEN));
    note_sight(SERVICE_ROLE_REPLICA, SERVICE_SIGHT_SEEN);
    assert_string_equal(log_capture_last("clients-seen"), "info clients-seen service=m role=replica");
    assert_false(is_raised(ALARM_GONE_CLIENTS_UNSEEN));
}

static void give_up(enum service_role role, int64_t after_ms)
{
    service_alarms_given_up(&alarms, &settings, role, after_ms, START);
}

/* The same of clients that HAProxy gives up. Their detail stays while those of one role are given up. */
static void test_clients_that_are_given_up(void **state)
{
    static const char detail[] =
        "after about 3000 ms, 'park' may be 8000 ms: set 'timeout processing' and 'timeout "
        "client' to 10000ms or more";

    (void)state;
    give_up(SERVICE_ROLE_MASTER, 3000);
    assert_detail(ALARM_PARK_TIMEOUT, detail);
    give_up(SERVICE_ROLE_REPLICA, 3000);
    give_up(SERVICE_ROLE_MASTER, SERVICE_NOT_GIVEN_UP);
    assert_detail(ALARM_PARK_TIMEOUT, detail);
    give_up(SERVICE_ROLE_REPLICA, SERVICE_NOT_GIVEN_UP);
    assert_false(is_raised(ALARM_PARK_TIMEOUT));
    settings.park_ms = PARK_AUTO;
    give_up(SERVICE_ROLE_MASTER, 3000);
    assert_detail(ALARM_PARK_TIMEOUT, detail);
}

/* A reload keeps who is given up. A role that the next file does not have any more is forgotten. */
static void test_a_reload_keeps_who_is_given_up(void **state)
{
    struct alarms former = {.holding = 0};

    (void)state;
    service_alarms_given_up(&former, &settings, SERVICE_ROLE_REPLICA, 3000, START);
    settings.replicas.is_enabled = true;
    service_alarms_inherit(&alarms, &settings, &former, START);
    assert_true(is_raised(ALARM_PARK_TIMEOUT));
    settings.replicas.is_enabled = false;
    service_alarms_inherit(&alarms, &settings, &former, START);
    assert_false(is_raised(ALARM_PARK_TIMEOUT));
    service_alarms_given_up(&former, &settings, SERVICE_ROLE_MASTER, 3000, START);
    service_alarms_inherit(&alarms, &settings, &former, START);
    assert_true(is_raised(ALARM_PARK_TIMEOUT));
    give_up(SERVICE_ROLE_MASTER, SERVICE_NOT_GIVEN_UP);
    assert_false(is_raised(ALARM_PARK_TIMEOUT));
    alarms_finish(&former);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_least_down_after_is_above_the_life_of_a_vote, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_whose_settings_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_down_after_is_below_that_of_the_sentinels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_park_covers_a_failover, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_how_many_sentinels_there_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_largest_quorum_can_be_reached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_bounds_the_loss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_master_that_refuses_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_decided, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strangers_take_a_majority, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_replica_that_is_listed_by_another_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clients_that_are_not_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clients_that_are_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reload_keeps_who_is_given_up, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("service_alarms", tests, NULL, NULL);
}
