/* What goes wrong with the HAProxys beside the agents. */
#include "tests/sim/script.h"

#include "tests/sim/haproxy_model.h"
#include "tests/sim/reload_model.h"

/* Of a HAProxy, or of its agent. */
enum haproxy_action {
    HAPROXY_FALLS_ILL,
    HAPROXY_IS_WELL,
    HAPROXY_RELOADS,
    HAPROXY_RESTARTS,
    AGENT_LOSES_SERVICE,
    AGENT_FINDS_SERVICE,
};

static void plan(struct world *world, unsigned agent, enum haproxy_action action, int64_t after_ms)
{
    const struct event event = {.kind = EVENT_HAPROXY,
                                .target = (uint8_t)agent,
                                .count = (uint8_t)action,
                                .at_ms = world->now_ms + after_ms};

    event_queue_push(&world->queue, &event);
}

static void fall_ill(struct world *world, unsigned agent, enum sim_api_state api, int64_t for_ms)
{
    haproxy_set_api(world, agent, api);
    plan(world, agent, HAPROXY_IS_WELL, for_ms);
}

void script_change_api(struct world *world, struct sim_file *file)
{
    if (rng_chance(&world->haproxy_rng, 10))
        file->has_api = !file->has_api;
}

/* Its file has all services again, or all but the first. */
static void change_services(struct world *world, unsigned agent, bool has_all)
{
    struct sim_file file = world->agents[agent].running->file;

    for (unsigned i = 0; i < world->config.services; i++)
        file.has_service[i] = i > 0 || has_all;
    reload_begin(world, agent, &file);
}

static void lose_service(struct world *world, unsigned agent)
{
    if (world->config.services == 1)
        return;
    change_services(world, agent, false);
    plan(world, agent, AGENT_FINDS_SERVICE, rng_between(&world->haproxy_rng, 1200, 3000));
}

void script_act_haproxy(struct world *world, const struct event *event)
{
    static const enum sim_api_state states[] = {SIM_API_REFUSES, SIM_API_REFUSES, SIM_API_SILENT,
                                                SIM_API_DENIES, SIM_API_BREAKS};
    struct rng *rng = &world->haproxy_rng;

    switch ((enum haproxy_action)event->count) {
    case HAPROXY_FALLS_ILL:
        fall_ill(world, event->target, states[rng_below(rng, sizeof(states) / sizeof(*states))],
                 rng_between(rng, 50, 5000));
        break;
    case HAPROXY_IS_WELL:
        haproxy_set_api(world, event->target, SIM_API_ANSWERS);
        break;
    case HAPROXY_RELOADS:
        haproxy_reload(world, event->target);
        break;
    case HAPROXY_RESTARTS:
        haproxy_restart(world, event->target);
        fall_ill(world, event->target, SIM_API_REFUSES, rng_between(rng, 50, 1500));
        break;
    case AGENT_LOSES_SERVICE:
        lose_service(world, event->target);
        break;
    case AGENT_FINDS_SERVICE:
        change_services(world, event->target, true);
        break;
    }
}

void script_disturb_haproxy(struct world *world, unsigned agent)
{
    static const enum haproxy_action actions[] = {HAPROXY_FALLS_ILL, HAPROXY_RELOADS, HAPROXY_RESTARTS};
    struct rng *rng = &world->haproxy_rng;

    if (world->agents[agent].haproxy.is_there && rng_chance(rng, 30))
        plan(world, agent, actions[rng_below(rng, sizeof(actions) / sizeof(*actions))],
             rng_between(rng, 0, 300));
}

void script_plan_haproxys(struct world *world, int64_t wild_ms)
{
    static const enum haproxy_action actions[] = {HAPROXY_FALLS_ILL,  HAPROXY_FALLS_ILL, HAPROXY_FALLS_ILL,
                                                  HAPROXY_RELOADS,    HAPROXY_RELOADS,   HAPROXY_RESTARTS,
                                                  AGENT_LOSES_SERVICE};
    struct rng *rng = &world->haproxy_rng;

    for (unsigned i = 0; i < world->config.agents; i++)
        for (unsigned k = world->agents[i].haproxy.is_there ? rng_below(rng, 5) : 0; k > 0; k--)
            plan(world, i, actions[rng_below(rng, sizeof(actions) / sizeof(*actions))],
                 rng_between(rng, 0, wild_ms));
}
