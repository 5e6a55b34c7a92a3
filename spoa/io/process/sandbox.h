/*
 * What the process gives up once it has started: its user, its capabilities, other files than its own. What the kernel
 * lacks is left out, and said.
 */
#ifndef SPOA_IO_PROCESS_SANDBOX_H
#define SPOA_IO_PROCESS_SANDBOX_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;
struct config_agent;

#define SANDBOX_ERROR_MAX 256

/* No new privileges, no core dumps, no debugger of the same user: what is in memory stays there. */
void sandbox_harden(void);

/* Becomes the user and group of `config`, if there is one, and keeps no capability that it does not need. False with a
 * text in `error`. */
MUST_CHECK bool sandbox_become(const struct config_agent *config, char error[SANDBOX_ERROR_MAX]);

/*
 * Leaves only the files that `config`, read from `file` (or NULL), names, what stands beside them, and what the libraries
 * read. For good, also across a reload. Logs "sandbox" with what came of it.
 */
void sandbox_enter(const struct config *config, const char *file);

#endif
