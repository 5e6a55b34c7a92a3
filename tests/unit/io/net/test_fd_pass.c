/* Records and descriptors through a UNIX socket. */
#include "spoa/io/net/fd_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static bool is_same_file(int one, int other)
{
    struct stat first;
    struct stat second;

    return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Several that wait in the socket do not run into each other. */
static void in_order(void **state)
{
    int sent[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    struct fd_record record;
    int fd;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(fd_pass_send(ends[0], &(struct fd_record){.kind = 7, .value = i}, sent[i]), 0);
        assert_int_equal(fd_pass_send(ends[0], &(struct fd_record){.kind = 8, .value = i}, -1), 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(fd_pass_receive(ends[1], &record, &fd), 1);
        assert_int_equal(record.kind, 7);
        assert_int_equal(record.value, i);
        assert_true(is_same_file(fd, sent[i]));
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
        assert_int_equal(fd_pass_receive(ends[1], &record, &fd), 1);
        assert_int_equal(record.kind, 8);
        assert_int_equal(fd, -1);
        close(sent[i]);
    }
}

static void nothing_and_the_end(void **state)
{
    struct fd_record record;
    int fd;

    (void)state;
    assert_int_equal(fd_pass_receive(ends[1], &record, &fd), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
    assert_int_equal(fd_pass_receive(ends[1], &record, &fd), 0);
    assert_int_equal(fd, -1);
}

static void half_a_record(void **state)
{
    struct fd_record record;
    int fd;

    (void)state;
    assert_int_equal(send(ends[0], "half", 4, 0), 4);
    assert_int_equal(fd_pass_receive(ends[1], &record, &fd), -1);
    assert_int_equal(errno, EPROTO);
}

/* A reader that takes nothing does not stop us, and what was not sent is said so. */
static void full(void **state)
{
    const struct fd_record sent = {.kind = 1};
    struct fd_record record;
    int count = 0;
    int fd;

    (void)state;
    while (fd_pass_send(ends[0], &sent, -1) == 0)
        count++;
    assert_int_equal(errno, EAGAIN);
    for (int i = 0; i < count; i++)
        assert_int_equal(fd_pass_receive(ends[1], &record, &fd), 1);
    assert_int_equal(fd_pass_receive(ends[1], &record, &fd), -1);
    assert_int_equal(errno, EAGAIN);
}

static void peer(void **state)
{
    (void)state;
    assert_int_equal(fd_pass_peer(ends[0]), getpid());
    assert_int_equal(fd_pass_peer(-1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_and_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
