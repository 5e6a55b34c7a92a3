/* The files of UNIX sockets: whose they are, who may use them, and who removes them. */
#include "spoa/io/net/socket_file.h"

#include <errno.h>
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

#include "spoa/io/net/listen_socket.h"

#define NOBODY 65534

static char directory[64];
static char path[96];
static char lock_path[128];
static struct addr addr;
static const struct socket_file_access ours = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = -1};

static int set_up(void **state)
{
    char text[128];

    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/socket-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/s", directory);
    (void)snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    assert_true(addr_parse(span_of_text(text), &addr));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static int make_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_not_equal(fd, -1);
    return fd;
}

static mode_t mode_of(const char *file)
{
    struct stat status;

    assert_int_equal(lstat(file, &status), 0);
    return status.st_mode & 0777;
}

static bool is_there(const char *file)
{
    return access(file, F_OK) == 0;
}

static void test_mode(void **state)
{
    static const struct {
        int wanted;
        mode_t mode; /* with an umask of 027 */
    } cases[] = {{-1, 0750}, {0660, 0660}, {0777, 0777}, {0, 0}};
    mode_t before = umask(027);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct socket_file_access access = {
            .uid = (uid_t)-1, .gid = (gid_t)-1, .mode = cases[i].wanted};
        struct socket_file file = {.is_known = false};
        int fd = make_socket();
        assert_true(socket_file_bind(fd, &addr, &access, &file));
        assert_true(file.is_known);
        assert_int_equal(mode_of(path), cases[i].mode);
        assert_int_equal(socket_file_is_unfinished(path), cases[i].mode == 0);
        assert_int_equal(umask(027), 027);
        socket_file_remove(path, &file);
        assert_false(is_there(path));
        close(fd);
    }
    (void)umask(before);
}

/* Only root may give a file away. Nothing is left of one that could not be. */
static void test_owner(void **state)
{
    const struct socket_file_access access = {.uid = 12345, .gid = 12346, .mode = 0600};
    struct socket_file file = {.is_known = false};
    struct stat status;
    int fd = make_socket();

    (void)state;
    if (geteuid() == 0) {
        assert_true(socket_file_bind(fd, &addr, &access, &file));
        assert_int_equal(lstat(path, &status), 0);
        assert_int_equal(status.st_uid, 12345);
        assert_int_equal(status.st_gid, 12346);
        assert_int_equal(status.st_mode & 0777, 0600);
    } else {
        assert_false(socket_file_bind(fd, &addr, &access, &file));
        assert_int_equal(errno, EPERM);
        assert_false(is_there(path));
    }
    close(fd);
}

/* A file that is there stays, whatever it is. */
static void test_a_file_that_is_there(void **state)
{
    struct socket_file file = {.is_known = false};
    struct socket_file second = {.is_known = false};
    int first = make_socket();
    int other = make_socket();

    (void)state;
    assert_true(socket_file_bind(first, &addr, &ours, &file));
    assert_false(socket_file_bind(other, &addr, &ours, &second));
    assert_int_equal(errno, EADDRINUSE);
    assert_false(second.is_known);
    assert_true(is_there(path));
    close(first);
    close(other);
}

static void test_no_socket(void **state)
{
    struct socket_file file = {.is_known = false};
    struct addr name;
    int fd = make_socket();

    (void)state;
    assert_true(addr_parse(span_of_text("host.example.org:1"), &name));
    assert_false(socket_file_bind(fd, &name, &ours, &file));
    assert_int_equal(errno, EAFNOSUPPORT);
    close(fd);
    assert_false(socket_file_bind(fd, &addr, &ours, &file));
    assert_int_equal(errno, EBADF);
    assert_false(file.is_known);
}

/* Somebody accepts on it. That we may not connect to it does not make it ours. Root may: so we are another user here. */
static void test_a_socket_that_we_may_not_use(void **state)
{
    const struct listen_socket_options options = {.addr = &addr, .mode = 0400, .owner = "", .group = ""};
    char error[LISTEN_SOCKET_ERROR_MAX];
    struct listen_socket listening;
    struct listen_socket second;

    (void)state;
    if (getuid() == 0) {
        assert_int_equal(chown(directory, NOBODY, (gid_t)-1), 0);
        assert_int_equal(seteuid(NOBODY), 0);
    }
    int first_result = listen_socket_open(&options, &listening, error);
    struct socket_file file = socket_file_at(path);
    int result = listen_socket_open(&options, &second, error);
    struct socket_file now = socket_file_at(path);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(first_result, 0);
    assert_int_equal(result, -1);
    assert_true(now.is_known && now.inode == file.inode);
    listen_socket_close(&listening);
}

/* Only the file that is remembered is removed. */
static void test_remove(void **state)
{
    const struct socket_file unknown = {.is_known = false};
    struct socket_file first;
    struct socket_file second;
    int fds[2] = {make_socket(), make_socket()};

    (void)state;
    assert_false(socket_file_at(path).is_known);
    assert_false(socket_file_is_unfinished(path));
    assert_true(socket_file_bind(fds[0], &addr, &ours, &first));
    char kept[sizeof(path) + 2];
    (void)snprintf(kept, sizeof(kept), "%s.1", path);
    assert_int_equal(rename(path, kept), 0); /* so that its inode is not used again */
    assert_true(socket_file_bind(fds[1], &addr, &ours, &second));
    socket_file_remove(path, &first);
    socket_file_remove(path, &unknown);
    assert_true(is_there(path));
    struct socket_file now = socket_file_at(path);
    assert_true(now.is_known);
    socket_file_remove(path, &now);
    assert_false(is_there(path));
    assert_int_equal(unlink(kept), 0);
    close(fds[0]);
    close(fds[1]);
}

/* A file that is no socket is none of ours. */
static void test_another_kind_of_file(void **state)
{
    (void)state;
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0));
    assert_false(socket_file_at(path).is_known);
    assert_false(socket_file_is_unfinished(path));
}

static void test_lock(void **state)
{
    (void)state;
    int lock = socket_file_lock(path);
    assert_int_not_equal(lock, -1);
    assert_true(is_there(lock_path));
    assert_int_equal(mode_of(lock_path), 0600);
    assert_int_equal(socket_file_lock(path), -1);
    assert_int_equal(errno, EBUSY);
    socket_file_unlock(path, lock);
    assert_false(is_there(lock_path));
    int again = socket_file_lock(path);
    assert_int_not_equal(again, -1);
    socket_file_unlock(path, again);
}

/* A lock whose file was removed is no lock: another process has a new file. */
static void test_a_lock_that_was_removed(void **state)
{
    (void)state;
    int lock = socket_file_lock(path);
    assert_int_equal(unlink(lock_path), 0);
    int next = socket_file_lock(path);
    assert_int_not_equal(next, -1);
    close(lock);
    socket_file_unlock(path, next);
}

/* What stands in the place of a lock, and is none. */
static void test_no_lock(void **state)
{
    (void)state;
    assert_int_equal(mkdir(lock_path, 0700), 0);
    assert_int_equal(socket_file_lock(path), -1);
    assert_int_equal(rmdir(lock_path), 0);
    assert_int_equal(symlink("/dev/null", lock_path), 0);
    assert_int_equal(socket_file_lock(path), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(unlink(lock_path), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mode),
        TEST(test_owner),
        TEST(test_a_file_that_is_there),
        TEST(test_no_socket),
        TEST(test_a_socket_that_we_may_not_use),
        TEST(test_remove),
        TEST(test_another_kind_of_file),
        TEST(test_lock),
        TEST(test_a_lock_that_was_removed),
        TEST(test_no_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
