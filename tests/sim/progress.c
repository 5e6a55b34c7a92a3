#include "tests/sim/progress.h"

#include "tests/sim/ghost.h"
#include "tests/sim/network.h"

/* A round trip on a path that counts as quick, ms. */
#define QUICK_ROUND_TRIP_MS 8
/* What the model itself may add: several things at one millisecond, rounding. */
#define MARGIN_MS 5

static int64_t round_trip_ms(const struct sim_path *path)
{
    return 2 * (path->min_ms + path->spread_ms);
}

/* A path on which replies are now late and now not makes votes come and go: nothing is due. */
static bool is_erratic(const struct world *world, const struct sim_path *path)
{
    return round_trip_ms(path) > world->config.reply_timeout_ms &&
           2 * path->min_ms <= world->config.reply_timeout_ms;
}

/* The view that the voter's votes are for while nothing changes; VIEW_DOWN where it has none that count. */
static int8_t effective_view(struct world *world, unsigned agent, unsigned voter, unsigned service)
{
    const struct sim_link *link = network_link(world, agent, voter, false);
    const struct sim_sentinel *sentinel = &world->sentinels[link->sentinel];

    if (!link->is_open || !link->is_ready || !sentinel->up ||
        round_trip_ms(network_path(world, link)) > world->config.reply_timeout_ms)
        return VIEW_DOWN;
    if (world->config.source == VOTER_SOURCE_CLUSTER && sentinel->sees_no_majority)
        return VIEW_ERROR;
    return sentinel->views[service];
}

/* Whether an earlier voter has the same identity, or a later one has it with another view. */
static bool is_doubtful(struct world *world, unsigned agent, unsigned voter, unsigned service, int8_t view)
{
    unsigned identity = world->sentinels[network_link(world, agent, voter, false)->sentinel].identity;

    for (unsigned i = 0; i < world->config.sentinels; i++) {
        int8_t other = effective_view(world, agent, i, service);
        if (i == voter || other == VIEW_DOWN ||
            world->sentinels[network_link(world, agent, i, false)->sentinel].identity != identity)
            continue;
        if (i < voter || other != view)
            return true;
    }
    return false;
}

/* The address that a majority in reach agrees on, or VIEW_NIL. */
static int8_t agreed_address(struct world *world, unsigned agent, unsigned service)
{
    unsigned votes[SIM_ADDRESSES] = {0};

    for (unsigned i = 0; i < world->config.sentinels; i++) {
        int8_t view = effective_view(world, agent, i, service);
        if (view >= 0 && !is_doubtful(world, agent, i, service, view))
            votes[view]++;
    }
    for (int8_t address = 0; address < SIM_ADDRESSES; address++)
        if (votes[address] >= world->config.threshold)
            return address;
    return VIEW_NIL;
}

static bool has_erratic_path(const struct world *world, unsigned agent)
{
    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (is_erratic(world, &world->agents[agent].paths[i]))
            return true;
    return false;
}

/* Whether every published change reaches the agent at once: all subscriptions are there, all paths quick. */
static bool is_pushed_to(struct world *world, unsigned agent)
{
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        const struct sim_link *hints = network_link(world, agent, i, true);
        const struct sim_link *query = network_link(world, agent, i, false);
        if (!hints->is_open || !hints->is_ready || !query->is_open || !query->is_ready ||
            hints->sentinel != query->sentinel ||
            round_trip_ms(network_path(world, hints)) > QUICK_ROUND_TRIP_MS)
            return false;
    }
    return true;
}

/* Whether something beside the votes speaks, or spoke lately, against a node; then nothing is due. */
static bool is_spotless(struct world *world, unsigned service, int8_t address)
{
    const struct sim_config *config = &world->config;
    int64_t settled_ms = 2 * config->poll_ms + config->reply_timeout_ms + config->vote_life_ms;

    if (world->now_ms - world->ghost.node_changed_ms[service] < settled_ms)
        return false;
    for (unsigned i = 0; i < config->sentinels; i++)
        if (world->sentinels[i].is_down[service])
            return false;
    return config->policy.role_check == ROLE_CHECK_OFF ||
           (config->policy.role_check == ROLE_CHECK_VETO &&
            world->nodes[service][address] == NODE_ROLE_MASTER);
}

static void check_name(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer,
                       const char *invariant)
{
    int8_t due = agreed_address(world, agent, service);
    bool is_nameable = due < SIM_SERVERS || world->config.allow_any_address;

    if (due < 0 || !is_spotless(world, service, due) ||
        (is_nameable ? answer->address == due : answer->state == SERVICE_UNKNOWN_ADDRESS))
        return;
    ghost_broken(world, invariant, "agent %u service %u: state %d, address %d, where %d is due", agent,
                 service, answer->state, answer->address, due);
}

/* A link that nothing hinders must be there: after a failure that is noticed by silence, a back-off at its
 * longest, and attempts. */
static void check_links(struct world *world, unsigned agent)
{
    const struct sim_config *config = &world->config;
    int64_t due_ms = world->ghost.agents[agent].shaken_until_ms + 2 * config->poll_ms +
                     config->reply_timeout_ms + 2000 + 4 * SIM_CONNECT_TIMEOUT_MS;

    if (world->now_ms < due_ms)
        return;
    for (unsigned i = 0; i < config->sentinels; i++) {
        const struct sim_link *link = network_link(world, agent, i, false);
        unsigned goal = link->is_open ? link->sentinel : world->agents[agent].routes[i];
        const struct sim_sentinel *sentinel = &world->sentinels[goal];
        const struct sim_path *path = &world->agents[agent].paths[goal];
        if (!sentinel->up || sentinel->refuses_myid || round_trip_ms(path) >= SIM_CONNECT_TIMEOUT_MS ||
            round_trip_ms(path) > config->reply_timeout_ms)
            continue;
        world->counts.owed_links++;
        if (!link->is_open || !link->is_ready)
            ghost_broken(world, "I7-link progress", "agent %u is not connected to entry %u", agent, i);
    }
}

void progress_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer)
{
    const struct ghost *ghost = &world->ghost;
    const struct sim_agent *self = &world->agents[agent];
    int64_t slack_ms = self->timer_lag_ms + MARGIN_MS;
    int64_t poll_due_ms = world->config.poll_ms + world->config.reply_timeout_ms + QUORUM_HOLD_MS + slack_ms;
    int64_t push_due_ms = 3 * QUICK_ROUND_TRIP_MS + slack_ms;
    int64_t calm_ms = world->now_ms - ghost->agents[agent].disturbed_until_ms;

    if (calm_ms < poll_due_ms || has_erratic_path(world, agent))
        return;
    if (world->now_ms - ghost->changed_ms[service] >= poll_due_ms) {
        world->counts.owed++;
        check_name(world, agent, service, answer, "I7-poll progress");
    } else if (world->now_ms - ghost->silent_ms[service] >= poll_due_ms &&
               world->now_ms - ghost->changed_ms[service] >= push_due_ms && is_pushed_to(world, agent)) {
        world->counts.owed_soon++;
        check_name(world, agent, service, answer, "I7-push progress");
    }
    check_links(world, agent);
}
