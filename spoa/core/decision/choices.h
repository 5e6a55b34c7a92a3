/*
 * What an operator may choose about the decision, apart from times and switches. The configuration has these,
 * too.
 */
#ifndef SPOA_CORE_DECISION_CHOICES_H
#define SPOA_CORE_DECISION_CHOICES_H

#include <stdint.h>

enum role_check {
    ROLE_CHECK_OFF,
    ROLE_CHECK_VETO,    /* a node that says that it is no master is not named */
    ROLE_CHECK_REQUIRE, /* and a new one only when it has said that it is */
};

/* When the last master may be kept. */
enum keep_when {
    KEEP_WHEN_UNREACHABLE, /* too few voters are in reach, for whatever cause */
    KEEP_WHEN_REFUSED, /* and all that are missing refuse connections: they are dead, we are not cut off */
};

enum lag_unit {
    LAG_UNLIMITED,
    LAG_BYTES,
    LAG_MS,
};

/* How far behind its master a replica may be. */
struct lag_limit {
    enum lag_unit unit;
    int64_t amount;
};

#endif
