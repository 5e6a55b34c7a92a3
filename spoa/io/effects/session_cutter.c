#include "spoa/io/effects/session_cutter.h"

#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/config/config.h"
#include "spoa/core/haproxy/cut_rounds.h"
#include "spoa/io/effects/runtime_api.h"
#include "spoa/io/net/loop.h"

/* What happens within this time is one moment. */
#define MOMENT_MS 5

/* One HAProxy. `index` is its number in the rounds. */
struct target {
    struct session_cutter *cutter;
    size_t index;
    const struct addr *addr;
    struct runtime_api *api;
    ev_timer timer; /* begins the next round */
};

struct session_cutter {
    struct ev_loop *loop;
    struct history *history;
    struct cut_rounds *rounds;
    struct target *targets;
    struct runtime_health *healths; /* of the targets */
    size_t count;
};

/* ---- rounds ---- */

/* Sets the timer for the next round. During a round the end of the round does so. */
static void arm(struct target *target)
{
    const struct session_cutter *cutter = target->cutter;
    int64_t due_ms = cut_rounds_due_ms(cutter->rounds, target->index);

    if (due_ms != INT64_MAX)
        loop_arm(cutter->loop, &target->timer, due_ms);
}

/*
 * A service has changed. Services that switch in the same moment share a round, and a look at what is due: with
 * thousands of them a look for each would cost more than all else that a switch costs.
 */
static void look_soon(void *context)
{
    struct session_cutter *cutter = context;

    for (size_t i = 0; i < cutter->count; i++) {
        ev_timer *timer = &cutter->targets[i].timer;
        if (ev_is_pending(timer))
            continue; /* it runs in this turn */
        if (!ev_is_active(timer) || ev_timer_remaining(cutter->loop, timer) > MOMENT_MS / 1000.)
            loop_arm(cutter->loop, timer, clock_ms() + MOMENT_MS);
    }
}

static void note_cut(void *context, const char *service, const char *server, int64_t now_ms)
{
    const struct session_cutter *cutter = context;

    history_note_cut(cutter->history, service, server, now_ms);
}

static void round_ended(void *context, const char *complaint)
{
    struct target *target = context;

    cut_rounds_end(target->cutter->rounds, target->index, complaint, clock_ms());
    arm(target);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct target *target = container_of(timer, struct target, timer);
    const struct session_cutter *cutter = target->cutter;
    struct runtime_visit_options what;
    int64_t now_ms = clock_ms();

    (void)events;
    if (cut_rounds_due_ms(cutter->rounds, target->index) > now_ms)
        arm(target); /* nothing is due yet, or a round is under way */
    else if (cut_rounds_begin(cutter->rounds, target->index, now_ms, &what))
        runtime_api_begin(target->api, &what);
    else
        loop_arm(loop, timer, now_ms + CUT_TRIAL_AGAIN_MS);
}

/* ---- services ---- */

bool session_cutter_watch(struct session_cutter *cutter, struct service *service,
                          const struct config_names *backends)
{
    return cut_rounds_watch(cutter->rounds, service, backends->list, backends->count);
}

bool session_cutter_inherit(struct session_cutter *cutter, const struct session_cutter *former)
{
    return former == NULL || cut_rounds_inherit(cutter->rounds, former->rounds, clock_ms());
}

/* Makes no more calls. */
static void end(struct session_cutter *cutter)
{
    if (cutter->rounds != NULL)
        cut_rounds_stop(cutter->rounds);
    for (size_t i = 0; i < cutter->count; i++) {
        struct target *target = &cutter->targets[i];
        ev_timer_stop(cutter->loop, &target->timer);
        runtime_api_destroy(target->api);
        target->api = NULL;
    }
}

void session_cutter_follow(struct session_cutter *cutter, struct session_cutter *former)
{
    if (former == NULL)
        return;
    if (cutter != NULL)
        cut_rounds_follow(cutter->rounds, former->rounds);
    else
        end(former);
}

/* A cut that is under way becomes a cut of `target`. A trial ends; it will be made again. */
static void move_round(struct target *target, struct target *former)
{
    struct runtime_visit_options what;
    struct runtime_api *idle = target->api;

    if (!cut_rounds_move(target->cutter->rounds, target->index, former->cutter->rounds, former->index, &what))
        return;
    runtime_api_move(former->api, target->addr, target, &what);
    target->api = former->api;
    former->api = idle;
}

static void move_rounds(struct session_cutter *cutter, const struct session_cutter *former)
{
    for (size_t i = 0; i < cutter->count; i++)
        for (size_t k = 0; k < former->count; k++)
            move_round(&cutter->targets[i], &former->targets[k]);
}

void session_cutter_begin(struct session_cutter *cutter, struct session_cutter *former)
{
    if (cutter != NULL && former != NULL)
        move_rounds(cutter, former);
    if (former != NULL)
        end(former);
    if (cutter == NULL)
        return;
    cut_rounds_start(cutter->rounds, clock_ms());
    look_soon(cutter);
}

/* ---- its life ---- */

static bool create_targets(struct session_cutter *cutter, const struct config_haproxy *haproxy)
{
    for (size_t i = 0; i < cutter->count; i++) {
        const struct config_runtime_api *config = &haproxy->runtime_apis[i];
        struct target *target = &cutter->targets[i];
        target->cutter = cutter;
        target->index = i;
        target->addr = &config->addr;
        ev_timer_init(&target->timer, on_timer, 0.0, 0.0);
        runtime_health_init(&cutter->healths[i], &config->addr, config->is_master);
        target->api = runtime_api_create(cutter->loop, &config->addr, config->is_master, round_ended, target);
        if (target->api == NULL)
            return false;
    }
    return true;
}

static bool create_rounds(struct session_cutter *cutter, struct metrics *metrics)
{
    const struct cut_rounds_options options = {
        .healths = cutter->healths,
        .api_count = cutter->count,
        .metrics = metrics,
        .on_change = look_soon,
        .on_cut = note_cut,
        .context = cutter,
    };

    cutter->rounds = cut_rounds_create(&options);
    return cutter->rounds != NULL;
}

struct session_cutter *session_cutter_create(struct ev_loop *loop, const struct config_haproxy *haproxy,
                                             struct metrics *metrics, struct history *history)
{
    struct session_cutter *cutter = calloc(1, sizeof(*cutter));

    if (cutter == NULL)
        return NULL;
    cutter->loop = loop;
    cutter->history = history;
    cutter->targets = calloc(haproxy->runtime_api_count, sizeof(*cutter->targets));
    cutter->healths = calloc(haproxy->runtime_api_count, sizeof(*cutter->healths));
    if (cutter->targets != NULL && cutter->healths != NULL)
        cutter->count = haproxy->runtime_api_count;
    if (cutter->count == 0 || !create_targets(cutter, haproxy) || !create_rounds(cutter, metrics)) {
        session_cutter_destroy(cutter);
        return NULL;
    }
    return cutter;
}

void session_cutter_destroy(struct session_cutter *cutter)
{
    if (cutter == NULL)
        return;
    end(cutter);
    cut_rounds_destroy(cutter->rounds);
    free(cutter->targets);
    free(cutter->healths);
    free(cutter);
}

const struct runtime_health *session_cutter_health(const struct session_cutter *cutter, size_t *ret_count)
{
    *ret_count = cutter != NULL ? cutter->count : 0;
    if (cutter == NULL)
        return NULL;
    for (size_t i = 0; i < cutter->count; i++)
        cutter->healths[i].owed = cut_rounds_owed(cutter->rounds, i);
    return cutter->healths;
}
