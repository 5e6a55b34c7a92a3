/* What goes wrong in a script, and when: drawn from its seed. */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/world.h"

/* Draws the configuration. */
void script_configure(struct world *world);

/* Draws the file with which the agents start, and changes in one that an agent is to reload. */
void script_draw_file(struct world *world, struct sim_file *file);
void script_change_file(struct world *world, struct sim_file *file);

/* Draws the delays of a path: quick (in so many of 100 cases), far, slow, too late for the reply timeout, or
 * now this and now that. */
void script_draw_path(struct world *world, struct sim_path *path, unsigned percent_quick);

/* Puts the script's actions and questions into the queue. */
void script_plan(struct world *world);

/* Services begin to move from one set to the next: more goes wrong then than by chance. */
void script_disturb_change_over(struct world *world, unsigned agent);
void script_disturb_haproxy(struct world *world, unsigned agent);

/* Puts the runtime API into a file, or takes it out. */
void script_change_api(struct world *world, struct sim_file *file);

/* The same of what goes wrong with HAProxys, within so many ms; EVENT_HAPROXY is due. */
void script_plan_haproxys(struct world *world, int64_t wild_ms);
void script_act_haproxy(struct world *world, const struct event *event);

/* EVENT_ACTION and EVENT_ASK are due. */
void script_act(struct world *world, const struct event *event);
void script_ask(struct world *world);

#endif
