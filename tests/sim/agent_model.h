/*
 * An agent of the real modules: services, voter group, Sentinel conversations, service table. This file does
 * what spoa/io does around them: carries commands and replies, runs the timers, pumps after every step.
 */
#ifndef TESTS_SIM_AGENT_MODEL_H
#define TESTS_SIM_AGENT_MODEL_H

#include "tests/sim/world.h"

/* A new process: everything is forgotten. */
void agent_start(struct world *world, unsigned agent);
void agent_stop(struct world *world, unsigned agent);

/* The time by its own clock. */
int64_t agent_now_ms(const struct world *world, unsigned agent);

/* Its clock jumps ahead, as after a sleep of the machine. */
void agent_step_clock(struct world *world, unsigned agent, int64_t by_ms);

/* What the I/O layer does after every step: sends, asks, sets timers. */
void agent_settle(struct world *world, unsigned agent);

/* Its timers are due: agents[agent].wake_ms has come. */
void agent_wake(struct world *world, unsigned agent);

/* What network.c brings. */
void agent_connected(struct world *world, struct sim_link *link);
void agent_lost(struct world *world, struct sim_link *link);
void agent_receive(struct world *world, struct sim_link *link, const struct event *event);

/* Replies of a connection that is closed: the conversation must not take them. */
void agent_receive_stale(struct world *world, struct sim_link *link, const struct event *event);

#endif
