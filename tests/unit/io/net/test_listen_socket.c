/* Listening sockets on the loopback and in the file system. */
#include "spoa/io/net/listen_socket.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/io/net/socket_addr.h"

static char directory[64];
static char error[LISTEN_SOCKET_ERROR_MAX];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/listen-XXXXXX");
    error[0] = '\0';
    return mkdtemp(directory) == NULL;
}

/* Fails where something was left in it. */
static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* The address of a socket in the directory. */
static struct addr local_addr(void)
{
    char text[128];
    struct addr addr;

    snprintf(text, sizeof(text), "unix:%s/socket", directory);
    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
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

static bool accepts(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len;

    assert_true(socket_addr_from(addr, &storage, &len));
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    bool is_accepted = connect(fd, (const struct sockaddr *)&storage, len) == 0;
    close(fd);
    return is_accepted;
}

static void tcp(void **state)
{
    const struct addr addr = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}, .host = "127.0.0.1"};
    struct listen_socket listening;
    struct listen_socket second;
    char text[ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(open_at(&addr, &listening), 0);
    assert_int_not_equal(listening.addr.port, 0); /* the kernel's choice */
    assert_true(accepts(&listening.addr));
    assert_true(fcntl(listening.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(listening.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(open_at(&listening.addr, &second), -1); /* in use */
    assert_non_null(strstr(error, addr_format(&listening.addr, text)));
    assert_non_null(strstr(error, "Address already in use"));
    struct addr bound = listening.addr;
    listen_socket_close(&listening);
    assert_int_equal(listening.fd, -1);
    listen_socket_close(&listening); /* no harm */
    assert_false(accepts(&bound));
}

static void host_name(void **state)
{
    struct listen_socket listening;
    struct addr addr;

    (void)state;
    assert_true(addr_parse(span_of_text("localhost:9012"), &addr));
    assert_int_equal(open_at(&addr, &listening), -1);
    assert_non_null(strstr(error, "localhost:9012"));
}

static void unix_socket(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;
    struct listen_socket second;
    struct stat status;

    (void)state;
    options.mode = 0620;
    assert_int_equal(listen_socket_open(&options, &listening, error), 0);
    assert_true(addr_equals(&listening.addr, &addr));
    assert_int_equal(stat(addr.host, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0620);
    assert_true(accepts(&addr));
    assert_int_equal(open_at(&addr, &second), -1); /* in use: it stays */
    assert_non_null(strstr(error, addr.host));
    assert_true(accepts(&addr));
    listen_socket_close(&listening);
    assert_int_equal(access(addr.host, F_OK), -1);
}

/* What a killed agent leaves behind is replaced. */
static void abandoned_unix_socket(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;

    (void)state;
    assert_int_equal(open_at(&addr, &listening), 0);
    close(listening.fd);
    assert_int_equal(access(addr.host, F_OK), 0);
    assert_int_equal(open_at(&addr, &listening), 0);
    assert_true(accepts(&addr));
    listen_socket_close(&listening);
}

/* A path that was given by mistake costs nobody a file. */
static void file_is_not_replaced(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;
    struct stat status;

    (void)state;
    int fd = open(addr.host, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_not_equal(fd, -1);
    close(fd);
    assert_int_equal(open_at(&addr, &listening), -1);
    assert_int_equal(lstat(addr.host, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    unlink(addr.host);
}

static void unknown_owner(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    options.owner = "no-such-user-here";
    assert_int_equal(listen_socket_open(&options, &listening, error), -1);
    assert_string_equal(error, "unknown user 'no-such-user-here'");
    options.owner = "";
    options.group = "no-such-group-here";
    assert_int_equal(listen_socket_open(&options, &listening, error), -1);
    assert_string_equal(error, "unknown group 'no-such-group-here'");
    unlink(addr.host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tcp),
        TEST(host_name),
        TEST(unix_socket),
        TEST(abandoned_unix_socket),
        TEST(file_is_not_replaced),
        TEST(unknown_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
