/* Accepts connections on one address, of whatever protocol: the listening socket and its watchers. */
#ifndef SPOA_IO_ACCEPTOR_H
#define SPOA_IO_ACCEPTOR_H

#include <ev.h>
#include <stdbool.h>

#include "spoa/core/config.h"
#include "spoa/io/listen_socket.h"

/* Takes a new connection (non-blocking, close-on-exec) over. False, and `fd` is still the acceptor's, where memory is
 * short. */
typedef bool (*acceptor_take_fn)(void *context, int fd);

/* One of a list that its owner keeps; must not move. */
struct acceptor {
    ev_io acceptable;
    ev_timer resume;
    struct addr wanted; /* as configured: port 0 lets the kernel choose */
    struct listen_socket listening;
    struct ev_loop *loop;
    const char *protocol; /* for the log */
    acceptor_take_fn take;
    void *context;
    struct acceptor *next;
};

/*
 * Adds one to `*list` and begins to accept; all is borrowed but for `options`. Nothing happens where there is one for
 * this address. 0, or -1 with a text in `error`. It is logged as "listening", with the protocol.
 */
int acceptor_add(struct acceptor **list, struct ev_loop *loop, const struct listen_socket_options *options,
                 const char *protocol, acceptor_take_fn take, void *context,
                 char error[LISTEN_SOCKET_ERROR_MAX]);

/* Stops accepting on addresses that are not in `wanted`. */
void acceptor_keep(struct acceptor **list, const struct config_listens *wanted);

/* Stops accepting on all of them; the list is empty then. */
void acceptor_close_all(struct acceptor **list);

#endif
