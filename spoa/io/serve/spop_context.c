#include "spoa/io/serve/spop_context.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/serve/spop_connection.h"

/* How long one turn of the loop may look at waiting clients. */
#define LOOK_MAX_US 500

/* ---- limits ---- */

static size_t count_ordinary(const struct spop_context *context)
{
    return context->connection_count - context->guest_count;
}

bool spop_context_is_full(const struct spop_context *context)
{
    return context->connections_max > 0 && count_ordinary(context) >= context->connections_max;
}

/* Each connection takes a descriptor, and the links to the voters need some, too. */
void spop_context_note_refused(const struct spop_context *context)
{
    context->metrics->refused_total++;
    log_event(EVENT_CONNECTION_REFUSED, log_text("protocol", "spop"),
              log_text("reason", "'max-connections' are there"),
              log_number("connections", (int64_t)count_ordinary(context)));
}

struct spop_connection *spop_context_oldest_guest(const struct spop_context *context)
{
    return context->guest_count == SPOP_GUESTS_MAX ? context->guests[0] : NULL;
}

void spop_context_add_guest(struct spop_context *context, struct spop_connection *connection)
{
    context->guests[context->guest_count++] = connection;
}

void spop_context_remove_guest(struct spop_context *context, const struct spop_connection *connection)
{
    size_t i = 0;

    while (context->guests[i] != connection)
        i++;
    context->guest_count--;
    memmove(&context->guests[i], &context->guests[i + 1],
            (context->guest_count - i) * sizeof(struct spop_connection *));
}

/* ---- parked streams ---- */

/* Sets the timer only if it must fire earlier. */
void spop_context_arm(struct spop_context *context)
{
    const struct parking *parking = service_table_parking(context->table);

    if (parking == NULL || parking_wake_ms(parking) >= context->deadline_ms)
        return;
    context->deadline_ms = parking_wake_ms(parking);
    loop_arm(context->loop, &context->deadline, context->deadline_ms);
}

static void on_release(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct spop_context *context = container_of(timer, struct spop_context, release);
    struct parking *parking = service_table_parking(context->table);
    struct parking_client *client;
    int64_t begun_us = clock_us();

    (void)loop;
    (void)events;
    while (parking_look(parking, clock_ms()))
        if (clock_us() - begun_us >= LOOK_MAX_US) {
            spop_context_wake(context); /* look at the rest in the next turn of the loop */
            break;
        }
    while ((client = parking_take_woken(parking)) != NULL)
        spop_connection_answer_parked(container_of(client, struct spop_session, parked));
    spop_context_arm(context);
}

static void on_park_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct spop_context *context = container_of(timer, struct spop_context, deadline);

    (void)loop;
    (void)events;
    context->deadline_ms = INT64_MAX;
    parking_tick(service_table_parking(context->table), clock_ms());
    spop_context_arm(context);
}

void spop_context_wake(struct spop_context *context)
{
    /* The timer may run already, for a client that was woken and then left. */
    ev_timer_stop(context->loop, &context->release);
    ev_timer_set(&context->release, 0.0, 0.0);
    ev_timer_start(context->loop, &context->release);
}

/* ---- begin and end ---- */

bool spop_context_init(struct spop_context *context, struct ev_loop *loop, struct service_table *table,
                       struct metrics *metrics, spop_gone_fn gone)
{
    *context = (struct spop_context){
        .loop = loop,
        .table = table,
        .metrics = metrics,
        .gone = gone,
        .in = malloc(SPOP_IN_SIZE),
        .out = malloc(SPOP_OUT_SIZE),
    };
    ev_timer_init(&context->release, on_release, 0.0, 0.0);
    ev_timer_init(&context->deadline, on_park_deadline, 0.0, 0.0);
    context->deadline_ms = INT64_MAX;
    if (context->in != NULL && context->out != NULL)
        return true;
    spop_context_finish(context);
    return false;
}

void spop_context_finish(struct spop_context *context)
{
    ev_timer_stop(context->loop, &context->release);
    ev_timer_stop(context->loop, &context->deadline);
    free(context->in);
    free(context->out);
    context->in = NULL;
    context->out = NULL;
}
