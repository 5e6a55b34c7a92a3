#include "spoa/cli/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"

/* The status of ten thousand services takes some. */
#define REPLY_MAX ((size_t)64 * 1024 * 1024)

/* All that comes until the peer closes: we ask with HTTP/1.0. */
static bool read_reply(int fd, struct page *reply)
{
    char bytes[16 * 1024];
    ssize_t got;

    while ((got = recv(fd, bytes, sizeof(bytes) - 1, 0)) > 0 && reply->len < REPLY_MAX) {
        bytes[got] = '\0';
        page_add(reply, bytes);
    }
    return got == 0 && reply->text != NULL && !reply->has_failed;
}

int http_client_get(const struct addr *addr, const char *path, struct page *body)
{
    char request[256];
    struct page reply = {.text = NULL};
    int code = -1;
    int fd = blocking_socket_connect(addr);

    *body = (struct page){.text = NULL};
    if (fd == -1)
        return -1;
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    bool is_sent = len > 0 && send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
    if (is_sent && read_reply(fd, &reply)) {
        const char *start = strstr(reply.text, "\r\n\r\n");
        const char *blank = strchr(reply.text, ' ');
        if (start != NULL && blank != NULL && strncmp(reply.text, "HTTP/1.", 7) == 0) {
            code = (int)strtol(blank, NULL, 10);
            page_add(body, start + 4);
        } else {
            errno = EPROTO;
        }
    }
    page_finish(&reply);
    close(fd);
    return code;
}
