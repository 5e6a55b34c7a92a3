/* Asks a Redis or a Sentinel one command after the other, blocking, for the commands of a terminal. */
#ifndef SPOA_CLI_REDIS_CLIENT_H
#define SPOA_CLI_REDIS_CLIENT_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

struct addr;
struct config_credentials;
struct config_tls;
struct tls;
struct tls_stream;

struct redis_client {
    redisReader *reader; /* NULL where it cannot be reached */
    int fd;
    struct tls *tls;
    struct tls_stream *stream; /* NULL: in plain */
    char error[160];           /* why, or why AUTH was refused; "" where all is well */
};

/* Connects and says AUTH where there is a password. To be closed in any case. */
struct redis_client redis_client_open(const struct addr *addr, const struct config_credentials *credentials,
                                      const struct config_tls *tls);
void redis_client_close(struct redis_client *ask);

/* The reply, freed with freeReplyObject(); NULL where there is none. The words end with NULL. */
redisReply *redis_client_ask(struct redis_client *ask, const char *const *words);

/* Whether it is an error that begins with `code`. */
bool redis_client_is_error(const redisReply *reply, const char *code);

/* The value of a field in a reply that has names and values by turns; "" where it is not there. */
const char *redis_client_field(const redisReply *reply, const char *name);

#endif
