/*
 * What will happen in the simulated world, in order of time. Tie-break: of events at one millisecond the one
 * that was first put into the queue comes first; an event that is put off keeps its place among its equals,
 * so the messages of one link stay in order.
 */
#ifndef TESTS_SIM_EVENT_QUEUE_H
#define TESTS_SIM_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_QUEUE_MAX 4096
#define EVENT_ITEMS_MAX 8

enum event_kind {
    EVENT_REQUESTS,  /* commands reach a Sentinel */
    EVENT_REPLIES,   /* replies and pushed messages reach an agent */
    EVENT_SYN,       /* an attempt to connect reaches a Sentinel */
    EVENT_CONNECTED, /* its success reaches the agent */
    EVENT_LOST,      /* a refusal or reset reaches the agent */
    EVENT_ADOPT,     /* a Sentinel hears of a new master */
    EVENT_PUBLISH,   /* a Sentinel publishes an event long after it happened */
    EVENT_NODE,      /* a probe's commands, or its attempt to connect, reach a node */
    EVENT_PROBE,     /* the node's answer reaches the agent */
    EVENT_RELOAD,    /* an agent looks at its next set, or at the one that was replaced */
    EVENT_CUT,       /* an agent's next round of cuts is due */
    EVENT_CALLED,    /* the reply of HAProxy's runtime API, or its failure, reaches the agent */
    EVENT_HAPROXY,   /* the script does something to a HAProxy */
    EVENT_ACTION,    /* the script does something */
    EVENT_ASK,       /* HAProxy asks */
};

struct event_item {
    uint8_t kind; /* enum command_kind or enum reply_item_kind */
    uint8_t service;
    int8_t value;
    int8_t views[3];       /* REPLY_ITEM_SLOTS: of all services */
    int32_t down_after_ms; /* of the Sentinel that says it; with facts */
    int32_t age_ms;        /* how long ago the master, or a majority of Sentinels, was heard */
};

struct event {
    int64_t at_ms;
    uint64_t order;      /* the queue's */
    int64_t sent_ms;     /* of requests and what answers them: by the clock of the agent */
    uint32_t generation; /* of the link, or a config-epoch */
    uint8_t kind;        /* enum event_kind */
    uint8_t target;      /* a link, a Sentinel, or the script's action */
    uint8_t count;
    struct event_item items[EVENT_ITEMS_MAX];
};

struct event_queue {
    size_t count;
    uint64_t next_order;
    struct event events[EVENT_QUEUE_MAX]; /* a binary heap */
};

void event_queue_clear(struct event_queue *queue);

/* Copies `event`; ends the program where the queue is full, which is a defect of the simulation. */
void event_queue_push(struct event_queue *queue, const struct event *event);

/* Puts an event that was popped back, for a later time. */
void event_queue_put_off(struct event_queue *queue, struct event *event, int64_t at_ms);

/* INT64_MAX where it is empty. */
int64_t event_queue_next_ms(const struct event_queue *queue);

/* The queue is not empty. */
void event_queue_pop(struct event_queue *queue, struct event *ret_event);

#endif
