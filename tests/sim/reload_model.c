#include "tests/sim/reload_model.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/decision/handover.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/asker.h"
#include "tests/sim/cutter_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/parked.h"
#include "tests/sim/script.h"
#include "tests/sim/set_model.h"

/* The times of spoa/reload.c. */
#define READY_INTERVAL_MS 10
#define FAILED_INTERVAL_MS 100
#define READY_SLACK_MS 500
#define TAKE_OVER_MS 500
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

/* Beside the one that answers. */
static void build_next(struct world *world, unsigned agent, const struct sim_file *file)
{
    struct sim_agent *self = &world->agents[agent];

    set_destroy(world, self->next);
    self->next = set_create(world, agent, file, self->running);
    self->deadline_ms = agent_now_ms(world, agent) + file->vote_life_ms + READY_SLACK_MS;
    self->reloads++;
    look_again(world, agent, READY_INTERVAL_MS);
    agent_settle(world, agent);
}

/* Services have moved already, and cannot go back: another file waits until all have. */
void reload_begin(struct world *world, unsigned agent, const struct sim_file *file)
{
    struct sim_agent *self = &world->agents[agent];

    world_trace(world, "agent %u is told to reload", agent);
    world->counts.reloads++;
    if (self->next_table == NULL) {
        build_next(world, agent, file);
        return;
    }
    world->counts.reloads_meanwhile++;
    self->has_wanted = true;
    self->wanted = *file;
}

/* ---- the change-over: one service after the other ---- */

/* They are ready to answer, and are observed once they do. */
static void prepare(struct world *world, struct sim_set *set, struct service_table *table)
{
    if (table == NULL)
        abort();
    set_hold_observers(set);
    for (unsigned i = 0; i < set->listed_count; i++)
        if (!service_table_add(table, set->listed[i]))
            abort();
    ghost_watch(world, set);
    cutter_create(world, set);
}

static void hand_over(struct world *world, struct sim_set *set, struct sim_set *former, unsigned service)
{
    struct service *same = former != NULL ? former->services[service] : NULL;
    int voters[QUORUM_VOTERS_MAX];

    if (same != NULL)
        voter_group_match(set->group, former->group, voters);
    handover(set->services[service], same, voters, agent_now_ms(world, set->agent));
    if (former != NULL)
        set_take_probe(world, set, former, service);
    set_catch_up(world, set, service);
}

void reload_start(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    prepare(world, self->running, self->table);
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (self->running->services[i] != NULL)
            hand_over(world, self->running, NULL, i);
    cutter_begin(world, self->running, NULL);
}

static void begin_take_over(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    world_trace(world, "agent %u begins to change over", agent);
    self->next_table = service_table_create(self->parking);
    prepare(world, self->next, self->next_table);
    self->force_ms = agent_now_ms(world, agent) + TAKE_OVER_MS;
    self->cursor = rng_below(&world->rng, SIM_SERVICES_MAX);
    memset(self->has_moved, 0, sizeof(self->has_moved));
    service_table_begin(self->table, self->next_table);
    cutter_follow(world, self->next, self->running);
    script_disturb_change_over(world, agent);
}

static void move_service(struct world *world, unsigned agent, unsigned service, bool by_force)
{
    struct sim_agent *self = &world->agents[agent];

    world_trace(world, "agent %u: service %u moves%s", agent, service, by_force ? " by force" : "");
    world->counts.moved_by_force += by_force;
    ghost_moves(world, self->running, self->next, service, by_force);
    self->has_moved[service] = true;
    hand_over(world, self->next, self->running, service);
    ghost_has_moved(world, self->next, service);
    service_table_move(self->table, service_settings(self->next->services[service])->name,
                       agent_now_ms(world, agent));
    parked_move(world, agent, service);
    ghost_check_counters(world, agent);
}

static bool is_ready(struct world *world, unsigned agent, unsigned service)
{
    const struct sim_agent *self = &world->agents[agent];

    set_look(world, self->next, service);
    return handover_lack(self->next->services[service], self->running->services[service],
                         agent_now_ms(world, agent)) == HANDOVER_READY;
}

/* Moves up to `budget` services. True where all have moved. */
static bool take_over(struct world *world, unsigned agent, unsigned budget)
{
    struct sim_agent *self = &world->agents[agent];
    bool is_late = agent_now_ms(world, agent) >= self->force_ms;
    unsigned left = 0;

    for (unsigned looks = 0; looks < SIM_SERVICES_MAX; looks++, self->cursor++) {
        unsigned at = self->cursor % SIM_SERVICES_MAX;
        if (self->next->services[at] == NULL || self->has_moved[at])
            continue;
        bool good = is_ready(world, agent, at);
        if (is_late || (good && budget > 0)) {
            move_service(world, agent, at, !good);
            budget -= budget > 0;
        } else {
            left++;
        }
    }
    return left == 0;
}

static void complete(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_set *former = self->running;
    struct service_table *table = self->next_table;

    world_trace(world, "agent %u has reloaded", agent);
    world->counts.change_overs++;
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (self->next->services[i] == NULL)
            agent_forget_service(world, agent, i);
    self->running = self->next;
    self->next = NULL;
    self->next_table = NULL;
    cutter_begin(world, self->running, former);
    service_table_end(self->table, agent_now_ms(world, agent));
    parked_end_change_over(world, agent);
    self->retired = former;
    self->retired_table = table;
    self->retire_ms = world->now_ms + RETIRE_MS;
    ghost_check_counters(world, agent);
}

/* A turn of the loop. Most of them follow at once; one that does not is a loop that has much else to do. */
static void go_on(struct world *world, unsigned agent)
{
    static const int64_t pauses_ms[] = {0, 0, 10, 120, 300};
    struct sim_agent *self = &world->agents[agent];
    unsigned pause = rng_below(&world->rng, sizeof(pauses_ms) / sizeof(*pauses_ms));

    if (self->next_table == NULL)
        begin_take_over(world, agent);
    if (take_over(world, agent, rng_below(&world->rng, SIM_SERVICES_MAX + 1)))
        complete(world, agent);
    else
        look_again(world, agent, rng_between(&world->rng, 0, pauses_ms[pause]));
    agent_settle(world, agent);
    for (unsigned i = 0; i < world->config.services; i++)
        asker_ask(world, agent, i);
}

/* ---- waiting ---- */

static bool are_ready(struct world *world, unsigned agent)
{
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (world->agents[agent].next->services[i] != NULL && !is_ready(world, agent, i))
            return false;
    return true;
}

static void end_retired(struct world *world, struct sim_agent *self)
{
    if (self->retired == NULL || world->now_ms < self->retire_ms)
        return;
    size_t budget = 1;
    bool is_idle = service_table_is_idle(self->retired_table, &budget);
    self->retire_ms = world->now_ms + (budget > 0 ? RETIRE_MS : 0);
    if (!is_idle)
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
    if (self->retired == NULL && self->next != NULL && (self->next_table != NULL || are_ready(world, agent)))
        go_on(world, agent);
    if (self->next_table != NULL)
        return;
    if (self->has_wanted) {
        self->has_wanted = false;
        build_next(world, agent, &self->wanted);
    } else if (self->next != NULL) {
        look_again(world, agent,
                   agent_now_ms(world, agent) < self->deadline_ms ? READY_INTERVAL_MS : FAILED_INTERVAL_MS);
    } else if (self->retired != NULL) {
        look_again(world, agent, self->retire_ms - world->now_ms);
    }
}
