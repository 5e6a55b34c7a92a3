/* An agent's process: a set that answers, the timers of all its sets, and HAProxy's session. */
#ifndef TESTS_SIM_AGENT_MODEL_H
#define TESTS_SIM_AGENT_MODEL_H

#include "tests/sim/world.h"

/* A new process: everything is forgotten. */
void agent_start(struct world *world, unsigned agent, const struct sim_file *file);
void agent_stop(struct world *world, unsigned agent);

/* It has no such service yet, or any more. */
void agent_forget_service(struct world *world, unsigned agent, unsigned service);

/* The set that answers for a service: in a change-over the next one once the service has moved. */
const struct sim_set *agent_set_of(const struct world *world, unsigned agent, unsigned service);

/* That service; NULL: the file does not have it. */
struct service *agent_service(const struct world *world, unsigned agent, unsigned service);

/* The time by its own clock. */
int64_t agent_now_ms(const struct world *world, unsigned agent);

/* Its clock jumps ahead, as after a sleep of the machine. */
void agent_step_clock(struct world *world, unsigned agent, int64_t by_ms);

/* What the I/O layer does after every step: sends, asks, sets timers. */
void agent_settle(struct world *world, unsigned agent);

/* Only the last of it: sets the timer. */
void agent_arm(struct world *world, unsigned agent);

/*
 * A set has taken something in. What it says may be another: ask then, for that is when a wrong answer is
 * likely.
 */
void agent_note_changes(struct world *world, unsigned agent);

/* Its timers are due: agents[agent].wake_ms has come. */
void agent_wake(struct world *world, unsigned agent);

#endif
