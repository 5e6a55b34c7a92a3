/*
 * Reloads that come in the middle of another one, with many services: what has begun to move goes on in slices, and the
 * others wait for it. Nobody is at the Sentinels' address: the services are ready when they have missed a majority.
 */
#include "spoa/reload.h"

#include <stdlib.h>
#include <unistd.h>

#include "spoa/endings.h"
#include "spoa/io/net/loop.h"
#include "tests/unit/core/config/config_fixture.h"

#define SERVICES ((size_t)8 * DEPLOYMENT_SLICE)
/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000
/* Longer than anybody has time to become ready. */
#define LONG_PAUSE_US 700000

struct fixture {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct hooks *hooks;
    struct listeners *listeners;
    struct metrics metrics;
    struct history history;
    struct service_table *table; /* what questions are answered from */
    struct reload *reload;
    const struct service *services[SERVICES]; /* what answered when note() was called */
};

static struct fixture f;

static struct config *make_config(size_t services)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs("[agent]\nlog-level = error\n[sentinels]\naddress = unix:/nowhere/1\npoll = 100ms\nconnect-timeout "
          "= 100ms\nreply-timeout = 100ms\n"
          "vote-life = 400ms\n",
          out);
    for (size_t i = 0; i < services; i++)
        fprintf(out, "[service s%zu]\nserver = R1 127.0.0.1:1\npark = 0\n", i);
    fclose(out);
    struct loaded loaded = load(text);
    free(text);
    for (size_t i = 0; i < loaded.errors.count; i++)
        print_error("%s\n", loaded.errors.texts[i]);
    assert_int_equal(loaded.errors.count, 0);
    config_errors_finish(&loaded.errors);
    return loaded.config;
}

static void use(void *context, const struct deployment *running)
{
    (void)context;
    (void)running;
}

static const struct service *find(size_t i)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "s%zu", i);
    const struct service_question question = {.service = span_of_text(name)};
    const struct parking_queue *queue = service_table_find(f.table, &question);
    return queue != NULL ? queue->service : NULL;
}

static void note(void)
{
    for (size_t i = 0; i < SERVICES; i++)
        f.services[i] = find(i);
}

/* How many services answer in the place of those that were noted. */
static size_t count_moved(void)
{
    size_t count = 0;

    for (size_t i = 0; i < SERVICES; i++)
        count += find(i) != f.services[i];
    return count;
}

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO), .table = service_table_create(NULL)};
    f.resolver = resolver_create(f.loop);
    f.hooks = hooks_create(f.loop, &f.metrics);
    f.listeners = listeners_create(f.loop, NULL, 0, &f.metrics);
    assert_true(f.table != NULL && f.resolver != NULL && f.hooks != NULL && f.listeners != NULL);
    const struct reload_options options = {
        .loop = f.loop,
        .resolver = f.resolver,
        .hooks = f.hooks,
        .metrics = &f.metrics,
        .history = &f.history,
        .table = f.table,
        .listeners = f.listeners,
        .use = use,
    };
    f.reload = reload_create(&options, make_config(SERVICES));
    assert_non_null(f.reload);
    note();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    service_table_destroy(f.table);
    reload_destroy(f.reload);
    listeners_destroy(f.listeners);
    hooks_destroy(f.hooks);
    resolver_destroy(f.resolver);
    ev_loop_destroy(f.loop);
    return 0;
}

/* A turn of the loop moves a slice at most. */
static void turn(void)
{
    size_t before = count_moved();

    ev_run(f.loop, EVRUN_ONCE);
    assert_true(count_moved() <= before + DEPLOYMENT_SLICE);
}

static void run_until_reloads(uint64_t count)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (f.metrics.reloads_total < count && clock_ms() < deadline_ms)
        turn();
    assert_int_equal(f.metrics.reloads_total, count);
}

/* Asks for a reload, and runs until some services have moved, and others have not. Returns how many have. */
static size_t begin_to_move(void)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    reload_prepare(f.reload, make_config(SERVICES));
    while (count_moved() == 0 && clock_ms() < deadline_ms)
        turn();
    assert_int_equal(count_moved(), DEPLOYMENT_SLICE);
    return DEPLOYMENT_SLICE;
}

static size_t count_running(void)
{
    return deployment_config(reload_running(f.reload))->service_count;
}

/* ---- tests ---- */

static void test_another_one(void **state)
{
    (void)state;
    size_t moved = begin_to_move();
    reload_prepare(f.reload, make_config(SERVICES + 1));
    assert_int_equal(count_moved(), moved);
    run_until_reloads(1);
    assert_int_equal(count_moved(), SERVICES);
    assert_int_equal(count_running(), SERVICES);
    assert_true(reload_is_open(f.reload));
    note();
    run_until_reloads(2);
    assert_int_equal(count_moved(), SERVICES);
    assert_int_equal(count_running(), SERVICES + 1);
    assert_true(reload_is_good(f.reload) && !reload_is_open(f.reload));
}

static void test_the_last_one_counts(void **state)
{
    (void)state;
    (void)begin_to_move();
    reload_prepare(f.reload, make_config(SERVICES + 1));
    reload_prepare(f.reload, make_config(SERVICES + 2));
    run_until_reloads(1);
    note();
    run_until_reloads(2);
    assert_int_equal(count_running(), SERVICES + 2);
    assert_false(reload_is_open(f.reload));
    assert_int_equal(reload_asked(f.reload), 3);
}

/* It is told at once, and stays told: the file that was asked for last is not used. */
static void test_one_that_cannot_be_read(void **state)
{
    (void)state;
    size_t moved = begin_to_move();
    reload_prepare(f.reload, make_config(SERVICES + 1));
    reload_fail(f.reload, "a mistake");
    assert_int_equal(count_moved(), moved);
    assert_true(!reload_is_good(f.reload) && !reload_is_open(f.reload));
    assert_int_equal(f.metrics.reload_failures_total, 1);
    run_until_reloads(1);
    assert_int_equal(count_moved(), SERVICES);
    assert_int_equal(count_running(), SERVICES);
    assert_true(!reload_is_good(f.reload) && !reload_is_open(f.reload));
    assert_string_equal(reload_error(f.reload), "a mistake");
    note();
    reload_prepare(f.reload, make_config(SERVICES));
    run_until_reloads(2);
    assert_true(reload_is_good(f.reload));
}

/* The next one makes good what the one before was told for. */
static void test_a_mistake_that_was_mended(void **state)
{
    (void)state;
    (void)begin_to_move();
    reload_fail(f.reload, "a mistake");
    reload_prepare(f.reload, make_config(SERVICES + 1));
    assert_true(reload_is_open(f.reload));
    run_until_reloads(1);
    assert_true(reload_is_good(f.reload) && reload_is_open(f.reload));
    note();
    run_until_reloads(2);
    assert_int_equal(count_running(), SERVICES + 1);
    assert_true(reload_is_good(f.reload));
}

/* What was not ready in its time moves by force, but not at once. */
static void test_a_pause(void **state)
{
    (void)state;
    (void)begin_to_move();
    (void)usleep(LONG_PAUSE_US);
    run_until_reloads(1);
    assert_int_equal(count_moved(), SERVICES);
}

/* The agent stops, or another one takes its place. */
static void test_the_agent_stops(void **state)
{
    (void)state;
    size_t moved = begin_to_move();
    reload_prepare(f.reload, make_config(SERVICES + 1));
    reload_abandon(f.reload);
    assert_int_equal(count_moved(), moved);
    run_until_reloads(1);
    assert_int_equal(count_running(), SERVICES);
    assert_false(reload_is_open(f.reload));
}

/* Nothing is lost, nothing is used again (the build with AddressSanitizer looks). */
static void test_the_agent_ends(void **state)
{
    (void)state;
    (void)begin_to_move();
    reload_prepare(f.reload, make_config(SERVICES));
}

/* Each is dropped for the next one, and ends in slices; too many of them wait. */
static void test_many_in_a_row(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 10; i++) {
        reload_prepare(f.reload, make_config(SERVICES + i));
        turn();
    }
    run_until_reloads(1);
    while (reload_is_open(f.reload)) {
        note();
        run_until_reloads(f.metrics.reloads_total + 1);
    }
    assert_int_equal(count_running(), SERVICES + 10);
    assert_int_equal(f.metrics.reload_failures_total, 0);
}

static struct deployment *make_deployment(void)
{
    const struct deployment_options options = {
        .loop = f.loop,
        .config = make_config(SERVICES),
        .resolver = f.resolver,
        .metrics = &f.metrics,
        .history = &f.history,
        .hooks = f.hooks,
    };
    struct deployment *deployment = deployment_create(&options);
    size_t budget = PROGRESS_UNLIMITED;

    assert_non_null(deployment);
    assert_int_equal(deployment_build(deployment, &budget), PROGRESS_DONE);
    return deployment;
}

static void count_ended(void *context)
{
    ++*(size_t *)context;
}

/* However many end: each takes its turns, one after another. */
static void test_endings(void **state)
{
    struct endings endings;
    size_t ended = 0;
    size_t turns = 0;

    (void)state;
    endings_init(&endings, f.loop, count_ended, &ended);
    for (size_t i = 0; i < ENDINGS_MAX; i++)
        endings_add(&endings, make_deployment(), NULL);
    for (size_t left = ENDINGS_MAX; left > 0; turns++) {
        ev_run(f.loop, EVRUN_ONCE);
        if (endings.count == left)
            continue;
        left--;
        assert_int_equal(endings.count, left);
        assert_int_equal(ended, ENDINGS_MAX - left);
        assert_true(turns >=
                    (ENDINGS_MAX - left) * 2 * SERVICES / DEPLOYMENT_SLICE); /* a link and a service each */
    }
    endings_add(&endings, make_deployment(), NULL);
    endings_finish(&endings);
    assert_int_equal(ended, ENDINGS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_another_one),
        TEST(test_the_last_one_counts),
        TEST(test_one_that_cannot_be_read),
        TEST(test_a_mistake_that_was_mended),
        TEST(test_a_pause),
        TEST(test_the_agent_stops),
        TEST(test_the_agent_ends),
        TEST(test_many_in_a_row),
        TEST(test_endings),
    };

    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
