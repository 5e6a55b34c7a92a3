/* How large a world can be. */
#ifndef TESTS_SIM_LIMITS_H
#define TESTS_SIM_LIMITS_H

#define SIM_SENTINELS_MAX 5
#define SIM_SERVICES_MAX 3
#define SIM_AGENTS_MAX 2
/* Of an agent: the set that answers, the next one, and the one that was replaced. */
#define SIM_SETS 3
#define SIM_SETS_MAX (SIM_AGENTS_MAX * SIM_SETS)
/* Addresses of a service: the servers of its map, and one outside. */
#define SIM_SERVERS 3
#define SIM_ADDRESSES (SIM_SERVERS + 1)
/* Questions that an agent may leave unanswered for now. */
#define SIM_WAITING_MAX 10
/* The sessions of a HAProxy, and its processes. */
#define SIM_SESSIONS_MAX 12
#define SIM_WORKERS_MAX 3
/* A call to its runtime API takes up to that, and its reply is shorter than that. */
#define SIM_CALL_MAX_MS 10
#define SIM_REPLY_MAX 2048
#define SIM_LINKS_MAX (SIM_SETS_MAX * SIM_SENTINELS_MAX * 2)

#endif
