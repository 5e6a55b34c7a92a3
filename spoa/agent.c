#include "spoa/agent.h"

#include <stdlib.h>
#include <sys/random.h>

#include "spoa/core/decision_log.h"
#include "spoa/core/log.h"
#include "spoa/core/metrics.h"
#include "spoa/core/server_check.h"
#include "spoa/core/service_table.h"
#include "spoa/io/check_server.h"
#include "spoa/io/listen_socket.h"
#include "spoa/io/loop.h"
#include "spoa/io/resolver.h"
#include "spoa/io/session_cutter.h"
#include "spoa/io/spop_server.h"
#include "spoa/io/voter_links.h"

/* A service with all that hangs on it. */
struct agent_service {
    struct service_settings settings;
    struct service_server *servers;
    struct service *service;
    struct decision_log log;
};

/* A group of Sentinels and the services that it monitors. */
struct agent_group {
    struct service **services;
    struct role_probe_settings *probes; /* one per service */
    size_t service_count;
    struct voter_links *links;
};

struct agent {
    struct ev_loop *loop;
    const struct config *config;
    struct metrics metrics;
    struct agent_service *services;
    struct agent_group *groups;
    struct parking *parking;
    struct service_table *table;
    struct resolver *resolver;
    struct spop_server *server;
    struct server_checks *checks; /* NULL: nobody asks */
    struct check_server *check_server;
    struct session_cutter *cutter; /* NULL: no runtime API */
    ev_timer drain_deadline;
    bool is_stopping;
};

static bool create_service(struct agent *agent, size_t index, int64_t now_ms)
{
    const struct config_service *config = &agent->config->services[index];
    const struct config_sentinels *group = &agent->config->groups[config->group];
    struct agent_service *service = &agent->services[index];

    service->servers = calloc(config->server_count + 1, sizeof(*service->servers));
    if (service->servers == NULL)
        return false;
    for (size_t i = 0; i < config->server_count; i++)
        service->servers[i] = (struct service_server){.name = config->servers[i].name,
                                                      .addr = config->servers[i].addr,
                                                      .weight = config->servers[i].weight};
    service->settings = (struct service_settings){
        .name = config->name,
        .monitor = config->monitor,
        .servers = service->servers,
        .server_count = config->server_count,
        .allow_any_address = config->allow_any_address,
        .park_ms = config->park_ms,
        .quorum =
            {
                .voters = (unsigned)group->address_count,
                .threshold = config->quorum,
                .reply_timeout_ms = group->reply_timeout_ms,
                .vote_life_ms = group->vote_life_ms,
                .hold_ms = QUORUM_HOLD_MS,
                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS,
            },
        .policy =
            {
                .role_check = config->role_check,
                .keep_when = config->keep_when,
                .witness = config->witness,
                .keep_ms = config->keep_ms,
                .fence_ms = config->fence_ms,
                .early_fence = config->early_fence,
                .early_fence_max_ms = config->early_fence_max_ms,
                .debounce_ms = config->debounce_ms,
                .confirm_ms = group->connect_timeout_ms + group->reply_timeout_ms,
            },
    };
    service->settings.replicas = (struct replicas_config){
        .is_enabled = config->replicas,
        .max_lag = config->max_lag,
        .fall_back = config->replica_fallback == REPLICA_FALLBACK_MASTER,
    };
    service->service = service_create(&service->settings, now_ms);
    if (service->service == NULL)
        return false;
    decision_log_init(&service->log, &agent->metrics);
    service_observe(service->service, &service->log.observer);
    return true;
}

static void on_parked_due(void *context)
{
    const struct agent *agent = context;

    spop_server_wake(agent->server);
}

static bool create_services(struct agent *agent)
{
    const struct config *config = agent->config;
    int64_t now_ms = loop_now_ms();

    agent->services = calloc(config->service_count, sizeof(*agent->services));
    agent->groups = calloc(config->group_count, sizeof(*agent->groups));
    agent->parking = parking_create(config->agent.park_max, on_parked_due, agent);
    agent->table = service_table_create(agent->parking);
    if (agent->services == NULL || agent->groups == NULL || agent->parking == NULL || agent->table == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++)
        if (!create_service(agent, i, now_ms))
            return false;
    return true;
}

static struct role_probe_settings probe_settings(const struct config_service *service,
                                                 const struct config_sentinels *group)
{
    return (struct role_probe_settings){
        .credentials = {.username = service->credentials.username, .password = service->credentials.password},
        .interval_ms = group->poll_ms,
        .conversation =
            role_probe_conversation(group->connect_timeout_ms, group->poll_ms, group->reply_timeout_ms),
    };
}

/* The services of a group, in the order of the configuration. */
static bool collect_services(struct agent *agent, size_t index)
{
    const struct config *config = agent->config;
    struct agent_group *group = &agent->groups[index];

    group->services = calloc(config->service_count, sizeof(*group->services));
    group->probes = calloc(config->service_count, sizeof(*group->probes));
    if (group->services == NULL || group->probes == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++) {
        if (config->services[i].group != index)
            continue;
        group->probes[group->service_count] = probe_settings(&config->services[i], &config->groups[index]);
        group->services[group->service_count++] = agent->services[i].service;
    }
    return true;
}

static uint64_t random_seed(void)
{
    uint64_t seed;

    /* Only keeps agents out of step: the clock will do where there is no randomness. */
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = (uint64_t)loop_now_us();
    return seed;
}

static bool create_group(struct agent *agent, size_t index)
{
    const struct config_sentinels *config = &agent->config->groups[index];
    struct agent_group *group = &agent->groups[index];

    if (!collect_services(agent, index))
        return false;
    bool early = false;
    for (size_t i = 0; i < group->service_count; i++)
        early = early || service_settings(group->services[i])->policy.early_fence;
    struct voter_links_options options = {
        .name = config->name,
        .sentinels = config->addresses,
        .count = (unsigned)config->address_count,
        .subscribe = config->subscribe,
        .settings =
            {
                .credentials = {.username = config->credentials.username,
                                .password = config->credentials.password},
                .poll_ms = config->poll_ms,
                .early = early,
                .query = sentinel_query_settings(config->connect_timeout_ms, config->poll_ms,
                                                 config->reply_timeout_ms),
                .hints = sentinel_hints_settings(config->connect_timeout_ms, config->reply_timeout_ms),
            },
        .services = group->services,
        .probes = group->probes,
        .service_count = group->service_count,
    };
    group->links = voter_links_create(agent->loop, agent->resolver, &options, &agent->metrics, random_seed());
    if (group->links == NULL)
        return false;
    for (size_t i = 0; i < group->service_count; i++)
        if (!service_table_add(agent->table, group->services[i], voter_links_identities(group->links)))
            return false;
    return true;
}

static bool create_cutter(struct agent *agent)
{
    const struct config *config = agent->config;

    if (config->haproxy.runtime_api_count == 0)
        return true;
    agent->cutter = session_cutter_create(agent->loop, config->haproxy.runtime_apis,
                                          config->haproxy.runtime_api_count, &agent->metrics);
    if (agent->cutter == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++) {
        const char *backend = config->services[i].backend;
        if (!session_cutter_watch(agent->cutter, agent->services[i].service,
                                  backend != NULL ? backend : config->haproxy.backend))
            return false;
    }
    return true;
}

static bool create_checks(struct agent *agent)
{
    const struct config *config = agent->config;

    if (config->agent.checks.count == 0)
        return true;
    agent->checks = server_checks_create();
    if (agent->checks == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++) {
        struct server_check_settings settings = {
            .mode = config->services[i].check_mode,
            .pulse_ms = config->services[i].check_pulse_ms,
        };
        if (!server_checks_add(agent->checks, agent->services[i].service, &settings))
            return false;
    }
    agent->check_server = check_server_create(agent->loop, agent->checks, &agent->metrics);
    return agent->check_server != NULL;
}

static bool create_groups(struct agent *agent)
{
    agent->resolver = resolver_create(agent->loop);
    if (agent->resolver == NULL)
        return false;
    for (size_t i = 0; i < agent->config->group_count; i++)
        if (!create_group(agent, i))
            return false;
    return true;
}

static struct listen_socket_options listen_options(const struct config_listen *listen)
{
    return (struct listen_socket_options){
        .addr = &listen->addr,
        .mode = listen->mode,
        .owner = listen->owner,
        .group = listen->group,
    };
}

static bool open_listeners(struct agent *agent, char error[LISTEN_SOCKET_ERROR_MAX])
{
    const struct config_agent *config = &agent->config->agent;

    for (size_t i = 0; i < config->listens.count; i++) {
        struct listen_socket_options options = listen_options(&config->listens.list[i]);
        if (spop_server_listen(agent->server, &options, error) == -1)
            return false;
    }
    for (size_t i = 0; i < config->checks.count; i++) {
        struct listen_socket_options options = listen_options(&config->checks.list[i]);
        if (check_server_listen(agent->check_server, &options, error) == -1)
            return false;
    }
    return true;
}

static bool start_listening(struct agent *agent)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

    agent->server = spop_server_create(agent->loop, agent->table, &agent->metrics);
    if (agent->server == NULL)
        return false;
    if (!open_listeners(agent, error)) {
        log_event(LOG_LEVEL_ERROR, "cannot-listen", log_text("error", error));
        return false;
    }
    return true;
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    const struct agent *agent = container_of(timer, struct agent, drain_deadline);

    (void)events;
    log_event(LOG_LEVEL_WARNING, "drain-timeout",
              log_number("connections", (int64_t)spop_server_connections(agent->server)));
    ev_break(loop, EVBREAK_ALL);
}

struct agent *agent_create(struct ev_loop *loop, const struct config *config)
{
    struct agent *agent = calloc(1, sizeof(*agent));

    if (agent == NULL) {
        log_event(LOG_LEVEL_ERROR, "cannot-start", log_text("error", "out of memory"));
        return NULL;
    }
    agent->loop = loop;
    agent->config = config;
    ev_timer_init(&agent->drain_deadline, on_drain_deadline, config->agent.drain_timeout_ms / 1000.0, 0.0);
    if (!create_services(agent) || !create_cutter(agent) || !create_checks(agent) || !create_groups(agent)) {
        log_event(LOG_LEVEL_ERROR, "cannot-start",
                  log_text("error", "out of memory, or the resolver cannot be started"));
        agent_destroy(agent);
        return NULL;
    }
    if (!start_listening(agent)) {
        agent_destroy(agent);
        return NULL;
    }
    log_event(LOG_LEVEL_INFO, "started", log_number("services", (int64_t)config->service_count),
              log_number("sentinel-groups", (int64_t)config->group_count));
    return agent;
}

static void on_drained(void *context)
{
    struct agent *agent = context;

    ev_break(agent->loop, EVBREAK_ALL);
}

void agent_stop(struct agent *agent)
{
    if (agent->is_stopping) {
        ev_break(agent->loop, EVBREAK_ALL);
        return;
    }
    agent->is_stopping = true;
    log_event(LOG_LEVEL_INFO, "stopping",
              log_number("connections", (int64_t)spop_server_connections(agent->server)),
              log_number("drain-timeout-ms", agent->config->agent.drain_timeout_ms));
    ev_now_update(agent->loop);
    ev_timer_start(agent->loop, &agent->drain_deadline);
    spop_server_drain(agent->server, on_drained, agent);
}

static void log_totals(const struct agent *agent)
{
    const struct metrics *metrics = &agent->metrics;

    const struct log_field fields[] = {
#define X(name, help) log_number(#name, (int64_t)metrics->name),
        METRICS_COUNTERS(X)
#undef X
    };

    log_emit(LOG_LEVEL_INFO, "stopped", fields, sizeof(fields) / sizeof(*fields));
}

void agent_destroy(struct agent *agent)
{
    if (agent == NULL)
        return;
    ev_timer_stop(agent->loop, &agent->drain_deadline);
    spop_server_destroy(agent->server);
    if (agent->is_stopping)
        log_totals(agent);
    for (size_t i = 0; agent->groups != NULL && i < agent->config->group_count; i++) {
        voter_links_destroy(agent->groups[i].links);
        free(agent->groups[i].services);
        free(agent->groups[i].probes);
    }
    session_cutter_destroy(agent->cutter);
    check_server_destroy(agent->check_server);
    server_checks_destroy(agent->checks);
    resolver_destroy(agent->resolver);
    service_table_destroy(agent->table);
    parking_destroy(agent->parking);
    for (size_t i = 0; agent->services != NULL && i < agent->config->service_count; i++) {
        service_destroy(agent->services[i].service);
        free(agent->services[i].servers);
    }
    free(agent->groups);
    free(agent->services);
    free(agent);
}
