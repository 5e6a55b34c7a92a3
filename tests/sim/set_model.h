/*
 * A set: what one configuration file brings to life. Services, a voter group, conversations with its voters,
 * probes, all of them real modules, over links of its own. This file does what spoa/io does around them.
 */
#ifndef TESTS_SIM_SET_MODEL_H
#define TESTS_SIM_SET_MODEL_H

#include "tests/sim/world.h"

/* A new set of `agent`, which is to replace `former` (or NULL); there is room for SIM_SETS. */
struct sim_set *set_create(struct world *world, unsigned agent, const struct sim_file *file,
                           const struct sim_set *former);

/* NULL is fine. Nothing that is under way will reach it. */
void set_destroy(struct world *world, struct sim_set *set);

/* Sends all that there is to be sent. */
void set_pump(struct world *world, struct sim_set *set);

/* Nobody observes its services until they take the places of others. */
void set_hold_observers(struct sim_set *set);

/* Before the change-over, as role_links_look(): a service that is to take a probe is told what that knows. */
void set_look(struct world *world, struct sim_set *set, unsigned service);

/* The change-over: the service takes the probe of `former` that it keeps, if any. */
void set_take_probe(struct world *world, struct sim_set *set, struct sim_set *former, unsigned service);

/* A change-over has evaluated a service, as voter_links_catch_up() is told. */
void set_catch_up(struct world *world, struct sim_set *set, unsigned service);

/* Its timers, and when they are due by the agent's clock. */
void set_tick(struct world *world, struct sim_set *set);
int64_t set_wake_ms(struct world *world, struct sim_set *set);

/* What network.c brings. After each of them agent_settle() is due. */
void set_connected(struct world *world, struct sim_link *link);
void set_lost(struct world *world, struct sim_link *link);
void set_receive(struct world *world, struct sim_link *link, const struct event *event);

/* Replies of a connection that is closed: the conversation must not take them. */
void set_receive_stale(struct world *world, struct sim_link *link, const struct event *event);

#endif
