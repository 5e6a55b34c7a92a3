/* Asks a running agent, for the commands: one GET, blocking, with a time limit. */
#ifndef SPOA_CLI_HTTP_CLIENT_H
#define SPOA_CLI_HTTP_CLIENT_H

#include "proto/must_check.h"

struct config;
struct config_listen;
struct text;

/*
 * Asks at the address, with its token. Returns the code of the reply, and its body in `*body`, which the
 * caller must finish. Returns -1 with errno if there is no answer.
 */
MUST_CHECK int http_client_get(const struct config_listen *where, const char *path, struct text *body);

/* The first address of `http` in [agent]; NULL, with a message on stderr, where there is none. */
const struct config_listen *http_client_agent(const struct config *config);

/* Asks there. -1: there is no answer, and a message is on stderr. */
MUST_CHECK int http_client_ask(const struct config *config, const char *path, struct text *body);

#endif
