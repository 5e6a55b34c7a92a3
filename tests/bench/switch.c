/*
 * switch AGENT SENTINELS PATH...: watches failovers. Every two milliseconds each of the SENTINELS ("PORT,PORT,...") is
 * asked for the master of "mymaster", and each PATH (a port) gets a new connection that asks the Redis behind it for its
 * own port; the AGENT (HOST:PORT) is asked every millisecond. Prints a line whenever something answers otherwise than
 * before: nanoseconds (CLOCK_MONOTONIC), who, what.
 *
 *     12345678 majority 7002     so many Sentinels name the node on this port
 *     12345678 agent R2          "-": nobody
 *     12345678 path0 7002        the connection reached this node; "-": none
 *
 * Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/spop_frame.h"
#include "tests/bench/bench.h"

#define SENTINELS_MAX 15
#define PATHS_MAX 8
#define IN_SIZE 4096
#define WORD_SIZE 64
#define TICK_NS 1000000L

enum kind {
    TICK,
    INPUT,
    SENTINEL,
    AGENT,
    PATH,
};

struct peer {
    enum kind kind;
    int index;
    uint16_t port;
    int fd; /* -1: not connected */
    bool is_asked;
    size_t len;
    char in[IN_SIZE];
    char said[WORD_SIZE]; /* the last answer */
};

static const char get_master[] =
    "*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$8\r\nmymaster\r\n";
static const char get_port[] = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$4\r\nport\r\n";

static int poll_fd;
static struct peer sentinels[SENTINELS_MAX];
static struct peer paths[PATHS_MAX];
static struct peer agent = {.kind = AGENT};
static int sentinel_count;
static int path_count;

static void tell(const char *who, int index, const char *what)
{
    char number[16] = "";

    if (index >= 0)
        snprintf(number, sizeof(number), "%d", index);
    printf("%lld %s%s %s\n", (long long)now_ns(), who, number, what);
    fflush(stdout);
}

/* ---- connections ---- */

static void peer_watch(struct peer *peer, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};

    if (epoll_ctl(poll_fd, operation, peer->fd, &event) == -1)
        die("epoll");
}

static void peer_connect(struct peer *peer, bool is_blocking)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
    const int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (is_blocking ? 0 : SOCK_NONBLOCK), 0);
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(peer->fd, (struct sockaddr *)&to, sizeof(to)) == -1 && errno != EINPROGRESS)
        die("connect");
    peer->len = 0;
}

static void peer_send(struct peer *peer, const void *data, size_t len)
{
    peer->is_asked = send(peer->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void path_end(struct peer *path, const char *said)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(path->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(path->fd);
    path->fd = -1;
    if (strcmp(said, path->said) == 0)
        return;
    snprintf(path->said, sizeof(path->said), "%s", said);
    tell("path", path->index, said);
}

/* ---- the agent ---- */

static void agent_hello(void)
{
    uint8_t data[128] = {0, 0, 0, 0, SPOP_HAPROXY_HELLO, 0, 0, 0, SPOP_FLAG_FIN, 0, 0};
    struct sink out = sink_of(data + 11, sizeof(data) - 11);
    struct spop_value versions = spop_text(span_of_text(SPOP_VERSION));
    struct spop_value size = spop_uint32(16380);
    struct spop_value capabilities = spop_text(span_of_text("pipelining"));

    spop_kv_write(&out, "supported-versions", &versions);
    spop_kv_write(&out, "max-frame-size", &size);
    spop_kv_write(&out, "capabilities", &capabilities);
    data[3] = (uint8_t)(out.at - data - SPOP_LEN_BYTES);
    peer_send(&agent, data, (size_t)(out.at - data));
    if (recv(agent.fd, agent.in, IN_SIZE, 0) <= 0)
        die("hello");
}

static void agent_ask(void)
{
    uint8_t data[128] = {0, 0, 0, 0, SPOP_NOTIFY, 0, 0, 0, SPOP_FLAG_FIN, 1, 1};
    struct sink out = sink_of(data + 11, sizeof(data) - 11);
    struct spop_value service = spop_text(span_of_text("mymaster"));

    spop_name_write(&out, span_of_text("find-master"));
    sink_put_byte(&out, 1);
    spop_kv_write(&out, "service", &service);
    data[3] = (uint8_t)(out.at - data - SPOP_LEN_BYTES);
    peer_send(&agent, data, (size_t)(out.at - data));
}

/* The variable `master` of the ACK: its name stands before the value. */
static void agent_answered(const uint8_t *frame, size_t len)
{
    static const char variable[] = "\x01\x03\x02\x06master\x08";
    const uint8_t *at = memmem(frame, len, variable, sizeof(variable) - 1);
    char said[WORD_SIZE] = "-";

    if (at != NULL)
        snprintf(said, sizeof(said), "%.*s", at[sizeof(variable) - 1], (const char *)at + sizeof(variable));
    if (strcmp(said, agent.said) == 0)
        return;
    snprintf(agent.said, sizeof(agent.said), "%s", said);
    tell("agent", -1, said);
}

/* ---- the Sentinels ---- */

/* The last bulk string of a reply that has `lines` lines. False where not all of it is there. */
static bool last_word(const struct peer *peer, int lines, char *word)
{
    const char *at = peer->in;
    const char *end = peer->in + peer->len;

    for (int i = 1; i < lines; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at++ == NULL)
            return false;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline == NULL)
        return false;
    snprintf(word, WORD_SIZE, "%.*s", (int)(newline - at - 1), at);
    return true;
}

static void judge(void)
{
    static char majority[WORD_SIZE];

    for (int i = 0; i < sentinel_count; i++) {
        int votes = 0;
        for (int k = 0; k < sentinel_count; k++)
            votes += strcmp(sentinels[i].said, sentinels[k].said) == 0;
        if (2 * votes <= sentinel_count || strcmp(majority, sentinels[i].said) == 0)
            continue;
        snprintf(majority, sizeof(majority), "%s", sentinels[i].said);
        tell("majority", -1, majority);
    }
}

/* ---- events ---- */

static void take_bytes(struct peer *peer)
{
    ssize_t got = recv(peer->fd, peer->in + peer->len, IN_SIZE - peer->len, 0);
    char word[WORD_SIZE];

    if (got <= 0 && peer->kind != PATH)
        die("a peer is gone");
    if (got <= 0) {
        path_end(peer, "-");
        return;
    }
    peer->len += (size_t)got;
    switch (peer->kind) {
    case AGENT:
        agent_answered((const uint8_t *)peer->in, peer->len);
        break;
    case SENTINEL:
        if (!last_word(peer, 5, word))
            return;
        snprintf(peer->said, sizeof(peer->said), "%s", word);
        judge();
        break;
    case PATH:
        if (last_word(peer, 5, word))
            path_end(peer, word);
        return;
    default:
        return;
    }
    peer->len = 0;
    peer->is_asked = false;
}

static void handle(struct peer *peer, uint32_t events)
{
    if (peer->kind == PATH && (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0) {
        peer_send(peer, get_port, sizeof(get_port) - 1);
        peer_watch(peer, EPOLLIN, EPOLL_CTL_MOD);
        return;
    }
    take_bytes(peer);
}

static void on_tick(int timer)
{
    static unsigned ticks;
    uint64_t expirations;

    if (read(timer, &expirations, sizeof(expirations)) == -1)
        die("timer");
    if (!agent.is_asked)
        agent_ask();
    if (++ticks % 2 != 0)
        return;
    for (int i = 0; i < sentinel_count; i++)
        if (!sentinels[i].is_asked)
            peer_send(&sentinels[i], get_master, sizeof(get_master) - 1);
    for (int i = 0; i < path_count; i++) {
        if (paths[i].fd != -1)
            continue;
        peer_connect(&paths[i], false);
        peer_watch(&paths[i], EPOLLOUT, EPOLL_CTL_ADD);
    }
}

static void set_up(char **argv, int argc)
{
    agent.port = (uint16_t)strtoul(strrchr(argv[1], ':') + 1, NULL, 10);
    peer_connect(&agent, true);
    agent_hello();
    agent.is_asked = false;
    peer_watch(&agent, EPOLLIN, EPOLL_CTL_ADD);
    for (char *port = strtok(argv[2], ","); port != NULL && sentinel_count < SENTINELS_MAX;
         port = strtok(NULL, ",")) {
        struct peer *sentinel = &sentinels[sentinel_count++];
        sentinel->kind = SENTINEL;
        sentinel->port = (uint16_t)strtoul(port, NULL, 10);
        peer_connect(sentinel, true);
        peer_watch(sentinel, EPOLLIN, EPOLL_CTL_ADD);
    }
    for (int i = 3; i < argc && path_count < PATHS_MAX; i++) {
        paths[path_count] = (struct peer){
            .kind = PATH, .index = path_count, .port = (uint16_t)strtoul(argv[i], NULL, 10), .fd = -1};
        path_count++;
    }
}

int main(int argc, char **argv)
{
    static struct peer tick = {.kind = TICK};
    static struct peer input = {.kind = INPUT, .fd = STDIN_FILENO};
    const struct itimerspec every = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
    struct epoll_event events[32];

    if (argc < 4) {
        fputs("usage: switch AGENT SENTINEL-PORT,... PATH-PORT...\n", stderr);
        return 2;
    }
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    set_up(argv, argc);
    tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(tick.fd, 0, &every, NULL);
    peer_watch(&tick, EPOLLIN, EPOLL_CTL_ADD);
    peer_watch(&input, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        int ready = epoll_wait(poll_fd, events, 32, -1);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->kind == INPUT)
                return 0;
            if (peer->kind == TICK)
                on_tick(tick.fd);
            else
                handle(peer, events[i].events);
        }
    }
}
