/* The referee of cuts (I8): which sessions must be gone by now, and which must not be touched. */
#include "tests/sim/ghost.h"

#include "spoa/core/haproxy/cut_debts.h"
#include "tests/sim/replies.h"

/* The longest round of calls: at most six, one after the other. */
#define ROUND_MS (6 * SIM_CALL_MAX_MS)
/* A round that is under way, the longest wait for the next one, and that. It is less than a second. */
#define GONE_MS (ROUND_MS + CUT_BACKOFF_MAX_MS + ROUND_MS)
/* What the model itself may add. */
#define MARGIN_MS 5

/* Notes whether the sessions of a service may stay: those to `address`, or all others. */
static void note_sessions(struct world *world, unsigned agent, unsigned service, int8_t address,
                          bool is_address, bool may_stay)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;

    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++) {
        struct sim_session *session = &haproxy->sessions[i];
        if (session->service != service || (session->address == (uint8_t)address) != is_address)
            continue;
        if (may_stay)
            session->owed_ms = GHOST_NEVER;
        else if (session->owed_ms == GHOST_NEVER)
            session->owed_ms = world->now_ms;
    }
}

void ghost_note_cuts(struct world *world, unsigned agent, unsigned service,
                     const struct service_change *change)
{
    struct ghost_told *told = &world->ghost.agents[agent].told[service];

    if (service_state_names(change->after->state)) {
        told->is_cut = false;
        note_sessions(world, agent, service, told->address, true, true);
        if (change->switched)
            note_sessions(world, agent, service, told->address, false, false);
    } else if (change->after->is_fenced && told->address != -1) {
        told->is_cut = true;
        note_sessions(world, agent, service, told->address, true, false);
    }
}

void ghost_begin_cuts(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++)
        self->haproxy.sessions[i].owed_ms = GHOST_NEVER;
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        struct ghost_told *told = &world->ghost.agents[agent].told[i];
        if (self->running->services[i] == NULL || told->address == -1)
            continue;
        told->is_cut = told->is_fenced;
        note_sessions(world, agent, i, told->address, false, false);
        if (told->is_fenced)
            note_sessions(world, agent, i, told->address, true, false);
    }
}

void ghost_told_to_shut(struct world *world, unsigned agent, unsigned service, unsigned address)
{
    const struct ghost_told *told = &world->ghost.agents[agent].told[service];

    if (told->address == (int8_t)address && !told->is_cut)
        ghost_broken(world, "I8-spared sessions",
                     "agent %u service %u: the sessions to %u, the master, are cut", agent, service, address);
}

static int64_t later(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

static void check_session(struct world *world, unsigned agent, const struct sim_session *session,
                          int64_t reached_ms)
{
    const struct sim_agent *self = &world->agents[agent];
    int64_t since_ms = later(session->owed_ms, later(session->since_ms, reached_ms));

    if (self->haproxy.hangs && !session->hangs)
        since_ms = later(since_ms, session->established_ms);
    if (world->now_ms > since_ms + GONE_MS + self->timer_lag_ms + MARGIN_MS)
        ghost_broken(world, "I8-gone sessions",
                     "agent %u service %u: a session to %u of %lld is there, owed since %lld", agent,
                     session->service, session->address, (long long)(session->since_ms - SIM_START_MS),
                     (long long)(session->owed_ms - SIM_START_MS));
}

void ghost_check_cuts(struct world *world)
{
    for (unsigned i = 0; i < world->config.agents; i++) {
        const struct sim_agent *self = &world->agents[i];
        const struct sim_haproxy *haproxy = &self->haproxy;
        int64_t reached_ms = later(later(haproxy->well_since_ms, self->api.begun_ms),
                                   later(self->stalled_until_ms, self->api.hung_until_ms));
        bool has_ended = self->next_table != NULL && self->next->cutter.rounds == NULL;
        if (has_ended || self->running->cutter.rounds == NULL || haproxy->api != SIM_API_ANSWERS)
            continue;
        for (unsigned k = 0; k < SIM_SESSIONS_MAX; k++)
            if (haproxy->sessions[k].is_there && haproxy->sessions[k].owed_ms != GHOST_NEVER)
                check_session(world, i, &haproxy->sessions[k], reached_ms);
    }
}
