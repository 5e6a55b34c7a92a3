#include "tests/sim/reload_model.h"

#include <stdlib.h>

#include "spoa/core/decision/handover.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/asker.h"
#include "tests/sim/cutter_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/parked.h"
#include "tests/sim/set_model.h"

/* The times of spoa/reload.c. */
#define READY_INTERVAL_MS 10
#define FAILED_INTERVAL_MS 100
#define READY_SLACK_MS 500
#define RETIRE_MS 1000

static void look_again(struct world *world, unsigned agent, int64_t after_ms)
{
    const struct event event = {
        .kind = EVENT_RELOAD,
        .target = (uint8_t)agent,
        .generation = world->agents[agent].reloads,
        .at_ms = world->now_ms + after_ms,
    };

    event_queue_push(&world->queue, &event);
}

void reload_begin(struct world *world, unsigned agent, const struct sim_file *file)
{
    struct sim_agent *self = &world->agents[agent];

    world_trace(world, "agent %u reloads", agent);
    world->counts.reloads++;
    set_destroy(world, self->next);
    self->next = set_create(world, agent, file, self->running);
    self->deadline_ms = agent_now_ms(world, agent) + file->vote_life_ms + READY_SLACK_MS;
    self->reloads++;
    look_again(world, agent, READY_INTERVAL_MS);
    agent_settle(world, agent);
}

/* ---- the change-over, all services at once: the simulation does not have the mixed state ---- */

void reload_activate(struct world *world, struct sim_set *set, struct sim_set *former,
                     struct service_table *table)
{
    int64_t now_ms = agent_now_ms(world, set->agent);
    int voters[QUORUM_VOTERS_MAX];

    for (unsigned i = 0; i < set->listed_count; i++)
        if (!service_table_add(table, set->listed[i]))
            abort();
    ghost_watch(world, set);
    cutter_create(world, set, former);
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        struct service *same = former != NULL ? former->services[i] : NULL;
        if (set->services[i] == NULL)
            continue;
        if (same != NULL)
            voter_group_match(set->group, former->group, voters);
        handover(set->services[i], same, voters, now_ms);
    }
    if (former != NULL)
        set_take_probes(world, set, former);
    set_catch_up(world, set);
    cutter_begin(world, set, former);
}

static void change_over(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_set *former = self->running;
    struct service_table *table = service_table_create(self->parking);

    if (table == NULL)
        abort();
    world_trace(world, "agent %u has reloaded", agent);
    world->counts.change_overs++;
    ghost_changes_over(world, former, self->next);
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (self->next->services[i] == NULL)
            agent_forget_service(world, agent, i);
    self->running = self->next;
    self->next = NULL;
    reload_activate(world, self->running, former, table);
    ghost_check_counters(world, agent);
    ghost_has_changed_over(world, self->running);
    service_table_change_over(self->table, table, agent_now_ms(world, agent));
    parked_change_over(world, agent);
    ghost_check_counters(world, agent);
    self->retired = former;
    self->retired_table = table;
    self->retire_ms = world->now_ms + RETIRE_MS;
    agent_settle(world, agent);
    for (unsigned i = 0; i < world->config.services; i++)
        asker_ask(world, agent, i);
}

/* ---- waiting ---- */

static bool is_ready(struct world *world, unsigned agent)
{
    const struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        if (self->next->services[i] == NULL)
            continue;
        set_look(world, self->next, i);
        if (handover_lack(self->next->services[i], self->running->services[i], agent_now_ms(world, agent)) !=
            HANDOVER_READY)
            return false;
    }
    return true;
}

static void end_retired(struct world *world, struct sim_agent *self)
{
    if (self->retired == NULL || world->now_ms < self->retire_ms)
        return;
    self->retire_ms = world->now_ms + RETIRE_MS;
    if (!service_table_is_idle(self->retired_table))
        return;
    service_table_destroy(self->retired_table);
    set_destroy(world, self->retired);
    self->retired_table = NULL;
    self->retired = NULL;
}

void reload_look(struct world *world, struct event *event)
{
    unsigned agent = event->target;
    struct sim_agent *self = &world->agents[agent];

    if (event->generation != self->reloads)
        return;
    if (self->stalled_until_ms > world->now_ms) {
        event_queue_put_off(&world->queue, event, self->stalled_until_ms);
        return;
    }
    end_retired(world, self);
    if (self->retired == NULL && self->next != NULL && is_ready(world, agent))
        change_over(world, agent);
    if (self->next != NULL)
        look_again(world, agent,
                   agent_now_ms(world, agent) < self->deadline_ms ? READY_INTERVAL_MS : FAILED_INTERVAL_MS);
    else if (self->retired != NULL)
        look_again(world, agent, self->retire_ms - world->now_ms);
}
