#include "spoa/io/redis_ask.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define TIMEOUT_S 2
#define WORDS_MAX 8

static void authenticate(struct redis_ask *ask, const struct config_credentials *credentials)
{
    const char *const old[] = {"AUTH", credentials->password, NULL};
    const char *const new[] = {"AUTH", credentials->username, credentials->password, NULL};

    if (credentials->password == NULL)
        return;
    redisReply *reply = redis_ask(ask, credentials->username != NULL ? new : old);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        (void)snprintf(ask->error, sizeof(ask->error), "AUTH: %s", reply != NULL ? reply->str : "no reply");
    freeReplyObject(reply);
}

struct redis_ask redis_ask_open(const struct addr *addr, const struct config_credentials *credentials)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    struct redis_ask ask = {.error = ""};

    ask.context = addr->kind == ADDR_UNIX ? redisConnectUnixWithTimeout(addr->host, timeout)
                                          : redisConnectWithTimeout(addr->host, addr->port, timeout);
    if (ask.context == NULL || ask.context->err != 0) {
        (void)snprintf(ask.error, sizeof(ask.error), "%s",
                       ask.context != NULL ? ask.context->errstr : "out of memory");
        if (ask.context != NULL)
            redisFree(ask.context);
        ask.context = NULL;
        return ask;
    }
    (void)redisSetTimeout(ask.context, timeout);
    authenticate(&ask, credentials);
    return ask;
}

void redis_ask_close(struct redis_ask *ask)
{
    if (ask->context != NULL)
        redisFree(ask->context);
    ask->context = NULL;
}

redisReply *redis_ask(struct redis_ask *ask, const char *const *words)
{
    const char *copies[WORDS_MAX];
    int count = 0;

    if (ask->context == NULL || ask->context->err != 0)
        return NULL;
    while (count < WORDS_MAX && words[count] != NULL) {
        copies[count] = words[count];
        count++;
    }
    return redisCommandArgv(ask->context, count, copies, NULL);
}

bool redis_ask_is_error(const redisReply *reply, const char *code)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

const char *redis_ask_field(const redisReply *reply, const char *name)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return "";
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING &&
            reply->element[i + 1]->type == REDIS_REPLY_STRING && strcmp(reply->element[i]->str, name) == 0)
            return reply->element[i + 1]->str;
    return "";
}
