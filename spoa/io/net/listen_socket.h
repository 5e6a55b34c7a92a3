/* Listening sockets, TCP and UNIX, for every kind of listener. */
#ifndef SPOA_IO_NET_LISTEN_SOCKET_H
#define SPOA_IO_NET_LISTEN_SOCKET_H

#include "proto/addr.h"

#include <stdbool.h>
#include <stddef.h>

#include "spoa/io/net/socket_file.h"

#define LISTEN_SOCKET_ERROR_MAX 256

/* Connections that may wait to be accepted: a HAProxy that reloads opens all its connections at once. */
#define LISTEN_SOCKET_BACKLOG 1024

struct listen_socket {
    int fd;
    bool is_foreign;         /* the service manager's, which removes a UNIX socket's file itself */
    bool is_lent;            /* another agent has it, too: the file stays, see listen_socket_close() */
    bool is_ipv6_only;       /* an IPv6 socket that does not take IPv4; [::] can be either */
    struct addr addr;        /* as bound: the kernel's choice in place of port 0 */
    struct socket_file file; /* of a UNIX socket */
};

struct listen_socket_options {
    const struct addr *addr; /* numeric or UNIX; port 0 lets the kernel choose */
    int mode;                /* of a UNIX socket, or -1: as the umask says */
    const char *owner;       /* user and group of a UNIX socket, or "" */
    const char *group;
    const char *
        user; /* that a TCP socket is to belong to, or NULL: only a socket of the same user can share its port */
    bool is_ipv6_only; /* [::] is not to take IPv4; whatever the system's own setting is */
    bool shares_port;  /* by TCP, with sockets for which listen_socket_share_port() was called */
};

/*
 * Opens, binds and listens; non-blocking, close-on-exec. A socket for this address that is open already
 * (socket_activation.h) is taken as it is, also where it takes more or fewer families than
 * `is_ipv6_only` says. Another agent's `is_lent` then. A UNIX socket that nobody listens on any more is replaced, one
 * in use is not. Of two processes that open the same at once one gets it. 0, or -1 with a text in `error` that says what
 * went wrong with which address.
 */
int listen_socket_open(const struct listen_socket_options *options, struct listen_socket *ret_socket,
                       char error[LISTEN_SOCKET_ERROR_MAX]);

/*
 * From now on another socket of the same user that `shares_port` can be opened on the port of this one, with
 * an address that includes this one's or is included in it. A connection goes to the socket with the more
 * exact address.
 */
void listen_socket_share_port(const struct listen_socket *listening);

/*
 * Closes it. The file of a UNIX socket is removed, unless it `is_foreign` or `is_lent`, or another one has its path
 * now.
 */
void listen_socket_close(struct listen_socket *listening);

#endif
