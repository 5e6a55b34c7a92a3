#include "spoa/io/blocking_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "spoa/io/socket_addr.h"

#define TIMEOUT_S 3

int blocking_socket_connect(const struct addr *addr)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    struct sockaddr_storage storage;
    socklen_t len = 0;

    if (!socket_addr_from(addr, &storage, &len)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (const struct sockaddr *)&storage, len) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}
