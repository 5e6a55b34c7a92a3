/* A group of voters and its services at a change-over: the group did not evaluate them itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "spoa/core/base/progress.h"
#include "spoa/core/decision/handover.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/lib/events.h"
#include "tests/lib/guarded.h"

enum { T = 500, F = 2000, VOTERS = 3, FENCE = 5000 };
#define START 100000
#define A "10.0.0.1:6379"
#define B "10.0.0.2:6379"

static struct metrics metrics;
static uint8_t identities[VOTERS];
static struct service_server servers[2];
static struct service_settings settings;
static struct service *former;
static struct service *next;
static struct voter_group *group;

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

/* All voters are known from the start. */
static int setup(void **state)
{
    static const char *const names[VOTERS] = {"a", "b", "c"};

    (void)state;
    servers[0] = (struct service_server){.name = "R1", .addr = addr_of(A), .weight = 1};
    servers[1] = (struct service_server){.name = "R2", .addr = addr_of(B), .weight = 1};
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = servers,
        .server_count = 2,
        .quorum = {.identities = identities,
                   .voters = VOTERS,
                   .threshold = 2,
                   .reply_timeout_ms = T,
                   .vote_life_ms = F,
                   .hold_ms = QUORUM_HOLD_MS,
                   .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS},
        .policy = {.fence_ms = FENCE},
    };
    former = service_create(&settings, START);
    next = service_create(&settings, START + F);
    assert_non_null(former);
    assert_non_null(next);
    const struct voter_group_options options = {
        .name = "",
        .source = VOTER_SOURCE_SENTINEL,
        .voter_count = VOTERS,
        .voter_names = names,
        .services = &next,
        .service_count = 1,
        .identities = identities,
        .metrics = &metrics,
    };
    group = voter_group_create(&options, START);
    assert_non_null(group);
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = (uint8_t)i;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    voter_group_destroy(group);
    service_destroy(former);
    service_destroy(next);
    return 0;
}

static void vote(struct service *service, unsigned voter, const char *address, int64_t now_ms)
{
    struct addr addr = addr_of(address);
    const struct service_event said = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = now_ms, .addr = &addr, .ballot = QUORUM_NAMES};

    (void)step_as(service, voter, &said, now_ms);
}

/* The same, by the group. */
static void hear(unsigned voter, const char *address, int64_t now_ms)
{
    struct addr addr = addr_of(address);
    const struct service_event said = {.kind = SERVICE_SAID_MASTER,
                                       .voter = voter,
                                       .t_sent_ms = now_ms,
                                       .addr = &addr,
                                       .ballot = QUORUM_NAMES};

    (void)voter_group_step(group, 0, &said, now_ms);
}

static void change_over(int64_t now_ms)
{
    static const int voters[VOTERS] = {0, 1, 2};

    handover(next, former, voters, now_ms);
    voter_group_catch_up(group, 0);
}

/*
 * Nobody is in reach, and the former one has lost its master long before the next one was there: the fence is
 * due soon.
 */
static void test_a_fence_that_is_due_earlier(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        vote(former, i, A, START);
    service_review(former, START + F);
    voter_group_tick(group, START + 2 * F, PROGRESS_UNLIMITED);
    change_over(START + 2 * F);
    assert_int_equal(voter_group_wake_ms(group), START + F + FENCE);
    voter_group_tick(group, START + F + FENCE, PROGRESS_UNLIMITED);
    assert_true(service_decision(next)->is_fenced);
}

/*
 * A voter disagreed so soon after another that all are to be asked once more, and just then the change-over
 * evaluates.
 */
static void test_a_question_that_is_due(void **state)
{
    enum voter_question question;
    size_t service;

    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        vote(next, i, A, START);
    vote(next, 0, B, START + 1000);
    assert_true(service_take_ask_all(next));
    vote(next, 1, B, START + 1001);
    assert_false(service_take_ask_all(next));
    vote(former, 0, A, START + 1001);
    change_over(START + 1000 + QUORUM_SUSPECT_INTERVAL_MS);
    for (unsigned i = 0; i < VOTERS; i++) {
        assert_true(voter_group_next(group, i, &question, &service));
        assert_int_equal(question, VOTER_ASK_MASTER);
    }
}

/* A vote counts from when it is known who gave it. It was asked for before the others, so it expires before them. */
static void test_an_identity_that_is_known_late(void **state)
{
    int64_t now_ms = START + 3 * F;

    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = QUORUM_NO_IDENTITY;
    voter_group_identify(group, 0, span_of_text("0000000000000000000000000000000000000000"), now_ms);
    hear(1, A, now_ms - 400);
    hear(0, A, now_ms - 200);
    voter_group_tick(group, now_ms, PROGRESS_UNLIMITED);
    assert_true(voter_group_wake_ms(group) > now_ms - 400 + F);
    assert_false(service_state_names(service_decision(next)->state));
    voter_group_identify(group, 1, span_of_text("1111111111111111111111111111111111111111"), now_ms);
    assert_true(service_state_names(service_decision(next)->state));
    assert_true(voter_group_wake_ms(group) <= now_ms - 400 + F);
}

/* Takes all questions for a voter: the services that they are about, as bits. */
static unsigned take_questions(struct voter_group *asking, unsigned voter, enum voter_question wanted)
{
    enum voter_question question;
    size_t service;
    unsigned asked = 0;

    while (voter_group_next(asking, voter, &question, &service))
        asked |= question == wanted ? 1U << service : 0;
    return asked;
}

/* What was said by whoever had this address before does not count for the next one there. */
static void test_a_connection_to_somebody(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = (uint8_t)i;
    hear(0, A, START);
    hear(1, A, START);
    assert_true(service_state_names(service_decision(next)->state));
    for (unsigned times = 0; times < 2; times++) {
        hear(0, A, START + times);
        assert_true(service_state_names(service_decision(next)->state));
        voter_group_connected(group, 0, START + times);
        assert_int_equal(service_vote(next, 0).ballot, QUORUM_SILENT);
        assert_false(service_state_names(service_decision(next)->state));
    }
}

/* All at once, each question once; the first poll after it has nothing to add. */
static void test_asks_all(void **state)
{
    enum voter_question question;
    size_t service;
    unsigned asked[VOTER_QUESTIONS] = {0};

    (void)state;
    voter_group_connected(group, 1, START);
    voter_group_ask_all(group, 1);
    voter_group_ask_all(group, 1);
    while (voter_group_next(group, 1, &question, &service))
        asked[question]++;
    assert_int_equal(asked[VOTER_ASK_MASTER], 1);
    assert_int_equal(asked[VOTER_ASK_FACTS], 1);
    voter_group_poll(group, 1, 1000, START);
    assert_false(voter_group_wants(group, 1));
    voter_group_poll(group, 1, 1000, START + 1000);
    assert_true(voter_group_wants(group, 1));
    (void)take_questions(group, 1, VOTER_ASK_MASTER);
    voter_group_connected(group, 1, START + 1001); /* a connection that nobody asks by yet */
    voter_group_poll(group, 1, 1000, START + 1001);
    assert_true(voter_group_wants(group, 1));
}

/* However short the words are with which it refuses us, they are taken back when it answers. */
static void test_words_are_taken_back(void **state)
{
    static const char *const words[] = {"NOAUTH Authentication required.", "x"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        voter_group_note_words(group, 0, 0, span_of_text(words[i]), START);
        assert_string_equal(voter_group_words(group, 0), words[i]);
        assert_string_equal(voter_group_fault(group, 0), words[i]);
        voter_group_note_words(group, 0, 0, span_of_text(""), START);
        assert_string_equal(voter_group_words(group, 0), "");
    }
}

static const struct conversation_loss refused = {.reason = "Connection refused",
                                                 .end = CONVERSATION_END_REFUSED};

/* A Sentinel that is down stays down across a reload, and for as long as before. */
static void test_a_fault_goes_on(void **state)
{
    static const char *const names[VOTERS] = {"c", "b", "x"};
    uint8_t numbers[VOTERS] = {0};
    const struct voter_group_options options = {
        .name = "",
        .source = VOTER_SOURCE_SENTINEL,
        .voter_count = VOTERS,
        .voter_names = names,
        .services = &former,
        .service_count = 1,
        .identities = numbers,
        .metrics = &metrics,
    };
    struct voter_group *later = voter_group_create(&options, START + 5000);

    (void)state;
    assert_non_null(later);
    for (unsigned i = 0; i < VOTERS; i++)
        voter_group_lost(group, i, &refused, START + i);
    voter_group_lost(later, 0, &refused, START + 5000);
    voter_group_inherit(later, group);
    assert_string_equal(voter_group_fault(later, 0), "Connection refused");
    assert_int_equal(voter_group_fault_since_ms(later, 0), START + 2);
    assert_string_equal(voter_group_fault(later, 1), "Connection refused"); /* not tried yet */
    assert_int_equal(voter_group_fault_since_ms(later, 1), START + 1);
    assert_string_equal(voter_group_fault(later, 2), "");
    voter_group_destroy(later);
}

/* A voter is found again after a reload by its identity. A voter that is new, or whose identity is not known yet, is not. */
static void test_who_was_who(void **state)
{
    static const char *const names[VOTERS] = {"a", "b", "c"};
    uint8_t numbers[VOTERS] = {0};
    int voters[VOTERS] = {7, 7, 7};
    const struct voter_group_options options = {
        .name = "",
        .source = VOTER_SOURCE_SENTINEL,
        .voter_count = 2,
        .voter_names = names,
        .services = &former,
        .service_count = 1,
        .identities = numbers,
        .metrics = &metrics,
    };
    struct voter_group *before = voter_group_create(&options, START);

    (void)state;
    assert_non_null(before);
    voter_group_identify(before, 1, span_of_text("1111111111111111111111111111111111111111"), START);
    voter_group_identify(group, 0, span_of_text("1111111111111111111111111111111111111111"), START);
    voter_group_identify(group, 1, span_of_text("2222222222222222222222222222222222222222"), START);
    voter_group_match(group, before, voters);
    assert_int_equal(voters[0], 1);
    assert_int_equal(voters[1], -1);
    assert_int_equal(voters[2], -1);
    voter_group_destroy(before);
}

/* Another fault than before is a new one, and one that answers has none. */
static void test_a_fault_that_is_over(void **state)
{
    const struct conversation_loss silent = {.reason = "connect timeout", .end = CONVERSATION_END_SILENT};
    const struct conversation_loss brief = {.reason = "x", .end = CONVERSATION_END_SILENT};
    static const char *const names[VOTERS] = {"a", "b", "c"};
    uint8_t numbers[VOTERS] = {0};
    const struct voter_group_options options = {
        .name = "",
        .source = VOTER_SOURCE_SENTINEL,
        .voter_count = VOTERS,
        .voter_names = names,
        .services = &former,
        .service_count = 1,
        .identities = numbers,
        .metrics = &metrics,
    };
    struct voter_group *later = voter_group_create(&options, START + 5000);

    (void)state;
    assert_non_null(later);
    for (unsigned i = 0; i < VOTERS; i++)
        voter_group_lost(group, i, &refused, START);
    voter_group_lost(later, 0, &silent, START + 5000);
    voter_group_lost(later, 2, &brief, START + 5000);
    voter_group_identify(later, 1, span_of_text("1111111111111111111111111111111111111111"), START + 5000);
    voter_group_inherit(later, group);
    assert_string_equal(voter_group_fault(later, 0), "connect timeout");
    assert_int_equal(voter_group_fault_since_ms(later, 0), START + 5000);
    assert_string_equal(voter_group_fault(later, 1), "");
    assert_string_equal(voter_group_fault(later, 2), "x");
    voter_group_destroy(later);
}

/* ---- services by the name that the voters know ---- */

/* One name begins like another, two services share a name, and they come in no order. */
enum { MANY = 6 };
static const char *const monitors[MANY] = {"mm", "b", "m", "za", "b", "ma"};
static struct service *many[MANY];

/* A group with these services. */
static struct voter_group *create_many(void)
{
    static struct service_settings many_settings[MANY];
    static const char *const names[VOTERS] = {"a", "b", "c"};
    static uint8_t numbers[VOTERS] = {0};
    const struct voter_group_options options = {
        .name = "",
        .source = VOTER_SOURCE_SENTINEL,
        .voter_count = VOTERS,
        .voter_names = names,
        .services = many,
        .service_count = MANY,
        .identities = numbers,
        .metrics = &metrics,
    };

    for (size_t i = 0; i < MANY; i++) {
        many_settings[i] = settings;
        many_settings[i].monitor = monitors[i];
        many_settings[i].policy.early_fence = true;
        many_settings[i].policy.early_fence_max_ms = 1000;
        many[i] = service_create(&many_settings[i], START);
        assert_non_null(many[i]);
    }
    struct voter_group *created = voter_group_create(&options, START);
    assert_non_null(created);
    return created;
}

static void destroy_many(struct voter_group *created)
{
    voter_group_destroy(created);
    for (size_t i = 0; i < MANY; i++)
        service_destroy(many[i]);
}

static const struct {
    const char *monitor;
    unsigned services; /* as bits */
} known_as[] = {
    {"mm", 1 << 0}, {"b", 1 << 1 | 1 << 4},
    {"m", 1 << 2},  {"za", 1 << 3},
    {"ma", 1 << 5}, {"a", 0},
    {"mmm", 0},     {"z", 0},
    {"zz", 0},
};

/* A name as a message has it: nothing that may be read stands behind its end. */
static struct span name_of(const char *text)
{
    return span_of(guarded_copy(text, strlen(text)), strlen(text));
}

static void test_asks_about_a_name(void **state)
{
    struct voter_group *asking = create_many();

    (void)state;
    for (size_t i = 0; i < sizeof(known_as) / sizeof(*known_as); i++) {
        for (enum voter_question question = VOTER_ASK_MASTER; question <= VOTER_ASK_FACTS; question++) {
            voter_group_ask(asking, 1, name_of(known_as[i].monitor));
            assert_int_equal(take_questions(asking, 1, question), known_as[i].services);
        }
        assert_false(voter_group_wants(asking, 0));
    }
    voter_group_ask(asking, 2, span_of_text(""));
    assert_int_equal(take_questions(asking, 2, VOTER_ASK_MASTER), (1 << MANY) - 1);
    destroy_many(asking);
}

/* The master that a Sentinel is about to replace is that of the services with this name, and of no other. */
static void test_a_failover_of_a_name(void **state)
{
    struct addr addr = addr_of(A);

    (void)state;
    for (size_t i = 0; i < sizeof(known_as) / sizeof(*known_as); i++) {
        struct voter_group *expecting = create_many();
        unsigned fenced = 0;
        for (size_t service = 0; service < MANY; service++)
            for (unsigned voter = 0; voter < VOTERS; voter++)
                vote(many[service], voter, A, START);
        voter_group_expect_failover(expecting, name_of(known_as[i].monitor), &addr, START);
        for (size_t service = 0; service < MANY; service++)
            fenced |= service_decision(many[service])->is_fenced ? 1U << service : 0;
        assert_int_equal(fenced, known_as[i].services);
        destroy_many(expecting);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_fence_that_is_due_earlier, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_question_that_is_due, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_identity_that_is_known_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_connection_to_somebody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asks_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_are_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_was_who, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_that_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asks_about_a_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failover_of_a_name, setup, teardown),
    };

    return cmocka_run_group_tests_name("voter_group", tests, NULL, NULL);
}
