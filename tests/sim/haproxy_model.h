/* The HAProxy beside an agent: its processes, its sessions, and what its runtime API answers. */
#ifndef TESTS_SIM_HAPROXY_MODEL_H
#define TESTS_SIM_HAPROXY_MODEL_H

#include "tests/sim/world.h"

/* A new world: draws whether the agents have a runtime API, and of which kind. */
void haproxy_configure(struct world *world);

/* HAProxy was told to send a client to this server: the session will be there soon. */
void haproxy_take_client(struct world *world, unsigned agent, unsigned service, int8_t address);

/* Who is on the way to it arrives now. */
void haproxy_let_in(struct world *world, unsigned agent);

/* Its runtime API is well, or no longer. */
void haproxy_set_api(struct world *world, unsigned agent, enum sim_api_state api);

/* It reloads: old sessions stay in the old process. */
void haproxy_reload(struct world *world, unsigned agent);

/* It ends, and all sessions with it. A new one begins. */
void haproxy_restart(struct world *world, unsigned agent);

/* Whether a visit to the worker in this place is of use: it is there, and an old one has sessions. */
bool haproxy_has_worker(const struct world *world, unsigned agent, unsigned place);

/* Does what a line of commands says, and writes the reply. */
void haproxy_obey(struct world *world, unsigned agent, const char *line, struct sim_call *ret_call);

#endif
