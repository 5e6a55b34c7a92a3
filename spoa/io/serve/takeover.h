/*
 * One agent takes the place of another on the same host, and no connection is lost. The new one asks the old one at its
 * `takeover` address, over a UNIX socket; records and descriptors go as in fd_pass.h:
 *
 *     old  LISTENER ... LISTED   its listening sockets; both hold them now, the old one accepts
 *     new  TAKE                  it is ready, and accepts; the old one closes its listeners
 *     old  CONNECTION ...        each SPOP connection, as soon as no answer is owed on it
 *     old  (closes)              it has none any more, and ends
 *
 * Until TAKE nothing has changed: a new agent that ends before it leaves all to the old one. spoa/cli/takeover_ask.h has the
 * first step of the new one.
 */
#ifndef SPOA_IO_SERVE_TAKEOVER_H
#define SPOA_IO_SERVE_TAKEOVER_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "proto/must_check.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listeners.h"
#include "spoa/io/serve/spop_server.h"

enum takeover_kind {
    TAKEOVER_LISTENER = 1, /* with a socket; value: 1 where it is the service manager's */
    TAKEOVER_LISTED,
    TAKEOVER_TAKE,
    TAKEOVER_CONNECTION, /* with a socket; value: see spop_server_adopt() */
};

struct takeover;

/* Borrowed. The functions are called from the loop. */
struct takeover_options {
    struct ev_loop *loop;
    struct listeners *listeners;
    struct spop_server *server;
    /* The old one's: process `by` accepts from now on. All listeners are to be closed. */
    void (*taken)(void *context, pid_t by);
    /* The old one's: all connections are given away. */
    void (*given)(void *context);
    void *context;
};

/* NULL where memory is short. */
struct takeover *takeover_create(const struct takeover_options *options);

/* Breaks off what is under way; NULL is fine. */
void takeover_destroy(struct takeover *takeover);

/*
 * The old one's side: a new agent connects; see acceptor_take_fn. Only one of our user, or root's, and one at
 * a time.
 */
bool takeover_give(void *context, int fd, const struct acceptor_peer *peer);

/*
 * The new one's side, when it is ready and accepts: takes what comes through `fd`, which is ours from now on.
 */
void takeover_take(struct takeover *takeover, int fd);

#endif
