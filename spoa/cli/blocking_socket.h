/* A blocking connection with a time limit, for the commands of a terminal. The agent itself never blocks. */
#ifndef SPOA_CLI_BLOCKING_SOCKET_H
#define SPOA_CLI_BLOCKING_SOCKET_H

#include <stddef.h>

#include "proto/must_check.h"

/* For connecting, and for each read and write. */
#define BLOCKING_SOCKET_TIMEOUT_S 3

struct addr;

/* Whom to connect to, and what became of it. */
struct blocking_target {
    const struct addr *addr;
    int fd;   /* -1: it cannot be reached */
    int code; /* an errno then; EHOSTUNREACH: a name without an address */
};

/* Connects to `addr`; to this host where that is 0.0.0.0 or [::]. Returns -1 with errno if it cannot be reached (EHOSTUNREACH: a name without an
 * address). Reads and writes fail after three seconds. */
MUST_CHECK int blocking_socket_connect(const struct addr *addr);

/* The same for several, side by side: those that do not answer cost one time limit together. Not for wildcard addresses. */
void blocking_socket_connect_all(struct blocking_target *targets, size_t count);

/* Reads and writes fail after so long. */
void blocking_socket_set_timeout(int fd, unsigned timeout_s);

#endif
