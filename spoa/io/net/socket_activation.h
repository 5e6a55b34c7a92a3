/*
 * Listening sockets that are open when we start: the service manager's (sd_listen_fds(3)), or those of an
 * agent that we take the place of.
 */
#ifndef SPOA_IO_NET_SOCKET_ACTIVATION_H
#define SPOA_IO_NET_SOCKET_ACTIVATION_H

#include <stdbool.h>

#include "proto/addr.h"
#include "proto/must_check.h"

/*
 * Takes the listening socket for `addr`; -1 if there is none. Each socket is given out once. It is
 * non-blocking and close-on-exec then, and belongs to the caller. `*ret_is_managed`: it is the service
 * manager's, which opened it and removes a UNIX socket's file itself.
 */
MUST_CHECK int socket_activation_take(const struct addr *addr, bool *ret_is_managed);

/*
 * Adds a socket that another agent gave us, to be taken later. It is ours from now on. False if there are too
 * many.
 */
MUST_CHECK bool socket_activation_add(int fd, bool is_managed);

/*
 * Closes those that were not taken: no address of the configuration is theirs. Each of the service manager's is logged
 * as "socket-unused". Descriptors of the service manager that are no listening sockets stay as they are.
 */
void socket_activation_drop(void);

#endif
