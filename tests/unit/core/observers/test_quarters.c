/* A day in quarters of an hour: what is kept, what was worse, and what nobody saw. */
#include "spoa/core/observers/quarters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define NOW (1000 * QUARTER_MS + 5) /* in the quarter 1000 */

static struct quarters quarters;

static int set_up(void **state)
{
    (void)state;
    quarters = (struct quarters){.newest = 0};
    return 0;
}

/* The newest quarters are these letters, and nothing is known of those before. */
static void assert_newest(int64_t now_ms, const char *letters)
{
    char text[QUARTERS + 1];
    size_t unknown = QUARTERS - strlen(letters);

    (void)quarters_format(&quarters, now_ms, text);
    assert_int_equal(strlen(text), QUARTERS);
    assert_string_equal(text + unknown, letters);
    assert_int_equal(strspn(text, "n") >= unknown, 1);
}

static void test_nothing_is_known(void **state)
{
    (void)state;
    assert_newest(NOW, "");
    assert_newest(5, "");
}

static void test_time_passes(void **state)
{
    (void)state;
    quarters_tick(&quarters, NOW);
    assert_newest(NOW, "g");
    quarters_tick(&quarters, NOW + QUARTER_MS - 6);
    assert_newest(NOW + QUARTER_MS - 6, "g");
    quarters_tick(&quarters, NOW + QUARTER_MS - 5);
    assert_newest(NOW + QUARTER_MS - 5, "gg");
    assert_newest(NOW + 3 * QUARTER_MS, "ggnn");    /* nobody has called since */
    quarters_tick(&quarters, NOW + 4 * QUARTER_MS); /* it stood still */
    assert_newest(NOW + 4 * QUARTER_MS, "ggnng");
}

/* The clock of a host that has just started is near 0. */
static void test_an_early_clock(void **state)
{
    (void)state;
    quarters_tick(&quarters, 5);
    quarters_note(&quarters, QUARTER_WAITED, -QUARTER_MS, 5);
    assert_newest(5, "w");
    quarters_tick(&quarters, QUARTER_MS);
    assert_newest(QUARTER_MS, "wg");
}

static void test_the_worst_stays(void **state)
{
    (void)state;
    quarters_tick(&quarters, NOW);
    quarters_note(&quarters, QUARTER_REFUSED, NOW, NOW);
    quarters_note(&quarters, QUARTER_WAITED, NOW, NOW);
    quarters_tick(&quarters, NOW);
    assert_newest(NOW, "b");
    quarters_note(&quarters, QUARTER_WAITED, NOW, NOW + 2 * QUARTER_MS); /* all that it touches */
    assert_newest(NOW + 2 * QUARTER_MS, "bww");
}

/* The day has so many quarters: older ones are forgotten, and an outage of days fills it. */
static void test_a_day_is_kept(void **state)
{
    char text[QUARTERS + 1];
    int64_t now_ms = NOW;

    (void)state;
    quarters_note(&quarters, QUARTER_REFUSED, NOW, NOW);
    for (int i = 0; i < QUARTERS - 1; i++)
        quarters_tick(&quarters, now_ms += QUARTER_MS);
    assert_int_equal(quarters_format(&quarters, now_ms, text)[0], 'b');
    quarters_tick(&quarters, now_ms += QUARTER_MS);
    assert_int_equal(strspn(quarters_format(&quarters, now_ms, text), "g"), QUARTERS);
    quarters_note(&quarters, QUARTER_WAITED, now_ms - 3 * QUARTERS * QUARTER_MS, now_ms);
    assert_int_equal(strspn(quarters_format(&quarters, now_ms, text), "w"), QUARTERS);
    quarters_tick(&quarters, now_ms + 3 * QUARTERS * QUARTER_MS);
    assert_newest(now_ms + 3 * QUARTERS * QUARTER_MS, "g");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_is_known, set_up),
        cmocka_unit_test_setup(test_time_passes, set_up),
        cmocka_unit_test_setup(test_an_early_clock, set_up),
        cmocka_unit_test_setup(test_the_worst_stays, set_up),
        cmocka_unit_test_setup(test_a_day_is_kept, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
