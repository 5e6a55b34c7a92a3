/* The listening sockets that the service manager opened for us (sd_listen_fds(3)). */
#ifndef SPOA_IO_NET_SOCKET_ACTIVATION_H
#define SPOA_IO_NET_SOCKET_ACTIVATION_H

#include "proto/addr.h"
#include "proto/must_check.h"

/* Takes the listening socket for `addr`, or returns -1 if there is none. Each socket is given out once. It
 * is non-blocking and close-on-exec, and the caller owns it. */
MUST_CHECK int socket_activation_take(const struct addr *addr);

#endif
