/* Links between agents and Sentinels. A message takes the path's delay; those of one link stay in order. */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "tests/sim/world.h"

struct sim_link *network_link(struct world *world, const struct sim_set *set, unsigned voter, bool is_hints);
struct sim_path *network_path(struct world *world, const struct sim_link *link);
struct sim_agent *network_agent(struct world *world, const struct sim_link *link);

/* The Sentinel that a voter's address leads to now. */
unsigned network_route(const struct world *world, const struct sim_set *set, unsigned voter);

/* The agent opens a connection; it will be told of success or failure, or of nothing. */
void network_connect(struct world *world, struct sim_link *link);

/* The agent closes it: what is under way to it will not reach it. */
void network_close(struct world *world, struct sim_link *link);

/* The link breaks, with a reset that the agent hears of, or silently. */
void network_break(struct world *world, struct sim_link *link, bool silently);

/* Sends an event of kind REQUESTS or REPLIES, with its items and sent_ms. */
void network_send(struct world *world, struct sim_link *link, enum sim_direction direction,
                  struct event *event);

/* An event of the network is due: delivers it, or puts it off where the way is blocked. */
void network_deliver(struct world *world, struct event *event);

/* The set ends: nothing that is under way will reach it. */
void network_forget(struct world *world, const struct sim_set *set);

#endif
