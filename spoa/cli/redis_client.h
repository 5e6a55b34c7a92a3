/* Sends commands to a Redis node or a Sentinel, one at a time, blocking, for the commands of a terminal.
 * The agent's own parser reads the replies and limits their memory. */
#ifndef SPOA_CLI_REDIS_CLIENT_H
#define SPOA_CLI_REDIS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "proto/span.h"

struct addr;
struct config_credentials;
struct config_tls;
struct reply;
struct reply_filter;
struct reply_parser;
struct tls;
struct tls_stream;

struct redis_client {
    struct reply_parser *parser; /* NULL if the peer cannot be reached or asked any more */
    int fd;
    struct tls *tls;
    struct tls_stream *stream; /* NULL: no TLS */
    bool is_greeted;           /* the first command was sent; private */
    bool wants_password; /* it refused our password, or wants one and we have none; `error` has its words */
    char error[160];     /* why; "" if all is well */
};

/* A peer to connect to, and the client that becomes of it. */
struct redis_target {
    const struct addr *addr;
    const struct config_credentials *credentials;
    const struct config_tls *tls;
    unsigned patience_s; /* for the first reply, and for each one after it; 0: BLOCKING_SOCKET_TIMEOUT_S */
    struct redis_client client;
};

/* Connects, and sends AUTH if there is a password, else PING. The client must be closed in any case. */
MUST_CHECK struct redis_client redis_client_open(const struct addr *addr,
                                                 const struct config_credentials *credentials,
                                                 const struct config_tls *tls);
/* The same for several, side by side: those that do not answer cost one time limit together. */
void redis_client_open_all(struct redis_target *targets, size_t count);
void redis_client_close(struct redis_client *client);

/* Leaves elements out of the replies, see reply_parser.h. The filter is copied. */
void redis_client_filter(struct redis_client *client, const struct reply_filter *filter);

/*
 * Sends a command, whose words end with NULL, and waits for its reply. The reply is valid until the next call
 * that takes the client. Returns NULL if there is no reply, or if the peer says why it closes the connection:
 * `error` says why, and the client sends nothing more.
 */
MUST_CHECK const struct reply *redis_client_ask(struct redis_client *client, const char *const *words);

/* The value of a field in a reply that alternates names and values. Empty if there is no such field, or
 * `reply` is NULL. */
struct span redis_client_field(const struct reply *reply, const char *name);

#endif
