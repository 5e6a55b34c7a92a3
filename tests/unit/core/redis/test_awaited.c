/* The ring of awaited replies: runs, their order, deadlines, and a comparison with a plain list. */
#include "spoa/core/redis/awaited.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SIZE 4
#define STEPS 200000
#define LIST_MAX 64

static struct awaited_run runs[SIZE];
static struct awaited ring;

static int set_up(void **state)
{
    (void)state;
    awaited_init(&ring, (struct awaited_room){runs, SIZE});
    return 0;
}

static void add(unsigned kind, size_t subject, int64_t t_sent_ms)
{
    const struct awaited_request request = {.kind = kind, .subject = subject, .t_sent_ms = t_sent_ms};

    assert_false(awaited_is_full(&ring));
    awaited_add(&ring, &request);
}

static void check_next(unsigned kind, size_t subject, int64_t t_sent_ms)
{
    struct awaited_request request;

    assert_true(awaited_next(&ring, &request));
    assert_int_equal(request.kind, kind);
    assert_int_equal(request.subject, subject);
    assert_int_equal(request.t_sent_ms, t_sent_ms);
}

static void check_empty(void)
{
    struct awaited_request request;

    assert_false(awaited_next(&ring, &request));
    assert_false(awaited_is_full(&ring));
    assert_int_equal(awaited_oldest_ms(&ring), INT64_MAX);
}

static void test_empty(void **state)
{
    (void)state;
    check_empty();
}

/* A thousand subjects in a row take one place; each reply finds its own. */
static void test_a_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        add(1, 7 + i, 50);
    assert_int_equal(ring.count, 1);
    for (size_t i = 0; i < 1000; i++) {
        check_next(1, 7 + i, 50);
        awaited_finish(&ring);
    }
    check_empty();
}

/* Whatever is not the next subject of the same kind and moment begins a run. */
static void test_what_ends_a_run(void **state)
{
    static const struct awaited_request others[] = {
        {.kind = 2, .subject = 8, .t_sent_ms = 50}, /* another kind */
        {.kind = 1, .subject = 8, .t_sent_ms = 51}, /* another moment */
        {.kind = 1, .subject = 9, .t_sent_ms = 50}, /* a gap */
        {.kind = 1, .subject = 7, .t_sent_ms = 50}, /* the same subject again */
        {.kind = 1, .subject = 6, .t_sent_ms = 50}, /* backwards */
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        set_up(state);
        add(1, 7, 50);
        add(others[i].kind, others[i].subject, others[i].t_sent_ms);
        assert_int_equal(ring.count, 2);
        check_next(1, 7, 50);
        awaited_finish(&ring);
        check_next(others[i].kind, others[i].subject, others[i].t_sent_ms);
    }
}

/* It may grow while its first replies come in. */
static void test_a_run_grows_while_it_is_answered(void **state)
{
    (void)state;
    add(1, 0, 50);
    add(1, 1, 50);
    check_next(1, 0, 50);
    awaited_finish(&ring);
    add(1, 2, 50);
    assert_int_equal(ring.count, 1);
    check_next(1, 1, 50);
    awaited_finish(&ring);
    check_next(1, 2, 50);
    awaited_finish(&ring);
    check_empty();
}

static void test_full(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        add(1, 2 * i, 50);
    assert_true(awaited_is_full(&ring));
    awaited_finish(&ring);
    assert_false(awaited_is_full(&ring));
    add(1, 20, 50); /* behind the last place comes the first one */
    assert_true(awaited_is_full(&ring));
    awaited_forget(&ring);
    check_empty();
}

static void test_oldest(void **state)
{
    (void)state;
    add(1, 0, 50);
    add(1, 0, 60);
    assert_int_equal(awaited_oldest_ms(&ring), 50);
    awaited_finish(&ring);
    assert_int_equal(awaited_oldest_ms(&ring), 60);
}

/* A subscription stays the next request and has no deadline; what is sent behind it has one. */
static void test_going_on(void **state)
{
    (void)state;
    add(1, 0, 50);
    assert_int_equal(awaited_oldest_ms(&ring), 50);
    for (unsigned i = 0; i < 3; i++) {
        awaited_go_on(&ring);
        check_next(1, 0, 50);
        assert_int_equal(awaited_oldest_ms(&ring), INT64_MAX);
    }
    add(1, 1, 50);
    assert_int_equal(ring.count, 2);
    assert_int_equal(awaited_oldest_ms(&ring), 50);
}

/* ---- beside a plain list ---- */

struct list {
    struct awaited_request requests[LIST_MAX];
    unsigned count;
};

static unsigned next_random(void)
{
    static uint32_t random = 1;

    random = random * 1664525 + 1013904223;
    return random >> 16;
}

static void check_list(const struct list *list)
{
    if (list->count == 0) {
        check_empty();
        return;
    }
    check_next(list->requests[0].kind, list->requests[0].subject, list->requests[0].t_sent_ms);
    assert_int_equal(awaited_oldest_ms(&ring), list->requests[0].t_sent_ms);
}

/* Requests of two kinds and few subjects, so that runs and gaps both come up; time goes on now and then. */
static void test_random_requests(void **state)
{
    struct list list = {.count = 0};
    int64_t now_ms = 0;
    unsigned most_runs = 0;

    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        now_ms += next_random() % 8 == 0;
        bool adds = next_random() % 2 == 0;
        if (adds && !awaited_is_full(&ring) && list.count < LIST_MAX) {
            struct awaited_request request = {
                .kind = next_random() % 8 == 0, .subject = next_random() % 3, .t_sent_ms = now_ms};
            awaited_add(&ring, &request);
            list.requests[list.count++] = request;
        } else if (!adds && list.count > 0) {
            awaited_finish(&ring);
            list.count--;
            for (unsigned i = 0; i < list.count; i++)
                list.requests[i] = list.requests[i + 1];
        }
        most_runs = ring.count > most_runs ? ring.count : most_runs;
        check_list(&list);
    }
    assert_int_equal(most_runs, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, set_up),
        cmocka_unit_test_setup(test_a_run, set_up),
        cmocka_unit_test_setup(test_what_ends_a_run, set_up),
        cmocka_unit_test_setup(test_a_run_grows_while_it_is_answered, set_up),
        cmocka_unit_test_setup(test_full, set_up),
        cmocka_unit_test_setup(test_oldest, set_up),
        cmocka_unit_test_setup(test_going_on, set_up),
        cmocka_unit_test_setup(test_random_requests, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
