/*
 * All addresses on which connections are accepted, of all protocols, through reloads in which nobody who connects is
 * refused. There is one socket for an address. listeners_open() opens what another configuration adds, beside all that is
 * open; listeners_settle() makes the open sockets those of one configuration.
 *
 * - An address that gets another protocol keeps its socket: it is handed over.
 * - 127.0.0.1:P and 0.0.0.0:P can be open at one time, of which one goes (SO_REUSEPORT). To close the first and open
 *   the second would refuse those who connect in between.
 * - 127.0.0.1:P stays open where 0.0.0.0:P takes its place, as a part of it. The kernel prefers the more exact address, so
 *   a connection that is being made to 127.0.0.1:P when that socket is closed would be reset.
 * - [::]:P takes IPv4 as well, unless the file lists 0.0.0.0:P, too. Then it is for IPv6 only. A socket cannot be changed from
 *   one to the other. So a reload that adds 0.0.0.0:P leaves the socket at [::]:P as it is: 0.0.0.0:P needs none where
 *   it has the same protocol, and else gets its own, which the kernel prefers for IPv4. A reload that takes 0.0.0.0:P away
 *   keeps that socket, as a part of [::]:P. The service manager's sockets are as they are. An `allow=`, TLS or a token of its
 *   own counts like a protocol of its own.
 * - Certificates are read by listeners_open(). Connections that are accepted after listeners_settle() have the new ones.
 */
#ifndef SPOA_IO_NET_LISTENERS_H
#define SPOA_IO_NET_LISTENERS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"

/*
 * A row of the table of protocols: where the configuration lists the addresses, and who takes their
 * connections.
 */
struct listeners_row {
    const char *key;    /* in the section [agent] */
    size_t list_offset; /* of the key's struct config_listens in struct config_agent */
    struct acceptor_protocol protocol;
};

struct listeners;

/* Nothing is open at first. Borrows all. NULL if memory is short. */
struct listeners *listeners_create(struct ev_loop *loop, const struct listeners_row *rows, size_t row_count,
                                   struct metrics *metrics);

/* Closes everything at once; NULL is fine. */
void listeners_destroy(struct listeners *listeners);

/*
 * Opens what `next` lists and is not open yet. Returns 0, or -1 with a text in `error`.
 *
 * - At the start `running` is NULL. The new sockets accept at once, by the rules of `next`. `next` is borrowed until
 *   the next listeners_settle(). Nothing has to follow. After a failure call listeners_destroy().
 * - In a reload `running` is the configuration in use. Its rules stay in use, and it stays borrowed. Connections to
 *   the new sockets wait until listeners_settle(). Call that at once or later, after a failure as well: with `next`,
 *   or with `running` to give `next` up.
 */
int listeners_open(struct listeners *listeners, const struct config_agent *running,
                   const struct config_agent *next, char error[LISTEN_SOCKET_ERROR_MAX]);

/*
 * Makes the open sockets those of `config`, which is borrowed from now on: each goes to its protocol, `allow`, TLS and
 * token there, and those that have none are closed. Connections stay, also those that still wait to be accepted.
 */
void listeners_settle(struct listeners *listeners, const struct config_agent *config);

/* Stops accepting for one protocol. */
void listeners_close(struct listeners *listeners, const struct acceptor_protocol *protocol);

/* Leaves connections in the queues of all that are open, until listeners_resume(). */
void listeners_pause(struct listeners *listeners);
void listeners_resume(struct listeners *listeners);

/* Hands a socket to another process. False, with errno, where it cannot. */
typedef bool (*listeners_lend_fn)(void *context, const struct listen_socket *listening);

/*
 * Another process gets all that are open as well. From now on the files of UNIX sockets are not removed here.
 * False where `lend` was false.
 */
MUST_CHECK bool listeners_lend(struct listeners *listeners, listeners_lend_fn lend, void *context);

/* No other process has them any more, or it gives them up: the files of UNIX sockets are ours to remove. */
void listeners_own(struct listeners *listeners);

/* Logs "restart-needed" with each key that gives a UNIX socket that stays another mode, owner or group. */
void listeners_tell_rights(const struct listeners *listeners, const struct config_agent *old,
                           const struct config_agent *new);

#endif
