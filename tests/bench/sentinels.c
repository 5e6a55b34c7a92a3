/*
 * sentinels COUNT [SERVICES]: so many Sentinels that know any number of services "s0", "s1" ..., and all their nodes.
 * Prints the Sentinels' ports and last the nodes'. Service sN has two servers, 127.16.x.y and 127.17.x.y with
 * N = 256 x + y; the first is the master until a line comes in, which tells of a failover of all services.
 * So many of them ("s00000" ...) the Sentinels tell their subscribers of. Services called "w0" and so on have no
 * master before that, and those called "k0" and so on keep theirs. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define SENTINELS_MAX 64
#define FDS_MAX 32768
#define IN_SIZE ((size_t)64 * 1024)
#define OUT_SIZE ((size_t)1024 * 1024)
#define REPLY_MAX 512
#define WORDS_MAX 24
#define WORD_SIZE 128
#define ADDRESS_MAX 64

struct connection {
    int fd;
    int sentinel; /* -1: it is a node */
    bool is_listening;
    bool is_subscribed;
    size_t kept;
    char in[IN_SIZE];
};

struct command {
    size_t count;
    char words[WORDS_MAX][WORD_SIZE];
};

static struct connection *connections[FDS_MAX]; /* by descriptor */
static char out[OUT_SIZE];
static size_t out_len;
static int node_port;
static unsigned long announced; /* so many services */
static int side;                /* 0: the first server of each service is the master */

/* ---- what is said ---- */

#define SAY(...) (out_len += (size_t)snprintf(out + out_len, OUT_SIZE - out_len, __VA_ARGS__))

static void address_of(int server, unsigned long number, char ip[ADDRESS_MAX])
{
    snprintf(ip, ADDRESS_MAX, "127.%d.%lu.%lu", 16 + server, number / 256, number % 256);
}

/* Where a service's master is. */
struct where {
    char ip[ADDRESS_MAX];
    char port[8];
};

static struct where master_of(const char *service)
{
    struct where where;

    address_of(service[0] == 'k' ? 0 : side, strtoul(service + 1, NULL, 10), where.ip);
    snprintf(where.port, sizeof(where.port), "%d", node_port);
    return where;
}

static void say_master(const char *service)
{
    struct where where = master_of(service);

    if (service[0] == 'w' && side == 0)
        SAY("*-1\r\n");
    else
        SAY("*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(where.ip), where.ip, strlen(where.port), where.port);
}

/* The master was heard just now. */
static void say_facts(const char *service)
{
    struct where where = master_of(service);

    SAY("*8\r\n$2\r\nip\r\n$%zu\r\n%s\r\n$4\r\nport\r\n$%zu\r\n%s\r\n", strlen(where.ip), where.ip,
        strlen(where.port), where.port);
    SAY("$5\r\nflags\r\n$6\r\nmaster\r\n$23\r\ndown-after-milliseconds\r\n$4\r\n5000\r\n");
}

static void say_subscribed(struct connection *connection, const struct command *command)
{
    connection->is_subscribed = true;
    for (size_t i = 1; i < command->count; i++)
        SAY("*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%zu\r\n", strlen(command->words[i]), command->words[i],
            i);
}

static void answer(struct connection *connection, const struct command *command)
{
    const char *verb = command->words[0];
    const char *what = command->words[1];

    if (strcasecmp(verb, "ROLE") == 0)
        SAY("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    else if (strcasecmp(verb, "SUBSCRIBE") == 0)
        say_subscribed(connection, command);
    else if (strcasecmp(verb, "PING") == 0)
        SAY("+PONG\r\n");
    else if (strcasecmp(verb, "CLIENT") == 0)
        SAY("+OK\r\n");
    else if (strcasecmp(what, "MYID") == 0)
        SAY("$40\r\n%040d\r\n", connection->sentinel);
    else if (strcasecmp(what, "GET-MASTER-ADDR-BY-NAME") == 0)
        say_master(command->words[2]);
    else if (strcasecmp(what, "MASTER") == 0)
        say_facts(command->words[2]);
    else
        SAY("-ERR unknown command '%s %s'\r\n", verb, what);
}

/* ---- what is heard ---- */

/* Takes a line that begins with `mark` and a number off the front. False where it is not all there. */
static bool take_number(const char **at, const char *end, char mark, size_t *ret_number)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));

    if (newline == NULL)
        return false;
    if (**at != mark)
        die("not a command");
    *ret_number = strtoul(*at + 1, NULL, 10);
    *at = newline + 1;
    return true;
}

/*
 * Takes a command, an array of bulk strings, off the front. False, and nothing taken, where it is not all
 * there.
 */
static bool take_command(const char **at, const char *end, struct command *command)
{
    const char *from = *at;

    if (!take_number(&from, end, '*', &command->count))
        return false;
    if (command->count > WORDS_MAX)
        die("too many words");
    command->words[1][0] = '\0';
    for (size_t i = 0; i < command->count; i++) {
        size_t len;
        if (!take_number(&from, end, '$', &len) || (size_t)(end - from) < len + 2)
            return false;
        snprintf(command->words[i], WORD_SIZE, "%.*s", (int)len, from);
        from += len + 2;
    }
    *at = from;
    return true;
}

/* The agent always reads: a socket that blocks does no harm. It may close the connection meanwhile. */
static void flush(const struct connection *connection)
{
    for (size_t sent = 0; sent < out_len;) {
        ssize_t wrote = send(connection->fd, out + sent, out_len - sent, MSG_NOSIGNAL);
        if (wrote <= 0)
            break;
        sent += (size_t)wrote;
    }
    out_len = 0;
}

static void serve(struct connection *connection)
{
    ssize_t got = read(connection->fd, connection->in + connection->kept, IN_SIZE - connection->kept);
    struct command command = {.count = 0};

    if (got <= 0) {
        close(connection->fd);
        connections[connection->fd] = NULL;
        free(connection);
        return;
    }
    const char *at = connection->in;
    const char *end = at + connection->kept + got;
    while (take_command(&at, end, &command)) {
        answer(connection, &command);
        if (out_len > OUT_SIZE - WORDS_MAX * REPLY_MAX)
            flush(connection);
    }
    flush(connection);
    connection->kept = (size_t)(end - at);
    memmove(connection->in, at, connection->kept);
}

/* ---- sockets ---- */

static struct connection *watch(int poll_fd, int fd, int sentinel)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0 || fd >= FDS_MAX || connection == NULL || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
        die("connection");
    connections[fd] = connection;
    connection->fd = fd;
    connection->sentinel = sentinel;
    return connection;
}

/* On all addresses of the loopback, which the nodes have; returns the port. */
static int listen_on(int poll_fd, int sentinel)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (sentinel >= 0)
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, len) == -1 || listen(fd, 4096) == -1 ||
        getsockname(fd, (struct sockaddr *)&address, &len) == -1)
        die("listen");
    watch(poll_fd, fd, sentinel)->is_listening = true;
    return ntohs(address.sin_port);
}

/* Tells a subscriber that each service has another master. */
static void announce(const struct connection *connection)
{
    char old[ADDRESS_MAX];
    char new[ADDRESS_MAX];
    char text[4 * ADDRESS_MAX];

    for (unsigned long i = 0; i < announced; i++) {
        address_of(!side, i, old);
        address_of(side, i, new);
        snprintf(text, sizeof(text), "s%05lu %s %d %s %d", i, old, node_port, new, node_port);
        SAY("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n", strlen(text), text);
        if (out_len > OUT_SIZE - REPLY_MAX)
            flush(connection);
    }
    flush(connection);
}

static void take_line(void)
{
    char line[16];

    if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
        exit(0);
    side = !side;
    for (int fd = 0; fd < FDS_MAX; fd++)
        if (connections[fd] != NULL && connections[fd]->is_subscribed)
            announce(connections[fd]);
}

static void handle(int poll_fd, struct connection *connection)
{
    const int on = 1;

    if (connection == NULL) {
        take_line();
    } else if (connection->is_listening) {
        int fd = accept4(connection->fd, NULL, NULL, SOCK_CLOEXEC);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(poll_fd, fd, connection->sentinel);
    } else {
        serve(connection);
    }
}

int main(int argc, char **argv)
{
    int count = argc >= 2 ? atoi(argv[1]) : 0;
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64] = {{.events = EPOLLIN, .data.fd = STDIN_FILENO}};

    if (count < 1 || count > SENTINELS_MAX || argc > 3) {
        fputs("usage: sentinels COUNT [SERVICES]\n", stderr);
        return 2;
    }
    announced = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &events[0]) == -1)
        die("standard input");
    for (int i = 0; i < count; i++)
        printf("%d\n", listen_on(poll_fd, i));
    node_port = listen_on(poll_fd, -1);
    printf("%d\n", node_port);
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(poll_fd, events, 64, -1);
        for (int i = 0; i < ready; i++)
            handle(poll_fd, connections[events[i].data.fd]);
    }
}
