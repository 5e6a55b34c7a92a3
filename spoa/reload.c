#include "spoa/reload.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/process/log_sink.h"
#include "spoa/io/process/service_manager.h"

/*
 * How often we look whether the next deployment is ready; less often once it has failed. It is expected to be
 * ready soon after the longest life of a vote: by then no service can be starting any more.
 */
#define READY_INTERVAL_S 0.01
#define FAILED_INTERVAL_S 0.1
#define READY_SLACK_MS 500
/*
 * How often we look whether a deployment that was replaced can end: nobody waits any more for a service that
 * is gone.
 */
#define RETIRE_S 1.0
#define RELOAD_ERROR_MAX 512

struct reload {
    struct reload_options options;
    struct deployment *running;
    int64_t t_loaded_ms;
    uint64_t asked; /* reloads */
    bool is_good;
    char error[RELOAD_ERROR_MAX]; /* of the last one, where it is not good */

    struct deployment *next; /* waits; NULL: none does */
    size_t lacking;          /* the number of its service that was not ready at the last look */
    ev_timer ready;          /* looks at it */
    int64_t ready_deadline_ms;

    struct deployment *retired; /* was replaced; NULL: it has ended */
    struct service_table *retired_table;
    ev_timer retire;
};

static const struct config *config_of(const struct reload *reload)
{
    return deployment_config(reload->running);
}

/* The configuration is gone where it fails. */
static struct deployment *create_deployment(const struct reload *reload, struct config *config)
{
    const struct deployment_options options = {
        .loop = reload->options.loop,
        .config = config,
        .resolver = reload->options.resolver,
        .metrics = reload->options.metrics,
        .history = reload->options.history,
        .hooks = reload->options.hooks,
    };

    return deployment_create(&options);
}

/* ---- prepare, or abandon ---- */

static int64_t longest_vote_life(const struct config *config)
{
    int64_t longest_ms = 0;

    for (size_t i = 0; i < config->group_count; i++)
        if (config->groups[i].vote_life_ms > longest_ms)
            longest_ms = config->groups[i].vote_life_ms;
    return longest_ms;
}

static void drop_next(struct reload *reload)
{
    ev_timer_stop(reload->options.loop, &reload->ready);
    deployment_destroy(reload->next);
    reload->next = NULL;
}

void reload_abandon(struct reload *reload)
{
    drop_next(reload);
    listeners_settle(reload->options.listeners, &config_of(reload)->agent);
}

static void note_failure(struct reload *reload, const char *error)
{
    reload->options.metrics->reload_failures_total++;
    reload->is_good = false;
    (void)snprintf(reload->error, sizeof(reload->error), "%s", error);
    service_manager_send("READY=1\nSTATUS=the last reload failed: %.200s", error);
    log_event(EVENT_RELOAD_FAILED, log_text("error", error));
}

static void give_up(struct reload *reload, const char *error)
{
    reload_abandon(reload);
    note_failure(reload, error);
}

void reload_fail(struct reload *reload, const char *error)
{
    reload->asked++;
    give_up(reload, error);
}

void reload_prepare(struct reload *reload, struct config *config)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

    reload->asked++;
    /*
     * Not its listeners: this configuration may have the same, and those that nobody has are closed in the
     * end.
     */
    drop_next(reload);
    if (listeners_open(reload->options.listeners, &config_of(reload)->agent, &config->agent, error) == -1) {
        config_destroy(config);
        give_up(reload, error);
        return;
    }
    reload->next = create_deployment(reload, config);
    if (reload->next == NULL) {
        give_up(reload, "out of memory");
        return;
    }
    reload->lacking = 0;
    reload->ready_deadline_ms = clock_ms() + longest_vote_life(config) + READY_SLACK_MS;
    reload->ready.repeat = READY_INTERVAL_S;
    ev_timer_again(reload->options.loop, &reload->ready);
}

/* ---- retire ---- */

static void end_retired(struct reload *reload)
{
    ev_timer_stop(reload->options.loop, &reload->retire);
    service_table_destroy(reload->retired_table);
    deployment_destroy(reload->retired);
    reload->retired_table = NULL;
    reload->retired = NULL;
}

static void on_retire(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct reload *reload = container_of(timer, struct reload, retire);

    (void)events;
    if (service_table_is_idle(reload->retired_table)) {
        end_retired(reload);
        return;
    }
    ev_timer_set(timer, RETIRE_S, 0.0);
    ev_timer_start(loop, timer);
}

static void retire(struct reload *reload, struct deployment *deployment, struct service_table *table)
{
    reload->retired = deployment;
    reload->retired_table = table;
    ev_timer_set(&reload->retire, RETIRE_S, 0.0);
    ev_timer_start(reload->options.loop, &reload->retire);
}

/* ---- wait, change over ---- */

static void tell_restart(const char *key)
{
    log_event(EVENT_RESTART_NEEDED, log_text("key", key));
}

static void tell_what_needs_a_restart(const struct reload *reload, const struct config_agent *old,
                                      const struct config_agent *new)
{
    if (old->park_max != new->park_max)
        tell_restart("park-max");
    if (!config_same_text(old->user, new->user) || !config_same_text(old->group, new->group))
        tell_restart("user");
    if (old->sandbox != new->sandbox)
        tell_restart("sandbox");
    listeners_tell_rights(reload->options.listeners, old, new);
}

static void log_reload(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_event(EVENT_CONFIGURATION_WARNING, log_text("warning", config->warnings.texts[i]));
    service_manager_send("READY=1\nSTATUS=%zu services", config->service_count);
    log_event(EVENT_RELOADED, log_number("services", (int64_t)config->service_count),
              log_number("sentinel-groups", (int64_t)config->group_count));
}

/* From the first moment on, or from the change-over. */
static void run(struct reload *reload, struct deployment *deployment)
{
    reload->running = deployment;
    reload->is_good = true;
    reload->t_loaded_ms = clock_ms();
    reload->options.use(reload->options.context, deployment);
}

static void change_over(struct reload *reload)
{
    struct deployment *former = reload->running;
    struct deployment *next = reload->next;
    const struct config *config = deployment_config(next);
    struct service_table *table = service_table_create(reload->options.parking);

    if (table == NULL || !deployment_fill(next, table) || !deployment_activate(next, former)) {
        service_table_destroy(table);
        give_up(reload, "out of memory");
        return;
    }
    ev_timer_stop(reload->options.loop, &reload->ready);
    reload->next = NULL;
    tell_what_needs_a_restart(reload, &config_of(reload)->agent, &config->agent);
    service_table_change_over(reload->options.table, table, clock_ms());
    run(reload, next);
    retire(reload, former, table);
    listeners_settle(reload->options.listeners, &config->agent);
    log_sink_choose(config->agent.syslog, config->agent.log_format, config->agent.log_level);
    reload->options.metrics->reloads_total++;
    log_reload(config);
}

/* It goes on trying: a name server or a Sentinel that is away may come back. */
static void tell_what_it_lacks(struct reload *reload, enum handover_lack lack)
{
    static const char *const texts[] = {
        [HANDOVER_READY] = "",
        [HANDOVER_STARTING] = "its Sentinels do not answer",
        [HANDOVER_UNNAMED] = "it would name no master",
        [HANDOVER_UNHEARD] = "its Sentinels do not name a server of the map",
        [HANDOVER_UNPROBED] = "the node that is named does not tell its role",
    };
    const char *service = deployment_config(reload->next)->services[reload->lacking].name;
    char error[HISTORY_NAME_MAX + 160];

    reload->ready_deadline_ms = INT64_MAX;
    reload->ready.repeat = FAILED_INTERVAL_S;
    (void)snprintf(error, sizeof(error),
                   "service '%.*s': %s; the old configuration stays until the new one is as good",
                   HISTORY_NAME_MAX, service, texts[lack]);
    note_failure(reload, error);
}

static void on_ready(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct reload *reload = container_of(timer, struct reload, ready);

    (void)loop;
    (void)events;
    if (reload->retired != NULL)
        return;
    enum handover_lack lack = deployment_lack(reload->next, reload->running, &reload->lacking);
    if (lack == HANDOVER_READY)
        change_over(reload);
    else if (clock_ms() >= reload->ready_deadline_ms)
        tell_what_it_lacks(reload, lack);
}

/* ---- the first and the last ---- */

struct reload *reload_create(const struct reload_options *options, struct config *config)
{
    struct reload *reload = calloc(1, sizeof(*reload));

    if (reload == NULL) {
        config_destroy(config);
        return NULL;
    }
    reload->options = *options;
    ev_timer_init(&reload->ready, on_ready, 0.0, READY_INTERVAL_S);
    ev_timer_init(&reload->retire, on_retire, 0.0, 0.0);
    struct deployment *first = create_deployment(reload, config);
    if (first == NULL || !deployment_fill(first, options->table) || !deployment_activate(first, NULL)) {
        deployment_destroy(first);
        reload_destroy(reload);
        return NULL;
    }
    run(reload, first);
    return reload;
}

void reload_destroy(struct reload *reload)
{
    if (reload == NULL)
        return;
    drop_next(reload);
    end_retired(reload);
    deployment_destroy(reload->running);
    free(reload);
}

const struct deployment *reload_running(const struct reload *reload)
{
    return reload->running;
}

bool reload_is_good(const struct reload *reload)
{
    return reload->is_good;
}

uint64_t reload_asked(const struct reload *reload)
{
    return reload->asked;
}

bool reload_is_open(const struct reload *reload)
{
    return reload->next != NULL && reload->ready_deadline_ms != INT64_MAX;
}

const char *reload_error(const struct reload *reload)
{
    return reload->is_good ? NULL : reload->error;
}

int64_t reload_loaded_ms(const struct reload *reload)
{
    return reload->t_loaded_ms;
}
