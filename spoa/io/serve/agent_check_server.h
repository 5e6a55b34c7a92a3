/* HAProxy's agent-checks: a line in, a line out, then the connection is closed. What is said is core/haproxy/agent_check.h. */
#ifndef SPOA_IO_SERVE_AGENT_CHECK_SERVER_H
#define SPOA_IO_SERVE_AGENT_CHECK_SERVER_H

#include <ev.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"

struct acceptor_rules;
struct agent_check_server;
struct agent_checks;
struct config_listens;
struct metrics;

/* Borrows all. NULL where memory is short. */
struct agent_check_server *agent_check_server_create(struct ev_loop *loop, struct metrics *metrics);

/* Answers from these from now on; borrowed. To be called before the first connection. */
void agent_check_server_use(struct agent_check_server *server, const struct agent_checks *checks);

/* Closes everything at once; NULL is fine. */
void agent_check_server_destroy(struct agent_check_server *server);

/* Takes a new connection over, for the server in `context`; see acceptor_take_fn. */
bool agent_check_server_take(void *context, int fd, const struct acceptor_peer *peer);

#endif
