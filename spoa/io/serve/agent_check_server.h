/* HAProxy's agent-checks: a line in, a line out, then the connection is closed. What is said is core/agent_check.h. */
#ifndef SPOA_IO_SERVE_AGENT_CHECK_SERVER_H
#define SPOA_IO_SERVE_AGENT_CHECK_SERVER_H

#include <ev.h>

#include "spoa/io/net/listen_socket.h"

struct acceptor_rules;
struct agent_check_server;
struct agent_checks;
struct config_listens;
struct metrics;

/* Borrows all. NULL where memory is short. */
struct agent_check_server *agent_check_server_create(struct ev_loop *loop, const struct agent_checks *checks,
                                                     struct metrics *metrics,
                                                     const struct acceptor_rules *rules);

/* Answers from these from now on. */
void agent_check_server_use(struct agent_check_server *server, const struct agent_checks *checks);

/* Closes everything at once; NULL is fine. */
void agent_check_server_destroy(struct agent_check_server *server);

/* Stops accepting on addresses that are not in `wanted`. */
void agent_check_server_keep(struct agent_check_server *server, const struct config_listens *wanted);

/* Begins to accept on one more address, if it does not already; 0, or -1 with a text in `error`. */
int agent_check_server_listen(struct agent_check_server *server, const struct listen_socket_options *options,
                              char error[LISTEN_SOCKET_ERROR_MAX]);

#endif
