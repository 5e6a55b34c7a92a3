#include "spoa/core/redis/redis_command.h"

void redis_command_of(struct conversation_command *command, const char *const *words, size_t count)
{
    command->count = count;
    for (size_t i = 0; i < count; i++)
        command->args[i] = span_of_text(words[i]);
}

void redis_command_auth(struct conversation_command *command, const struct redis_credentials *credentials)
{
    const char *const words[] = {"AUTH", credentials->username, credentials->password};
    const char *const short_words[] = {"AUTH", credentials->password};

    if (credentials->username != NULL)
        redis_command_of(command, words, 3);
    else
        redis_command_of(command, short_words, 2);
}
