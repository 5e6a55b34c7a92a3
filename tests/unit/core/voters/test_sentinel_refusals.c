/* Sentinels that answer with errors: what is told, what is remembered of it, and what becomes of the service. */
#include "tests/unit/core/voters/sentinel_voter_fixture.h"

/* The replies to SENTINEL MASTER, once in ten polls of a service. */
static void poll_facts(unsigned voter)
{
    unsigned asked = f.fakes[voter].facts_asked;

    for (unsigned i = 0; i < VOTER_FACTS_POLLS; i++)
        poll_once(voter);
    assert_true(f.fakes[voter].facts_asked > asked);
}

/* A command that the Sentinel does not know is told once, in its own words, and again after it had worked. */
static void a_command_is_not_known(void **state)
{
    (void)state;
    greet(0);
    f.fakes[0].facts = error_reply("ERR Unknown sentinel subcommand 'MASTER'");
    poll_facts(0);
    poll_facts(0);
    assert_int_equal(log_capture_count("sentinel-facts-refused"), 1);
    assert_string_equal(
        log_capture_last("sentinel-facts-refused"),
        "warning sentinel-facts-refused sentinel=s0 error=ERR Unknown sentinel subcommand 'MASTER'");
    f.fakes[0].facts = error_reply("NOPERM no");
    poll_facts(0);
    assert_int_equal(log_capture_count("sentinel-facts-refused"), 2);
    f.fakes[0].facts = (struct reply){.kind = REPLY_NIL};
    poll_facts(0);
    f.fakes[0].facts = error_reply("NOPERM no");
    poll_facts(0);
    assert_int_equal(log_capture_count("sentinel-facts-refused"), 3);
    assert_string_equal(voter_group_words(f.group, 0), ""); /* it votes */
}

/* These are answers. */
static void what_is_no_refusal(void **state)
{
    (void)state;
    service_destroy(f.services[0]);
    f.service_settings[0].policy.witness = true;
    f.services[0] = service_create(&f.service_settings[0], f.now_ms);
    greet(0);
    f.fakes[0].facts = error_reply("ERR No such master with that name");
    f.fakes[0].witness = error_reply("NOQUORUM 1 usable Sentinels");
    poll_facts(0);
    assert_true(f.fakes[0].witness_asked > 0);
    assert_int_equal(log_capture_count("sentinel-facts-refused"), 0);
    assert_int_equal(log_capture_count("sentinel-witness-refused"), 0);
    f.fakes[0].witness = error_reply("ERR unknown command");
    poll_facts(0);
    assert_int_equal(log_capture_count("sentinel-witness-refused"), 1);
}

/* The same of its identity, and of each command that a setting needs. */
static void each_refusal_is_told_again(void **state)
{
    static const char *const events[] = {"sentinel-without-identity", "sentinel-witness-refused",
                                         "sentinel-peers-refused", "sentinel-replicas-refused"};

    (void)state;
    service_destroy(f.services[0]);
    f.service_settings[0].policy.witness = true;
    f.service_settings[0].policy.witness_age_ms = 1500;
    f.service_settings[0].replicas.is_enabled = true;
    f.services[0] = service_create(&f.service_settings[0], f.now_ms);
    make_group();
    for (unsigned times = 1; times <= 3; times++) {
        struct fake *fake = &f.fakes[0];
        fake->myid = fake->witness = fake->peers = fake->replicas = error_reply("NOPERM no");
        f.now_ms += 3000;
        greet(0);
        poll_once(0);
        poll_once(0);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(log_capture_count(events[i]), times);
        conversation_lost(&f.voters[0].query, "reset", CONVERSATION_END_CLOSED, f.now_ms);
        fake->myid = text_reply(MYID_A);
        fake->witness = fake->peers = fake->replicas = (struct reply){.kind = REPLY_NIL};
        f.now_ms += 3000;
        greet(0);
        conversation_lost(&f.voters[0].query, "reset", CONVERSATION_END_CLOSED, f.now_ms);
    }
}

static void forbid(unsigned voter, const char *words)
{
    f.fakes[voter].myid = f.fakes[voter].master = error_reply(words);
}

/* A missing password is a reason of its own, with the Sentinel's own words. */
static void a_password_is_missing(void **state)
{
    (void)state;
    greet(0);
    for (unsigned i = 1; i < VOTERS; i++) {
        forbid(i, "NOAUTH Authentication required.");
        greet(i);
    }
    f.now_ms += 2000;
    poll_once(0);
    service_review(f.services[0], f.now_ms);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_REFUSED_US);
    assert_string_equal(voter_group_words(f.group, 0), "");
    assert_string_equal(voter_group_words(f.group, 1), "NOAUTH Authentication required.");
    assert_true(alarms_is_raised(voter_group_alarms(f.group), ALARM_SENTINEL_PASSWORD));
    poll_once(1);
    assert_true(voter_group_is_heard(f.group, 0, f.now_ms));
    assert_false(voter_group_is_heard(f.group, 1, f.now_ms));
    f.fakes[1].myid = text_reply(MYID_B);
    name_master(1, "127.0.0.1", "7001");
    poll_once(1);
    assert_string_equal(voter_group_words(f.group, 1), "");
    assert_true(alarms_is_raised(voter_group_alarms(f.group), ALARM_SENTINEL_PASSWORD)); /* of another one */
    f.now_ms += QUORUM_HOLD_MS;
    service_review(f.services[0], f.now_ms);
    assert_int_equal(decision()->state, SERVICE_OK);
}

/* Our password is wrong. What follows AUTH is only told that a password is missing: AUTH's words are the cause. */
static void a_password_is_wrong(void **state)
{
    const struct reply wrong = error_reply("WRONGPASS invalid username-password pair or user is disabled.");
    const struct reply missing = error_reply("NOAUTH Authentication required.");

    (void)state;
    f.settings.credentials.password = "secret";
    connect_voter(0);
    assert_true(collect(0) >= 3);
    assert_int_equal(conversation_reply(&f.voters[0].query, &wrong, f.now_ms), CONVERSATION_NOTHING);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(conversation_reply(&f.voters[0].query, &missing, f.now_ms), CONVERSATION_NOTHING);
    assert_string_equal(voter_group_words(f.group, 0), (const char *)wrong.text.data);
    assert_string_equal(voter_group_fault(f.group, 0), (const char *)wrong.text.data);
    assert_true(alarms_is_raised(voter_group_alarms(f.group), ALARM_SENTINEL_PASSWORD));
    assert_non_null(
        strstr(alarms_detail(voter_group_alarms(f.group), ALARM_SENTINEL_PASSWORD), ": WRONGPASS invalid"));
}

/* It answers, and cannot be reached later: then it refuses us no more. */
static void a_refusal_ends_with_the_link(void **state)
{
    (void)state;
    forbid(0, "NOAUTH Authentication required.");
    greet(0);
    assert_string_equal(voter_group_words(f.group, 0), "NOAUTH Authentication required.");
    assert_true(alarms_is_raised(voter_group_alarms(f.group), ALARM_SENTINEL_PASSWORD));
    conversation_lost(&f.voters[0].query, "Connection refused", CONVERSATION_END_REFUSED, f.now_ms);
    assert_string_equal(voter_group_words(f.group, 0), "");
    assert_false(alarms_is_raised(voter_group_alarms(f.group), ALARM_SENTINEL_PASSWORD));
}

/* The only reply is why it closes: no failed AUTH, and no Sentinel that is dead. */
static void no_room_for_us(void **state)
{
    const struct reply full = error_reply("ERR max number of clients\r\xff reached");

    (void)state;
    f.settings.credentials.password = "secret";
    for (unsigned i = 0; i < VOTERS; i++) {
        connect_voter(i);
        assert_true(collect(i) > 0);
        assert_int_equal(conversation_reply(&f.voters[i].query, &full, f.now_ms), CONVERSATION_DISCONNECT);
    }
    assert_int_equal(log_capture_count("sentinel-auth-failed"), 0);
    assert_int_equal(log_capture_count("sentinel-down"), VOTERS);
    assert_non_null(strstr(log_capture_last("sentinel-down"), "reason=ERR max number of clients"));
    assert_string_equal(voter_group_words(f.group, 0), "ERR max number of clients?? reached");
    f.now_ms += 2000;
    service_review(f.services[0], f.now_ms);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_REFUSED_US);
}

/* Another subject does not end the refusal: the vote on one service is refused, that on another is not. */
static void words_have_a_subject(void **state)
{
    (void)state;
    voter_group_note_words(f.group, 0, 3, span_of_text("NOPERM"), f.now_ms);
    voter_group_note_words(f.group, 0, 4, span_of("", 0), f.now_ms);
    voter_group_note_words(f.group, 0, VOTER_SUBJECT_IDENTITY, span_of("", 0), f.now_ms);
    assert_string_equal(voter_group_words(f.group, 0), "NOPERM");
    voter_group_note_words(f.group, 0, 3, span_of("", 0), f.now_ms);
    assert_string_equal(voter_group_words(f.group, 0), "");
}

/* A port that is a number. */
static void an_integer_for_a_port(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        f.fakes[i].pair[1] = (struct reply){.kind = REPLY_INTEGER, .number = 7001};
    greet_all();
    assert_string_equal(decision()->server, "R1");
    f.fakes[0].pair[1].number = 0;
    poll_once(0);
    assert_string_equal(log_capture_last("sentinel-bad-address"),
                        "warning sentinel-bad-address sentinel=s0 monitor=m0 host=127.0.0.1 port=0");
}

/* Why it has no vote, in its own words or by how the link ended, until it votes again. */
static void the_fault_of_each_voter(void **state)
{
    (void)state;
    greet(1);
    assert_string_equal(voter_group_fault(f.group, 1), "");
    forbid(0, "NOAUTH Authentication required.");
    greet(0);
    assert_string_equal(voter_group_fault(f.group, 0), "NOAUTH Authentication required.");
    int64_t since_ms = f.now_ms;
    assert_int_equal(voter_group_fault_since_ms(f.group, 0), since_ms);
    conversation_lost(&f.voters[1].query, "Connection refused\n", CONVERSATION_END_REFUSED, f.now_ms + 5);
    assert_string_equal(voter_group_fault(f.group, 1), "Connection refused?");
    assert_int_equal(voter_group_fault_since_ms(f.group, 1), since_ms + 5);
    f.now_ms += 3000;
    greet(1);
    assert_string_equal(voter_group_fault(f.group, 1), "");
}

/* The same fault again goes on; another one begins. */
static void a_fault_lasts(void **state)
{
    const struct conversation_loss refused = {.reason = "Connection refused",
                                              .end = CONVERSATION_END_REFUSED};
    const struct conversation_loss timeout = {.reason = "connect timeout", .end = CONVERSATION_END_SILENT};

    (void)state;
    voter_group_lost(f.group, 0, &refused, 100);
    voter_group_lost(f.group, 0, &refused, 200);
    assert_int_equal(voter_group_fault_since_ms(f.group, 0), 100);
    voter_group_lost(f.group, 0, &timeout, 300);
    assert_string_equal(voter_group_fault(f.group, 0), "connect timeout");
    assert_int_equal(voter_group_fault_since_ms(f.group, 0), 300);
}

/* What a Sentinel said before it was known who it is does not count for the one that answers after a reconnect. */
static void a_vote_of_nobody(void **state)
{
    (void)state;
    f.fakes[0].myid = error_reply("NOPERM no");
    greet(0);
    greet(1);
    assert_false(service_state_names(decision()->state));
    conversation_lost(&f.voters[0].query, "reset", CONVERSATION_END_CLOSED, f.now_ms);
    f.fakes[0].myid = text_reply(MYID_A);
    connect_voter(0);
    assert_true(collect(0) > 2);
    assert_string_equal(f.fakes[0].sent[1], "SENTINEL MYID");
    f.fakes[0].sent_count = 2; /* the answer to the question is on its way */
    answer(0);
    assert_false(service_state_names(decision()->state));
}

/* A host that takes our connection refuses it no longer. */
static void a_host_that_refuses_no_more(void **state)
{
    const int64_t later_ms = f.now_ms + 2000;

    (void)state;
    for (unsigned i = 0; i < VOTERS; i++) {
        assert_int_equal(conversation_tick(&f.voters[i].query, f.now_ms), CONVERSATION_CONNECT);
        conversation_lost(&f.voters[i].query, "refused", CONVERSATION_END_REFUSED, f.now_ms);
    }
    service_review(f.services[0], later_ms);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_REFUSED);
    f.now_ms = later_ms;
    connect_voter(0);
    service_review(f.services[0], f.now_ms);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_UNREACHABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VOTER_TEST(each_refusal_is_told_again),
        VOTER_TEST(a_command_is_not_known),
        VOTER_TEST(what_is_no_refusal),
        VOTER_TEST(a_password_is_missing),
        VOTER_TEST(a_refusal_ends_with_the_link),
        VOTER_TEST(the_fault_of_each_voter),
        VOTER_TEST(a_fault_lasts),
        VOTER_TEST(no_room_for_us),
        VOTER_TEST(words_have_a_subject),
        VOTER_TEST(an_integer_for_a_port),
        VOTER_TEST(a_password_is_wrong),
        VOTER_TEST(a_vote_of_nobody),
        VOTER_TEST(a_host_that_refuses_no_more),
    };

    return cmocka_run_group_tests_name("sentinel_refusals", tests, NULL, NULL);
}
