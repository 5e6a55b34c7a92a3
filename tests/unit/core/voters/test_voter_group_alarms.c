/* What is wrong with a group of voters as a whole: how many there are, and which of them are one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/voters/voter_group.h"
#include "tests/lib/events.h"
#include "tests/lib/log_capture.h"

enum { VOTERS = 5, F = 2000 };
#define START 100000
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct metrics metrics;
static uint8_t identities[VOTERS];
static struct service_server server = {.name = "R1"};
static struct service_settings settings;
static struct service *service;

static struct voter_group *create(unsigned voters, enum voter_source source)
{
    static const char *const names[VOTERS] = {"s0", "s1", "s2", "s3", "s4"};

    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &server.addr));
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = &server,
        .server_count = 1,
        .quorum = {.identities = identities,
                   .voters = voters,
                   .threshold = quorum_majority(voters),
                   .reply_timeout_ms = 500,
                   .vote_life_ms = F},
    };
    service = service_create(&settings, START);
    assert_non_null(service);
    const struct voter_group_options options = {
        .name = "g",
        .source = source,
        .voter_count = voters,
        .voter_names = names,
        .services = &service,
        .service_count = 1,
        .identities = identities,
        .metrics = &metrics,
    };
    log_capture_begin(LOG_LEVEL_DEBUG);
    struct voter_group *group = voter_group_create(&options, START);
    assert_non_null(group);
    return group;
}

static void destroy(struct voter_group *group)
{
    voter_group_destroy(group);
    service_destroy(service);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

static bool has_alarm(const struct voter_group *group, enum alarm_kind kind)
{
    return alarms_is_raised(voter_group_alarms(group), kind);
}

/* One Sentinel, or an even number of them, is unwise. How many nodes there are is another matter. */
static void test_how_many_there_are(void **state)
{
    (void)state;
    for (unsigned voters = 1; voters <= VOTERS; voters++) {
        struct voter_group *group = create(voters, VOTER_SOURCE_SENTINEL);
        assert_int_equal(has_alarm(group, ALARM_VOTER_COUNT), voters == 1 || voters == 2 || voters == 4);
        destroy(group);
        group = create(voters, VOTER_SOURCE_REPLICATION);
        assert_false(has_alarm(group, ALARM_VOTER_COUNT));
        destroy(group);
    }
    struct voter_group *group = create(2, VOTER_SOURCE_SENTINEL);
    assert_string_equal(alarms_detail(voter_group_alarms(group), ALARM_VOTER_COUNT), "2 configured");
    destroy(group);
}

static void identify(struct voter_group *group, unsigned voter, const char *id)
{
    voter_group_identify(group, voter, span_of_text(id), START);
}

/* Two entries that lead to one Sentinel have one number. It is told once, and again where it happens again. */
static void test_two_that_are_one(void **state)
{
    struct voter_group *group = create(3, VOTER_SOURCE_SENTINEL);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(identities[i], QUORUM_NO_IDENTITY);
    identify(group, 1, ID_A);
    identify(group, 0, ID_B);
    assert_int_equal(identities[0], 0);
    assert_int_equal(identities[1], 1);
    assert_false(has_alarm(group, ALARM_SAME_SENTINEL));
    identify(group, 2, ID_A);
    assert_int_equal(identities[2], 1);
    assert_true(has_alarm(group, ALARM_SAME_SENTINEL));
    assert_string_equal(log_capture_last("same-sentinel"),
                        "warning same-sentinel sentinel=s2 same-as=s1 myid=" ID_A);
    identify(group, 0, "");
    assert_int_equal(identities[0], QUORUM_NO_IDENTITY);
    assert_int_equal(log_capture_count("same-sentinel"), 1);
    identify(group, 2, ID_B);
    assert_int_equal(identities[2], 2);
    assert_false(has_alarm(group, ALARM_SAME_SENTINEL));
    identify(group, 2, ID_A);
    assert_int_equal(log_capture_count("same-sentinel"), 2);
    destroy(group);
}

/* An identity has one length. What is shorter is none. */
static void test_what_is_no_identity(void **state)
{
    struct voter_group *group = create(3, VOTER_SOURCE_SENTINEL);

    (void)state;
    identify(group, 0, "abc");
    assert_string_equal(voter_group_identity(group, 0), "");
    assert_int_equal(identities[0], QUORUM_NO_IDENTITY);
    identify(group, 0, ID_A);
    assert_string_equal(voter_group_identity(group, 0), ID_A);
    destroy(group);
}

/* A voter is heard for the life of a vote, unless it refuses us. */
static void test_who_is_heard(void **state)
{
    struct voter_group *group = create(3, VOTER_SOURCE_SENTINEL);
    const struct service_event said = {.kind = SERVICE_SAID_MASTER,
                                       .voter = 1,
                                       .t_sent_ms = START,
                                       .addr = &server.addr,
                                       .ballot = QUORUM_NAMES};

    (void)state;
    assert_false(voter_group_is_heard(group, 1, START));
    assert_true(voter_group_step(group, 0, &said, START));
    assert_true(voter_group_is_heard(group, 1, START + F - 1));
    assert_false(voter_group_is_heard(group, 1, START + F));
    assert_false(voter_group_is_heard(group, 0, START));
    voter_group_note_words(group, 1, 0, span_of_text("NOPERM"), START);
    assert_false(voter_group_is_heard(group, 1, START));
    destroy(group);
}

/* Votes that count are counted apart from those that come too late. */
static void test_votes_are_counted(void **state)
{
    struct voter_group *group = create(3, VOTER_SOURCE_SENTINEL);
    struct service_event said = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = START, .addr = &server.addr, .ballot = QUORUM_NAMES};
    const struct service_event witness = {.kind = SERVICE_SAID_WITNESS, .t_sent_ms = START};

    (void)state;
    metrics = (struct metrics){.votes_total = 0};
    assert_true(voter_group_step(group, 0, &said, START + 500));
    assert_false(voter_group_step(group, 0, &said, START + 501));
    assert_true(voter_group_step(group, 0, &witness, START));
    said.kind = SERVICE_SAID_ANYTHING;
    assert_false(voter_group_step(group, 0, &said, START));
    assert_int_equal(metrics.votes_total, 1);
    assert_int_equal(metrics.votes_dropped_total, 1);
    assert_int_equal(metrics.suspicions_total, 1);
    destroy(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_many_there_are),  cmocka_unit_test(test_two_that_are_one),
        cmocka_unit_test(test_what_is_no_identity), cmocka_unit_test(test_who_is_heard),
        cmocka_unit_test(test_votes_are_counted),
    };

    return cmocka_run_group_tests_name("voter_group_alarms", tests, NULL, NULL);
}
