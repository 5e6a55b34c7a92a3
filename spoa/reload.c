#include "spoa/reload.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/endings.h"
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
/* Nobody waits longer than this for a service that is not ready, nor then for the cuts of the former deployment. */
#define TAKE_OVER_MS 500
/*
 * How often we look whether a deployment that was replaced can end: nobody waits any more for a service that
 * is gone.
 */
#define RETIRE_S 1.0
#define RELOAD_ERROR_MAX 512

/* What becomes of the next deployment, in this order. */
enum step {
    STEP_BUILD,
    STEP_WAIT,
    STEP_PREPARE,
    STEP_TAKE_OVER,
    STEP_FINISH,
    STEP_COUNT,
};

struct reload {
    struct reload_options options;
    struct deployment *running;
    int64_t t_loaded_ms;
    uint64_t asked; /* reloads */
    bool is_good;
    char error[RELOAD_ERROR_MAX]; /* of the last one, where it is not good */

    struct deployment *next; /* is to replace it; NULL: none is */
    struct service_table *next_table;
    enum step step;
    struct deployment_look look; /* at its services */
    ev_timer go_on;
    int64_t ready_deadline_ms;
    int64_t take_over_deadline_ms; /* from then on they move by force */
    struct config *waiting;        /* the one after `next`: cannot begin yet; NULL: none */
    bool fails_meanwhile;          /* another one was asked for while `next` takes over, and is no good */
    bool is_ending;                /* nothing begins any more */

    struct deployment *retired; /* was replaced; NULL: it has ended */
    struct service_table *retired_table;
    bool is_unlinked; /* its links have ended */
    ev_timer retire;

    struct endings endings; /* of those that nobody needs any more */
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
        .former = reload->running,
        .resolver = reload->options.resolver,
        .metrics = reload->options.metrics,
        .history = reload->options.history,
        .hooks = reload->options.hooks,
    };

    return deployment_create(&options);
}

static void arm(const struct reload *reload, ev_timer *timer, double after_s)
{
    ev_timer_stop(reload->options.loop, timer);
    ev_timer_set(timer, after_s, 0.0);
    ev_timer_start(reload->options.loop, timer);
}

/* ---- the end of a deployment ---- */

/* At once: its passwords may be taken from the nodes and the Sentinels now. */
static void unlink_retired(struct reload *reload)
{
    size_t budget = DEPLOYMENT_SLICE;

    reload->is_unlinked = !deployment_unlink(reload->retired, &budget);
    arm(reload, &reload->retire, reload->is_unlinked ? RETIRE_S : 0.0);
}

static void on_retire(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct reload *reload = container_of(timer, struct reload, retire);

    (void)loop;
    (void)events;
    if (!reload->is_unlinked) {
        unlink_retired(reload);
        return;
    }
    size_t budget = DEPLOYMENT_SLICE;
    if (!service_table_is_idle(reload->retired_table, &budget)) {
        arm(reload, timer, budget > 0 ? RETIRE_S : 0.0);
        return;
    }
    endings_add(&reload->endings, reload->retired, reload->retired_table);
    reload->retired_table = NULL;
    reload->retired = NULL;
}

static void retire(struct reload *reload, struct deployment *deployment, struct service_table *table)
{
    reload->retired = deployment;
    reload->retired_table = table;
    reload->is_unlinked = false;
    deployment_give_up(deployment);
    arm(reload, &reload->retire, 0.0);
}

/* ---- change over ---- */

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

/* The service manager waits for what became of the last one. */
static void tell_manager(const struct reload *reload, const struct config *config)
{
    if (reload->is_good && reload->waiting == NULL && !reload->is_ending)
        service_manager_send("READY=1\nSTATUS=%zu services", config->service_count);
}

static void log_reload(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_event(EVENT_CONFIGURATION_WARNING, log_text("warning", config->warnings.texts[i]));
    log_event(EVENT_RELOADED, log_number("services", (int64_t)config->service_count),
              log_number("sentinel-groups", (int64_t)config->group_count));
}

/* From the first moment on, or from the change-over. */
static void run(struct reload *reload, struct deployment *deployment)
{
    reload->running = deployment;
    reload->is_good = !reload->fails_meanwhile;
    reload->fails_meanwhile = false;
    reload->t_loaded_ms = clock_ms();
    reload->options.use(reload->options.context, deployment);
}

/* Defined below: completing one reload begins the next. */
static void begin_waiting(struct reload *reload);

static void complete(struct reload *reload)
{
    struct deployment *former = reload->running;
    struct deployment *next = reload->next;
    struct service_table *table = reload->next_table;
    const struct config *config = deployment_config(next);

    ev_timer_stop(reload->options.loop, &reload->go_on);
    reload->next = NULL;
    reload->next_table = NULL;
    tell_what_needs_a_restart(reload, &config_of(reload)->agent, &config->agent);
    service_table_end(reload->options.table, clock_ms());
    run(reload, next);
    retire(reload, former, table);
    listeners_settle(reload->options.listeners, &config->agent);
    log_sink_choose(config->agent.syslog, config->agent.log_format, config->agent.log_level);
    reload->options.metrics->reloads_total++;
    tell_manager(reload, config);
    log_reload(config);
    begin_waiting(reload);
}

/* ---- abandon ---- */

/* Services take their places already, and cannot go back: nothing keeps the next deployment from running. */
static bool is_moving(const struct reload *reload)
{
    return reload->next != NULL && reload->step >= STEP_TAKE_OVER;
}

/* It is not moving. */
static void drop_next(struct reload *reload)
{
    if (reload->next == NULL)
        return;
    ev_timer_stop(reload->options.loop, &reload->go_on);
    endings_add(&reload->endings, reload->next, reload->next_table);
    reload->next = NULL;
    reload->next_table = NULL;
}

static void drop_waiting(struct reload *reload)
{
    config_destroy(reload->waiting);
    reload->waiting = NULL;
}

/* What is certain to run stays, with its listeners. */
static void abandon(struct reload *reload)
{
    const struct deployment *last = is_moving(reload) ? reload->next : reload->running;

    drop_waiting(reload);
    if (!is_moving(reload))
        drop_next(reload);
    listeners_settle(reload->options.listeners, &deployment_config(last)->agent);
}

void reload_abandon(struct reload *reload)
{
    reload->is_ending = true;
    abandon(reload);
}

static void note_failure(struct reload *reload, const char *error)
{
    reload->options.metrics->reload_failures_total++;
    reload->is_good = false;
    (void)snprintf(reload->error, sizeof(reload->error), "%s", error);
    service_manager_send("READY=1\nSTATUS=the last reload failed: %.200s", error);
    log_event(EVENT_RELOAD_FAILED, log_text("error", error));
}

void reload_fail(struct reload *reload, const char *error)
{
    reload->asked++;
    reload->fails_meanwhile = is_moving(reload);
    abandon(reload);
    note_failure(reload, error);
}

/* The next deployment cannot be. It has not begun to move. */
static void give_up(struct reload *reload, const char *error)
{
    drop_next(reload);
    listeners_settle(reload->options.listeners, &config_of(reload)->agent);
    note_failure(reload, error);
    begin_waiting(reload);
}

/* ---- build, wait, prepare, take over: each function does a slice, and says when the next one is due ---- */

static int64_t longest_vote_life(const struct config *config)
{
    int64_t longest_ms = 0;

    for (size_t i = 0; i < config->group_count; i++)
        if (config->groups[i].vote_life_ms > longest_ms)
            longest_ms = config->groups[i].vote_life_ms;
    return longest_ms;
}

static void set_deadline(struct reload *reload)
{
    reload->ready_deadline_ms =
        clock_ms() + longest_vote_life(deployment_config(reload->next)) + READY_SLACK_MS;
}

/* It goes on trying: a name server or a Sentinel that is away may come back. */
static void tell_what_it_lacks(struct reload *reload)
{
    static const char *const texts[] = {
        [HANDOVER_READY] = "",
        [HANDOVER_STARTING] = "its Sentinels do not answer",
        [HANDOVER_UNNAMED] = "it would name no master",
        [HANDOVER_UNHEARD] = "its Sentinels do not name a server of the map",
        [HANDOVER_UNPROBED] = "the node that is named does not tell its role",
    };
    const char *service = deployment_config(reload->next)->services[reload->look.at].name;
    char error[HISTORY_NAME_MAX + 160];

    reload->ready_deadline_ms = INT64_MAX;
    (void)snprintf(error, sizeof(error),
                   "service '%.*s': %s; the old configuration stays until the new one is as good",
                   HISTORY_NAME_MAX, service, texts[reload->look.lack]);
    note_failure(reload, error);
}

static void look_at_deadline(struct reload *reload)
{
    if (clock_ms() >= reload->ready_deadline_ms)
        tell_what_it_lacks(reload);
}

static enum progress build(struct reload *reload, double *ret_after_s)
{
    size_t budget = DEPLOYMENT_SLICE;

    *ret_after_s = 0.0;
    return deployment_build(reload->next, &budget);
}

static enum progress wait_for_it(struct reload *reload, double *ret_after_s)
{
    size_t budget = DEPLOYMENT_SLICE;

    *ret_after_s = reload->ready_deadline_ms == INT64_MAX ? FAILED_INTERVAL_S : READY_INTERVAL_S;
    if (reload->retired != NULL)
        return PROGRESS_MORE;
    enum progress progress = deployment_check_ready(reload->next, reload->running, &reload->look, &budget);
    if (progress == PROGRESS_MORE && reload->look.lack == HANDOVER_READY)
        *ret_after_s = 0.0;
    else if (progress == PROGRESS_MORE)
        look_at_deadline(reload);
    return progress;
}

static enum progress prepare(struct reload *reload, double *ret_after_s)
{
    size_t budget = DEPLOYMENT_SLICE;

    *ret_after_s = 0.0;
    if (reload->next_table == NULL)
        reload->next_table = service_table_create(reload->options.parking);
    if (reload->next_table == NULL)
        return PROGRESS_FAILED;
    return deployment_prepare(reload->next, reload->next_table, &budget);
}

/* A service that was ready may lack something again. It does not keep the others. */
static enum progress take_over(struct reload *reload, double *ret_after_s)
{
    bool is_late = clock_ms() >= reload->take_over_deadline_ms;
    size_t budget = DEPLOYMENT_SLICE;

    reload->look = (struct deployment_look){.lack = HANDOVER_READY};
    enum progress progress = deployment_take_over(reload->next, reload->running, reload->options.table,
                                                  is_late, &reload->look, &budget);
    *ret_after_s = reload->look.lack != HANDOVER_READY ? READY_INTERVAL_S : 0.0;
    return progress;
}

static enum progress finish(struct reload *reload, double *ret_after_s)
{
    bool is_late = clock_ms() >= reload->take_over_deadline_ms;

    *ret_after_s = FAILED_INTERVAL_S;
    return deployment_finish(reload->next, reload->running, is_late) ? PROGRESS_DONE : PROGRESS_MORE;
}

static void begin_step(struct reload *reload, enum step step)
{
    reload->step = step;
    if (step == STEP_WAIT)
        set_deadline(reload);
    if (step == STEP_TAKE_OVER || step == STEP_FINISH)
        reload->take_over_deadline_ms = clock_ms() + TAKE_OVER_MS;
    if (step == STEP_TAKE_OVER)
        service_table_begin(reload->options.table, reload->next_table);
}

/* A deployment with few services is through all steps in one turn of the loop, once it is ready. */
static void go_on(struct reload *reload)
{
    static enum progress (*const steps[STEP_COUNT])(struct reload * reload, double *ret_after_s) = {
        [STEP_BUILD] = build,         [STEP_WAIT] = wait_for_it, [STEP_PREPARE] = prepare,
        [STEP_TAKE_OVER] = take_over, [STEP_FINISH] = finish,
    };
    enum progress progress = PROGRESS_DONE;
    double after_s = 0.0;

    while (reload->step < STEP_COUNT && progress == PROGRESS_DONE) {
        progress = steps[reload->step](reload, &after_s);
        if (progress == PROGRESS_DONE)
            begin_step(reload, reload->step + 1);
    }
    if (progress == PROGRESS_FAILED)
        give_up(reload, "out of memory");
    else if (progress == PROGRESS_DONE)
        complete(reload);
    else
        arm(reload, &reload->go_on, after_s);
}

static void on_go_on(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    go_on(container_of(timer, struct reload, go_on));
}

/* ---- begin ---- */

static void begin(struct reload *reload, struct config *config)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

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
    reload->look = (struct deployment_look){.at = 0};
    reload->ready_deadline_ms = 0;
    begin_step(reload, STEP_BUILD);
    go_on(reload);
}

/* Whether one more deployment may be there: each may have to end, and then needs a place among the endings. */
static bool has_room(const struct reload *reload)
{
    return reload->endings.count + (reload->next != NULL) + (reload->retired != NULL) < ENDINGS_MAX;
}

static void begin_waiting(struct reload *reload)
{
    struct config *config = reload->waiting;

    if (config == NULL || is_moving(reload) || !has_room(reload))
        return;
    reload->waiting = NULL;
    begin(reload, config);
}

static void on_ended(void *context)
{
    begin_waiting(context);
}

void reload_prepare(struct reload *reload, struct config *config)
{
    reload->asked++;
    reload->fails_meanwhile = false;
    drop_waiting(reload);
    reload->waiting = config;
    begin_waiting(reload);
}

/* ---- the first and the last ---- */

/* All at once: nobody is answered yet. */
static bool start(struct deployment *first, struct service_table *table)
{
    size_t budget = PROGRESS_UNLIMITED;
    struct deployment_look look = {.at = 0};

    return deployment_build(first, &budget) == PROGRESS_DONE &&
           deployment_prepare(first, table, &budget) == PROGRESS_DONE &&
           deployment_take_over(first, NULL, NULL, true, &look, &budget) == PROGRESS_DONE &&
           deployment_finish(first, NULL, true);
}

struct reload *reload_create(const struct reload_options *options, struct config *config)
{
    struct reload *reload = calloc(1, sizeof(*reload));

    if (reload == NULL) {
        config_destroy(config);
        return NULL;
    }
    reload->options = *options;
    ev_timer_init(&reload->go_on, on_go_on, 0.0, 0.0);
    ev_timer_init(&reload->retire, on_retire, 0.0, 0.0);
    endings_init(&reload->endings, options->loop, on_ended, reload);
    struct deployment *first = create_deployment(reload, config);
    if (first == NULL || !start(first, options->table)) {
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
    ev_timer_stop(reload->options.loop, &reload->go_on);
    ev_timer_stop(reload->options.loop, &reload->retire);
    drop_waiting(reload);
    endings_finish(&reload->endings);
    service_table_destroy(reload->next_table);
    deployment_destroy(reload->next);
    service_table_destroy(reload->retired_table);
    deployment_destroy(reload->retired);
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
    bool has_failed = reload->fails_meanwhile || reload->ready_deadline_ms == INT64_MAX;

    return reload->waiting != NULL || (reload->next != NULL && !has_failed);
}

const char *reload_error(const struct reload *reload)
{
    return reload->is_good ? NULL : reload->error;
}

int64_t reload_loaded_ms(const struct reload *reload)
{
    return reload->t_loaded_ms;
}
