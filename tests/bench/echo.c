/*
 * echo ACTIONS-LENGTH: the baseline. A bare epoll server that answers HELLO, and every NOTIFY with an ACK of
 * ACTIONS-LENGTH payload bytes without looking inside: it reads LEN and copies the ids. Prints its port; ends with
 * its standard input.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/spop_frame.h"

#define IN_SIZE ((size_t)64 * 1024)
#define HEAD_SIZE 11 /* LEN, type, flags, two one-byte ids, as the load generator sends them */
#define FDS_MAX 4096

static uint8_t actions[256];
static size_t actions_len;
static uint8_t in[IN_SIZE];
static uint8_t out[8 * IN_SIZE];

static size_t answer(const uint8_t *frame, uint8_t *to)
{
    struct sink sink = sink_of(to, 512);

    if (frame[4] != SPOP_NOTIFY) {
        spop_agent_hello_write(&sink, 4096, true);
        return (size_t)(sink.at - to);
    }
    uint32_t size = (uint32_t)(SPOP_FRAME_MIN + actions_len);
    const uint8_t head[HEAD_SIZE] = {0, 0, (uint8_t)(size >> 8), (uint8_t)size, SPOP_ACK, 0,
                                     0, 0, SPOP_FLAG_FIN,        frame[9],      frame[10]};
    memcpy(to, head, sizeof(head));
    memcpy(to + sizeof(head), actions, actions_len);
    return sizeof(head) + actions_len;
}

/* One read, one write. The load never sends more than fits, and writes whole frames. */
static void serve(int poll_fd, int fd)
{
    ssize_t got = read(fd, in, sizeof(in));
    size_t written = 0;

    if (got <= 0) {
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        return;
    }
    for (size_t at = 0; at + HEAD_SIZE <= (size_t)got;) {
        size_t size = 4 + ((size_t)in[at + 2] << 8 | in[at + 3]);
        written += answer(in + at, out + written);
        at += size;
    }
    if (write(fd, out, written) != (ssize_t)written)
        exit(1);
}

static int watch(int poll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int on = 1;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];

    actions_len = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    if (actions_len > sizeof(actions) || bind(listening, (struct sockaddr *)&address, len) == -1 ||
        listen(listening, 1024) == -1 || getsockname(listening, (struct sockaddr *)&address, &len) == -1 ||
        watch(poll_fd, listening) == -1 || watch(poll_fd, STDIN_FILENO) == -1)
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(poll_fd, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == STDIN_FILENO)
                return 0;
            if (events[i].data.fd != listening) {
                serve(poll_fd, events[i].data.fd);
                continue;
            }
            int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            if (fd == -1 || watch(poll_fd, fd) == -1)
                return 1;
        }
    }
}
