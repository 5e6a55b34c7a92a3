/*
 * echo LISTEN ACTIONS: the baseline, an agent that decides nothing. A bare epoll server that answers HELLO,
 * and every NOTIFY with an ACK of the same ACTIONS (hexadecimal) without looking inside: it reads LEN and
 * copies the ids. LISTEN is the path of a UNIX socket, or "-" for a TCP port of the loopback, which it
 * prints. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/spop_frame.h"

#define IN_SIZE ((size_t)64 * 1024)
#define REPLY_MAX 512
#define IDS_AT 9 /* behind LEN, type and flags */
#define FRAME_MIN (SPOP_LEN_BYTES + SPOP_FRAME_MIN)

static uint8_t actions[256];
static size_t actions_len;
static uint8_t in[IN_SIZE];
static uint8_t out[IN_SIZE / FRAME_MIN * REPLY_MAX];

static size_t size_of(const uint8_t *frame)
{
    return SPOP_LEN_BYTES + ((size_t)frame[2] << 8 | frame[3]);
}

/*
 * The bytes of a varint: the first one that is less than 240, or a later one that is less than 128, ends it.
 */
static size_t id_size(const uint8_t *id)
{
    size_t size = 1;

    if (id[0] >= 240)
        while (id[size++] >= 128)
            continue;
    return size;
}

static size_t acknowledge(const uint8_t *frame, uint8_t *to)
{
    static const uint8_t head[] = {0, 0, 0, 0, SPOP_ACK, 0, 0, 0, SPOP_FLAG_FIN};
    const uint8_t *ids = frame + IDS_AT;
    size_t ids_size = id_size(ids);

    ids_size += id_size(ids + ids_size);
    size_t size = IDS_AT + ids_size + actions_len;
    memcpy(to, head, sizeof(head));
    to[2] = (uint8_t)((size - SPOP_LEN_BYTES) >> 8);
    to[3] = (uint8_t)(size - SPOP_LEN_BYTES);
    memcpy(to + IDS_AT, ids, ids_size);
    memcpy(to + IDS_AT + ids_size, actions, actions_len);
    return size;
}

static size_t answer(const uint8_t *frame, uint8_t *to)
{
    struct sink sink = sink_of(to, REPLY_MAX);

    if (frame[SPOP_LEN_BYTES] == SPOP_NOTIFY)
        return acknowledge(frame, to);
    if (frame[SPOP_LEN_BYTES] == SPOP_HAPROXY_HELLO)
        spop_agent_hello_write(&sink, 4096, true);
    else
        spop_agent_disconnect_write(&sink, SPOP_STATUS_NORMAL, "bye");
    return (size_t)(sink.at - to);
}

/* One read, one write; frames come whole: those who ask have few of them in flight. */
static void serve(int poll_fd, int fd)
{
    ssize_t got = recv(fd, in, sizeof(in), 0);
    size_t written = 0;

    for (size_t at = 0; got > 0 && at < (size_t)got; at += size_of(in + at)) {
        if (at + size_of(in + at) > (size_t)got)
            exit(1);
        written += answer(in + at, out + written);
    }
    if (got <= 0 || send(fd, out, written, MSG_NOSIGNAL) != (ssize_t)written) {
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
    }
}

static int watch(int poll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(const char *path)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    bool is_tcp = strcmp(path, "-") == 0;
    struct sockaddr *address = is_tcp ? (struct sockaddr *)&ipv4 : (struct sockaddr *)&local;
    socklen_t len = is_tcp ? sizeof(ipv4) : sizeof(local);
    int fd = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
    if (bind(fd, address, len) == -1 || listen(fd, 1024) == -1 || getsockname(fd, address, &len) == -1)
        return -1;
    printf("%d\n", is_tcp ? ntohs(ipv4.sin_port) : 0);
    fflush(stdout);
    return fd;
}

static void take_actions(const char *hex)
{
    for (; hex[0] != '\0' && hex[1] != '\0' && actions_len < sizeof(actions); hex += 2) {
        const char digits[] = {hex[0], hex[1], '\0'};
        actions[actions_len++] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

int main(int argc, char **argv)
{
    const int on = 1;
    struct epoll_event events[256];
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 3) {
        fputs("usage: echo LISTEN ACTIONS\n", stderr);
        return 2;
    }
    take_actions(argv[2]);
    int listening = listen_on(argv[1]);
    if (listening == -1 || watch(poll_fd, listening) == -1 || watch(poll_fd, STDIN_FILENO) == -1)
        return 1;
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
