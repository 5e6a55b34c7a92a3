#include "spoa/cli/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/core/base/text.h"

/* Enough for the status of ten thousand services. */
#define REPLY_MAX ((size_t)64 * 1024 * 1024)

/* Reads until the peer closes: we ask with HTTP/1.0. */
static bool read_reply(int fd, struct text *reply)
{
    char bytes[16 * 1024];
    ssize_t got;

    while ((got = recv(fd, bytes, sizeof(bytes) - 1, 0)) > 0 && reply->len < REPLY_MAX) {
        bytes[got] = '\0';
        text_add(reply, bytes);
    }
    return got == 0 && reply->data != NULL && !reply->has_failed;
}

int http_client_get(const struct addr *addr, const char *path, struct text *body)
{
    char request[256];
    struct text reply = {.data = NULL};
    int code = -1;
    int fd = blocking_socket_connect(addr);

    *body = (struct text){.data = NULL};
    if (fd == -1)
        return -1;
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    bool is_sent = len > 0 && send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
    if (is_sent && read_reply(fd, &reply)) {
        const char *start = strstr(reply.data, "\r\n\r\n");
        const char *blank = strchr(reply.data, ' ');
        if (start != NULL && blank != NULL && strncmp(reply.data, "HTTP/1.", 7) == 0) {
            code = (int)strtol(blank, NULL, 10);
            text_add(body, start + 4);
        } else {
            errno = EPROTO;
        }
    }
    text_finish(&reply);
    close(fd);
    return code;
}
