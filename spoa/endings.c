#include "spoa/endings.h"

#include <assert.h>
#include <string.h>

#include "spoa/core/base/container_of.h"

/* What the first one has left is little, or nobody is answered any more. */
static void end_first(struct endings *endings)
{
    const struct ending *first = &endings->list[0];
    size_t budget = PROGRESS_UNLIMITED;

    (void)deployment_unlink(first->deployment, &budget);
    service_table_destroy(first->table);
    deployment_destroy(first->deployment);
    endings->count--;
    memmove(&endings->list[0], &endings->list[1], endings->count * sizeof(struct ending));
}

static bool shed(const struct ending *ending)
{
    size_t budget = DEPLOYMENT_SLICE;

    return deployment_unlink(ending->deployment, &budget) || service_table_shed(ending->table, &budget) ||
           deployment_shed(ending->deployment, &budget);
}

/* In the next turn of the loop. */
static void go_on(struct endings *endings)
{
    ev_timer_stop(endings->loop, &endings->timer);
    ev_timer_set(&endings->timer, 0.0, 0.0);
    ev_timer_start(endings->loop, &endings->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct endings *endings = container_of(timer, struct endings, timer);

    (void)loop;
    (void)events;
    bool has_more = shed(&endings->list[0]);
    if (!has_more)
        end_first(endings);
    if (endings->count > 0)
        go_on(endings);
    if (!has_more)
        endings->ended(endings->context);
}

void endings_init(struct endings *endings, struct ev_loop *loop, void (*ended)(void *context), void *context)
{
    *endings = (struct endings){.loop = loop, .ended = ended, .context = context};
    ev_timer_init(&endings->timer, on_timer, 0.0, 0.0);
}

void endings_add(struct endings *endings, struct deployment *deployment, struct service_table *table)
{
    assert(endings->count < ENDINGS_MAX);
    deployment_give_up(deployment);
    endings->list[endings->count++] = (struct ending){.deployment = deployment, .table = table};
    go_on(endings);
}

void endings_finish(struct endings *endings)
{
    ev_timer_stop(endings->loop, &endings->timer);
    while (endings->count > 0)
        end_first(endings);
}
