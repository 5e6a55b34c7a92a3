/* What a configuration file says, and what is changed in it. */
#include "tests/sim/script.h"

static void shuffle(struct rng *rng, uint8_t *numbers, unsigned count)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned other = rng_below(rng, i);
        uint8_t number = numbers[i - 1];
        numbers[i - 1] = numbers[other];
        numbers[other] = number;
    }
}

static void draw_times(struct world *world, struct sim_file *file)
{
    struct rng *rng = &world->rng;
    bool is_default = rng_chance(rng, 60);

    file->poll_ms = is_default ? 1000 : rng_between(rng, 200, 1000);
    file->reply_timeout_ms = is_default ? 500 : rng_between(rng, 100, 500);
    file->vote_life_ms =
        file->poll_ms + file->reply_timeout_ms + (is_default ? 500 : rng_between(rng, 50, 600));
}

static void draw_limits(struct world *world, struct sim_file *file)
{
    struct rng *rng = &world->rng;

    file->park_ms = rng_chance(rng, 65) ? 0 : rng_between(rng, 100, rng_chance(rng, 50) ? 1500 : 6000);
    if (world->config.source == VOTER_SOURCE_SENTINEL && rng_chance(rng, 15))
        file->park_ms = PARK_AUTO;
    file->policy.keep_ms = rng_chance(rng, 80) ? 0 : rng_between(rng, 100, 4000);
    file->policy.fence_ms = rng_chance(rng, 70) ? 0 : rng_between(rng, 100, 3000);
    file->policy.early_fence_max_ms = rng_between(rng, 300, SIM_EARLY_FENCE_MAX_MS);
    file->policy.debounce_ms = rng_chance(rng, 50) ? 1000 : 0;
    file->policy.down_after_ms = 0;
    if (world->config.source != VOTER_SOURCE_CLUSTER && rng_chance(rng, 30))
        file->policy.down_after_ms = rng_between(rng, 1500, 3000);
    file->policy.witness_age_ms =
        world->config.source == VOTER_SOURCE_SENTINEL ? file->policy.down_after_ms : 0;
}

/* Most agents name what a majority names and nothing else. Nodes bear no witness. */
static struct policy_config draw_policy(struct world *world)
{
    static const enum role_check checks[] = {ROLE_CHECK_OFF, ROLE_CHECK_OFF, ROLE_CHECK_VETO, ROLE_CHECK_VETO,
                                             ROLE_CHECK_REQUIRE};
    struct rng *rng = &world->rng;

    return (struct policy_config){
        .role_check = checks[rng_below(rng, sizeof(checks) / sizeof(*checks))],
        .keep_when = rng_chance(rng, 50) ? KEEP_WHEN_UNREACHABLE : KEEP_WHEN_REFUSED,
        .witness = rng_chance(rng, 20) && world->config.source == VOTER_SOURCE_SENTINEL,
        .early_fence = rng_chance(rng, 25) && world->config.source == VOTER_SOURCE_SENTINEL,
        .confirm_ms = SIM_CONNECT_TIMEOUT_MS,
    };
}

/* All Sentinels, or all but the spare one: so any two majorities have one in common. */
static void list_voters(const struct world *world, struct sim_file *file, bool with_spare)
{
    unsigned beyond = file->threshold - quorum_majority(file->voters);

    file->voters = 0;
    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (with_spare || i != world->config.spare)
            file->entries[file->voters++] = (uint8_t)i;
    file->threshold = quorum_majority(file->voters) + beyond;
    if (file->threshold > file->voters)
        file->threshold = file->voters;
}

void script_draw_file(struct world *world, struct sim_file *file)
{
    unsigned sentinels = world->config.sentinels;

    *file = (struct sim_file){
        .voters = sentinels,
        .threshold = quorum_majority(sentinels),
        .map = {0, 1, 2},
        .policy = draw_policy(world),
    };
    if (rng_chance(&world->rng, 10))
        file->threshold = (unsigned)rng_between(&world->rng, file->threshold, sentinels);
    list_voters(world, file, rng_chance(&world->rng, 50));
    for (unsigned i = 0; i < world->config.services; i++)
        file->has_service[i] = i == 0 || rng_chance(&world->rng, 90);
    draw_times(world, file);
    draw_limits(world, file);
}

/* ---- what is changed ---- */

static void change_nothing(struct world *world, struct sim_file *file)
{
    (void)world;
    (void)file;
}

static void change_order(struct world *world, struct sim_file *file)
{
    shuffle(&world->rng, file->entries, file->voters);
}

static void change_voters(struct world *world, struct sim_file *file)
{
    list_voters(world, file, file->voters < world->config.sentinels);
    shuffle(&world->rng, file->entries, file->voters);
}

static void change_map(struct world *world, struct sim_file *file)
{
    shuffle(&world->rng, file->map, SIM_SERVERS);
}

/* There is always one. */
static void change_services(struct world *world, struct sim_file *file)
{
    unsigned service = rng_below(&world->rng, world->config.services);
    unsigned others = 0;

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        others += i != service && file->has_service[i];
    file->has_service[service] = others == 0 || !file->has_service[service];
}

static void spoil_password(struct world *world, struct sim_file *file)
{
    (void)world;
    file->has_wrong_password = true;
}

void script_change_file(struct world *world, struct sim_file *file)
{
    static void (*const changes[])(struct world * world, struct sim_file * file) = {
        change_nothing, change_nothing, draw_times,      draw_limits,    change_order,
        change_voters,  change_map,     change_services, spoil_password,
    };

    file->has_wrong_password = false;
    for (unsigned i = 1 + rng_chance(&world->rng, 30); i > 0; i--)
        changes[rng_below(&world->rng, sizeof(changes) / sizeof(*changes))](world, file);
}
