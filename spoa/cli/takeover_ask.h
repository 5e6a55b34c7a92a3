/*
 * The first step of an agent that takes the place of another: takeover.h. It blocks, for the loop does not
 * run yet.
 */
#ifndef SPOA_CLI_TAKEOVER_ASK_H
#define SPOA_CLI_TAKEOVER_ASK_H

#include <stdbool.h>

#include "proto/must_check.h"

struct config;

/*
 * Asks the agent at the `takeover` address for its listening sockets. They are put where listen_socket_open()
 * finds them. `*ret_fd` is the connection for takeover_take(), the caller's; -1 where no agent runs. False,
 * with the reason on stderr, where there is one that does not give them.
 */
MUST_CHECK bool takeover_ask(const struct config *config, int *ret_fd);

#endif
