/* What is asked of an agent that runs already, or of a configuration. */
#ifndef SPOA_CLI_COMMANDS_H
#define SPOA_CLI_COMMANDS_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;

/* Prints the status, as text or JSON; with `watches` again and again until it is ended. An exit code: 0, or 1 where the
 * agent does not answer. */
MUST_CHECK int command_status(const struct config *config, bool is_json, bool watches);

/* 0 where the agent answers and every service has a master, else 1 with the reason on stderr. */
MUST_CHECK int command_healthcheck(const struct config *config);

/* Prints HAProxy's configuration for ours, or its spoe.conf. An exit code. */
MUST_CHECK int command_haproxy_conf(const struct config *config, unsigned version, bool is_spoe);

#endif
