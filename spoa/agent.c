#include "spoa/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/status/status.h"
#include "spoa/deployment.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/process/log_sink.h"
#include "spoa/io/process/process_stats.h"
#include "spoa/io/process/service_manager.h"
#include "spoa/io/serve/agent_check_server.h"
#include "spoa/io/serve/client_look.h"
#include "spoa/io/serve/http_server.h"
#include "spoa/io/serve/spop_server.h"

/* How often it is looked at whether the next deployment is ready, and for how long at the most beyond the longest life of
 * a vote: by then no service can be starting any more. */
#define READY_INTERVAL_S 0.01
#define READY_SLACK_MS 500
/* How long a deployment that was replaced stays: cuts of sessions that it began go on for half a second. */
#define RETIRE_S 1.0

/* A deployment that was replaced, and the table that its services went into. */
struct retired {
    struct deployment *deployment;
    struct service_table *table;
};

struct agent {
    struct ev_loop *loop;
    struct metrics metrics;
    struct client_looker *looker; /* NULL: the kernel does not let us */
    struct parking *parking;
    struct service_table *table; /* what the connections answer from */
    struct resolver *resolver;
    struct deployment *deployment;
    struct deployment *next; /* that a reload changes over to, or NULL */
    struct retired retired;
    struct spop_server *server;
    struct agent_check_server *check_server;
    struct http_server *http_server;
    struct acceptor_rules rules;
    struct history history;
    struct hooks *hooks;
    const struct agent_build *build;
    bool is_reload_good;
    int64_t t_loaded_ms;
    ev_timer ready; /* looks at `next` */
    int64_t ready_deadline_ms;
    ev_timer retire;
    ev_timer started;
    ev_timer watchdog;
    ev_timer drain_deadline;
    bool is_stopping;
};

static void on_parked_due(void *context)
{
    const struct agent *agent = context;

    spop_server_wake(agent->server);
}

static const struct config *config_of(const struct agent *agent)
{
    return deployment_config(agent->deployment);
}

/* The configuration is gone where it fails. */
static struct deployment *create_deployment(struct agent *agent, struct config *config)
{
    struct deployment_options options = {
        .loop = agent->loop,
        .config = config,
        .resolver = agent->resolver,
        .metrics = &agent->metrics,
        .history = &agent->history,
        .hooks = agent->hooks,
    };

    return deployment_create(&options, agent->deployment);
}

/* ---- listening ---- */

static struct listen_socket_options listen_options(const struct config_listen *listen)
{
    return (struct listen_socket_options){
        .addr = &listen->addr,
        .mode = listen->mode,
        .owner = listen->owner,
        .group = listen->group,
    };
}

/* Opens those that are not open yet. */
static int open_listeners(struct agent *agent, const struct config_agent *config,
                          char error[LISTEN_SOCKET_ERROR_MAX])
{
    for (size_t i = 0; i < config->listens.count; i++) {
        struct listen_socket_options options = listen_options(&config->listens.list[i]);
        if (spop_server_listen(agent->server, &options, error) == -1)
            return -1;
    }
    for (size_t i = 0; i < config->checks.count; i++) {
        struct listen_socket_options options = listen_options(&config->checks.list[i]);
        if (agent_check_server_listen(agent->check_server, &options, error) == -1)
            return -1;
    }
    for (size_t i = 0; i < config->web.count; i++) {
        struct listen_socket_options options = listen_options(&config->web.list[i]);
        if (http_server_listen(agent->http_server, &options, error) == -1)
            return -1;
    }
    return 0;
}

static void close_other_listeners(struct agent *agent, const struct config_agent *config)
{
    spop_server_keep(agent->server, &config->listens);
    agent_check_server_keep(agent->check_server, &config->checks);
    http_server_keep(agent->http_server, &config->web);
}

/* ---- reload ---- */

static void retire_former(struct agent *agent)
{
    ev_timer_stop(agent->loop, &agent->retire);
    service_table_destroy(agent->retired.table);
    deployment_destroy(agent->retired.deployment);
    agent->retired = (struct retired){.deployment = NULL};
}

static void on_retire(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct agent *agent = container_of(timer, struct agent, retire);

    (void)events;
    if (service_table_is_idle(agent->retired.table)) {
        retire_former(agent);
        return;
    }
    ev_timer_set(timer, RETIRE_S, 0.0);
    ev_timer_start(loop, timer);
}

/* Descriptors that are not for SPOP: those of HTTP, agent-checks, the loop and the log, and the links. */
#define OTHER_DESCRIPTORS 256

/* As many connections as descriptors allow: what is missing for the links would cost the votes. */
static size_t connections_max(const struct config *config)
{
    size_t wanted = config->agent.connections_max;
    size_t others = OTHER_DESCRIPTORS + 2 * config->service_count;
    struct rlimit limit;

    for (size_t i = 0; i < config->group_count; i++)
        others += 4 * config->groups[i].address_count;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= wanted + others)
        return wanted;
    size_t possible = limit.rlim_cur > 2 * others ? limit.rlim_cur - others : limit.rlim_cur / 2;
    log_event(LOG_LEVEL_WARNING, "few-descriptors", log_number("limit", (int64_t)limit.rlim_cur),
              log_number("max-connections", (int64_t)wanted), log_number("possible", (int64_t)possible));
    return possible;
}

static void apply_limits(struct agent *agent)
{
    const struct config *config = config_of(agent);

    agent->rules.allowed = &config->agent.allowed;
    spop_server_limit(agent->server, connections_max(config), config->agent.idle_timeout_ms);
}

static void log_reload(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_event(LOG_LEVEL_WARNING, "configuration-warning", log_text("warning", config->warnings.texts[i]));
    service_manager_send("READY=1\nSTATUS=%zu services", config->service_count);
    log_event(LOG_LEVEL_INFO, "reloaded", log_number("services", (int64_t)config->service_count),
              log_number("sentinel-groups", (int64_t)config->group_count));
}

static void change_over(struct agent *agent)
{
    struct service_table *table = service_table_create(agent->parking);
    struct deployment *next = agent->next;

    ev_timer_stop(agent->loop, &agent->ready);
    agent->next = NULL;
    if (table == NULL || !deployment_fill(next, table) || !deployment_activate(next, agent->deployment)) {
        service_table_destroy(table);
        deployment_destroy(next);
        agent_reload_failed(agent, "out of memory");
        return;
    }
    service_table_change_over(agent->table, table);
    agent_check_server_use(agent->check_server, deployment_checks(next));
    agent->retired = (struct retired){.deployment = agent->deployment, .table = table};
    agent->deployment = next;
    ev_timer_set(&agent->retire, RETIRE_S, 0.0);
    ev_timer_start(agent->loop, &agent->retire);
    close_other_listeners(agent, &config_of(agent)->agent);
    apply_limits(agent);
    log_sink_choose(config_of(agent)->agent.syslog, config_of(agent)->agent.log_format,
                    config_of(agent)->agent.log_level);
    agent->metrics.reloads_total++;
    agent->is_reload_good = true;
    agent->t_loaded_ms = clock_ms();
    log_reload(config_of(agent));
}

static void on_ready(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct agent *agent = container_of(timer, struct agent, ready);

    (void)loop;
    (void)events;
    if (agent->retired.deployment != NULL)
        return;
    if (deployment_is_ready(agent->next) || clock_ms() >= agent->ready_deadline_ms)
        change_over(agent);
}

static int64_t longest_vote_life(const struct config *config)
{
    int64_t longest_ms = 0;

    for (size_t i = 0; i < config->group_count; i++)
        if (config->groups[i].vote_life_ms > longest_ms)
            longest_ms = config->groups[i].vote_life_ms;
    return longest_ms;
}

void agent_reload_failed(struct agent *agent, const char *error)
{
    agent->metrics.reload_failures_total++;
    agent->is_reload_good = false;
    service_manager_send("READY=1\nSTATUS=the last reload failed: %.200s", error);
    log_event(LOG_LEVEL_ERROR, "reload-failed", log_text("error", error));
}

/* Whether a socket that stays open has other rights now. */
static bool has_other_rights(const struct config_listens *old, const struct config_listens *new)
{
    for (size_t i = 0; i < old->count; i++)
        for (size_t k = 0; k < new->count; k++) {
            const struct config_listen *one = &old->list[i];
            const struct config_listen *other = &new->list[k];
            if (addr_equals(&one->addr, &other->addr) &&
                (one->mode != other->mode || strcmp(one->owner, other->owner) != 0 ||
                 strcmp(one->group, other->group) != 0))
                return true;
        }
    return false;
}

static void tell_what_needs_a_restart(const struct config_agent *old, const struct config_agent *new)
{
    if (old->park_max != new->park_max)
        log_event(LOG_LEVEL_WARNING, "restart-needed", log_text("key", "park-max"));
    if (!config_same_text(old->user, new->user) || !config_same_text(old->group, new->group))
        log_event(LOG_LEVEL_WARNING, "restart-needed", log_text("key", "user"));
    if (old->sandbox != new->sandbox)
        log_event(LOG_LEVEL_WARNING, "restart-needed", log_text("key", "sandbox"));
    if (has_other_rights(&old->listens, &new->listens))
        log_event(LOG_LEVEL_WARNING, "restart-needed", log_text("key", "listen"));
    if (has_other_rights(&old->checks, &new->checks))
        log_event(LOG_LEVEL_WARNING, "restart-needed", log_text("key", "check"));
    if (has_other_rights(&old->web, &new->web))
        log_event(LOG_LEVEL_WARNING, "restart-needed", log_text("key", "http"));
}

void agent_reload(struct agent *agent, struct config *config)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

    if (agent->is_stopping) {
        config_destroy(config);
        return;
    }
    if (open_listeners(agent, &config->agent, error) == -1) {
        close_other_listeners(agent, &config_of(agent)->agent);
        config_destroy(config);
        agent_reload_failed(agent, error);
        return;
    }
    deployment_destroy(agent->next);
    agent->next = create_deployment(agent, config);
    if (agent->next == NULL) {
        ev_timer_stop(agent->loop, &agent->ready);
        agent_reload_failed(agent, "out of memory");
        return;
    }
    tell_what_needs_a_restart(&config_of(agent)->agent, &config->agent);
    agent->ready_deadline_ms = clock_ms() + longest_vote_life(config) + READY_SLACK_MS;
    ev_timer_again(agent->loop, &agent->ready);
}

/* ---- start and stop ---- */

/* Until all services know more than nothing, once. */
static void on_started(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct agent *agent = container_of(timer, struct agent, started);

    (void)events;
    if (!deployment_is_ready(agent->deployment))
        return;
    ev_timer_stop(loop, timer);
    service_manager_send("READY=1\nSTATUS=%zu services", config_of(agent)->service_count);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    service_manager_send("WATCHDOG=1");
}

static void start_timers(struct agent *agent)
{
    double interval_s = service_manager_watchdog_interval();

    ev_timer_start(agent->loop, &agent->started);
    if (interval_s <= 0.0)
        return;
    ev_timer_set(&agent->watchdog, interval_s, interval_s);
    ev_timer_start(agent->loop, &agent->watchdog);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    const struct agent *agent = container_of(timer, struct agent, drain_deadline);

    (void)events;
    log_event(LOG_LEVEL_WARNING, "drain-timeout",
              log_number("connections", (int64_t)spop_server_connections(agent->server)));
    ev_break(loop, EVBREAK_ALL);
}

static void fill_status(void *context, struct status *ret_status)
{
    const struct agent *agent = context;

    *ret_status = (struct status){
        .version = agent->build->version,
        .revision = agent->build->revision,
        .metrics = &agent->metrics,
        .history = &agent->history,
        .connections = spop_server_connections(agent->server),
        .parked = parking_count(agent->parking),
        .is_stopping = agent->is_stopping,
        .is_reload_good = agent->is_reload_good,
        .t_loaded_ms = agent->t_loaded_ms,
        .now_ms = clock_ms(),
        .now_unix_ms = clock_unix_ms(),
    };
    ret_status->groups = deployment_groups(agent->deployment, &ret_status->group_count);
    process_stats_read(&ret_status->process);
}

/* Where the kernel does not let us the alarm gone-clients-unseen is raised, and clients are served as they come. */
static void look_at_clients(struct agent *agent)
{
    agent->looker = client_looker_create();
    if (agent->looker == NULL)
        log_event(LOG_LEVEL_WARNING, "clients-unseen", log_text("reason", strerror(errno)));
    else if (agent->parking != NULL)
        parking_look_with(agent->parking, client_looker_look, agent->looker);
}

/* False where memory is short; `config` is the deployment's from then on, if there is one. */
static bool create_parts(struct agent *agent, struct config *config)
{
    agent->parking = parking_create(config->agent.park_max, on_parked_due, agent);
    agent->table = service_table_create(agent->parking);
    agent->resolver = resolver_create(agent->loop);
    agent->hooks = hooks_create(agent->loop, &agent->metrics);
    look_at_clients(agent);
    if (agent->parking == NULL || agent->table == NULL || agent->resolver == NULL || agent->hooks == NULL) {
        config_destroy(config);
        return false;
    }
    agent->deployment = create_deployment(agent, config);
    if (agent->deployment == NULL)
        return false;
    agent->rules = (struct acceptor_rules){.allowed = &config->agent.allowed, .metrics = &agent->metrics};
    agent->server = spop_server_create(agent->loop, agent->table, &agent->metrics, &agent->rules);
    agent->check_server = agent_check_server_create(agent->loop, deployment_checks(agent->deployment),
                                                    &agent->metrics, &agent->rules);
    agent->http_server = http_server_create(agent->loop, fill_status, agent, &agent->rules);
    return agent->server != NULL && agent->check_server != NULL && agent->http_server != NULL &&
           deployment_fill(agent->deployment, agent->table) && deployment_activate(agent->deployment, NULL);
}

struct agent *agent_create(struct ev_loop *loop, struct config *config, const struct agent_build *build)
{
    struct agent *agent = calloc(1, sizeof(*agent));
    char error[LISTEN_SOCKET_ERROR_MAX];

    if (agent == NULL) {
        log_event(LOG_LEVEL_ERROR, "cannot-start", log_text("error", "out of memory"));
        config_destroy(config);
        return NULL;
    }
    agent->loop = loop;
    agent->build = build;
    agent->is_reload_good = true;
    agent->t_loaded_ms = clock_ms();
    ev_timer_init(&agent->ready, on_ready, 0.0, READY_INTERVAL_S);
    ev_timer_init(&agent->retire, on_retire, 0.0, 0.0);
    ev_timer_init(&agent->started, on_started, 0.0, READY_INTERVAL_S);
    ev_timer_init(&agent->watchdog, on_watchdog, 0.0, 0.0);
    ev_timer_init(&agent->drain_deadline, on_drain_deadline, 0.0, 0.0);
    if (!create_parts(agent, config)) {
        log_event(LOG_LEVEL_ERROR, "cannot-start",
                  log_text("error", "out of memory, or the resolver cannot be started"));
        agent_destroy(agent);
        return NULL;
    }
    if (open_listeners(agent, &config->agent, error) == -1) {
        log_event(LOG_LEVEL_ERROR, "cannot-listen", log_text("error", error));
        agent_destroy(agent);
        return NULL;
    }
    apply_limits(agent);
    start_timers(agent);
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
    unsigned timeout_ms = config_of(agent)->agent.drain_timeout_ms;

    if (agent->is_stopping) {
        ev_break(agent->loop, EVBREAK_ALL);
        return;
    }
    agent->is_stopping = true;
    service_manager_send("STOPPING=1\nSTATUS=draining");
    log_event(LOG_LEVEL_INFO, "stopping",
              log_number("connections", (int64_t)spop_server_connections(agent->server)),
              log_number("drain-timeout-ms", timeout_ms));
    ev_timer_stop(agent->loop, &agent->ready);
    ev_now_update(agent->loop);
    ev_timer_set(&agent->drain_deadline, timeout_ms / 1000.0, 0.0);
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
    ev_timer_stop(agent->loop, &agent->ready);
    ev_timer_stop(agent->loop, &agent->started);
    ev_timer_stop(agent->loop, &agent->watchdog);
    ev_timer_stop(agent->loop, &agent->drain_deadline);
    spop_server_destroy(agent->server);
    if (agent->is_stopping)
        log_totals(agent);
    http_server_destroy(agent->http_server);
    agent_check_server_destroy(agent->check_server);
    retire_former(agent);
    service_table_destroy(agent->table);
    deployment_destroy(agent->next);
    deployment_destroy(agent->deployment);
    resolver_destroy(agent->resolver);
    hooks_destroy(agent->hooks);
    parking_destroy(agent->parking);
    client_looker_destroy(agent->looker);
    free(agent);
}
