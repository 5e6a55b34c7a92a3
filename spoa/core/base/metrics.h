/* What the agent counts: plain numbers. agent.c owns them and hands them to the code that counts. */
#ifndef SPOA_CORE_BASE_METRICS_H
#define SPOA_CORE_BASE_METRICS_H

#include <stdint.h>

#include "spoa/core/base/histogram.h"

/* name, help */
#define METRICS_COUNTERS(X)                                                                                  \
    X(connections_total, "SPOP connections accepted")                                                        \
    X(connections_closed_total, "SPOP connections closed")                                                   \
    X(refused_total, "Connections closed at once: their address is not allowed, or there are too many")      \
    X(timeouts_total, "SPOP connections closed because the peer took too long")                              \
    X(healthchecks_total, "SPOP health checks answered")                                                     \
    X(notifies_total, "NOTIFY frames answered")                                                              \
    X(answers_named_total, "Answers that name a server or an address")                                       \
    X(answers_unnamed_total, "Answers that name nobody")                                                     \
    X(parked_total, "NOTIFY frames whose answer was kept back")                                              \
    X(clients_gone_total, "NOTIFY frames answered without a name because the client had gone")               \
    X(protocol_errors_total, "SPOP connections closed because the peer broke the protocol")                  \
    X(votes_total, "Replies of Sentinels recorded as votes")                                                 \
    X(votes_dropped_total, "Replies of Sentinels that came too late to count")                               \
    X(hints_total, "Events of Sentinels taken as a reason to ask")                                           \
    X(suspicions_total, "Times that all Sentinels were asked at once because one disagreed")                 \
    X(link_failures_total, "Links to Sentinels and voting nodes that failed or were lost")                   \
    X(role_probes_total, "ROLE probes of named nodes that were answered")                                    \
    X(role_probe_failures_total, "Links to named nodes that failed or were lost")                            \
    X(vetoes_total, "Times that a named node was withdrawn because it is no master, or down")                \
    X(cuts_total, "Cuts of the sessions to a server that a HAProxy confirmed")                               \
    X(cut_failures_total, "Attempts to cut sessions that failed, at a HAProxy")                              \
    X(hooks_total, "Programs run at a switch")                                                               \
    X(hook_failures_total, "Programs run at a switch that failed, were killed or could not be started")      \
    X(checks_total, "Agent-checks answered")                                                                 \
    X(checks_unknown_total, "Agent-checks for a service or a server that is not known")                      \
    X(reloads_total, "Configurations taken over while running")                                              \
    X(reload_failures_total, "Configurations that could not be taken over")                                  \
    X(log_lines_dropped_total,                                                                               \
      "Lines that the log did not take: too many of a kind in a second, or no reader")                       \
    X(switches_total, "Changes of a service's master")

struct metrics {
#define X(name, help) uint64_t name;
    METRICS_COUNTERS(X)
#undef X
    struct histogram answer_times; /* from the read of a NOTIFY to the write of its ACK */
    struct histogram parked_times; /* how long answers were kept back */
    struct histogram loop_stalls;  /* how long a turn of the event loop took */
};

extern const uint32_t metrics_answer_bounds_us[HISTOGRAM_BOUNDS];
extern const uint32_t metrics_parked_bounds_us[HISTOGRAM_BOUNDS];
extern const uint32_t metrics_stall_bounds_us[HISTOGRAM_BOUNDS];

#endif
