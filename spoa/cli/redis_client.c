#include "spoa/cli/redis_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/tls.h"

#define WORDS_MAX 8

static void fail(struct redis_client *ask, const char *reason)
{
    (void)snprintf(ask->error, sizeof(ask->error), "%s", reason);
    redis_client_close(ask);
}

static void authenticate(struct redis_client *ask, const struct config_credentials *credentials)
{
    const char *const old[] = {"AUTH", credentials->password, NULL};
    const char *const new[] = {"AUTH", credentials->username, credentials->password, NULL};

    if (credentials->password == NULL)
        return;
    redisReply *reply = redis_client_ask(ask, credentials->username != NULL ? new : old);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        (void)snprintf(ask->error, sizeof(ask->error), "AUTH: %s", reply != NULL ? reply->str : "no reply");
    freeReplyObject(reply);
}

static void begin_tls(struct redis_client *ask, const struct addr *addr, const struct config_tls *settings)
{
    char reason[TLS_ERROR_MAX];

    ask->tls = tls_create(settings, reason);
    if (ask->tls == NULL) {
        fail(ask, reason);
        return;
    }
    ask->stream = tls_stream_create(ask->tls, ask->fd, addr);
    if (ask->stream == NULL) {
        fail(ask, strerror(ENOMEM));
        return;
    }
    /* The socket blocks: it wants more only when the time is up. */
    int result = tls_stream_handshake(ask->stream);
    if (result != 1)
        fail(ask, result == 0 ? "TLS: no answer" : tls_stream_error(ask->stream));
}

struct redis_client redis_client_open(const struct addr *addr, const struct config_credentials *credentials,
                                      const struct config_tls *tls)
{
    struct redis_client ask = {.fd = blocking_socket_connect(addr), .error = ""};

    if (ask.fd == -1) {
        fail(&ask, strerror(errno));
        return ask;
    }
    ask.reader = redisReaderCreate();
    if (ask.reader == NULL)
        fail(&ask, strerror(ENOMEM));
    else if (tls->is_on)
        begin_tls(&ask, addr, tls);
    if (ask.reader != NULL)
        authenticate(&ask, credentials);
    return ask;
}

void redis_client_close(struct redis_client *ask)
{
    tls_stream_destroy(ask->stream);
    tls_destroy(ask->tls);
    if (ask->reader != NULL)
        redisReaderFree(ask->reader);
    if (ask->fd != -1)
        close(ask->fd);
    ask->stream = NULL;
    ask->tls = NULL;
    ask->reader = NULL;
    ask->fd = -1;
}

static bool send_all(struct redis_client *ask, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = ask->stream != NULL ? tls_stream_write(ask->stream, bytes, len)
                                           : send(ask->fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static redisReply *read_reply(struct redis_client *ask)
{
    char bytes[TLS_RECORD_MAX];
    void *reply = NULL;

    while (redisReaderGetReply(ask->reader, &reply) == REDIS_OK && reply == NULL) {
        ssize_t got = ask->stream != NULL ? tls_stream_read(ask->stream, bytes, sizeof(bytes))
                                          : recv(ask->fd, bytes, sizeof(bytes), 0);
        if (got <= 0 || redisReaderFeed(ask->reader, bytes, (size_t)got) != REDIS_OK)
            return NULL;
    }
    return reply;
}

redisReply *redis_client_ask(struct redis_client *ask, const char *const *words)
{
    const char *copies[WORDS_MAX];
    char *command = NULL;
    int count = 0;

    if (ask->reader == NULL)
        return NULL;
    while (count < WORDS_MAX && words[count] != NULL) {
        copies[count] = words[count];
        count++;
    }
    /* int in hiredis 0.14, long long since 1.1. */
    long long len = redisFormatCommandArgv(&command, count, copies, NULL);
    if (len < 0)
        return NULL;
    bool is_sent = send_all(ask, command, (size_t)len);
    redisFreeCommand(command);
    redisReply *reply = is_sent ? read_reply(ask) : NULL;
    /* What comes later would be taken for the reply to the next command. */
    if (reply == NULL)
        fail(ask, "no reply");
    return reply;
}

bool redis_client_is_error(const redisReply *reply, const char *code)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

const char *redis_client_field(const redisReply *reply, const char *name)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return "";
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING &&
            reply->element[i + 1]->type == REDIS_REPLY_STRING && strcmp(reply->element[i]->str, name) == 0)
            return reply->element[i + 1]->str;
    return "";
}
