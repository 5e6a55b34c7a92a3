/*
 * Reloads: another configuration is prepared beside the one that runs, and takes over when it is ready. One
 * deployment runs at any time, one may wait to take its place, and one that was replaced may still finish its
 * work. Some may end (endings.h). deployment.h has the order of a deployment's life.
 *
 * Nothing is done for thousands of services in one turn of the loop. So what has begun to take over does so in its time,
 * whatever is asked for meanwhile.
 */
#ifndef SPOA_RELOAD_H
#define SPOA_RELOAD_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/observers/history.h"
#include "spoa/deployment.h"
#include "spoa/io/effects/hooks.h"
#include "spoa/io/net/listeners.h"
#include "spoa/io/net/resolver.h"

struct reload;

/*
 * A deployment begins to run: what is not its own goes by it from now on. The one before is destroyed later.
 */
typedef void (*reload_use_fn)(void *context, const struct deployment *running);

/* What it works on; borrowed. */
struct reload_options {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct hooks *hooks;
    struct metrics *metrics;
    struct history *history;
    struct parking *parking;
    struct service_table *table; /* what questions are answered from */
    struct listeners *listeners;
    reload_use_fn use;
    void *context;
};

/*
 * Makes the first deployment and lets it run; `use` is called before this returns. Nothing listens yet.
 * `config` was checked; it is the reload's from now on, whatever happens. NULL if memory is short.
 */
struct reload *reload_create(const struct reload_options *options, struct config *config);

/* Destroys all deployments; the table is gone already. NULL is fine. */
void reload_destroy(struct reload *reload);

/*
 * Prepares another configuration: opens its listeners, asks its Sentinels, and changes over once all its
 * services are as good as those that run (see handover_lack()). Until then all is answered as before. If that
 * takes longer than the life of a vote, the reload has failed; the configuration goes on trying, and takes
 * over when it becomes good. What becomes of it is logged as "reloaded" or "reload-failed". `config` as above.
 *
 * The last one counts: a configuration that has not begun to take over is abandoned. While one takes over, or too many
 * still end, this one does not begin; it does so by itself, unless another one comes in between.
 */
void reload_prepare(struct reload *reload, struct config *config);

/*
 * Another configuration was asked for and cannot be used. `error` goes to log and status at once. What waits is
 * abandoned; what has begun to take over goes on, and this stays the last reload, which failed.
 */
void reload_fail(struct reload *reload, const char *error);

/*
 * The agent stops, or another one takes its place: drops what waits, with the listeners that only it has. What runs, or
 * takes over, goes on. Nothing may be asked for afterwards.
 */
void reload_abandon(struct reload *reload);

/* Valid until the next change-over. */
const struct deployment *reload_running(const struct reload *reload);

/* False after a reload that failed, until another one has changed over. */
bool reload_is_good(const struct reload *reload);

/* How many reloads were asked for, by reload_prepare() or reload_fail(). */
uint64_t reload_asked(const struct reload *reload);

/* Whether the last one that was asked for has neither changed over nor failed yet. */
bool reload_is_open(const struct reload *reload);

/* Why the last one failed; NULL where it did not. Valid until the next event. */
const char *reload_error(const struct reload *reload);

/* When the one that runs began to, clock_ms() time. */
int64_t reload_loaded_ms(const struct reload *reload);

#endif
