/* What follows from a Sentinel's list of replicas: who is up, and which addresses the map lacks. */
#include "tests/unit/core/voters/sentinel_voter_fixture.h"

#define FIELDS 14

/* One replica of a list, and room for its texts. */
struct listed {
    struct reply fields[FIELDS];
};

static struct listed listed[4];
static struct reply list[4];

/* The list's element `index`. `flags` and `priority` as Sentinel says them. */
static void put(unsigned index, const char *ip, const char *master, const char *flags, const char *priority)
{
    const char *const texts[FIELDS] = {"ip",
                                       ip,
                                       "port",
                                       "7002",
                                       "flags",
                                       flags,
                                       "master-host",
                                       master,
                                       "master-port",
                                       "7001",
                                       "slave-priority",
                                       priority,
                                       "master-link-status",
                                       "ok"};

    for (unsigned i = 0; i < FIELDS; i++)
        listed[index].fields[i] = text_reply(texts[i]);
    list[index] = (struct reply){.kind = REPLY_ARRAY, .elements = listed[index].fields, .count = FIELDS};
}

/* The first `voters` Sentinels list so many replicas, and the others none. */
static void say(unsigned voters, unsigned count)
{
    for (unsigned i = 0; i < VOTERS; i++) {
        f.fakes[i].replicas =
            (struct reply){.kind = REPLY_ARRAY, .elements = list, .count = i < voters ? count : 0};
        voter_group_ask(f.group, i, span_of(NULL, 0));
        collect(i);
        answer(i);
    }
}

static void begin_with(bool names_replicas)
{
    f.service_settings[0].replicas.is_enabled = names_replicas;
    f.servers[1].weight = 1;
    service_destroy(f.services[0]);
    f.services[0] = service_create(&f.service_settings[0], f.now_ms);
    make_group();
    greet_all();
    assert_int_equal(decision()->state, SERVICE_OK);
}

static bool has_alarm(enum alarm_kind kind)
{
    return alarms_is_raised(service_alarms(f.services[0]), kind);
}

/* ---- who is up ---- */

static void replica_by_an_alias(void **state)
{
    struct addr aliases[] = {f.servers[1].addr, f.servers[0].addr};

    (void)state;
    assert_true(addr_parse(span_of_text("redis-2:7002"), &aliases[0]));
    assert_true(addr_parse(span_of_text("localhost:7001"), &aliases[1]));
    begin_with(true);
    put(0, "redis-2", "localhost", "slave", "100");
    say(3, 1);
    assert_int_equal(decision()->replicas, 0);
    f.servers[1].aliases = &aliases[0];
    f.servers[1].alias_count = 1;
    say(3, 1);
    assert_int_equal(decision()->replicas, 0); /* whom it follows is not known yet */
    f.servers[0].aliases = &aliases[1];
    f.servers[0].alias_count = 1;
    say(3, 1);
    assert_int_equal(decision()->replicas, 0x2);
}

/* A replica that does not answer, or has left its master, is listed and not up. */
static void replica_that_is_not_up(void **state)
{
    (void)state;
    begin_with(true);
    put(0, "127.0.0.1", "127.0.0.1", "slave", "100");
    say(3, 1);
    assert_int_equal(decision()->replicas, 0x2);
    put(0, "127.0.0.1", "127.0.0.1", "slave,s_down", "100");
    say(3, 1);
    assert_int_equal(decision()->replicas, 0);
    put(0, "127.0.0.1", "127.0.0.1", "slave", "100");
    listed[0].fields[FIELDS - 1] = text_reply("err");
    say(3, 1);
    assert_int_equal(decision()->replicas, 0);
}

/* ---- a node that the map lacks ---- */

static void node_that_the_map_lacks(void **state)
{
    (void)state;
    begin_with(false);
    put(0, "127.0.0.1", "127.0.0.1", "slave", "100"); /* R2 */
    put(1, "10.0.0.9", "127.0.0.1", "slave", "100");
    put(2, "10.0.0.10", "127.0.0.1", "slave", "100");
    say(3, 1);
    assert_false(has_alarm(ALARM_UNMAPPED_NODE));
    say(1, 3);
    assert_false(has_alarm(ALARM_UNMAPPED_NODE)); /* one Sentinel may be wrong */
    log_capture_clear();
    say(2, 3);
    assert_true(has_alarm(ALARM_UNMAPPED_NODE));
    say(3, 3);
    assert_int_equal(log_capture_count("alarm"), 1);
    assert_non_null(strstr(log_capture_last("alarm"),
                           "detail=10.0.0.10:7002: write 'server = NAME 10.0.0.10:7002', or "
                           "'alias=10.0.0.10:7002' behind its server"));
    say(3, 1);
    assert_false(has_alarm(ALARM_UNMAPPED_NODE));
    assert_int_equal(decision()->state, SERVICE_OK);
}

static void node_that_is_not_promoted(void **state)
{
    (void)state;
    begin_with(false);
    put(0, "10.0.0.9", "127.0.0.1", "slave", "0");
    put(1, "10.0.0.9", "127.0.0.1", "slave,s_down", "100");
    put(2, "10.0.0.9", "127.0.0.1", "slave,disconnected", "100");
    say(3, 3);
    assert_false(has_alarm(ALARM_UNMAPPED_NODE));
    put(0, "10.0.0.9", "127.0.0.1", "slave,master_down", "1");
    say(3, 1);
    assert_true(has_alarm(ALARM_UNMAPPED_NODE));
}

static void node_with_an_alias(void **state)
{
    struct addr alias;

    (void)state;
    begin_with(false);
    assert_true(addr_parse(span_of_text("10.0.0.9:7002"), &alias));
    put(0, "10.0.0.9", "127.0.0.1", "slave", "100");
    say(3, 1);
    assert_true(has_alarm(ALARM_UNMAPPED_NODE));
    f.servers[1].aliases = &alias;
    f.servers[1].alias_count = 1;
    say(3, 1);
    assert_false(has_alarm(ALARM_UNMAPPED_NODE));
}

/* The settings are asked for in turn, and the list with them. */
static void asked_with_the_facts(void **state)
{
    (void)state;
    begin_with(false);
    unsigned facts = f.fakes[0].facts_asked;
    unsigned replicas = f.fakes[0].replicas_asked;
    for (unsigned i = 0; i < VOTER_FACTS_POLLS; i++)
        poll_once(0);
    assert_int_equal(f.fakes[0].facts_asked, facts + 1);
    assert_int_equal(f.fakes[0].replicas_asked, replicas + 1);
}

static void not_asked_where_any_address_is_named(void **state)
{
    (void)state;
    f.service_settings[0].allow_any_address = true;
    begin_with(false);
    assert_int_equal(f.fakes[0].replicas_asked, 0);
    begin_with(true);
    put(0, "10.0.0.9", "127.0.0.1", "slave", "100");
    say(3, 1);
    assert_true(f.fakes[0].replicas_asked > 0);
    assert_false(has_alarm(ALARM_UNMAPPED_NODE));
}

/* ---- a replica of an unknown address ---- */

static void leader_that_the_map_lacks(void **state)
{
    (void)state;
    begin_with(true);
    put(0, "127.0.0.1", "localhost", "slave", "100");
    say(3, 1);
    assert_int_equal(decision()->replicas, 0);
    assert_false(has_alarm(ALARM_UNMAPPED_LEADER)); /* Sentinel itself may put that right */
    for (unsigned i = 0; i < 11; i++)
        for (unsigned k = 0; k < VOTERS; k++)
            poll_once(k);
    assert_true(has_alarm(ALARM_UNMAPPED_LEADER));
    assert_non_null(strstr(log_capture_last("alarm"),
                           "R2 follows localhost:7001: write 'alias=localhost:7001' behind the master's"));
    assert_false(has_alarm(ALARM_UNMAPPED_NODE));
    put(0, "127.0.0.1", "127.0.0.1", "slave", "100");
    say(3, 1);
    assert_int_equal(decision()->replicas, 0x2);
    assert_false(has_alarm(ALARM_UNMAPPED_LEADER));
}

/* Another server of the map is no address that it lacks. Of several leaders the first one is told. */
static void leader_that_the_map_has(void **state)
{
    (void)state;
    begin_with(true);
    put(0, "127.0.0.1", "127.0.0.1", "slave", "100");
    listed[0].fields[9] = text_reply("7002");
    for (unsigned i = 0; i < 12; i++) {
        say(3, 1);
        f.now_ms += POLL_MS;
    }
    assert_int_equal(decision()->replicas, 0);
    assert_false(has_alarm(ALARM_UNMAPPED_LEADER));
    put(0, "127.0.0.1", "localhost", "slave", "100");
    put(1, "127.0.0.1", "10.0.0.9", "slave", "100");
    for (unsigned i = 0; i < 12; i++) {
        say(3, 2);
        f.now_ms += POLL_MS;
    }
    assert_non_null(strstr(log_capture_last("alarm"), "R2 follows localhost:7001"));
}

/* Nothing depends on whom it follows. */
static void leader_does_not_matter_without_replicas(void **state)
{
    (void)state;
    begin_with(false);
    put(0, "127.0.0.1", "localhost", "slave", "100");
    for (unsigned i = 0; i < 12; i++) {
        say(3, 1);
        f.now_ms += POLL_MS;
    }
    assert_false(has_alarm(ALARM_UNMAPPED_LEADER));
}

/* ---- a Sentinel on another host ---- */

static void loopback_address(void **state)
{
    (void)state;
    begin_with(false);
    assert_false(has_alarm(ALARM_LOOPBACK));
    f.voters[1].query.is_remote = true;
    poll_once(1);
    assert_true(has_alarm(ALARM_LOOPBACK));
    assert_non_null(strstr(log_capture_last("alarm"), "detail=127.0.0.1:7001"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VOTER_TEST(replica_by_an_alias),       VOTER_TEST(node_that_the_map_lacks),
        VOTER_TEST(node_that_is_not_promoted), VOTER_TEST(node_with_an_alias),
        VOTER_TEST(asked_with_the_facts),      VOTER_TEST(not_asked_where_any_address_is_named),
        VOTER_TEST(leader_that_the_map_lacks), VOTER_TEST(leader_does_not_matter_without_replicas),
        VOTER_TEST(loopback_address),          VOTER_TEST(leader_that_the_map_has),
        VOTER_TEST(replica_that_is_not_up),
    };

    return cmocka_run_group_tests_name("sentinel_replicas", tests, NULL, NULL);
}
