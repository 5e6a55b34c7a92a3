/* The command `rehearse`: has the Sentinels replace a healthy master, writes through HAProxy meanwhile, and reports what
 * clients would have felt. It blocks. */
#ifndef SPOA_CLI_REHEARSE_H
#define SPOA_CLI_REHEARSE_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;

/*
 * `through` is HAProxy's address for the service's clients. Without `does_it` it asks, says what would be done, and
 * returns EXIT_CODE_USAGE. Else it returns EXIT_CODE_OK where all went well. EXIT_CODE_RUNTIME: no failover is possible, a
 * write was refused, lost or misrouted, or it did not end. EXIT_CODE_USAGE: there is no such service. What it writes is
 * removed.
 */
MUST_CHECK int rehearse_run(const struct config *config, const char *service, const char *through,
                            bool does_it);

#endif
