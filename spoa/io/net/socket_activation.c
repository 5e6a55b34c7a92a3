#include "spoa/io/net/socket_activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/io/net/socket_addr.h"

/* The first socket that the service manager passes (SD_LISTEN_FDS_START). */
#define FIRST_FD 3
#define FDS_MAX 64

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

static bool is_listener_of(int fd, const struct addr *addr)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(storage);
    struct addr bound;
    int listens = 0;
    socklen_t option_len = sizeof(listens);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &option_len) == -1 || listens == 0 ||
        getsockname(fd, (struct sockaddr *)&storage, &len) == -1)
        return false;
    if (storage.ss_family != AF_UNIX)
        return socket_addr_to(&storage, &bound) && addr_equals(&bound, addr);
    const struct sockaddr_un *path = (const struct sockaddr_un *)(const void *)&storage;
    return addr->kind == ADDR_UNIX && strncmp(path->sun_path, addr->host, sizeof(path->sun_path)) == 0;
}

int socket_activation_take(const struct addr *addr)
{
    static bool is_taken[FDS_MAX];
    int count = count_sockets();

    for (int i = 0; i < count; i++) {
        int fd = FIRST_FD + i;
        if (is_taken[i] || !is_listener_of(fd, addr))
            continue;
        is_taken[i] = true;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return fd;
    }
    return -1;
}
