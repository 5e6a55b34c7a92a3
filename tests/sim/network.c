#include "tests/sim/network.h"

#include "tests/sim/agent_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/sentinel_model.h"
#include "tests/sim/set_model.h"

struct sim_link *network_link(struct world *world, const struct sim_set *set, unsigned voter, bool is_hints)
{
    return &world->links[(set->number * SIM_SENTINELS_MAX + voter) * 2 + is_hints];
}

struct sim_agent *network_agent(struct world *world, const struct sim_link *link)
{
    return &world->agents[world->sets[link->set].agent];
}

struct sim_path *network_path(struct world *world, const struct sim_link *link)
{
    return &network_agent(world, link)->paths[link->sentinel];
}

unsigned network_route(const struct world *world, const struct sim_set *set, unsigned voter)
{
    return world->agents[set->agent].routes[set->file.entries[voter]];
}

static void set_not_ready(struct world *world, struct sim_link *link)
{
    if (link->is_ready)
        ghost_disturbed(world, link);
    link->is_ready = false;
}

void network_send(struct world *world, struct sim_link *link, enum sim_direction direction,
                  struct event *event)
{
    const struct sim_path *path = network_path(world, link);
    int64_t at_ms = world->now_ms + path->min_ms + rng_between(&world->rng, 0, path->spread_ms);

    if (link->is_dead)
        return;
    if (at_ms < link->last_ms[direction])
        at_ms = link->last_ms[direction];
    link->last_ms[direction] = at_ms;
    event->at_ms = at_ms;
    event->target = (uint8_t)(link - world->links);
    event->generation = link->generation;
    event_queue_push(&world->queue, event);
}

void network_connect(struct world *world, struct sim_link *link)
{
    struct event syn = {.kind = EVENT_SYN};

    link->generation++;
    link->is_open = true;
    link->is_dead = false;
    link->is_refused = false;
    link->sentinel = (uint8_t)network_route(world, &world->sets[link->set], link->voter);
    for (unsigned i = 0; i < 2; i++)
        link->last_ms[i] = link->not_before_ms[i] = 0;
    network_send(world, link, TO_SENTINEL, &syn);
}

void network_close(struct world *world, struct sim_link *link)
{
    set_not_ready(world, link);
    link->is_open = false;
    link->is_dead = true;
}

void network_break(struct world *world, struct sim_link *link, bool silently)
{
    struct event lost = {.kind = EVENT_LOST};

    if (!link->is_open || link->is_dead)
        return;
    set_not_ready(world, link);
    if (!silently)
        network_send(world, link, TO_AGENT, &lost);
    link->is_dead = true;
}

void network_forget(struct world *world, const struct sim_set *set)
{
    for (unsigned i = 0; i < SIM_SENTINELS_MAX; i++)
        for (unsigned k = 0; k < 2; k++) {
            struct sim_link *link = network_link(world, set, i, k == 1);
            network_close(world, link);
            link->generation++;
        }
}

/* Until when nothing arrives at the end of `link` that `direction` leads to. */
static int64_t blocked_until_ms(struct world *world, const struct sim_link *link,
                                enum sim_direction direction)
{
    int64_t until_ms = network_path(world, link)->cut_until_ms[direction];
    int64_t receiver_ms = direction == TO_SENTINEL ? world->sentinels[link->sentinel].frozen_until_ms
                                                   : network_agent(world, link)->stalled_until_ms;

    if (until_ms < receiver_ms)
        until_ms = receiver_ms;
    return until_ms < link->not_before_ms[direction] ? link->not_before_ms[direction] : until_ms;
}

/* An attempt to connect is at its goal. A frozen process is connected to all the same: its kernel does that,
 * so SYNs are not put off for it. */
static void take_syn(struct world *world, struct sim_link *link)
{
    const struct sim_sentinel *sentinel = &world->sentinels[link->sentinel];
    struct event result = {.kind = sentinel->up ? EVENT_CONNECTED : EVENT_LOST};

    if (sentinel->up || !sentinel->is_silent)
        network_send(world, link, TO_AGENT, &result);
    if (!sentinel->up)
        link->is_dead = true;
}

static void take_at_sentinel(struct world *world, struct sim_link *link, const struct event *event)
{
    if (link->is_dead || link->generation != event->generation)
        return;
    if (event->kind == EVENT_SYN)
        take_syn(world, link);
    else
        sentinel_receive(world, link, event);
}

static void take_at_agent(struct world *world, struct sim_link *link, const struct event *event)
{
    if (!link->is_open || link->generation != event->generation) {
        /* The old connection is closed. Where no new one is there, see that what it brought is refused. */
        if (event->kind == EVENT_REPLIES)
            set_receive_stale(world, link, event);
        return;
    }
    if (event->kind == EVENT_CONNECTED)
        set_connected(world, link);
    else if (event->kind == EVENT_LOST)
        set_lost(world, link);
    else
        set_receive(world, link, event);
    agent_settle(world, world->sets[link->set].agent);
}

void network_deliver(struct world *world, struct event *event)
{
    struct sim_link *link = &world->links[event->target];
    bool to_sentinel = event->kind == EVENT_REQUESTS || event->kind == EVENT_SYN;
    enum sim_direction direction = to_sentinel ? TO_SENTINEL : TO_AGENT;

    if (link->generation == event->generation) {
        int64_t until_ms = event->kind == EVENT_SYN ? network_path(world, link)->cut_until_ms[TO_SENTINEL]
                                                    : blocked_until_ms(world, link, direction);
        if (world->now_ms < until_ms) {
            link->not_before_ms[direction] = until_ms;
            event_queue_put_off(&world->queue, event, until_ms);
            return;
        }
    }
    if (to_sentinel)
        take_at_sentinel(world, link, event);
    else
        take_at_agent(world, link, event);
}
