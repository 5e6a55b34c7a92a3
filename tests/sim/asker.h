/* HAProxy: asks an agent with real frames, reads the ACK, and has the answer checked against the truth. */
#ifndef TESTS_SIM_ASKER_H
#define TESTS_SIM_ASKER_H

#include "tests/sim/world.h"

/* What an ACK said. */
struct sim_answer {
    int state;       /* enum service_state, or one of these */
    int8_t address;  /* the number of `addr` and `port`; -1 where they are unset */
    bool has_master; /* the server of that address is named too */
    int64_t votes;
    int64_t generation;
};
#define SIM_STATE_UNKNOWN_SERVICE (-1)
#define SIM_STATE_NONSENSE (-2)

/* Opens the session with HAPROXY-HELLO. */
void asker_greet(struct world *world, unsigned agent);

/* Asks, and checks every invariant. */
void asker_ask(struct world *world, unsigned agent, unsigned service);

/* Asks all agents at one moment, and compares. */
void asker_ask_all(struct world *world, unsigned service);

/* Asks for a service that is not there. */
void asker_ask_unknown(struct world *world, unsigned agent);

#endif
