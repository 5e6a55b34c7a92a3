#include "spoa/cli/runtime_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"

/* Reads to the end. Drops what has no room. */
static void read_all(int fd, char reply[RUNTIME_ASK_MAX])
{
    char bytes[1024];
    size_t len = 0;
    ssize_t got;

    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        for (ssize_t i = 0; i < got && len + 1 < RUNTIME_ASK_MAX; i++)
            if (bytes[i] != '\n' || (len > 0 && reply[len - 1] != ' '))
                reply[len++] = bytes[i] == '\n' ? ' ' : bytes[i];
    reply[len] = '\0';
}

bool runtime_client_ask(const struct addr *api, const char *command, char ret_reply[RUNTIME_ASK_MAX])
{
    int fd = blocking_socket_connect(api);
    size_t len = strlen(command);

    if (fd == -1 || send(fd, command, len, MSG_NOSIGNAL) != (ssize_t)len) {
        (void)snprintf(ret_reply, RUNTIME_ASK_MAX, "%s", strerror(errno));
        if (fd != -1)
            close(fd);
        return false;
    }
    read_all(fd, ret_reply);
    close(fd);
    return true;
}
