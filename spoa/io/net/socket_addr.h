/* Our addresses as the socket calls want them, and back; and how our TCP sockets are set. */
#ifndef SPOA_IO_NET_SOCKET_ADDR_H
#define SPOA_IO_NET_SOCKET_ADDR_H

#include "proto/addr.h"
#include "proto/must_check.h"

#include <stdbool.h>
#include <sys/socket.h>

/* False for a host name, which must be looked up first. */
MUST_CHECK bool socket_addr_from(const struct addr *addr, struct sockaddr_storage *ret_storage,
                                 socklen_t *ret_len);

/* False for a family that we do not use. */
bool socket_addr_to(const struct sockaddr_storage *storage, struct addr *ret_addr);

/*
 * No delay, and keep-alive: a peer that vanished is found dead after `idle_s` + 3 * `interval_s`. Does nothing to a
 * UNIX socket. What a failure could tell shows later as a dead or slow connection.
 */
void socket_tune_tcp(int fd, int idle_s, int interval_s);

#endif
