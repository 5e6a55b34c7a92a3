/* What an ACK said. */
#ifndef TESTS_SIM_ACK_H
#define TESTS_SIM_ACK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/span.h"

struct sim_answer {
    int state;        /* enum service_state, or one of these */
    int8_t address;   /* the number of `addr` and `port`; -1 where they are unset */
    bool has_master;  /* the server of that address is named too */
    bool cannot_wait; /* it was due, whatever there was to say */
    int64_t votes;
    int64_t generation;
};
#define SIM_STATE_UNKNOWN_SERVICE (-1)
#define SIM_STATE_NONSENSE (-2)

/* Reads the actions of an ACK. Every variable must be mentioned once, set or unset; else false. */
bool ack_read(struct span actions, unsigned service, struct sim_answer *ret_answer);

#endif
