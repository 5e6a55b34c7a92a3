/* The HTTP side: libmicrohttpd in our loop, without a thread of its own. What is answered is core/web.h. */
#ifndef SPOA_IO_SERVE_HTTP_SERVER_H
#define SPOA_IO_SERVE_HTTP_SERVER_H

#include <ev.h>

#include "spoa/io/net/listen_socket.h"

struct acceptor_rules;
struct config_listens;
struct http_server;
struct status;

/* Fills in the status as it is now; what it points to is valid until the loop turns. */
typedef void (*http_status_fn)(void *context, struct status *ret_status);

/* Borrows all. NULL where memory is short. */
struct http_server *http_server_create(struct ev_loop *loop, http_status_fn status, void *context,
                                       const struct acceptor_rules *rules);

/* Closes everything at once; NULL is fine. */
void http_server_destroy(struct http_server *server);

/* Begins to accept on one more address, if it does not already; 0, or -1 with a text in `error`. */
int http_server_listen(struct http_server *server, const struct listen_socket_options *options,
                       char error[LISTEN_SOCKET_ERROR_MAX]);

/* Stops accepting on addresses that are not in `wanted`; connections stay. */
void http_server_keep(struct http_server *server, const struct config_listens *wanted);

#endif
