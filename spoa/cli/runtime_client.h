/* One command on HAProxy's runtime API, blocking, for the commands of a terminal. */
#ifndef SPOA_CLI_RUNTIME_CLIENT_H
#define SPOA_CLI_RUNTIME_CLIENT_H

#include <stdbool.h>

#include "proto/must_check.h"

struct addr;

#define RUNTIME_ASK_MAX 1024

/* The beginning of the reply, in one line. False, and the reason in its place, where there is none. */
MUST_CHECK bool runtime_client_ask(const struct addr *api, const char *command,
                                   char ret_reply[RUNTIME_ASK_MAX]);

#endif
