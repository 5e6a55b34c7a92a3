/*
 * What of an agent cuts sessions: the real rounds and visits, with timers and calls around them. This file
 * does what spoa/io/effects does, and no more.
 */
#ifndef TESTS_SIM_CUTTER_MODEL_H
#define TESTS_SIM_CUTTER_MODEL_H

#include "tests/sim/world.h"

/* `set` is to answer. */
void cutter_create(struct world *world, struct sim_set *set);

/* Services begin to move to it. Until all have, `former` cuts, and knows what those of `set` decide. */
void cutter_follow(struct world *world, struct sim_set *set, struct sim_set *former);

/*
 * Its services have decided: it takes over what `former` owes, NULL: it is the first. It begins, and the former one makes
 * no more calls.
 */
void cutter_begin(struct world *world, struct sim_set *set, struct sim_set *former);

/* There are no more rounds. */
void cutter_destroy(struct sim_set *set);

/* A new process has planned nothing. One that ends calls nobody any more. */
void cutter_forget(struct world *world, unsigned agent);

/* Plans the next round of the set that answers. */
void cutter_arm(struct world *world, unsigned agent);

/* EVENT_CUT is due: the next round. EVENT_CALLED is due: a reply has come. */
void cutter_wake(struct world *world, struct event *event);
void cutter_receive(struct world *world, struct event *event);

#endif
