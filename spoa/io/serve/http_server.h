/* The HTTP side: libmicrohttpd in our loop, without a thread of its own. The answers are those of
 * core/status/http_routes.h. */
#ifndef SPOA_IO_SERVE_HTTP_SERVER_H
#define SPOA_IO_SERVE_HTTP_SERVER_H

#include <ev.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/status/status.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"

struct acceptor_rules;
struct config_listens;
struct http_server;
struct status;

/* Fills in the status as it is now; what it points to is valid until the loop turns. */
typedef void (*http_status_fn)(void *context, struct status *ret_status);

/* Borrows all. NULL where memory is short, or libmicrohttpd does not start. */
struct http_server *http_server_create(struct ev_loop *loop, http_status_fn status, void *context,
                                       struct metrics *metrics);

/* Closes everything at once; NULL is fine. */
void http_server_destroy(struct http_server *server);

/* Takes a new connection over, for the server in `context`; see acceptor_take_fn. */
bool http_server_take(void *context, int fd, const struct acceptor_peer *peer);

#endif
