/* Which round of calls is next and when, what a service's decision changes, and what a reload moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/cut_rounds.h"
#include "tests/lib/events.h"
#include "tests/lib/log_capture.h"

#define START 100000
#define FENCE 3000

static const uint8_t identities[1] = {0};
static char backend[] = "be";
static char *const backends[] = {backend};
static struct metrics metrics;

/* What the rounds have told. */
static struct {
    unsigned changes;
    char cuts[64];
} told;

/* One Sentinel, two servers, one HAProxy. */
struct fixture {
    struct service_server servers[2];
    struct service_settings settings;
    struct service *service;
    struct runtime_health health;
    struct cut_rounds *rounds;
};

static void note_change(void *context)
{
    (void)context;
    told.changes++;
}

static void note_cut(void *context, const char *service, const char *server, int64_t now_ms)
{
    size_t len = strlen(told.cuts);

    (void)context;
    (void)snprintf(told.cuts + len, sizeof(told.cuts) - len, "%s/%s@%d ", service, server,
                   (int)(now_ms - START));
}

static struct cut_rounds *begin_rounds(struct fixture *f, const char *path)
{
    struct cut_rounds_options options = {.healths = &f->health,
                                         .api_count = 1,
                                         .metrics = &metrics,
                                         .on_change = note_change,
                                         .on_cut = note_cut};
    struct addr addr;

    assert_true(addr_parse(span_of_text(path), &addr));
    runtime_health_init(&f->health, &addr, false);
    f->rounds = cut_rounds_create(&options);
    assert_non_null(f->rounds);
    assert_true(f->service == NULL || cut_rounds_watch(f->rounds, f->service, backends, 1));
    return f->rounds;
}

static void begin_on(struct fixture *f, const char *path)
{
    static const char *const texts[2][2] = {{"R1", "10.0.0.1:6379"}, {"R2", "10.0.0.2:6379"}};

    for (size_t i = 0; i < 2; i++) {
        f->servers[i] = (struct service_server){.name = texts[i][0]};
        assert_true(addr_parse(span_of_text(texts[i][1]), &f->servers[i].addr));
    }
    f->settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = f->servers,
        .server_count = 2,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000},
        .policy = {.fence_ms = FENCE},
    };
    f->service = service_create(&f->settings, START);
    assert_non_null(f->service);
    (void)begin_rounds(f, path);
    log_capture_begin(LOG_LEVEL_INFO);
    memset(&told, 0, sizeof(told));
    memset(&metrics, 0, sizeof(metrics));
}

static struct fixture *begin(void)
{
    static struct fixture f;

    begin_on(&f, "unix:/run/admin.sock");
    return &f;
}

static void end(struct fixture *f)
{
    service_destroy(f->service);
    cut_rounds_destroy(f->rounds);
}

/* The Sentinel names a server, 0 or 1. */
static void name_server(const struct fixture *f, size_t server, int64_t now_ms)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &f->servers[server].addr,
                                         .t_sent_ms = now_ms};

    (void)step_as(f->service, 0, &ballot, now_ms);
}

/* Begins the round that is due, and says what it is: "trial R1 R2", "cut R1". */
static const char *take(struct cut_rounds *rounds, int64_t now_ms, struct runtime_visit_options *what)
{
    static char text[64];

    assert_true(cut_rounds_due_ms(rounds, 0) <= now_ms);
    assert_true(cut_rounds_begin(rounds, 0, now_ms, what));
    assert_int_equal(cut_rounds_due_ms(rounds, 0), INT64_MAX); /* one at a time */
    (void)snprintf(text, sizeof(text), "%s", what->is_trial ? "trial" : "cut");
    for (size_t i = 0; i < what->items->count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, " %s", what->items->list[i].server);
    }
    return text;
}

/* A whole round. All items have the same outcome. */
static const char *run(struct cut_rounds *rounds, const char *complaint, int64_t now_ms)
{
    struct runtime_visit_options what;
    const char *text = take(rounds, now_ms, &what);

    for (size_t i = 0; i < what.items->count; i++)
        what.items->list[i].outcome = complaint != NULL ? CUT_FAILED : CUT_CONFIRMED;
    cut_rounds_end(rounds, 0, complaint, now_ms);
    return text;
}

/* R1 is the master. R2 was cut, and the HAProxy is well. */
static struct fixture *begin_settled(void)
{
    struct fixture *f = begin();

    cut_rounds_start(f->rounds, START);
    assert_string_equal(run(f->rounds, NULL, START), "trial R1 R2");
    name_server(f, 0, START);
    assert_string_equal(run(f->rounds, NULL, START), "cut R2");
    assert_string_equal(run(f->rounds, NULL, START + CUT_SETTLE_MS), "cut R2");
    memset(&told, 0, sizeof(told));
    return f;
}

static void test_trials(void **state)
{
    struct fixture *f = begin();

    (void)state;
    cut_rounds_start(f->rounds, START);
    assert_string_equal(run(f->rounds, "no such file", START), "trial R1 R2");
    assert_string_equal(runtime_health_reason(&f->health), "no such file");
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + CUT_TRIAL_AGAIN_MS);
    assert_string_equal(run(f->rounds, NULL, START + CUT_TRIAL_AGAIN_MS), "trial R1 R2");
    assert_true(runtime_health_is_well(&f->health));
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + CUT_TRIAL_AGAIN_MS + CUT_TRIAL_MS);
    assert_int_equal(metrics.cut_failures_total, 0); /* of cuts only */
    end(f);
}

/* Before the start nothing counts. Then what was decided before does. */
static void test_start(void **state)
{
    struct fixture *f = begin();

    (void)state;
    name_server(f, 0, START);
    assert_int_equal(told.changes, 0);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    cut_rounds_start(f->rounds, START + 10);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 1);
    assert_string_equal(run(f->rounds, NULL, START + 10), "cut R2");
    end(f);
}

/* The same where the majority is gone meanwhile, up to a fence. */
static void test_start_without_a_majority(void **state)
{
    (void)state;
    for (int is_fenced = 0; is_fenced < 2; is_fenced++) {
        struct fixture *f = begin();
        name_server(f, 0, START);
        service_review(f->service, START + 2000);
        if (is_fenced)
            service_review(f->service, START + 2000 + FENCE);
        cut_rounds_start(f->rounds, START + 6000);
        assert_string_equal(run(f->rounds, NULL, START + 6000), is_fenced ? "cut R1 R2" : "cut R2");
        end(f);
    }
}

/* A master outside the map has no name, and yet the servers of the map are to be cut. */
static void test_start_with_a_master_outside_the_map(void **state)
{
    struct fixture *f = begin();
    struct addr addr;
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = START};

    (void)state;
    assert_true(addr_parse(span_of_text("10.0.0.9:6379"), &addr));
    f->settings.allow_any_address = true;
    (void)step_as(f->service, 0, &ballot, START);
    assert_int_equal(service_decision(f->service)->generation, 1);
    service_review(f->service, START + 2000); /* no majority */
    cut_rounds_start(f->rounds, START + 2001);
    assert_string_equal(run(f->rounds, NULL, START + 2001), "cut R1 R2");
    end(f);
}

/* Each of two services has its own debts from the start. */
static void test_start_of_two_services(void **state)
{
    struct fixture *f = begin();
    struct service_settings settings = f->settings;
    struct fixture other = *f;

    (void)state;
    settings.name = "other";
    other.service = service_create(&settings, START);
    assert_non_null(other.service);
    assert_true(cut_rounds_watch(f->rounds, other.service, backends, 1));
    name_server(f, 0, START);
    name_server(&other, 1, START);
    cut_rounds_start(f->rounds, START);
    assert_string_equal(run(f->rounds, NULL, START), "cut R1 R2");
    service_destroy(other.service);
    end(f);
}

/* A cut that goes well although the last trial did not: a trial follows at once. */
static void test_a_cut_after_a_failed_trial(void **state)
{
    struct fixture *f = begin();

    (void)state;
    cut_rounds_start(f->rounds, START);
    assert_string_equal(run(f->rounds, "no such file", START), "trial R1 R2");
    name_server(f, 0, START + 10);
    assert_string_equal(run(f->rounds, NULL, START + 10), "cut R2");
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + 10);
    assert_string_equal(run(f->rounds, NULL, START + 10), "trial R1 R2");
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + 10 + CUT_INTERVAL_MS);
    end(f);
}

static void test_switch(void **state)
{
    struct fixture *f = begin_settled();

    (void)state;
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + CUT_TRIAL_MS);
    name_server(f, 1, START + 1000);
    assert_int_equal(told.changes, 1);
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + 1000);
    assert_string_equal(run(f->rounds, NULL, START + 1000), "cut R1");
    assert_string_equal(told.cuts, "m/R1@1000 "); /* the first time */
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + 1000 + CUT_INTERVAL_MS);
    assert_string_equal(run(f->rounds, NULL, START + 1000 + CUT_SETTLE_MS), "cut R1");
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + CUT_TRIAL_MS);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    end(f);
}

static void test_fence(void **state)
{
    struct fixture *f = begin_settled();

    (void)state;
    service_review(f->service, START + 2000); /* no majority */
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    service_review(f->service, START + 2000 + FENCE);
    assert_true(service_decision(f->service)->is_fenced);
    assert_string_equal(run(f->rounds, NULL, START + 2000 + FENCE), "cut R1");
    name_server(f, 0, START + 6000);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    end(f);
}

/* A switch during a trial waits for its end. */
static void test_switch_during_trial(void **state)
{
    struct fixture *f = begin_settled();
    struct runtime_visit_options what;

    (void)state;
    assert_string_equal(take(f->rounds, START + CUT_TRIAL_MS, &what), "trial R1 R2");
    name_server(f, 1, START + CUT_TRIAL_MS + 1);
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), INT64_MAX);
    cut_rounds_end(f->rounds, 0, NULL, START + CUT_TRIAL_MS + 2);
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + CUT_TRIAL_MS + 1);
    end(f);
}

/* A trial follows soon, and again when it works again. */
static void test_failed_cut(void **state)
{
    struct fixture *f = begin_settled();

    (void)state;
    name_server(f, 1, START + 1000);
    assert_string_equal(run(f->rounds, "timeout", START + 1000), "cut R1");
    assert_int_equal(metrics.cut_failures_total, 1);
    assert_string_equal(told.cuts, "");
    assert_string_equal(runtime_health_reason(&f->health), "timeout");
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + 1000 + CUT_INTERVAL_MS);
    assert_string_equal(run(f->rounds, "timeout", START + 1000 + CUT_INTERVAL_MS), "cut R1");
    assert_string_equal(run(f->rounds, NULL, START + 1600), "cut R1");
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    assert_int_equal(cut_rounds_due_ms(f->rounds, 0), START + 1000 + CUT_TRIAL_AGAIN_MS);
    end(f);
}

/* The next configuration, of the same service, of which the rounds of `f` are the former. */
static struct cut_rounds *begin_next(struct fixture *next, const struct fixture *f, const char *path,
                                     int64_t now_ms)
{
    next->service = f->service;
    (void)begin_rounds(next, path);
    assert_true(cut_rounds_inherit(next->rounds, f->rounds, now_ms));
    return next->rounds;
}

static void test_reload_moves_a_cut(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};
    struct runtime_visit_options what;

    (void)state;
    name_server(f, 1, START + 1000);
    assert_string_equal(take(f->rounds, START + 1000, &what), "cut R1");
    (void)begin_next(&next, f, "unix:/run/admin.sock", START + 1001);
    assert_true(runtime_health_is_well(&next.health));
    assert_string_equal(run(next.rounds, NULL, START + 1001), "trial R1 R2");
    assert_true(cut_rounds_move(next.rounds, 0, f->rounds, 0, &what));
    cut_rounds_stop(f->rounds);
    cut_rounds_start(next.rounds, START + 1001);
    assert_ptr_not_equal(what.debts, NULL);
    assert_false(what.is_trial);
    assert_int_equal(what.items->count, 1);
    assert_true(cut_debts_is_owed(what.debts, what.api, what.items->list[0].place));
    assert_int_equal(cut_rounds_due_ms(next.rounds, 0), INT64_MAX);
    what.items->list[0].outcome = CUT_CONFIRMED;
    cut_rounds_end(next.rounds, 0, NULL, START + 1002);
    assert_string_equal(told.cuts, "m/R1@1002 ");
    assert_string_equal(run(next.rounds, NULL, START + 1000 + CUT_SETTLE_MS), "cut R1");
    assert_int_equal(cut_rounds_owed(next.rounds, 0), 0);
    assert_false(cut_rounds_move(next.rounds, 0, f->rounds, 0, &what));
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* The next file has the servers in another order: the cut that is under way is about the same one. */
static void test_reload_in_another_order(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.servers = {f->servers[1], f->servers[0]}, .settings = f->settings};
    struct runtime_visit_options what;

    (void)state;
    name_server(f, 1, START + 1000);
    assert_string_equal(take(f->rounds, START + 1000, &what), "cut R1");
    next.settings.servers = next.servers;
    next.service = service_create(&next.settings, START + 1001);
    (void)begin_rounds(&next, "unix:/run/admin.sock");
    assert_true(cut_rounds_inherit(next.rounds, f->rounds, START + 1001));
    assert_true(cut_rounds_move(next.rounds, 0, f->rounds, 0, &what));
    assert_true(cut_debts_is_owed(what.debts, what.api, what.items->list[0].place));
    what.items->list[0].outcome = CUT_CONFIRMED;
    cut_rounds_end(next.rounds, 0, NULL, START + 1002);
    assert_string_equal(told.cuts, "m/R1@1002 ");
    end(&next);
    end(f);
}

/* A fence that ends before the next rounds begin. */
static void test_reload_after_a_fence(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};

    (void)state;
    service_review(f->service, START + 2000);
    service_review(f->service, START + 2000 + FENCE);
    (void)begin_next(&next, f, "unix:/run/admin.sock", START + 5001);
    assert_int_equal(cut_rounds_owed(next.rounds, 0), 1);
    cut_rounds_stop(f->rounds);
    name_server(f, 0, START + 6000);
    cut_rounds_start(next.rounds, START + 6001);
    assert_int_equal(cut_rounds_owed(next.rounds, 0), 0);
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* A trial is not moved, nor what another HAProxy was told; what is owed to a new one is cut. */
static void test_reload_moves_no_more(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture same = {.service = NULL};
    struct fixture other = {.service = NULL};
    struct runtime_visit_options what;

    (void)state;
    assert_string_equal(take(f->rounds, START + CUT_TRIAL_MS, &what), "trial R1 R2");
    (void)begin_next(&same, f, "unix:/run/admin.sock", START + CUT_TRIAL_MS);
    assert_false(cut_rounds_move(same.rounds, 0, f->rounds, 0, &what));
    cut_rounds_end(f->rounds, 0, NULL, START + CUT_TRIAL_MS);
    name_server(f, 1, START + CUT_TRIAL_MS + 1);
    assert_string_equal(take(f->rounds, START + CUT_TRIAL_MS + 1, &what), "cut R1");
    (void)begin_next(&other, f, "unix:/run/other.sock", START + CUT_TRIAL_MS + 2);
    assert_false(runtime_health_is_well(&other.health));
    assert_false(cut_rounds_move(other.rounds, 0, f->rounds, 0, &what));
    assert_string_equal(run(other.rounds, NULL, START + CUT_TRIAL_MS + 2), "cut R1");
    cut_rounds_destroy(same.rounds);
    cut_rounds_destroy(other.rounds);
    end(f);
}

/* A reload in which the service has moved, and others have not. R1 is the master. */
static struct cut_rounds *begin_mixed(struct fixture *next, struct fixture *f)
{
    next->service = f->service;
    (void)begin_rounds(next, "unix:/run/admin.sock");
    cut_rounds_stop(f->rounds); /* the former service has no observers any more */
    cut_rounds_follow(next->rounds, f->rounds);
    return next->rounds;
}

static struct cut_rounds *end_mixed(struct fixture *next, struct fixture *f, int64_t now_ms)
{
    assert_true(cut_rounds_inherit(next->rounds, f->rounds, now_ms));
    cut_rounds_start(next->rounds, now_ms);
    return next->rounds;
}

/* Rounds that have started and stopped tell the former ones nothing any more: those may be gone. */
static void test_stopped_after_a_reload(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};

    (void)state;
    (void)begin_mixed(&next, f);
    (void)end_mixed(&next, f, START + 1000);
    cut_rounds_stop(next.rounds);
    name_server(f, 1, START + 1001);
    assert_int_equal(told.changes, 0);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* Until all services have moved, the former rounds cut what those that have moved owe. */
static void test_reload_service_by_service(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};

    (void)state;
    (void)begin_mixed(&next, f);
    name_server(f, 1, START + 1000);
    assert_int_equal(told.changes, 1);
    assert_string_equal(run(f->rounds, NULL, START + 1000), "cut R1");
    (void)end_mixed(&next, f, START + 1050);
    assert_string_equal(run(next.rounds, NULL, START + 1000 + CUT_SETTLE_MS), "cut R1");
    assert_int_equal(cut_rounds_owed(next.rounds, 0), 0);
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* Clients were sent to R2 meanwhile. */
static void test_reload_there_and_back(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};

    (void)state;
    (void)begin_mixed(&next, f);
    name_server(f, 1, START + 1000);
    name_server(f, 0, START + 1100);
    (void)end_mixed(&next, f, START + 1200);
    assert_string_equal(run(next.rounds, NULL, START + 1200), "cut R2");
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* A call is under way about a server that becomes the master again. */
static void test_reload_spares_the_master(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};
    struct runtime_visit_options what;

    (void)state;
    name_server(f, 1, START + 1000);
    assert_string_equal(take(f->rounds, START + 1000, &what), "cut R1");
    (void)begin_mixed(&next, f);
    assert_true(cut_debts_is_owed(what.debts, what.api, what.items->list[0].place));
    name_server(f, 0, START + 1010);
    assert_false(cut_debts_is_owed(what.debts, what.api, what.items->list[0].place));
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* The former rounds do not have the service, but still cut for it: its master is spared. */
static void test_reload_with_the_service_again(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture gone = {.service = NULL}, next = {.service = NULL};

    (void)state;
    name_server(f, 1, START + 1000);
    (void)begin_rounds(&gone, "unix:/run/admin.sock");
    cut_rounds_follow(begin_mixed(&next, f), end_mixed(&gone, f, START + 1000));
    assert_int_equal(cut_rounds_owed(gone.rounds, 0), 1);
    name_server(f, 0, START + 1010);
    assert_int_equal(cut_rounds_owed(gone.rounds, 0), 0);
    cut_rounds_destroy(next.rounds);
    cut_rounds_destroy(gone.rounds);
    end(f);
}

static void test_reload_in_a_fence(void **state)
{
    struct fixture *f = begin_settled();
    struct fixture next = {.service = NULL};

    (void)state;
    (void)begin_mixed(&next, f);
    service_review(f->service, START + 2000); /* no majority */
    service_review(f->service, START + 2000 + FENCE);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 1);
    name_server(f, 0, START + 6000);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    cut_rounds_destroy(next.rounds);
    end(f);
}

/* Once stopped, nothing that a service decides counts. */
static void test_stop(void **state)
{
    struct fixture *f = begin_settled();

    (void)state;
    cut_rounds_stop(f->rounds);
    name_server(f, 1, START + 1000);
    assert_int_equal(told.changes, 0);
    assert_int_equal(cut_rounds_owed(f->rounds, 0), 0);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trials),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_start_without_a_majority),
        cmocka_unit_test(test_start_with_a_master_outside_the_map),
        cmocka_unit_test(test_start_of_two_services),
        cmocka_unit_test(test_a_cut_after_a_failed_trial),
        cmocka_unit_test(test_switch),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_switch_during_trial),
        cmocka_unit_test(test_failed_cut),
        cmocka_unit_test(test_reload_moves_a_cut),
        cmocka_unit_test(test_reload_in_another_order),
        cmocka_unit_test(test_reload_after_a_fence),
        cmocka_unit_test(test_stopped_after_a_reload),
        cmocka_unit_test(test_reload_moves_no_more),
        cmocka_unit_test(test_reload_service_by_service),
        cmocka_unit_test(test_reload_there_and_back),
        cmocka_unit_test(test_reload_spares_the_master),
        cmocka_unit_test(test_reload_with_the_service_again),
        cmocka_unit_test(test_reload_in_a_fence),
        cmocka_unit_test(test_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
