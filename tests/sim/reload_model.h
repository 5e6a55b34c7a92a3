/*
 * Reloads of an agent, as spoa/reload.c and spoa/deployment.c do them: a next set is built beside the one
 * that answers. It takes over when it is at least as good, however late that is: its services move one after another,
 * over several turns of the loop, and after TAKE_OVER_MS whatever they lack. One that still waits is abandoned for a newer
 * file; once services move, the newer file waits.
 */
#ifndef TESTS_SIM_RELOAD_MODEL_H
#define TESTS_SIM_RELOAD_MODEL_H

#include "tests/sim/world.h"

/* The agent is told to read `file`. */
void reload_begin(struct world *world, unsigned agent, const struct sim_file *file);

/* EVENT_RELOAD is due: looks whether the next set is ready, and whether the one that was replaced may end. */
void reload_look(struct world *world, struct event *event);

/* The first set of a new process answers from now on. */
void reload_start(struct world *world, unsigned agent);

#endif
