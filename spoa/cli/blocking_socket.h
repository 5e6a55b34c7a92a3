/* A connection that blocks, with a time limit, for the commands of a terminal. The agent itself never blocks. */
#ifndef SPOA_CLI_BLOCKING_SOCKET_H
#define SPOA_CLI_BLOCKING_SOCKET_H

#include "proto/must_check.h"

struct addr;

/* -1 with errno where it cannot be reached (EHOSTUNREACH: a name that has no address); reads and writes fail after three
 * seconds. */
MUST_CHECK int blocking_socket_connect(const struct addr *addr);

#endif
