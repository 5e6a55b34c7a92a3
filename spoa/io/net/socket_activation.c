#include "spoa/io/net/socket_activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/core/base/log.h"
#include "spoa/io/net/socket_addr.h"

/* The first socket that the service manager passes (SD_LISTEN_FDS_START). */
#define FIRST_FD 3
#define FDS_MAX 64

/* What another agent gave us, and nobody has taken yet. */
static struct {
    int fd;
    bool is_managed;
} added[FDS_MAX];
static int added_count;

/* Of the service manager's: taken, or closed. */
static bool is_taken[FDS_MAX];

/* If LISTEN_PID names another process, the sockets are not ours. */
static int count_sockets(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");

    if (pid == NULL || count == NULL || strtoll(pid, NULL, 10) != getpid())
        return 0;
    unsigned long sockets = strtoul(count, NULL, 10);
    return sockets < FDS_MAX ? (int)sockets : FDS_MAX;
}

static bool is_listening(int fd)
{
    int listens = 0;
    socklen_t len = sizeof(listens);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0;
}

static bool is_listener_of(int fd, const struct addr *addr)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(storage);
    struct addr bound;

    if (!is_listening(fd))
        return false;
    (void)getsockname(fd, (struct sockaddr *)&storage, &len); /* who has no name keeps AF_UNSPEC */
    if (storage.ss_family != AF_UNIX)
        return socket_addr_to(&storage, &bound) && addr_equals(&bound, addr);
    const struct sockaddr_un *path = (const struct sockaddr_un *)(const void *)&storage;
    return addr->kind == ADDR_UNIX && strncmp(path->sun_path, addr->name, sizeof(path->sun_path)) == 0;
}

/* Ready to be accepted on. */
static int prepared(int fd)
{
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

static int take_added(const struct addr *addr, bool *ret_is_managed)
{
    for (int i = 0; i < added_count; i++) {
        int fd = added[i].fd;
        if (!is_listener_of(fd, addr))
            continue;
        *ret_is_managed = added[i].is_managed;
        added[i] = added[--added_count];
        return prepared(fd);
    }
    return -1;
}

bool socket_activation_add(int fd, bool is_managed)
{
    if (added_count == FDS_MAX)
        return false;
    added[added_count].fd = fd;
    added[added_count++].is_managed = is_managed;
    return true;
}

/* The address of a socket of whatever kind, or "". */
static const char *format_address(int fd, char out[ADDR_TEXT_MAX])
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(storage);
    struct addr bound;

    out[0] = '\0';
    (void)getsockname(fd, (struct sockaddr *)&storage, &len); /* who has no name keeps AF_UNSPEC */
    if (storage.ss_family != AF_UNIX)
        return socket_addr_to(&storage, &bound) ? addr_format(&bound, out) : out;
    const struct sockaddr_un *path = (const struct sockaddr_un *)(const void *)&storage;
    (void)snprintf(out, ADDR_TEXT_MAX, "unix:%.*s", (int)sizeof(path->sun_path), path->sun_path);
    return out;
}

/* Programs that we run would inherit it. The service manager keeps its own copy, so clients can still connect. */
static void close_unused(int fd)
{
    char text[ADDR_TEXT_MAX];

    log_event(EVENT_SOCKET_UNUSED, log_number("descriptor", fd),
              log_text("address", format_address(fd, text)));
    close(fd);
}

void socket_activation_drop(void)
{
    int count = count_sockets();

    for (int i = 0; i < count; i++)
        if (!is_taken[i] && is_listening(FIRST_FD + i)) {
            is_taken[i] = true;
            close_unused(FIRST_FD + i);
        }
    while (added_count > 0)
        close(added[--added_count].fd);
}

int socket_activation_take(const struct addr *addr, bool *ret_is_managed)
{
    int count = count_sockets();

    for (int i = 0; i < count; i++) {
        int fd = FIRST_FD + i;
        if (is_taken[i] || !is_listener_of(fd, addr))
            continue;
        is_taken[i] = true;
        *ret_is_managed = true;
        return prepared(fd);
    }
    return take_added(addr, ret_is_managed);
}
