/* sentinel-spoa check: looks at everything that the configuration names, and says what does not fit. */
#ifndef SPOA_CLI_CHECK_H
#define SPOA_CLI_CHECK_H

#include "proto/must_check.h"

struct config;

/* Asks every Sentinel, node and HAProxy, one after the other, and prints what they say; lines that begin with '!' are
 * findings. `haproxy_file`: the path of HAProxy's configuration, which is read as well, or NULL. An exit code: 0 where there is
 * no finding, else 1. Changes nothing anywhere. */
MUST_CHECK int check_run(const struct config *config, const char *haproxy_file);

#endif
