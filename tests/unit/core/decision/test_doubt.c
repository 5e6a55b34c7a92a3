/* Doubt of a node: when it begins, goes on and ends, and what a hand-over makes of it. */
#include "spoa/core/decision/doubt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/decision/evidence.h"

#define START 1000000
#define PARK 3000

static struct doubt doubt;

static void begin(enum doubt_cause cause, int64_t now_ms)
{
    doubt_begin(&doubt, 1, cause, PARK, now_ms);
}

static int set_up(void **state)
{
    (void)state;
    doubt_init(&doubt);
    return 0;
}

static void test_lasts_for_park(void **state)
{
    static const enum doubt_cause causes[] = {DOUBT_CLOSED, DOUBT_SILENT};

    (void)state;
    assert_false(doubt_is_about(&doubt, 1, START));
    for (unsigned i = 0; i < 2; i++) {
        doubt_init(&doubt);
        begin(causes[i], START);
        assert_int_equal(doubt.cause, causes[i]);
        assert_true(doubt_is_about(&doubt, 1, START + PARK - 1));
        assert_false(doubt_is_about(&doubt, 1, START + PARK));
        assert_false(doubt_is_about(&doubt, 2, START));
        doubt_end(&doubt, 2);
        assert_true(doubt_is_about(&doubt, 1, START));
        doubt_end(&doubt, 1);
        assert_false(doubt_is_about(&doubt, 1, START));
    }
}

/* It is known already that something is wrong; one that is over, or about another node, is no such doubt. */
static void test_silence_prolongs_nothing(void **state)
{
    (void)state;
    begin(DOUBT_CLOSED, START);
    begin(DOUBT_SILENT, START + 1000);
    assert_int_equal(doubt.cause, DOUBT_CLOSED);
    assert_false(doubt_is_about(&doubt, 1, START + PARK));
    begin(DOUBT_SILENT, START + PARK);
    assert_int_equal(doubt.cause, DOUBT_SILENT);
    assert_true(doubt_is_about(&doubt, 1, START + PARK));
    doubt_begin(&doubt, 2, DOUBT_SILENT, PARK, START + PARK);
    assert_true(doubt_is_about(&doubt, 2, START + PARK));
}

static void test_a_break_begins_another(void **state)
{
    (void)state;
    begin(DOUBT_SILENT, START);
    begin(DOUBT_CLOSED, START + 1000);
    assert_int_equal(doubt.cause, DOUBT_CLOSED);
    assert_true(doubt_is_about(&doubt, 1, START + PARK));
    assert_false(doubt_is_about(&doubt, 1, START + 1000 + PARK));
}

/* A node that was silent and refuses us now: the host is back without the process. */
static void test_a_silence_is_confirmed_by_refusals(void **state)
{
    int64_t end_ms = START + 8000 + EVIDENCE_FAILOVER_MS;

    (void)state;
    begin(DOUBT_SILENT, START);
    for (int64_t now_ms = START + 500; now_ms < end_ms; now_ms += 250)
        assert_true(doubt_confirm(&doubt, 1, now_ms + 750, PARK, 8000, now_ms));
    assert_false(doubt_is_about(&doubt, 1, end_ms));
    assert_false(doubt_confirm(&doubt, 1, end_ms + 750, PARK, 8000, end_ms));
}

/* ---- a hand-over ---- */

static int32_t same_candidate(void *context, int32_t candidate)
{
    (void)context;
    return candidate;
}

static void test_is_handed_over_with_its_cause(void **state)
{
    const struct succession succession = {.candidate = same_candidate};
    struct doubt next;

    (void)state;
    doubt_init(&next);
    begin(DOUBT_SILENT, START);
    doubt_inherit(&next, &doubt, &succession, START + 1500, START + 500);
    assert_int_equal(next.cause, DOUBT_SILENT);
    assert_true(doubt_is_about(&next, 1, START + PARK - 1));
    assert_false(doubt_is_about(&next, 1, START + PARK));
    /* What its own link finds out after that is the same silence. */
    doubt_begin(&next, 1, DOUBT_SILENT, PARK, START + 1000);
    assert_false(doubt_is_about(&next, 1, START + PARK));
}

/* What the next one makes of the former's doubt, which began at START + 500, with a doubt of its own. */
static struct doubt inherit(const struct doubt *own, int64_t until_ms, int64_t now_ms)
{
    const struct succession succession = {.candidate = same_candidate};
    struct doubt next = *own;

    doubt_init(&doubt);
    begin(DOUBT_SILENT, START + 500);
    doubt_inherit(&next, &doubt, &succession, until_ms, now_ms);
    return next;
}

/* Of two doubts that last the one counts that began later; a doubt that is over does not count. */
static void test_which_doubt_is_handed_over(void **state)
{
    struct doubt own = {
        .candidate = 2, .cause = DOUBT_CLOSED, .since_ms = START + 501, .until_ms = START + 501 + PARK};

    (void)state;
    assert_int_equal(inherit(&own, 0, START + 600).candidate, 2);
    own.since_ms = START + 500; /* not later */
    assert_int_equal(inherit(&own, 0, START + 600).candidate, 1);
    own.since_ms = START + 501;
    own.until_ms = START + 600; /* over */
    assert_int_equal(inherit(&own, 0, START + 600).candidate, 1);
    own.candidate = QUORUM_NO_CANDIDATE; /* ended */
    own.until_ms = START + 501 + PARK;
    assert_int_equal(inherit(&own, 0, START + 600).candidate, 1);
    own.candidate = 2;
    own.since_ms = START;
    assert_int_equal(inherit(&own, 0, START + 500 + PARK).candidate, 2); /* the former's is over */
}

/* It goes on until the node can have been asked. */
static void test_how_long_it_is_handed_over(void **state)
{
    struct doubt none;

    (void)state;
    doubt_init(&none);
    assert_int_equal(inherit(&none, START + 9000, START + 600).until_ms, START + 9000);
    assert_int_equal(inherit(&none, START + 600, START + 600).until_ms, START + 500 + PARK);
    assert_int_equal(inherit(&none, START + 600, START + 600).since_ms, START + 500);
}

/* Refusals prolong a doubt for as long as a failover takes, or `park` where that is longer or nothing is known. */
static void test_how_long_it_is_confirmed(void **state)
{
    (void)state;
    assert_false(doubt_confirm(&doubt, 1, START + 100, PARK, 0, START));
    begin(DOUBT_CLOSED, START);
    assert_false(doubt_confirm(&doubt, 2, START + 9999, PARK, 0, START));
    assert_true(doubt_confirm(&doubt, 1, START + 100, PARK, 0, START));
    assert_int_equal(doubt.until_ms, START + PARK); /* never shorter */
    assert_true(doubt_confirm(&doubt, 1, START + PARK + 1, PARK, 0, START));
    assert_int_equal(doubt.until_ms, START + PARK + 1);
    assert_true(doubt_confirm(&doubt, 1, START + 99999, PARK, 0, START));
    assert_int_equal(doubt.until_ms, START + PARK + EVIDENCE_FAILOVER_MS);
    doubt_init(&doubt);
    begin(DOUBT_CLOSED, START);
    assert_true(doubt_confirm(&doubt, 1, START + 99999, PARK, 1, START)); /* 2001 ms are less than `park` */
    assert_int_equal(doubt.until_ms, START + PARK);
    assert_true(doubt_confirm(&doubt, 1, START + 99999, PARK, 2000, START));
    assert_int_equal(doubt.until_ms, START + 2000 + EVIDENCE_FAILOVER_MS);
}

static void test_texts(void **state)
{
    (void)state;
    assert_string_equal(doubt_cause_text(DOUBT_CLOSED), "closed");
    assert_string_equal(doubt_cause_text(DOUBT_SILENT), "silent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lasts_for_park, set_up),
        cmocka_unit_test_setup(test_silence_prolongs_nothing, set_up),
        cmocka_unit_test_setup(test_a_break_begins_another, set_up),
        cmocka_unit_test_setup(test_a_silence_is_confirmed_by_refusals, set_up),
        cmocka_unit_test_setup(test_is_handed_over_with_its_cause, set_up),
        cmocka_unit_test_setup(test_which_doubt_is_handed_over, set_up),
        cmocka_unit_test_setup(test_how_long_it_is_handed_over, set_up),
        cmocka_unit_test_setup(test_how_long_it_is_confirmed, set_up),
        cmocka_unit_test_setup(test_texts, set_up),
    };

    return cmocka_run_group_tests_name("doubt", tests, NULL, NULL);
}
