/* The command `check`: asks every Sentinel, every node and HAProxy directly, and reports what does not fit. It
 * blocks. */
#ifndef SPOA_CLI_CHECK_H
#define SPOA_CLI_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"

struct config;
struct config_errors;

/*
 * Prints who says what, and the findings; as one JSON object if `json`. Returns EXIT_CODE_OK if there are none, otherwise
 * EXIT_CODE_RUNTIME. `file` is that of `config`, for places. `haproxy_files` are HAProxy's configuration, files or
 * folders of them, which are read, too. Changes nothing anywhere.
 */
MUST_CHECK int check_run(const struct config *config, const char *file, const char *const *haproxy_files,
                         size_t haproxy_count, bool json);

/* Prints the errors of a configuration that cannot be used, as the same JSON object. */
void check_print_errors(const char *file, const struct config_errors *errors);

#endif
