/* HAProxy's agent-checks: a line in, a line out, then close. core/haproxy/agent_check.h makes the answers. */
#ifndef SPOA_IO_SERVE_AGENT_CHECK_SERVER_H
#define SPOA_IO_SERVE_AGENT_CHECK_SERVER_H

#include <ev.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"

struct agent_check_server;
struct agent_checks;
struct config_listens;
struct metrics;

/* Borrows its arguments. NULL if memory is short. */
struct agent_check_server *agent_check_server_create(struct ev_loop *loop, struct metrics *metrics);

/* Sets the checks that answer from now on; they are borrowed. NULL: nobody is answered. Must be called before the first
 * connection. */
void agent_check_server_use(struct agent_check_server *server, const struct agent_checks *checks);

/* Closes all connections at once. NULL is fine. */
void agent_check_server_destroy(struct agent_check_server *server);

/* Takes over a new connection, for the server in `context`; see acceptor_take_fn. */
bool agent_check_server_take(void *context, int fd, const struct acceptor_peer *peer);

#endif
