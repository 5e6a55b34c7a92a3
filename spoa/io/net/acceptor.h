/* One listening socket. It accepts connections and hands them to a protocol, which may change while it is
 * open. */
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
struct tls;

/* Where a connection comes from, and what is asked of it. Borrowed for the call. */
struct acceptor_peer {
    struct sockaddr_storage addr;
    socklen_t len;
    const struct tls *tls; /* for this connection; NULL: plain */
    const char *token;     /* that the peer must have; NULL: none */
    bool is_limited;       /* not allowed, but on our own host; see acceptor_protocol */
};

/* Takes over `fd`, a new connection (non-blocking, close-on-exec). Returns false if memory is short; the
 * acceptor then still owns `fd`. */
typedef bool (*acceptor_take_fn)(void *context, int fd, const struct acceptor_peer *peer);

/* Who takes the connections. */
struct acceptor_protocol {
    const char *name; /* for the log */
    acceptor_take_fn take;
    void *context;
    bool
        takes_limited; /* connections from the own host, whoever is allowed; it has to look at `is_limited` */
};

/* Must not move in memory while it is open. */
struct acceptor {
    struct ev_loop *loop;
    ev_io acceptable;
    ev_timer resume;
    struct addr wanted; /* port 0 lets the kernel choose */
    struct listen_socket listening;
    const struct acceptor_protocol *protocol;
    /* The owner may change these three. */
    const struct config_networks *allowed; /* NULL or empty: TCP from anywhere */
    const struct tls *tls;                 /* for each connection; NULL: plain */
    const char *token;                     /* that each peer must have; NULL: none */
    struct metrics *metrics;
    bool is_failing; /* the last accept() found no descriptor or memory */
    bool is_waiting; /* listens, and takes no connection yet */
};

/*
 * Listens at `where` and begins to accept, from anywhere until the caller sets `allowed`; with `waits` not before
 * acceptor_hand_to(). `protocol` and `metrics` are borrowed. 0, or -1 with a text in `error`. The begin is logged as "listening", with the protocol.
 */
int acceptor_open(struct acceptor *acceptor, struct ev_loop *loop, const struct listen_socket_options *where,
                  const struct acceptor_protocol *protocol, struct metrics *metrics, bool waits,
                  char error[LISTEN_SOCKET_ERROR_MAX]);

/* Closes the socket. Connections that wait in its queue are reset. */
void acceptor_close(struct acceptor *acceptor);

/*
 * Closes it, but takes the connections that wait in its queue first, unless it has never begun to accept. The
 * end is logged as "not-listening".
 */
void acceptor_retire(struct acceptor *acceptor);

/* Leaves connections in the queue until acceptor_resume(). */
void acceptor_pause(struct acceptor *acceptor);
void acceptor_resume(struct acceptor *acceptor);

/* Hands all later connections to `protocol`, which is borrowed. Logs a change as "not-listening" and
 * "listening". */
void acceptor_hand_to(struct acceptor *acceptor, const struct acceptor_protocol *protocol);

#endif
