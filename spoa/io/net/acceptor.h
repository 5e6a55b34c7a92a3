/* Accepts connections on one address, of whatever protocol: the listening socket and its watchers. */
#ifndef SPOA_IO_NET_ACCEPTOR_H
#define SPOA_IO_NET_ACCEPTOR_H

#include <ev.h>
#include <stdbool.h>

#include "proto/addr.h"
#include "spoa/io/net/listen_socket.h"

struct config_listens;
struct config_networks;
struct metrics;

/* Takes a new connection (non-blocking, close-on-exec) over. False, and `fd` is still the acceptor's, where memory is
 * short. */
typedef bool (*acceptor_take_fn)(void *context, int fd);

/* What all acceptors of a process go by; the owner may change it at any time. */
struct acceptor_rules {
    const struct config_networks *allowed; /* empty: TCP connections from anywhere */
    struct metrics *metrics;
};

/* Borrowed, but for the struct itself. */
struct acceptor_options {
    const char *protocol; /* for the log */
    const struct acceptor_rules *rules;
    acceptor_take_fn take;
    void *context;
};

/* One of a list that its owner keeps; must not move. */
struct acceptor {
    ev_io acceptable;
    ev_timer resume;
    struct addr wanted; /* as configured: port 0 lets the kernel choose */
    struct listen_socket listening;
    struct ev_loop *loop;
    struct acceptor_options options;
    bool is_failing; /* the last accept() found no descriptor or memory */
    struct acceptor *next;
};

/*
 * Adds one to `*list` and begins to accept at `where`. Nothing happens where there is one for this address. 0, or -1 with
 * a text in `error`. It is logged as "listening", with the protocol.
 */
int acceptor_add(struct acceptor **list, struct ev_loop *loop, const struct listen_socket_options *where,
                 const struct acceptor_options *options, char error[LISTEN_SOCKET_ERROR_MAX]);

/* Stops accepting on addresses that are not in `wanted`. */
void acceptor_keep(struct acceptor **list, const struct config_listens *wanted);

/* Stops accepting on all of them; the list is empty then. */
void acceptor_close_all(struct acceptor **list);

#endif
