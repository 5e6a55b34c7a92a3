/* Redis nodes and the sets' ROLE probes of them. A link of its own kind: it has a delay, and nothing else. */
#ifndef TESTS_SIM_NODE_MODEL_H
#define TESTS_SIM_NODE_MODEL_H

#include "tests/sim/world.h"

/* All nodes are up, and masters: none would be vetoed. */
void node_start_all(struct world *world);

/* A set's probe of a service opens or closes its connection. */
void node_connect(struct world *world, struct sim_set *set, unsigned service);
void node_close(struct sim_set *set, unsigned service);

/* Sends what the probe has to say. */
void node_pump(struct world *world, struct sim_set *set, unsigned service);

/* EVENT_NODE and EVENT_PROBE are due: something reaches a node, or an agent. */
void node_receive(struct world *world, const struct event *event);
void node_reply(struct world *world, const struct event *event);

/* A node becomes something else. */
void node_set_role(struct world *world, unsigned service, unsigned address, int role);

/* A node's process does nothing until then. */
void node_stop(struct world *world, unsigned service, unsigned address, int64_t until_ms);

/* Time has come for a set's probe of a service: the node may be silent by now. */
void node_note_silence(struct world *world, struct sim_set *set, unsigned service);

#endif
