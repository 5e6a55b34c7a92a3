/* Our addresses as the socket calls want them, and back. */
#ifndef SPOA_IO_SOCKET_ADDR_H
#define SPOA_IO_SOCKET_ADDR_H

#include "proto/addr.h"

#include <stdbool.h>
#include <sys/socket.h>

/* False for a host name, which must be looked up first. */
bool socket_addr_from(const struct addr *addr, struct sockaddr_storage *ret_storage, socklen_t *ret_len);

/* False for a family that we do not use. */
bool socket_addr_to(const struct sockaddr_storage *storage, struct addr *ret_addr);

#endif
