/* The conversation that listens to a Sentinel: what it subscribes to, and what follows from an event. */
#include "tests/unit/core/voters/sentinel_voter_fixture.h"

/* `voter` is connected for hints, and greeted; returns how many commands it said, the last one in `text`. */
static unsigned connect_hints(unsigned voter, char text[512])
{
    struct conversation *hints = &f.voters[voter].hints;
    struct conversation_command command;
    unsigned count = 0;

    if (hints->wake_ms > f.now_ms)
        f.now_ms = hints->wake_ms;
    assert_int_equal(conversation_tick(hints, f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(hints, f.now_ms);
    for (; conversation_next(hints, f.now_ms, &command); count++) {
        text[0] = '\0';
        for (size_t i = 0; i < command.count; i++)
            snprintf(text + strlen(text), 512 - strlen(text), "%s%.*s", i > 0 ? " " : "",
                     (int)command.args[i].len, (const char *)command.args[i].data);
    }
    for (unsigned i = 0; i + 1 < count; i++)
        assert_int_equal(conversation_reply(hints, &f.fakes[voter].auth, f.now_ms), CONVERSATION_NOTHING);
    return count;
}

static enum conversation_action tell(unsigned voter, struct reply kind, struct reply channel,
                                     struct reply payload)
{
    const struct reply elements[3] = {kind, channel, payload};
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = elements, .count = 3};

    return conversation_reply(&f.voters[voter].hints, &reply, f.now_ms);
}

static void confirm(unsigned voter)
{
    const struct reply one = {.kind = REPLY_INTEGER, .number = 1};

    assert_int_equal(tell(voter, text_reply("subscribe"), text_reply("+switch-master"), one),
                     CONVERSATION_NOTHING);
}

static void say(unsigned voter, const char *channel, const char *payload)
{
    assert_int_equal(tell(voter, text_reply("message"), text_reply(channel), text_reply(payload)),
                     CONVERSATION_NOTHING);
}

/* Three services, all asked and quiet, and voter 0 listens. */
static int set_up_listening(void **state)
{
    char text[512];

    (void)state;
    build(3);
    greet_all();
    connect_hints(0, text);
    confirm(0);
    assert_int_equal(collect(0), 3); /* what happened before is asked for */
    answer(0);
    return 0;
}

/* The event makes voter 0 ask what `expected` lists ("m0 m2"), at once, and the others nothing. */
static void check_hint(const char *channel, const char *payload, const char *expected)
{
    char asked[64] = "";
    uint64_t before = f.metrics.hints_total;

    say(0, channel, payload);
    assert_int_equal(f.metrics.hints_total, before + 1);
    if (expected[0] != '\0')
        assert_int_equal(conversation_wake_ms(&f.voters[0].query), INT64_MIN);
    unsigned count = collect(0);
    for (unsigned i = 0; i < count; i++)
        snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%s%s", i > 0 ? " " : "",
                 strrchr(f.fakes[0].sent[i], ' ') + 1);
    assert_string_equal(asked, expected);
    answer(0);
    assert_int_equal(collect(1) + collect(2), 0);
}

static void subscribes(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(connect_hints(0, text), 2); /* CLIENT SETNAME before it */
    assert_string_equal(text,
                        "SUBSCRIBE +switch-master +promoted-slave +failover-state-reconf-slaves "
                        "+config-update-from +monitor -monitor +reset-master -role-change +odown -odown");
    f.settings.early = true;
    assert_int_equal(connect_hints(2, text), 2);
    assert_non_null(strstr(text, " -odown +try-failover +selected-slave"));
    f.settings.credentials.password = "secret";
    assert_int_equal(connect_hints(1, text), 3);
    assert_memory_equal(text, "SUBSCRIBE ", 10);
    confirm(1);
    assert_int_equal(f.voters[1].hints.phase, CONVERSATION_TALKING);
}

static void every_channel(void **state)
{
    (void)state;
    check_hint("+switch-master", "m1 127.0.0.1 7001 127.0.0.1 7002", "m1");
    check_hint("+promoted-slave", "slave 127.0.0.1:7002 127.0.0.1 7002 @ m2 127.0.0.1 7001", "m2");
    check_hint("+promoted-slave", "slave [::1]:7002 ::1 7002 @ m0 ::1 7001", "m0");
    check_hint("+failover-state-reconf-slaves", "master m0 127.0.0.1 7001", "m0");
    check_hint("+config-update-from", "sentinel " MYID_B " 127.0.0.1 26380 @ m1 127.0.0.1 7001", "m1");
    check_hint("+monitor", "master m2 127.0.0.1 7001 quorum 2", "m2");
    check_hint("-monitor", "master m2 127.0.0.1 7001", "m2");
    check_hint("+reset-master", "master m1 127.0.0.1 7001", "m1");
    check_hint("-role-change",
               "slave 127.0.0.1:7001 127.0.0.1 7001 @ m0 127.0.0.1 7002 new reported role is master", "m0");
    check_hint("-role-change", "master m0 127.0.0.1 7001 new reported role is slave", "m0");
    check_hint("+odown", "master m1 127.0.0.1 7001 #quorum 2/2", "m1");
    check_hint("-odown", "master m1 127.0.0.1 7001", "m1");
}

/*
 * With `early-fence` the beginning of a failover is more than a hint; other addresses than the master's are
 * not.
 */
static void beginning_of_a_failover(void **state)
{
    struct policy_config *policy = &f.service_settings[1].policy;
    const struct service_decision *second = service_decision(f.services[1]);

    (void)state;
    assert_string_equal(second->server, "R1");
    check_hint("+try-failover", "master m1 127.0.0.1 7001", "m1");
    assert_string_equal(second->server, "R1");
    policy->early_fence = true;
    policy->early_fence_max_ms = 1000;
    check_hint("+try-failover", "master m1 127.0.0.1 7002", "m1");
    check_hint("+selected-slave", "slave 127.0.0.1:7001 127.0.0.1 7001 @ m1 127.0.0.1 7002", "m1");
    check_hint("+try-failover", "master m1 127.0.0.1", "m1");
    check_hint("+odown", "master m1 127.0.0.1 7001", "m1");
    assert_string_equal(second->server, "R1");
    check_hint("+selected-slave", "slave 127.0.0.1:7002 127.0.0.1 7002 @ m1 127.0.0.1 7001", "m1");
    assert_null(second->server);
    assert_true(second->is_fenced);
    assert_string_equal(service_decision(f.services[0])->server, "R1");
}

static void other_masters(void **state)
{
    (void)state;
    check_hint("+switch-master", "theirs 127.0.0.1 7001 127.0.0.1 7002", "");
    check_hint("+odown", "master m11 127.0.0.1 7001", "");
    check_hint("+promoted-slave", "slave m0 127.0.0.1 7002 @ theirs 127.0.0.1 7001", "");
    check_hint("+switch-master", "master m0 127.0.0.1 7001 127.0.0.1", ""); /* a master named "master" */
}

/* An event that does not say which master is about all of them. */
static void without_a_name(void **state)
{
    (void)state;
    check_hint("+switch-master", "", "m0 m1 m2");
    check_hint("+odown", "master", "m0 m1 m2");
    check_hint("+odown", "master ", "m0 m1 m2");
    check_hint("+promoted-slave", "slave 127.0.0.1:7002 127.0.0.1 7002", "m0 m1 m2");
    check_hint("+promoted-slave", "slave 127.0.0.1:7002 127.0.0.1 7002 @", "m0 m1 m2");
    check_hint("+tilt", "#tilt mode entered", "m0 m1 m2");
    check_hint("+odown", "  master   m1  ", "m1"); /* blanks do not matter */
}

/* Many events, one question. */
static void events_of_one_failover(void **state)
{
    (void)state;
    say(0, "+promoted-slave", "slave 127.0.0.1:7002 127.0.0.1 7002 @ m1 127.0.0.1 7001");
    say(0, "+failover-state-reconf-slaves", "master m1 127.0.0.1 7001");
    check_hint("+switch-master", "m1 127.0.0.1 7001 127.0.0.1 7002", "m1");
}

static void subscription_has_no_deadline(void **state)
{
    struct conversation_command command;

    (void)state;
    assert_int_equal(conversation_wake_ms(&f.voters[0].hints), f.voters[0].hints_peer.connected_ms + POLL_MS);
    f.now_ms += POLL_MS;
    assert_false(conversation_next(&f.voters[0].hints, f.now_ms, &command));
    assert_int_equal(conversation_wake_ms(&f.voters[0].hints), INT64_MAX);
    f.now_ms += 1000000;
    assert_int_equal(conversation_tick(&f.voters[0].hints, f.now_ms), CONVERSATION_NOTHING);
}

/* Refused, it is tried again after a long time; told once; the polls go on. */
static void subscription_refused(void **state)
{
    const struct reply noperm = error_reply("NOPERM no subscribe");
    char text[512];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        connect_hints(1, text);
        assert_int_equal(conversation_reply(&f.voters[1].hints, &noperm, f.now_ms), CONVERSATION_DISCONNECT);
        assert_int_equal(f.voters[1].hints.phase, CONVERSATION_WAITING);
        assert_int_equal(conversation_wake_ms(&f.voters[1].hints), f.now_ms + 60000);
    }
    assert_int_equal(log_capture_count("hints-refused"), 1);
    assert_string_equal(log_capture_last("hints-refused"),
                        "info hints-refused sentinel=s1 error=NOPERM no subscribe");
    assert_int_equal(log_capture_count("sentinel-down"), 0);
    uint64_t votes = f.metrics.votes_total;
    f.now_ms += POLL_MS;
    assert_int_equal(collect(1), 3);
    answer(1);
    assert_int_equal(f.metrics.votes_total, votes + 3);
    connect_hints(1, text); /* once allowed, it is told of again */
    confirm(1);
    conversation_lost(&f.voters[1].hints, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    connect_hints(1, text);
    conversation_reply(&f.voters[1].hints, &noperm, f.now_ms);
    assert_int_equal(log_capture_count("hints-refused"), 2);
}

static void check_broken(struct reply reply)
{
    char text[512];

    tear_down(NULL);
    set_up_listening(NULL);
    connect_hints(1, text);
    assert_int_equal(conversation_reply(&f.voters[1].hints, &reply, f.now_ms), CONVERSATION_DISCONNECT);
    assert_non_null(strstr(log_capture_last("hints-down"), "sentinel=s1 reason=unexpected reply retry-ms="));
    assert_true(f.voters[1].hints.wake_ms >= f.now_ms + 50 && f.voters[1].hints.wake_ms <= f.now_ms + 100);
    assert_int_equal(f.metrics.link_failures_total, 0); /* the votes do not suffer */
}

static void nonsense(void **state)
{
    const struct reply number = {.kind = REPLY_INTEGER, .number = 1};
    const struct reply elements[3] = {text_reply("message"), number, text_reply("m0")};
    const struct reply backwards[3] = {number, text_reply("+odown"), text_reply("m0")};
    struct reply reply = {.kind = REPLY_ARRAY, .elements = elements, .count = 3};

    (void)state;
    check_broken(reply);
    reply.elements = backwards;
    check_broken(reply);
    reply.count = 2;
    check_broken(reply);
    check_broken((struct reply){.kind = REPLY_ARRAY});
    check_broken((struct reply){.kind = REPLY_NIL});
    check_broken(text_reply("OK"));
}

/* A message without words says nothing of a master: all is asked. */
static void message_without_words(void **state)
{
    const struct reply number = {.kind = REPLY_INTEGER, .number = 1};

    (void)state;
    assert_int_equal(tell(0, text_reply("message"), text_reply("+odown"), number), CONVERSATION_NOTHING);
    assert_int_equal(f.metrics.hints_total, 0);
    assert_int_equal(collect(0), 3);
}

/* A new connection may have missed events: all is asked. */
static void reconnect_asks_all(void **state)
{
    char text[512];

    (void)state;
    conversation_lost(&f.voters[0].hints, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(collect(0), 0);
    assert_int_equal(connect_hints(0, text), 2);
    f.now_ms = f.voters[0].next_poll_ms - 1;
    assert_int_equal(collect(0), 0);
    confirm(0);
    confirm(0); /* one for each channel */
    assert_int_equal(collect(0), 3);
}

/* A Sentinel that confirms and closes is backed off; once a link has lasted for a poll it is not. */
static void confirms_and_closes(void **state)
{
    unsigned connections = 0;
    struct conversation *hints = &f.voters[1].hints;
    struct conversation_command command;
    int64_t end_ms = f.now_ms + 60000;
    char text[512];

    (void)state;
    for (; connections < 100 && hints->wake_ms < end_ms; connections++) {
        connect_hints(1, text);
        confirm(1);
        conversation_lost(hints, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_in_range(connections, 12, 35); /* 5 s apart at most */
    connect_hints(1, text);
    confirm(1);
    f.now_ms = conversation_wake_ms(hints);
    assert_int_equal(f.now_ms, f.voters[1].hints_peer.connected_ms + POLL_MS);
    assert_false(conversation_next(hints, f.now_ms, &command));
    conversation_lost(hints, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_true(hints->wake_ms <= f.now_ms + 100);
}

#define HINTS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_listening, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VOTER_TEST(subscribes),
        HINTS_TEST(every_channel),
        HINTS_TEST(beginning_of_a_failover),
        HINTS_TEST(other_masters),
        HINTS_TEST(without_a_name),
        HINTS_TEST(events_of_one_failover),
        HINTS_TEST(subscription_has_no_deadline),
        HINTS_TEST(subscription_refused),
        HINTS_TEST(nonsense),
        HINTS_TEST(message_without_words),
        HINTS_TEST(reconnect_asks_all),
        HINTS_TEST(confirms_and_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
