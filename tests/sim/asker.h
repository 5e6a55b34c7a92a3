/* HAProxy: asks an agent with real frames, reads the ACK, and has the answer checked against the truth. */
#ifndef TESTS_SIM_ASKER_H
#define TESTS_SIM_ASKER_H

#include "tests/sim/ack.h"
#include "tests/sim/world.h"

/* Opens the session with HAPROXY-HELLO. */
void asker_greet(struct world *world, unsigned agent);

/* Asks, and checks every invariant. */
void asker_ask(struct world *world, unsigned agent, unsigned service);

/* Asks all agents at one moment, and compares. */
void asker_ask_all(struct world *world, unsigned service);

/* Checks an answer. HAProxy sends the client where it says. */
void asker_take_answer(struct world *world, unsigned agent, unsigned service,
                       const struct sim_answer *answer);

/* Asks for a service that is not there. */
void asker_ask_unknown(struct world *world, unsigned agent);

#endif
