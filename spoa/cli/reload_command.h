/* The command `reload`: SIGHUP, and what came of it. */
#ifndef SPOA_CLI_RELOAD_COMMAND_H
#define SPOA_CLI_RELOAD_COMMAND_H

#include <sys/types.h>

#include "proto/must_check.h"

struct config;

/*
 * Sends SIGHUP to the agent that /status names, and waits until it uses the new configuration or says why it
 * does not. `config` is that of the file; its first `http` address is asked. With `pid` (0: not given) the
 * signal goes to this process, also where nobody answers at that address: the running agent may have another
 * one, or none. Without `http` it is not known what comes of it, and nothing is waited for.
 *
 * An exit code: 0, or 1 with the reason on stderr.
 */
MUST_CHECK int command_reload(const struct config *config, pid_t pid);

#endif
