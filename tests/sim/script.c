#include "tests/sim/script.h"

#include "tests/sim/agent_model.h"
#include "tests/sim/asker.h"
#include "tests/sim/ghost.h"
#include "tests/sim/network.h"
#include "tests/sim/node_model.h"
#include "tests/sim/reload_model.h"
#include "tests/sim/sentinel_model.h"

/* A calm end of a script, long enough for every link to come back and every name to be found. */
#define CALM_MS 10000
#define ASK_INTERVAL_MS 90 /* mean */

/* Actions that others plan; the rest are drawn from the table below. */
enum planned_action {
    PLANNED_START = 200, /* items[0]: Sentinel, pristine */
    PLANNED_VIEW,        /* items[0]: Sentinel, service, view; published where items[1].kind is 1 */
    PLANNED_HEAL,
    PLANNED_ROLE, /* items[0]: address, service, role */
    PLANNED_UP,   /* items[0]: Sentinel, service: no o_down any more */
    PLANNED_HEAR, /* items[0]: Sentinel, service: it hears the master again, and the other Sentinels */
    PLANNED_RELOAD,
    PLANNED_FAILOVER, /* items[0]: leader, service, address */
};

static unsigned any_sentinel(struct world *world)
{
    return rng_below(&world->rng, world->config.sentinels);
}

static unsigned any_service(struct world *world)
{
    return rng_below(&world->rng, world->config.services);
}

static unsigned any_agent(struct world *world)
{
    return rng_below(&world->rng, world->config.agents);
}

/* The one that answers, or in a change-over either of the two. */
static const struct sim_set *any_set(struct world *world, unsigned agent)
{
    const struct sim_agent *self = &world->agents[agent];

    return self->next_table != NULL && rng_chance(&world->rng, 50) ? self->next : self->running;
}

static int8_t any_address(struct world *world)
{
    return (int8_t)(rng_chance(&world->rng, 5) ? SIM_SERVERS : rng_below(&world->rng, SIM_SERVERS));
}

static int8_t any_view(struct world *world)
{
    return rng_chance(&world->rng, 70) ? any_address(world)
                                       : (int8_t)rng_between(&world->rng, VIEW_WORST, VIEW_NIL);
}

static void plan(struct world *world, enum planned_action action, int64_t after_ms, struct event_item item,
                 bool flag)
{
    struct event event = {
        .kind = EVENT_ACTION,
        .target = (uint8_t)action,
        .at_ms = world->now_ms + after_ms,
        .items = {item, {.kind = flag}},
    };

    event_queue_push(&world->queue, &event);
}

/* A file is changed just while something else goes on. */
static void plan_reload(struct world *world)
{
    if (rng_chance(&world->rng, 25))
        plan(world, PLANNED_RELOAD, rng_between(&world->rng, 0, 1500), (struct event_item){.kind = 0}, false);
}

/* Failovers of one service, another file, trouble with HAProxy: all while some services have moved and others have not. */
void script_disturb_change_over(struct world *world, unsigned agent)
{
    struct event_item item = {.service = (uint8_t)any_service(world)};

    if (!rng_chance(&world->rng, 40))
        return;
    for (unsigned i = 1 + rng_below(&world->rng, 3); i > 0; i--) {
        item.kind = (uint8_t)any_sentinel(world);
        item.value = any_address(world);
        plan(world, PLANNED_FAILOVER, rng_between(&world->rng, 0, 400), item, false);
    }
    if (rng_chance(&world->rng, 20))
        plan(world, PLANNED_RELOAD, rng_between(&world->rng, 0, 300), (struct event_item){.kind = 0}, false);
    script_disturb_haproxy(world, agent);
}

/* ---- views ---- */

/* The leader says that it begins, and comes to an end later. False where it says nothing. */
static bool begin_failover(struct world *world, unsigned leader, unsigned service)
{
    const struct sim_sentinel *sentinel = &world->sentinels[leader];
    struct event_item item = {
        .kind = (uint8_t)leader, .service = (uint8_t)service, .value = any_address(world)};

    if (!sentinel->up || sentinel->views[service] < 0)
        return false;
    ghost_node_changed(world, service);
    sentinel_publish(world, leader, service, REPLY_ITEM_HINT_TRY, sentinel->views[service]);
    plan(world, PLANNED_FAILOVER, rng_between(&world->rng, 10, 2000), item, false);
    return true;
}

static void act_failover(struct world *world)
{
    unsigned leader = any_sentinel(world);
    unsigned service = any_service(world);

    for (unsigned i = 0; i < world->config.sentinels; i++)
        sentinel_publish(world, i, service, REPLY_ITEM_HINT_ODOWN, 0);
    plan_reload(world);
    if (!world->config.file.policy.early_fence || !begin_failover(world, leader, service))
        sentinel_failover(world, leader, service, any_address(world), true);
}

/* Two operators force a failover at once: one epoch, two masters. */
static void act_double_failover(struct world *world)
{
    unsigned service = any_service(world);
    int8_t address = (int8_t)rng_below(&world->rng, SIM_SERVERS);

    sentinel_failover(world, any_sentinel(world), service, address, true);
    sentinel_failover(world, any_sentinel(world), service, (int8_t)((address + 1) % SIM_SERVERS), false);
}

static void act_view(struct world *world)
{
    sentinel_set_view(world, any_sentinel(world), any_service(world), any_view(world),
                      rng_chance(&world->rng, 50));
}

/* One Sentinel cannot make up its mind. */
static void act_flap(struct world *world)
{
    struct event_item item = {.kind = (uint8_t)any_sentinel(world), .service = (uint8_t)any_service(world)};
    int64_t after_ms = 0;
    bool published = rng_chance(&world->rng, 70);

    for (unsigned i = rng_below(&world->rng, 12) + 2; i > 0; i--) {
        item.value = any_view(world);
        plan(world, PLANNED_VIEW, after_ms, item, published);
        after_ms += rng_between(&world->rng, 1, 120);
    }
}

/* All move to another master within a short time, as after REMOVE and MONITOR. */
static void act_move_all(struct world *world)
{
    struct event_item item = {.service = (uint8_t)any_service(world), .value = any_address(world)};
    bool published = rng_chance(&world->rng, 50);
    int64_t spread_ms = rng_chance(&world->rng, 50) ? 30 : 1500;

    for (unsigned i = 0; i < world->config.sentinels; i++) {
        item.kind = (uint8_t)i;
        plan(world, PLANNED_VIEW, rng_between(&world->rng, 0, spread_ms), item, published);
    }
}

/* A Sentinel that cannot resolve the new name publishes the switch and does not make it. */
static void act_false_hint(struct world *world)
{
    sentinel_publish(world, any_sentinel(world), any_service(world), REPLY_ITEM_HINT_SWITCH,
                     any_address(world));
}

/* ---- Sentinels ---- */

static void stop(struct world *world, unsigned sentinel)
{
    struct event_item item = {.kind = (uint8_t)sentinel, .service = rng_chance(&world->rng, 30)};

    sentinel_stop(world, sentinel, rng_chance(&world->rng, 30));
    plan(world, PLANNED_START, rng_between(&world->rng, 50, 4000), item, false);
}

static void act_stop(struct world *world)
{
    stop(world, any_sentinel(world));
}

static void act_stop_many(struct world *world)
{
    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (rng_chance(&world->rng, 70))
            stop(world, i);
}

static void act_freeze(struct world *world)
{
    struct sim_sentinel *sentinel = &world->sentinels[any_sentinel(world)];

    if (!sentinel->up)
        return;
    sentinel->frozen_until_ms = world->now_ms + rng_between(&world->rng, 20, 4000);
    ghost_shaken(world, sentinel->frozen_until_ms);
}

/* The agent's password is wrong, and put right later; connections stay. */
static void act_deny(struct world *world)
{
    struct sim_sentinel *sentinel = &world->sentinels[any_sentinel(world)];

    sentinel->denied_until_ms = world->now_ms + rng_between(&world->rng, 50, 4000);
    ghost_shaken(world, sentinel->denied_until_ms);
}

static void act_isolate(struct world *world)
{
    world->sentinels[any_sentinel(world)].isolated_until_ms =
        world->now_ms + rng_between(&world->rng, 100, 5000);
}

/* ---- the network ---- */

static void cut(struct world *world, unsigned agent, unsigned sentinel, int64_t until_ms)
{
    int64_t *cut_until_ms = world->agents[agent].paths[sentinel].cut_until_ms;
    unsigned way = rng_below(&world->rng, 4);

    if (way != TO_SENTINEL)
        cut_until_ms[TO_AGENT] = until_ms;
    if (way != TO_AGENT)
        cut_until_ms[TO_SENTINEL] = until_ms;
    ghost_shaken_agent(world, agent, until_ms);
}

static void act_cut(struct world *world)
{
    cut(world, any_agent(world), any_sentinel(world), world->now_ms + rng_between(&world->rng, 20, 5000));
}

static void act_partition(struct world *world)
{
    unsigned agent = any_agent(world);
    int64_t until_ms = world->now_ms + rng_between(&world->rng, 20, 5000);

    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (rng_chance(&world->rng, 60))
            cut(world, agent, i, until_ms);
}

static void act_delay(struct world *world)
{
    unsigned agent = any_agent(world);

    script_draw_path(world, &world->agents[agent].paths[any_sentinel(world)], 40);
    ghost_shaken_agent(world, agent, world->now_ms);
}

static void act_break(struct world *world)
{
    unsigned agent = any_agent(world);
    const struct sim_set *set = any_set(world, agent);
    struct sim_link *link =
        network_link(world, set, rng_below(&world->rng, set->file.voters), rng_chance(&world->rng, 30));

    network_break(world, link, rng_chance(&world->rng, 40));
    ghost_shaken_agent(world, agent, world->now_ms);
}

/* An address leads to another Sentinel from now on. */
static void act_reroute(struct world *world)
{
    unsigned agent = any_agent(world);
    const struct sim_set *set = any_set(world, agent);
    unsigned voter = rng_below(&world->rng, set->file.voters);

    if (!world->config.shared_routes)
        return;
    world->agents[agent].routes[set->file.entries[voter]] = (uint8_t)any_sentinel(world);
    if (rng_chance(&world->rng, 60))
        for (unsigned i = 0; i < 2; i++)
            network_break(world, network_link(world, set, voter, i == 1), false);
    ghost_shaken_agent(world, agent, world->now_ms);
}

/* ---- nodes, and what Sentinels say of them beside their votes ---- */

/* A node is no master for a while, or not there; most often the one that is named. */
static void act_role(struct world *world)
{
    static const int roles[] = {NODE_ROLE_REPLICA, NODE_ROLE_REPLICA, NODE_ROLE_LOADING, NODE_ROLE_UNKNOWN,
                                SIM_NODE_DOWN,     SIM_NODE_DOWN,     SIM_NODE_GONE,     SIM_NODE_GONE};
    struct event_item item = {.service = (uint8_t)any_service(world), .value = NODE_ROLE_MASTER};
    int8_t view = world->sentinels[any_sentinel(world)].views[item.service];

    item.kind = (uint8_t)(view >= 0 && rng_chance(&world->rng, 60) ? view : any_address(world));
    plan_reload(world);

    node_set_role(world, item.service, item.kind,
                  roles[rng_below(&world->rng, sizeof(roles) / sizeof(*roles))]);
    plan(world, PLANNED_ROLE, rng_between(&world->rng, 50, 5000), item, false);
}

/* A slow command, a fork, SIGSTOP. */
static void act_stop_node(struct world *world)
{
    unsigned service = any_service(world);
    int8_t view = world->sentinels[any_sentinel(world)].views[service];

    plan_reload(world);
    node_stop(world, service,
              (unsigned)(view >= 0 && rng_chance(&world->rng, 80) ? view : any_address(world)),
              world->now_ms + rng_between(&world->rng, 100, 4000));
}

/* Sentinels hold the master that they name to be down, and some take that back. */
static void act_down(struct world *world)
{
    unsigned service = any_service(world);

    plan_reload(world);
    ghost_node_changed(world, service);
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        struct event_item item = {.kind = (uint8_t)i, .service = (uint8_t)service};
        if (rng_chance(&world->rng, 20))
            continue;
        world->sentinels[i].is_down[service] = true;
        sentinel_publish(world, i, service, REPLY_ITEM_HINT_ODOWN, 0);
        plan(world, PLANNED_UP, rng_between(&world->rng, 50, 5000), item, rng_chance(&world->rng, 50));
    }
}

static void end_down(struct world *world, unsigned sentinel, unsigned service, bool published)
{
    world->sentinels[sentinel].is_down[service] = false;
    ghost_node_changed(world, service);
    if (published)
        sentinel_publish(world, sentinel, service, REPLY_ITEM_HINT_ODOWN, 0);
}

/* A Sentinel loses sight of the others, or finds them again. */
static void act_lose_sight(struct world *world)
{
    struct sim_sentinel *sentinel = &world->sentinels[any_sentinel(world)];

    sentinel->sees_no_majority = !sentinel->sees_no_majority;
    /* Of a Redis Cluster: it has a vote no more, or again. */
    for (unsigned i = 0; world->config.source == VOTER_SOURCE_CLUSTER && i < world->config.services; i++)
        world->ghost.changed_ms[i] = world->ghost.silent_ms[i] = world->now_ms;
}

/* Sentinels do not hear a master that clients may well reach. It may be long enough for `down-after`. */
static void act_lose_master(struct world *world)
{
    unsigned service = any_service(world);
    unsigned percent = (unsigned)rng_between(&world->rng, 20, 100);

    plan_reload(world);
    ghost_node_changed(world, service);
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        struct event_item item = {.kind = (uint8_t)i, .service = (uint8_t)service};
        if (!rng_chance(&world->rng, percent))
            continue;
        world->sentinels[i].master_lost_ms[service] = world->now_ms;
        plan(world, PLANNED_HEAR, rng_between(&world->rng, 500, 6000), item, false);
    }
}

/* A Sentinel does not hear the others, and its CKQUORUM says OK for a while. */
static void act_lose_peers(struct world *world)
{
    unsigned sentinel = any_sentinel(world);
    struct event_item item = {.kind = (uint8_t)sentinel};

    world->sentinels[sentinel].peers_lost_ms = world->now_ms;
    plan(world, PLANNED_HEAR, rng_between(&world->rng, 500, 6000), item, false);
}

static void end_silence(struct world *world, unsigned sentinel, unsigned service)
{
    world->sentinels[sentinel].master_lost_ms[service] = 0;
    world->sentinels[sentinel].peers_lost_ms = 0;
    ghost_node_changed(world, service);
}

/* ---- agents ---- */

/* Neither timers nor replies are taken; questions are, which is worse than what a real process could do. */
static void act_stall(struct world *world)
{
    unsigned agent = any_agent(world);
    int64_t until_ms = world->now_ms + rng_between(&world->rng, 20, 4000);

    if (until_ms <= world->agents[agent].stalled_until_ms)
        return;
    world->agents[agent].stalled_until_ms = until_ms;
    ghost_shaken_agent(world, agent, until_ms);
    world_trace(world, "agent %u stalls until %lld", agent, (long long)(until_ms - SIM_START_MS));
}

/* The machine slept: all that the agent knows is older at once. */
static void act_step_clock(struct world *world)
{
    unsigned agent = any_agent(world);
    int64_t by_ms = rng_between(&world->rng, 1, 4000);

    world_trace(world, "the clock of agent %u jumps by %lld", agent, (long long)by_ms);
    agent_step_clock(world, agent, by_ms);
    ghost_shaken_agent(world, agent, world->now_ms);
}

static void act_restart_agent(struct world *world)
{
    unsigned agent = any_agent(world);
    const struct sim_file file = world->agents[agent].running->file;

    agent_stop(world, agent);
    agent_start(world, agent, &file);
}

static void act_reload(struct world *world)
{
    unsigned agent = any_agent(world);
    struct sim_file file = world->agents[agent].running->file;

    script_change_file(world, &file);
    script_change_api(world, &file);
    reload_begin(world, agent, &file);
}

static const struct {
    unsigned weight;
    void (*act)(struct world *world);
} actions[] = {
    {16, act_failover},   {5, act_double_failover},
    {12, act_view},       {6, act_flap},
    {8, act_move_all},    {3, act_false_hint},
    {9, act_stop},        {3, act_stop_many},
    {7, act_freeze},      {4, act_deny},
    {5, act_isolate},     {9, act_cut},
    {5, act_partition},   {6, act_delay},
    {7, act_break},       {4, act_reroute},
    {9, act_stall},       {2, act_restart_agent},
    {8, act_role},        {5, act_down},
    {5, act_stop_node},   {3, act_lose_sight},
    {4, act_step_clock},  {14, act_reload},
    {5, act_lose_master}, {3, act_lose_peers},
};
#define ACTIONS (sizeof(actions) / sizeof(*actions))

static unsigned any_action(struct world *world)
{
    unsigned total = 0;

    for (size_t i = 0; i < ACTIONS; i++)
        total += actions[i].weight;
    unsigned drawn = rng_below(&world->rng, total);
    unsigned action = 0;
    while (drawn >= actions[action].weight)
        drawn -= actions[action++].weight;
    return action;
}

/* ---- the whole ---- */

/* All Sentinels are there, in reach, and come to agree. */
static void heal(struct world *world)
{
    int64_t spread_ms = rng_chance(&world->rng, 50) ? 0 : 100;
    int8_t addresses[SIM_SERVICES_MAX] = {0};

    for (unsigned i = 0; i < world->config.services; i++)
        addresses[i] = any_address(world);
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        sentinel_start(world, i, false);
        for (unsigned k = 0; k < world->config.services; k++) {
            struct event_item item = {.kind = (uint8_t)i, .service = (uint8_t)k, .value = addresses[k]};
            plan(world, PLANNED_VIEW, rng_between(&world->rng, 0, spread_ms), item, true);
        }
        for (unsigned k = 0; k < world->config.agents; k++)
            script_draw_path(world, &world->agents[k].paths[i], 100);
    }
    ghost_shaken(world, world->now_ms);
}

void script_act(struct world *world, const struct event *event)
{
    const struct event_item *item = &event->items[0];

    switch (event->target) {
    case PLANNED_START:
        sentinel_start(world, item->kind, item->service == 1);
        break;
    case PLANNED_VIEW:
        sentinel_set_view(world, item->kind, item->service, item->value, event->items[1].kind == 1);
        break;
    case PLANNED_ROLE:
        node_set_role(world, item->service, item->kind, item->value);
        break;
    case PLANNED_UP:
        end_down(world, item->kind, item->service, event->items[1].kind == 1);
        break;
    case PLANNED_HEAR:
        end_silence(world, item->kind, item->service);
        break;
    case PLANNED_HEAL:
        heal(world);
        break;
    case PLANNED_RELOAD:
        act_reload(world);
        break;
    case PLANNED_FAILOVER:
        sentinel_failover(world, item->kind, item->service, item->value, true);
        break;
    default:
        actions[event->target].act(world);
        break;
    }
}

void script_ask(struct world *world)
{
    struct event again = {.kind = EVENT_ASK};

    ghost_check_cuts(world);
    asker_ask_all(world, any_service(world));
    if (rng_chance(&world->rng, 1))
        asker_ask_unknown(world, any_agent(world));
    again.at_ms = world->now_ms + rng_between(&world->rng, 1, 2 * ASK_INTERVAL_MS);
    event_queue_push(&world->queue, &again);
}

void script_plan(struct world *world)
{
    struct event event = {.kind = EVENT_ACTION};
    bool is_healed = rng_chance(&world->rng, 35);
    int64_t wild_ms = rng_between(&world->rng, 2000, 8000);

    for (unsigned i = rng_below(&world->rng, 12) + 3; i > 0; i--) {
        event.target = (uint8_t)any_action(world);
        event.at_ms = world->now_ms + rng_between(&world->rng, 0, wild_ms);
        event_queue_push(&world->queue, &event);
    }
    if (is_healed)
        plan(world, PLANNED_HEAL, wild_ms, (struct event_item){.kind = 0}, false);
    script_plan_haproxys(world, wild_ms);
    world->config.end_ms = world->now_ms + wild_ms + (is_healed ? CALM_MS : 3000);
    script_ask(world);
}
