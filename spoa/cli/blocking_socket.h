/* A blocking connection with a time limit, for the commands of a terminal. The agent itself never blocks. */
#ifndef SPOA_CLI_BLOCKING_SOCKET_H
#define SPOA_CLI_BLOCKING_SOCKET_H

#include "proto/must_check.h"

struct addr;

/* Connects to `addr`; to this host where that is 0.0.0.0 or [::]. Returns -1 with errno if it cannot be reached (EHOSTUNREACH: a name without an
 * address). Reads and writes fail after three seconds. */
MUST_CHECK int blocking_socket_connect(const struct addr *addr);

#endif
