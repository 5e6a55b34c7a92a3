/* The account of a rehearsed failover: what is counted as what, and what is said of it. */
#include "spoa/core/status/rehearsal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/text.h"

#define ORDERED 10000

enum { R1, R2, R3 };

static const char *const names[] = {"R1", "R2", "R3"};
static struct rehearsal rehearsal;
static struct text out;
static unsigned char bits[16];

static int set_up(void **state)
{
    (void)state;
    memset(bits, 0, sizeof(bits));
    return rehearsal_init(&rehearsal, names, R1, 3) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rehearsal_finish(&rehearsal);
    text_finish(&out);
    return 0;
}

/* The new master has this write at the end. */
static void keep(unsigned number)
{
    bits[number / 8] |= (unsigned char)(0x80 >> number % 8);
}

static void note(enum rehearsal_outcome outcome, int server, int64_t t_ms)
{
    const struct rehearsal_write write = {outcome, server, ORDERED + t_ms};

    rehearsal_note_write(&rehearsal, &write, "a reason", &out);
}

/* A write that is there at the end. */
static void acknowledge(int server, int64_t t_ms)
{
    keep(rehearsal.count);
    note(REHEARSAL_ACKNOWLEDGED, server, t_ms);
}

static void vote(int a, int b, int c, int64_t t_ms)
{
    const int votes[] = {a, b, c};

    rehearsal_note_votes(&rehearsal, votes, ORDERED + t_ms, &out);
}

static struct rehearsal_sums sum(void)
{
    const struct rehearsal_found found = {.bits = bits, .len = sizeof(bits)};

    return rehearsal_sum(&rehearsal, &found);
}

static bool report(void)
{
    const struct rehearsal_found found = {.bits = bits, .len = sizeof(bits)};

    text_finish(&out);
    return rehearsal_report(&rehearsal, &found, &out);
}

static void assert_says(const char *text)
{
    if (out.data == NULL || strstr(out.data, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, out.data != NULL ? out.data : "");
}

static void assert_silent_about(const char *text)
{
    if (out.data != NULL && strstr(out.data, text) != NULL)
        fail_msg("'%s' is in:\n%s", text, out.data);
}

/* A failover as it should be. */
static void fail_over(void)
{
    acknowledge(R1, -30);
    acknowledge(R1, -10);
    rehearsal_note_order(&rehearsal, ORDERED);
    acknowledge(R1, 20);
    vote(R1, R1, R1, 30);
    vote(R1, R2, R1, 1000);
    vote(R1, R2, R2, 1100);
    acknowledge(R2, 1130);
    rehearsal_note_cut(&rehearsal, ORDERED + 1150, &out);
    vote(R2, R2, R2, 1200);
    rehearsal_note_followed(&rehearsal, ORDERED + 1900, &out);
}

static void test_a_good_one(void **state)
{
    (void)state;
    fail_over();
    assert_string_equal(out.data, "   +1000 ms  a first Sentinel names R2\n"
                                  "   +1100 ms  a majority of the Sentinels names R2\n"
                                  "   +1130 ms  first write acknowledged by R2\n"
                                  "   +1150 ms  the old session to R1 is cut\n"
                                  "   +1200 ms  all Sentinels name R2\n"
                                  "   +1900 ms  R1 follows the new master\n");
    assert_true(report());
    assert_string_equal(out.data, "\n"
                                  "  gap            1110 ms without a write, from +20 to +1130 ms\n"
                                  "  refused        0 of 4 attempts\n"
                                  "  misrouted      0 (to a node that was not the master)\n"
                                  "  lost           0 of 4 acknowledged writes are not on R2\n"
                                  "  sessions cut   +1150 ms\n"
                                  "  new master     R2\n"
                                  "\n"
                                  "OK: all writes ended on R2.\n");
}

/* Each of these is waited for. */
static void test_when_it_is_over(void **state)
{
    (void)state;
    rehearsal_note_order(&rehearsal, ORDERED);
    acknowledge(R1, 0);
    acknowledge(R2, 1); /* before we see that it is named */
    vote(R2, R2, R2, 2);
    assert_int_equal(rehearsal.new_count, 1);
    assert_false(rehearsal_is_over(&rehearsal, 1));
    rehearsal_note_cut(&rehearsal, ORDERED + 3, &out);
    assert_false(rehearsal_is_over(&rehearsal, 1));
    rehearsal_note_followed(&rehearsal, ORDERED + 4, &out);
    assert_true(rehearsal_is_over(&rehearsal, 1));
    assert_false(rehearsal_is_over(&rehearsal, 2));
    acknowledge(R2, 5);
    assert_true(rehearsal_is_over(&rehearsal, 2));
}

static void test_all_sentinels_are_waited_for(void **state)
{
    (void)state;
    fail_over();
    rehearsal.t_all_ms = REHEARSAL_NEVER;
    vote(R2, REHEARSAL_NOBODY, R2, 2000);
    assert_false(rehearsal_is_over(&rehearsal, 1));
    assert_false(report());
    assert_says("Not all Sentinels named the new master in time.\n");
}

static void test_lost_writes(void **state)
{
    (void)state;
    fail_over();
    note(REHEARSAL_ACKNOWLEDGED, R2, 2000);
    acknowledge(R2, 2010);
    assert_int_equal(sum().lost, 1);
    assert_int_equal(sum().lost_old, 0);
    assert_false(report());
    assert_says("  lost           1 of 6 acknowledged writes are not on R2\n");
    assert_says("Writes were lost, from +2000 to +2000 ms.\n");
    assert_silent_about("early-fence");
}

/* By the old master, when another was promoted: there is a remedy. */
static void test_writes_that_the_old_master_took_in_vain(void **state)
{
    (void)state;
    rehearsal_note_order(&rehearsal, ORDERED);
    acknowledge(R1, 100);
    note(REHEARSAL_ACKNOWLEDGED, R1, 200);
    note(REHEARSAL_ACKNOWLEDGED, R1, 900);
    vote(R2, R2, R2, 1000);
    acknowledge(R2, 1010);
    assert_int_equal(sum().lost, 2);
    assert_int_equal(sum().misrouted, 0);
    assert_false(report());
    assert_says("Writes were lost, from +200 to +900 ms. The old master took them");
    assert_says("'early-fence'");
}

/* An answer shorter than what was written has zeros behind its end. */
static void test_bits_beyond_the_end_are_lost(void **state)
{
    const struct rehearsal_found found = {.bits = bits, .len = 1};

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        acknowledge(R1, i);
    assert_int_equal(sum().lost, 0);
    assert_int_equal(rehearsal_sum(&rehearsal, &found).lost, 2);
}

static void test_refused_writes(void **state)
{
    (void)state;
    fail_over();
    text_finish(&out);
    note(REHEARSAL_REFUSED, REHEARSAL_NOBODY, 3000);
    assert_string_equal(out.data, "   +3000 ms  first write refused: a reason\n");
    assert_false(report());
    assert_says("Clients were refused.");
    text_finish(&out);
    note(REHEARSAL_REFUSED, REHEARSAL_NOBODY, 3100);
    assert_null(out.data);
    assert_int_equal(sum().misrouted, 0);
    assert_false(report());
    assert_says("  refused        2 of 6 attempts\n");
    assert_says("Clients were refused.");
}

static void test_misrouted_writes(void **state)
{
    (void)state;
    fail_over();
    assert_int_equal(sum().misrouted, 0);
    acknowledge(R1, 2000); /* it is replaced */
    assert_int_equal(sum().misrouted, 1);
    assert_false(report());
    assert_says("Clients reached a node that was not the master.\n");
    acknowledge(R3, 2010); /* it never was the master */
    acknowledge(REHEARSAL_NOBODY, 2020);
    assert_int_equal(sum().misrouted, 3);
    text_finish(&out);
    note(REHEARSAL_ASTRAY, R3, 2030);
    assert_string_equal(out.data, "   +2030 ms  first write answered with an error: a reason\n");
    assert_int_equal(sum().misrouted, 4);
    assert_int_equal(sum().acknowledged, 7);
    assert_false(report());
    assert_says("  misrouted      4 ");
    assert_says("Clients reached a node that was not the master.\n");
}

static void test_nothing_happens(void **state)
{
    (void)state;
    acknowledge(R1, -10);
    rehearsal_note_order(&rehearsal, ORDERED);
    vote(R1, REHEARSAL_NOBODY, R1, 10);
    const struct rehearsal_found unknown = {.bits = NULL};
    assert_false(rehearsal_report(&rehearsal, &unknown, &out));
    assert_silent_about("gap");
    assert_says("  lost           not known: the writes could not be read from a new master\n");
    assert_says("  sessions cut   never\n  new master     nobody\n");
    assert_says("No Sentinel named a new master in time.");
    assert_says("The old master did not follow the new one in time.");
    assert_says("The session that was open before was not cut");
}

/* Good writes do not make up for what they would be compared with. */
static void test_the_new_master_cannot_be_asked(void **state)
{
    const struct rehearsal_found unknown = {.bits = NULL};

    (void)state;
    fail_over();
    assert_int_equal(rehearsal_sum(&rehearsal, &unknown).lost, 0);
    text_finish(&out);
    assert_false(rehearsal_report(&rehearsal, &unknown, &out));
    assert_says("  lost           not known: the writes could not be read from R2\n");
    assert_silent_about("OK");
}

static void test_a_session_that_stays(void **state)
{
    (void)state;
    fail_over();
    rehearsal.t_cut_ms = ORDERED + 1100 + 2000;
    assert_true(report());
    assert_says("The old session stayed at the old master for 2000 ms after the new one was named.");
    rehearsal.t_cut_ms--;
    assert_true(report());
    assert_silent_about("The old session");
}

/* Of two that are as long, the first is told. */
static void test_gaps(void **state)
{
    (void)state;
    rehearsal_note_order(&rehearsal, ORDERED);
    acknowledge(R1, 0);
    assert_int_equal(sum().gap_ms, -1);
    acknowledge(R1, 0);
    assert_int_equal(sum().gap_ms, 0);
    (void)report();
    assert_says("  gap            0 ms without a write, from +0 to +0 ms\n");
    acknowledge(R1, 100);
    acknowledge(R1, 150);
    acknowledge(R1, 250);
    assert_int_equal(sum().gap_ms, 100);
    assert_int_equal(sum().t_gap_ms, ORDERED);
}

static void test_a_gap_after_the_first_write(void **state)
{
    (void)state;
    acknowledge(R1, 0);
    acknowledge(R1, 100);
    acknowledge(R1, 150);
    assert_int_equal(sum().gap_ms, 100);
}

/* What is seen again was seen before. */
static void test_once_each(void **state)
{
    (void)state;
    fail_over();
    text_finish(&out);
    rehearsal_note_cut(&rehearsal, ORDERED + 3000, &out);
    rehearsal_note_followed(&rehearsal, ORDERED + 3000, &out);
    vote(R2, R2, R2, 3000);
    acknowledge(R2, 3000);
    assert_null(out.data);
    assert_int_equal(rehearsal.t_cut_ms, ORDERED + 1150);
    assert_int_equal(rehearsal.t_followed_ms, ORDERED + 1900);
    assert_int_equal(rehearsal.t_all_ms, ORDERED + 1200);
}

/* Whichever Sentinel is the first, and whichever write: R1 is the new master here. */
static void test_writes_before_the_first_vote(void **state)
{
    (void)state;
    rehearsal.old = R2;
    rehearsal_note_order(&rehearsal, ORDERED);
    acknowledge(R1, 10);
    vote(R1, R2, R2, 20);
    assert_int_equal(rehearsal.new, R1);
    assert_int_equal(rehearsal.new_count, 1);
    assert_int_equal(rehearsal.t_first_ms, ORDERED + 20);
}

static void test_no_write_at_the_new_master(void **state)
{
    (void)state;
    rehearsal_note_order(&rehearsal, ORDERED);
    acknowledge(R1, 10);
    (void)report();
    assert_silent_about("No write reached");
    vote(R2, R2, R2, 20);
    assert_false(report());
    assert_says("No write reached the new master through HAProxy.\n");
    acknowledge(R2, 30);
    (void)report();
    assert_silent_about("No write reached");
}

/* A session that was never cut was not cut late. */
static void test_a_session_that_is_never_cut(void **state)
{
    (void)state;
    fail_over();
    rehearsal.t_cut_ms = REHEARSAL_NEVER;
    assert_false(report());
    assert_says("The session that was open before was not cut");
    assert_silent_about("The old session stayed");
}

/* Each write has its own bit, in the second byte, too. */
static void test_the_bit_of_each_write(void **state)
{
    (void)state;
    for (unsigned lost = 0; lost < 20; lost++) {
        rehearsal.count = 0;
        memset(bits, 0, sizeof(bits));
        for (unsigned i = 0; i < 20; i++) {
            if (i == lost)
                note(REHEARSAL_ACKNOWLEDGED, R1, i);
            else
                acknowledge(R1, i);
        }
        assert_int_equal(sum().lost, 1);
        assert_int_equal(sum().t_lost_first_ms, ORDERED + lost);
    }
}

static void test_room_for_writes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REHEARSAL_WRITES_MAX + 10; i++)
        note(REHEARSAL_ACKNOWLEDGED, R1, i);
    assert_int_equal(rehearsal.count, REHEARSAL_WRITES_MAX);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_good_one),
        T(test_when_it_is_over),
        T(test_all_sentinels_are_waited_for),
        T(test_lost_writes),
        T(test_writes_that_the_old_master_took_in_vain),
        T(test_bits_beyond_the_end_are_lost),
        T(test_refused_writes),
        T(test_misrouted_writes),
        T(test_nothing_happens),
        T(test_the_new_master_cannot_be_asked),
        T(test_a_session_that_stays),
        T(test_once_each),
        T(test_gaps),
        T(test_a_gap_after_the_first_write),
        T(test_writes_before_the_first_vote),
        T(test_no_write_at_the_new_master),
        T(test_a_session_that_is_never_cut),
        T(test_the_bit_of_each_write),
        T(test_room_for_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
