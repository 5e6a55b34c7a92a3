#include "tests/sim/ghost.h"

#include "tests/sim/agent_model.h"
#include "tests/sim/progress.h"
#include "tests/sim/sentinel_model.h"

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
        for (unsigned k = 0; k < SIM_SENTINELS_MAX; k++) {
            ghost->votes[i][k] = (struct ghost_vote){.sent_ms = INT64_MIN / 2, .view = VIEW_NIL};
            ghost->facts[i][k] = (struct ghost_facts){.sent_ms = INT64_MIN / 2, .witness_ms = INT64_MIN / 2};
        }
        for (unsigned k = 0; k <= SIM_SERVERS; k++)
            ghost->roles[i][k] = (struct ghost_role){.sent_ms = INT64_MIN / 2};
        ghost->kept_ms[i] = 0;
        ghost->named_ms[i] = INT64_MIN / 2;
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
    int64_t now_ms = agent_now_ms(world, link->agent);
    if (now_ms - sent_ms > world->config.reply_timeout_ms)
        return;
    bool is_news = vote->view != view || now_ms - vote->sent_ms >= world->config.vote_life_ms;
    if (is_news && view >= 0 && view != ghost->last_named[service])
        ghost->dissent_ms[service] = now_ms;
    *vote = (struct ghost_vote){.sent_ms = sent_ms, .sentinel = link->sentinel, .view = view};
}

void ghost_told(struct world *world, const struct sim_link *link, const struct event_item *item,
                int64_t sent_ms)
{
    struct ghost_agent *ghost = &world->ghost.agents[link->agent];
    struct ghost_facts *facts = &ghost->facts[item->service][link->voter];

    switch ((enum reply_item_kind)item->kind) {
    case REPLY_ITEM_FACTS:
    case REPLY_ITEM_FACTS_DOWN:
        world_trace(world, "agent %u service %u: entry %u (sentinel %u) says that %d is %s", link->agent,
                    item->service, link->voter, link->sentinel, item->value,
                    item->kind == REPLY_ITEM_FACTS_DOWN ? "down" : "not down");
        facts->sent_ms = sent_ms;
        facts->sentinel = link->sentinel;
        facts->address = item->value;
        facts->is_down = item->kind == REPLY_ITEM_FACTS_DOWN;
        break;
    case REPLY_ITEM_WITNESS:
        world_trace(world, "agent %u service %u: entry %u (sentinel %u) sees %s majority, asked at %lld",
                    link->agent, item->service, link->voter, link->sentinel, item->value == 1 ? "a" : "no",
                    (long long)(sent_ms - SIM_START_MS));
        facts->witness_ms = item->value == 1 ? sent_ms : INT64_MIN / 2;
        break;
    case REPLY_ITEM_MYID:
    case REPLY_ITEM_RUN_ID:
    case REPLY_ITEM_REFUSED:
        /* It may be another than before: then the agent drops what it was told, and may have done so already. */
        for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
            ghost->facts[i][link->voter].sent_ms = INT64_MIN / 2;
            ghost->votes[i][link->voter].may_be_dropped = true;
        }
        break;
    default:
        break;
    }
}

void ghost_role(struct world *world, unsigned agent, unsigned service, uint8_t address, int8_t role,
                int64_t sent_ms)
{
    world_trace(world, "agent %u service %u: node %u says that it is %d", agent, service, address, role);
    struct ghost_role *told =
        &world->ghost.agents[agent].roles[service][address < SIM_SERVERS ? address : SIM_SERVERS];
    if (address != told->address || sent_ms >= told->sent_ms)
        *told = (struct ghost_role){.sent_ms = sent_ms, .address = address, .role = role};
}

void ghost_fenced(struct world *world, unsigned agent, unsigned service)
{
    int64_t fence_ms = world->config.policy.fence_ms;

    world->counts.fenced++;
    if (fence_ms == 0 || agent_now_ms(world, agent) - world->ghost.agents[agent].named_ms[service] < fence_ms)
        ghost_broken(world, "fence", "agent %u service %u is fenced too soon", agent, service);
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
    int votes = count_votes(world, claim, agent_now_ms(world, claim->agent) - world->config.vote_life_ms);
    int64_t threshold = world->config.threshold;

    return votes >= threshold && claim->answer->votes >= threshold && claim->answer->votes <= votes;
}

static bool is_behind_barrier(struct world *world, const struct claim *claim)
{
    int64_t dissent_ms = world->ghost.agents[claim->agent].dissent_ms[claim->service];

    if (agent_now_ms(world, claim->agent) - dissent_ms >= QUORUM_HOLD_MS - QUORUM_SUSPECT_INTERVAL_MS)
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

/* Whether something that was asked for at `sent_ms` still counts. */
static bool is_fresh(const struct world *world, unsigned agent, int64_t sent_ms)
{
    return agent_now_ms(world, agent) - sent_ms < world->config.vote_life_ms;
}

/* How many Sentinels told this agent last, and lately, that the named node is down. */
static unsigned count_down(const struct world *world, const struct claim *claim)
{
    const struct ghost_facts *facts = world->ghost.agents[claim->agent].facts[claim->service];
    const uint8_t *identities = world->agents[claim->agent].identities;
    uint64_t told_by = 0;

    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (facts[i].is_down && facts[i].address == claim->answer->address &&
            identities[i] != QUORUM_NO_IDENTITY && is_fresh(world, claim->agent, facts[i].sent_ms))
            told_by |= UINT64_C(1) << identities[i];
    return (unsigned)__builtin_popcountll(told_by);
}

static bool is_not_vetoed(struct world *world, const struct claim *claim)
{
    const struct ghost_agent *ghost = &world->ghost.agents[claim->agent];
    unsigned named = (unsigned)claim->answer->address;
    const struct ghost_role *role = &ghost->roles[claim->service][named < SIM_SERVERS ? named : SIM_SERVERS];
    bool is_about = role->address == claim->answer->address && is_fresh(world, claim->agent, role->sent_ms);
    enum role_check check = world->config.policy.role_check;

    if (check != ROLE_CHECK_OFF && is_about && role->role != NODE_ROLE_MASTER)
        return false;
    if (check == ROLE_CHECK_REQUIRE && ghost->last_named[claim->service] != claim->answer->address &&
        !is_about)
        return false;
    return count_down(world, claim) < world->config.threshold;
}

/* Whether the agent knows who answers at this entry, and that nobody else does: else its vote may not count. */
static bool has_voice(const struct world *world, unsigned agent, unsigned voter)
{
    const uint8_t *identities = world->agents[agent].identities;

    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (i != voter && identities[i] == identities[voter])
            return false;
    return identities[voter] != QUORUM_NO_IDENTITY;
}

/* Nobody in reach names another. */
static bool is_undisputed(const struct world *world, const struct claim *claim)
{
    const struct ghost_vote *votes = world->ghost.agents[claim->agent].votes[claim->service];

    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (votes[i].view >= 0 && votes[i].view != claim->answer->address && !votes[i].may_be_dropped &&
            is_fresh(world, claim->agent, votes[i].sent_ms) && has_voice(world, claim->agent, i))
            return false;
    return true;
}

static bool is_witness_there(struct world *world, const struct claim *claim)
{
    const struct ghost_agent *ghost = &world->ghost.agents[claim->agent];

    world->counts.witnessed++;
    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (ghost->votes[claim->service][i].view == claim->answer->address &&
            is_fresh(world, claim->agent, ghost->votes[claim->service][i].sent_ms) &&
            is_fresh(world, claim->agent, ghost->facts[claim->service][i].witness_ms))
            return world->config.policy.witness && is_undisputed(world, claim);
    return false;
}

static bool is_keeping_allowed(struct world *world, const struct claim *claim)
{
    const struct ghost_agent *ghost = &world->ghost.agents[claim->agent];

    world->counts.kept++;
    return agent_now_ms(world, claim->agent) - ghost->kept_ms[claim->service] <
               world->config.policy.keep_ms &&
           ghost->last_named[claim->service] == claim->answer->address && is_undisputed(world, claim);
}

#define STATE(name) (1u << SERVICE_##name)
#define ALL (STATE(OK) | STATE(WITNESSED) | STATE(KEPT))

/* The last one notes whom the answer names, for the others. */
static const struct {
    const char *name;
    unsigned states; /* that it is about */
    bool (*holds)(struct world *world, const struct claim *claim);
} invariants[] = {
    {"I1 backed", STATE(OK), is_backed},
    {"I3 resurrection", STATE(OK), is_no_resurrection},
    {"I4 votes", STATE(OK), is_voted},
    {"barrier", STATE(OK), is_behind_barrier},
    {"I5 map", ALL, is_mapped},
    {"I6 veto", ALL, is_not_vetoed},
    {"witnessed", STATE(WITNESSED), is_witness_there},
    {"kept", STATE(KEPT), is_keeping_allowed},
    {"generation", ALL, is_of_its_generation},
};

void ghost_compare(struct world *world, unsigned service, const struct sim_answer *a,
                   const struct sim_answer *b)
{
    if (a->address < 0 || b->address < 0 || a->address == b->address || a->state != SERVICE_OK ||
        b->state != SERVICE_OK)
        return;
    world->counts.compared++;
    if (world->ghost.changed_ms[service] < world->now_ms - world->config.vote_life_ms)
        ghost_broken(world, "I2 agreement", "service %u: the agents answer %d and %d", service, a->address,
                     b->address);
}

void ghost_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer)
{
    struct claim claim = {.agent = agent, .service = service, .answer = answer};
    struct ghost_agent *ghost = &world->ghost.agents[agent];

    if (answer->state != SERVICE_KEPT)
        ghost->kept_ms[service] = 0;
    else if (ghost->kept_ms[service] == 0)
        ghost->kept_ms[service] = agent_now_ms(world, agent);
    world->counts.vetoes += answer->state == SERVICE_NOT_MASTER;
    world->counts.downs += answer->state == SERVICE_DOWN;
    if (answer->address < 0) {
        progress_check(world, agent, service, answer);
        return;
    }
    world->counts.named++;
    world->counts.named_by[world->config.source]++;
    ghost->named_ms[service] = agent_now_ms(world, agent);
    for (size_t i = 0; i < sizeof(invariants) / sizeof(*invariants); i++)
        if ((invariants[i].states >> answer->state & 1) != 0 && !invariants[i].holds(world, &claim))
            ghost_broken(world, invariants[i].name, "agent %u service %u: answer %d with %lld votes", agent,
                         service, answer->address, (long long)answer->votes);
    progress_check(world, agent, service, answer);
}
