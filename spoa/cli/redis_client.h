/* Asks a Redis or a Sentinel one command after the other, blocking, for the commands of a terminal. */
#ifndef SPOA_CLI_REDIS_CLIENT_H
#define SPOA_CLI_REDIS_CLIENT_H

#include <hiredis/hiredis.h>

#include "proto/addr.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/tls.h"

struct redis_ask {
    redisReader *reader; /* NULL where it cannot be reached */
    int fd;
    struct tls *tls;
    struct tls_stream *stream; /* NULL: in plain */
    char error[160];           /* why, or why AUTH was refused; "" where all is well */
};

/* Connects and says AUTH where there is a password. To be closed in any case. */
struct redis_ask redis_ask_open(const struct addr *addr, const struct config_credentials *credentials,
                                const struct config_tls *tls);
void redis_ask_close(struct redis_ask *ask);

/* The reply, freed with freeReplyObject(); NULL where there is none. The words end with NULL. */
redisReply *redis_ask(struct redis_ask *ask, const char *const *words);

/* Whether it is an error that begins with `code`. */
bool redis_ask_is_error(const redisReply *reply, const char *code);

/* The value of a field in a reply that has names and values by turns; "" where it is not there. */
const char *redis_ask_field(const redisReply *reply, const char *name);

#endif
