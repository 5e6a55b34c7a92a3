/* The conversation that asks a Sentinel: greeting, votes, faults, polling. */
#include "spoa/core/base/progress.h"
#include "tests/unit/core/voters/sentinel_voter_fixture.h"

#define GET_MASTER "SENTINEL GET-MASTER-ADDR-BY-NAME "

static void greeting_without_password(void **state)
{
    (void)state;
    connect_voter(0);
    assert_int_equal(collect(0), 3);
    assert_string_equal(f.fakes[0].sent[0], "CLIENT SETNAME sentinel-spoa");
    assert_string_equal(f.fakes[0].sent[1], "SENTINEL MYID");
    assert_string_equal(f.fakes[0].sent[2], GET_MASTER "m0");
    answer(0);
    assert_int_equal(log_capture_count(NULL), 0);
    prove(0);
    assert_int_equal(f.now_ms, START_MS + POLL_MS);
    assert_string_equal(log_capture_last("sentinel-up"), "info sentinel-up sentinel=s0 myid=" MYID_A);
    assert_int_equal(log_capture_count(NULL), 1);
    assert_string_equal(voter_group_identity(f.group, 0), MYID_A);
}

static void greeting_with_password(void **state)
{
    (void)state;
    f.settings.credentials.password = "secret";
    connect_voter(0);
    assert_int_equal(collect(0), 4);
    assert_string_equal(f.fakes[0].sent[0], "AUTH secret");
    assert_string_equal(f.fakes[0].sent[1], "CLIENT SETNAME sentinel-spoa");
    f.settings.credentials.username = "haproxy";
    connect_voter(1);
    assert_int_equal(collect(1), 4);
    assert_string_equal(f.fakes[1].sent[0], "AUTH haproxy secret");
    answer(1);
    prove(1);
    assert_int_equal(log_capture_count("sentinel-auth-failed"), 0);
    assert_int_equal(log_capture_count("sentinel-up"), 1);
}

static void majority(void **state)
{
    (void)state;
    greet(0);
    assert_int_equal(decision()->state, SERVICE_STARTING);
    greet(1);
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_string_equal(decision()->server, "R1");
    assert_int_equal(decision()->votes, 2);
    greet(2);
    assert_int_equal(decision()->votes, 3);
}

/* A refused SETNAME is nothing to speak of. */
static void setname_refused(void **state)
{
    (void)state;
    f.fakes[0].setname = error_reply("NOPERM no client|setname");
    greet(0);
    prove(0);
    assert_int_equal(log_capture_count(NULL), 1);
    assert_int_equal(log_capture_count("sentinel-up"), 1);
}

/* "no password is set": told, but the votes count. */
static void auth_not_wanted(void **state)
{
    (void)state;
    f.settings.credentials.password = "secret";
    f.fakes[0].auth = error_reply("ERR AUTH <password> called without any password configured");
    greet(0);
    greet(1);
    assert_string_equal(
        log_capture_last("sentinel-auth-failed"),
        "warning sentinel-auth-failed sentinel=s0 error=ERR AUTH <password> called without any "
        "password configured");
    assert_int_equal(decision()->state, SERVICE_OK);
    for (unsigned i = 0; i < 3; i++)
        poll_once(0);
    assert_int_equal(log_capture_count("sentinel-auth-failed"), 1);
}

/* All services go out at once, each vote goes to its own. */
static void many_services_in_one_go(void **state)
{
    char expected[96];

    (void)state;
    tear_down(NULL);
    build(SERVICES_MAX);
    for (unsigned i = 0; i < 2; i++) {
        connect_voter(i);
        assert_int_equal(collect(i), 2 + SERVICES_MAX);
        for (unsigned k = 0; k < SERVICES_MAX; k++) {
            snprintf(expected, sizeof(expected), GET_MASTER "m%u", k);
            assert_string_equal(f.fakes[i].sent[2 + k], expected);
        }
        for (unsigned k = 0; k < 2 + SERVICES_MAX; k++) {
            const struct reply *reply = k == 0 ? &f.fakes[i].setname : &f.fakes[i].myid;
            if (k >= 2) {
                name_master(i, "127.0.0.1", k % 2 ? "7002" : "7001");
                reply = &f.fakes[i].master;
            }
            assert_int_equal(conversation_reply(&f.voters[i].query, reply, f.now_ms), CONVERSATION_NOTHING);
        }
    }
    for (unsigned k = 0; k < SERVICES_MAX; k++) {
        assert_int_equal(service_decision(f.services[k])->state, SERVICE_OK);
        assert_string_equal(service_decision(f.services[k])->server, k % 2 ? "R2" : "R1");
    }
    forget_sent(0);
    assert_int_equal(collect(0), SERVICES_MAX); /* the first votes were news: once more, in order */
    assert_string_equal(f.fakes[0].sent[0], GET_MASTER "m0");
}

/*
 * The fault is told once, on a new connection too, and again after it worked in between. No vote for an
 * address comes of it.
 */
static void check_fault(const struct reply *reply, const char *event, const char *line, bool is_useful)
{
    tear_down(NULL);
    build(1);
    f.fakes[0].master = *reply;
    for (unsigned connection = 1; connection <= 2; connection++) {
        greet(0);
        poll_once(0);
        poll_once(0);
        assert_int_equal(log_capture_count(event), 1);
        conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_string_equal(log_capture_last(event), line);
    assert_int_equal(log_capture_count("sentinel-up"), is_useful ? 2 : 0);
    /* Nonsense does not shorten the back-off. */
    assert_int_equal(log_capture_count("sentinel-down"), 2);
    assert_int_equal(f.voters[0].query.backoff.ceiling_ms, is_useful ? 200 : 400);
    assert_int_equal(f.metrics.link_failures_total, 2);
    f.now_ms += 1000;
    greet(1);
    assert_int_not_equal(decision()->state, SERVICE_OK);
    greet(0);
    name_master(0, "127.0.0.1", "7001");
    poll_once(0);
    f.fakes[0].master = *reply;
    poll_once(0);
    poll_once(0);
    assert_int_equal(log_capture_count(event), 2);
}

static void errors(void **state)
{
    struct reply reply = error_reply("NOAUTH Authentication required.");

    (void)state;
    check_fault(&reply, "sentinel-error",
                "warning sentinel-error sentinel=s0 monitor=m0 error=NOAUTH Authentication required.", false);
    reply = error_reply("NOPERM this user has no permissions");
    check_fault(&reply, "sentinel-error",
                "warning sentinel-error sentinel=s0 monitor=m0 error=NOPERM this user has no permissions",
                false);
    reply = error_reply("LOADING Redis is loading");
    check_fault(&reply, "sentinel-error",
                "warning sentinel-error sentinel=s0 monitor=m0 error=LOADING Redis is loading", false);
}

static void unknown_name(void **state)
{
    const struct reply nil = {.kind = REPLY_NIL};

    (void)state;
    check_fault(&nil, "sentinel-knows-no-master", "warning sentinel-knows-no-master sentinel=s0 monitor=m0",
                true);
    tear_down(NULL);
    build(1);
    f.fakes[0].master = f.fakes[1].master = nil;
    for (unsigned i = 0; i < VOTERS; i++)
        greet(i);
    f.now_ms += QUORUM_HOLD_MS; /* the first of them was news: then all must have answered anew */
    voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
    assert_int_equal(decision()->reason, QUORUM_UNKNOWN);
}

static void check_address(const char *host, const char *port)
{
    char line[128];
    struct reply pair[2] = {text_reply(host), text_reply(port)};
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = pair, .count = 2};

    snprintf(line, sizeof(line), "warning sentinel-bad-address sentinel=s0 monitor=m0 host=%s port=%s", host,
             port);
    check_fault(&reply, "sentinel-bad-address", line, false);
}

static void bad_addresses(void **state)
{
    (void)state;
    check_address("", "7001");
    check_address("127.0.0.1", "0");
    check_address("127.0.0.1", "");
    check_address("127.0.0.1", "65536");
    check_address("127.0.0.1", "-1");
    check_address("what ever", "7001");
}

static void check_nonsense(const struct reply *reply)
{
    check_fault(reply, "sentinel-nonsense", "warning sentinel-nonsense sentinel=s0 monitor=m0", false);
}

static void nonsense(void **state)
{
    const struct reply elements[3] = {text_reply("127.0.0.1"), {.kind = REPLY_NIL}, text_reply("7001")};
    const struct reply backwards[2] = {elements[1], elements[0]};
    const struct reply three[3] = {elements[0], elements[2], elements[2]};
    struct reply reply = {.kind = REPLY_ARRAY, .elements = elements, .count = 2};

    (void)state;
    check_nonsense(&reply); /* nothing for a port */
    reply.elements = backwards;
    check_nonsense(&reply);
    reply.elements = three;
    reply.count = 3;
    check_nonsense(&reply);
    reply.count = 1;
    check_nonsense(&reply);
    reply = (struct reply){.kind = REPLY_ARRAY};
    check_nonsense(&reply);
    reply = (struct reply){.kind = REPLY_INTEGER, .number = 1};
    check_nonsense(&reply);
    reply = text_reply("OK");
    check_nonsense(&reply);
}

/* Different faults on one connection are told each. */
static void each_fault_is_told(void **state)
{
    (void)state;
    f.settings.credentials.password = "secret";
    f.fakes[0].auth = error_reply("WRONGPASS");
    f.fakes[0].myid = error_reply("NOAUTH");
    f.fakes[0].master = error_reply("NOAUTH");
    greet(0);
    poll_once(0);
    name_master(0, "", "0");
    poll_once(0);
    f.fakes[0].master = text_reply("?");
    poll_once(0);
    f.fakes[0].master = (struct reply){.kind = REPLY_NIL};
    poll_once(0);
    assert_int_equal(log_capture_count("sentinel-auth-failed"), 1);
    assert_int_equal(log_capture_count("sentinel-without-identity"), 1);
    assert_int_equal(log_capture_count("sentinel-error"), 1);
    assert_int_equal(log_capture_count("sentinel-bad-address"), 1);
    assert_int_equal(log_capture_count("sentinel-nonsense"), 1);
    assert_int_equal(log_capture_count("sentinel-knows-no-master"), 1);
}

/* ---- identities ---- */

/* Another Sentinel answers at the address now: what the former said is gone before the new one votes. */
static void other_myid_after_reconnect(void **state)
{
    (void)state;
    greet(0);
    greet(1);
    assert_int_equal(decision()->state, SERVICE_OK);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(decision()->state, SERVICE_OK); /* votes outlive the connection */
    f.fakes[0].myid = text_reply(MYID_D);
    connect_voter(0);
    collect(0);
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_int_equal(conversation_reply(&f.voters[0].query, &f.fakes[0].setname, f.now_ms), 0);
    assert_int_equal(conversation_reply(&f.voters[0].query, &f.fakes[0].myid, f.now_ms), 0);
    assert_int_not_equal(decision()->state, SERVICE_OK);
    assert_int_equal(conversation_reply(&f.voters[0].query, &f.fakes[0].master, f.now_ms), 0);
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_string_equal(voter_group_identity(f.group, 0), MYID_D);
}

static void same_myid_after_reconnect(void **state)
{
    (void)state;
    greet(0);
    greet(1);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    connect_voter(0);
    collect(0);
    assert_int_equal(conversation_reply(&f.voters[0].query, &f.fakes[0].setname, f.now_ms), 0);
    assert_int_equal(conversation_reply(&f.voters[0].query, &f.fakes[0].myid, f.now_ms), 0);
    assert_int_equal(decision()->state, SERVICE_OK);
}

/* Two addresses of one Sentinel make one vote. */
static void one_sentinel_twice(void **state)
{
    (void)state;
    f.fakes[1].myid = text_reply(MYID_A);
    greet(0);
    greet(1);
    assert_int_not_equal(decision()->state, SERVICE_OK);
    assert_string_equal(log_capture_last("same-sentinel"),
                        "warning same-sentinel sentinel=s1 same-as=s0 myid=" MYID_A);
    greet(2);
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_int_equal(decision()->votes, 2);
}

/* Nothing that is not an identity makes a vote count. */
static void check_no_identity(struct reply myid)
{
    tear_down(NULL);
    build(1);
    f.fakes[0].myid = myid;
    greet(0);
    greet(1);
    assert_int_equal(log_capture_count("sentinel-without-identity"), 1);
    assert_int_not_equal(decision()->state, SERVICE_OK);
    assert_string_equal(voter_group_identity(f.group, 0), "");
}

static void no_identity(void **state)
{
    (void)state;
    check_no_identity(error_reply("NOPERM no sentinel|myid"));
    check_no_identity(error_reply(MYID_A));
    check_no_identity((struct reply){.kind = REPLY_NIL});
    check_no_identity(text_reply(""));
    check_no_identity(text_reply("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    check_no_identity(text_reply(MYID_A "a"));
    check_no_identity(text_reply("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag"));
}

/* It is asked again with each poll, after AUTH, and counts as soon as it says who it is. */
static void myid_refused_for_a_while(void **state)
{
    (void)state;
    f.settings.credentials.password = "secret";
    f.fakes[0].myid = error_reply("NOAUTH Authentication required.");
    greet(1);
    greet(0);
    assert_int_not_equal(decision()->state, SERVICE_OK);
    f.now_ms = f.voters[0].next_poll_ms - 1;
    assert_int_equal(collect(0), 0);
    for (unsigned i = 0; i < 2; i++) {
        f.now_ms = f.voters[0].next_poll_ms;
        assert_int_equal(collect(0), 4);
        assert_string_equal(f.fakes[0].sent[0], "AUTH secret");
        assert_string_equal(f.fakes[0].sent[2], "SENTINEL MYID");
        assert_string_equal(f.fakes[0].sent[3], GET_MASTER "m0");
        if (i == 1)
            f.fakes[0].myid = text_reply(MYID_A);
        answer(0);
        assert_int_equal(log_capture_count("sentinel-without-identity"), 1);
    }
    poll_once(1);
    assert_int_equal(decision()->state, SERVICE_OK);
    f.now_ms = f.voters[0].next_poll_ms;
    assert_int_equal(collect(0), 1); /* the vote only */
}

/* One that was known and now refuses is no voter any more. */
static void myid_refused_after_reconnect(void **state)
{
    (void)state;
    greet(0);
    greet(1);
    assert_int_equal(decision()->state, SERVICE_OK);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    f.fakes[0].myid = error_reply("NOPERM");
    greet(0);
    assert_int_not_equal(decision()->state, SERVICE_OK);
}

/* ---- time ---- */

static void late_reply_is_no_vote(void **state)
{
    (void)state;
    greet(0);
    connect_voter(1);
    collect(1);
    f.now_ms += REPLY_TIMEOUT_MS + 1;
    answer(1);
    assert_int_not_equal(decision()->state, SERVICE_OK);
    assert_int_equal(f.metrics.votes_dropped_total, 1);
}

/* A vote is as old as its question. */
static void vote_is_dated_from_the_question(void **state)
{
    int64_t asked_ms[VOTERS];

    (void)state;
    greet_all();
    for (unsigned i = 0; i < VOTERS; i++) {
        f.now_ms = f.now_ms < f.voters[i].next_poll_ms ? f.voters[i].next_poll_ms : f.now_ms;
        asked_ms[i] = f.now_ms;
        assert_int_equal(collect(i), 1);
        f.now_ms += REPLY_TIMEOUT_MS;
        answer(i);
    }
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_int_equal(decision()->oldest_sent_ms, asked_ms[0]);
    assert_int_equal(decision()->review_ms, asked_ms[0] + 2000);
}

/* Each polls every POLL_MS, one third of that after the one before it, whenever it connected. */
static void polls_are_staggered(void **state)
{
    (void)state;
    f.now_ms += 77;
    greet_all();
    for (unsigned i = 0; i < VOTERS; i++) {
        assert_int_equal(conversation_wake_ms(&f.voters[i].query), f.voters[i].next_poll_ms);
        assert_true(f.voters[i].next_poll_ms >= f.now_ms + 1 &&
                    f.voters[i].next_poll_ms <= f.now_ms + POLL_MS);
    }
    for (unsigned turn = 0; turn < 3; turn++)
        for (unsigned i = 0; i < VOTERS; i++) {
            assert_int_equal(f.voters[i].next_poll_ms % POLL_MS, i * POLL_MS / VOTERS);
            f.now_ms = f.voters[i].next_poll_ms - 1;
            assert_int_equal(collect(i), 0);
            f.now_ms++;
            assert_int_equal(collect(i), 1);
            answer(i);
            assert_int_equal(f.voters[i].next_poll_ms, f.now_ms + POLL_MS);
        }
    assert_int_equal(f.metrics.suspicions_total, 2); /* of the start */
}

/* Until it is answered the next poll does not wait for it, but the link is given up in time. */
static void silent_sentinel(void **state)
{
    (void)state;
    greet(0);
    f.now_ms = f.voters[0].next_poll_ms;
    assert_int_equal(collect(0), 1);
    int64_t asked_ms = f.now_ms;
    f.now_ms += POLL_MS;
    assert_int_equal(collect(0), 1);
    f.now_ms = asked_ms + POLL_MS + REPLY_TIMEOUT_MS;
    assert_int_equal(conversation_tick(&f.voters[0].query, f.now_ms - 1), CONVERSATION_NOTHING);
    assert_int_equal(conversation_tick(&f.voters[0].query, f.now_ms), CONVERSATION_DISCONNECT);
    assert_non_null(strstr(log_capture_last("sentinel-down"),
                           "warning sentinel-down sentinel=s0 reason=reply timeout retry-ms="));
}

/*
 * A Sentinel that answers the first question and closes is backed off, as one that is down. The log has one
 * line about it.
 */
static void answers_and_closes(void **state)
{
    unsigned connections = 0;

    (void)state;
    log_capture_begin(LOG_LEVEL_INFO);
    for (; connections < 100 && f.voters[0].query.wake_ms < START_MS + 60000; connections++) {
        greet(0);
        conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_in_range(connections, 30, 65); /* 2 s apart at most */
    assert_int_equal(log_capture_count("sentinel-down"), 1);
    assert_int_equal(log_capture_count(NULL), 1);
    assert_int_equal(f.metrics.votes_total, connections); /* its votes count */
    /* Once a link lasts for a poll, all is well. */
    greet(0);
    prove(0);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_true(f.voters[0].query.wake_ms <= f.now_ms + 100);
    assert_int_equal(log_capture_count("sentinel-up"), 1);
    assert_int_equal(log_capture_count("sentinel-down"), 2);
}

/* A link that ends just before it has lasted for a poll, and a long one without an answer that counts. */
static void what_proves_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        greet(0);
        f.now_ms += POLL_MS - 1;
        collect(0);
        answer(0);
        conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_int_equal(f.voters[0].query.backoff.ceiling_ms, 1600);
    f.fakes[0].master = error_reply("LOADING");
    greet(0);
    for (unsigned i = 0; i < 10; i++)
        poll_once(0);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(f.voters[0].query.backoff.ceiling_ms, 2000);
    assert_int_equal(log_capture_count("sentinel-up"), 0);
}

/* The Sentinel knows one of three services: the first of the others is told, and told once. */
static void fault_of_a_service(void **state)
{
    const struct reply nil = {.kind = REPLY_NIL};

    (void)state;
    tear_down(NULL);
    build(3);
    for (unsigned turn = 0; turn < 3; turn++) {
        connect_voter(0);
        assert_int_equal(collect(0), 5);
        for (unsigned k = 0; k < 5; k++) {
            const struct reply *replies[] = {&f.fakes[0].setname, &f.fakes[0].myid, &f.fakes[0].master, &nil,
                                             &nil};
            conversation_reply(&f.voters[0].query, replies[k], f.now_ms);
        }
        conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_int_equal(log_capture_count("sentinel-knows-no-master"), 1);
    assert_string_equal(log_capture_last("sentinel-knows-no-master"),
                        "warning sentinel-knows-no-master sentinel=s0 monitor=m1");
}

/* Down is told once, until it was up. */
static void down_is_told_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        connect_voter(0);
        conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_int_equal(log_capture_count("sentinel-down"), 4);
    assert_non_null(strstr(log_capture_last("sentinel-down"), "debug sentinel-down"));
    log_capture_begin(LOG_LEVEL_INFO);
    greet(0);
    prove(0);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    connect_voter(0);
    conversation_lost(&f.voters[0].query, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(log_capture_count("sentinel-up"), 1);
    assert_int_equal(log_capture_count("sentinel-down"), 1);
    assert_int_equal(f.metrics.link_failures_total, 6);
}

/* The first to name another master makes all be asked at once; nobody is named until they have answered. */
static void dissent(void **state)
{
    (void)state;
    greet_all();
    name_master(1, "127.0.0.1", "7002");
    poll_once(1);
    assert_int_equal(decision()->state, SERVICE_PENDING);
    assert_int_equal(f.metrics.suspicions_total, 3);
    name_master(2, "127.0.0.1", "7002");
    for (unsigned i = 0; i < VOTERS; i++) {
        assert_int_equal(conversation_wake_ms(&f.voters[i].query), INT64_MIN); /* at once */
        assert_int_equal(collect(i), 1);
        assert_string_equal(f.fakes[i].sent[0], GET_MASTER "m0");
    }
    for (unsigned i = 0; i < VOTERS; i++)
        answer(i);
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_string_equal(decision()->server, "R2");
    assert_int_equal(decision()->votes, 2);
    for (unsigned i = 0; i < VOTERS; i++)
        assert_int_equal(collect(i), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VOTER_TEST(greeting_without_password),
        VOTER_TEST(greeting_with_password),
        VOTER_TEST(majority),
        VOTER_TEST(setname_refused),
        VOTER_TEST(auth_not_wanted),
        VOTER_TEST(many_services_in_one_go),
        VOTER_TEST(errors),
        VOTER_TEST(unknown_name),
        VOTER_TEST(bad_addresses),
        VOTER_TEST(nonsense),
        VOTER_TEST(each_fault_is_told),
        VOTER_TEST(other_myid_after_reconnect),
        VOTER_TEST(same_myid_after_reconnect),
        VOTER_TEST(one_sentinel_twice),
        VOTER_TEST(no_identity),
        VOTER_TEST(myid_refused_for_a_while),
        VOTER_TEST(myid_refused_after_reconnect),
        VOTER_TEST(late_reply_is_no_vote),
        VOTER_TEST(vote_is_dated_from_the_question),
        VOTER_TEST(polls_are_staggered),
        VOTER_TEST(silent_sentinel),
        VOTER_TEST(answers_and_closes),
        VOTER_TEST(what_proves_nothing),
        VOTER_TEST(fault_of_a_service),
        VOTER_TEST(down_is_told_once),
        VOTER_TEST(dissent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
