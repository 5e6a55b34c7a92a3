#include "spoa/agent.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"
#include "spoa/deployment.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"
#include "spoa/io/net/listeners.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/loop_stalls.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/socket_activation.h"
#include "spoa/io/process/log_sink.h"
#include "spoa/io/process/process_stats.h"
#include "spoa/io/process/service_manager.h"
#include "spoa/io/serve/agent_check_server.h"
#include "spoa/io/serve/client_look.h"
#include "spoa/io/serve/http_server.h"
#include "spoa/io/serve/spop_server.h"
#include "spoa/io/serve/takeover.h"
#include "spoa/reload.h"

/* How often it is looked at whether the first deployment is ready. */
#define READY_INTERVAL_S 0.01

enum protocol {
    PROTOCOL_SPOP,
    PROTOCOL_AGENT_CHECK,
    PROTOCOL_HTTP,
    PROTOCOL_TAKEOVER,
    PROTOCOL_COUNT,
};

struct agent {
    struct ev_loop *loop;
    struct metrics metrics;
    struct loop_stalls stalls;
    struct client_looker *looker; /* NULL: the kernel does not let us */
    struct parking *parking;
    struct service_table *table; /* what the connections answer from */
    struct resolver *resolver;
    struct reload *reload; /* has the deployments */
    struct spop_server *server;
    struct agent_check_server *check_server;
    struct http_server *http_server;
    struct takeover *takeover;
    int takeover_fd; /* of an agent whose place we take when we are ready; -1: none */
    struct listeners_row rows[PROTOCOL_COUNT];
    struct listeners *listeners;
    struct history history;
    struct hooks *hooks;
    const struct agent_build *build;
    ev_timer started;
    struct deployment_look look; /* for services that know nothing yet */
    ev_timer watchdog;
    ev_timer tick;
    ev_timer drain_deadline;
    bool is_taken; /* another agent accepts in our place */
    bool is_stopping;
};

static void on_parked_due(void *context)
{
    const struct agent *agent = context;

    spop_server_wake(agent->server);
}

static const struct config *config_of(const struct agent *agent)
{
    return deployment_config(reload_running(agent->reload));
}

/* ---- what runs ---- */

/* An agent connects that wants our place; see acceptor_take_fn. */
static bool give_place(void *context, int fd, const struct acceptor_peer *peer)
{
    const struct agent *agent = context;

    if (!agent->is_stopping)
        return takeover_give(agent->takeover, fd, peer);
    close(fd);
    return true;
}

/* The servers are there. */
static struct listeners *create_listeners(struct agent *agent)
{
    const struct listeners_row rows[PROTOCOL_COUNT] = {
        [PROTOCOL_SPOP] = {"listen",
                           offsetof(struct config_agent, listens),
                           {.name = "spop", .take = spop_server_take, .context = agent->server}},
        [PROTOCOL_AGENT_CHECK] = {"check",
                                  offsetof(struct config_agent, checks),
                                  {.name = "agent-check",
                                   .take = agent_check_server_take,
                                   .context = agent->check_server}},
        [PROTOCOL_HTTP] = {"http",
                           offsetof(struct config_agent, web),
                           {.name = "http",
                            .take = http_server_take,
                            .context = agent->http_server,
                            .takes_limited = true}},
        [PROTOCOL_TAKEOVER] = {"takeover",
                               offsetof(struct config_agent, takeovers),
                               {.name = "takeover", .take = give_place, .context = agent}},
    };

    memcpy(agent->rows, rows, sizeof(rows));
    return listeners_create(agent->loop, agent->rows, PROTOCOL_COUNT, &agent->metrics);
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
    log_event(EVENT_FEW_DESCRIPTORS, log_number("limit", (int64_t)limit.rlim_cur),
              log_number("max-connections", (int64_t)wanted), log_number("possible", (int64_t)possible));
    return possible;
}

static void use_deployment(void *context, const struct deployment *running)
{
    struct agent *agent = context;
    const struct config *config = deployment_config(running);

    agent_check_server_use(agent->check_server, deployment_checks(running));
    spop_server_limit(agent->server, connections_max(config), config->agent.idle_timeout_ms);
}

void agent_reload(struct agent *agent, struct config *config)
{
    if (agent->is_stopping || agent->is_taken)
        config_destroy(config);
    else
        reload_prepare(agent->reload, config);
}

void agent_reload_failed(struct agent *agent, const char *error)
{
    if (!agent->is_stopping && !agent->is_taken)
        reload_fail(agent->reload, error);
}

/* ---- start and stop ---- */

/* We are ready: the agent before us gives up its place. */
static void take_over(struct agent *agent)
{
    if (agent->takeover_fd == -1)
        return;
    listeners_resume(agent->listeners);
    takeover_take(agent->takeover, agent->takeover_fd);
    agent->takeover_fd = -1;
}

/* Until all services know more than nothing, once. */
static void on_started(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct agent *agent = container_of(timer, struct agent, started);
    size_t budget = PROGRESS_UNLIMITED;

    (void)events;
    if (deployment_check_ready(reload_running(agent->reload), NULL, &agent->look, &budget) != PROGRESS_DONE)
        return;
    ev_timer_stop(loop, timer);
    take_over(agent);
    service_manager_send("READY=1\nSTATUS=%zu services", config_of(agent)->service_count);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    service_manager_send("WATCHDOG=1");
}

static void tick_history(struct agent *agent)
{
    struct history_felt felt = {.refused = service_table_unknown(agent->table)->asked};
    size_t group_count = 0;
    const struct voter_group *const *groups = NULL;

    if (history_wants_outages(&agent->history))
        groups = deployment_groups(reload_running(agent->reload), &group_count);
    for (size_t i = 0; i < group_count; i++)
        for (size_t k = 0; k < voter_group_service_count(groups[i]); k++)
            history_felt_add(&felt, service_outage(voter_group_service(groups[i], k)));
    history_tick(&agent->history, &felt, clock_ms());
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct agent *agent = container_of(timer, struct agent, tick);

    (void)loop;
    (void)events;
    log_sink_tick(clock_ms());
    service_table_tick(agent->table, clock_ms());
    tick_history(agent);
    agent->metrics.log_lines_dropped_total = log_sink_dropped();
}

static void start_timers(struct agent *agent)
{
    double interval_s = service_manager_watchdog_interval();

    ev_timer_start(agent->loop, &agent->started);
    ev_timer_start(agent->loop, &agent->tick);
    if (interval_s <= 0.0)
        return;
    ev_timer_set(&agent->watchdog, interval_s, interval_s);
    ev_timer_start(agent->loop, &agent->watchdog);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct agent *agent = container_of(timer, struct agent, drain_deadline);

    (void)events;
    if (!agent->is_stopping) { /* clients still wait on connections that we could not give away */
        agent_stop(agent);
        return;
    }
    log_event(EVENT_DRAIN_TIMEOUT,
              log_number("connections", (int64_t)spop_server_connections(agent->server)));
    ev_break(loop, EVBREAK_ALL);
}

static void fill_status(void *context, struct status *ret_status)
{
    const struct agent *agent = context;

    int64_t now_ms = clock_ms();

    *ret_status = (struct status){
        .pid = getpid(),
        .version = agent->build->version,
        .revision = agent->build->revision,
        .metrics = &agent->metrics,
        .history = &agent->history,
        .connections = spop_server_connections(agent->server),
        .parked = parking_count(agent->parking),
        .is_stopping = agent->is_stopping,
        .is_reload_good = reload_is_good(agent->reload),
        .is_reload_open = reload_is_open(agent->reload),
        .reloads_asked = reload_asked(agent->reload),
        .reload_error = reload_error(agent->reload),
        .t_loaded_ms = reload_loaded_ms(agent->reload),
        .now_ms = now_ms,
        .now_unix_ms = clock_to_unix_ms(now_ms),
    };
    ret_status->table = agent->table;
    ret_status->unknown = service_table_unknown(agent->table);
    ret_status->apis = deployment_runtime_apis(reload_running(agent->reload), &ret_status->api_count);
    ret_status->groups = deployment_groups(reload_running(agent->reload), &ret_status->group_count);
}

/*
 * Where the kernel does not let us the alarm gone-clients-unseen is raised, and clients are served as they
 * come.
 */
static void look_at_clients(struct agent *agent)
{
    agent->looker = client_looker_create();
    if (agent->looker == NULL)
        log_event(EVENT_CLIENTS_UNSEEN, log_text("reason", strerror(errno)));
    else if (agent->parking != NULL)
        parking_look_with(agent->parking, client_looker_look, agent->looker);
}

static void start_drain_deadline(struct agent *agent)
{
    ev_now_update(agent->loop);
    ev_timer_stop(agent->loop, &agent->drain_deadline);
    ev_timer_set(&agent->drain_deadline, config_of(agent)->agent.drain_timeout_ms / 1000.0, 0.0);
    ev_timer_start(agent->loop, &agent->drain_deadline);
}

/*
 * Process `by` accepts in our place. What is left to do is to answer what is owed, and to give the
 * connections away.
 */
static void on_taken(void *context, pid_t by)
{
    struct agent *agent = context;

    agent->is_taken = true;
    service_manager_send("MAINPID=%ld", (long)by);
    reload_abandon(agent->reload);
    for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        listeners_close(agent->listeners, &agent->rows[protocol].protocol);
    start_drain_deadline(agent);
}

static void on_given(void *context)
{
    struct agent *agent = context;

    agent->is_stopping = true;
    ev_break(agent->loop, EVBREAK_ALL);
}

/* The listeners and the server are there. */
static struct takeover *create_takeover(struct agent *agent)
{
    const struct takeover_options options = {
        .loop = agent->loop,
        .listeners = agent->listeners,
        .server = agent->server,
        .taken = on_taken,
        .given = on_given,
        .context = agent,
    };

    return takeover_create(&options);
}

/* What all deployments share. False if memory is short. */
static bool create_parts(struct agent *agent, const struct config_agent *config)
{
    agent->parking = parking_create(config->park_max, on_parked_due, agent);
    agent->table = service_table_create(agent->parking);
    agent->resolver = resolver_create(agent->loop);
    agent->hooks = hooks_create(agent->loop, &agent->metrics);
    look_at_clients(agent);
    agent->server = spop_server_create(agent->loop, agent->table, &agent->metrics);
    agent->check_server = agent_check_server_create(agent->loop, &agent->metrics);
    agent->http_server = http_server_create(agent->loop, fill_status, agent, &agent->metrics);
    agent->listeners = create_listeners(agent);
    agent->takeover = create_takeover(agent);
    return agent->parking != NULL && agent->table != NULL && agent->resolver != NULL &&
           agent->hooks != NULL && agent->server != NULL && agent->check_server != NULL &&
           agent->http_server != NULL && agent->listeners != NULL && agent->takeover != NULL;
}

/* The first deployment; NULL where it cannot. `config` is its own, or gone. */
static struct reload *start_deployment(struct agent *agent, struct config *config)
{
    const struct reload_options options = {
        .loop = agent->loop,
        .resolver = agent->resolver,
        .hooks = agent->hooks,
        .metrics = &agent->metrics,
        .history = &agent->history,
        .parking = agent->parking,
        .table = agent->table,
        .listeners = agent->listeners,
        .use = use_deployment,
        .context = agent,
    };

    return reload_create(&options, config);
}

/* False, with the reason in the log, where it cannot. */
static bool start_listening(struct agent *agent)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

    if (listeners_open(agent->listeners, NULL, &config_of(agent)->agent, error) == -1) {
        log_event(EVENT_CANNOT_LISTEN, log_text("error", error));
        return false;
    }
    socket_activation_drop();
    if (agent->takeover_fd != -1)
        listeners_pause(agent->listeners);
    return true;
}

struct agent *agent_create(struct ev_loop *loop, struct config *config, const struct agent_build *build,
                           int takeover_fd)
{
    struct agent *agent = calloc(1, sizeof(*agent));

    if (agent == NULL) {
        log_event(EVENT_CANNOT_START, log_text("error", "out of memory"));
        config_destroy(config);
        if (takeover_fd != -1)
            close(takeover_fd);
        return NULL;
    }
    agent->takeover_fd = takeover_fd;
    agent->loop = loop;
    agent->build = build;
    loop_stalls_start(&agent->stalls, loop, &agent->metrics);
    ev_timer_init(&agent->started, on_started, 0.0, READY_INTERVAL_S);
    ev_timer_init(&agent->watchdog, on_watchdog, 0.0, 0.0);
    ev_timer_init(&agent->tick, on_tick, 0.0, LOG_SINK_TICK_MS / 1000.0);
    ev_timer_init(&agent->drain_deadline, on_drain_deadline, 0.0, 0.0);
    if (create_parts(agent, &config->agent))
        agent->reload = start_deployment(agent, config);
    else
        config_destroy(config);
    if (agent->reload == NULL) {
        log_event(EVENT_CANNOT_START, log_text("error", "out of memory, or libmicrohttpd cannot be started"));
        agent_destroy(agent);
        return NULL;
    }
    if (!start_listening(agent)) {
        agent_destroy(agent);
        return NULL;
    }
    start_timers(agent);
    log_event(EVENT_STARTED, log_number("services", (int64_t)config->service_count),
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
    if (!agent->is_taken)
        service_manager_send("STOPPING=1\nSTATUS=draining");
    log_event(EVENT_STOPPING, log_number("connections", (int64_t)spop_server_connections(agent->server)),
              log_number("drain-timeout-ms", config_of(agent)->agent.drain_timeout_ms));
    reload_abandon(agent->reload);
    start_drain_deadline(agent);
    listeners_close(agent->listeners, &agent->rows[PROTOCOL_SPOP].protocol);
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

    log_emit(LOG_LEVEL_INFO, EVENT_STOPPED, fields, sizeof(fields) / sizeof(*fields));
}

void agent_destroy(struct agent *agent)
{
    if (agent == NULL)
        return;
    loop_stalls_stop(agent->loop);
    ev_timer_stop(agent->loop, &agent->started);
    ev_timer_stop(agent->loop, &agent->watchdog);
    ev_timer_stop(agent->loop, &agent->tick);
    ev_timer_stop(agent->loop, &agent->drain_deadline);
    takeover_destroy(agent->takeover);
    if (agent->takeover_fd != -1)
        close(agent->takeover_fd);
    listeners_destroy(agent->listeners);
    spop_server_destroy(agent->server);
    hooks_flush(agent->hooks);
    if (agent->is_stopping)
        log_totals(agent);
    log_sink_tick(clock_ms()); /* what still waits: a reader may have come */
    http_server_destroy(agent->http_server);
    agent_check_server_destroy(agent->check_server);
    service_table_destroy(agent->table);
    reload_destroy(agent->reload);
    resolver_destroy(agent->resolver);
    hooks_destroy(agent->hooks);
    parking_destroy(agent->parking);
    client_looker_destroy(agent->looker);
    free(agent);
}
