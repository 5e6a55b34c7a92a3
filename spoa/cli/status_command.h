/* The command `status`: what the running agent shows, once or again and again. */
#ifndef SPOA_CLI_STATUS_COMMAND_H
#define SPOA_CLI_STATUS_COMMAND_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;

/*
 * Prints the status, as text or JSON. With `watches` it repeats until the program is ended: a terminal is drawn again in
 * place. Returns an exit code: 0, or 1 if the agent does not answer with code 200.
 */
MUST_CHECK int command_status(const struct config *config, bool is_json, bool watches);

#endif
