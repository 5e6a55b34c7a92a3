/* What is done in slices: a slice does what its budget allows, and no more, however many services there are. */
#include "spoa/deployment.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/loop.h"
#include "tests/unit/core/config/config_fixture.h"

#define SERVICES 100
#define SLICE 7
#define WAIT_S 0.05

struct fixture {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct hooks *hooks;
    struct metrics metrics;
    struct history history;
    struct service_table *table; /* what questions are answered from */
};

static struct fixture f;

/* Of two groups; nobody is there. `haproxy`: a section, or "". */
static struct config *make_config(const char *haproxy)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs(haproxy, out);
    fputs("[sentinels]\naddress = unix:/nowhere/1\n[sentinels other]\naddress = unix:/nowhere/2\n", out);
    for (unsigned i = 0; i < SERVICES; i++)
        fprintf(out, "[service s%u]\nserver = R1 127.0.0.1:1\n%s\n", i,
                i % 2 == 0 ? "" : "sentinels = other");
    fclose(out);
    struct loaded loaded = load(text);
    free(text);
    assert_int_equal(loaded.errors.count, 0);
    config_errors_finish(&loaded.errors);
    return loaded.config;
}

static void set_up(void)
{
    f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO), .table = service_table_create(NULL)};
    f.resolver = resolver_create(f.loop);
    f.hooks = hooks_create(f.loop, &f.metrics);
    assert_true(f.table != NULL && f.resolver != NULL && f.hooks != NULL);
}

static struct deployment *create_with(const char *haproxy)
{
    const struct deployment_options options = {
        .loop = f.loop,
        .config = make_config(haproxy),
        .resolver = f.resolver,
        .metrics = &f.metrics,
        .history = &f.history,
        .hooks = f.hooks,
    };
    struct deployment *deployment = deployment_create(&options);

    assert_non_null(deployment);
    return deployment;
}

static struct deployment *create(void)
{
    return create_with("");
}

static void tear_down(void)
{
    hooks_destroy(f.hooks);
    resolver_destroy(f.resolver);
    ev_loop_destroy(f.loop);
}

/* How many services the table answers from that are of this deployment. */
static size_t count_answering(struct service_table *table, const struct deployment *deployment)
{
    size_t group_count;
    size_t count = 0;
    const struct voter_group *const *groups = deployment_groups(deployment, &group_count);

    for (size_t i = 0; i < group_count; i++)
        for (size_t k = 0; k < voter_group_service_count(groups[i]); k++) {
            const struct service *service = voter_group_service(groups[i], k);
            const struct service_question question = {.service =
                                                          span_of_text(service_settings(service)->name)};
            const struct parking_queue *queue = service_table_find(table, &question);
            count += queue != NULL && queue->service == service;
        }
    return count;
}

/* Builds with slices; the number of slices. */
static size_t build(struct deployment *deployment)
{
    enum progress progress = PROGRESS_MORE;
    size_t slices = 0;

    for (; progress == PROGRESS_MORE; slices++) {
        size_t budget = SLICE;
        progress = deployment_build(deployment, &budget);
        assert_true(progress == PROGRESS_DONE || budget == 0);
    }
    assert_int_equal(progress, PROGRESS_DONE);
    return slices;
}

static void prepare(struct deployment *deployment, struct service_table *table)
{
    enum progress progress = PROGRESS_MORE;

    for (size_t done = 0; progress == PROGRESS_MORE; done = count_answering(table, deployment)) {
        size_t budget = SLICE;
        progress = deployment_prepare(deployment, table, &budget);
        assert_true(count_answering(table, deployment) - done <= SLICE);
    }
    assert_int_equal(progress, PROGRESS_DONE);
    assert_int_equal(count_answering(table, deployment), SERVICES);
}

/* The number of slices. */
static size_t take_over(struct deployment *deployment, struct deployment *former)
{
    struct deployment_look look = {.at = 0};
    enum progress progress = PROGRESS_MORE;
    size_t done = former != NULL ? count_answering(f.table, deployment) : 0;
    size_t slices = 0;

    for (; progress == PROGRESS_MORE; slices++) {
        size_t budget = SLICE;
        progress =
            deployment_take_over(deployment, former, former != NULL ? f.table : NULL, true, &look, &budget);
        if (former == NULL)
            continue;
        size_t moved = count_answering(f.table, deployment);
        assert_true(moved - done <= SLICE);
        assert_int_equal(count_answering(f.table, former), SERVICES - moved); /* each is answered from one */
        done = moved;
    }
    assert_true(deployment_finish(deployment, former, false));
    return slices;
}

static void die(struct deployment *deployment, struct service_table *table)
{
    size_t slices = 0;
    size_t budget = SLICE;

    while (deployment_unlink(deployment, &budget) || service_table_shed(table, &budget) ||
           deployment_shed(deployment, &budget)) {
        assert_int_equal(budget, 0);
        budget = SLICE;
        slices++;
    }
    assert_true(slices >= 3 * SERVICES / SLICE); /* a link, an entry and a service each */
    service_table_destroy(table);
    deployment_destroy(deployment);
}

static void test_slices(void **state)
{
    (void)state;
    set_up();
    struct deployment *first = create();
    struct deployment *next = create();
    struct service_table *table = service_table_create(NULL);
    assert_true(build(first) >= 2 * SERVICES / SLICE); /* a service and its link */
    prepare(first, f.table);
    assert_true(take_over(first, NULL) >= SERVICES / SLICE);
    (void)build(next);
    prepare(next, table);
    assert_int_equal(count_answering(f.table, first), SERVICES); /* as before */
    service_table_begin(f.table, table);
    assert_true(take_over(next, first) >= SERVICES / SLICE);
    service_table_end(f.table, clock_ms());
    assert_int_equal(count_answering(f.table, next), SERVICES);
    die(first, table);
    assert_int_equal(count_answering(f.table, next), SERVICES);
    service_table_destroy(f.table);
    deployment_destroy(next);
    tear_down();
}

/* What is not ready keeps the former one's place, and others do not wait for it. */
static void test_not_ready(void **state)
{
    struct deployment_look look = {.at = 0};
    size_t budget = 3 * SERVICES;

    (void)state;
    set_up();
    struct deployment *first = create();
    struct deployment *next = create();
    struct service_table *table = service_table_create(NULL);
    (void)build(first);
    prepare(first, f.table);
    (void)take_over(first, NULL);
    (void)build(next);
    prepare(next, table);
    service_table_begin(f.table, table);
    assert_int_equal(deployment_take_over(next, first, f.table, false, &look, &budget), PROGRESS_MORE);
    assert_int_equal(look.lack, HANDOVER_STARTING);
    assert_int_equal(budget, 2 * SERVICES); /* one look at each */
    assert_int_equal(count_answering(f.table, first), SERVICES);
    (void)take_over(next, first); /* by force */
    service_table_end(f.table, clock_ms());
    die(first, table);
    service_table_destroy(f.table);
    deployment_destroy(next);
    tear_down();
}

/* Services, their links, two groups and a voter of each. */
static void test_price(void **state)
{
    size_t budget = 2 * SERVICES + 3;

    (void)state;
    set_up();
    struct deployment *deployment = create();
    assert_int_equal(deployment_build(deployment, &budget), PROGRESS_MORE);
    budget = 1;
    assert_int_equal(deployment_build(deployment, &budget), PROGRESS_DONE);
    deployment_destroy(deployment);
    service_table_destroy(f.table);
    tear_down();
}

/* Abandoned in the middle: nothing is lost, nothing is used again. */
static void test_abandoned(void **state)
{
    size_t budget = SERVICES + SERVICES / 2;

    (void)state;
    set_up();
    struct deployment *half = create();
    assert_int_equal(deployment_build(half, &budget), PROGRESS_MORE);
    deployment_destroy(half);
    half = create();
    (void)build(half);
    budget = SERVICES / 2;
    assert_int_equal(deployment_prepare(half, f.table, &budget), PROGRESS_MORE);
    die(half, f.table);
    tear_down();
}

/* A HAProxy that can be called. Writes its section; the socket it listens on. */
static int listen_as_haproxy(char *section, size_t size)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    (void)snprintf(section, size, "[haproxy]\nruntime-api = 127.0.0.1:%u\nbackend = be\n",
                   ntohs(addr.sin_port));
    return fd;
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Whether it is called soon. */
static bool is_called(int haproxy)
{
    ev_timer timer;

    ev_timer_init(&timer, on_time, WAIT_S, 0.0);
    ev_now_update(f.loop);
    ev_timer_start(f.loop, &timer);
    ev_run(f.loop, 0);
    int fd = accept(haproxy, NULL, NULL);

    if (fd != -1)
        (void)close(fd);
    return fd != -1;
}

/* The next configuration has no HAProxy: nobody is called once the first service has moved. */
static void test_the_next_one_calls_nobody(void **state)
{
    struct deployment_look look = {.at = 0};
    char section[128];
    int haproxy = listen_as_haproxy(section, sizeof(section));

    (void)state;
    for (size_t moved = 0; moved <= 1; moved++) {
        set_up();
        struct deployment *first = create_with(section);
        struct deployment *next = create();
        struct service_table *table = service_table_create(NULL);
        size_t budget = moved;
        (void)build(first);
        prepare(first, f.table);
        (void)take_over(first, NULL); /* now HAProxy is due to be called */
        (void)build(next);
        prepare(next, table);
        service_table_begin(f.table, table);
        if (moved > 0)
            assert_int_equal(deployment_take_over(next, first, f.table, true, &look, &budget), PROGRESS_MORE);
        assert_true(is_called(haproxy) == (moved == 0));
        (void)take_over(next, first);
        service_table_end(f.table, clock_ms());
        die(first, table);
        service_table_destroy(f.table);
        deployment_destroy(next);
        tear_down();
    }
    (void)close(haproxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_not_ready),
        cmocka_unit_test(test_price),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_the_next_one_calls_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
