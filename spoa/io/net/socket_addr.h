/* Converts our addresses to those of the socket calls, and back. Also sets the options of our TCP sockets. */
#ifndef SPOA_IO_NET_SOCKET_ADDR_H
#define SPOA_IO_NET_SOCKET_ADDR_H

#include "proto/addr.h"
#include "proto/must_check.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Returns false for a host name: it must be looked up first. */
MUST_CHECK bool socket_addr_from(const struct addr *addr, struct sockaddr_storage *ret_storage,
                                 socklen_t *ret_len);

/* Gives the normal form (proto/addr.h): a peer that reaches an IPv6 socket by IPv4 is IPv4. Returns false if we do
 * not use the address family. */
bool socket_addr_to(const struct sockaddr_storage *storage, struct addr *ret_addr);

/* Whether the peer of a connected socket is on another host: its address is no loopback address and none of
 * ours. */
bool socket_is_remote(int fd);

/* Sets no-delay and, if `idle_s` is not 0, keep-alive: a vanished peer is found dead after `idle_s` + 3 * `interval_s`.
 * Does nothing to a UNIX socket. Errors are ignored: they show later as a dead or slow connection. */
void socket_tune_tcp(int fd, int idle_s, int interval_s);

#endif
