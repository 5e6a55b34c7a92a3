/* Commands as conversations send them. */
#ifndef SPOA_CORE_REDIS_REDIS_COMMAND_H
#define SPOA_CORE_REDIS_REDIS_COMMAND_H

#include <stddef.h>

#include "spoa/core/redis/conversation.h"

/* The arguments of AUTH; borrowed. */
struct redis_credentials {
    const char *username; /* NULL: none */
    const char *password; /* NULL: no AUTH */
};

/* Makes a command of `count` words, at most CONVERSATION_ARGS_MAX. The words are borrowed. */
void redis_command_of(struct conversation_command *command, const char *const *words, size_t count);

/* Makes the AUTH command. There must be a password. */
void redis_command_auth(struct conversation_command *command, const struct redis_credentials *credentials);

#endif
