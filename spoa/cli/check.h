/* sentinel-spoa check: looks at everything that the configuration names, and reports what does not fit. */
#ifndef SPOA_CLI_CHECK_H
#define SPOA_CLI_CHECK_H

#include "proto/must_check.h"

struct config;

/*
 * Asks every Sentinel, node and HAProxy in turn and prints their answers. Lines that begin with '!' are
 * findings. `haproxy_file` is the path of HAProxy's configuration, which is read, too, or NULL. Changes
 * nothing anywhere. Returns an exit code: 0 if there is no finding, else 1.
 */
MUST_CHECK int check_run(const struct config *config, const char *haproxy_file);

#endif
