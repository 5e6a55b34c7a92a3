/* How agent-checks are answered. */
#ifndef SPOA_CORE_HAPROXY_CHECK_MODE_H
#define SPOA_CORE_HAPROXY_CHECK_MODE_H

enum check_mode {
    CHECK_MODE_PULSE,  /* all are up, except that a replaced or fenced master is down for a while */
    CHECK_MODE_MASTER, /* only the master named last is up, and no server while it is fenced */
};

#endif
