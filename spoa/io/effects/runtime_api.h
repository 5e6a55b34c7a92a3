/*
 * One HAProxy, as the agent reaches it: by its runtime API, or by the CLI of its master, through which every worker is
 * visited, those too that a reload has replaced. Never blocks.
 */
#ifndef SPOA_IO_EFFECTS_RUNTIME_API_H
#define SPOA_IO_EFFECTS_RUNTIME_API_H

#include <ev.h>
#include <stdbool.h>

#include "proto/must_check.h"
#include "proto/addr.h"
#include "spoa/core/haproxy/runtime_visit.h"

struct runtime_api;

/* Called once, when a round is over and the items have their outcomes. `complaint` is the first one, NULL where all went
 * well; valid during the call. Another round must not be begun from here. */
typedef void runtime_api_ended(void *context, const char *complaint);

/* `addr`: numeric or UNIX, borrowed. `is_master`: it is that of a master. NULL if memory is short. */
MUST_CHECK struct runtime_api *runtime_api_create(struct ev_loop *loop, const struct addr *addr,
                                                  bool is_master, runtime_api_ended *on_ended, void *context);

/* Ends the round under way without a word. NULL is fine. */
void runtime_api_destroy(struct runtime_api *api);

bool runtime_api_is_busy(const struct runtime_api *api);

/*
 * Begins a round, where none is under way. `what` says what each process is visited for; its `pid` and `is_old` are filled
 * in here. A trial leaves out the workers that were replaced: they need not know what the configuration says now. The
 * items must stay until the end, which may come at once.
 */
void runtime_api_begin(struct runtime_api *api, const struct runtime_visit_options *what);

/* The round under way goes on for somebody else: `addr` is the same address, `what` has the same items. */
void runtime_api_move(struct runtime_api *api, const struct addr *addr, void *context,
                      const struct runtime_visit_options *what);

#endif
