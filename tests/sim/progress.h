/* I7: what is due by now. */
#ifndef TESTS_SIM_PROGRESS_H
#define TESTS_SIM_PROGRESS_H

#include "tests/sim/ack.h"
#include "tests/sim/world.h"

/* Checks that the answer is the name that it must be by now, where one is due, and that the agent's links are
 * there where they are due. */
void progress_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer);

#endif
