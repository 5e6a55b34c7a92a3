#include "tests/sim/agent_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/progress.h"
#include "tests/sim/replies.h"

/* An answer to be checked. */
struct claim {
    unsigned agent;
    unsigned service;
    const struct sim_set *set;     /* by which it was given */
    const struct ghost_set *ghost; /* what that was told */
    int64_t now_ms;                /* by the agent's clock */
    const struct sim_answer *answer;
    int ruled; /* the answer's state, or what it would be without a doubt */
};

/* Whether the Sentinel had that view at some instant in [now - F, now]. At the millisecond of a change both
 * views were there. */
static bool had_view(const struct world *world, const struct claim *claim, unsigned sentinel)
{
    const struct ghost_views *views = &world->ghost.views[sentinel][claim->service];
    int64_t since_ms = world->now_ms - claim->set->file.vote_life_ms;

    for (unsigned i = views->count; i > 0 && views->count - i < GHOST_VIEWS_MAX; i--) {
        unsigned place = (i - 1) % GHOST_VIEWS_MAX;
        if (views->log[place].view == claim->answer->address)
            return true;
        if (views->log[place].since_ms < since_ms)
            return false;
    }
    return false;
}

/* Whether it had that view throughout [now - F, now]. */
static bool kept_view(const struct world *world, const struct claim *claim, unsigned sentinel, int8_t view)
{
    const struct ghost_views *views = &world->ghost.views[sentinel][claim->service];
    unsigned place = (views->count - 1) % GHOST_VIEWS_MAX;

    return views->log[place].view == view &&
           views->log[place].since_ms < world->now_ms - claim->set->file.vote_life_ms;
}

/*
 * Where entries may reach the same Sentinel, all Sentinels are configured: then each of them is where some
 * entry was.
 */
static bool is_backed(struct world *world, const struct claim *claim)
{
    const struct sim_file *file = &claim->set->file;
    unsigned backers = 0;

    for (unsigned i = 0; i < file->voters; i++)
        backers += had_view(world, claim, file->entries[i]);
    return backers >= quorum_majority(file->voters);
}

static bool is_no_resurrection(struct world *world, const struct claim *claim)
{
    const struct sim_file *file = &claim->set->file;

    for (int8_t address = 0; address < SIM_ADDRESSES; address++) {
        unsigned steady = 0;
        for (unsigned i = 0; i < file->voters; i++)
            steady += kept_view(world, claim, file->entries[i], address);
        if (steady < quorum_majority(file->voters))
            continue;
        world->counts.steady++;
        return address == claim->answer->address;
    }
    return true;
}

/* How many Sentinels told the agent so, last and in time, in reply to requests sent after `after_ms`. */
static int count_votes(const struct claim *claim, int64_t after_ms)
{
    const struct ghost_vote *votes = claim->ghost->votes[claim->service];
    unsigned told_by = 0; /* a bit for each Sentinel */

    for (unsigned i = 0; i < claim->set->file.voters; i++)
        if (votes[i].view == claim->answer->address && votes[i].sent_ms > after_ms)
            told_by |= 1u << votes[i].sentinel;
    return __builtin_popcount(told_by);
}

static bool is_voted(struct world *world, const struct claim *claim)
{
    int votes = count_votes(claim, claim->now_ms - claim->set->file.vote_life_ms);
    int64_t threshold = claim->set->file.threshold;

    (void)world;
    return votes >= threshold && claim->answer->votes >= threshold && claim->answer->votes <= votes;
}

static bool is_behind_barrier(struct world *world, const struct claim *claim)
{
    int64_t dissent_ms = claim->ghost->dissent_ms[claim->service];

    if (claim->now_ms - dissent_ms >= QUORUM_HOLD_MS - QUORUM_SUSPECT_INTERVAL_MS)
        return true;
    world->counts.barred++;
    return count_votes(claim, dissent_ms - QUORUM_SUSPECT_INTERVAL_MS) >= (int)claim->set->file.threshold;
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

/* Whether the observers know of it. */
static bool is_told(struct world *world, const struct claim *claim)
{
    const struct ghost_told *told = &world->ghost.agents[claim->agent].told[claim->service];
    uint64_t generation = (uint64_t)claim->answer->generation;

    return told->generation == generation && told->first_answer == generation &&
           told->address == claim->answer->address;
}

/* Whether something that was asked for at `sent_ms` still counts. */
static bool is_fresh(const struct claim *claim, int64_t sent_ms)
{
    return claim->now_ms - sent_ms < claim->set->file.vote_life_ms;
}

/*
 * How many Sentinels told a set last, and lately, that a node is down, or silent for `limit_ms`. With `at_most`
 * those count, too, whose word the agent may have dropped.
 */
static unsigned count_telling(const struct world *world, const struct sim_set *set, unsigned service,
                              int8_t address, int64_t limit_ms, bool at_most)
{
    const struct ghost_facts *facts = world->ghost.sets[set->number].facts[service];
    int64_t now_ms = agent_now_ms(world, set->agent);
    uint64_t told_by = 0;

    for (unsigned i = 0; i < set->file.voters; i++) {
        bool says_so = limit_ms == 0 ? facts[i].is_down : facts[i].age_ms >= limit_ms;
        if (says_so && (at_most || !facts[i].may_be_dropped) && facts[i].address == address &&
            set->identities[i] != QUORUM_NO_IDENTITY && now_ms - facts[i].sent_ms < set->file.vote_life_ms)
            told_by |= UINT64_C(1) << set->identities[i];
    }
    return (unsigned)__builtin_popcountll(told_by);
}

static bool is_silent(const struct world *world, const struct sim_set *set, unsigned service, int8_t address,
                      bool at_most)
{
    int64_t limit_ms = set->file.policy.down_after_ms;

    return limit_ms > 0 &&
           count_telling(world, set, service, address, limit_ms, at_most) >= set->file.threshold;
}

bool ghost_may_be_silent(const struct world *world, const struct sim_set *set, unsigned service,
                         int8_t address)
{
    return is_silent(world, set, service, address, true);
}

static bool is_not_vetoed(struct world *world, const struct claim *claim)
{
    const struct ghost_role *role = ghost_role_of(world, claim->set, claim->service, claim->answer->address);
    bool is_checked = claim->set->file.policy.role_check != ROLE_CHECK_OFF;

    if (is_checked && role != NULL && role->role != NODE_ROLE_MASTER)
        return false;
    if (is_silent(world, claim->set, claim->service, claim->answer->address, false))
        return false;
    return count_telling(world, claim->set, claim->service, claim->answer->address, 0, false) <
           claim->set->file.threshold;
}

bool ghost_has_voice(const struct sim_set *set, unsigned voter)
{
    const uint8_t *identities = set->identities;

    for (unsigned i = 0; i < set->file.voters; i++)
        if (i != voter && identities[i] == identities[voter])
            return false;
    return identities[voter] != QUORUM_NO_IDENTITY;
}

static bool is_not_leaving(struct world *world, const struct claim *claim)
{
    const struct ghost_leaving *leaving = &claim->ghost->leaving[claim->service];

    (void)world;
    return leaving->address != claim->answer->address ||
           claim->now_ms - leaving->since_ms >= claim->set->file.policy.early_fence_max_ms;
}

static bool is_about(const struct claim *claim, const struct ghost_doubt *doubt)
{
    return doubt->address == claim->answer->address && claim->now_ms < doubt->until_ms;
}

/* A node in doubt is named only where the answer cannot wait, and the state says so. Nobody else is called doubted. */
static bool is_doubt_told(struct world *world, const struct claim *claim)
{
    if (claim->answer->state != SERVICE_DOUBTED)
        return !is_about(claim, &claim->ghost->doubts[claim->service]);
    world->counts.told_doubts++;
    return claim->answer->cannot_wait && is_about(claim, &claim->ghost->spans[claim->service]);
}

/* Nobody in reach names another. */
static bool is_undisputed(const struct claim *claim)
{
    const struct ghost_vote *votes = claim->ghost->votes[claim->service];

    for (unsigned i = 0; i < claim->set->file.voters; i++)
        if (votes[i].view >= 0 && votes[i].view != claim->answer->address && !votes[i].may_be_dropped &&
            is_fresh(claim, votes[i].sent_ms) && ghost_has_voice(claim->set, i))
            return false;
    return true;
}

static bool is_witness_there(struct world *world, const struct claim *claim)
{
    const struct ghost_vote *votes = claim->ghost->votes[claim->service];
    const struct ghost_facts *facts = claim->ghost->facts[claim->service];
    int64_t limit_ms = claim->set->file.policy.witness_age_ms;

    world->counts.witnessed++;
    for (unsigned i = 0; i < claim->set->file.voters; i++)
        if (votes[i].view == claim->answer->address && is_fresh(claim, votes[i].sent_ms) &&
            is_fresh(claim, facts[i].witness_ms) &&
            (limit_ms == 0 || claim->now_ms - facts[i].peers_ms < limit_ms))
            return claim->set->file.policy.witness && is_undisputed(claim);
    return false;
}

static bool is_keeping_allowed(struct world *world, const struct claim *claim)
{
    const struct ghost_agent *ghost = &world->ghost.agents[claim->agent];

    world->counts.kept++;
    return claim->now_ms - ghost->kept_ms[claim->service] < claim->set->file.policy.keep_ms &&
           ghost->told[claim->service].address == claim->answer->address && is_undisputed(claim);
}

#define STATE(name) (1u << SERVICE_##name)
#define ALL (STATE(OK) | STATE(WITNESSED) | STATE(KEPT))

/* The last one notes whom the answer names, for the others. */
static const struct {
    const char *name;
    unsigned states; /* that it is about, by the ruling */
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
    {"early", ALL, is_not_leaving},
    {"doubt", ALL, is_doubt_told},
    {"told", ALL, is_told},
    {"generation", ALL, is_of_its_generation},
};

/* Agents may have read different files. */
static int64_t longest_life_ms(const struct world *world, unsigned service)
{
    int64_t longest_ms = 0;

    for (unsigned i = 0; i < world->config.agents; i++) {
        int64_t life_ms = agent_set_of(world, i, service)->file.vote_life_ms;
        if (life_ms > longest_ms)
            longest_ms = life_ms;
    }
    return longest_ms;
}

void ghost_compare(struct world *world, unsigned service, const struct sim_answer *a,
                   const struct sim_answer *b)
{
    if (a->address < 0 || b->address < 0 || a->address == b->address || a->state != SERVICE_OK ||
        b->state != SERVICE_OK)
        return;
    world->counts.compared++;
    if (world->ghost.changed_ms[service] < world->now_ms - longest_life_ms(world, service))
        ghost_broken(world, "I2 agreement", "service %u: the agents answer %d and %d", service, a->address,
                     b->address);
}

void ghost_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer)
{
    const struct sim_set *set = agent_set_of(world, agent, service);
    struct claim claim = {
        .agent = agent,
        .service = service,
        .set = set,
        .ghost = &world->ghost.sets[set->number],
        .now_ms = agent_now_ms(world, agent),
        .answer = answer,
        .ruled = answer->state == SERVICE_DOUBTED ? (int)service_decision(set->services[service])->ruled
                                                  : answer->state,
    };
    struct ghost_agent *ghost = &world->ghost.agents[agent];

    ghost_note_state(world, agent, service, claim.ruled);
    ghost->answers[service]++;
    world->counts.mixed += world->agents[agent].next_table != NULL;
    world->counts.vetoes += answer->state == SERVICE_NOT_MASTER;
    world->counts.downs += answer->state == SERVICE_DOWN;
    if (answer->address < 0) {
        if (!answer->cannot_wait)
            ghost_broken(world, "parked", "agent %u service %u: nobody is named to whom may wait", agent,
                         service);
        progress_check(world, agent, service, answer);
        return;
    }
    world->counts.named++;
    world->counts.named_by[world->config.source]++;
    ghost->named_ms[service] = claim.now_ms;
    for (size_t i = 0; i < sizeof(invariants) / sizeof(*invariants); i++)
        if ((invariants[i].states >> claim.ruled & 1) != 0 && !invariants[i].holds(world, &claim))
            ghost_broken(world, invariants[i].name, "agent %u service %u: answer %d with %lld votes", agent,
                         service, answer->address, (long long)answer->votes);
    world->ghost.sets[set->number].current[service] = answer->address;
    progress_check(world, agent, service, answer);
}

/* A name that is known is held back for a reason. */
static void check_trust(struct world *world, unsigned agent, unsigned service, int8_t address)
{
    const struct sim_set *set = agent_set_of(world, agent, service);
    const struct ghost_doubt *span = &world->ghost.sets[set->number].spans[service];

    world->counts.distrusted++;
    if (span->address != address || agent_now_ms(world, agent) >= span->until_ms)
        ghost_broken(world, "trust", "agent %u service %u: %d is held back for nothing", agent, service,
                     address);
}

void ghost_check_silence(struct world *world, unsigned agent, unsigned service)
{
    const struct service_decision *decision = service_decision(agent_service(world, agent, service));
    const struct sim_answer answer = {
        .state = (int)decision->state,
        /* One that is in doubt is known all the same. */
        .address = (int8_t)(service_state_names(decision->state) ? reply_number(decision->addr) : -1),
    };

    if (answer.address >= 0)
        check_trust(world, agent, service, answer.address);
    progress_check(world, agent, service, &answer);
}
