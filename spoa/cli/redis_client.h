/*
 * Asks a Redis or a Sentinel one command after the other, blocking, for the commands of a terminal. Replies are read by
 * the agent's own parser, which bounds what they may take.
 */
#ifndef SPOA_CLI_REDIS_CLIENT_H
#define SPOA_CLI_REDIS_CLIENT_H

#include "proto/must_check.h"
#include "proto/span.h"

struct addr;
struct config_credentials;
struct config_tls;
struct reply;
struct reply_parser;
struct tls;
struct tls_stream;

struct redis_client {
    struct reply_parser *parser; /* NULL where the peer cannot be reached, or is no longer asked */
    int fd;
    struct tls *tls;
    struct tls_stream *stream; /* NULL: no TLS */
    char error[160];           /* why, or why AUTH was refused; "" where all is well */
};

/* Connects and says AUTH where there is a password. To be closed in any case. */
MUST_CHECK struct redis_client redis_client_open(const struct addr *addr,
                                                 const struct config_credentials *credentials,
                                                 const struct config_tls *tls);
void redis_client_close(struct redis_client *client);

/*
 * Sends a command, whose words end with NULL, and waits for its reply. The reply is valid until the next call that takes
 * the client. NULL where there is none: `error` says why, and the client asks nothing more.
 */
MUST_CHECK const struct reply *redis_client_ask(struct redis_client *client, const char *const *words);

/* The value of a field in a reply that has names and values by turns; empty where there is none, or no reply. */
struct span redis_client_field(const struct reply *reply, const char *name);

#endif
