#include "tests/sim/parked.h"

#include "tests/sim/ack.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/asker.h"
#include "tests/sim/ghost.h"

/* By so much later than it must, beside what its timers lag behind. */
#define MARGIN_MS 5

/* How long the file of the set that answers lets a question wait that comes, or moves, now. */
static int64_t park_now(struct world *world, unsigned agent, unsigned service)
{
    const struct sim_set *set = agent_set_of(world, agent, service);
    int64_t park_ms = set->file.park_ms;

    if (park_ms != PARK_AUTO)
        return park_ms;
    park_ms = service_decision(set->services[service])->park_ms;
    ghost_check_park(world, set, service, park_ms);
    return park_ms;
}

/* Where `auto` has become shorter, nobody is answered before those who came earlier. */
static void wait_behind(const struct sim_agent *self, struct sim_waiting *last)
{
    for (unsigned i = 0; i < self->waiting_count; i++)
        if (self->waiting[i].service == last->service && self->waiting[i].deadline_ms > last->deadline_ms)
            last->deadline_ms = self->waiting[i].deadline_ms;
}

void parked_wait(struct world *world, unsigned agent, const struct sim_waiting *waiting)
{
    struct sim_agent *self = &world->agents[agent];
    struct sim_waiting *place = &self->waiting[self->waiting_count++];

    *place = *waiting;
    place->since_ms = agent_now_ms(world, agent);
    place->deadline_ms = place->since_ms + park_now(world, agent, waiting->service);
    wait_behind(self, place);
    world->counts.parked++;
    if (place->deadline_ms - self->clock_ms < self->wake_ms)
        agent_arm(world, agent);
    ghost_check_silence(world, agent, waiting->service);
}

void parked_let_due(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    int64_t now_ms = agent_now_ms(world, agent);

    for (unsigned i = 0; i < self->waiting_count; i++)
        if (self->waiting[i].deadline_ms < now_ms)
            self->waiting[i].deadline_ms = now_ms;
}

void parked_move(struct world *world, unsigned agent, unsigned service)
{
    struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < self->waiting_count; i++) {
        struct sim_waiting *waiting = &self->waiting[i];
        if (waiting->service != service || waiting->is_orphan)
            continue;
        int64_t deadline_ms = waiting->since_ms + park_now(world, agent, service);
        if (deadline_ms < waiting->deadline_ms)
            waiting->deadline_ms = deadline_ms;
    }
    parked_let_due(world, agent);
}

void parked_end_change_over(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < self->waiting_count; i++)
        if (self->running->services[self->waiting[i].service] == NULL)
            self->waiting[i].is_orphan = true;
}

/* ---- answers ---- */

/* Takes the question that an ACK answers off the list. */
static bool take_waiting(struct sim_agent *self, const struct spop_frame *ack,
                         struct sim_waiting *ret_waiting)
{
    for (unsigned i = 0; i < self->waiting_count; i++) {
        struct sim_waiting *waiting = &self->waiting[i];
        if (ack->type != SPOP_ACK || waiting->stream_id != ack->stream_id ||
            waiting->frame_id != ack->frame_id)
            continue;
        *ret_waiting = *waiting;
        *waiting = self->waiting[--self->waiting_count];
        return true;
    }
    return false;
}

static void take_ack(struct world *world, unsigned agent, const struct spop_frame *ack)
{
    struct sim_waiting waiting;
    struct sim_answer answer;

    if (!take_waiting(&world->agents[agent], ack, &waiting) ||
        !ack_read(ack->payload, waiting.service, &answer)) {
        ghost_broken(world, "session", "agent %u gave no sound answer, or one that nobody waits for", agent);
        return;
    }
    world->counts.released++;
    world_trace(world, "agent %u service %u: %d is told after %lld ms", agent, waiting.service,
                answer.address, (long long)(agent_now_ms(world, agent) - waiting.since_ms));
    answer.cannot_wait = agent_now_ms(world, agent) >= waiting.deadline_ms;
    if (!waiting.is_orphan)
        asker_take_answer(world, agent, waiting.service, &answer);
    else if (answer.state != SIM_STATE_UNKNOWN_SERVICE)
        ghost_broken(world, "parked", "agent %u service %u is not there any more, and %d is told", agent,
                     waiting.service, answer.address);
}

static void release(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    uint8_t out[(SIM_WAITING_MAX + 1) * SPOP_SESSION_REPLY_MAX];
    struct sink sink = sink_of(out, sizeof(out));
    struct spop_frame ack;
    size_t taken = 0;

    while (parking_take_woken(self->parking) != NULL)
        spop_session_release(&self->session, agent_now_ms(world, agent), &sink);
    while (taken < (size_t)(sink.at - out)) {
        int size =
            spop_frame_parse(out + taken, (size_t)(sink.at - out) - taken, SPOP_SESSION_FRAME_MAX, &ack);
        if (size <= 0) {
            ghost_violation(world, "session", "agent %u wrote half a frame", agent);
            return;
        }
        take_ack(world, agent, &ack);
        taken += (size_t)size;
    }
}

/* Nobody waits for what is there, nor longer than the file says. */
static void check_waiting(struct world *world, unsigned agent, const struct sim_waiting *waiting)
{
    const struct sim_agent *self = &world->agents[agent];
    int64_t slack_ms = self->timer_lag_ms + MARGIN_MS;

    if (waiting->is_orphan ||
        service_is_open(agent_service(world, agent, waiting->service), SERVICE_ROLE_MASTER))
        ghost_broken(world, "parked", "agent %u service %u: somebody waits for what is there, or never comes",
                     agent, waiting->service);
    if (agent_now_ms(world, agent) > waiting->deadline_ms + slack_ms &&
        world->now_ms > self->stalled_until_ms + slack_ms)
        ghost_broken(world, "parked", "agent %u service %u: somebody has waited for %lld ms", agent,
                     waiting->service, (long long)(agent_now_ms(world, agent) - waiting->since_ms));
}

/* The services know who waits for them, and since when. */
static void check_count(struct world *world, unsigned agent, unsigned service)
{
    const struct sim_agent *self = &world->agents[agent];
    const struct service_waiting *known =
        service_waiting(agent_service(world, agent, service), SERVICE_ROLE_MASTER);
    int64_t oldest_ms = INT64_MAX;
    size_t count = 0;

    for (unsigned i = 0; i < self->waiting_count; i++) {
        const struct sim_waiting *waiting = &self->waiting[i];
        if (waiting->is_orphan || waiting->service != service)
            continue;
        count++;
        oldest_ms = waiting->since_ms < oldest_ms ? waiting->since_ms : oldest_ms;
    }
    if (known->count != count || (count > 0 && known->oldest_ms != oldest_ms))
        ghost_broken(world, "parked", "agent %u service %u: %zu wait, and it knows of %zu", agent, service,
                     count, known->count);
}

void parked_settle(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    if (self->waiting_count > 0)
        release(world, agent);
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (agent_service(world, agent, i) != NULL)
            check_count(world, agent, i);
    for (unsigned i = 0; i < self->waiting_count; i++)
        check_waiting(world, agent, &self->waiting[i]);
}
