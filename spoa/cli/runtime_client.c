#include "spoa/cli/runtime_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/core/haproxy/runtime_reply.h"

/* Reads to the end. Drops what has no room. False if nothing came. */
static bool read_all(int fd, char reply[RUNTIME_ASK_MAX])
{
    char bytes[1024];
    bool any = false;
    size_t len = 0;
    ssize_t got;

    for (; (got = recv(fd, bytes, sizeof(bytes), 0)) > 0; any = true)
        for (ssize_t i = 0; i < got && len + 1 < RUNTIME_ASK_MAX; i++)
            if (bytes[i] != '\n' || (len > 0 && reply[len - 1] != ' '))
                reply[len++] = bytes[i] == '\n' ? ' ' : bytes[i];
    reply[len] = '\0';
    return any;
}

/* A connection on which the line was said; -1, and the reason in place of the reply, where that failed. */
static int say(const struct addr *api, const char *line, char ret_reply[RUNTIME_ASK_MAX])
{
    int fd = blocking_socket_connect(api);
    size_t len = strlen(line);

    if (fd == -1 || send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len) {
        (void)snprintf(ret_reply, RUNTIME_ASK_MAX, "%s", strerror(errno));
        if (fd != -1)
            close(fd);
        return -1;
    }
    return fd;
}

bool runtime_client_ask(const struct addr *api, unsigned pid, const char *command,
                        char ret_reply[RUNTIME_ASK_MAX])
{
    char line[RUNTIME_ASK_MAX];

    if (pid == 0)
        (void)snprintf(line, sizeof(line), "%s\n", command);
    else
        (void)snprintf(line, sizeof(line), "@!%u %s;quit\n", pid, command);
    int fd = say(api, line, ret_reply);
    if (fd == -1)
        return false;
    bool is_answered = read_all(fd, ret_reply);
    close(fd);
    if (!is_answered)
        (void)snprintf(ret_reply, RUNTIME_ASK_MAX, "no reply");
    return is_answered;
}

/* The workers of a master, as its reply tells them. */
struct worker_list {
    struct reply_workers workers;
    unsigned pid; /* of the first that no reload has replaced; 0: none yet */
};

static void take_line(void *context, const char *line)
{
    struct worker_list *list = context;
    unsigned pid = reply_workers_take(&list->workers, line);

    if (list->pid == 0 && !list->workers.is_old)
        list->pid = pid;
}

bool runtime_client_find_worker(const struct addr *master, unsigned *ret_pid, char ret_reply[RUNTIME_ASK_MAX])
{
    struct worker_list list = {.pid = 0};
    struct reply_lines lines;
    char bytes[1024];
    ssize_t got;
    int fd = say(master, "show proc;quit\n", ret_reply);

    if (fd == -1)
        return false;
    reply_lines_init(&lines, take_line, &list);
    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        reply_lines_take(&lines, bytes, (size_t)got);
    close(fd);
    (void)snprintf(ret_reply, RUNTIME_ASK_MAX, "this is no master with workers");
    *ret_pid = list.pid;
    return list.pid != 0;
}
