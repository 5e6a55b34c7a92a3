/* The commands that ask a running agent, or that read a configuration. */
#ifndef SPOA_CLI_COMMANDS_H
#define SPOA_CLI_COMMANDS_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;

/* Prints what the agent answers at the path. Returns an exit code: 0, or 1 if the code of the answer is not 200. */
int command_print(const struct config *config, const char *path);

/* Prints whom the agent names and why, of one service or, where that is NULL, of all. Returns as command_print(). */
MUST_CHECK int command_explain(const struct config *config, const char *service);

/* Asks for the path ("/healthz", "/readyz"). Returns 0 if the agent answers with code 200, else 1 with the reason on
 * stderr. */
MUST_CHECK int command_probe(const struct config *config, const char *path);

/* Prints the configuration of HAProxy that fits ours, or its spoe.conf. Returns an exit code. */
MUST_CHECK int command_haproxy_conf(const struct config *config, unsigned version, bool is_spoe);

#endif
