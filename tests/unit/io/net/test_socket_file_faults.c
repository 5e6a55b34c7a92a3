/* The file of a UNIX socket where the kernel refuses something, or another process comes between two steps. */
#include "tests/unit/io/descriptors.h"
#include "spoa/io/net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
/* As often as 20 ms allow. */
#define PAUSES 19

static char directory[64];
static char path[96];
static char lock_path[128];
static struct addr addr;
static const struct socket_file_access ours = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0640};
static int sock;
static size_t opened_before;

/* What another process does before one of our steps, or in a pause of ours. */
static void (*before_flock)(void);
static void (*before_chown)(void);
static void (*before_chmod)(void);
static void (*after_bind)(void);
static void (*in_pause)(void);
static int pauses;
/* What each call fails with; 0: it does not. */
static int fchmod_error;
static int fchown_error;
static int chmod_error;
static bool is_umask_idle; /* as in a folder with a default ACL */

/* ---- in place of the C library's ---- */

static void come_between(void (**what)(void))
{
    void (*now)(void) = *what;

    *what = NULL;
    if (now != NULL)
        now();
}

static bool fails(int code)
{
    if (code != 0)
        errno = code;
    return code != 0;
}

int flock(int fd, int operation)
{
    come_between(&before_flock);
    return (int)syscall(SYS_flock, fd, operation);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    assert_int_equal(count, 0);
    assert_int_equal(timeout_ms, 1);
    (void)fds;
    pauses++;
    if (in_pause != NULL)
        in_pause();
    return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int bind(int fd, __CONST_SOCKADDR_ARG where, socklen_t len)
{
    int result = (int)syscall(SYS_bind, fd, where.__sockaddr__, len);

    if (result == 0)
        come_between(&after_bind);
    return result;
}

int fchmod(int fd, mode_t mode)
{
    return fails(fchmod_error) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int chmod(const char *file, mode_t mode)
{
    come_between(&before_chmod);
    return fails(chmod_error) ? -1 : (int)syscall(SYS_fchmodat, AT_FDCWD, file, mode);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int fchownat(int fd, const char *file, uid_t uid, gid_t gid, int flags)
{
    come_between(&before_chown);
    return fails(fchown_error) ? -1 : (int)syscall(SYS_fchownat, fd, file, uid, gid, flags);
}

mode_t umask(mode_t mask)
{
    return is_umask_idle ? 0022 : (mode_t)syscall(SYS_umask, mask);
}

/* ---- the room ---- */

static int set_up(void **state)
{
    char text[128];

    (void)state;
    before_flock = before_chown = before_chmod = after_bind = in_pause = NULL;
    fchmod_error = fchown_error = chmod_error = 0;
    is_umask_idle = false;
    pauses = 0;
    (void)snprintf(directory, sizeof(directory), "/tmp/socket-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/s", directory);
    (void)snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    assert_true(addr_parse(span_of_text(text), &addr));
    opened_before = count_descriptors();
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return sock == -1;
}

/* Fails where a file or a descriptor was left. */
static int tear_down(void **state)
{
    (void)state;
    close(sock);
    return rmdir(directory) != 0 || count_descriptors() != opened_before;
}

static bool is_there(const char *file)
{
    struct stat status;

    return lstat(file, &status) == 0;
}

static ino_t inode_of(const char *file)
{
    struct stat status;

    assert_int_equal(lstat(file, &status), 0);
    return status.st_ino;
}

static void put_lock_file(void)
{
    int fd = open(lock_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_int_not_equal(fd, -1);
    close(fd);
}

/* Root may do everything: for what others may not we have to be another user. */
static void become_nobody(void)
{
    if (geteuid() == 0)
        assert_int_equal(seteuid(NOBODY), 0);
}

static void become_ourselves(void)
{
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

/* ---- lock ---- */

static void drop_lock_file(void)
{
    assert_int_equal(unlink(lock_path), 0);
}

static void replace_lock_file(void)
{
    char other[sizeof(lock_path) + 2];

    (void)snprintf(other, sizeof(other), "%s.1", lock_path);
    assert_int_equal(rename(lock_path, other), 0); /* so that its inode is not used again */
    put_lock_file();
    assert_int_equal(unlink(other), 0);
}

/* Its holder has removed it since we opened it: what we would have locked is no lock any more. */
static void a_lock_that_goes_meanwhile(void **state)
{
    static void (*const ways[])(void) = {drop_lock_file, replace_lock_file};
    struct stat locked;

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        pauses = 0;
        before_flock = ways[i];
        int lock = socket_file_lock(path);
        assert_int_not_equal(lock, -1);
        assert_int_equal(fstat(lock, &locked), 0);
        assert_int_equal(locked.st_ino, inode_of(lock_path));
        assert_int_equal(pauses, 1);
        socket_file_unlock(path, lock);
        assert_false(is_there(lock_path));
    }
}

static void no_file_to_lock(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(lock_path, 0600), 0);
    assert_int_equal(socket_file_lock(path), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(unlink(lock_path), 0);
}

static int held;

static void release_after_five(void)
{
    if (pauses == 5)
        socket_file_unlock(path, held);
}

static void how_long_it_waits(void **state)
{
    (void)state;
    held = socket_file_lock(path);
    assert_int_not_equal(held, -1);
    assert_int_equal(pauses, 0);
    assert_int_equal(socket_file_lock(path), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(pauses, PAUSES);
    pauses = 0;
    in_pause = release_after_five;
    int lock = socket_file_lock(path);
    assert_int_not_equal(lock, -1);
    assert_int_equal(pauses, 5);
    socket_file_unlock(path, lock);
}

/* Where waiting is of no use it does not wait. */
static void no_folder(void **state)
{
    (void)state;
    assert_int_equal(socket_file_lock("/nowhere/at/all"), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(pauses, 0);
}

/* Nobody releases this lock. We wait for it as long as for any lock, and then remove it. */
static void a_lock_that_we_may_not_open(void **state)
{
    (void)state;
    if (getuid() == 0)
        assert_int_equal(chown(directory, NOBODY, (gid_t)-1), 0);
    put_lock_file();
    assert_int_equal(chmod(lock_path, 0), 0);
    become_nobody();
    int lock = socket_file_lock(path);
    become_ourselves();
    assert_int_not_equal(lock, -1);
    assert_int_equal(pauses, PAUSES);
    socket_file_unlock(path, lock);
}

/* As in /tmp, where everybody may write and nobody may remove what is another's. */
static void a_lock_that_we_may_not_remove(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    put_lock_file();
    assert_int_equal(chmod(directory, 01777), 0);
    become_nobody();
    int lock = socket_file_lock(path);
    int code = errno;
    become_ourselves();
    assert_int_equal(lock, -1);
    assert_int_equal(code, EACCES);
    assert_int_equal(unlink(lock_path), 0);
}

/* ---- remove ---- */

/* Each of the three says that it is another file. */
static void a_file_that_is_not_quite_the_same(void **state)
{
    struct socket_file file;

    (void)state;
    assert_true(socket_file_bind(sock, &addr, &ours, &file));
    const struct socket_file others[] = {
        {.is_known = false, .device = file.device, .inode = file.inode},
        {.is_known = true, .device = file.device + 1, .inode = file.inode},
        {.is_known = true, .device = file.device, .inode = file.inode + 1},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        socket_file_remove(path, &others[i]);
        assert_true(is_there(path));
    }
    socket_file_remove(path, &file);
    assert_false(is_there(path));
}

/* A file without rights is a killed process's only where it is a socket, and ours. */
static void not_ours_to_finish(void **state)
{
    const struct socket_file_access none = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0};
    struct socket_file file;

    (void)state;
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0));
    assert_false(socket_file_is_unfinished(path));
    assert_int_equal(unlink(path), 0);
    assert_true(socket_file_bind(sock, &addr, &none, &file));
    assert_true(socket_file_is_unfinished(path));
    if (geteuid() == 0) {
        assert_int_equal(lchown(path, NOBODY, (gid_t)-1), 0);
        assert_false(socket_file_is_unfinished(path));
    }
    socket_file_remove(path, &file);
}

/* What a link leads to is not at the path. */
static void a_link_is_no_socket(void **state)
{
    char target[sizeof(path) + 2];
    struct socket_file file;

    (void)state;
    (void)snprintf(target, sizeof(target), "%s.1", path);
    assert_true(socket_file_bind(sock, &addr, &ours, &file));
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_false(socket_file_at(path).is_known);
    assert_int_equal(chmod(target, 0), 0);
    assert_false(socket_file_is_unfinished(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(target), 0);
}

/* ---- bind ---- */

static mode_t mode_after_bind;

static void note_mode(void)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    mode_after_bind = status.st_mode & 0777;
}

/* Either of two ways is enough to give nobody a right before the right ones are set. */
static void no_rights_at_first(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct socket_file file = {.is_known = false};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fchmod_error = i == 0 ? EPERM : 0;
        is_umask_idle = i == 1;
        after_bind = note_mode;
        mode_after_bind = 0777;
        assert_true(socket_file_bind(fd, &addr, &ours, &file));
        assert_int_equal(mode_after_bind, 0);
        note_mode();
        assert_int_equal(mode_after_bind, 0640);
        socket_file_remove(path, &file);
        close(fd);
    }
}

static void remove_socket(void)
{
    assert_int_equal(unlink(path), 0);
}

/* The reason is the first one: what follows does not take its place. */
static void check_refused(const struct socket_file_access *access, int code)
{
    struct socket_file file = {.is_known = false};

    assert_false(socket_file_bind(sock, &addr, access, &file));
    assert_int_equal(errno, code);
    assert_false(file.is_known);
    assert_false(is_there(path));
}

static void a_file_that_has_gone(void **state)
{
    (void)state;
    after_bind = remove_socket;
    check_refused(&ours, ESTALE);
}

static void replace_socket(void)
{
    remove_socket();
    close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    assert_int_equal(chmod(path, 0600), 0); /* an umask takes that away at this moment */
}

/* What another process has put there stays. */
static void a_file_in_its_place(void **state)
{
    struct socket_file file = {.is_known = false};

    (void)state;
    after_bind = replace_socket;
    assert_false(socket_file_bind(sock, &addr, &ours, &file));
    assert_int_equal(errno, ESTALE);
    assert_false(file.is_known);
    note_mode();
    assert_int_equal(mode_after_bind, 0600);
    remove_socket();
}

static void an_owner_that_is_refused(void **state)
{
    const struct socket_file_access access = {.uid = 12345, .gid = (gid_t)-1, .mode = 0600};

    (void)state;
    fchown_error = EPERM;
    check_refused(&access, EPERM);
}

static void a_group_that_is_refused(void **state)
{
    const struct socket_file_access access = {.uid = (uid_t)-1, .gid = 12345, .mode = 0600};

    (void)state;
    fchown_error = EPERM;
    before_chown = remove_socket;
    check_refused(&access, EPERM);
}

static void a_mode_that_is_refused(void **state)
{
    (void)state;
    chmod_error = EROFS;
    before_chmod = remove_socket;
    check_refused(&ours, EROFS);
}

/* Nothing is changed of which nothing is said: a sandbox may forbid to ask for it. */
static void no_owner_is_asked_for(void **state)
{
    struct socket_file file;

    (void)state;
    fchown_error = EPERM;
    assert_true(socket_file_bind(sock, &addr, &ours, &file));
    socket_file_remove(path, &file);
}

/* One of the two, and the other stays what it is. */
static void an_owner_or_a_group(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    for (int i = 0; i < 2; i++) {
        const struct socket_file_access access = {
            .uid = i == 0 ? 12345 : (uid_t)-1, .gid = i == 1 ? 12346 : (gid_t)-1, .mode = 0600};
        struct socket_file file;
        struct stat status;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(socket_file_bind(fd, &addr, &access, &file));
        assert_int_equal(lstat(path, &status), 0);
        assert_int_equal(status.st_uid, i == 0 ? 12345 : geteuid());
        assert_int_equal(status.st_gid, i == 1 ? 12346 : getegid());
        socket_file_remove(path, &file);
        close(fd);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lock_that_goes_meanwhile),
        TEST(no_file_to_lock),
        TEST(how_long_it_waits),
        TEST(no_folder),
        TEST(a_lock_that_we_may_not_open),
        TEST(a_lock_that_we_may_not_remove),
        TEST(a_file_that_is_not_quite_the_same),
        TEST(not_ours_to_finish),
        TEST(a_link_is_no_socket),
        TEST(no_rights_at_first),
        TEST(a_file_that_has_gone),
        TEST(a_file_in_its_place),
        TEST(an_owner_that_is_refused),
        TEST(a_group_that_is_refused),
        TEST(a_mode_that_is_refused),
        TEST(no_owner_is_asked_for),
        TEST(an_owner_or_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
