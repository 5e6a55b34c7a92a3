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
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

static int ends[2];
static int interruptions; /* of the next calls of recvmsg() */

/* In place of the C library's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t recvmsg(int sock, struct msghdr *message, int flags)
{
    if (interruptions == 0)
        return syscall(SYS_recvmsg, sock, message, flags);
    interruptions--;
    errno = EINTR;
    return -1;
}

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

/* `len` bytes with copies of two pipes' ends, of which we keep none: how many go is up to `count`. */
static void send_pipes(size_t len, int count, int ret_read_ends[2])
{
    const struct fd_record record = {.kind = 1};
    struct iovec bytes = {.iov_base = (void *)&record, .iov_len = len};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = "";
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int write_ends[2];

    for (int i = 0; i < 2; i++) {
        int both[2];
        assert_int_equal(pipe2(both, O_CLOEXEC | O_NONBLOCK), 0);
        ret_read_ends[i] = both[0];
        write_ends[i] = both[1];
    }
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), write_ends, (size_t)count * sizeof(int));
    assert_int_equal(sendmsg(ends[0], &message, 0), (ssize_t)len);
    close(write_ends[0]);
    close(write_ends[1]);
}

/* What is refused leaves no descriptor behind: each pipe has lost its last writer. */
static void check_refused(size_t len, int count)
{
    struct fd_record record;
    int read_ends[2];
    int fd = 0;
    char byte;

    send_pipes(len, count, read_ends);
    assert_int_equal(fd_pass_receive(ends[1], &record, &fd), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(fd, -1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read(read_ends[i], &byte, 1), 0);
        close(read_ends[i]);
    }
}

static void a_part_of_a_record_with_a_descriptor(void **state)
{
    (void)state;
    check_refused(4, 1);
    check_refused(1, 1);
}

static void two_descriptors(void **state)
{
    (void)state;
    check_refused(sizeof(struct fd_record), 2);
}

/* A signal is no reason to give up. */
static void interrupted(void **state)
{
    const struct fd_record sent = {.kind = 1};
    struct fd_record record;
    int fd;

    (void)state;
    assert_int_equal(fd_pass_send(ends[0], &sent, -1), 0);
    interruptions = 2;
    assert_int_equal(fd_pass_receive(ends[1], &record, &fd), 1);
    assert_int_equal(interruptions, 0);
}

static void nobody_at_the_other_end(void **state)
{
    const struct fd_record sent = {.kind = 1};

    (void)state;
    assert_int_equal(shutdown(ends[1], SHUT_RD), 0);
    assert_int_equal(fd_pass_send(ends[0], &sent, -1), -1);
    assert_int_equal(errno, EPIPE);
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
    assert_int_equal(fd_pass_send(ends[0], &sent, -1), -1);
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

/* Root may ask anybody to hand over, and nobody else may ask another user. */
static void peer_of_another_user(void **state)
{
    int pair[2];

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(seteuid(NOBODY), 0);
    pid_t root = fd_pass_peer(ends[0]);
    int result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    pid_t same = fd_pass_peer(pair[0]);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, 0);
    assert_int_equal(root, getpid());
    assert_int_equal(same, getpid());
    assert_int_equal(fd_pass_peer(pair[0]), 0);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_and_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_a_record_with_a_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_at_the_other_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peer_of_another_user, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
