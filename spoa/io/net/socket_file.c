#include "spoa/io/net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/io/net/socket_addr.h"

/* Others hold the lock for some system calls only. */
#define LOCK_TRIES 20
#define LOCK_PAUSE_MS 1

#define ALL_RIGHTS 0777

static struct socket_file identify(const struct stat *status)
{
    return (struct socket_file){.is_known = true, .device = status->st_dev, .inode = status->st_ino};
}

static bool is_same(const struct socket_file *one, const struct socket_file *other)
{
    return one->is_known && other->is_known && one->device == other->device && one->inode == other->inode;
}

/* Whether bind_without_rights() made it, for us, and set_access() has not come to it. */
static bool is_unfinished(const struct stat *status)
{
    return S_ISSOCK(status->st_mode) && (status->st_mode & ALL_RIGHTS) == 0 && status->st_uid == geteuid();
}

/* ---- lock ---- */

static void name_lock(const char *path, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s.lock", path);
}

/* Whether the lock file is still the one that was opened: its holder removes it. */
static bool is_current(int lock, const char *name)
{
    struct stat opened;
    struct stat now;

    return fstat(lock, &opened) == 0 && S_ISREG(opened.st_mode) && lstat(name, &now) == 0 &&
           opened.st_dev == now.st_dev && opened.st_ino == now.st_ino;
}

/* A descriptor, or -1 with errno: EBUSY where another process has it, EACCES where it is another user's. */
static int try_lock(const char *name)
{
    int lock = open(name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR);

    if (lock == -1)
        return -1;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0 && is_current(lock, name))
        return lock;
    close(lock);
    errno = EBUSY;
    return -1;
}

static int wait_for_lock(const char *name)
{
    int lock = try_lock(name);

    for (int i = 1; i < LOCK_TRIES && lock == -1 && (errno == EBUSY || errno == EACCES); i++) {
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
        lock = try_lock(name);
    }
    return lock;
}

int socket_file_lock(const char *path)
{
    char name[PATH_MAX];

    name_lock(path, name);
    int lock = wait_for_lock(name);
    if (lock != -1 || errno != EACCES)
        return lock;
    /* Its process would have removed it by now: it was killed. */
    if (unlink(name) == 0)
        return wait_for_lock(name);
    errno = EACCES;
    return -1;
}

void socket_file_unlock(const char *path, int lock)
{
    char name[PATH_MAX];

    name_lock(path, name);
    (void)unlink(name);
    close(lock);
}

/* ---- remove ---- */

struct socket_file socket_file_at(const char *path)
{
    struct stat status;

    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
        return identify(&status);
    return (struct socket_file){.is_known = false};
}

bool socket_file_is_unfinished(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && is_unfinished(&status);
}

void socket_file_remove(const char *path, const struct socket_file *file)
{
    struct socket_file now = socket_file_at(path);

    if (is_same(&now, file))
        (void)unlink(path);
}

/* ---- bind ---- */

/* It cannot be read without a change. Whoever makes a file meanwhile gives nobody more rights than he wanted to. */
static mode_t current_umask(void)
{
    mode_t mask = umask(ALL_RIGHTS);

    (void)umask(mask);
    return mask;
}

/*
 * Nobody has a right to the new file. The umask alone does not say so where the folder has a default ACL, and not every
 * kernel takes the rights of the socket.
 */
static bool bind_without_rights(int fd, const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len;

    if (!socket_addr_from(addr, &storage, &len)) {
        errno = EAFNOSUPPORT;
        return false;
    }
    (void)fchmod(fd, 0);
    mode_t mask = umask(ALL_RIGHTS);
    bool is_bound = bind(fd, (const struct sockaddr *)&storage, len) == 0;
    (void)umask(mask); /* leaves errno as it is */
    return is_bound;
}

/*
 * A handle on the file that was bound a moment ago; -1 where another is there now. A socket to which nobody has a
 * right is ours: another user can neither make one that belongs to us, nor finds one to put in its place.
 */
static int open_handle(const char *path, struct socket_file *ret_file)
{
    struct stat status;
    int handle = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fstat(handle, &status) == 0 && is_unfinished(&status)) {
        *ret_file = identify(&status);
        return handle;
    }
    (void)close(handle);
    errno = ESTALE;
    return -1;
}

/* chmod() takes no such handle, but its name in /proc. */
static bool set_mode(int handle, mode_t mode)
{
    char name[sizeof("/proc/self/fd/-2147483648")];

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", handle);
    return chmod(name, mode) == 0;
}

/* Owner before mode: a change of owner may take mode bits away. */
static bool set_access(int handle, const struct socket_file_access *access)
{
    mode_t mode = access->mode != -1 ? (mode_t)access->mode : ALL_RIGHTS & ~current_umask();

    if ((access->uid != (uid_t)-1 || access->gid != (gid_t)-1) &&
        fchownat(handle, "", access->uid, access->gid, AT_EMPTY_PATH) == -1)
        return false;
    return set_mode(handle, mode);
}

bool socket_file_bind(int fd, const struct addr *addr, const struct socket_file_access *access,
                      struct socket_file *ret_file)
{
    struct socket_file file;

    if (!bind_without_rights(fd, addr))
        return false;
    int handle = open_handle(addr->name, &file);
    if (handle == -1)
        return false;
    bool is_good = set_access(handle, access);
    int code = errno;
    close(handle);
    if (is_good)
        *ret_file = file;
    else
        socket_file_remove(addr->name, &file);
    errno = code;
    return is_good;
}
