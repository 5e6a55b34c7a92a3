/* Sends one command to HAProxy's runtime API, blocking, for the commands of a terminal. */
#ifndef SPOA_CLI_RUNTIME_CLIENT_H
#define SPOA_CLI_RUNTIME_CLIENT_H

#include <stdbool.h>

#include "proto/must_check.h"

struct addr;

#define RUNTIME_ASK_MAX 1024

/*
 * Sends a command and writes the beginning of the reply, in one line. A `pid` that is not 0 names a worker:
 * `api` is then its master. Returns false with the reason in place of the reply if it cannot ask, or hears nothing.
 */
MUST_CHECK bool runtime_client_ask(const struct addr *api, unsigned pid, const char *command,
                                   char ret_reply[RUNTIME_ASK_MAX]);

/* Finds the master's current worker. Returns false with the reason in `ret_reply` if there is none. */
MUST_CHECK bool runtime_client_find_worker(const struct addr *master, unsigned *ret_pid,
                                           char ret_reply[RUNTIME_ASK_MAX]);

#endif
