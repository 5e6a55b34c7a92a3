#include "tests/sim/cutter_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/agent_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/haproxy_model.h"

/* Of the set that cuts: in a change-over it is still the former one, unless the next one has no API. */
static struct cut_rounds *rounds_of(const struct world *world, unsigned agent)
{
    const struct sim_agent *self = &world->agents[agent];
    bool has_ended = self->next_table != NULL && self->next->cutter.rounds == NULL;

    return has_ended ? NULL : self->running->cutter.rounds;
}

/* ---- the timer, as io/effects/session_cutter.c ---- */

void cutter_arm(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_api *api = &self->api;

    if (rounds_of(world, agent) == NULL)
        return;
    int64_t due_ms = cut_rounds_due_ms(rounds_of(world, agent), 0);
    if (due_ms == INT64_MAX)
        return;
    due_ms -= self->clock_ms;
    if (due_ms < world->now_ms)
        due_ms = world->now_ms;
    if (due_ms >= api->timer_ms)
        return;
    api->timer_ms = due_ms;
    if (self->timer_lag_ms > 0)
        due_ms += rng_between(&world->haproxy_rng, 0, self->timer_lag_ms);
    const struct event event = {
        .kind = EVENT_CUT, .target = (uint8_t)agent, .generation = ++api->timer, .at_ms = due_ms};
    event_queue_push(&world->queue, &event);
}

/* ---- a round, as io/effects/runtime_api.c ---- */

static void complain(struct sim_api *api, const char *text)
{
    if (text != NULL && api->complaint[0] == '\0')
        (void)snprintf(api->complaint, sizeof(api->complaint), "%s", text);
}

static void drop_visits(struct sim_api *api)
{
    for (unsigned i = 0; i < SIM_WORKERS_MAX; i++) {
        runtime_visit_destroy(api->stops[i].visit);
        api->stops[i].visit = NULL;
    }
    api->is_busy = false;
    api->generation++;
}

static void end_round(struct world *world, unsigned agent)
{
    struct sim_api *api = &world->agents[agent].api;

    for (unsigned i = 0; i < SIM_WORKERS_MAX; i++)
        if (api->stops[i].visit != NULL)
            complain(api, runtime_visit_complaint(api->stops[i].visit));
    drop_visits(api);
    cut_rounds_end(rounds_of(world, agent), 0, api->complaint[0] != '\0' ? api->complaint : NULL,
                   agent_now_ms(world, agent));
    cutter_arm(world, agent);
}

static void close_one(struct world *world, unsigned agent)
{
    if (--world->agents[agent].api.open == 0)
        end_round(world, agent);
}

static void hear(struct sim_stop *stop)
{
    const struct sim_call *call = &stop->call;

    if (runtime_visit_take(stop->visit, call->bytes, call->len))
        runtime_visit_end_reply(stop->visit, call->failure);
}

/* Says lines, and hears what is answered at once. */
static void go_on(struct world *world, unsigned agent, unsigned place)
{
    struct sim_api *api = &world->agents[agent].api;
    struct sim_stop *stop = &api->stops[place];
    char line[RUNTIME_LINE_MAX + 1];
    size_t len;

    while ((len = runtime_visit_say(stop->visit, line)) > 0) {
        line[len] = '\0';
        haproxy_obey(world, agent, line, &stop->call);
        if (stop->call.delay_ms > 0) {
            const struct event event = {.kind = EVENT_CALLED,
                                        .target = (uint8_t)agent,
                                        .count = (uint8_t)place,
                                        .generation = api->generation,
                                        .at_ms = world->now_ms + stop->call.delay_ms};
            if (stop->call.failure != NULL && event.at_ms > api->hung_until_ms)
                api->hung_until_ms = event.at_ms;
            event_queue_push(&world->queue, &event);
            return;
        }
        hear(stop);
    }
    close_one(world, agent);
}

static void add_stop(struct sim_api *api, unsigned place, unsigned pid, bool is_old)
{
    struct runtime_visit_options what = api->what;

    what.pid = pid;
    what.is_old = is_old;
    api->stops[place].visit = runtime_visit_create(&what);
    if (api->stops[place].visit == NULL)
        abort();
    api->open++;
}

/* An old worker may end after it was listed. */
static void list_workers(struct world *world, unsigned agent)
{
    const struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    struct sim_api *api = &world->agents[agent].api;

    for (unsigned i = 0; i < SIM_WORKERS_MAX; i++) {
        const struct sim_worker *worker = &haproxy->workers[i];
        bool is_listed =
            haproxy_has_worker(world, agent, i) || (worker->pid != 0 && rng_chance(&world->haproxy_rng, 20));
        if (is_listed && !(worker->is_old && api->what.is_trial))
            add_stop(api, i, worker->pid, worker->is_old);
    }
}

/* The master is not there: it does not list its workers. */
static bool fails(struct world *world, unsigned agent)
{
    const struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    struct sim_api *api = &world->agents[agent].api;

    if (!haproxy->is_master || haproxy->api != SIM_API_REFUSES)
        return false;
    complain(api, "Connection refused");
    for (size_t i = 0; i < api->what.items->count; i++)
        api->what.items->list[i].outcome = CUT_FAILED;
    return true;
}

static void begin_round(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_api *api = &self->api;

    if (!cut_rounds_begin(rounds_of(world, agent), 0, agent_now_ms(world, agent), &api->what))
        abort();
    world->counts.rounds += !api->what.is_trial;
    world_trace(world, "agent %u: %s of %zu servers", agent, api->what.is_trial ? "trial" : "cut",
                api->what.items->count);
    api->is_busy = true;
    api->complaint[0] = '\0';
    api->open = 1; /* the round must not end within this function */
    if (self->haproxy.is_master && !fails(world, agent))
        list_workers(world, agent);
    else if (!self->haproxy.is_master)
        add_stop(api, 0, 0, false);
    for (unsigned i = 0; i < SIM_WORKERS_MAX; i++)
        if (api->stops[i].visit != NULL)
            go_on(world, agent, i);
    close_one(world, agent);
}

void cutter_wake(struct world *world, struct event *event)
{
    struct sim_agent *self = &world->agents[event->target];

    if (event->generation != self->api.timer)
        return;
    if (self->stalled_until_ms > world->now_ms) {
        event_queue_put_off(&world->queue, event, self->stalled_until_ms);
        return;
    }
    self->api.timer_ms = INT64_MAX;
    if (cut_rounds_due_ms(rounds_of(world, event->target), 0) <= agent_now_ms(world, event->target))
        begin_round(world, event->target);
    else
        cutter_arm(world, event->target);
}

void cutter_receive(struct world *world, struct event *event)
{
    struct sim_agent *self = &world->agents[event->target];

    if (event->generation != self->api.generation)
        return;
    if (self->stalled_until_ms > world->now_ms) {
        event_queue_put_off(&world->queue, event, self->stalled_until_ms);
        return;
    }
    hear(&self->api.stops[event->count]);
    go_on(world, event->target, event->count);
}

/* ---- from birth to death ---- */

static void note_change(void *context)
{
    struct sim_cutter *cutter = context;

    cutter_arm(cutter->world, cutter->agent);
}

static void note_cut(void *context, const char *service, const char *server, int64_t now_ms)
{
    struct sim_cutter *cutter = context;

    (void)now_ms;
    world_trace(cutter->world, "agent %u: the sessions of %s to %s are cut", cutter->agent, service, server);
}

void cutter_create(struct world *world, struct sim_set *set)
{
    static char names[SIM_SERVICES_MAX][3] = {"b0", "b1", "b2"};
    static char *const backends[SIM_SERVICES_MAX] = {names[0], names[1], names[2]};
    struct sim_cutter *cutter = &set->cutter;
    struct cut_rounds_options options = {
        .healths = &cutter->health,
        .api_count = 1,
        .metrics = &world->agents[set->agent].metrics,
        .on_change = note_change,
        .on_cut = note_cut,
        .context = cutter,
    };
    struct addr addr;

    if (!world->agents[set->agent].haproxy.is_there || !set->file.has_api)
        return;
    if (!addr_parse(span_of_text("unix:/run/api"), &addr))
        abort();
    cutter->world = world;
    cutter->agent = set->agent;
    runtime_health_init(&cutter->health, &addr, world->agents[set->agent].haproxy.is_master);
    cutter->rounds = cut_rounds_create(&options);
    if (cutter->rounds == NULL)
        abort();
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (set->services[i] != NULL && !cut_rounds_watch(cutter->rounds, set->services[i], &backends[i], 1))
            abort();
}

/* A cut that is under way goes on for `set`. A trial ends. */
static void move_round(struct world *world, const struct sim_set *set, const struct sim_set *former)
{
    struct sim_api *api = &world->agents[set->agent].api;
    struct runtime_visit_options what;

    if (set->cutter.rounds == NULL ||
        !cut_rounds_move(set->cutter.rounds, 0, former->cutter.rounds, 0, &what)) {
        drop_visits(api);
        return;
    }
    world->counts.moved++;
    api->what = what;
    for (unsigned i = 0; i < SIM_WORKERS_MAX; i++)
        if (api->stops[i].visit != NULL)
            runtime_visit_move(api->stops[i].visit, what.debts, what.api, what.items);
}

static void end(struct world *world, const struct sim_set *set)
{
    struct sim_api *api = &world->agents[set->agent].api;

    cut_rounds_stop(set->cutter.rounds);
    api->timer_ms = INT64_MAX;
    api->timer++;
}

void cutter_follow(struct world *world, struct sim_set *set, struct sim_set *former)
{
    if (former->cutter.rounds == NULL)
        return;
    if (set->cutter.rounds != NULL) {
        cut_rounds_follow(set->cutter.rounds, former->cutter.rounds);
        return;
    }
    drop_visits(&world->agents[set->agent].api);
    end(world, former);
}

void cutter_begin(struct world *world, struct sim_set *set, struct sim_set *former)
{
    struct sim_api *api = &world->agents[set->agent].api;
    int64_t now_ms = agent_now_ms(world, set->agent);

    if (former != NULL && former->cutter.rounds != NULL) {
        if (set->cutter.rounds != NULL &&
            !cut_rounds_inherit(set->cutter.rounds, former->cutter.rounds, now_ms))
            abort();
        move_round(world, set, former);
        end(world, former);
    } else {
        api->begun_ms = world->now_ms;
        ghost_begin_cuts(world, set->agent);
    }
    if (set->cutter.rounds == NULL)
        return;
    cut_rounds_start(set->cutter.rounds, now_ms);
    cutter_arm(world, set->agent);
}

void cutter_destroy(struct sim_set *set)
{
    cut_rounds_destroy(set->cutter.rounds);
    set->cutter.rounds = NULL;
}

void cutter_forget(struct world *world, unsigned agent)
{
    struct sim_api *api = &world->agents[agent].api;

    drop_visits(api);
    api->timer++;
    api->timer_ms = INT64_MAX;
    api->hung_until_ms = 0;
}
