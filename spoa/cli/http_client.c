#include "spoa/cli/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/cli/blocking_socket.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"

/* Enough for the status of ten thousand services. */
#define REPLY_MAX ((size_t)64 * 1024 * 1024)

/* Reads until the peer closes: we ask with HTTP/1.0. Returns 0, or why there is no reply, as errno. */
static int read_reply(int fd, struct text *reply)
{
    char bytes[16 * 1024];
    ssize_t got;

    while ((got = recv(fd, bytes, sizeof(bytes) - 1, 0)) > 0 && reply->len < REPLY_MAX) {
        bytes[got] = '\0';
        text_add(reply, bytes);
    }
    if (got == -1)
        return errno == EAGAIN ? ETIMEDOUT : errno;
    if (reply->has_failed)
        return ENOMEM;
    if (got > 0)
        return EMSGSIZE;
    return reply->data != NULL ? 0 : ECONNRESET;
}

/* The status code, or -1 if it is no reply of HTTP. */
static int read_code(const struct text *reply, struct text *body)
{
    const char *start = strstr(reply->data, "\r\n\r\n");
    const char *blank = strchr(reply->data, ' ');

    if (start == NULL || blank == NULL || strncmp(reply->data, "HTTP/1.", 7) != 0)
        return -1;
    text_add(body, start + 4);
    return (int)strtol(blank, NULL, 10);
}

/* Returns 0 or an errno. */
static int send_request(int fd, const char *path, const char *token)
{
    struct text request = {.data = NULL};
    int error = ENOMEM;

    text_printf(&request, "GET %s HTTP/1.0\r\n", path);
    if (token != NULL)
        text_printf(&request, "Authorization: Bearer %s\r\n", token);
    text_add(&request, "\r\n");
    if (!request.has_failed)
        error = send(fd, request.data, request.len, MSG_NOSIGNAL) == (ssize_t)request.len ? 0 : errno;
    text_finish(&request);
    return error;
}

int http_client_get(const struct config_listen *where, const char *path, struct text *body)
{
    struct text reply = {.data = NULL};
    int code = -1;
    int fd = blocking_socket_connect(&where->addr);

    *body = (struct text){.data = NULL};
    if (fd == -1)
        return -1;
    int error = send_request(fd, path, where->token.password);
    if (error == 0)
        error = read_reply(fd, &reply);
    if (error == 0 && reply.data != NULL) {
        code = read_code(&reply, body);
        error = EPROTO;
    }
    if (body->has_failed) {
        code = -1;
        error = ENOMEM;
    }
    text_finish(&reply);
    close(fd);
    errno = error;
    return code;
}

const struct config_listen *http_client_agent(const struct config *config)
{
    if (config->agent.web.count > 0)
        return &config->agent.web.list[0];
    fputs("the configuration has no 'http' in [agent]: there is nobody to ask\n", stderr);
    return NULL;
}

int http_client_ask(const struct config *config, const char *path, struct text *body)
{
    const struct config_listen *where = http_client_agent(config);

    *body = (struct text){.data = NULL};
    if (where == NULL)
        return -1;
    int code = http_client_get(where, path, body);
    if (code == -1) {
        char text[ADDR_TEXT_MAX];
        fprintf(stderr, "no answer from %s: %s\n", addr_format(&where->addr, text), strerror(errno));
    }
    return code;
}
