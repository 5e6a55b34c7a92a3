/*
 * connect ADDRESS CLIENTS SECONDS: so many clients that connect to HOST:PORT, send PING, wait for the reply
 * and close, again and again. Prints one line of JSON: connections that were answered, their rate, those that
 * failed, and the time from connect() to the reply in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

struct client {
    int fd;
    int64_t began_ns;
};

static struct sockaddr_in target = {.sin_family = AF_INET};
static int poll_fd;
static struct latencies answered;
static unsigned long failed;

/* The request goes out as soon as the connection is there: then it is writable. */
static void begin(struct client *client)
{
    /* No TIME_WAIT: the ports would run out. */
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = client};

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    client->began_ns = now_ns();
    (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if ((connect(client->fd, (struct sockaddr *)&target, sizeof(target)) == -1 && errno != EINPROGRESS) ||
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event) == -1)
        die("connect");
}

static void end(struct client *client, bool is_answered)
{
    if (is_answered)
        latencies_note(&answered, now_ns() - client->began_ns);
    else
        failed++;
    close(client->fd);
    begin(client);
}

static void handle(const struct epoll_event *event)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    struct client *client = event->data.ptr;
    struct epoll_event reads = {.events = EPOLLIN, .data.ptr = client};
    char reply[64];

    if ((event->events & EPOLLOUT) != 0 && (event->events & EPOLLERR) == 0) {
        if (write(client->fd, ping, sizeof(ping) - 1) != sizeof(ping) - 1 ||
            epoll_ctl(poll_fd, EPOLL_CTL_MOD, client->fd, &reads) == -1)
            end(client, false);
        return;
    }
    ssize_t got = read(client->fd, reply, sizeof(reply));
    end(client, got > 0 && reply[0] == '+');
}

int main(int argc, char **argv)
{
    char host[64];
    const char *port = argc == 4 ? strrchr(argv[1], ':') : NULL;

    if (port == NULL) {
        fputs("usage: connect HOST:PORT CLIENTS SECONDS\n", stderr);
        return 2;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(port - argv[1]), argv[1]);
    target.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
    size_t count = strtoul(argv[2], NULL, 10);
    struct client *clients = calloc(count, sizeof(*clients));
    struct epoll_event events[64];
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (inet_pton(AF_INET, host, &target.sin_addr) != 1 || clients == NULL)
        die("arguments");
    int64_t began_ns = now_ns();
    int64_t end_ns = began_ns + (int64_t)(strtod(argv[3], NULL) * 1e9);
    for (size_t i = 0; i < count; i++)
        begin(&clients[i]);
    while (now_ns() < end_ns) {
        int ready = epoll_wait(poll_fd, events, 64, 100);
        for (int i = 0; i < ready; i++)
            handle(&events[i]);
    }
    double took_s = (double)(now_ns() - began_ns) / 1e9;
    printf("{\"answered\": %llu, \"failed\": %lu, \"per_s\": %.0f, \"p50_us\": %d, \"p99_us\": %d}\n",
           (unsigned long long)answered.total, failed, (double)answered.total / took_s,
           latencies_quantile_us(&answered, 0.5), latencies_quantile_us(&answered, 0.99));
    free(clients);
    return 0;
}
