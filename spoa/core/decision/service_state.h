/* The states of a service as HAProxy sees them in the variable `state`, and the reasons for them. */
#ifndef SPOA_CORE_DECISION_SERVICE_STATE_H
#define SPOA_CORE_DECISION_SERVICE_STATE_H

#include <stdbool.h>

#define SERVICE_STATES(X)                                                                                    \
    X(STARTING, "starting")                                                                                  \
    X(OK, "ok")                                                                                              \
    X(DOUBTED, "doubted") /* it would be named, but our own link to it broke or fell silent */               \
    X(WITNESSED, "witnessed")                                                                                \
    X(KEPT, "kept")                                                                                          \
    X(PENDING, "pending")                                                                                    \
    X(NO_QUORUM, "no-quorum")                                                                                \
    X(DOWN, "down")                                                                                          \
    X(NOT_MASTER, "not-master")                                                                              \
    X(UNKNOWN_ADDRESS, "unknown-address")

enum service_state {
#define X(name, text) SERVICE_##name,
    SERVICE_STATES(X)
#undef X
        SERVICE_STATE_COUNT
};

/* For the log and the status page; HAProxy is not told. */
#define SERVICE_REASONS(X)                                                                                   \
    X(NONE, "")                                                                                              \
    X(UNREACHABLE, "unreachable") /* fewer than Q voters answered within F */                                \
    X(REFUSED, "refused")         /* the same, and all that are missing refuse connections */                \
    X(REFUSED_US, "refused-us")   /* the same, but with those that answer with an error there would be Q */  \
    X(DISAGREE, "disagree")       /* Q voters answered, but name different masters */                        \
    X(UNKNOWN_NAME, "unknown-name") /* too many voters know no master of that name */                        \
    X(SUSPECTED, "suspected")       /* a voter disagrees, and all are being asked */                         \
    X(UNCONFIRMED, "unconfirmed")   /* `role-check require`: the new master has not said that it is one */   \
    X(REPLICA, "replica")           /* it says that it is a replica */                                       \
    X(LOADING, "loading")           /* it says that it is loading its data, or lost its master */            \
    X(O_DOWN, "o-down")             /* a majority says that it is down */                                    \
    X(FAILOVER, "failover")         /* `early-fence`: a Sentinel says that it is about to be replaced */     \
    X(SILENT, "silent")             /* `down-after`: a majority has not heard it for that long */

enum service_reason {
#define X(name, text) SERVICE_BECAUSE_##name,
    SERVICE_REASONS(X)
#undef X
        SERVICE_REASON_COUNT
};

/* Whether the reason is that too few voters answer, for whatever cause. */
static inline bool service_reason_is_out_of_reach(enum service_reason reason)
{
    return reason == SERVICE_BECAUSE_UNREACHABLE || reason == SERVICE_BECAUSE_REFUSED ||
           reason == SERVICE_BECAUSE_REFUSED_US;
}

/* Whether the state comes with a name. */
static inline bool service_state_names(enum service_state state)
{
    return state == SERVICE_OK || state == SERVICE_DOUBTED || state == SERVICE_WITNESSED ||
           state == SERVICE_KEPT;
}

const char *service_state_text(enum service_state state);
const char *service_reason_text(enum service_reason reason);

#endif
