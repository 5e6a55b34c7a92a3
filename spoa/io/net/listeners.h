/*
 * All addresses on which connections are accepted, of all protocols. There is one socket for an address, and a reload
 * can give it to another protocol while it is open.
 */
#ifndef SPOA_IO_NET_LISTENERS_H
#define SPOA_IO_NET_LISTENERS_H

#include <ev.h>
#include <stddef.h>

#include "spoa/core/config/config.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"

/* A row of the table of protocols: where the configuration lists the addresses, and who takes their connections. */
struct listeners_row {
    const char *key;    /* in the section [agent] */
    size_t list_offset; /* of the key's struct config_listens in struct config_agent */
    struct acceptor_protocol protocol;
};

struct listeners;

/* Nothing is open at first. Borrows all. NULL where memory is short. */
struct listeners *listeners_create(struct ev_loop *loop, const struct listeners_row *rows, size_t row_count,
                                   const struct acceptor_rules *rules);

/* Closes everything at once; NULL is fine. */
void listeners_destroy(struct listeners *listeners);

/*
 * Opens what `next` lists and is not open yet, and begins to accept there. All that is open stays as it is. 0, or -1 with
 * a text in `error`. In both cases listeners_settle() has to follow, at once or later.
 */
int listeners_open(struct listeners *listeners, const struct config_agent *next,
                   char error[LISTEN_SOCKET_ERROR_MAX]);

/*
 * Makes what is open that which `config` lists: each socket goes to its protocol there, those that are not listed are
 * closed. Connections stay, also those that still wait to be accepted.
 */
void listeners_settle(struct listeners *listeners, const struct config_agent *config);

/* Stops accepting for one protocol. */
void listeners_close(struct listeners *listeners, const struct acceptor_protocol *protocol);

/* Logs "restart-needed" with each key that gives a UNIX socket that stays another mode, owner or group. */
void listeners_tell_rights(const struct listeners *listeners, const struct config_agent *old,
                           const struct config_agent *new);

#endif
