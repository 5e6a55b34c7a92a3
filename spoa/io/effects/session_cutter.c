#include "spoa/io/effects/session_cutter.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/config/config.h"
#include "spoa/core/haproxy/cut_debts.h"
#include "spoa/io/effects/runtime_api.h"
#include "spoa/io/net/loop.h"

/* The time between two trials of a HAProxy that can cut, and of one that cannot. */
#define TRIAL_MS 60000
#define TRIAL_AGAIN_MS 1000

/* A service. `index` is its number in the debts. */
struct watch {
    struct service_observer observer;
    struct session_cutter *cutter;
    struct service *service;
    size_t index;
    struct watch *next;
};

/* One HAProxy. */
struct target {
    struct session_cutter *cutter;
    size_t index;
    const struct addr *addr;
    struct runtime_api *api;
    ev_timer timer;         /* begins the next round */
    int64_t trial_due_ms;   /* when the next trial is due */
    bool is_trial;          /* the round under way is a trial */
    struct cut_items items; /* the items of the round */
};

struct session_cutter {
    struct ev_loop *loop;
    struct history *history;
    struct metrics *metrics;
    struct cut_debts *debts;
    struct target *targets;
    struct runtime_health *healths; /* of the targets */
    size_t count;
    struct watch *watches;
    size_t watch_count;
    bool has_begun;
};

/* ---- rounds ---- */

static struct runtime_health *health_of(const struct target *target)
{
    return &target->cutter->healths[target->index];
}

/* Sets the timer for the next round. During a round the end of the round does so. */
static void arm(struct target *target)
{
    const struct session_cutter *cutter = target->cutter;
    int64_t due_ms = cut_debts_due_ms(cutter->debts, target->index);

    if (runtime_api_is_busy(target->api))
        return;
    if (target->trial_due_ms < due_ms)
        due_ms = target->trial_due_ms;
    loop_arm(cutter->loop, &target->timer, due_ms);
}

static void arm_all(struct session_cutter *cutter)
{
    for (size_t i = 0; i < cutter->count; i++)
        arm(&cutter->targets[i]);
}

static void note_history(const struct target *target, int64_t now_ms)
{
    const struct session_cutter *cutter = target->cutter;
    const char *service;
    const char *server;

    for (size_t i = 0; i < target->items.count; i++)
        if (cut_debts_is_cut(cutter->debts, target->items.list[i].place, &service, &server))
            history_note_cut(cutter->history, service, server, now_ms);
}

static void end_cut(struct target *target, const char *complaint, int64_t now_ms)
{
    const struct session_cutter *cutter = target->cutter;

    cut_debts_end(cutter->debts, target->index, &target->items, now_ms);
    note_history(target, now_ms);
    if (complaint != NULL)
        cutter->metrics->cut_failures_total++;
    runtime_health_note_cut(health_of(target), complaint, cut_debts_owed(cutter->debts, target->index),
                            now_ms);
    /* It has failed, or works again. A trial tells more. */
    if (complaint != NULL || !runtime_health_is_well(health_of(target))) {
        int64_t again_ms = complaint != NULL ? now_ms + TRIAL_AGAIN_MS : now_ms;
        target->trial_due_ms = again_ms < target->trial_due_ms ? again_ms : target->trial_due_ms;
    }
}

static void end_trial(struct target *target, const char *complaint, int64_t now_ms)
{
    struct runtime_health *health = health_of(target);

    runtime_health_note_trial(health, complaint, cut_debts_owed(target->cutter->debts, target->index),
                              now_ms);
    target->trial_due_ms = now_ms + (runtime_health_is_well(health) ? TRIAL_MS : TRIAL_AGAIN_MS);
}

static void round_ended(void *context, const char *complaint)
{
    struct target *target = context;
    int64_t now_ms = clock_ms();

    if (target->is_trial)
        end_trial(target, complaint, now_ms);
    else
        end_cut(target, complaint, now_ms);
    cut_items_finish(&target->items);
    arm(target);
}

static struct runtime_visit_options what_of(struct target *target)
{
    return (struct runtime_visit_options){
        .is_trial = target->is_trial,
        .debts = target->cutter->debts,
        .api = target->index,
        .items = &target->items,
    };
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct target *target = container_of(timer, struct target, timer);
    const struct session_cutter *cutter = target->cutter;
    int64_t now_ms = clock_ms();
    bool is_cut = cut_debts_due_ms(cutter->debts, target->index) <= now_ms;

    (void)events;
    if (!is_cut && target->trial_due_ms > now_ms) {
        arm(target);
        return;
    }
    target->is_trial = !is_cut;
    if (!(is_cut ? cut_debts_take(cutter->debts, target->index, now_ms, &target->items)
                 : cut_debts_list(cutter->debts, &target->items))) {
        cutter->metrics->cut_failures_total++;
        loop_arm(loop, timer, now_ms + TRIAL_AGAIN_MS);
        return;
    }
    const struct runtime_visit_options what = what_of(target);
    runtime_api_begin(target->api, &what);
}

/* ---- services ---- */

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    const struct watch *watch = container_of(self, struct watch, observer);
    struct session_cutter *cutter = watch->cutter;

    (void)service;
    if (!cutter->has_begun)
        return;
    if (service_state_names(change->after->state))
        cut_debts_name(cutter->debts, watch->index, change->after->server, change->now_ms);
    else if (change->after->is_fenced)
        cut_debts_fence(cutter->debts, watch->index, change->now_ms);
    /* The timer fires in the next turn of the loop. So services that switch in the same turn share a
     * round. */
    arm_all(cutter);
}

bool session_cutter_watch(struct session_cutter *cutter, struct service *service,
                          const struct config_names *backends)
{
    const struct service_settings *settings = service_settings(service);
    const struct cut_service owed = {
        .name = settings->name,
        .servers = settings->servers,
        .server_count = settings->server_count,
        .backends = backends->list,
        .backend_count = backends->count,
    };
    struct watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL || !cut_debts_add(cutter->debts, &owed)) {
        free(watch);
        return false;
    }
    watch->cutter = cutter;
    watch->service = service;
    watch->index = cutter->watch_count++;
    watch->observer.changed = decision_changed;
    LL_PREPEND(cutter->watches, watch);
    service_observe(service, &watch->observer);
    return true;
}

/* Learns what the service has decided before the cutter began. */
static void catch_up(const struct watch *watch, int64_t now_ms)
{
    const struct service_decision *decision = service_decision(watch->service);
    const char *last = service_last_server(watch->service);
    struct cut_debts *debts = watch->cutter->debts;

    if (service_state_names(decision->state) ||
        (decision->generation > 0 && !cut_debts_is_last(debts, watch->index, last)))
        cut_debts_name(debts, watch->index, last, now_ms);
    if (decision->is_fenced)
        cut_debts_fence(debts, watch->index, now_ms);
}

static void inherit_health(struct session_cutter *cutter, const struct session_cutter *former)
{
    for (size_t i = 0; i < cutter->count; i++)
        for (size_t k = 0; k < former->count; k++)
            if (strcmp(cutter->healths[i].name, former->healths[k].name) == 0)
                cutter->healths[i] = former->healths[k];
}

bool session_cutter_inherit(struct session_cutter *cutter, const struct session_cutter *former)
{
    if (former == NULL)
        return true;
    inherit_health(cutter, former);
    return cut_debts_inherit(cutter->debts, former->debts, clock_ms());
}

/* Makes no more calls. */
static void end(struct session_cutter *cutter)
{
    cutter->has_begun = false;
    for (size_t i = 0; i < cutter->count; i++) {
        struct target *target = &cutter->targets[i];
        ev_timer_stop(cutter->loop, &target->timer);
        runtime_api_destroy(target->api);
        target->api = NULL;
        cut_items_finish(&target->items);
    }
}

/* A cut that is under way becomes a cut of `target`. A trial ends; it will be made again. */
static void move_round(struct target *target, struct target *former)
{
    if (former->is_trial || !runtime_api_is_busy(former->api))
        return;
    struct runtime_api *idle = target->api;
    target->items = former->items;
    target->is_trial = false;
    former->items = (struct cut_items){.list = NULL};
    cut_debts_adopt(target->cutter->debts, former->cutter->debts, &target->items);
    const struct runtime_visit_options what = what_of(target);
    runtime_api_move(former->api, target->addr, target, &what);
    target->api = former->api;
    former->api = idle;
}

static void move_rounds(struct session_cutter *cutter, const struct session_cutter *former)
{
    for (size_t i = 0; i < cutter->count; i++)
        for (size_t k = 0; k < former->count; k++)
            if (strcmp(cutter->healths[i].name, former->healths[k].name) == 0)
                move_round(&cutter->targets[i], &former->targets[k]);
}

void session_cutter_begin(struct session_cutter *cutter, struct session_cutter *former)
{
    const struct watch *watch;

    if (cutter != NULL && former != NULL)
        move_rounds(cutter, former);
    if (former != NULL)
        end(former);
    if (cutter == NULL)
        return;
    cutter->has_begun = true;
    LL_FOREACH (cutter->watches, watch) {
        catch_up(watch, clock_ms());
    }
    arm_all(cutter);
}

/* ---- its life ---- */

static bool create_targets(struct session_cutter *cutter, const struct config_haproxy *haproxy)
{
    const char **names = calloc(cutter->count + 1, sizeof(*names));

    for (size_t i = 0; names != NULL && i < cutter->count; i++) {
        const struct config_runtime_api *config = &haproxy->runtime_apis[i];
        struct target *target = &cutter->targets[i];
        target->cutter = cutter;
        target->index = i;
        target->addr = &config->addr;
        ev_timer_init(&target->timer, on_timer, 0.0, 0.0);
        runtime_health_init(&cutter->healths[i], &config->addr, config->is_master);
        names[i] = cutter->healths[i].name;
        target->api = runtime_api_create(cutter->loop, &config->addr, config->is_master, round_ended, target);
        if (target->api == NULL) {
            free(names);
            return false;
        }
    }
    if (names != NULL)
        cutter->debts = cut_debts_create(names, cutter->count, cutter->metrics);
    free(names);
    return cutter->debts != NULL;
}

struct session_cutter *session_cutter_create(struct ev_loop *loop, const struct config_haproxy *haproxy,
                                             struct metrics *metrics, struct history *history)
{
    struct session_cutter *cutter = calloc(1, sizeof(*cutter));

    if (cutter == NULL)
        return NULL;
    cutter->loop = loop;
    cutter->metrics = metrics;
    cutter->history = history;
    cutter->targets = calloc(haproxy->runtime_api_count + 1, sizeof(*cutter->targets));
    cutter->healths = calloc(haproxy->runtime_api_count + 1, sizeof(*cutter->healths));
    if (cutter->targets != NULL && cutter->healths != NULL)
        cutter->count = haproxy->runtime_api_count;
    if (cutter->count == 0 || !create_targets(cutter, haproxy)) {
        session_cutter_destroy(cutter);
        return NULL;
    }
    return cutter;
}

void session_cutter_destroy(struct session_cutter *cutter)
{
    struct watch *watch;
    struct watch *next;

    if (cutter == NULL)
        return;
    end(cutter);
    LL_FOREACH_SAFE (cutter->watches, watch, next) {
        free(watch);
    }
    cut_debts_destroy(cutter->debts);
    free(cutter->targets);
    free(cutter->healths);
    free(cutter);
}

const struct runtime_health *session_cutter_health(const struct session_cutter *cutter, size_t *ret_count)
{
    *ret_count = cutter != NULL ? cutter->count : 0;
    if (cutter == NULL)
        return NULL;
    for (size_t i = 0; i < cutter->count; i++)
        cutter->healths[i].owed = cut_debts_owed(cutter->debts, i);
    return cutter->healths;
}
