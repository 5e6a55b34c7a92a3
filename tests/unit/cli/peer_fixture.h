/* A peer that a command talks to: a process that serves each connection in a process of its own. */
#ifndef TESTS_UNIT_CLI_PEER_FIXTURE_H
#define TESTS_UNIT_CLI_PEER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/addr.h"
#include "tests/unit/io/descriptors.h"

struct peer {
    struct addr addr;
    pid_t pid;
};

/* A socket at a free port of 127.0.0.1, and the address of it. With a `backlog` of -1 nobody listens there. */
static inline int peer_bind(int backlog, struct addr *ret_addr)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(sock, (struct sockaddr *)&name, len), 0);
    assert_int_equal(getsockname(sock, (struct sockaddr *)&name, &len), 0);
    assert_true(backlog == -1 || listen(sock, backlog) == 0);
    *ret_addr = addr_from_ip(loopback, ADDR_IPV4, ntohs(name.sin_port));
    return sock;
}

/* It ends with the test program, too. */
static inline struct peer peer_start(void (*serve)(int sock))
{
    struct peer peer;
    int listener = peer_bind(8, &peer.addr);

    peer.pid = fork();
    assert_int_not_equal(peer.pid, -1);
    while (peer.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGCHLD, SIG_IGN);
        int sock = accept(listener, NULL, NULL);
        if (fork() == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve(sock);
            _exit(0);
        }
        close(sock);
    }
    close(listener);
    return peer;
}

static inline void peer_stop(const struct peer *peer)
{
    assert_int_equal(kill(peer->pid, SIGKILL), 0);
    assert_int_equal(waitpid(peer->pid, NULL, 0), peer->pid);
}

#endif
