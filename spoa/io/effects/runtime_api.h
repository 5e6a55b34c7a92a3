/*
 * One HAProxy. The agent reaches it by its runtime API, or by the CLI of its master. By the master it
 * visits every worker, also those that a reload has replaced. Never blocks.
 */
#ifndef SPOA_IO_EFFECTS_RUNTIME_API_H
#define SPOA_IO_EFFECTS_RUNTIME_API_H

#include <ev.h>
#include <stdbool.h>

#include "proto/must_check.h"
#include "proto/addr.h"
#include "spoa/core/haproxy/runtime_visit.h"

struct runtime_api;

/* Called once, at the end of a round. The items have their outcomes. `complaint` is the first thing that
 * went wrong, NULL: nothing did. It is valid during the call. No round may be begun from here. */
typedef void runtime_api_ended(void *context, const char *complaint);

/* `addr` is numeric or a UNIX address, and borrowed. `is_master`: it is the address of a master. NULL if
 * memory is short. */
MUST_CHECK struct runtime_api *runtime_api_create(struct ev_loop *loop, const struct addr *addr,
                                                  bool is_master, runtime_api_ended *on_ended, void *context);

/* A round under way ends without a call. NULL is fine. */
void runtime_api_destroy(struct runtime_api *api);

/*
 * Begins a round. None may be under way. `what` describes the visits; its `pid` and `is_old` are filled
 * in here. A trial does not visit workers that were replaced, because they need not know the present
 * servers. The items must stay until the round ends. It may end before this function returns.
 */
void runtime_api_begin(struct runtime_api *api, const struct runtime_visit_options *what);

/* The round under way goes on with a new context. `addr` must be the same address, and `what` the same
 * items in the same order. */
void runtime_api_move(struct runtime_api *api, const struct addr *addr, void *context,
                      const struct runtime_visit_options *what);

#endif
