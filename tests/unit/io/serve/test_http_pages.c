/* Long pages are written in slices, by turns, with a pause after each. */
#include "spoa/io/serve/http_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/status.h"
#include "tests/unit/io/clock_fixture.h"

#define READY_MAX 16
#define SLICE_US 500
#define PAUSE 9
#define SHED_SIZE ((size_t)2 * 1024 * 1024)
/* A few texts of this size are more than all together may take. */
#define BIG ((size_t)9 * 1024 * 1024)

/* A page that was written. */
struct ready {
    enum http_page page;
    uint64_t number;
    struct http_text *text; /* held */
};

static struct ev_loop *loop;
static struct http_pages *pages;
static struct metrics metrics;
static struct history history;
static struct ready ready[READY_MAX];
static size_t ready_count;
static const char *version;
static int64_t t_loaded_ms;
static unsigned slices;
static unsigned reload_at; /* another configuration is loaded before this slice; 0: none */

static void fill(void *context, struct status *ret_status)
{
    static const struct unknown_service unknown;

    (void)context;
    if (++slices == reload_at) {
        t_loaded_ms++;
        version = "new";
    }
    *ret_status = (struct status){.version = version,
                                  .revision = "r",
                                  .metrics = &metrics,
                                  .history = &history,
                                  .unknown = &unknown,
                                  .t_loaded_ms = t_loaded_ms};
}

static void on_ready(void *context, enum http_page page, uint64_t number, struct http_text *text)
{
    assert_ptr_equal(context, &ready);
    assert_true(ready_count < READY_MAX);
    assert_non_null(text);
    http_pages_hold(text);
    ready[ready_count++] = (struct ready){.page = page, .number = number, .text = text};
}

static int set_up(void **state)
{
    (void)state;
    ready_count = 0;
    look_us = 1;
    slices = reload_at = 0;
    version = "old";
    t_loaded_ms = 1;
    loop = ev_loop_new(EVFLAG_AUTO);
    const struct http_pages_options options = {
        .loop = loop, .status = fill, .ready = on_ready, .ready_context = &ready};
    pages = http_pages_create(&options);
    return loop == NULL || pages == NULL;
}

static void give_back(void)
{
    while (ready_count > 0)
        http_pages_give_back(pages, ready[--ready_count].text);
    memset(ready, 0, sizeof(ready)); /* what is left of a text is lost then */
}

static int tear_down(void **state)
{
    (void)state;
    give_back();
    http_pages_destroy(pages);
    look_us = 1;
    skip_time(loop, 1000);
    ev_loop_destroy(loop);
    return 0;
}

/* Runs until so many pages are written. */
static void await(size_t count)
{
    for (int i = 0; ready_count < count && i < 10000; i++)
        ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(ready_count, count);
}

static unsigned count(const char *text, const char *words)
{
    unsigned found = 0;

    for (; (text = strstr(text, words)) != NULL; text++)
        found++;
    return found;
}

/* How often the words are in a page. */
static unsigned count_in(const struct ready *one, const char *words)
{
    char *text = strndup(one->text->data, one->text->len);
    unsigned found = count(text, words);

    free(text);
    return found;
}

static void a_page(void **state)
{
    (void)state;
    assert_int_equal(http_pages_want(pages, HTTP_PAGE_METRICS), 1);
    assert_int_equal(ready_count, 0); /* not before the loop turns */
    turn(loop);
    assert_int_equal(ready_count, 1);
    assert_int_equal(ready[0].page, HTTP_PAGE_METRICS);
    assert_int_equal(ready[0].number, 1);
    assert_int_equal(count_in(&ready[0], "\nredis_spoa_build_info{"), 1);
    assert_int_equal(count_in(&ready[0], "version=\"old\""), 1);
    turn(loop);
    assert_int_equal(ready_count, 1);
    assert_int_equal(slices, 1);
}

/* Several who want one have one. Who comes when it is begun has the next one. */
static void who_waits_for_which(void **state)
{
    (void)state;
    look_us = SLICE_US;
    assert_int_equal(http_pages_want(pages, HTTP_PAGE_METRICS), 1);
    assert_int_equal(http_pages_want(pages, HTTP_PAGE_METRICS), 1);
    while (slices < 2)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(http_pages_want(pages, HTTP_PAGE_METRICS), 2);
    await(2);
    assert_int_equal(ready[0].number, 1);
    assert_int_equal(ready[1].number, 2);
    look_us = 1;
    skip_time(loop, 10000);
    assert_int_equal(ready_count, 2);
}

/* Nobody waits for ever, whatever others want all the time. */
static void by_turns(void **state)
{
    static const enum http_page wanted[] = {HTTP_PAGE_EXPLANATION, HTTP_PAGE_METRICS, HTTP_PAGE_STATUS,
                                            HTTP_PAGE_STATUS_TEXT, HTTP_PAGE_OPENMETRICS};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(http_pages_want(pages, wanted[i]), 1);
    await(5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ready[i].page, HTTP_PAGE_METRICS + i);
        assert_int_equal(ready[i].number, i + 1);
    }
    give_back();
    look_us = SLICE_US;
    slices = 0;
    (void)http_pages_want(pages, HTTP_PAGE_STATUS);
    while (slices < 2)
        ev_run(loop, EVRUN_ONCE);
    (void)http_pages_want(pages, HTTP_PAGE_STATUS);
    (void)http_pages_want(pages, HTTP_PAGE_METRICS);
    await(3);
    assert_int_equal(ready[0].page, HTTP_PAGE_STATUS);
    assert_int_equal(ready[1].page, HTTP_PAGE_METRICS);
    assert_int_equal(ready[2].page, HTTP_PAGE_STATUS);
}

/* Writes a page where a look at the clock takes so long. Returns in how many slices. */
static unsigned write_with(int64_t us)
{
    look_us = 1;
    skip_time(loop, 10000); /* the pause after the one before is over */
    give_back();
    slices = 0;
    look_us = us;
    (void)http_pages_want(pages, HTTP_PAGE_METRICS);
    await(1);
    look_us = 1;
    return slices;
}

/* A slice ends when its time is over. A piece that is begun is finished. */
static void in_slices(void **state)
{
    (void)state;
    unsigned pieces = write_with(SLICE_US);
    assert_true(pieces > 10);
    assert_int_equal(write_with((int64_t)2 * SLICE_US), pieces);
    /* In the first slice there is one look more, for what is told of the process. */
    assert_int_equal(write_with(SLICE_US / 2), pieces / 2 + 1);
    assert_int_equal(write_with(SLICE_US / 4), pieces / 4 + 1);
}

/* After a page there is a pause that is longer than all of its slices together. */
static void a_pause(void **state)
{
    (void)state;
    /* Each slice looks at the clock at least twice. */
    int64_t slices_us = (int64_t)write_with(SLICE_US) * 2 * SLICE_US;
    (void)http_pages_want(pages, HTTP_PAGE_STATUS);
    skip_time(loop, PAUSE * slices_us / 1000 - 10);
    assert_int_equal(ready_count, 1);
    skip_time(loop, 25);
    assert_int_equal(ready_count, 2);
}

/* Another configuration is loaded in the midst: the page is begun again, and is of one configuration. */
static void a_reload(void **state)
{
    static const enum http_page wanted[] = {HTTP_PAGE_METRICS, HTTP_PAGE_STATUS};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        version = "old";
        slices = 0;
        reload_at = 3;
        look_us = SLICE_US;
        (void)http_pages_want(pages, wanted[i]);
        await(1);
        assert_int_equal(count_in(&ready[0], "\"old\""), 0);
        assert_int_equal(count_in(&ready[0], "\"new\""), 1);
        assert_int_equal(count_in(&ready[0], i == 0 ? "# TYPE redis_spoa_reloads_total " : "\"version\":"),
                         1);
        look_us = 1;
        skip_time(loop, 10000);
        give_back();
    }
}

/* A version that makes a page longer than BIG. The caller frees it. */
static char *make_big(void)
{
    char *big = malloc(BIG);

    assert_non_null(big);
    memset(big, 'v', BIG - 1);
    big[BIG - 1] = '\0';
    return big;
}

/* The oldest has to go where all of them take too much, unless they are few. */
static void too_many_texts(void **state)
{
    char *big = make_big();

    (void)state;
    version = big;
    assert_null(http_pages_excess(pages));
    for (size_t i = 1; i <= 5; i++) {
        (void)http_pages_want(pages, HTTP_PAGE_STATUS);
        await(i);
        assert_ptr_equal(http_pages_excess(pages), i > 4 ? ready[0].text : NULL);
    }
    http_pages_give_back(pages, ready[--ready_count].text);
    assert_null(http_pages_excess(pages));
    version = "small";
    (void)http_pages_want(pages, HTTP_PAGE_STATUS);
    await(5);
    assert_ptr_equal(http_pages_excess(pages), ready[0].text);
    http_pages_hold(ready[0].text);
    http_pages_give_back(pages, ready[0].text);
    assert_ptr_equal(http_pages_excess(pages), ready[0].text); /* somebody has it still */
    http_pages_give_back(pages, ready[0].text);
    ready[0] = ready[--ready_count];
    assert_null(http_pages_excess(pages)); /* three big ones are not too much */
    free(big);
}

/* The memory of a long text is given back in several turns of the loop: a turn should be short. */
static void a_long_text_ends_in_slices(void **state)
{
    char *big = make_big();
    unsigned turns = 1;

    (void)state;
    version = big;
    (void)http_pages_want(pages, HTTP_PAGE_STATUS);
    await(1);
    version = "small";
    (void)http_pages_want(pages, HTTP_PAGE_STATUS);
    await(2);
    assert_true(malloc_usable_size(ready[1].text->data) >
                BIG);       /* it had room for as much as the page before */
    skip_time(loop, 10000); /* the pause is over */
    assert_false(ev_run(loop, EVRUN_NOWAIT));
    http_pages_give_back(pages, ready[--ready_count].text);
    assert_false(ev_run(loop, EVRUN_NOWAIT));
    http_pages_give_back(pages, ready[--ready_count].text);
    while (ev_run(loop, EVRUN_NOWAIT))
        turns++;
    assert_int_equal(turns, BIG / SHED_SIZE + 1);
    free(big);
}

/* While the memory of several is given back the pages may end. */
static void the_end_of_long_texts(void **state)
{
    char *big = make_big();

    (void)state;
    version = big;
    for (size_t i = 1; i <= 2; i++) {
        (void)http_pages_want(pages, HTTP_PAGE_STATUS);
        await(i);
    }
    give_back();
    ev_run(loop, EVRUN_NOWAIT);
    free(big);
}

/* Nothing of it is used again: the build with AddressSanitizer looks. */
static void the_end(void **state)
{
    (void)state;
    http_pages_destroy(NULL);
    look_us = SLICE_US;
    (void)http_pages_want(pages, HTTP_PAGE_METRICS);
    while (slices < 2)
        ev_run(loop, EVRUN_ONCE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page),
        TEST(who_waits_for_which),
        TEST(by_turns),
        TEST(in_slices),
        TEST(a_pause),
        TEST(a_reload),
        TEST(too_many_texts),
        TEST(a_long_text_ends_in_slices),
        TEST(the_end_of_long_texts),
        TEST(the_end),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests_name("http_pages", tests, NULL, NULL);
}
