#include "tests/sim/event_queue.h"

#include <stdio.h>
#include <stdlib.h>

void event_queue_clear(struct event_queue *queue)
{
    queue->count = 0;
    queue->next_order = 0;
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void insert(struct event_queue *queue, const struct event *event)
{
    if (queue->count == EVENT_QUEUE_MAX) {
        (void)fprintf(stderr, "sim: the event queue is full\n");
        abort();
    }
    size_t place = queue->count++;
    while (place > 0 && is_before(event, &queue->events[(place - 1) / 2])) {
        queue->events[place] = queue->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    queue->events[place] = *event;
}

void event_queue_push(struct event_queue *queue, const struct event *event)
{
    struct event filed = *event;

    filed.order = queue->next_order++;
    insert(queue, &filed);
}

void event_queue_put_off(struct event_queue *queue, struct event *event, int64_t at_ms)
{
    event->at_ms = at_ms;
    insert(queue, event);
}

int64_t event_queue_next_ms(const struct event_queue *queue)
{
    return queue->count > 0 ? queue->events[0].at_ms : INT64_MAX;
}

void event_queue_pop(struct event_queue *queue, struct event *ret_event)
{
    *ret_event = queue->events[0];
    const struct event *last = &queue->events[--queue->count];
    size_t place = 0;

    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && is_before(&queue->events[child + 1], &queue->events[child]))
            child++;
        if (!is_before(&queue->events[child], last))
            break;
        queue->events[place] = queue->events[child];
        place = child;
    }
    queue->events[place] = *last;
}
