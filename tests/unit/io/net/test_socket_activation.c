/* Descriptors that the service manager passes, in a process of their own: they have fixed numbers. */
#include "spoa/io/net/socket_activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/io/net/socket_addr.h"
#include "tests/lib/log_capture.h"

#define FIRST_FD 3

static bool is_unnamed; /* whoever is asked for its name */

/* In place of the C library's. */
int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
    if (!is_unnamed)
        return (int)syscall(SYS_getsockname, fd, addr.__sockaddr__, len);
    errno = ENOBUFS;
    return -1;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* All of it in a child, whose descriptors are its own: what `work` returns must be 0. */
static void check_in_child(int (*work)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(work());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* What was passed to the process `pid`. */
static void set_passed(pid_t pid, const char *count)
{
    char text[32];

    snprintf(text, sizeof(text), "%d", (int)pid);
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", count, 1);
}

/* A listener at a free port of the loopback, as descriptor `fd`. */
static struct addr listen_as(int fd)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(storage);
    struct addr addr = {.kind = ADDR_NONE};
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (bind(sock, (const struct sockaddr *)&local, sizeof(local)) == -1 || listen(sock, 1) == -1 ||
        getsockname(sock, (struct sockaddr *)&storage, &len) == -1 || !socket_addr_to(&storage, &addr))
        _exit(99);
    if (sock != fd) {
        if (dup2(sock, fd) == -1)
            _exit(99);
        close(sock);
    }
    return addr;
}

static bool is_prepared(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* Each by its address, and once. */
static int take_two(void)
{
    struct addr addrs[2] = {listen_as(FIRST_FD), listen_as(FIRST_FD + 1)};
    bool is_managed = false;

    set_passed(getpid(), "2");
    if (is_prepared(FIRST_FD + 1) || socket_activation_take(&addrs[1], &is_managed) != FIRST_FD + 1)
        return 1;
    if (!is_managed || !is_prepared(FIRST_FD + 1))
        return 2;
    if (socket_activation_take(&addrs[1], &is_managed) != -1)
        return 3;
    socket_activation_drop();
    if (is_open(FIRST_FD) || !is_open(FIRST_FD + 1))
        return 4;
    if (socket_activation_take(&addrs[0], &is_managed) != -1)
        return 5;
    addrs[0] = listen_as(FIRST_FD); /* a later one by that number is none of the service manager's */
    socket_activation_drop();
    return !is_open(FIRST_FD) || socket_activation_take(&addrs[0], &is_managed) != -1 ? 6 : 0;
}

static void each_is_taken_once(void **state)
{
    (void)state;
    check_in_child(take_two);
}

/* What was passed to another process, or what nobody has counted, is not ours. */
static int leave_those_of_others(void)
{
    struct addr addr = listen_as(FIRST_FD);
    bool is_managed = false;

    set_passed(getppid(), "1");
    socket_activation_drop();
    if (!is_open(FIRST_FD) || socket_activation_take(&addr, &is_managed) != -1)
        return 1;
    set_passed(getpid(), "1");
    unsetenv("LISTEN_FDS");
    if (socket_activation_take(&addr, &is_managed) != -1)
        return 2;
    set_passed(getpid(), "1");
    unsetenv("LISTEN_PID");
    if (socket_activation_take(&addr, &is_managed) != -1)
        return 3;
    return is_managed ? 4 : 0;
}

static void those_of_others_stay(void **state)
{
    (void)state;
    check_in_child(leave_those_of_others);
}

static int pass_ten(void)
{
    struct addr addr = listen_as(FIRST_FD);
    bool is_managed = false;

    (void)listen_as(FIRST_FD + 9);
    (void)listen_as(FIRST_FD + 10);
    set_passed(getpid(), "10");
    if (socket_activation_take(&addr, &is_managed) != FIRST_FD)
        return 2;
    socket_activation_drop();
    return is_open(FIRST_FD + 9) || !is_open(FIRST_FD + 10);
}

static void as_many_as_were_counted(void **state)
{
    (void)state;
    check_in_child(pass_ten);
}

/* There is room for 64. */
static int pass_too_many(void)
{
    (void)listen_as(FIRST_FD + 63);
    (void)listen_as(FIRST_FD + 64);
    set_passed(getpid(), "65");
    socket_activation_drop();
    return is_open(FIRST_FD + 63) || !is_open(FIRST_FD + 64);
}

static void too_many_are_left_alone(void **state)
{
    (void)state;
    check_in_child(pass_too_many);
}

/* What another agent gave us: found by its address, once, and still known as the service manager's or not. */
static int take_what_was_added(void)
{
    struct addr addrs[3] = {listen_as(100), listen_as(101), listen_as(102)};
    bool is_managed = true;

    unsetenv("LISTEN_FDS");
    for (int i = 0; i < 3; i++)
        if (!socket_activation_add(100 + i, i == 1))
            return 1;
    if (socket_activation_take(&addrs[0], &is_managed) != 100 || is_managed || !is_prepared(100))
        return 2;
    if (socket_activation_take(&addrs[1], &is_managed) != 101 || !is_managed)
        return 3;
    if (socket_activation_take(&addrs[0], &is_managed) != -1)
        return 4;
    socket_activation_drop();
    if (!is_open(100) || !is_open(101) || is_open(102))
        return 5;
    addrs[2] = listen_as(102); /* another one by the same number */
    if (socket_activation_take(&addrs[2], &is_managed) != -1)
        return 8;
    for (int i = 0; i < 64; i++)
        if (!socket_activation_add(listen_as(200 + i).port != 0 ? 200 + i : -1, false))
            return 6;
    return socket_activation_add(100, false) ? 7 : 0;
}

static void what_was_added_is_taken_once(void **state)
{
    (void)state;
    check_in_child(take_what_was_added);
}

/* By the path of a UNIX socket, whole. */
static int take_by_path(void)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct addr addr;
    struct addr other;
    bool is_managed = false;
    char text[sizeof(local.sun_path) + sizeof("unix:")];

    snprintf(local.sun_path, sizeof(local.sun_path), "/tmp/activation.%d", (int)getpid());
    snprintf(text, sizeof(text), "unix:%s", local.sun_path);
    if (!addr_parse(span_of_text(text), &addr) || !addr_parse(span_of_text("unix:/tmp/activation"), &other))
        return 1;
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(sock, (struct sockaddr *)&local, sizeof(local)) == -1 || listen(sock, 1) == -1)
        return 2;
    unlink(local.sun_path);
    if (!socket_activation_add(sock, false) || socket_activation_take(&other, &is_managed) != -1)
        return 3;
    const struct addr port = listen_as(100);
    if (socket_activation_take(&port, &is_managed) != -1)
        return 4;
    return socket_activation_take(&addr, &is_managed) != sock ? 5 : 0;
}

static void a_path_is_known_whole(void **state)
{
    (void)state;
    check_in_child(take_by_path);
}

/* Passes a socket that listens, one that does not, and a file. 0 if only the first is closed. */
static int drop_three(void)
{
    int files[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0),
                   open("/dev/null", O_RDONLY)};

    if (listen(files[0], 1) == -1)
        return 2;
    for (int i = 0; i < 3; i++)
        files[i] = fcntl(files[i], F_DUPFD, 100);
    for (int i = 0; i < 3; i++)
        if (dup2(files[i], FIRST_FD + i) == -1)
            return 2;
    set_passed(getpid(), "3");
    socket_activation_drop();
    return is_open(FIRST_FD) || !is_open(FIRST_FD + 1) || !is_open(FIRST_FD + 2);
}

static void only_listening_sockets_are_closed(void **state)
{
    (void)state;
    check_in_child(drop_three);
}

/* A bound socket that does not listen, and one without a name, have nobody's address. */
static int take_none(void)
{
    struct addr addr = listen_as(100);
    bool is_managed = false;

    if (!socket_activation_add(open("/dev/null", O_RDONLY), false) || !socket_activation_add(100, false))
        return 1;
    is_unnamed = true;
    if (socket_activation_take(&addr, &is_managed) != -1)
        return 2;
    is_unnamed = false;
    if (socket_activation_take(&addr, &is_managed) != 100)
        return 3;
    close(100);
    int bound = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    if (bind(bound, (const struct sockaddr *)&local, sizeof(local)) == -1 ||
        getsockname(bound, (struct sockaddr *)&storage, &len) == -1 || !socket_addr_to(&storage, &addr) ||
        !socket_activation_add(bound, false))
        return 4;
    return socket_activation_take(&addr, &is_managed) != -1 ? 5 : 0;
}

static void not_every_descriptor_is_a_listener(void **state)
{
    (void)state;
    check_in_child(take_none);
}

static bool is_told(int fd, const char *address)
{
    char expected[128];

    (void)snprintf(expected, sizeof(expected), "socket-unused descriptor=%d address=%s", fd, address);
    const char *told = strstr(log_capture_last("socket-unused"), expected);
    return told != NULL && strlen(told) == strlen(expected);
}

static int drop_one_of_each_kind(void)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    char address[ADDR_TEXT_MAX];
    struct addr addr = listen_as(FIRST_FD);

    log_capture_begin(LOG_LEVEL_DEBUG);
    set_passed(getpid(), "1");
    socket_activation_drop();
    if (!is_told(FIRST_FD, addr_format(&addr, address)) || is_open(FIRST_FD))
        return 1;
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(local.sun_path, sizeof(local.sun_path), "/tmp/activation.%d", (int)getpid());
    if (bind(sock, (struct sockaddr *)&local, sizeof(local)) == -1 || listen(sock, 1) == -1 ||
        dup2(sock, FIRST_FD + 1) == -1)
        return 2;
    unlink(local.sun_path);
    (void)snprintf(address, sizeof(address), "unix:%s", local.sun_path);
    set_passed(getpid(), "2");
    socket_activation_drop();
    if (!is_told(FIRST_FD + 1, address))
        return 3;
    (void)listen_as(FIRST_FD + 2);
    set_passed(getpid(), "3");
    is_unnamed = true;
    socket_activation_drop();
    return is_told(FIRST_FD + 2, "") && log_capture_count("socket-unused") == 3 ? 0 : 4;
}

static void what_nobody_wants_is_told(void **state)
{
    (void)state;
    check_in_child(drop_one_of_each_kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_listening_sockets_are_closed),
        cmocka_unit_test(each_is_taken_once),
        cmocka_unit_test(those_of_others_stay),
        cmocka_unit_test(as_many_as_were_counted),
        cmocka_unit_test(too_many_are_left_alone),
        cmocka_unit_test(what_was_added_is_taken_once),
        cmocka_unit_test(a_path_is_known_whole),
        cmocka_unit_test(not_every_descriptor_is_a_listener),
        cmocka_unit_test(what_nobody_wants_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
