/*
 * Reloads of an agent, as spoa/reload.c and spoa/deployment.c do them: a next set is built beside the one
 * that answers. It takes over when it is at least as good, however late that is. One that still waits is
 * abandoned for a newer file.
 */
#ifndef TESTS_SIM_RELOAD_MODEL_H
#define TESTS_SIM_RELOAD_MODEL_H

#include "tests/sim/world.h"

/* The agent is told to read `file`. */
void reload_begin(struct world *world, unsigned agent, const struct sim_file *file);

/* EVENT_RELOAD is due: looks whether the next set is ready, and whether the one that was replaced may end. */
void reload_look(struct world *world, struct event *event);

/* `set` answers from now on, by `table`, in the place of `former`; NULL: it is the first. */
void reload_activate(struct world *world, struct sim_set *set, struct sim_set *former,
                     struct service_table *table);

#endif
