/* sentinel-spoa init: writes a first configuration, of the agent and of HAProxy, by what a Sentinel tells. */
#ifndef SPOA_CLI_INIT_H
#define SPOA_CLI_INIT_H

#include "proto/must_check.h"

/*
 * `argv[0]` is the word "init". Asks, writes three files, checks them and prints what to do next. Returns an exit code: 0
 * if the files are written and the check has no finding; 1 if it has one, or if nothing could be written; 2 if the command
 * line is wrong, or a password cannot be read.
 */
MUST_CHECK int init_run(int argc, char *const *argv);

#endif
