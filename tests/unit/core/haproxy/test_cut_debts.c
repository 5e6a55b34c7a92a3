/* What is owed to which HAProxy, when it is due, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/cut_debts.h"
#include "tests/lib/log_capture.h"

#define START 100000
#define NEVER INT64_MAX

static const char *const api_names[] = {"A", "B", "C", "A"}; /* any two neighbours */
static char first_backend[] = "be";
static char second_backend[] = "be2";
static char *const backends[] = {first_backend, second_backend};
static const struct service_server servers[] = {{.name = "R1"}, {.name = "R2"}, {.name = "R3"}};

static struct metrics metrics;

/* The service "m" with three servers in one backend, two HAProxys. */
static struct cut_debts *begin(void)
{
    const struct cut_service service = {
        .name = "m", .servers = servers, .server_count = 3, .backends = backends, .backend_count = 1};
    struct cut_debts *debts = cut_debts_create(api_names, 2, &metrics);

    assert_non_null(debts);
    assert_true(cut_debts_add(debts, &service));
    metrics.cuts_total = 0;
    log_capture_begin(LOG_LEVEL_INFO);
    return debts;
}

/* Takes what is due and says what came of it, of all. "be/R1 be/R2" and so on: what was due. */
static const char *tell(struct cut_debts *debts, size_t api, enum cut_outcome outcome, int64_t now_ms)
{
    static char told[256];
    struct cut_items items;

    told[0] = '\0';
    assert_true(cut_debts_take(debts, api, now_ms, &items));
    for (size_t i = 0; i < items.count; i++) {
        size_t len = strlen(told);
        (void)snprintf(told + len, sizeof(told) - len, "%s%s/%s", len > 0 ? " " : "", items.list[i].backend,
                       items.list[i].server);
        items.list[i].outcome = outcome;
    }
    cut_debts_end(debts, api, &items, now_ms);
    cut_items_finish(&items);
    return told;
}

/* Confirms all that is owed to this HAProxy. */
static void settle(struct cut_debts *debts, size_t api, int64_t now_ms)
{
    (void)tell(debts, api, CUT_CONFIRMED, now_ms);
    (void)tell(debts, api, CUT_CONFIRMED, now_ms + CUT_SETTLE_MS);
    assert_int_equal(cut_debts_owed(debts, api), 0);
}

/* R1 is the master, and nothing is owed. */
static struct cut_debts *begin_settled(void)
{
    struct cut_debts *debts = begin();

    cut_debts_name(debts, 0, "R1", START);
    settle(debts, 0, START);
    settle(debts, 1, START);
    metrics.cuts_total = 0;
    log_capture_begin(LOG_LEVEL_INFO);
    return debts;
}

/* Nobody knows what was before the start: all but the first master are owed, to both. */
static void test_start(void **state)
{
    struct cut_debts *debts = begin();

    (void)state;
    assert_int_equal(cut_debts_due_ms(debts, 0), NEVER);
    assert_false(cut_debts_is_last(debts, 0, "R1"));
    cut_debts_fence(debts, 0, START); /* of nobody */
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    cut_debts_name(debts, 0, "R1", START);
    assert_true(cut_debts_is_last(debts, 0, "R1"));
    assert_int_equal(cut_debts_due_ms(debts, 0), START);
    assert_int_equal(cut_debts_owed(debts, 1), 2);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START), "be/R2 be/R3");
    assert_string_equal(log_capture_last("cutting-sessions"),
                        "info cutting-sessions service=m backend=be server=R3 cause=start");
    cut_debts_destroy(debts);
}

/* Told six times in half a second; it is confirmed by an answer to a question of then, and by no other. */
static void test_switch(void **state)
{
    struct cut_debts *debts = begin_settled();

    (void)state;
    cut_debts_name(debts, 0, "R2", START + 1000);
    assert_string_equal(log_capture_last("cutting-sessions"),
                        "info cutting-sessions service=m backend=be server=R1 cause=switch");
    for (int64_t ms = 0; ms < CUT_SETTLE_MS; ms += CUT_INTERVAL_MS) {
        assert_int_equal(cut_debts_due_ms(debts, 0), START + 1000 + ms);
        assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1000 + ms), "be/R1");
    }
    assert_int_equal(metrics.cuts_total, 0);
    assert_int_equal(log_capture_count("sessions-cut"), 0);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1000 + CUT_SETTLE_MS - 1), "");
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1000 + CUT_SETTLE_MS), "be/R1");
    assert_int_equal(metrics.cuts_total, 1);
    assert_string_equal(log_capture_last("sessions-cut"),
                        "info sessions-cut service=m backend=be server=R1 api=A ms=500 first-ms=0");
    assert_int_equal(cut_debts_due_ms(debts, 0), NEVER);
    assert_int_equal(cut_debts_owed(debts, 1), 1); /* one HAProxy does not speak for another */
    cut_debts_name(debts, 0, "R2", START + 9000);  /* no news */
    assert_int_equal(cut_debts_due_ms(debts, 0), NEVER);
    cut_debts_destroy(debts);
}

/* An answer that takes long counts from when it was asked for. */
static void test_slow_answer(void **state)
{
    struct cut_debts *debts = begin_settled();
    struct cut_items items;

    (void)state;
    cut_debts_name(debts, 0, "R2", START + 1000);
    assert_true(cut_debts_take(debts, 0, START + 1499, &items));
    assert_int_equal(cut_debts_due_ms(debts, 0), NEVER); /* it is under way */
    cut_debts_end(debts, 0, &items, START + 3000);
    cut_items_finish(&items);
    assert_int_equal(cut_debts_due_ms(debts, 0), START + 1500);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 3000), "be/R1");
    assert_string_equal(log_capture_last("sessions-cut"),
                        "info sessions-cut service=m backend=be server=R1 api=A ms=2000 first-ms=2000");
    cut_debts_destroy(debts);
}

/* HAProxy is away while it reloads itself: in the first second it is tried again soon. It is never given up, and never
 * tried less often than every 0.8 s, from one beginning to the next. */
static void test_backoff(void **state)
{
    static const int64_t waits[] = {100, 100, 100, 100, 100, 100, 100, 100,
                                    100, 100, 100, 200, 400, 800, 800};
    struct cut_debts *debts = begin_settled();
    int64_t now_ms = START + 1000;

    (void)state;
    cut_debts_name(debts, 0, "R2", now_ms);
    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        assert_string_equal(tell(debts, 0, CUT_FAILED, now_ms), "be/R1");
        assert_int_equal(cut_debts_due_ms(debts, 0), now_ms + waits[i]);
        now_ms += waits[i];
    }
    for (size_t i = 0; i < 100000; i++) {
        assert_string_equal(tell(debts, 0, CUT_FAILED, now_ms), "be/R1");
        now_ms += CUT_BACKOFF_MAX_MS;
    }
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, now_ms), "be/R1");
    assert_int_equal(metrics.cuts_total, 1);
    cut_debts_destroy(debts);
}

/* Sessions that are connecting are looked at again soon, and later not so often. */
static void test_incomplete(void **state)
{
    struct cut_debts *debts = begin_settled();
    int64_t now_ms = START + 1000;

    (void)state;
    cut_debts_name(debts, 0, "R2", now_ms);
    for (size_t i = 0; i < 10; i++) {
        (void)tell(debts, 0, CUT_INCOMPLETE, now_ms);
        now_ms += CUT_INTERVAL_MS;
        assert_int_equal(cut_debts_due_ms(debts, 0), now_ms);
    }
    for (size_t i = 0; i < 5; i++) {
        (void)tell(debts, 0, CUT_INCOMPLETE, now_ms);
        now_ms = cut_debts_due_ms(debts, 0);
    }
    (void)tell(debts, 0, CUT_INCOMPLETE, now_ms);
    assert_int_equal(cut_debts_due_ms(debts, 0), now_ms + CUT_BACKOFF_MAX_MS);
    assert_int_equal(metrics.cuts_total, 0);
    cut_debts_destroy(debts);
}

/* R1 is named again, and then nobody: its sessions are let alone. */
static void test_there_and_back(void **state)
{
    struct cut_debts *debts = begin_settled();
    struct cut_items items;

    (void)state;
    cut_debts_name(debts, 0, "R2", START + 1000);
    assert_true(cut_debts_take(debts, 0, START + 1000, &items));
    assert_true(cut_debts_is_owed(debts, 0, items.list[0].place));
    cut_debts_name(debts, 0, "R1", START + 1010);
    assert_false(cut_debts_is_owed(debts, 0, items.list[0].place));
    cut_debts_end(debts, 0, &items, START + 1020);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1600), "be/R2");
    assert_string_equal(tell(debts, 1, CUT_CONFIRMED, START + 1600), "be/R2");
    assert_int_equal(cut_debts_owed(debts, 0) + cut_debts_owed(debts, 1), 0);
    cut_items_finish(&items);
    cut_debts_destroy(debts);
}

/* Owed again while the answer to an older question is under way: that answer does not count. */
static void test_old_answer(void **state)
{
    struct cut_debts *debts = begin_settled();
    struct cut_items items;

    (void)state;
    cut_debts_name(debts, 0, "R2", START + 1000);
    assert_true(cut_debts_take(debts, 0, START + 1600, &items));
    cut_debts_name(debts, 0, "R1", START + 1610);
    cut_debts_name(debts, 0, "R2", START + 1620);
    cut_debts_end(debts, 0, &items, START + 1630);
    cut_items_finish(&items);
    assert_int_equal(metrics.cuts_total, 0);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1630), "be/R1");
    assert_int_equal(metrics.cuts_total, 0);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 2120), "be/R1");
    assert_int_equal(metrics.cuts_total, 1);
    cut_debts_destroy(debts);
}

static void test_fence(void **state)
{
    struct cut_debts *debts = begin_settled();

    (void)state;
    cut_debts_fence(debts, 0, START + 1000);
    assert_string_equal(log_capture_last("cutting-sessions"),
                        "info cutting-sessions service=m backend=be server=R1 cause=fence");
    settle(debts, 0, START + 1000);
    cut_debts_fence(debts, 0, START + 2000); /* it was told */
    assert_int_equal(cut_debts_due_ms(debts, 0), NEVER);
    cut_debts_name(debts, 0, "R1", START + 3000);
    assert_int_equal(cut_debts_owed(debts, 1), 0); /* the master again */
    cut_debts_fence(debts, 0, START + 4000);
    assert_int_equal(cut_debts_due_ms(debts, 0), START + 4000);
    settle(debts, 0, START + 4000);
    cut_debts_name(debts, 0, "R2", START + 5000);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 5000), "be/R1");
    cut_debts_destroy(debts);
}

/* A master that is in no backend: the one before it is cut, and all that nothing is known of. */
static void test_outside_the_map(void **state)
{
    struct cut_debts *debts = begin_settled();

    (void)state;
    cut_debts_name(debts, 0, NULL, START + 1000);
    assert_true(cut_debts_is_last(debts, 0, NULL));
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1000), "be/R1");
    cut_debts_fence(debts, 0, START + 1100);
    assert_int_equal(cut_debts_owed(debts, 0), 1); /* there is nobody to cut */
    cut_debts_name(debts, 0, "R1", START + 1200);
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    cut_debts_destroy(debts);
    debts = begin();
    cut_debts_name(debts, 0, NULL, START);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START), "be/R1 be/R2 be/R3");
    cut_debts_destroy(debts);
}

/* What one server of a round comes to is not what another does. */
static void test_each_by_itself(void **state)
{
    struct cut_debts *debts = begin();
    struct cut_items items;

    (void)state;
    cut_debts_name(debts, 0, "R1", START);
    assert_true(cut_debts_take(debts, 0, START + 600, &items));
    assert_int_equal(items.count, 2);
    items.list[0].outcome = CUT_FAILED;
    cut_debts_end(debts, 0, &items, START + 600);
    cut_items_finish(&items);
    assert_int_equal(metrics.cuts_total, 1);
    assert_non_null(strstr(log_capture_last("sessions-cut"), "server=R3 "));
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 700), "be/R2");
    cut_debts_destroy(debts);
}

/* A switch counts as cut when every HAProxy has cut once, in every backend. */
static void test_is_cut(void **state)
{
    const struct cut_service service = {
        .name = "m", .servers = servers, .server_count = 2, .backends = backends, .backend_count = 2};
    struct cut_debts *debts = cut_debts_create(api_names, 2, &metrics);
    const char *name = NULL;
    const char *server = NULL;

    (void)state;
    assert_true(cut_debts_add(debts, &service));
    cut_debts_name(debts, 0, "R1", START);
    settle(debts, 0, START);
    settle(debts, 1, START);
    cut_debts_name(debts, 0, "R2", START + 1000);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1000), "be/R1 be2/R1");
    assert_false(cut_debts_is_cut(debts, 0, &name, &server));
    struct cut_items items;
    assert_true(cut_debts_take(debts, 1, START + 1000, &items));
    items.list[1].outcome = CUT_FAILED;
    cut_debts_end(debts, 1, &items, START + 1000);
    assert_false(cut_debts_is_cut(debts, items.list[0].place, &name, &server));
    cut_items_finish(&items);
    (void)tell(debts, 1, CUT_CONFIRMED, START + 1100);
    assert_true(cut_debts_is_cut(debts, 0, &name, &server));
    assert_string_equal(name, "m");
    assert_string_equal(server, "R1");
    cut_debts_destroy(debts);
}

/* ---- from one configuration to the next ---- */

/* Another configuration: servers R2 and R3, the HAProxys B and C. */
static struct cut_debts *begin_next(const struct cut_debts *former, size_t first_server, size_t first_api,
                                    int64_t now_ms)
{
    const struct cut_service service = {.name = "m",
                                        .servers = servers + first_server,
                                        .server_count = 3 - first_server,
                                        .backends = backends,
                                        .backend_count = 1};
    const struct cut_service other = {
        .name = "other", .servers = servers, .server_count = 1, .backends = backends + 1, .backend_count = 1};
    struct cut_debts *debts = cut_debts_create(api_names + first_api, 2, &metrics);

    assert_non_null(debts);
    assert_true(cut_debts_add(debts, &other));
    assert_true(cut_debts_add(debts, &service));
    assert_true(cut_debts_inherit(debts, former, now_ms));
    return debts;
}

/* What is owed goes on to be owed, since when it was; what is confirmed stays so. */
static void test_inherit(void **state)
{
    struct cut_debts *former = begin_settled();
    struct cut_items items;

    (void)state;
    cut_debts_name(former, 0, "R2", START + 1000);
    settle(former, 0, START + 1000);
    assert_true(cut_debts_take(former, 1, START + 1000, &items));
    log_capture_clear();
    struct cut_debts *debts = begin_next(former, 0, 0, START + 1200);
    cut_debts_adopt(debts, &items);
    cut_debts_destroy(former);
    assert_true(cut_debts_is_last(debts, 1, "R2"));
    assert_int_equal(cut_debts_due_ms(debts, 0), NEVER);
    assert_int_equal(cut_debts_due_ms(debts, 1), NEVER); /* it is still under way */
    assert_true(cut_debts_is_owed(debts, 1, items.list[0].place));
    cut_debts_end(debts, 1, &items, START + 1300);
    cut_items_finish(&items);
    assert_int_equal(cut_debts_due_ms(debts, 1), START + 1100);
    assert_string_equal(tell(debts, 1, CUT_CONFIRMED, START + 1500), "be/R1");
    assert_string_equal(log_capture_last("sessions-cut"),
                        "info sessions-cut service=m backend=be server=R1 api=B ms=500 first-ms=300");
    cut_debts_name(debts, 1, "R2", START + 1600); /* no news */
    assert_int_equal(cut_debts_owed(debts, 0) + cut_debts_owed(debts, 1), 0);
    assert_int_equal(log_capture_count("cutting-sessions"), 0);
    cut_debts_name(debts, 0, "R1", START + 1600); /* the service that is new has but this server */
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    cut_debts_destroy(debts);
}

/* A HAProxy of which nothing is known yet, and a switch that only the next configuration saw. */
static void test_inherit_with_another_api(void **state)
{
    struct cut_debts *former = begin_settled();

    (void)state;
    struct cut_debts *debts = begin_next(former, 0, 1, START + 2000);
    cut_debts_destroy(former);
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    assert_string_equal(tell(debts, 1, CUT_CONFIRMED, START + 2000), "be/R2 be/R3");
    cut_debts_name(debts, 1, "R2", START + 2000);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 2000), "be/R1");
    assert_string_equal(tell(debts, 1, CUT_CONFIRMED, START + 2000), "be/R1");
    cut_debts_destroy(debts);
}

/* A fence goes on, is not told twice, and ends. */
static void test_inherit_in_a_fence(void **state)
{
    struct cut_debts *former = begin_settled();

    (void)state;
    cut_debts_fence(former, 0, START + 1000);
    settle(former, 0, START + 1000);
    struct cut_debts *debts = begin_next(former, 0, 0, START + 2000);
    cut_debts_destroy(former);
    cut_debts_fence(debts, 1, START + 2000);
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    assert_int_equal(cut_debts_owed(debts, 1), 1);
    cut_debts_name(debts, 1, "R1", START + 2100);
    assert_int_equal(cut_debts_owed(debts, 1), 0);
    /* A HAProxy that is new is owed the fence as well. */
    cut_debts_fence(debts, 1, START + 3000);
    former = debts;
    debts = begin_next(former, 0, 1, START + 4000);
    cut_debts_destroy(former);
    assert_string_equal(tell(debts, 1, CUT_CONFIRMED, START + 4000), "be/R1 be/R2 be/R3");
    cut_debts_destroy(debts);
}

/* The old master is taken out of the configuration while its sessions are not cut: that is owed, by two
 * reloads. */
static void test_inherit_without_the_server(void **state)
{
    struct cut_debts *former = begin_settled();
    const char *name = NULL;
    const char *server = NULL;
    struct cut_items items;

    (void)state;
    cut_debts_name(former, 0, "R2", START + 1000);
    struct cut_debts *debts = begin_next(former, 1, 1, START + 2000);
    cut_debts_destroy(former);
    assert_int_equal(cut_debts_owed(debts, 0), 1);
    assert_true(cut_debts_take(debts, 0, START + 2000, &items));
    former = debts;
    debts = begin_next(former, 1, 1, START + 3000);
    cut_debts_adopt(debts, &items);
    cut_debts_destroy(former);
    assert_int_equal(items.count, 1);
    assert_string_equal(items.list[0].server, "R1");
    assert_true(items.list[0].may_be_gone);
    assert_true(cut_debts_is_owed(debts, 0, items.list[0].place));
    size_t stray = items.list[0].place;
    cut_debts_end(debts, 0, &items, START + 3000);
    cut_items_finish(&items);
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    assert_true(
        cut_debts_is_cut(debts, stray, &name, &server)); /* the HAProxy that is new was owed nothing */
    assert_string_equal(server, "R1");
    assert_true(cut_debts_list(debts, &items)); /* what is tried is what the configuration has */
    assert_int_equal(items.count, 3);
    cut_items_finish(&items);
    /* And back into it. */
    former = debts;
    debts = begin_next(former, 0, 1, START + 4000);
    cut_debts_destroy(former);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 4000), "be/R1");
    cut_debts_destroy(debts);
}

/* A HAProxy that is new is owed no cut of what the configuration no longer has. It is the first in the list. */
static void test_inherit_with_a_new_first_api(void **state)
{
    struct cut_debts *former = begin_settled();
    const char *name = NULL;
    const char *server = NULL;

    (void)state;
    cut_debts_name(former, 0, "R2", START + 1000);
    struct cut_debts *debts = begin_next(former, 1, 2, START + 2000);
    cut_debts_destroy(former);
    settle(debts, 1, START + 2000);
    assert_true(cut_debts_is_cut(debts, 3, &name, &server));
    cut_debts_destroy(debts);
}

/* The whole service is taken out while sessions of its old master are not cut, and put back. Before it names
 * anybody, the same is owed, and nothing else. */
static void test_inherit_with_the_service_again(void **state)
{
    const struct cut_service service = {
        .name = "m", .servers = servers, .server_count = 3, .backends = backends, .backend_count = 1};
    struct cut_debts *former = begin_settled();
    struct cut_debts *without = cut_debts_create(api_names, 2, &metrics);
    struct cut_debts *debts = cut_debts_create(api_names, 2, &metrics);

    (void)state;
    cut_debts_name(former, 0, "R2", START + 1000);
    settle(former, 1, START + 1000);
    assert_true(cut_debts_inherit(without, former, START + 2000));
    cut_debts_destroy(former);
    assert_int_equal(cut_debts_owed(without, 0), 1);
    assert_true(cut_debts_add(debts, &service));
    assert_true(cut_debts_inherit(debts, without, START + 3000));
    cut_debts_destroy(without);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 3000), "be/R1");
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    assert_int_equal(cut_debts_owed(debts, 1), 0);
    /* It may have had other masters meanwhile. */
    cut_debts_name(debts, 0, "R3", START + 4000);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 4000), "be/R2");
    assert_string_equal(tell(debts, 1, CUT_CONFIRMED, START + 4000), "be/R1 be/R2");
    cut_debts_destroy(debts);
}

/* A round under way is about a service that a reload has taken out: what is owed goes on, what is not is
 * let alone. */
static void test_adopt_what_is_gone(void **state)
{
    const struct cut_service other = {
        .name = "other", .servers = servers, .server_count = 1, .backends = backends, .backend_count = 1};
    struct cut_debts *former = begin();
    struct cut_debts *debts = cut_debts_create(api_names, 2, &metrics);
    const char *name = NULL;
    const char *server = NULL;
    struct cut_items items;

    (void)state;
    cut_debts_name(former, 0, "R1", START);
    assert_true(cut_debts_take(former, 0, START + 600, &items));
    cut_debts_name(former, 0, "R2", START + 700);
    assert_true(cut_debts_add(debts, &other));
    assert_true(cut_debts_inherit(debts, former, START + 700));
    cut_debts_adopt(debts, &items);
    cut_debts_destroy(former);
    assert_false(
        cut_debts_is_owed(debts, 0, items.list[0].place)); /* R2 was named: there is no such place any more */
    assert_false(cut_debts_is_cut(debts, items.list[0].place, &name, &server));
    assert_true(cut_debts_is_owed(debts, 0, items.list[1].place));
    cut_debts_end(debts, 0, &items, START + 800);
    cut_items_finish(&items);
    assert_int_equal(metrics.cuts_total, 1);
    assert_string_equal(tell(debts, 0, CUT_CONFIRMED, START + 1200), "be/R1");
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    cut_debts_destroy(debts);
}

/* Two reloads during one round. The service is taken out, and nothing is owed of R2, which the first one named.
 * The texts live on: the visit goes on comparing what it reads with all items. */
static void test_adopt_twice(void **state)
{
    const struct cut_service other = {
        .name = "other", .servers = servers, .server_count = 1, .backends = backends, .backend_count = 1};
    char short_lived[] = "be_m";
    char *const own_backends[] = {short_lived};
    const struct cut_service service = {
        .name = "m", .servers = servers, .server_count = 3, .backends = own_backends, .backend_count = 1};
    struct cut_debts *debts[3];
    struct cut_items items;
    size_t first = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        debts[i] = cut_debts_create(api_names, 2, &metrics);
        assert_non_null(debts[i]);
        assert_true(cut_debts_add(debts[i], i == 0 ? &service : &other));
    }
    cut_debts_name(debts[0], 0, "R1", START);
    assert_true(cut_debts_take(debts[0], 0, START + 600, &items));
    cut_debts_name(debts[0], 0, "R2", START + 700);
    for (size_t i = 1; i < 3; i++) {
        assert_true(cut_debts_inherit(debts[i], debts[i - 1], START + 700));
        cut_debts_adopt(debts[i], &items);
        cut_debts_destroy(debts[i - 1]);
    }
    memset(short_lived, 'x', strlen(short_lived));
    assert_int_equal(cut_items_find(&items, "be_m", 4, "R2", 2, &first), 1);
    assert_int_equal(first, 0);
    assert_false(cut_debts_is_owed(debts[2], 0, items.list[0].place));
    assert_true(cut_debts_is_owed(debts[2], 0, items.list[1].place));
    cut_items_finish(&items);
    cut_debts_destroy(debts[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_switch),
        cmocka_unit_test(test_slow_answer),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_old_answer),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_outside_the_map),
        cmocka_unit_test(test_each_by_itself),
        cmocka_unit_test(test_is_cut),
        cmocka_unit_test(test_inherit),
        cmocka_unit_test(test_inherit_with_another_api),
        cmocka_unit_test(test_inherit_in_a_fence),
        cmocka_unit_test(test_inherit_without_the_server),
        cmocka_unit_test(test_inherit_with_a_new_first_api),
        cmocka_unit_test(test_inherit_with_the_service_again),
        cmocka_unit_test(test_adopt_what_is_gone),
        cmocka_unit_test(test_adopt_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
