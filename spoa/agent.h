/* The running agent: what the configuration describes, brought to life on one loop. */
#ifndef SPOA_AGENT_H
#define SPOA_AGENT_H

#include <ev.h>

struct agent;
struct config;

/* What the program is, for those who ask. */
struct agent_build {
    const char *version;
    const char *revision;
};

/*
 * Connects to the Sentinels and listens. `config` was checked; it is the agent's from now on, whatever
 * happens. `build` is borrowed. `takeover_fd`, from takeover_ask(), is the agent's, too: connections are left
 * to the agent at its other end until we are ready; -1: there is none. NULL where it cannot; the log says
 * why.
 */
struct agent *agent_create(struct ev_loop *loop, struct config *config, const struct agent_build *build,
                           int takeover_fd);

/*
 * Changes over to another configuration, as soon as the Sentinels have said who the masters are by it, and
 * two seconds later at the latest: connections stay, streams that wait go on waiting, and until then all is
 * answered as before. Another reload that waits is abandoned; for one that takes over already, this one waits. What became
 * of it is logged. `config` as above.
 */
void agent_reload(struct agent *agent, struct config *config);

/*
 * Another configuration was asked for and cannot be used: a reload that waits is abandoned, and one that takes over goes
 * on. `error` says why, for log and status. Ignored, as agent_reload() is, once the agent stops or another one has taken over.
 */
void agent_reload_failed(struct agent *agent, const char *error);

/* Stops accepting, answers what is in flight, says goodbye, and breaks the loop when all are gone or after
 * drain-timeout. A second call breaks it at once. */
void agent_stop(struct agent *agent);

/* Closes and frees everything; NULL is fine. */
void agent_destroy(struct agent *agent);

#endif
