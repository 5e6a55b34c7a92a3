/* Listening sockets where the kernel refuses something, and what each of them asks of it. */
#include "tests/unit/io/descriptors.h"
#include "spoa/io/net/listen_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spoa/io/net/socket_activation.h"

#define NOBODY 65534

static char directory[64];
static char path[96];
static char lock_path[128];
static struct addr local;
static char error[LISTEN_SOCKET_ERROR_MAX];
static size_t opened_before;

/* The call of socket() that fails, counted from 1, and with what; 0: none. */
static int socket_failure;
static int socket_error;
static int sockets;
static int listen_error; /* what listen() fails with; 0: it does not */
static int backlog;      /* what it was asked for */

/* ---- in place of the C library's ---- */

int socket(int domain, int type, int protocol)
{
    if (++sockets == socket_failure) {
        errno = socket_error;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int listen(int fd, int count)
{
    backlog = count;
    if (listen_error == 0)
        return (int)syscall(SYS_listen, fd, count);
    errno = listen_error;
    return -1;
}

/* ---- the room ---- */

static int set_up(void **state)
{
    char text[128];

    (void)state;
    socket_failure = sockets = listen_error = backlog = 0;
    socket_error = EMFILE;
    error[0] = '\0';
    (void)snprintf(directory, sizeof(directory), "/tmp/listen-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/socket", directory);
    (void)snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    assert_true(addr_parse(span_of_text(text), &local));
    opened_before = count_descriptors();
    return 0;
}

/* Fails where a file or a descriptor was left. */
static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory) != 0 || count_descriptors() != opened_before;
}

static struct listen_socket_options options_of(const struct addr *addr)
{
    return (struct listen_socket_options){.addr = addr, .mode = -1, .owner = "", .group = ""};
}

static int open_at(const struct addr *addr, struct listen_socket *ret_socket)
{
    struct listen_socket_options options = options_of(addr);

    return listen_socket_open(&options, ret_socket, error);
}

static struct addr any_port_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    addr.port = 0;
    return addr;
}

static bool is_there(const char *file)
{
    struct stat status;

    return lstat(file, &status) == 0;
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void check_refused(const struct addr *addr, const char *expected)
{
    struct listen_socket listening = {.fd = -7};

    assert_int_equal(open_at(addr, &listening), -1);
    assert_string_equal(error, expected);
    assert_int_equal(listening.fd, -7);
}

/* ---- what is refused ---- */

static void no_socket(void **state)
{
    const struct addr addr = any_port_of("127.0.0.1:1");

    (void)state;
    socket_failure = 1;
    check_refused(&addr, "cannot open a socket for 127.0.0.1:0: Too many open files");
}

static void no_queue_at_a_port(void **state)
{
    const struct addr addr = any_port_of("127.0.0.1:1");

    (void)state;
    listen_error = EADDRINUSE; /* another socket of the port was quicker */
    check_refused(&addr, "cannot listen on 127.0.0.1:0: Address already in use");
}

/* Nothing is left of the file. */
static void no_queue_at_a_file(void **state)
{
    char expected[LISTEN_SOCKET_ERROR_MAX];

    (void)state;
    listen_error = ENOBUFS;
    (void)snprintf(expected, sizeof(expected), "cannot listen on unix:%s: No buffer space available", path);
    check_refused(&local, expected);
    assert_false(is_there(path));
    assert_false(is_there(lock_path));
}

static void no_address_of_a_socket(void **state)
{
    struct addr addr;

    (void)state;
    assert_true(addr_parse(span_of_text("localhost:9012"), &addr));
    check_refused(&addr, "cannot listen on a host name, localhost:9012: "
                         "Address family not supported by protocol");
}

/* Whether somebody accepts there cannot be found out: so it stays. */
static void no_socket_to_ask_with(void **state)
{
    struct listen_socket listening;
    char expected[LISTEN_SOCKET_ERROR_MAX];

    (void)state;
    assert_int_equal(open_at(&local, &listening), 0);
    close(listening.fd); /* now it is abandoned */
    sockets = 0;
    socket_failure = 2;
    (void)snprintf(expected, sizeof(expected), "cannot bind to unix:%s: Address already in use", path);
    check_refused(&local, expected);
    socket_failure = 0;
    assert_int_equal(open_at(&local, &listening), 0);
    listen_socket_close(&listening);
}

static void no_such_folder(void **state)
{
    struct addr addr;

    (void)state;
    assert_true(addr_parse(span_of_text("unix:/nowhere/socket"), &addr));
    check_refused(&addr, "cannot lock /nowhere/socket.lock: No such file or directory");
}

/* ---- what is asked for ---- */

static void options_of_a_port(void **state)
{
    const struct addr addr = any_port_of("127.0.0.1:1");
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    assert_int_equal(listen_socket_open(&options, &listening, error), 0);
    assert_int_equal(backlog, LISTEN_SOCKET_BACKLOG);
    assert_int_equal(option_of(listening.fd, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option_of(listening.fd, SOL_SOCKET, SO_REUSEPORT), 0);
    assert_false(listening.is_ipv6_only || listening.is_foreign || listening.is_lent);
    assert_false(listening.file.is_known);
    listen_socket_share_port(&listening);
    assert_int_equal(option_of(listening.fd, SOL_SOCKET, SO_REUSEPORT), 1);
    listen_socket_close(&listening);
    options.shares_port = true;
    assert_int_equal(listen_socket_open(&options, &listening, error), 0);
    assert_int_equal(option_of(listening.fd, SOL_SOCKET, SO_REUSEPORT), 1);
    listen_socket_close(&listening);
}

/* Whatever the system's own setting is. */
static void families_of_a_port(void **state)
{
    const struct addr addr = any_port_of("[::]:1"); /* any other takes one family */
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    for (int i = 0; i < 2; i++) {
        options.is_ipv6_only = i == 1;
        assert_int_equal(listen_socket_open(&options, &listening, error), 0);
        assert_int_equal(option_of(listening.fd, IPPROTO_IPV6, IPV6_V6ONLY), i);
        assert_int_equal(listening.is_ipv6_only, i);
        assert_int_not_equal(listening.addr.port, 0);
        listen_socket_close(&listening);
    }
}

static struct stat status_of(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status;
}

/* Only so can that user share the port later. It is no reason to fail where it cannot be. The group is never changed. */
static void user_of_a_port(void **state)
{
    static const char *const users[] = {NULL, "no-such-user-here", "nobody"};
    const struct addr addr = any_port_of("127.0.0.1:1");
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;
    gid_t group = getegid();

    (void)state;
    for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++) {
        bool is_given = users[i] != NULL && strcmp(users[i], "nobody") == 0 && geteuid() == 0;
        options.user = users[i];
        if (geteuid() == 0)
            assert_int_equal(setegid(12346), 0);
        int result = listen_socket_open(&options, &listening, error);
        gid_t ours = getegid();
        assert_int_equal(setegid(group), 0);
        assert_int_equal(result, 0);
        struct stat status = status_of(listening.fd);
        assert_int_equal(status.st_uid, is_given ? NOBODY : geteuid());
        assert_int_equal(status.st_gid, ours);
        listen_socket_close(&listening);
    }
}

/* Its file is remembered, so that nobody else's is removed in its place. */
static void file_of_a_socket(void **state)
{
    struct listen_socket listening;
    struct stat status;

    (void)state;
    assert_int_equal(open_at(&local, &listening), 0);
    assert_int_equal(backlog, LISTEN_SOCKET_BACKLOG);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(listening.file.is_known);
    assert_int_equal(listening.file.inode, status.st_ino);
    assert_false(listening.is_ipv6_only || listening.is_foreign || listening.is_lent);
    assert_false(is_there(lock_path));
    listen_socket_close(&listening);
    assert_false(is_there(path));
    assert_false(is_there(lock_path));
}

/* Nobody asks for another owner or group: they are those of the process. */
static void group_of_a_file(void **state)
{
    struct listen_socket listening;
    struct stat status;

    (void)state;
    if (geteuid() != 0)
        skip();
    gid_t group = getegid();
    assert_int_equal(setegid(12346), 0);
    int result = open_at(&local, &listening);
    assert_int_equal(setegid(group), 0);
    assert_int_equal(result, 0);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_uid, geteuid());
    assert_int_equal(status.st_gid, 12346);
    listen_socket_close(&listening);
}

/* The service manager removes it, or keeps it for the next start. */
static void file_of_the_service_manager(void **state)
{
    struct listen_socket theirs;
    struct listen_socket listening;

    (void)state;
    assert_int_equal(open_at(&local, &theirs), 0);
    assert_true(socket_activation_add(dup(theirs.fd), true));
    assert_int_equal(open_at(&local, &listening), 0);
    assert_true(listening.is_foreign);
    assert_false(listening.is_lent);
    assert_false(listening.file.is_known);
    listen_socket_close(&listening);
    assert_true(is_there(path));
    listen_socket_close(&theirs);
}

/* A port has no file. */
static void port_of_another_agent(void **state)
{
    const struct addr addr = any_port_of("127.0.0.1:1");
    struct listen_socket theirs;
    struct listen_socket listening;

    (void)state;
    assert_int_equal(open_at(&addr, &theirs), 0);
    assert_true(socket_activation_add(dup(theirs.fd), false));
    assert_int_equal(open_at(&theirs.addr, &listening), 0);
    assert_true(listening.is_lent);
    assert_false(listening.is_foreign || listening.file.is_known);
    assert_int_equal(listening.addr.port, theirs.addr.port);
    listen_socket_close(&listening);
    listen_socket_close(&theirs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_socket),
        TEST(no_queue_at_a_port),
        TEST(no_queue_at_a_file),
        TEST(no_address_of_a_socket),
        TEST(no_socket_to_ask_with),
        TEST(no_such_folder),
        TEST(options_of_a_port),
        TEST(families_of_a_port),
        TEST(user_of_a_port),
        TEST(file_of_a_socket),
        TEST(group_of_a_file),
        TEST(file_of_the_service_manager),
        TEST(port_of_another_agent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
