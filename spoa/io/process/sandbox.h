/* What the process gives up after its start: its user, its capabilities, access to other files. What the
 * kernel does not support is left out; sandbox_enter() logs it. */
#ifndef SPOA_IO_PROCESS_SANDBOX_H
#define SPOA_IO_PROCESS_SANDBOX_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;
struct config_agent;

#define SANDBOX_ERROR_MAX 256

/* Forbids new privileges, core dumps and debuggers of the same user: memory must not leak. */
void sandbox_harden(void);

/* Becomes the user and group of `config`, if it has a user. Keeps no capability that it does not need.
 * Returns false with a text in `error`. */
MUST_CHECK bool sandbox_become(const struct config_agent *config, char error[SANDBOX_ERROR_MAX]);

/*
 * Limits access to the files that `config` names, those in the same folders, and those that the libraries
 * read. Forbids signals to other processes, and connections to their abstract sockets. How much of it depends on the
 * kernel's version of Landlock. `config` was read from `file` (or NULL). This is final: a reload cannot undo it. Does
 * nothing with `sandbox = no`, or if a service runs a program. Logs the result as "sandbox".
 */
void sandbox_enter(const struct config *config, const char *file);

#endif
