#include "tests/sim/script.h"

void script_draw_path(struct world *world, struct sim_path *path, unsigned percent_quick)
{
    static const struct {
        int64_t min_ms;
        int64_t spread_ms;
    } kinds[] = {{5, 10}, {60, 20}, {120, 30}, {280, 40}, {0, 600}};
    unsigned kind = rng_below(&world->rng, sizeof(kinds) / sizeof(*kinds));

    path->min_ms = kinds[kind].min_ms;
    path->spread_ms = kinds[kind].spread_ms;
    if (rng_chance(&world->rng, percent_quick)) {
        path->min_ms = rng_between(&world->rng, 0, 2);
        path->spread_ms = rng_between(&world->rng, 0, 2);
    }
}

static void draw_times(struct rng *rng, struct sim_file *file)
{
    bool is_default = rng_chance(rng, 60);

    file->poll_ms = is_default ? 1000 : rng_between(rng, 200, 1000);
    file->reply_timeout_ms = is_default ? 500 : rng_between(rng, 100, 500);
    file->vote_life_ms =
        file->poll_ms + file->reply_timeout_ms + (is_default ? 500 : rng_between(rng, 50, 600));
}

static void configure_agent(struct world *world, struct sim_agent *agent)
{
    bool is_near = rng_chance(&world->rng, 70);

    agent->clock_ms = 0;
    agent->timer_lag_ms = rng_chance(&world->rng, 70) ? 0 : rng_between(&world->rng, 1, 20);
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        bool is_shared = world->config.shared_routes && rng_chance(&world->rng, 40);
        agent->routes[i] = (uint8_t)(is_shared ? rng_below(&world->rng, world->config.sentinels) : i);
        agent->paths[i] = (struct sim_path){.min_ms = 0};
        script_draw_path(world, &agent->paths[i], is_near ? 100 : 60);
    }
}

/* Most agents name what a majority names and nothing else. */
static struct policy_config draw_policy(struct rng *rng)
{
    static const enum role_check checks[] = {ROLE_CHECK_OFF, ROLE_CHECK_OFF, ROLE_CHECK_VETO, ROLE_CHECK_VETO,
                                             ROLE_CHECK_REQUIRE};

    return (struct policy_config){
        .role_check = checks[rng_below(rng, sizeof(checks) / sizeof(*checks))],
        .keep_when = rng_chance(rng, 50) ? KEEP_WHEN_UNREACHABLE : KEEP_WHEN_REFUSED,
        .witness = rng_chance(rng, 20),
        .keep_ms = rng_chance(rng, 80) ? 0 : rng_between(rng, 100, 4000),
        .fence_ms = rng_chance(rng, 70) ? 0 : rng_between(rng, 100, 3000),
        .debounce_ms = rng_chance(rng, 50) ? 1000 : 0,
        .confirm_ms = SIM_CONNECT_TIMEOUT_MS,
    };
}

/* Most worlds have Sentinels. Nodes publish nothing, and a node that answers under another's address is another setup. */
static void configure_source(struct world *world)
{
    static const enum voter_source sources[] = {VOTER_SOURCE_SENTINEL, VOTER_SOURCE_SENTINEL,
                                                VOTER_SOURCE_SENTINEL, VOTER_SOURCE_REPLICATION,
                                                VOTER_SOURCE_CLUSTER};
    struct sim_config *config = &world->config;

    config->source = sources[rng_below(&world->rng, sizeof(sources) / sizeof(*sources))];
    if (config->source == VOTER_SOURCE_SENTINEL)
        return;
    config->subscribe = false;
    config->shared_routes = false;
    config->file.policy.witness = false;
    if (config->source == VOTER_SOURCE_REPLICATION)
        config->services = 1;
}

void script_configure(struct world *world)
{
    static const uint8_t sizes[] = {1, 2, 3, 3, 3, 3, 3, 4, 5, 5};
    struct sim_config *config = &world->config;

    config->sentinels = sizes[rng_below(&world->rng, sizeof(sizes))];
    config->services = 1 + rng_below(&world->rng, SIM_SERVICES_MAX);
    config->agents = 1 + rng_below(&world->rng, SIM_AGENTS_MAX);
    config->subscribe = rng_chance(&world->rng, 70);
    config->password = rng_chance(&world->rng, 25);
    config->allow_any_address = rng_chance(&world->rng, 20);
    config->shared_routes = rng_chance(&world->rng, 12);
    config->file = (struct sim_file){
        .voters = config->sentinels,
        .threshold = config->sentinels / 2 + 1,
        .policy = draw_policy(&world->rng),
    };
    if (rng_chance(&world->rng, 10))
        config->file.threshold =
            (unsigned)rng_between(&world->rng, config->file.threshold, config->sentinels);
    for (unsigned i = 0; i < config->sentinels; i++)
        config->file.entries[i] = (uint8_t)i;
    draw_times(&world->rng, &config->file);
    configure_source(world);
    for (unsigned i = 0; i < config->agents; i++)
        configure_agent(world, &world->agents[i]);
}
