#include "spoa/io/net/fd_pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor; aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int fd_pass_send(int sock, const struct fd_record *record, int fd)
{
    struct iovec bytes = {.iov_base = (void *)record, .iov_len = sizeof(*record)};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    union control control = {.bytes = ""};

    if (fd != -1) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    /* The kernel takes so few bytes as a whole, or none of them. */
    return sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(*record) ? 0 : -1;
}

/* Our sockets ask the kernel for nothing but descriptors, and there is room for one. */
static int take_fd(struct msghdr *message)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (header != NULL)
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

int fd_pass_receive(int sock, struct fd_record *ret_record, int *ret_fd)
{
    struct iovec bytes = {.iov_base = ret_record, .iov_len = sizeof(*ret_record)};
    union control control;
    /* Not all of `control`: a second descriptor would find room in its padding, and nobody would close that. */
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_LEN(sizeof(*ret_fd))};
    ssize_t got;

    *ret_fd = -1;
    do
        got = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    while (got == -1 && errno == EINTR);
    if (got <= 0)
        return (int)got;
    *ret_fd = take_fd(&message);
    if (got == (ssize_t)sizeof(*ret_record) && (message.msg_flags & MSG_CTRUNC) == 0)
        return 1;
    (void)close(*ret_fd); /* or there was none: no harm */
    *ret_fd = -1;
    errno = EPROTO;
    return -1;
}

pid_t fd_pass_peer(int sock)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
        return 0;
    return peer.uid == geteuid() || peer.uid == 0 ? peer.pid : 0;
}
