#include "spoa/cli/redis_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/cli/stopwatch.h"
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

/* The socket blocks, or has sent nothing yet: if it takes a part only, the peer does not read. */
static bool send_all(struct redis_client *client, const char *bytes, size_t len)
{
    ssize_t sent = client->stream != NULL ? tls_stream_write(client->stream, bytes, len)
                                          : send(client->fd, bytes, len, MSG_NOSIGNAL);

    return sent == (ssize_t)len;
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

/* Gives more bytes to the parser. Returns how many; 0 at the end, or -1 with errno. */
static ssize_t receive(struct redis_client *client)
{
    char bytes[TLS_RECORD_MAX];
    ssize_t got = client->stream != NULL ? tls_stream_read(client->stream, bytes, sizeof(bytes))
                                         : recv(client->fd, bytes, sizeof(bytes), 0);

    if (got > 0)
        reply_parser_feed(client->parser, span_of(bytes, (size_t)got));
    return got;
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
        is_answered = receive(client) > 0;
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

/* ---- opening ---- */

/* The first command: AUTH, or PING, which every server answers in some way. False if it cannot be sent. */
static bool send_greeting(struct redis_client *client, const struct config_credentials *credentials)
{
    const char *const ping[] = {"PING", NULL};
    const char *const old[] = {"AUTH", credentials->password, NULL};
    const char *const new[] = {"AUTH", credentials->username, credentials->password, NULL};

    if (credentials->password == NULL)
        return send_command(client, ping);
    return send_command(client, credentials->username != NULL ? new : old);
}

/* Takes the reply to the first command. */
static void take_greeting(struct redis_target *target, const struct reply *reply)
{
    struct redis_client *client = &target->client;
    enum refusal refusal = refusal_of(reply);
    bool is_auth = target->credentials->password != NULL;

    if (refusal_closes(refusal)) {
        leave(client, reply);
        return;
    }
    if (refusal == REFUSAL_NONE || (!is_auth && refusal != REFUSAL_PASSWORD))
        return;
    client->wants_password = true;
    (void)snprintf(client->error, sizeof(client->error), "%.*s", (int)reply->text.len,
                   (const char *)reply->text.data);
}

/* Reads what has come. True once the peer has answered, or has failed. */
static bool end_greeting(struct redis_target *target)
{
    struct redis_client *client = &target->client;
    const struct reply *reply = NULL;

    ssize_t got = receive(client);
    if (got == 0 || (got == -1 && errno != EAGAIN)) {
        fail(client, "no reply");
        return true;
    }
    enum reply_parser_result result = reply_parser_next(client->parser, &reply);
    if (result == REPLY_PARSER_NEEDS_MORE)
        return false;
    if (result == REPLY_PARSER_FAILED)
        fail(client, reply_parser_error(client->parser));
    else
        take_greeting(target, reply);
    return true;
}

/* Goes on with what the peer has sent. True once it has answered, or has failed. */
static bool go_on(struct redis_target *target)
{
    struct redis_client *client = &target->client;

    if (client->is_greeted)
        return end_greeting(target);
    int result = client->stream != NULL ? tls_stream_handshake(client->stream) : 1;
    if (result == 0)
        return false;
    if (result == -1) {
        fail(client, tls_stream_error(client->stream));
        return true;
    }
    client->is_greeted = true;
    if (!send_greeting(client, target->credentials))
        fail(client, "no reply");
    return client->parser == NULL;
}

/* What the client waits for at its socket; it is not polled if it is not waiting. */
static struct pollfd awaited(const struct redis_target *target, bool is_waiting)
{
    const struct redis_client *client = &target->client;
    bool writes = client->stream != NULL && tls_stream_wants_write(client->stream);

    return (struct pollfd){.fd = is_waiting ? client->fd : -1, .events = writes ? POLLOUT : POLLIN};
}

static unsigned longest_patience_s(const struct redis_target *targets, size_t count)
{
    unsigned longest_s = BLOCKING_SOCKET_TIMEOUT_S;

    for (size_t i = 0; i < count; i++)
        if (targets[i].patience_s > longest_s)
            longest_s = targets[i].patience_s;
    return longest_s;
}

/* Greets all at the same time, and waits for them within one time limit. */
static void greet(struct redis_target *targets, size_t count, struct pollfd *polls)
{
    const int64_t deadline = stopwatch_ms() + (int64_t)longest_patience_s(targets, count) * 1000;
    size_t waiting = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_waiting = targets[i].client.parser != NULL && !go_on(&targets[i]);
        polls[i] = awaited(&targets[i], is_waiting);
        waiting += is_waiting;
    }
    for (int64_t rest; waiting > 0 && (rest = deadline - stopwatch_ms()) > 0;) {
        if (poll(polls, count, (int)rest) == -1 && errno != EINTR)
            break;
        for (size_t i = 0; i < count; i++) {
            if (polls[i].fd == -1 || polls[i].revents == 0)
                continue;
            bool is_waiting = !go_on(&targets[i]);
            polls[i] = awaited(&targets[i], is_waiting);
            waiting -= !is_waiting;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (polls[i].fd != -1)
            fail(&targets[i].client, targets[i].client.is_greeted ? "no reply" : "TLS: no answer");
}

/* Makes what is needed for the first command. */
static void prepare(struct redis_target *target)
{
    struct redis_client *client = &target->client;
    char reason[TLS_ERROR_MAX];

    if (target->patience_s != 0)
        blocking_socket_set_timeout(client->fd, target->patience_s);
    client->parser = reply_parser_create(EVERYDAY);
    if (client->parser == NULL) {
        fail(client, strerror(ENOMEM));
        return;
    }
    (void)fcntl(client->fd, F_SETFL, fcntl(client->fd, F_GETFL) | O_NONBLOCK);
    if (!target->tls->is_on)
        return;
    client->tls = tls_create(target->tls, reason);
    if (client->tls == NULL) {
        fail(client, reason);
        return;
    }
    client->stream = tls_stream_create(client->tls, client->fd, target->addr);
    if (client->stream == NULL)
        fail(client, strerror(ENOMEM));
}

static void open_all(struct redis_target *targets, size_t count, struct blocking_target *sockets,
                     struct pollfd *polls)
{
    for (size_t i = 0; i < count; i++)
        sockets[i] = (struct blocking_target){.addr = targets[i].addr};
    blocking_socket_connect_all(sockets, count);
    for (size_t i = 0; i < count; i++) {
        targets[i].client = (struct redis_client){.fd = sockets[i].fd};
        if (sockets[i].fd == -1)
            fail(&targets[i].client, strerror(sockets[i].code));
        else
            prepare(&targets[i]);
    }
    greet(targets, count, polls);
    for (size_t i = 0; i < count; i++)
        if (targets[i].client.fd != -1)
            (void)fcntl(targets[i].client.fd, F_SETFL, fcntl(targets[i].client.fd, F_GETFL) & ~O_NONBLOCK);
}

void redis_client_open_all(struct redis_target *targets, size_t count)
{
    struct blocking_target *sockets = calloc(count, sizeof(*sockets));
    struct pollfd *polls = calloc(count, sizeof(*polls));

    if (sockets != NULL && polls != NULL)
        open_all(targets, count, sockets, polls);
    for (size_t i = 0; (sockets == NULL || polls == NULL) && i < count; i++) {
        targets[i].client = (struct redis_client){.fd = -1};
        fail(&targets[i].client, strerror(ENOMEM));
    }
    free(sockets);
    free(polls);
}

struct redis_client redis_client_open(const struct addr *addr, const struct config_credentials *credentials,
                                      const struct config_tls *tls)
{
    struct redis_target target = {.addr = addr, .credentials = credentials, .tls = tls};

    redis_client_open_all(&target, 1);
    return target.client;
}

struct span redis_client_field(const struct reply *reply, const char *name)
{
    for (size_t i = 0; reply != NULL && i + 1 < reply->count; i += 2)
        if (reply->elements[i].kind == REPLY_TEXT && reply->elements[i + 1].kind == REPLY_TEXT &&
            span_equals_text(reply->elements[i].text, name))
            return reply->elements[i + 1].text;
    return span_of("", 0);
}
