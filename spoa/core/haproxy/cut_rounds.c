#include "spoa/core/haproxy/cut_rounds.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/haproxy/cut_debts.h"

/* A service. `index` is its number in the debts. */
struct watch {
    struct service_observer observer;
    struct cut_rounds *rounds;
    struct service *service;
    size_t index;
    struct watch *next;
};

/* One HAProxy. */
struct target {
    int64_t trial_due_ms;   /* when the next trial is due */
    bool is_busy;           /* a round is under way */
    bool is_trial;          /* it is a trial */
    struct cut_items items; /* of the round */
};

struct cut_rounds {
    struct cut_rounds_options options;
    struct cut_debts *debts;
    struct target *targets;
    struct watch *watches;
    size_t watch_count;
    bool has_started;
    struct cut_rounds *former; /* is told until the start what the services decide; NULL: nobody is */
};

/* ---- its life ---- */

static struct cut_debts *create_debts(const struct cut_rounds_options *options)
{
    const char **names = calloc(options->api_count + 1, sizeof(*names));
    struct cut_debts *debts = NULL;

    for (size_t i = 0; names != NULL && i < options->api_count; i++)
        names[i] = options->healths[i].name;
    if (names != NULL)
        debts = cut_debts_create(names, options->api_count, options->metrics);
    free(names);
    return debts;
}

struct cut_rounds *cut_rounds_create(const struct cut_rounds_options *options)
{
    struct cut_rounds *rounds = calloc(1, sizeof(*rounds));

    if (rounds == NULL)
        return NULL;
    rounds->options = *options;
    rounds->targets = calloc(options->api_count + 1, sizeof(*rounds->targets));
    rounds->debts = create_debts(options);
    if (rounds->targets == NULL || rounds->debts == NULL) {
        cut_rounds_destroy(rounds);
        return NULL;
    }
    return rounds;
}

void cut_rounds_destroy(struct cut_rounds *rounds)
{
    struct watch *watch;
    struct watch *next;

    if (rounds == NULL)
        return;
    for (size_t i = 0; rounds->targets != NULL && i < rounds->options.api_count; i++)
        cut_items_finish(&rounds->targets[i].items);
    for (watch = rounds->watches; watch != NULL; watch = next) {
        next = watch->next;
        free(watch);
    }
    cut_debts_destroy(rounds->debts);
    free(rounds->targets);
    free(rounds);
}

/* ---- services ---- */

/* Where the decisions of a service count, and its number there. NULL: nowhere. */
static const struct cut_rounds *find_rounds(const struct watch *watch, size_t *ret_index)
{
    const struct cut_rounds *rounds = watch->rounds;
    const struct cut_rounds *former = rounds->former;

    *ret_index = watch->index;
    if (rounds->has_started)
        return rounds;
    if (former == NULL || !cut_debts_find(former->debts, service_settings(watch->service)->name, ret_index))
        return NULL;
    return former;
}

/* The former rounds still cut for a service that an earlier file had, and this one has again. */
static void spare_in_former(const struct watch *watch, const struct service_change *change)
{
    const struct cut_rounds *former = watch->rounds->former;

    if (former != NULL && service_state_names(change->after->state))
        cut_debts_spare(former->debts, service_settings(watch->service)->name, change->after->server);
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    size_t index;
    const struct watch *watch = container_of(self, struct watch, observer);
    const struct cut_rounds *rounds = find_rounds(watch, &index);

    (void)service;
    if (rounds == NULL) {
        spare_in_former(watch, change);
        return;
    }
    if (change->switched)
        cut_debts_name(rounds->debts, index, change->after->server, change->now_ms);
    else if (service_state_names(change->after->state))
        cut_debts_name_again(rounds->debts, index, change->now_ms);
    else if (change->after->is_fenced)
        cut_debts_fence(rounds->debts, index, change->now_ms);
    rounds->options.on_change(rounds->options.context);
}

bool cut_rounds_watch(struct cut_rounds *rounds, struct service *service, char *const *backends,
                      size_t backend_count)
{
    const struct service_settings *settings = service_settings(service);
    const struct cut_service owed = {
        .name = settings->name,
        .servers = settings->servers,
        .server_count = settings->server_count,
        .backends = backends,
        .backend_count = backend_count,
    };
    struct watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL || !cut_debts_add(rounds->debts, &owed)) {
        free(watch);
        return false;
    }
    watch->rounds = rounds;
    watch->service = service;
    watch->index = rounds->watch_count++;
    watch->observer.changed = decision_changed;
    watch->next = rounds->watches;
    rounds->watches = watch;
    service_observe(service, &watch->observer);
    return true;
}

/* Learns what the service has decided before the start. */
static void catch_up(const struct watch *watch, int64_t now_ms)
{
    const struct service_decision *decision = service_decision(watch->service);
    const char *last = service_last_server(watch->service);
    struct cut_debts *debts = watch->rounds->debts;

    if (service_state_names(decision->state) ||
        (decision->generation > 0 && !cut_debts_is_last(debts, watch->index, last)))
        cut_debts_name(debts, watch->index, last, now_ms);
    if (decision->is_fenced)
        cut_debts_fence(debts, watch->index, now_ms);
}

void cut_rounds_start(struct cut_rounds *rounds, int64_t now_ms)
{
    const struct watch *watch;

    rounds->has_started = true;
    rounds->former = NULL;
    for (watch = rounds->watches; watch != NULL; watch = watch->next)
        catch_up(watch, now_ms);
}

void cut_rounds_stop(struct cut_rounds *rounds)
{
    rounds->has_started = false;
}

/* ---- rounds ---- */

static struct runtime_visit_options what_of(struct cut_rounds *rounds, size_t api)
{
    return (struct runtime_visit_options){
        .is_trial = rounds->targets[api].is_trial,
        .debts = rounds->debts,
        .api = api,
        .items = &rounds->targets[api].items,
    };
}

int64_t cut_rounds_due_ms(const struct cut_rounds *rounds, size_t api)
{
    const struct target *target = &rounds->targets[api];
    int64_t due_ms = cut_debts_due_ms(rounds->debts, api);

    if (target->is_busy)
        return INT64_MAX;
    return target->trial_due_ms < due_ms ? target->trial_due_ms : due_ms;
}

bool cut_rounds_begin(struct cut_rounds *rounds, size_t api, int64_t now_ms,
                      struct runtime_visit_options *ret_what)
{
    struct target *target = &rounds->targets[api];

    target->is_trial = cut_debts_due_ms(rounds->debts, api) > now_ms;
    if (!(target->is_trial ? cut_debts_list(rounds->debts, &target->items)
                           : cut_debts_take(rounds->debts, api, now_ms, &target->items))) {
        rounds->options.metrics->cut_failures_total++;
        return false;
    }
    target->is_busy = true;
    *ret_what = what_of(rounds, api);
    return true;
}

static void tell_cuts(const struct cut_rounds *rounds, const struct target *target, int64_t now_ms)
{
    const char *service;
    const char *server;

    for (size_t i = 0; i < target->items.count; i++)
        if (cut_debts_is_cut(rounds->debts, target->items.list[i].place, &service, &server))
            rounds->options.on_cut(rounds->options.context, service, server, now_ms);
}

static void end_cut(struct cut_rounds *rounds, size_t api, const char *complaint, int64_t now_ms)
{
    struct target *target = &rounds->targets[api];
    struct runtime_health *health = &rounds->options.healths[api];

    cut_debts_end(rounds->debts, api, &target->items, now_ms);
    tell_cuts(rounds, target, now_ms);
    if (complaint != NULL)
        rounds->options.metrics->cut_failures_total++;
    runtime_health_note_cut(health, complaint, cut_debts_owed(rounds->debts, api), now_ms);
    /* It has failed, or works again. A trial tells more. */
    if (complaint != NULL || !runtime_health_is_well(health)) {
        int64_t again_ms = complaint != NULL ? now_ms + CUT_TRIAL_AGAIN_MS : now_ms;
        target->trial_due_ms = again_ms < target->trial_due_ms ? again_ms : target->trial_due_ms;
    }
}

static void end_trial(struct cut_rounds *rounds, size_t api, const char *complaint, int64_t now_ms)
{
    struct runtime_health *health = &rounds->options.healths[api];

    runtime_health_note_trial(health, complaint, cut_debts_owed(rounds->debts, api), now_ms);
    rounds->targets[api].trial_due_ms =
        now_ms + (runtime_health_is_well(health) ? CUT_TRIAL_MS : CUT_TRIAL_AGAIN_MS);
}

void cut_rounds_end(struct cut_rounds *rounds, size_t api, const char *complaint, int64_t now_ms)
{
    struct target *target = &rounds->targets[api];

    target->is_busy = false;
    if (target->is_trial)
        end_trial(rounds, api, complaint, now_ms);
    else
        end_cut(rounds, api, complaint, now_ms);
    cut_items_finish(&target->items);
}

size_t cut_rounds_owed(const struct cut_rounds *rounds, size_t api)
{
    return cut_debts_owed(rounds->debts, api);
}

/* ---- from one configuration to the next ---- */

void cut_rounds_follow(struct cut_rounds *rounds, struct cut_rounds *former)
{
    rounds->former = former;
}

static bool is_same_api(const struct cut_rounds *rounds, size_t api, const struct cut_rounds *former,
                        size_t former_api)
{
    return strcmp(rounds->options.healths[api].name, former->options.healths[former_api].name) == 0;
}

bool cut_rounds_inherit(struct cut_rounds *rounds, const struct cut_rounds *former, int64_t now_ms)
{
    for (size_t i = 0; i < rounds->options.api_count; i++)
        for (size_t k = 0; k < former->options.api_count; k++)
            if (is_same_api(rounds, i, former, k))
                runtime_health_inherit(&rounds->options.healths[i], &former->options.healths[k]);
    return cut_debts_inherit(rounds->debts, former->debts, now_ms);
}

bool cut_rounds_move(struct cut_rounds *rounds, size_t api, struct cut_rounds *former, size_t former_api,
                     struct runtime_visit_options *ret_what)
{
    struct target *target = &rounds->targets[api];
    struct target *before = &former->targets[former_api];

    if (!before->is_busy || before->is_trial || !is_same_api(rounds, api, former, former_api))
        return false;
    target->items = before->items;
    target->is_busy = true;
    target->is_trial = false;
    before->items = (struct cut_items){.list = NULL};
    before->is_busy = false;
    cut_debts_adopt(rounds->debts, &target->items);
    *ret_what = what_of(rounds, api);
    return true;
}
