/* Redis nodes in the loop of the test: they answer PING and ROLE as masters, count connections, and keep what is asked. */
#ifndef TESTS_UNIT_IO_NODE_FIXTURE_H
#define TESTS_UNIT_IO_NODE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODE_PEERS 8

struct scripted_node {
    struct ev_loop *loop;
    ev_io accepting;
    ev_io talking[NODE_PEERS]; /* fd -1: free */
    unsigned port;
    unsigned accepted;
    unsigned open;
    unsigned roles;  /* how often it was asked */
    bool is_silent;  /* reads nothing */
    char asked[512]; /* the last commands */
};

static inline void node_hang_up(struct scripted_node *node, ev_io *talking)
{
    if (talking->fd == -1)
        return;
    ev_io_stop(node->loop, talking);
    close(talking->fd);
    talking->fd = -1;
    node->open--;
}

static inline void node_answer(struct scripted_node *node, int fd, const char *command)
{
    static const char role[] = "*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n";
    bool is_role = strstr(command, "ROLE") != NULL;
    const char *reply = is_role ? role : "+OK\r\n";

    node->roles += is_role;
    (void)send(fd, reply, strlen(reply), MSG_NOSIGNAL);
}

/* Each command begins with the number of its words. They come whole. */
static inline void node_on_command(struct ev_loop *loop, ev_io *talking, int events)
{
    struct scripted_node *node = talking->data;

    (void)loop;
    (void)events;
    if (node->is_silent)
        return;
    ssize_t len = recv(talking->fd, node->asked, sizeof(node->asked) - 1, 0);
    if (len <= 0) {
        node_hang_up(node, talking);
        return;
    }
    node->asked[len] = '\0';
    for (const char *command = node->asked; command != NULL;) {
        char one[128];
        const char *next = strstr(command + 1, "\r\n*");
        size_t size = next != NULL ? (size_t)(next - command) : strlen(command);
        assert_true(size < sizeof(one));
        memcpy(one, command, size);
        one[size] = '\0';
        node_answer(node, talking->fd, one);
        command = next != NULL ? next + 2 : NULL;
    }
}

static inline void node_on_caller(struct ev_loop *loop, ev_io *accepting, int events)
{
    struct scripted_node *node = accepting->data;
    int fd = accept(accepting->fd, NULL, NULL);

    (void)events;
    assert_int_not_equal(fd, -1);
    node->accepted++;
    for (size_t i = 0; i < NODE_PEERS; i++)
        if (node->talking[i].fd == -1) {
            node->open++;
            ev_io_init(&node->talking[i], node_on_command, fd, EV_READ);
            node->talking[i].data = node;
            ev_io_start(loop, &node->talking[i]);
            return;
        }
    fail_msg("too many connections");
}

static inline void node_start(struct scripted_node *node, struct ev_loop *loop)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    *node = (struct scripted_node){.loop = loop};
    for (size_t i = 0; i < NODE_PEERS; i++)
        node->talking[i].fd = -1;
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, NODE_PEERS), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    node->port = ntohs(address.sin_port);
    ev_io_init(&node->accepting, node_on_caller, fd, EV_READ);
    node->accepting.data = node;
    ev_io_start(loop, &node->accepting);
}

static inline void node_stop(struct scripted_node *node)
{
    for (size_t i = 0; i < NODE_PEERS; i++)
        node_hang_up(node, &node->talking[i]);
    ev_io_stop(node->loop, &node->accepting);
    close(node->accepting.fd);
}

#endif
