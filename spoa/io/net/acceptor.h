/* One listening socket: accepts connections and hands them to a protocol, which may change while it is open. */
#ifndef SPOA_IO_NET_ACCEPTOR_H
#define SPOA_IO_NET_ACCEPTOR_H

#include <ev.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "proto/addr.h"
#include "spoa/io/net/listen_socket.h"

struct config_listens;
struct config_networks;
struct metrics;

/* Where a connection comes from. */
struct acceptor_peer {
    struct sockaddr_storage addr;
    socklen_t len;
};

/* Takes over `fd`, a new connection (non-blocking, close-on-exec). False where memory is short: `fd` is then still the
 * acceptor's. */
typedef bool (*acceptor_take_fn)(void *context, int fd, const struct acceptor_peer *peer);

/* Who takes the connections. */
struct acceptor_protocol {
    const char *name; /* for the log */
    acceptor_take_fn take;
    void *context;
};

/* What all acceptors of a process go by; the owner may change it at any time. */
struct acceptor_rules {
    const struct config_networks *allowed; /* empty: TCP connections from anywhere */
    struct metrics *metrics;
};

/* Must not move while it is open. */
struct acceptor {
    struct ev_loop *loop;
    ev_io acceptable;
    ev_timer resume;
    struct addr wanted; /* port 0 lets the kernel choose */
    struct listen_socket listening;
    const struct acceptor_protocol *protocol;
    const struct acceptor_rules *rules;
    bool is_failing; /* the last accept() found no descriptor or memory */
};

/*
 * Listens at `where` and begins to accept. `protocol` and `rules` are borrowed. 0, or -1 with a text in `error`. It is
 * logged as "listening", with the protocol.
 */
int acceptor_open(struct acceptor *acceptor, struct ev_loop *loop, const struct listen_socket_options *where,
                  const struct acceptor_protocol *protocol, const struct acceptor_rules *rules,
                  char error[LISTEN_SOCKET_ERROR_MAX]);

/* Closes the socket. Connections that wait in its queue are reset. */
void acceptor_close(struct acceptor *acceptor);

/* Closes it, but takes the connections that wait in its queue first. It is logged as "not-listening". */
void acceptor_retire(struct acceptor *acceptor);

/* Leaves connections in the queue until acceptor_resume(). */
void acceptor_pause(struct acceptor *acceptor);
void acceptor_resume(struct acceptor *acceptor);

/* Hands the next connections to another protocol; borrowed. A change is logged as "not-listening" and "listening". */
void acceptor_hand_to(struct acceptor *acceptor, const struct acceptor_protocol *protocol);

#endif
