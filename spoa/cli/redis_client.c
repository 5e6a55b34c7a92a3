#include "spoa/cli/redis_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply.h"
#include "spoa/io/net/tls.h"
#include "spoa/io/redis/reply_parser.h"

/* Most replies are shorter than this. */
#define EVERYDAY ((size_t)4096)

static void fail(struct redis_client *client, const char *reason)
{
    (void)snprintf(client->error, sizeof(client->error), "%.*s", (int)sizeof(client->error) - 1, reason);
    redis_client_close(client);
}

static void authenticate(struct redis_client *client, const struct config_credentials *credentials)
{
    const char *const old[] = {"AUTH", credentials->password, NULL};
    const char *const new[] = {"AUTH", credentials->username, credentials->password, NULL};

    if (credentials->password == NULL)
        return;
    const struct reply *reply = redis_client_ask(client, credentials->username != NULL ? new : old);
    if (reply != NULL && reply->kind == REPLY_ERROR)
        (void)snprintf(client->error, sizeof(client->error), "AUTH: %.*s", (int)reply->text.len,
                       (const char *)reply->text.data);
}

static void begin_tls(struct redis_client *client, const struct addr *addr, const struct config_tls *settings)
{
    char reason[TLS_ERROR_MAX];

    client->tls = tls_create(settings, reason);
    if (client->tls == NULL) {
        fail(client, reason);
        return;
    }
    client->stream = tls_stream_create(client->tls, client->fd, addr);
    if (client->stream == NULL) {
        fail(client, strerror(ENOMEM));
        return;
    }
    /* The socket blocks: 0 means that its time limit is over. */
    int result = tls_stream_handshake(client->stream);
    if (result != 1)
        fail(client, result == 0 ? "TLS: no answer" : tls_stream_error(client->stream));
}

struct redis_client redis_client_open(const struct addr *addr, const struct config_credentials *credentials,
                                      const struct config_tls *tls)
{
    struct redis_client client = {.fd = blocking_socket_connect(addr), .error = ""};

    if (client.fd == -1) {
        fail(&client, strerror(errno));
        return client;
    }
    client.parser = reply_parser_create(EVERYDAY);
    if (client.parser == NULL)
        fail(&client, strerror(ENOMEM));
    else if (tls->is_on)
        begin_tls(&client, addr, tls);
    if (client.parser != NULL)
        authenticate(&client, credentials);
    return client;
}

void redis_client_close(struct redis_client *client)
{
    tls_stream_destroy(client->stream);
    tls_destroy(client->tls);
    reply_parser_destroy(client->parser);
    if (client->fd != -1)
        close(client->fd);
    client->stream = NULL;
    client->tls = NULL;
    client->parser = NULL;
    client->fd = -1;
}

static bool send_all(struct redis_client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = client->stream != NULL ? tls_stream_write(client->stream, bytes, len)
                                              : send(client->fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool send_command(struct redis_client *client, const char *const *words)
{
    struct text command = {.data = NULL};
    size_t count = 0;

    while (words[count] != NULL)
        count++;
    text_printf(&command, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        text_printf(&command, "$%zu\r\n", strlen(words[i]));
        text_add(&command, words[i]);
        text_add(&command, "\r\n");
    }
    bool is_sent = !command.has_failed && send_all(client, command.data, command.len);
    text_finish(&command);
    return is_sent;
}

/* Gives more bytes to the parser. False if none came. */
static bool receive(struct redis_client *client)
{
    char bytes[TLS_RECORD_MAX];
    ssize_t got = client->stream != NULL ? tls_stream_read(client->stream, bytes, sizeof(bytes))
                                         : recv(client->fd, bytes, sizeof(bytes), 0);

    if (got <= 0)
        return false;
    reply_parser_feed(client->parser, span_of(bytes, (size_t)got));
    return true;
}

void redis_client_filter(struct redis_client *client, const struct reply_filter *filter)
{
    if (client->parser != NULL)
        reply_parser_set_filter(client->parser, *filter);
}

/* The peer does not want us. The reply ends with the connection, so its text is copied. */
static void leave(struct redis_client *client, const struct reply *reply)
{
    char words[sizeof(client->error)];

    (void)snprintf(words, sizeof(words), "%.*s", (int)reply->text.len, (const char *)reply->text.data);
    fail(client, words);
}

const struct reply *redis_client_ask(struct redis_client *client, const char *const *words)
{
    enum reply_parser_result result = REPLY_PARSER_NEEDS_MORE;
    const struct reply *reply = NULL;

    if (client->parser == NULL)
        return NULL;
    bool is_answered = send_command(client, words);
    while (is_answered && (result = reply_parser_next(client->parser, &reply)) == REPLY_PARSER_NEEDS_MORE)
        is_answered = receive(client);
    /* Stop asking: a late reply would be taken for the reply to the next command. */
    if (result == REPLY_PARSER_FAILED)
        fail(client, reply_parser_error(client->parser));
    else if (!is_answered)
        fail(client, "no reply");
    if (reply == NULL || !refusal_closes(refusal_of(reply)))
        return reply;
    leave(client, reply);
    return NULL;
}

struct span redis_client_field(const struct reply *reply, const char *name)
{
    for (size_t i = 0; reply != NULL && i + 1 < reply->count; i += 2)
        if (reply->elements[i].kind == REPLY_TEXT && reply->elements[i + 1].kind == REPLY_TEXT &&
            span_equals_text(reply->elements[i].text, name))
            return reply->elements[i + 1].text;
    return span_of("", 0);
}
