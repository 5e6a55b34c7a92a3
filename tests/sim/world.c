#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/agent_model.h"
#include "tests/sim/cutter_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/network.h"
#include "tests/sim/node_model.h"
#include "tests/sim/reload_model.h"
#include "tests/sim/script.h"
#include "tests/sim/sentinel_model.h"

void world_trace(const struct world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->verbose)
        return;
    printf("%6lld ", (long long)(world->now_ms - SIM_START_MS));
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void reset_ghost(struct ghost *ghost)
{
    for (unsigned i = 0; i < SIM_SENTINELS_MAX; i++)
        for (unsigned k = 0; k < SIM_SERVICES_MAX; k++)
            ghost->views[i][k].count = 0;
    memset(ghost->sets, 0, sizeof(ghost->sets));
    memset(ghost->agents, 0, sizeof(ghost->agents));
    memset(ghost->changed_ms, 0, sizeof(ghost->changed_ms));
    memset(ghost->silent_ms, 0, sizeof(ghost->silent_ms));
    memset(ghost->node_changed_ms, 0, sizeof(ghost->node_changed_ms));
}

/* All but the memory of the queue and the logs, which needs no clearing, and what counts over all scripts. */
static void reset(struct world *world, uint64_t seed)
{
    world->rng.state = seed;
    world->haproxy_rng.state = ~seed;
    world->seed = seed;
    world->now_ms = SIM_START_MS + rng_between(&world->rng, 0, 1000);
    world->epoch = 0;
    world->identities = 0;
    world->violated = false;
    event_queue_clear(&world->queue);
    memset(world->links, 0, sizeof(world->links));
    reset_ghost(&world->ghost);
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        world->links[i].set = (uint8_t)(i / (2 * SIM_SENTINELS_MAX));
        world->links[i].voter = (uint8_t)(i / 2 % SIM_SENTINELS_MAX);
        world->links[i].is_hints = i % 2 == 1;
        world->links[i].is_dead = true;
    }
}

static void handle(struct world *world, struct event *event)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_REQUESTS:
    case EVENT_REPLIES:
    case EVENT_SYN:
    case EVENT_CONNECTED:
    case EVENT_LOST:
        network_deliver(world, event);
        break;
    case EVENT_ADOPT:
        sentinel_adopt(world, event);
        break;
    case EVENT_PUBLISH:
        sentinel_publish_late(world, event);
        break;
    case EVENT_NODE:
        node_receive(world, event);
        break;
    case EVENT_PROBE:
        node_reply(world, event);
        break;
    case EVENT_RELOAD:
        reload_look(world, event);
        break;
    case EVENT_CUT:
        cutter_wake(world, event);
        break;
    case EVENT_CALLED:
        cutter_receive(world, event);
        break;
    case EVENT_HAPROXY:
        script_act_haproxy(world, event);
        break;
    case EVENT_ACTION:
        script_act(world, event);
        break;
    case EVENT_ASK:
        script_ask(world);
        break;
    }
}

/* The agent whose timers are due first; of equals the one with the lower number. */
static unsigned next_to_wake(const struct world *world)
{
    unsigned first = 0;

    for (unsigned i = 1; i < world->config.agents; i++)
        if (world->agents[i].wake_ms < world->agents[first].wake_ms)
            first = i;
    return first;
}

/* Events come before timers that are due at the same moment. */
static void run(struct world *world)
{
    while (!world->violated) {
        unsigned agent = next_to_wake(world);
        int64_t event_ms = event_queue_next_ms(&world->queue);
        bool is_event = event_ms <= world->agents[agent].wake_ms;
        int64_t next_ms = is_event ? event_ms : world->agents[agent].wake_ms;
        if (next_ms > world->config.end_ms)
            return;
        world->now_ms = next_ms;
        if (is_event) {
            struct event event;
            event_queue_pop(&world->queue, &event);
            handle(world, &event);
        } else {
            agent_wake(world, agent);
        }
    }
}

bool world_run(struct world *world, uint64_t seed)
{
    reset(world, seed);
    script_configure(world);
    sentinel_start_all(world);
    node_start_all(world);
    for (unsigned i = 0; i < world->config.agents; i++)
        agent_start(world, i, &world->config.file);
    script_plan(world);
    run(world);
    for (unsigned i = 0; i < world->config.agents; i++)
        agent_stop(world, i);
    return !world->violated;
}
