/*
 * A reload: the service of the next configuration takes the place of the former one. Until then the next one
 * gathers votes and evidence of its own, and nobody observes it. I9: what is promised holds across the
 * change-over.
 */
#ifndef SPOA_CORE_DECISION_HANDOVER_H
#define SPOA_CORE_DECISION_HANDOVER_H

#include "spoa/core/decision/service.h"

#include <stdint.h>

/* What a next service still lacks. */
enum handover_lack {
    HANDOVER_READY,
    HANDOVER_STARTING, /* it has neither found nor missed a majority, or is just about to look again */
    HANDOVER_UNNAMED,  /* the former one names a master and it does not */
    /*
     * A majority of the former one's voters names masters, or did since the next one is there. That of the
     * next one does not, or its map does not have the master.
     */
    HANDOVER_UNHEARD,
    HANDOVER_UNPROBED, /* the former one was told what a node is, and it was not: see I6 */
};

/* Whether `next` is at least as good as `former` (NULL: there is no such service yet). */
enum handover_lack handover_lack(const struct service *next, const struct service *former, int64_t now_ms);

/*
 * Where `next` does not ask its node itself: what that node told `former` of its role, as an event for `next`. False if
 * `former` was told nothing that `next` does not know.
 */
bool handover_tell_role(const struct service *next, const struct service *former,
                        struct service_event *ret_event);

/*
 * The change-over, once per service; `former` is NULL for a service that is new. `next`
 * - takes over what is dated (evidence, views and offsets of replicas) and what is remembered (the master named last, the
 *   switches so far, doubt, an expected failover, since when there is no majority);
 * - evaluates;
 * - tells its observers the difference between what `former` told last and what is true now.
 * Observers that were held back observe it from then on: see service_hold_observers().
 * `voters` says for each voter of `next` which voter of `former` is the same Sentinel, -1 for none. `former` has no observers
 * from now on.
 */
void handover(struct service *next, struct service *former, const int *voters, int64_t now_ms);

#endif
