#include "tests/sim/haproxy_model.h"
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

/*
 * Most worlds have Sentinels. Nodes publish nothing, and a node that answers under another's address is
 * another setup.
 */
static void configure_source(struct world *world)
{
    static const enum voter_source sources[] = {VOTER_SOURCE_SENTINEL, VOTER_SOURCE_SENTINEL,
                                                VOTER_SOURCE_SENTINEL, VOTER_SOURCE_REPLICATION,
                                                VOTER_SOURCE_CLUSTER};
    struct sim_config *config = &world->config;

    config->source = sources[rng_below(&world->rng, sizeof(sources) / sizeof(*sources))];
    config->spare = SIM_NO_SPARE;
    if (config->sentinels > 1 && rng_chance(&world->rng, 60))
        config->spare = rng_below(&world->rng, config->sentinels);
    if (config->source == VOTER_SOURCE_SENTINEL && config->shared_routes)
        config->spare = SIM_NO_SPARE;
    if (config->source == VOTER_SOURCE_SENTINEL)
        return;
    config->subscribe = false;
    config->shared_routes = false;
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
    configure_source(world);
    script_draw_file(world, &config->file);
    for (unsigned i = 0; i < config->agents; i++)
        configure_agent(world, &world->agents[i]);
    haproxy_configure(world);
}
