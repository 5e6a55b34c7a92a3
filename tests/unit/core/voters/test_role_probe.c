/* The conversation that asks a node what it is: what is sent when, what follows from the replies, a change of
 * aim, doubt. */
#include "tests/unit/core/voters/role_probe_fixture.h"

static void test_does_nothing_before_it_is_aimed(void **state)
{
    (void)state;
    assert_true(conversation_wake_ms(talk()) == INT64_MAX);
}

static void test_asks_at_once_and_then_by_the_interval(void **state)
{
    (void)state;
    aim_and_connect(0);
    greet();
    probe_once("slave");
    expect(SERVICE_NOT_MASTER);
    assert_int_equal(f.metrics.role_probes_total, 1);
    assert_string_equal(sent(), "");
    assert_int_equal(conversation_wake_ms(talk()), f.now_ms + INTERVAL);
    f.now_ms += INTERVAL;
    name(0);
    assert_string_equal(sent(), "PING ROLE");
    probe_once("master");
    expect(SERVICE_OK);
}

static void test_credentials(void **state)
{
    (void)state;
    f.settings.credentials = (struct redis_credentials){.username = "probe", .password = "secret"};
    aim_and_connect(0);
    assert_string_equal(sent(), "AUTH CLIENT PING ROLE");
    reply(error_reply("WRONGPASS invalid username-password pair"));
    reply(error_reply("NOAUTH Authentication required."));
    reply(error_reply("NOAUTH Authentication required."));
    reply(error_reply("NOAUTH Authentication required."));
    expect(SERVICE_OK); /* whoever says nothing of itself is not vetoed */
    assert_int_equal(log_capture_count("role-probe-refused"), 1);
    assert_string_equal(log_capture_last("role-probe-refused"),
                        "warning role-probe-refused monitor=m node=10.0.0.1:6379 reason=WRONGPASS invalid "
                        "username-password pair meaning=the password is missing or wrong");
    /* What follows AUTH is only told that a password is missing: AUTH's words are the cause. */
    assert_string_equal(node_word_text(service_node_word(f.service, 0)),
                        "WRONGPASS invalid username-password pair");
    assert_string_equal(alarms_detail(service_alarms(f.service), ALARM_NODE_PASSWORD),
                        "WRONGPASS invalid username-password pair");
}

/* A majority names an address outside the map: the password does not go there, and the link to the node before it stays. */
static void test_an_address_outside_the_map(void **state)
{
    struct addr other;
    struct service_event ballot = {.kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &other};

    (void)state;
    f.settings.credentials = (struct redis_credentials){.password = "secret"};
    assert_true(addr_parse(span_of_text("10.0.0.9:6379"), &other));
    ballot.t_sent_ms = f.now_ms;
    (void)voter_group_step(f.group, 0, &ballot, f.now_ms);
    expect(SERVICE_UNKNOWN_ADDRESS);
    role_probe_catch_up(&f.probe, service_decision(f.service), f.now_ms);
    assert_true(conversation_wake_ms(talk()) == INT64_MAX);
    name(0);
    aim_and_connect(0);
    assert_string_equal(sent(), "AUTH CLIENT PING ROLE");
    ballot.t_sent_ms = ++f.now_ms;
    (void)voter_group_step(f.group, 0, &ballot, f.now_ms);
    expect(SERVICE_UNKNOWN_ADDRESS);
    role_probe_aim(&f.probe, service_decision(f.service)->addr, f.now_ms);
    assert_true(addr_equals(&f.probe.target, &f.servers[0].addr));
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING);
    f.service_settings.allow_any_address = true;
    service_review(f.service, f.now_ms);
    expect(SERVICE_OK);
    role_probe_aim(&f.probe, service_decision(f.service)->addr, f.now_ms);
    assert_true(addr_equals(&f.probe.target, &other));
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_DISCONNECT);
}

static void test_loading(void **state)
{
    static const char *const errors[] = {"LOADING Redis is loading the dataset in memory",
                                         "MASTERDOWN Link with MASTER is down"};

    (void)state;
    aim_and_connect(0);
    greet();
    for (unsigned i = 0; i < 2; i++) {
        reply(error_reply(errors[i]));
        reply_role("master");
        expect(SERVICE_NOT_MASTER);
        assert_int_equal(service_decision(f.service)->reason, SERVICE_BECAUSE_LOADING);
        f.now_ms += INTERVAL;
        name(0);
        assert_string_equal(sent(), "PING ROLE");
    }
    reply(error_reply("BUSY Redis is busy running a script"));
    reply_role("master");
    expect(SERVICE_OK);
}

static void test_other_words_say_nothing(void **state)
{
    (void)state;
    aim_and_connect(0);
    greet();
    probe_once("sentinel");
    expect(SERVICE_OK);
    assert_int_equal(f.metrics.role_probes_total, 0);
}

/* What the old node says after the aim was changed is not the new one's word. */
static void test_another_aim(void **state)
{
    (void)state;
    aim_and_connect(0);
    greet();
    f.now_ms += 200;
    name(1);
    f.now_ms += 200;
    name(1);
    role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
    assert_int_equal(conversation_wake_ms(talk()), INT64_MIN);
    probe_once("slave");
    expect(SERVICE_OK);
    assert_string_equal(sent(), "");
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_DISCONNECT);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(talk(), f.now_ms);
    greet();
    probe_once("slave");
    expect(SERVICE_NOT_MASTER);
    assert_int_equal(f.metrics.role_probe_failures_total, 0);
    role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
    assert_true(conversation_wake_ms(talk()) > f.now_ms); /* the same aim: nothing happens */
}

/* An aim that changes while connecting, or is waited for, takes effect at once. */
static void test_another_aim_in_other_phases(void **state)
{
    (void)state;
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
    conversation_connected(talk(), f.now_ms); /* to the old one */
    assert_string_equal(sent(), "");
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_DISCONNECT);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    conversation_lost(talk(), "refused", CONVERSATION_END_REFUSED, f.now_ms);
    assert_int_equal(f.metrics.role_probe_failures_total, 0); /* not the new one's failure */
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    conversation_lost(talk(), "refused", CONVERSATION_END_REFUSED, f.now_ms);
    assert_int_equal(f.metrics.role_probe_failures_total, 1);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING); /* backs off */
    role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
}

/* A reload hands over a decision: its node is asked, although no change was told. */
static void test_catches_up_after_a_reload(void **state)
{
    struct service_decision decision = {.state = SERVICE_NO_QUORUM};

    (void)state;
    decision.state = SERVICE_DOUBTED;
    role_probe_catch_up(&f.probe, &decision, f.now_ms);
    assert_true(conversation_wake_ms(talk()) == INT64_MAX); /* there is nobody to ask */
    decision.state = SERVICE_KEPT;
    decision.addr = &f.servers[1].addr;
    role_probe_catch_up(&f.probe, &decision, f.now_ms);
    assert_true(addr_equals(&f.probe.target, &f.servers[1].addr));
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    conversation_lost(talk(), "refused", CONVERSATION_END_REFUSED, f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING); /* backs off */
    decision.state = SERVICE_OK;
    role_probe_catch_up(&f.probe, &decision, f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING);
    decision.state = SERVICE_DOUBTED;
    role_probe_catch_up(&f.probe, &decision, f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
}

/* ---- doubt ---- */

static bool is_doubted(void)
{
    return service_decision(f.service)->state == SERVICE_DOUBTED;
}

/* The node was asked, it answered, and the link to it breaks. */
static void break_link(void)
{
    aim_and_connect(0);
    greet();
    probe_once("master");
    conversation_lost(talk(), "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_true(is_doubted());
}

/* Attempts that are refused one after the other, for so long; the node is in doubt all the time. */
static void refuse_for(int64_t ms)
{
    for (int64_t end_ms = f.now_ms + ms; f.now_ms < end_ms;) {
        assert_true(attempt(CONVERSATION_END_REFUSED) <= 250);
        assert_true(is_doubted());
    }
}

/* As refuse_for(), until it is no longer in doubt; then the attempts become rare. Returns when that was. */
static int64_t refuse_to_the_end(void)
{
    int64_t doubted_ms = f.now_ms;

    while (is_doubted()) {
        assert_true(f.now_ms < START + 60000);
        doubted_ms = f.now_ms;
        (void)attempt(CONVERSATION_END_REFUSED);
    }
    for (unsigned i = 0; i < 10; i++)
        (void)attempt(CONVERSATION_END_REFUSED);
    assert_true(attempt(CONVERSATION_END_REFUSED) >= 1000);
    assert_false(is_doubted());
    return doubted_ms;
}

static void say_down_after(uint32_t ms)
{
    struct sentinel_facts facts = {.down_after_ms = ms, .quorum = 1};

    step_facts(f.service, 0, &f.servers[0].addr, &facts, f.now_ms);
}

static void test_doubt_goes_on_while_it_is_refused(void **state)
{
    (void)state;
    say_down_after(8000);
    break_link();
    refuse_for(PARK + 5000);
    expect(SERVICE_DOUBTED);
    assert_int_equal(service_decision(f.service)->ruled, SERVICE_OK);
    assert_int_equal(service_decision(f.service)->generation, 1);
    /* A refusal is the last that is known for as long as the next attempt may take. */
    pass(conversation_wake_ms(talk()) - f.now_ms + CONNECT_TIMEOUT - 1);
    assert_true(is_doubted());
    pass(1);
    assert_false(is_doubted());
}

/* A firewall that refuses only us: the Sentinels have had the time that they need, and name it still. */
static void test_doubt_ends_when_only_we_are_refused(void **state)
{
    (void)state;
    say_down_after(8000);
    break_link();
    int64_t end_ms = refuse_to_the_end();
    assert_in_range(end_ms - START, 8000 + FAILOVER - 260, 8000 + FAILOVER);
    expect(SERVICE_OK);
}

/* Nobody told what the Sentinels' limit is; or it is shorter than `park`. */
static void test_doubt_ends_by_park_where_nothing_is_known(void **state)
{
    (void)state;
    break_link();
    assert_in_range(refuse_to_the_end() - START, PARK + FAILOVER - 260, PARK + FAILOVER);
}

static void test_doubt_lasts_for_park_at_least(void **state)
{
    (void)state;
    say_down_after(500);
    break_link();
    assert_in_range(refuse_to_the_end() - START, PARK - 260, PARK);
}

static void test_doubt_ends_when_the_node_answers(void **state)
{
    (void)state;
    say_down_after(10000);
    break_link();
    refuse_for(PARK + 1000);
    pass(conversation_wake_ms(talk()) - f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(talk(), f.now_ms);
    greet();
    assert_true(is_doubted()); /* somebody listens, and said nothing yet */
    probe_once("master");
    assert_false(is_doubted());
    /* What comes after that is a doubt of its own. */
    conversation_lost(talk(), "closed", CONVERSATION_END_CLOSED, f.now_ms);
    refuse_for(PARK + 1000);
}

/* Time limits, and a node that accepts and closes, prove nothing: the doubt ends as it would without them. */
static void test_doubt_is_renewed_by_refusals_only(void **state)
{
    static const enum conversation_end others[] = {CONVERSATION_END_SILENT, CONVERSATION_END_CLOSED};

    (void)state;
    say_down_after(10000);
    for (unsigned i = 0; i < 2; i++) {
        break_link();
        int64_t begin_ms = f.now_ms;
        while (f.now_ms < begin_ms + PARK - 10)
            if (conversation_wake_ms(talk()) < begin_ms + PARK - 10)
                (void)attempt(others[i]);
            else
                pass(begin_ms + PARK - 10 - f.now_ms);
        assert_true(is_doubted());
        pass(10);
        assert_false(is_doubted());
        /* What is over is not taken up again by a refusal. */
        for (unsigned k = 0; k < 5; k++)
            (void)attempt(CONVERSATION_END_REFUSED);
        assert_false(is_doubted());
        role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
        name(0);
    }
}

/* Its address is silent, and may be there again at any time: it is tried as often as one that refuses. */
static void test_a_node_in_doubt_is_tried_again_soon(void **state)
{
    (void)state;
    break_link();
    for (unsigned i = 0; i < 8; i++)
        assert_true(attempt(CONVERSATION_END_SILENT) <= 250);
    assert_true(is_doubted());
}

static void test_a_link_that_never_worked_raises_no_doubt(void **state)
{
    (void)state;
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    for (unsigned i = 0; i < 5; i++) {
        (void)attempt(CONVERSATION_END_REFUSED);
        assert_false(is_doubted());
    }
    assert_true(attempt(CONVERSATION_END_REFUSED) > 250);
}

/* No stream is kept back: a doubt would delay nothing. */
static void test_no_doubt_without_park(void **state)
{
    (void)state;
    f.service_settings.park_ms = 0;
    aim_and_connect(0);
    greet();
    probe_once("master");
    conversation_lost(talk(), "closed", CONVERSATION_END_CLOSED, f.now_ms);
    for (unsigned i = 0; i < 5; i++) {
        (void)attempt(CONVERSATION_END_REFUSED);
        assert_false(is_doubted());
    }
}

/* ---- offsets of replicas ---- */

/* A Sentinel has R2 as a replica, still; a second passes. */
static void go_on(void)
{
    const struct service_event view = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = f.now_ms, .addr = &f.servers[0].addr, .servers = 0x2};

    (void)voter_group_step(f.group, 0, &view, f.now_ms);
    name(0);
    f.now_ms += INTERVAL;
    assert_string_equal(sent(), "PING ROLE");
}

/* What a master at 1000 says of R2. */
static void reply_offsets(struct reply host, struct reply port, struct reply offset)
{
    const struct reply replica[] = {host, port, offset};
    const struct reply list[] = {{.kind = REPLY_ARRAY, .elements = replica, .count = 3}};
    const struct reply role[] = {text_reply("master"),
                                 {.kind = REPLY_INTEGER, .number = 1000},
                                 {.kind = REPLY_ARRAY, .elements = list, .count = 1}};

    reply(text_reply("PONG"));
    reply((struct reply){.kind = REPLY_ARRAY, .elements = role, .count = 3});
    go_on();
}

static bool is_replica_named(void)
{
    return service_decision(f.service)->replicas != 0;
}

static void begin_with_replicas(struct lag_limit max_lag)
{
    service_destroy(f.service);
    f.service_settings.replicas = (struct replicas_config){.is_enabled = true, .max_lag = max_lag};
    f.servers[1].weight = 1;
    f.service = service_create(&f.service_settings, START);
    name(0);
    aim_and_connect(0);
    greet();
}

static void test_offsets_of_replicas(void **state)
{
    const struct reply integer = {.kind = REPLY_INTEGER, .number = 950};
    const struct reply port = {.kind = REPLY_INTEGER, .number = 6379};

    (void)state;
    begin_with_replicas((struct lag_limit){.unit = LAG_BYTES, .amount = 100});
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("950"));
    assert_true(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("899"));
    assert_false(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("900"));
    assert_true(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("stable_sync")); /* Dragonfly */
    assert_false(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), port, integer); /* Garnet */
    assert_true(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("-5"));
    assert_false(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("9999999999999999999"));
    assert_false(is_replica_named());
    reply_offsets(text_reply("10.0.0.9"), text_reply("6379"), text_reply("950"));
    assert_false(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("1200"));
    assert_true(is_replica_named());
}

static void reply_list(struct reply offset, struct reply list)
{
    const struct reply role[] = {text_reply("master"), offset, list};

    reply(text_reply("PONG"));
    reply((struct reply){.kind = REPLY_ARRAY, .elements = role, .count = 3});
    go_on();
}

/* Nothing is read behind the end of an entry, and a reply of another shape says nothing. */
static void test_offsets_of_another_shape(void **state)
{
    const struct reply pair[] = {text_reply("10.0.0.2"), text_reply("6379"), text_reply("950")};
    const struct reply entry = {.kind = REPLY_ARRAY, .elements = pair, .count = 2};
    const struct reply short_list = {.kind = REPLY_ARRAY, .elements = &entry, .count = 1};
    const struct reply empty = {.kind = REPLY_ARRAY};

    (void)state;
    begin_with_replicas((struct lag_limit){.unit = LAG_BYTES, .amount = 100});
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("950"));
    assert_true(is_replica_named());
    reply_list(text_reply("1000"), empty);
    assert_true(is_replica_named());
    reply_offsets(text_reply("10.0.0.2"), text_reply("6379"), text_reply("950"));
    reply_list((struct reply){.kind = REPLY_INTEGER, .number = 1000}, text_reply("stable_sync"));
    assert_true(is_replica_named());
    reply_list((struct reply){.kind = REPLY_INTEGER, .number = 1000}, short_list);
    assert_false(is_replica_named());
}

static bool has_alarm(void)
{
    return alarms_is_raised(service_alarms(f.service), ALARM_UNLISTED_REPLICA);
}

/* The master lists R2 by an address of its own. */
static void test_offsets_by_another_address(void **state)
{
    struct addr alias;

    (void)state;
    assert_true(addr_parse(span_of_text("redis-2:6379"), &alias));
    begin_with_replicas((struct lag_limit){.unit = LAG_BYTES, .amount = 100});
    for (unsigned i = 0; i < 6; i++) {
        assert_false(has_alarm());
        reply_offsets(text_reply("redis-2"), text_reply("6379"), text_reply("950"));
    }
    reply_offsets(text_reply("redis-2"), text_reply("6379"), text_reply("950"));
    assert_true(has_alarm());
    assert_non_null(
        strstr(log_capture_last("alarm"),
               "the master lists redis-2:6379 and not R2: write 'alias=redis-2:6379' behind the"));
    f.servers[1].aliases = &alias;
    f.servers[1].alias_count = 1;
    reply_offsets(text_reply("Redis-2."), text_reply("6379"), text_reply("950"));
    assert_true(is_replica_named());
    assert_false(has_alarm());
}

static void test_offsets_that_do_not_matter(void **state)
{
    (void)state;
    begin_with_replicas((struct lag_limit){.unit = LAG_UNLIMITED});
    for (unsigned i = 0; i < 8; i++)
        reply_offsets(text_reply("redis-2"), text_reply("6379"), text_reply("950"));
    assert_true(is_replica_named());
    assert_false(has_alarm());
}

/* ---- for the status ---- */

static void expect_word(unsigned server, enum node_saying saying, const char *words)
{
    const struct node_word *word = service_node_word(f.service, server);

    assert_string_equal(node_saying_text(word->saying), node_saying_text(saying));
    assert_string_equal(node_word_text(word), words);
}

static void test_what_a_node_says_is_kept(void **state)
{
    struct reply parts[] = {
        text_reply("slave"), text_reply("10.0.0.2"), {.kind = REPLY_INTEGER, .number = 6379}};
    const struct reply follows = {.kind = REPLY_ARRAY, .elements = parts, .count = 3};

    (void)state;
    expect_word(0, NODE_NOT_ASKED, "");
    aim_and_connect(0);
    greet();
    reply(text_reply("PONG"));
    reply(follows);
    expect_word(0, NODE_SAYS_REPLICA, "10.0.0.2:6379");
    f.now_ms += INTERVAL;
    name(0);
    (void)sent();
    probe_once("master");
    expect_word(0, NODE_SAYS_MASTER, "");
    f.now_ms += INTERVAL;
    name(0);
    (void)sent();
    reply(error_reply("LOADING Redis is loading the dataset in memory"));
    reply_role("master");
    expect_word(0, NODE_SAYS_LOADING, "");
    f.now_ms += INTERVAL;
    name(0);
    (void)sent();
    reply(text_reply("PONG"));
    reply(error_reply("NOPERM this user has no permissions"));
    expect_word(0, NODE_REFUSES, "NOPERM this user has no permissions");
    conversation_lost(talk(), "Connection reset by peer", CONVERSATION_END_CLOSED, f.now_ms);
    expect_word(0, NODE_UNREACHABLE, "Connection reset by peer");
    expect_word(1, NODE_NOT_ASKED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_does_nothing_before_it_is_aimed),
        PROBE_TEST(test_asks_at_once_and_then_by_the_interval),
        PROBE_TEST(test_credentials),
        PROBE_TEST(test_what_a_node_says_is_kept),
        PROBE_TEST(test_an_address_outside_the_map),
        PROBE_TEST(test_loading),
        PROBE_TEST(test_other_words_say_nothing),
        PROBE_TEST(test_another_aim),
        PROBE_TEST(test_another_aim_in_other_phases),
        PROBE_TEST(test_catches_up_after_a_reload),
        PROBE_TEST(test_doubt_goes_on_while_it_is_refused),
        PROBE_TEST(test_doubt_ends_when_only_we_are_refused),
        PROBE_TEST(test_doubt_ends_by_park_where_nothing_is_known),
        PROBE_TEST(test_doubt_lasts_for_park_at_least),
        PROBE_TEST(test_doubt_ends_when_the_node_answers),
        PROBE_TEST(test_doubt_is_renewed_by_refusals_only),
        PROBE_TEST(test_a_node_in_doubt_is_tried_again_soon),
        PROBE_TEST(test_a_link_that_never_worked_raises_no_doubt),
        PROBE_TEST(test_no_doubt_without_park),
        PROBE_TEST(test_offsets_of_replicas),
        PROBE_TEST(test_offsets_of_another_shape),
        PROBE_TEST(test_offsets_by_another_address),
        PROBE_TEST(test_offsets_that_do_not_matter),
    };

    return cmocka_run_group_tests_name("role_probe", tests, NULL, NULL);
}
