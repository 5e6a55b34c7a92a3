/* Asks an agent that runs, for the commands: one GET, blocking, with a time limit. */
#ifndef SPOA_CLI_HTTP_CLIENT_H
#define SPOA_CLI_HTTP_CLIENT_H

#include "proto/must_check.h"

struct addr;
struct text;

/* The code of the reply, and its body in `*body` (the caller's, to be finished). -1 with errno where nobody answers. */
MUST_CHECK int http_client_get(const struct addr *addr, const char *path, struct text *body);

#endif
