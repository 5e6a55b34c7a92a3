#include "spoa/cli/takeover_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/fd_pass.h"
#include "spoa/io/net/socket_activation.h"
#include "spoa/io/serve/takeover.h"

/* All of them, up to LISTED. */
static bool receive_listeners(int sock)
{
    struct fd_record record;
    int fd;

    while (fd_pass_receive(sock, &record, &fd) == 1) {
        if (record.kind == TAKEOVER_LISTED && fd == -1)
            return true;
        if (record.kind == TAKEOVER_LISTENER && fd != -1 && socket_activation_add(fd, record.value != 0))
            continue;
        if (fd != -1)
            close(fd);
        break;
    }
    return false;
}

bool takeover_ask(const struct config *config, int *ret_fd)
{
    *ret_fd = -1;
    if (config->agent.takeovers.count == 0) {
        fputs("--takeover needs 'takeover' in [agent]\n", stderr);
        return false;
    }
    int fd = blocking_socket_connect(&config->agent.takeovers.list[0].addr);
    if (fd == -1 && (errno == ENOENT || errno == ECONNREFUSED))
        return true;
    if (fd == -1) {
        fprintf(stderr, "cannot take over: %s\n", strerror(errno));
        return false;
    }
    if (!receive_listeners(fd) || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1) {
        fputs("cannot take over: the agent that runs does not give its listeners; its log says why\n",
              stderr);
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}
