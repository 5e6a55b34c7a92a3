/* A node that votes: what it is asked and when, whose word counts, what is made of one that cannot vote. */
#include "spoa/core/base/progress.h"
#include "tests/unit/core/voters/node_voter_fixture.h"

static void test_replication(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    connect_node(0);
    collect(0);
    assert_string_equal(f.sent, "AUTH secret\nCLIENT SETNAME sentinel-spoa\nINFO server\nROLE\n");
    answer(0);
    assert_null(named(0)); /* one of three */
    connect_node(1);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n0");
    assert_string_equal(named(1), "n0");
    assert_int_equal(log_capture_count("node-up"), 0);
    poll_node(1);
    assert_string_equal(f.sent, "ROLE\n");
    assert_int_equal(log_capture_count("node-up"), 1); /* its link has lasted for a poll */
    assert_string_equal(log_capture_last("node-up"),
                        "info node-up node=n1 id=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
}

static void test_cluster(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    connect_node(0);
    collect(0);
    assert_string_equal(
        f.sent, "AUTH secret\nCLIENT SETNAME sentinel-spoa\nCLUSTER MYID\nCLUSTER INFO\nCLUSTER SLOTS\n");
    answer(0);
    assert_null(named(0));
    connect_node(1);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n0");
    assert_string_equal(named(1), "n1");
    poll_node(0);
    assert_string_equal(f.sent, "CLUSTER INFO\nCLUSTER SLOTS\n");
}

static bool has_alarm(unsigned service)
{
    return alarms_is_raised(service_alarms(f.services[service]), ALARM_UNMAPPED_NODE);
}

/* A replica that the map lacks is told before the cluster promotes it. */
static void test_replica_that_the_map_lacks(void **state)
{
    struct addr alias;

    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    ask_all();
    assert_false(has_alarm(0));
    f.replica = "redis-3";
    ask_all();
    assert_true(has_alarm(0));
    assert_false(has_alarm(1));
    assert_non_null(strstr(log_capture_last("alarm"), "'alias=redis-3:7009' behind its server"));
    assert_true(addr_parse(span_of_text("redis-3:7009"), &alias));
    f.servers[2].aliases = &alias;
    f.servers[2].alias_count = 1;
    ask_all();
    assert_false(has_alarm(0));
}

/* It reaches no majority of the masters: what it knows is what was. */
static void test_a_cluster_that_is_down(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    assert_string_equal(named(0), "n0");
    f.state = "fail";
    for (unsigned i = 0; i < NODES; i++) {
        (void)conversation_tick(&f.voters[i].conversation, f.now_ms + POLL);
        f.now_ms += i == 0 ? POLL : 0;
        collect(i);
        answer(i);
    }
    f.now_ms += 2000;
    assert_null(named(0));
    assert_int_equal(log_capture_count("node-without-vote"), NODES);
    assert_string_equal(log_capture_last("node-without-vote"),
                        "warning node-without-vote node=n2 reply=cluster_state is not ok");
    f.state = "ok";
    poll_node(0);
    answer(0);
    (void)conversation_tick(&f.voters[1].conversation, f.now_ms);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n0");
}

/* It does not say whether it reaches a majority. That it did before says nothing. */
static void test_a_cluster_whose_state_is_not_told(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    f.now_ms += 1500;
    assert_string_equal(named(0), "n0");
    for (unsigned i = 0; i < NODES; i++) {
        (void)conversation_tick(&f.voters[i].conversation, f.now_ms);
        collect(i);
        assert_string_equal(f.sent, "CLUSTER INFO\nCLUSTER SLOTS\n");
        give_error(i, "NOPERM no");
        give_slots(i);
    }
    f.now_ms += 600;
    assert_null(named(0));
}

/* The last node of a cluster in reach is no witness, whatever it is: it may have been replaced. */
static void test_nobody_is_alone_in_a_cluster(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, true);
    meet_all();
    f.now_ms += 500;
    poll_node(0);
    answer(0);
    assert_string_equal(named(0), "n0");
    f.now_ms += 600;
    assert_int_equal(state_of(0), SERVICE_NO_QUORUM);
}

/* The first votes are news: all are asked again until there is none. */
static void settle(void)
{
    for (unsigned i = 0; i < 4 * NODES; i++) {
        f.now_ms += 20;
        voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
        collect(i % NODES);
        answer(i % NODES);
    }
}

/* Somebody names another: all are asked at once, and the majority's word counts. */
static void test_a_dissent(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    meet_all();
    settle();
    f.masters[0] = 1;
    f.now_ms = f.voters[1].next_poll_ms;
    assert_true(conversation_wake_ms(&f.voters[0].conversation) > f.now_ms);
    collect(1);
    answer(1);
    assert_true(voter_group_wants(f.group, 0) && voter_group_wants(f.group, 2));
    assert_true(conversation_wake_ms(&f.voters[0].conversation) <= f.now_ms);
    f.masters[0] = 0;
    collect(0);
    answer(0); /* still takes itself for the master */
    f.masters[0] = 1;
    collect(2);
    answer(2);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n1");
}

/*
 * Without the right to say who it is it has no vote and is asked again with each poll. Each fault is told
 * once.
 */
static void test_no_identity(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    meet_all();
    conversation_lost(&f.voters[0].conversation, "reset", CONVERSATION_END_CLOSED, f.now_ms);
    f.now_ms += 5000;
    connect_node(0);
    collect(0);
    f.refuses = true;
    answer(0);
    assert_string_equal(voter_group_identity(f.group, 0), "");
    assert_int_equal(log_capture_count("node-auth-failed"), 1);
    assert_int_equal(log_capture_count("node-without-identity"), 1);
    poll_node(0);
    assert_string_equal(f.sent, "AUTH secret\nCLIENT SETNAME sentinel-spoa\nINFO server\nROLE\n");
    answer(0);
    poll_node(0);
    f.refuses = false;
    answer(0);
    assert_string_equal(voter_group_identity(f.group, 0), ids[0]);
    assert_int_equal(log_capture_count("node-auth-failed"), 1);
    assert_int_equal(log_capture_count("node-without-identity"), 1);
    /* It worked in between: the same fault is told again. */
    f.refuses = true;
    conversation_lost(&f.voters[0].conversation, "reset", CONVERSATION_END_CLOSED, f.now_ms);
    f.now_ms += 5000;
    connect_node(0);
    collect(0);
    answer(0);
    assert_int_equal(log_capture_count("node-auth-failed"), 2);
    assert_int_equal(log_capture_count("node-without-identity"), 2);
}

/* A node that answers and closes is backed off, as one that is down. The log has one line about it. */
static void test_a_node_that_answers_and_closes(void **state)
{
    unsigned connections = 0;
    struct conversation *conversation = &f.voters[0].conversation;

    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    log_capture_begin(LOG_LEVEL_INFO);
    for (; connections < 100 && conversation->wake_ms < START + 60000; connections++) {
        f.now_ms = conversation->wake_ms;
        connect_node(0);
        collect(0);
        answer(0);
        conversation_lost(conversation, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_in_range(connections, 30, 65); /* 2 s apart at most */
    assert_int_equal(log_capture_count("node-down"), 1);
    assert_int_equal(log_capture_count(NULL), 1);
}

/*
 * `when-alone`: one that says that it is the master is believed where nobody else is in reach, one that
 * follows is not.
 */
static void test_alone(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, true);
    meet_all();
    assert_int_equal(state_of(0), SERVICE_OK);
    f.now_ms += 1500;
    poll_node(1);
    answer(1);
    f.now_ms += 400;
    assert_int_not_equal(state_of(0), SERVICE_WITNESSED); /* n1 follows n0, which nobody has heard */
    assert_null(named(0));
    f.masters[0] = 1;
    poll_node(1);
    answer(1);
    f.now_ms += QUORUM_HOLD_MS + 1; /* the others were asked, and do not answer */
    assert_int_equal(state_of(0), SERVICE_WITNESSED);
    assert_string_equal(named(0), "n1");
}

static void test_refused(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    poll_node(0);
    give_error(0, "ERR This instance has cluster support disabled");
    give_error(0, "ERR This instance has cluster support disabled");
    assert_string_equal(
        log_capture_last("node-without-vote"),
        "warning node-without-vote node=n0 reply=ERR This instance has cluster support disabled");
    conversation_lost(&f.voters[0].conversation, "connection reset", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(log_capture_count("node-down"), 1);
    assert_int_equal(f.metrics.link_failures_total, 1);
}

/* NULL is the host that was asked. "?" is no vote, and told once. */
static void test_hidden_hosts(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    for (unsigned i = 0; i < NODES; i++) /* one host */
        assert_true(addr_from_parts(span_of_text("10.0.0.1"), span_of_text(i == 0 ? "7001" : "7009"),
                                    &f.servers[i].addr));
    f.hides_hosts = true;
    meet_all();
    assert_string_equal(named(0), "n0");
    assert_null(named(1));
    for (unsigned i = 0; i < NODES; i++) {
        (void)conversation_tick(&f.voters[i].conversation, f.now_ms + POLL);
        f.now_ms += i == 0 ? POLL : 0;
        collect(i);
        answer(i);
    }
    assert_int_equal(log_capture_count("node-bad-address"), NODES);
    assert_non_null(
        strstr(log_capture_last("node-bad-address"), "node=n2 monitor=b meaning=it does not know the host"));
    assert_int_equal(log_capture_count("node-without-vote"), 0);
}

/* Whether a range of the next reply is kept. */
static bool is_kept(int64_t first, int64_t last)
{
    const struct reply pair[2] = {{.kind = REPLY_NIL}, {.kind = REPLY_INTEGER, .number = 7001}};
    const struct reply range[3] = {{.kind = REPLY_INTEGER, .number = first},
                                   {.kind = REPLY_INTEGER, .number = last},
                                   {.kind = REPLY_ARRAY, .elements = pair, .count = 2}};
    const struct reply element = {.kind = REPLY_ARRAY, .elements = range, .count = 3};

    return conversation_keeps(&f.voters[0].conversation, &element);
}

/* Only the ranges of our services are needed, and only of this reply. */
static void test_what_is_kept(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    assert_true(conversation_is_choosy(&f.voters[0].conversation));
    connect_node(0);
    assert_true(is_kept(1, 8999)); /* nothing was asked */
    collect(0);
    assert_true(is_kept(1, 8999)); /* the reply to AUTH */
    for (unsigned i = 0; i < 2; i++)
        give_text(0, "OK");
    give_text(0, ids[0]);
    give_text(0, "cluster_state:ok\r\n");
    assert_false(is_kept(1, 8999));
    assert_true(is_kept(1, 9000));
    assert_true(is_kept(0, 0));
}

/* Dragonfly has no run_id, and KeyDB's active replicas no master: both are told what they lack. */
static void test_nodes_that_cannot_vote(void **state)
{
    const struct reply active[] = {{.kind = REPLY_TEXT, .text = span_of_text("active-replica")},
                                   {.kind = REPLY_TEXT, .text = span_of_text("10.0.0.2")},
                                   {.kind = REPLY_INTEGER, .number = 7002}};
    const struct reply role = {.kind = REPLY_ARRAY, .elements = active, .count = 3};

    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    connect_node(0);
    collect(0);
    for (unsigned i = 0; i < 2; i++)
        give_text(0, "OK");
    give_text(0, "# Server\r\nredis_version:7.4.0\r\ndragonfly_version:df-v1.31.0\r\n");
    give(0, &role);
    assert_string_equal(log_capture_last("node-without-identity"),
                        "warning node-without-identity node=n0 reply=INFO has no run_id, as with Dragonfly");
    assert_non_null(strstr(log_capture_last("node-without-vote"), "node=n0 reply=it takes writes although"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_replication, tear_down),
        cmocka_unit_test_teardown(test_cluster, tear_down),
        cmocka_unit_test_teardown(test_replica_that_the_map_lacks, tear_down),
        cmocka_unit_test_teardown(test_a_cluster_that_is_down, tear_down),
        cmocka_unit_test_teardown(test_a_dissent, tear_down),
        cmocka_unit_test_teardown(test_a_cluster_whose_state_is_not_told, tear_down),
        cmocka_unit_test_teardown(test_nobody_is_alone_in_a_cluster, tear_down),
        cmocka_unit_test_teardown(test_no_identity, tear_down),
        cmocka_unit_test_teardown(test_a_node_that_answers_and_closes, tear_down),
        cmocka_unit_test_teardown(test_alone, tear_down),
        cmocka_unit_test_teardown(test_refused, tear_down),
        cmocka_unit_test_teardown(test_hidden_hosts, tear_down),
        cmocka_unit_test_teardown(test_what_is_kept, tear_down),
        cmocka_unit_test_teardown(test_nodes_that_cannot_vote, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
