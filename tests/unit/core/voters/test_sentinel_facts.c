/* When a Sentinel is asked how long it has not heard the master and its fellow Sentinels, and what follows. */
#include "spoa/core/base/progress.h"
#include "tests/unit/core/voters/sentinel_voter_fixture.h"

#define LIMIT_MS 1500
#define FACTS 8
#define PEER 4

static struct reply facts_fields[VOTERS][FACTS];
static struct reply peer_fields[VOTERS][PEER];
static struct reply peer_entries[VOTERS];

static int set_up_down_after(void **state)
{
    (void)state;
    build(1);
    f.service_settings[0].policy.down_after_ms = LIMIT_MS;
    f.service_settings[0].policy.witness_age_ms = LIMIT_MS;
    f.service_settings[0].policy.witness = true;
    greet_all();
    return 0;
}

static struct reply fill(struct reply *fields, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fields[i] = text_reply(words[i]);
    return (struct reply){.kind = REPLY_ARRAY, .elements = fields, .count = count};
}

/* From now on the Sentinel says that it has not heard the master for so long. */
static void say_silent(unsigned voter, const char *age_ms)
{
    const char *const words[FACTS] = {"ip",   "127.0.0.1",      "port", "7001", "last-ok-ping-reply",
                                      age_ms, "last-ping-sent", age_ms};

    f.fakes[voter].facts = fill(facts_fields[voter], words, FACTS);
}

/* From now on the Sentinel says that it heard one other that long ago. */
static void say_peer(unsigned voter, const char *age_ms)
{
    const char *const words[PEER] = {"runid", MYID_B, "last-ok-ping-reply", age_ms};

    peer_entries[voter] = fill(peer_fields[voter], words, PEER);
    f.fakes[voter].peers = (struct reply){.kind = REPLY_ARRAY, .elements = &peer_entries[voter], .count = 1};
}

/* Lets time go on; all that the voters have to say is answered. */
static void pass(int64_t ms)
{
    f.now_ms += ms;
    voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
    for (unsigned i = 0; i < VOTERS; i++) {
        (void)collect(i);
        answer(i);
    }
}

static unsigned facts_asked(void)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < VOTERS; i++) {
        sum += f.fakes[i].facts_asked;
        f.fakes[i].facts_asked = 0;
    }
    return sum;
}

/* Two Sentinels are asked for facts in the time of a poll. While one misses the master, all are asked at once, again and again. */
static void a_silent_master_is_watched(void **state)
{
    (void)state;
    (void)facts_asked();
    for (unsigned i = 0; i < VOTERS; i++)
        say_silent(i, "1000");
    for (unsigned i = 0; i < 10; i++)
        pass(POLL_MS / 10);
    assert_in_range(facts_asked(), VOTERS - 1, VOTERS);
    say_silent(0, "1250");
    poll_once(0);
    (void)facts_asked();
    assert_true(voter_group_wake_ms(f.group) <= f.now_ms + VOTER_WATCH_MS);
    pass(VOTER_WATCH_MS);
    assert_in_range(facts_asked(), VOTERS, VOTERS + 1);
    say_silent(0, "1500");
    say_silent(1, "1500");
    pass(VOTER_WATCH_MS);
    assert_int_equal(decision()->state, SERVICE_DOWN);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_SILENT);
    for (unsigned i = 0; i < VOTERS; i++)
        say_silent(i, "10");
    pass(VOTER_WATCH_MS);
    assert_int_equal(decision()->state, SERVICE_OK);
    (void)facts_asked();
    pass(VOTER_WATCH_MS);
    assert_in_range(facts_asked(), 0, 1); /* a poll */
}

/* Two Sentinels are out of reach. The third one is asked at once whom it hears, and then again and again. */
static void a_witness_is_asked_at_once(void **state)
{
    struct fake *fake = &f.fakes[0];

    (void)state;
    say_silent(0, "0");
    do {
        (void)collect(0);
        answer(0);
        fake->witness_asked = fake->peers_asked = 0;
        f.now_ms += 10;
        voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
    } while (decision()->state == SERVICE_OK);
    assert_true(f.now_ms < f.voters[0].next_poll_ms);
    (void)collect(0);
    assert_int_equal(fake->witness_asked, 1);
    assert_int_equal(fake->peers_asked, 1);
    fake->witness = text_reply("OK 2 usable Sentinels");
    say_peer(0, "900");
    answer(0);
    assert_int_equal(decision()->state, SERVICE_WITNESSED);
    assert_true(f.now_ms + VOTER_WATCH_MS < f.voters[0].next_poll_ms);
    f.now_ms += VOTER_WATCH_MS;
    voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
    (void)collect(0);
    assert_int_equal(fake->peers_asked, 2);
}

/* One that knows of no other Sentinel hears no majority of those that are configured. */
static void peers_unknown(void **state)
{
    (void)state;
    f.fakes[0].peers = (struct reply){.kind = REPLY_ARRAY};
    f.fakes[0].witness = text_reply("OK 3 usable Sentinels");
    for (unsigned i = 0; i < 4; i++)
        poll_once(0);
    service_review(f.services[0], f.now_ms);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
}

static void peers_refused(void **state)
{
    (void)state;
    f.fakes[0].peers = error_reply("NOPERM no sentinel|sentinels");
    voter_group_lost(f.group, 2, &(struct conversation_loss){.reason = "", .end = CONVERSATION_END_REFUSED},
                     f.now_ms);
    for (unsigned i = 0; i < 5; i++)
        poll_once(0);
    assert_int_equal(log_capture_count("sentinel-peers-refused"), 1);
}

#define FACTS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_down_after, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACTS_TEST(a_silent_master_is_watched),
        FACTS_TEST(a_witness_is_asked_at_once),
        FACTS_TEST(peers_refused),
        FACTS_TEST(peers_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
