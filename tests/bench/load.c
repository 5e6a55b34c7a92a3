/*
 * load HOST-OR-PATH PORT CONNECTIONS DEPTH SECONDS: asks an SPOP agent as fast as it answers, with DEPTH NOTIFYs in
 * flight on each connection. Prints one line of JSON: answers, their rate, the latency in microseconds. PORT 0: a
 * UNIX socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/spop_frame.h"

#define IN_SIZE ((size_t)64 * 1024)
#define DEPTH_MAX 1024
#define HISTOGRAM_US 100000

struct connection {
    int fd;
    size_t kept; /* bytes of a frame that is not whole yet */
    uint8_t in[IN_SIZE];
    int64_t sent_ns[DEPTH_MAX]; /* a ring: answers come in the order of the questions */
    unsigned head;
};

static uint64_t histogram[HISTOGRAM_US + 1];
static uint64_t answers;
static int64_t worst_ns;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int connect_to(const char *host, unsigned short port)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const int on = 1;
    int fd = socket(port > 0 ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected;

    if (port > 0) {
        if (inet_pton(AF_INET, host, &ipv4.sin_addr) != 1)
            die("address");
        connected = connect(fd, (struct sockaddr *)&ipv4, sizeof(ipv4));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    } else {
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", host);
        connected = connect(fd, (struct sockaddr *)&local, sizeof(local));
    }
    if (connected == -1)
        die("connect");
    return fd;
}

/* Frames of our own making have headers of one-byte ids. */
static size_t put_frame(uint8_t *out, uint8_t type, uint8_t frame_id, const struct sink *payload,
                        const uint8_t *data)
{
    size_t len = (size_t)(payload->at - data);
    const uint8_t head[] = {
        0, 0, 0, (uint8_t)(SPOP_FRAME_MIN + len), type, 0, 0, 0, SPOP_FLAG_FIN, frame_id, frame_id};

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), data, len);
    return sizeof(head) + len;
}

static void say_hello(int fd)
{
    uint8_t data[200];
    uint8_t out[256];
    struct sink payload = sink_of(data, sizeof(data));
    struct spop_value versions = spop_text(span_of_text(SPOP_VERSION));
    struct spop_value size = spop_uint32(16380);
    struct spop_value capabilities = spop_text(span_of_text("pipelining"));

    spop_kv_write(&payload, "supported-versions", &versions);
    spop_kv_write(&payload, "max-frame-size", &size);
    spop_kv_write(&payload, "capabilities", &capabilities);
    size_t len = put_frame(out, SPOP_HAPROXY_HELLO, 0, &payload, data);
    if (write(fd, out, len) != (ssize_t)len || read(fd, out, sizeof(out)) < SPOP_FRAME_MIN)
        die("hello");
}

/* What HAProxy sends with the shipped spoe.conf. */
static size_t make_notify(uint8_t out[256])
{
    uint8_t data[200];
    struct sink payload = sink_of(data, sizeof(data));
    struct spop_value service = spop_text(span_of_text("mymaster"));
    struct spop_value role = spop_text(span_of_text("master"));

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, 2);
    spop_kv_write(&payload, "service", &service);
    spop_kv_write(&payload, "role", &role);
    return put_frame(out, SPOP_NOTIFY, 1, &payload, data);
}

static void ask(struct connection *connection, unsigned count, unsigned depth, const uint8_t *notify,
                size_t len)
{
    static uint8_t out[DEPTH_MAX * 256];
    int64_t now = now_ns();

    for (unsigned i = 0; i < count; i++) {
        memcpy(out + i * len, notify, len);
        connection->sent_ns[(connection->head + i) % depth] = now;
    }
    connection->head = (connection->head + count) % depth;
    if (write(connection->fd, out, count * len) != (ssize_t)(count * len))
        die("write");
}

static void note_latency(int64_t took_ns)
{
    int64_t took_us = took_ns / 1000;

    histogram[took_us < HISTOGRAM_US ? took_us : HISTOGRAM_US]++;
    worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
    answers++;
}

/* Reads once; returns how many answers came. */
static unsigned take(struct connection *connection, unsigned depth)
{
    unsigned count = 0;
    ssize_t got = read(connection->fd, connection->in + connection->kept, IN_SIZE - connection->kept);

    if (got <= 0)
        die("read");
    size_t len = connection->kept + (size_t)got;
    size_t taken = 0;
    int64_t now = now_ns();
    for (;;) {
        struct spop_frame frame;
        int size = spop_frame_parse(connection->in + taken, len - taken, 16380, &frame);
        if (size <= 0)
            break;
        if (frame.type != SPOP_ACK)
            die("not an ACK");
        note_latency(now - connection->sent_ns[(connection->head + count) % depth]);
        taken += (size_t)size;
        count++;
    }
    connection->kept = len - taken;
    memmove(connection->in, connection->in + taken, connection->kept);
    return count;
}

static int64_t quantile_us(double share)
{
    uint64_t wanted = (uint64_t)((double)answers * share);
    uint64_t seen = 0;

    for (int64_t us = 0; us <= HISTOGRAM_US; us++) {
        seen += histogram[us];
        if (seen > wanted)
            return us;
    }
    return HISTOGRAM_US;
}

static void run(struct connection *connections, unsigned count, unsigned depth, double seconds)
{
    uint8_t notify[256];
    size_t len = make_notify(notify);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    int64_t begin = now_ns();
    int64_t end = begin + (int64_t)(seconds * 1e9);

    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, connections[i].fd, &event) == -1)
            die("epoll");
        ask(&connections[i], depth, depth, notify, len);
    }
    while (now_ns() < end) {
        int ready = epoll_wait(poll_fd, events, 256, 1000);
        for (int i = 0; i < ready; i++) {
            unsigned answered = take(events[i].data.ptr, depth);
            ask(events[i].data.ptr, answered, depth, notify, len);
        }
    }
    double took_s = (double)(now_ns() - begin) / 1e9;
    printf("{\"answers\": %llu, \"per_s\": %.0f, \"p50_us\": %lld, \"p99_us\": %lld, \"max_us\": %lld}\n",
           (unsigned long long)answers, (double)answers / took_s, (long long)quantile_us(0.5),
           (long long)quantile_us(0.99), (long long)(worst_ns / 1000));
    close(poll_fd);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: load HOST-OR-PATH PORT CONNECTIONS DEPTH SECONDS\n", stderr);
        return 2;
    }
    unsigned count = (unsigned)strtoul(argv[3], NULL, 10);
    unsigned depth = (unsigned)strtoul(argv[4], NULL, 10);
    struct connection *connections = calloc(count, sizeof(*connections));
    if (connections == NULL || count == 0 || depth == 0 || depth > DEPTH_MAX)
        die("arguments");
    for (unsigned i = 0; i < count; i++) {
        connections[i].fd = connect_to(argv[1], (unsigned short)strtoul(argv[2], NULL, 10));
        say_hello(connections[i].fd);
    }
    run(connections, count, depth, strtod(argv[5], NULL));
    free(connections);
    return 0;
}
