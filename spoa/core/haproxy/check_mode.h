/* What HAProxy's agent-checks are told. */
#ifndef SPOA_CORE_HAPROXY_CHECK_MODE_H
#define SPOA_CORE_HAPROXY_CHECK_MODE_H

enum check_mode {
    CHECK_MODE_PULSE,  /* all are up, but for a while one that was replaced or fenced off */
    CHECK_MODE_MASTER, /* only the master named last is up, and while it is fenced off nobody */
};

#endif
