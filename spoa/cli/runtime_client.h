/* Sends one command to HAProxy's runtime API, blocking, for the commands of a terminal. */
#ifndef SPOA_CLI_RUNTIME_CLIENT_H
#define SPOA_CLI_RUNTIME_CLIENT_H

#include <stdbool.h>

#include "proto/must_check.h"

struct addr;

#define RUNTIME_ASK_MAX 1024

/* Writes the beginning of the reply, in one line. Returns false with the reason in its place if it cannot
 * ask. */
MUST_CHECK bool runtime_client_ask(const struct addr *api, const char *command,
                                   char ret_reply[RUNTIME_ASK_MAX]);

#endif
