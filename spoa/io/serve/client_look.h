/*
 * Asks the kernel what became of clients' connections. It looks up HAProxy's side of each by its addresses
 * (sock_diag(7), inet_diag_req_v2 without NLM_F_DUMP). It never waits: the kernel answers while it takes the
 * question. Only connections in our own network namespace are seen.
 */
#ifndef SPOA_IO_SERVE_CLIENT_LOOK_H
#define SPOA_IO_SERVE_CLIENT_LOOK_H

#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/haproxy/client.h"

struct client_looker;

/* NULL with errno if the kernel does not give us such a socket, or if memory is short. */
MUST_CHECK struct client_looker *client_looker_create(void);
void client_looker_destroy(struct client_looker *looker); /* NULL is fine */

/*
 * A client_look_fn; `context` is the looker. Looks at up to CLIENT_LOOK_MAX clients, all of kind CLIENT_TCP.
 */
client_look_fn client_looker_look;

#endif
