#include "tests/sim/progress.h"

#include "tests/sim/agent_model.h"
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
static bool is_erratic(const struct sim_file *file, const struct sim_path *path)
{
    return round_trip_ms(path) > file->reply_timeout_ms && 2 * path->min_ms <= file->reply_timeout_ms;
}

/* The view that the voter's votes are for while nothing changes; VIEW_DOWN where it has none that count. */
static int8_t effective_view(struct world *world, const struct sim_set *set, unsigned voter, unsigned service)
{
    const struct sim_link *link = network_link(world, set, voter, false);
    const struct sim_sentinel *sentinel = &world->sentinels[link->sentinel];

    if (!link->is_open || !link->is_ready || !sentinel->up ||
        round_trip_ms(network_path(world, link)) > set->file.reply_timeout_ms)
        return VIEW_DOWN;
    if (world->config.source == VOTER_SOURCE_CLUSTER && sentinel->sees_no_majority)
        return VIEW_ERROR;
    return sentinel->views[service];
}

/* Whether an earlier voter has the same identity, or a later one has it with another view. */
static bool is_doubtful(struct world *world, const struct sim_set *set, unsigned voter, unsigned service,
                        int8_t view)
{
    unsigned identity = world->sentinels[network_link(world, set, voter, false)->sentinel].identity;

    for (unsigned i = 0; i < set->file.voters; i++) {
        int8_t other = effective_view(world, set, i, service);
        if (i == voter || other == VIEW_DOWN ||
            world->sentinels[network_link(world, set, i, false)->sentinel].identity != identity)
            continue;
        if (i < voter || other != view)
            return true;
    }
    return false;
}

/* The address that a majority in reach agrees on, or VIEW_NIL. */
static int8_t agreed_address(struct world *world, const struct sim_set *set, unsigned service)
{
    unsigned votes[SIM_ADDRESSES] = {0};

    for (unsigned i = 0; i < set->file.voters; i++) {
        int8_t view = effective_view(world, set, i, service);
        if (view >= 0 && !is_doubtful(world, set, i, service, view))
            votes[view]++;
    }
    for (int8_t address = 0; address < SIM_ADDRESSES; address++)
        if (votes[address] >= set->file.threshold)
            return address;
    return VIEW_NIL;
}

static bool has_erratic_path(const struct world *world, const struct sim_set *set)
{
    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (is_erratic(&set->file, &world->agents[set->agent].paths[i]))
            return true;
    return false;
}

/* Whether every published change reaches the agent at once: all subscriptions are there, all paths quick. */
static bool is_pushed_to(struct world *world, const struct sim_set *set)
{
    for (unsigned i = 0; i < set->file.voters; i++) {
        const struct sim_link *hints = network_link(world, set, i, true);
        const struct sim_link *query = network_link(world, set, i, false);
        if (!hints->is_open || !hints->is_ready || !query->is_open || !query->is_ready ||
            hints->sentinel != query->sentinel ||
            round_trip_ms(network_path(world, hints)) > QUICK_ROUND_TRIP_MS)
            return false;
    }
    return true;
}

/* Whether something beside the votes speaks, or spoke lately, against a node; then nothing is due. */
static bool is_spotless(struct world *world, const struct sim_set *set, unsigned service, int8_t address)
{
    const struct sim_file *file = &set->file;
    int64_t heard_ms = world->ghost.sets[set->number].leaving[service].heard_ms;
    int64_t settled_ms = 2 * file->poll_ms + file->reply_timeout_ms + file->vote_life_ms;

    if (world->now_ms - world->ghost.node_changed_ms[service] < settled_ms)
        return false;
    if (file->policy.early_fence &&
        agent_now_ms(world, set->agent) - heard_ms < file->policy.early_fence_max_ms + settled_ms)
        return false;
    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (world->sentinels[i].is_down[service] ||
            (file->policy.down_after_ms > 0 && world->sentinels[i].master_lost_ms[service] != 0))
            return false;
    return file->policy.role_check == ROLE_CHECK_OFF ||
           (file->policy.role_check == ROLE_CHECK_VETO && world->nodes[service][address] == NODE_ROLE_MASTER);
}

static void check_name(struct world *world, const struct sim_set *set, unsigned service,
                       const struct sim_answer *answer, const char *invariant)
{
    int8_t due = agreed_address(world, set, service);
    bool is_nameable = due < SIM_SERVERS || world->config.allow_any_address;

    if (due < 0 || !is_spotless(world, set, service, due) ||
        (is_nameable ? answer->address == due : answer->state == SERVICE_UNKNOWN_ADDRESS))
        return;
    ghost_broken(world, invariant, "agent %u service %u: state %d, address %d, where %d is due", set->agent,
                 service, answer->state, answer->address, due);
}

/* Whether a majority in reach has not heard the master `address` for `silent_ms`. */
static bool is_unheard(struct world *world, const struct sim_set *set, unsigned service, int8_t address,
                       int64_t silent_ms)
{
    unsigned count = 0;

    for (unsigned i = 0; i < set->file.voters; i++) {
        unsigned number = network_link(world, set, i, false)->sentinel;
        int64_t lost_ms = world->sentinels[number].master_lost_ms[service];
        if (effective_view(world, set, i, service) == address &&
            !is_doubtful(world, set, i, service, address) && lost_ms != 0 &&
            world->now_ms - lost_ms >= silent_ms)
            count++;
    }
    return count >= set->file.threshold;
}

/* `down-after`: a sentry is polled, which does not hear the master. Then all others are asked. */
static void check_silence(struct world *world, const struct sim_set *set, unsigned service,
                          const struct sim_answer *answer, int64_t poll_due_ms)
{
    const struct ghost *ghost = &world->ghost;
    int64_t due_ms = poll_due_ms + VOTER_WATCH_MS + set->file.reply_timeout_ms;
    int8_t address = agreed_address(world, set, service);

    if (set->file.policy.down_after_ms == 0 || address < 0 || world->config.source != VOTER_SOURCE_SENTINEL ||
        world->now_ms - ghost->sets[set->number].disturbed_until_ms < due_ms ||
        world->now_ms - ghost->changed_ms[service] < due_ms ||
        !is_unheard(world, set, service, address, set->file.policy.down_after_ms + due_ms))
        return;
    world->counts.owed_silences++;
    if (answer->address == address)
        ghost_broken(world, "I7-silence progress", "agent %u service %u: address %d is named, and silent",
                     set->agent, service, address);
}

/* A link that nothing hinders must be there: after a failure that is noticed by silence, a back-off at its
 * longest, and attempts. */
static void check_links(struct world *world, const struct sim_set *set)
{
    const struct sim_file *file = &set->file;
    int64_t due_ms = world->ghost.sets[set->number].shaken_until_ms + 2 * file->poll_ms +
                     file->reply_timeout_ms + 2000 + 4 * SIM_CONNECT_TIMEOUT_MS;

    if (world->now_ms < due_ms || file->has_wrong_password)
        return;
    for (unsigned i = 0; i < file->voters; i++) {
        const struct sim_link *link = network_link(world, set, i, false);
        unsigned goal = link->is_open ? link->sentinel : network_route(world, set, i);
        const struct sim_sentinel *sentinel = &world->sentinels[goal];
        const struct sim_path *path = &world->agents[set->agent].paths[goal];
        if (!sentinel->up || sentinel->refuses_myid || round_trip_ms(path) >= SIM_CONNECT_TIMEOUT_MS ||
            round_trip_ms(path) > file->reply_timeout_ms)
            continue;
        world->counts.owed_links++;
        if (!link->is_open || !link->is_ready)
            ghost_broken(world, "I7-link progress", "agent %u is not connected to entry %u", set->agent, i);
    }
}

void progress_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer)
{
    const struct ghost *ghost = &world->ghost;
    const struct sim_agent *self = &world->agents[agent];
    const struct sim_set *set = agent_set_of(world, agent, service);
    int64_t slack_ms = self->timer_lag_ms + MARGIN_MS;
    int64_t poll_due_ms = set->file.poll_ms + set->file.reply_timeout_ms + QUORUM_HOLD_MS + slack_ms;
    int64_t push_due_ms = 3 * QUICK_ROUND_TRIP_MS + slack_ms;
    int64_t calm_ms = world->now_ms - ghost->sets[set->number].disturbed_until_ms;

    if (calm_ms < poll_due_ms || has_erratic_path(world, set))
        return;
    if (world->now_ms - ghost->changed_ms[service] >= poll_due_ms) {
        world->counts.owed++;
        check_name(world, set, service, answer, "I7-poll progress");
    } else if (world->now_ms - ghost->silent_ms[service] >= poll_due_ms &&
               world->now_ms - ghost->changed_ms[service] >= push_due_ms && is_pushed_to(world, set)) {
        world->counts.owed_soon++;
        check_name(world, set, service, answer, "I7-push progress");
    }
    check_silence(world, set, service, answer, poll_due_ms);
    check_links(world, set);
}
