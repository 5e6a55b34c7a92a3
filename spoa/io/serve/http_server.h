/* The HTTP side: libmicrohttpd in our loop, without its own thread. core/status/http_routes.h makes the
 * answers. */
#ifndef SPOA_IO_SERVE_HTTP_SERVER_H
#define SPOA_IO_SERVE_HTTP_SERVER_H

#include <ev.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/status/status.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"
#include "spoa/io/serve/http_pages.h"

struct config_listens;
struct http_server;

/* Borrows its arguments. NULL if memory is short, or if libmicrohttpd does not start. */
struct http_server *http_server_create(struct ev_loop *loop, http_status_fn status, void *context,
                                       struct metrics *metrics);

/* Closes all connections at once. NULL is fine. */
void http_server_destroy(struct http_server *server);

/* Takes over a new connection, for the server in `context`; see acceptor_take_fn. */
bool http_server_take(void *context, int fd, const struct acceptor_peer *peer);

#endif
