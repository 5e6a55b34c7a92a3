#include "tests/sim/ghost.h"

#include "tests/sim/progress.h"

/* ---- what happened ---- */

void ghost_view(struct world *world, unsigned sentinel, unsigned service, int8_t view, bool published)
{
    struct ghost *ghost = &world->ghost;
    struct ghost_views *views = &ghost->views[sentinel][service];
    unsigned place = views->count++ % GHOST_VIEWS_MAX;

    views->log[place].since_ms = world->now_ms;
    views->log[place].view = view;
    ghost->changed_ms[service] = world->now_ms;
    if (!published)
        ghost->silent_ms[service] = world->now_ms;
}

void ghost_shaken_agent(struct world *world, unsigned agent, int64_t until_ms)
{
    struct ghost_agent *ghost = &world->ghost.agents[agent];

    if (until_ms > ghost->shaken_until_ms)
        ghost->shaken_until_ms = until_ms;
    if (until_ms > ghost->disturbed_until_ms)
        ghost->disturbed_until_ms = until_ms;
}

void ghost_shaken(struct world *world, int64_t until_ms)
{
    for (unsigned i = 0; i < world->config.agents; i++)
        ghost_shaken_agent(world, i, until_ms);
}

void ghost_disturbed(struct world *world, unsigned agent)
{
    if (world->now_ms > world->ghost.agents[agent].disturbed_until_ms)
        world->ghost.agents[agent].disturbed_until_ms = world->now_ms;
}

void ghost_agent_started(struct world *world, unsigned agent)
{
    struct ghost_agent *ghost = &world->ghost.agents[agent];

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        for (unsigned k = 0; k < SIM_SENTINELS_MAX; k++)
            ghost->votes[i][k] = (struct ghost_vote){.sent_ms = INT64_MIN / 2, .view = VIEW_NIL};
        ghost->last_named[i] = -1;
        ghost->last_generation[i] = 0;
        ghost->dissent_ms[i] = 0;
    }
    ghost_shaken_agent(world, agent, world->now_ms);
}

void ghost_heard(struct world *world, const struct sim_link *link, unsigned service, int8_t view,
                 int64_t sent_ms)
{
    struct ghost_agent *ghost = &world->ghost.agents[link->agent];
    struct ghost_vote *vote = &ghost->votes[service][link->voter];

    world_trace(world, "agent %u service %u: entry %u (sentinel %u) says %d, asked at %lld", link->agent,
                service, link->voter, link->sentinel, view, (long long)(sent_ms - SIM_START_MS));
    if (world->now_ms - sent_ms > world->config.reply_timeout_ms)
        return;
    bool is_news = vote->view != view || world->now_ms - vote->sent_ms >= world->config.vote_life_ms;
    if (is_news && view >= 0 && view != ghost->last_named[service])
        ghost->dissent_ms[service] = world->now_ms;
    *vote = (struct ghost_vote){.sent_ms = sent_ms, .sentinel = link->sentinel, .view = view};
}

/* ---- the invariants ---- */

/* An answer to be checked. */
struct claim {
    unsigned agent;
    unsigned service;
    const struct sim_answer *answer;
};

static unsigned majority(const struct world *world)
{
    return world->config.sentinels / 2 + 1;
}

/* Whether the Sentinel had that view at some instant in [now - F, now]. At the millisecond of a change both
 * views were there. */
static bool had_view(const struct world *world, unsigned sentinel, unsigned service, int8_t view)
{
    const struct ghost_views *views = &world->ghost.views[sentinel][service];
    int64_t since_ms = world->now_ms - world->config.vote_life_ms;

    for (unsigned i = views->count; i > 0 && views->count - i < GHOST_VIEWS_MAX; i--) {
        unsigned place = (i - 1) % GHOST_VIEWS_MAX;
        if (views->log[place].view == view)
            return true;
        if (views->log[place].since_ms < since_ms)
            return false;
    }
    return false;
}

/* Whether it had that view throughout [now - F, now]. */
static bool kept_view(const struct world *world, unsigned sentinel, unsigned service, int8_t view)
{
    const struct ghost_views *views = &world->ghost.views[sentinel][service];
    unsigned place = (views->count - 1) % GHOST_VIEWS_MAX;

    return views->log[place].view == view &&
           views->log[place].since_ms < world->now_ms - world->config.vote_life_ms;
}

static bool is_backed(struct world *world, const struct claim *claim)
{
    unsigned backers = 0;

    for (unsigned i = 0; i < world->config.sentinels; i++)
        backers += had_view(world, i, claim->service, claim->answer->address);
    return backers >= majority(world);
}

static bool is_no_resurrection(struct world *world, const struct claim *claim)
{
    for (int8_t address = 0; address < SIM_ADDRESSES; address++) {
        unsigned steady = 0;
        for (unsigned i = 0; i < world->config.sentinels; i++)
            steady += kept_view(world, i, claim->service, address);
        if (steady < majority(world))
            continue;
        world->counts.steady++;
        return address == claim->answer->address;
    }
    return true;
}

/* How many Sentinels told the agent so, last and in time, in reply to requests sent after `after_ms`. */
static int count_votes(const struct world *world, const struct claim *claim, int64_t after_ms)
{
    const struct ghost_vote *votes = world->ghost.agents[claim->agent].votes[claim->service];
    unsigned told_by = 0; /* a bit for each Sentinel */

    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (votes[i].view == claim->answer->address && votes[i].sent_ms > after_ms)
            told_by |= 1u << votes[i].sentinel;
    return __builtin_popcount(told_by);
}

static bool is_voted(struct world *world, const struct claim *claim)
{
    int votes = count_votes(world, claim, world->now_ms - world->config.vote_life_ms);
    int64_t threshold = world->config.threshold;

    return votes >= threshold && claim->answer->votes >= threshold && claim->answer->votes <= votes;
}

static bool is_behind_barrier(struct world *world, const struct claim *claim)
{
    int64_t dissent_ms = world->ghost.agents[claim->agent].dissent_ms[claim->service];

    if (world->now_ms - dissent_ms >= QUORUM_HOLD_MS - QUORUM_SUSPECT_INTERVAL_MS)
        return true;
    world->counts.barred++;
    return count_votes(world, claim, dissent_ms - QUORUM_SUSPECT_INTERVAL_MS) >= (int)world->config.threshold;
}

static bool is_mapped(struct world *world, const struct claim *claim)
{
    bool in_map = claim->answer->address < SIM_SERVERS;

    return claim->answer->has_master == in_map && (in_map || world->config.allow_any_address);
}

/* The generation counts the switches: it never falls, and one generation has one master. */
static bool is_of_its_generation(struct world *world, const struct claim *claim)
{
    struct ghost_agent *ghost = &world->ghost.agents[claim->agent];
    uint64_t generation = (uint64_t)claim->answer->generation;
    uint64_t last = ghost->last_generation[claim->service];
    bool is_same = ghost->last_named[claim->service] == claim->answer->address;

    ghost->last_generation[claim->service] = generation;
    ghost->last_named[claim->service] = claim->answer->address;
    return generation == last ? is_same : generation > last && (generation > last + 1 || !is_same);
}

static const struct {
    const char *name;
    bool (*holds)(struct world *world, const struct claim *claim);
} invariants[] = {
    {"I1 backed", is_backed}, {"I3 resurrection", is_no_resurrection},
    {"I4 votes", is_voted},   {"barrier", is_behind_barrier},
    {"I5 map", is_mapped},    {"generation", is_of_its_generation},
};

void ghost_compare(struct world *world, unsigned service, const struct sim_answer *a,
                   const struct sim_answer *b)
{
    if (a->address < 0 || b->address < 0 || a->address == b->address)
        return;
    world->counts.compared++;
    if (world->ghost.changed_ms[service] < world->now_ms - world->config.vote_life_ms)
        ghost_broken(world, "I2 agreement", "service %u: the agents answer %d and %d", service, a->address,
                     b->address);
}

void ghost_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer)
{
    struct claim claim = {.agent = agent, .service = service, .answer = answer};

    if (answer->address < 0) {
        progress_check(world, agent, service, answer);
        return;
    }
    world->counts.named++;
    for (size_t i = 0; i < sizeof(invariants) / sizeof(*invariants); i++)
        if (!invariants[i].holds(world, &claim))
            ghost_broken(world, invariants[i].name, "agent %u service %u: answer %d with %lld votes", agent,
                         service, answer->address, (long long)answer->votes);
    progress_check(world, agent, service, answer);
}
