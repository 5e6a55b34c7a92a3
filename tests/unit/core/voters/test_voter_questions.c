/* What the voters of a group are asked, about which of several services, and with which poll. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/base/progress.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/lib/events.h"

enum { VOTERS = 3, SERVICES = 3, POLL = 1000, F = 2000 };
#define START 3000000

static uint8_t identities[VOTERS];
static struct metrics metrics;
static struct service_server server = {.name = "R1"};
static struct service_settings settings[SERVICES];
static struct service *services[SERVICES];
static struct voter_group *group;
static unsigned asked[VOTER_QUESTIONS]; /* the services, a bit each */

static void build(struct policy_config first, struct policy_config others)
{
    static const char *const names[VOTERS] = {"a", "b", "c"};

    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &server.addr));
    for (size_t i = 0; i < SERVICES; i++) {
        settings[i] = (struct service_settings){
            .name = "m",
            .monitor = "m",
            .servers = &server,
            .server_count = 1,
            .allow_any_address = true,
            .quorum = {.identities = identities,
                       .voters = VOTERS,
                       .threshold = 2,
                       .reply_timeout_ms = 500,
                       .vote_life_ms = F},
            .policy = i == 0 ? first : others,
        };
        services[i] = service_create(&settings[i], START);
        assert_non_null(services[i]);
    }
    const struct voter_group_options options = {
        .name = "",
        .source = VOTER_SOURCE_SENTINEL,
        .voter_count = VOTERS,
        .voter_names = names,
        .services = services,
        .service_count = SERVICES,
        .identities = identities,
        .metrics = &metrics,
    };
    group = voter_group_create(&options, START);
    assert_non_null(group);
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = (uint8_t)i;
}

static int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(group);
    for (size_t i = 0; i < SERVICES; i++)
        service_destroy(services[i]);
    return 0;
}

/* All that a voter is to be asked, into `asked`. */
static void take(unsigned voter)
{
    enum voter_question question;
    size_t service;

    for (unsigned i = 0; i < VOTER_QUESTIONS; i++)
        asked[i] = 0;
    while (voter_group_next(group, voter, &question, &service))
        asked[question] |= 1U << service;
}

static const struct policy_config plain = {.witness = false};
static const struct policy_config with_witness = {.witness = true, .witness_age_ms = 1500};

/* Only those that need a witness ask for one, with each poll and when all is asked. */
static void test_services_with_a_witness(void **state)
{
    (void)state;
    build(with_witness, plain);
    voter_group_ask_all(group, 1);
    take(1);
    assert_int_equal(asked[VOTER_ASK_MASTER], 7);
    assert_int_equal(asked[VOTER_ASK_FACTS], 7);
    assert_int_equal(asked[VOTER_ASK_WITNESS], 1);
    assert_int_equal(asked[VOTER_ASK_PEERS], 1);
    assert_int_equal(asked[VOTER_ASK_REPLICAS], 0);
    voter_group_poll(group, 0, POLL, START);
    take(0);
    assert_int_equal(asked[VOTER_ASK_MASTER], 7);
    assert_int_equal(asked[VOTER_ASK_WITNESS], 1);
    assert_int_equal(asked[VOTER_ASK_PEERS], 1);
    take(2);
    assert_int_equal(asked[VOTER_ASK_MASTER], 0);
}

static void vote(unsigned voter, size_t service, int64_t now_ms)
{
    const struct service_event said = {.kind = SERVICE_SAID_MASTER,
                                       .voter = voter,
                                       .t_sent_ms = now_ms,
                                       .addr = &server.addr,
                                       .ballot = QUORUM_NAMES};

    (void)voter_group_step(group, service, &said, now_ms);
}

/* The name is lost: all are asked at once what a witness knows, and whom it hears. */
static void test_a_name_that_is_lost(void **state)
{
    (void)state;
    build(plain, with_witness);
    for (unsigned i = 0; i < 2 * VOTERS; i++)
        for (size_t service = 0; service < SERVICES; service++)
            vote(i % VOTERS, service, START);
    for (unsigned i = 0; i < VOTERS; i++)
        take(i);
    voter_group_tick(group, START + F, PROGRESS_UNLIMITED);
    for (unsigned i = 0; i < VOTERS; i++) {
        take(i);
        assert_int_equal(asked[VOTER_ASK_FACTS], 6);
        assert_int_equal(asked[VOTER_ASK_WITNESS], 6);
        assert_int_equal(asked[VOTER_ASK_PEERS], 6);
        assert_int_equal(asked[VOTER_ASK_MASTER], 0);
    }
}

/* The settings of a service are asked for with one of so many polls, votes with each. */
static void test_each_service_has_its_turn(void **state)
{
    unsigned turns[SERVICES] = {0};

    (void)state;
    build(plain, plain);
    for (int64_t i = 0; i < 2 * VOTER_FACTS_POLLS; i++) {
        voter_group_poll(group, 0, POLL, START + i * POLL);
        take(0);
        assert_int_equal(asked[VOTER_ASK_MASTER], 7);
        for (size_t service = 0; service < SERVICES; service++)
            turns[service] += asked[VOTER_ASK_FACTS] >> service & 1;
    }
    for (size_t service = 0; service < SERVICES; service++)
        assert_int_equal(turns[service], 2);
    assert_false(voter_group_wants(group, 0));
}

/* The services that `voter` is asked about with each poll from `now_ms` on, a bit each. */
static unsigned asked_always(unsigned voter, int64_t now_ms)
{
    unsigned services_asked = 7;

    for (int64_t i = 0; i < VOTER_FACTS_POLLS; i++) {
        voter_group_poll(group, voter, POLL, now_ms + i * POLL);
        take(voter);
        services_asked &= asked[VOTER_ASK_FACTS];
    }
    return services_asked;
}

/* Two of three are asked about a service: one of any majority is among them. Each has its share of the services. */
static void test_sentries(void **state)
{
    const struct policy_config down_after = {.down_after_ms = 2000};

    (void)state;
    build(down_after, down_after);
    assert_int_equal(asked_always(0, START), 3);
    assert_int_equal(asked_always(1, START), 5);
    assert_int_equal(asked_always(2, START), 6);
    for (size_t i = 0; i < SERVICES; i++)
        settings[i].quorum.threshold = 3;
    assert_int_equal(asked_always(0, START + VOTER_FACTS_POLLS * POLL), 1);
    assert_int_equal(asked_always(1, START + VOTER_FACTS_POLLS * POLL), 4);
    assert_int_equal(asked_always(2, START + VOTER_FACTS_POLLS * POLL), 2);
}

/* A service without `down-after` has no sentries, and one with `early-fence` asks all. */
static void test_services_without_sentries(void **state)
{
    (void)state;
    build((struct policy_config){.early_fence = true}, plain);
    for (unsigned i = 0; i < VOTERS; i++)
        assert_int_equal(asked_always(i, START), 1);
}

/* A poll that comes again before it is due asks nothing. One that comes late asks each once. */
static void test_a_poll_is_due_once(void **state)
{
    (void)state;
    build(plain, plain);
    voter_group_poll(group, 0, POLL, START);
    take(0);
    voter_group_poll(group, 0, POLL, START + POLL - 1);
    assert_false(voter_group_wants(group, 0));
    voter_group_poll(group, 0, POLL, START + POLL);
    take(0);
    assert_int_equal(asked[VOTER_ASK_MASTER], 7);
    voter_group_poll(group, 0, POLL, START + 20 * POLL);
    take(0);
    assert_int_equal(asked[VOTER_ASK_MASTER], 7);
}

/* The voters are asked one after another within the time of a poll. */
static void test_when_each_voter_is_polled(void **state)
{
    (void)state;
    build(plain, plain);
    assert_int_equal(voter_group_next_poll_ms(group, 0, POLL, START), START + POLL);
    assert_int_equal(voter_group_next_poll_ms(group, 0, POLL, START + 1), START + POLL);
    assert_int_equal(voter_group_next_poll_ms(group, 0, POLL, START - 1), START);
    assert_int_equal(voter_group_next_poll_ms(group, 1, POLL, START), START + 333);
    assert_int_equal(voter_group_next_poll_ms(group, 1, POLL, START + 333), START + 1333);
    assert_int_equal(voter_group_next_poll_ms(group, 2, POLL, START), START + 666);
}

/* Replicas are asked for where they are named, or with the settings for an alarm. */
static void test_where_replicas_are_asked_for(void **state)
{
    (void)state;
    build(plain, plain);
    settings[0].allow_any_address = false;
    voter_group_ask(group, 0, span_of_text("m"));
    take(0);
    assert_int_equal(asked[VOTER_ASK_MASTER], 7);
    assert_int_equal(asked[VOTER_ASK_FACTS], 7);
    assert_int_equal(asked[VOTER_ASK_REPLICAS], 1);
}

static void say_silent(unsigned voter, int64_t now_ms)
{
    const struct sentinel_facts facts = {.silent_ms = SERVICE_WATCH_MS, .quorum = 2};

    for (size_t service = 0; service < SERVICES; service++) {
        const struct service_event event = {.kind = SERVICE_SAID_FACTS,
                                            .voter = voter,
                                            .t_sent_ms = now_ms,
                                            .addr = &server.addr,
                                            .facts = &facts};
        (void)voter_group_step(group, service, &event, now_ms);
    }
}

static void expect_all_are_asked_for_facts(void)
{
    for (unsigned i = 0; i < VOTERS; i++) {
        take(i);
        assert_int_equal(asked[VOTER_ASK_FACTS], 6);
        assert_int_equal(asked[VOTER_ASK_PEERS], 6);
    }
}

/* What is watched is asked of all at once, and then again soon for as long as there is a reason. */
static void test_a_silent_master_is_watched(void **state)
{
    const struct policy_config watched = {.witness = true, .witness_age_ms = 1500, .down_after_ms = 1500};

    (void)state;
    build(plain, watched);
    for (size_t service = 0; service < SERVICES; service++) {
        vote(0, service, START);
        vote(1, service, START);
    }
    for (unsigned i = 0; i < VOTERS; i++)
        take(i);
    say_silent(1, START);
    expect_all_are_asked_for_facts();
    say_silent(2, START + 1);
    voter_group_tick(group, START + 1, PROGRESS_UNLIMITED);
    assert_false(voter_group_wants(group, 2));
    say_silent(1, START + VOTER_WATCH_MS);
    voter_group_tick(group, START + VOTER_WATCH_MS, PROGRESS_UNLIMITED);
    assert_false(voter_group_wants(group, 2));
    voter_group_tick(group, START + 1 + VOTER_WATCH_MS, PROGRESS_UNLIMITED);
    expect_all_are_asked_for_facts();
    voter_group_tick(group, START + 2 + 2 * VOTER_WATCH_MS, PROGRESS_UNLIMITED);
    assert_false(voter_group_wants(group, 2));
    say_silent(1, START + 2 + 2 * VOTER_WATCH_MS);
    expect_all_are_asked_for_facts();
}

static void expect_states(enum service_state first, enum service_state second, enum service_state third)
{
    const enum service_state states[SERVICES] = {first, second, third};

    for (size_t i = 0; i < SERVICES; i++)
        assert_int_equal(service_decision(services[i])->state, states[i]);
}

/* A tick ends when its budget is used up. The next one is due at once, and goes on there. */
static void test_looks_in_slices(void **state)
{
    (void)state;
    build(plain, plain);
    for (unsigned i = 0; i < VOTERS; i++)
        for (size_t service = 0; service < SERVICES; service++)
            vote(i, service, START);
    voter_group_tick(group, START + 1, 1);
    voter_group_tick(group, START + 1, PROGRESS_UNLIMITED);
    assert_int_equal(voter_group_wake_ms(group), START + F);
    voter_group_tick(group, START + F, VOTER_REVIEW_COST);
    expect_states(SERVICE_NO_QUORUM, SERVICE_OK, SERVICE_OK);
    assert_int_equal(voter_group_wake_ms(group), 0);
    for (unsigned i = 0; i < VOTERS; i++)
        vote(i, 0, START + F);
    expect_states(SERVICE_OK, SERVICE_OK, SERVICE_OK);
    voter_group_tick(group, START + F, VOTER_REVIEW_COST + 1);
    expect_states(SERVICE_OK, SERVICE_NO_QUORUM, SERVICE_NO_QUORUM);
    /* Of the first service, which was looked at before it had these votes. */
    assert_int_equal(voter_group_wake_ms(group), START + 2 * F);
}

/* A look without a review costs little. */
static void test_looks_are_cheap(void **state)
{
    (void)state;
    build(plain, plain);
    for (unsigned i = 0; i < VOTERS; i++)
        vote(i, SERVICES - 1, START);
    for (size_t service = 0; service + 1 < SERVICES; service++)
        for (unsigned i = 0; i < VOTERS; i++)
            vote(i, service, START + 1);
    voter_group_tick(group, START + F, SERVICES - 1);
    expect_states(SERVICE_OK, SERVICE_OK, SERVICE_OK);
    assert_int_equal(voter_group_wake_ms(group), 0);
    voter_group_tick(group, START + F, 1);
    expect_states(SERVICE_OK, SERVICE_OK, SERVICE_NO_QUORUM);
    assert_int_equal(voter_group_wake_ms(group), START + F + 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_services_with_a_witness),
        TEST(test_a_name_that_is_lost),
        TEST(test_each_service_has_its_turn),
        TEST(test_a_poll_is_due_once),
        TEST(test_sentries),
        TEST(test_services_without_sentries),
        TEST(test_when_each_voter_is_polled),
        TEST(test_where_replicas_are_asked_for),
        TEST(test_a_silent_master_is_watched),
        TEST(test_looks_in_slices),
        TEST(test_looks_are_cheap),
    };

    return cmocka_run_group_tests_name("voter_questions", tests, NULL, NULL);
}
