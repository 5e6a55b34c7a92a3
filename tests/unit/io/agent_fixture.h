/* What the tests of the whole agent share: a folder for sockets, and a Sentinel in the same loop that names one master. */
#ifndef TESTS_UNIT_IO_AGENT_FIXTURE_H
#define TESTS_UNIT_IO_AGENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/io/net/loop.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define ANSWER_DEADLINE_MS 20000
#define SENTINEL_PEERS 8
#define SENTINEL_ID "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"

struct scripted_sentinel {
    struct ev_loop *loop;
    ev_io accepting;
    ev_io talking[SENTINEL_PEERS]; /* fd -1: free */
    const char *master;            /* its reply to SENTINEL GET-MASTER-ADDR-BY-NAME */
    char subscribed[512];          /* the last SUBSCRIBE, as it came */
    struct sockaddr_un address;
};

static struct scripted_sentinel sentinel;

static inline struct sockaddr_un unix_address(const char *folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/%.30s", folder, name);
    return address;
}

/* Sends without waiting for what becomes of it. */
static inline int connect_and_send(const char *folder, const char *name, const void *bytes, size_t len)
{
    struct sockaddr_un address = unix_address(folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd != -1 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == -1) {
        close(fd);
        return -1;
    }
    if (fd != -1)
        (void)send(fd, bytes, len, MSG_NOSIGNAL);
    return fd;
}

/* What the agent in this loop answers at FOLDER/NAME until it closes. */
static inline const char *ask_agent(struct ev_loop *loop, const char *folder, const char *name,
                                    const char *question)
{
    static char answer[65536];
    size_t len = 0;
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;
    int fd = connect_and_send(folder, name, question, strlen(question));

    assert_int_not_equal(fd, -1);
    for (ssize_t got = 1; got != 0 && clock_ms() < deadline_ms;) {
        ev_run(loop, EVRUN_NOWAIT);
        got = recv(fd, answer + len, sizeof(answer) - 1 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    answer[len] = '\0';
    return answer;
}

static inline void hang_up(ev_io *talking)
{
    if (talking->fd == -1)
        return;
    ev_io_stop(sentinel.loop, talking);
    close(talking->fd);
    talking->fd = -1;
}

static inline const char *sentinel_reply(const char *command)
{
    if (strstr(command, "CLIENT") != NULL)
        return "+OK\r\n";
    if (strstr(command, "MYID") != NULL)
        return SENTINEL_ID;
    return strstr(command, "GET-MASTER") != NULL ? sentinel.master : "*-1\r\n";
}

/* Each command begins with the number of its words. They come whole. */
static inline void on_command(struct ev_loop *loop, ev_io *talking, int events)
{
    char bytes[8192];
    ssize_t len = recv(talking->fd, bytes, sizeof(bytes) - 1, 0);

    (void)loop;
    (void)events;
    if (len <= 0) {
        hang_up(talking);
        return;
    }
    bytes[len] = '\0';
    for (char *command = bytes; command != NULL;) {
        char *next = strstr(command + 1, "\r\n*");
        if (next != NULL)
            *next = '\0';
        if (strstr(command, "SUBSCRIBE") != NULL)
            (void)snprintf(sentinel.subscribed, sizeof(sentinel.subscribed), "%.511s", command);
        const char *reply = sentinel_reply(command);
        (void)send(talking->fd, reply, strlen(reply), MSG_NOSIGNAL);
        command = next != NULL ? next + 2 : NULL;
    }
}

static inline void on_caller(struct ev_loop *loop, ev_io *accepting, int events)
{
    int fd = accept(accepting->fd, NULL, NULL);

    (void)events;
    for (size_t i = 0; fd != -1 && i < SENTINEL_PEERS; i++)
        if (sentinel.talking[i].fd == -1) {
            ev_io_init(&sentinel.talking[i], on_command, fd, EV_READ);
            ev_io_start(loop, &sentinel.talking[i]);
            return;
        }
    close(fd);
}

/* At FOLDER/sentinel. */
static inline void sentinel_start(struct ev_loop *loop, const char *folder, const char *master)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    sentinel = (struct scripted_sentinel){
        .loop = loop, .master = master, .address = unix_address(folder, "sentinel")};
    for (size_t i = 0; i < SENTINEL_PEERS; i++)
        sentinel.talking[i].fd = -1;
    assert_int_equal(bind(fd, (const struct sockaddr *)&sentinel.address, sizeof(sentinel.address)), 0);
    assert_int_equal(listen(fd, SENTINEL_PEERS), 0);
    ev_io_init(&sentinel.accepting, on_caller, fd, EV_READ);
    ev_io_start(loop, &sentinel.accepting);
}

static inline void sentinel_stop(void)
{
    for (size_t i = 0; i < SENTINEL_PEERS; i++)
        hang_up(&sentinel.talking[i]);
    ev_io_stop(sentinel.loop, &sentinel.accepting);
    close(sentinel.accepting.fd);
    (void)unlink(sentinel.address.sun_path);
}

#endif
