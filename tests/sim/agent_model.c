#include "tests/sim/agent_model.h"

#include <stdlib.h>

#include "tests/sim/asker.h"
#include "tests/sim/cutter_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/haproxy_model.h"
#include "tests/sim/parked.h"
#include "tests/sim/reload_model.h"
#include "tests/sim/set_model.h"

/* Timers may run so often at one moment; more means that something is due for ever. */
#define WAKES_IN_PLACE_MAX 20

int64_t agent_now_ms(const struct world *world, unsigned agent)
{
    return world->now_ms + world->agents[agent].clock_ms;
}

const struct sim_set *agent_set_of(const struct world *world, unsigned agent, unsigned service)
{
    const struct sim_agent *self = &world->agents[agent];

    return self->next_table != NULL && self->has_moved[service] ? self->next : self->running;
}

struct service *agent_service(const struct world *world, unsigned agent, unsigned service)
{
    return agent_set_of(world, agent, service)->services[service];
}

/* ---- after every step ---- */

/* An outage runs exactly while new clients cannot be sent to a master at once, but for the start. */
static void check_outage(struct world *world, unsigned agent, const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct outage *outage = service_outage(service);
    bool is_starting = decision->state == SERVICE_STARTING ||
                       (decision->state == SERVICE_PENDING && decision->generation == 0);
    bool is_due = !service_is_open(service, SERVICE_ROLE_MASTER) && !(is_starting && !outage->is_running);

    world->counts.outages += outage->is_running;
    if (outage->is_running != is_due || (is_due && outage->t_begun_ms > agent_now_ms(world, agent)))
        ghost_broken(world, "outage", "agent %u: an outage %s", agent,
                     is_due ? "is not noticed" : "does not end");
}

static void note_change(struct world *world, unsigned agent, unsigned service)
{
    struct sim_agent *self = &world->agents[agent];
    const struct service_decision *decision = service_decision(agent_service(world, agent, service));

    if (decision->state == self->seen_state[service] && decision->ruled == self->seen_ruled[service] &&
        decision->generation == self->seen_generation[service] &&
        decision->is_fenced == self->seen_fenced[service])
        return;
    if (decision->is_fenced && !self->seen_fenced[service])
        ghost_fenced(world, agent, service);
    ghost_note_state(world, agent, service, (int)decision->ruled);
    ghost_check_told(world, agent, service);
    self->seen_fenced[service] = decision->is_fenced;
    self->seen_state[service] = decision->state;
    self->seen_ruled[service] = decision->ruled;
    self->seen_generation[service] = decision->generation;
    world_trace(world, "agent %u service %u: %s, votes %u, generation %llu", agent, service,
                service_state_text(decision->state), decision->votes,
                (unsigned long long)decision->generation);
    /* Else a switch would always have its first answer at once. */
    if (rng_chance(&world->rng, 90))
        asker_ask(world, agent, service);
}

void agent_note_changes(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    ghost_note_names(world, self->running);
    if (self->next != NULL)
        ghost_note_names(world, self->next);
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        const struct service *service = agent_service(world, agent, i);
        if (service == NULL)
            continue;
        note_change(world, agent, i);
        check_outage(world, agent, service);
    }
}

/* Calls `act` for each set that there is. */
static void for_each_set(struct world *world, unsigned agent,
                         void (*act)(struct world *world, struct sim_set *set))
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_set *const sets[] = {self->running, self->next, self->retired};

    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++)
        if (sets[i] != NULL)
            act(world, sets[i]);
}

static int64_t earliest_wake_ms(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_set *const sets[] = {self->running, self->next, self->retired};
    int64_t earliest_ms = parking_wake_ms(self->parking);

    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
        int64_t wake_ms = sets[i] != NULL ? set_wake_ms(world, sets[i]) : INT64_MAX;
        if (wake_ms < earliest_ms)
            earliest_ms = wake_ms;
    }
    return earliest_ms;
}

/* Whether each service is looked at again before what it says has run out. */
static void check_timers(struct world *world, unsigned agent)
{
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        const struct sim_set *set = agent_set_of(world, agent, i);
        if (set->services[i] != NULL &&
            service_decision(set->services[i])->review_ms < voter_group_wake_ms(set->group))
            ghost_broken(world, "timers", "agent %u service %u is not reviewed in time", agent, i);
    }
}

void agent_settle(struct world *world, unsigned agent)
{
    for_each_set(world, agent, set_pump);
    agent_note_changes(world, agent);
    parked_settle(world, agent);
    check_timers(world, agent);
    agent_arm(world, agent);
}

void agent_arm(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    int64_t late_ms = self->timer_lag_ms > 0 ? rng_between(&world->rng, 0, self->timer_lag_ms) : 0;
    int64_t due_ms = earliest_wake_ms(world, agent);

    if (due_ms < agent_now_ms(world, agent) - late_ms)
        self->wake_ms = world->now_ms;
    else
        self->wake_ms = due_ms < INT64_MAX ? due_ms + late_ms - self->clock_ms : INT64_MAX;
}

void agent_step_clock(struct world *world, unsigned agent, int64_t by_ms)
{
    world->agents[agent].clock_ms += by_ms;
    world->agents[agent].wake_ms = world->now_ms;
    parked_let_due(world, agent);
    haproxy_let_in(world, agent);
    cutter_arm(world, agent);
}

void agent_wake(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    if (self->stalled_until_ms > world->now_ms) {
        self->wake_ms = self->stalled_until_ms;
        return;
    }
    self->wakes_in_place = self->last_wake_ms == world->now_ms ? self->wakes_in_place + 1 : 0;
    self->last_wake_ms = world->now_ms;
    if (self->wakes_in_place > WAKES_IN_PLACE_MAX) {
        ghost_violation(world, "timers", "agent %u wakes up without an end", agent);
        return;
    }
    for_each_set(world, agent, set_tick);
    parking_tick(self->parking, agent_now_ms(world, agent));
    agent_settle(world, agent);
}

/* ---- the process ---- */

void agent_forget_service(struct world *world, unsigned agent, unsigned service)
{
    struct sim_agent *self = &world->agents[agent];

    self->seen_state[service] = SERVICE_STARTING;
    self->seen_ruled[service] = SERVICE_STARTING;
    self->seen_generation[service] = 0;
    self->seen_fenced[service] = false;
    ghost_forget_service(world, agent, service);
}

/* agent_settle() comes after every step, and looks itself. */
static void note_woken(void *context)
{
    (void)context;
}

void agent_start(struct world *world, unsigned agent, const struct sim_file *file)
{
    struct sim_agent *self = &world->agents[agent];

    cutter_forget(world, agent);
    self->running = set_create(world, agent, file, NULL);
    self->next = NULL;
    self->next_table = NULL;
    self->has_wanted = false;
    self->retired = NULL;
    self->retired_table = NULL;
    self->parking = parking_create(SIM_WAITING_MAX, note_woken, self);
    self->waiting_count = 0;
    self->table = service_table_create(self->parking);
    if (self->parking == NULL || self->table == NULL)
        abort();
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        agent_forget_service(world, agent, i);
    reload_start(world, agent);
    self->draining = false;
    spop_session_init(&self->session, self->table, &self->metrics, &self->draining);
    self->stalled_until_ms = 0;
    self->wake_ms = world->now_ms;
    self->last_wake_ms = 0;
    asker_greet(world, agent);
}

void agent_stop(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    self->reloads++;
    cutter_forget(world, agent);
    spop_session_finish(&self->session, agent_now_ms(world, agent));
    service_table_destroy(self->table);
    service_table_destroy(self->next_table);
    service_table_destroy(self->retired_table);
    set_destroy(world, self->next);
    set_destroy(world, self->running);
    set_destroy(world, self->retired);
    parking_destroy(self->parking);
}
