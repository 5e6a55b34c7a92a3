/* Deployments that nobody uses any more. They end in slices, one after another, while questions are answered. */
#ifndef SPOA_ENDINGS_H
#define SPOA_ENDINGS_H

#include <ev.h>
#include <stddef.h>

#include "spoa/core/haproxy/service_table.h"
#include "spoa/deployment.h"

#define ENDINGS_MAX 3

/* `table` has the services of `deployment`, and answers nothing; NULL: they are in none. */
struct ending {
    struct deployment *deployment;
    struct service_table *table;
};

struct endings {
    struct ev_loop *loop;
    ev_timer timer;
    struct ending list[ENDINGS_MAX]; /* the first one is in work */
    size_t count;
    void (*ended)(void *context); /* one has ended: there is room */
    void *context;
};

/* All is borrowed. The struct must not move. */
void endings_init(struct endings *endings, struct ev_loop *loop, void (*ended)(void *context), void *context);

/* Takes both over. There must be room. */
void endings_add(struct endings *endings, struct deployment *deployment, struct service_table *table);

/* Ends all of them at once, and `ended` is not called. */
void endings_finish(struct endings *endings);

#endif
