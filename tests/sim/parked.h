/* HAProxy waits: the questions that an agent has not answered yet, and what becomes of them. */
#ifndef TESTS_SIM_PARKED_H
#define TESTS_SIM_PARKED_H

#include "tests/sim/world.h"

/* A question (its stream, frame and service) was not answered at once. */
void parked_wait(struct world *world, unsigned agent, const struct sim_waiting *waiting);

/* After every step: takes the answers that are due now and checks them, and that none else is due. */
void parked_settle(struct world *world, unsigned agent);

/* Those whose time is over all at once are due from now on, not before. */
void parked_let_due(struct world *world, unsigned agent);

/* A service has moved in a change-over: those who wait for it wait as long as the new file says. */
void parked_move(struct world *world, unsigned agent, unsigned service);

/* The change-over is at its end: nobody waits any more for a service that the new file does not have. */
void parked_end_change_over(struct world *world, unsigned agent);

#endif
