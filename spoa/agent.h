/* The running agent: what the configuration describes, brought to life on one loop. */
#ifndef SPOA_AGENT_H
#define SPOA_AGENT_H

#include <ev.h>

#include "spoa/core/config.h"

struct agent;

/*
 * Connects to the Sentinels and listens. `config` is borrowed and was checked. NULL where it cannot; the log
 * says why.
 */
struct agent *agent_create(struct ev_loop *loop, const struct config *config);

/* Stops accepting, answers what is in flight, says goodbye, and breaks the loop when all are gone or after
 * drain-timeout. A second call breaks it at once. */
void agent_stop(struct agent *agent);

/* Closes and frees everything; NULL is fine. */
void agent_destroy(struct agent *agent);

#endif
