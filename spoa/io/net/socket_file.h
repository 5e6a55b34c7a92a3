/*
 * The file of a UNIX socket. Another user may write in its folder (/run/haproxy is haproxy's) while we are root:
 *
 * - A file gets its owner and its mode through a handle on the very file that bind() made. No path is followed for that.
 * - A file is removed only where it is the one that was remembered. What a successor has put in its place stays.
 * - Who opens or removes a file holds a lock on PATH.lock meanwhile. So of two agents that start at once exactly one opens
 *   the socket. The lock file is removed afterwards.
 */
#ifndef SPOA_IO_NET_SOCKET_FILE_H
#define SPOA_IO_NET_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/addr.h"
#include "proto/must_check.h"

/* Which file it is, whatever its path leads to later. */
struct socket_file {
    bool is_known;
    dev_t device;
    ino_t inode;
};

struct socket_file_access {
    uid_t uid; /* -1: ours */
    gid_t gid; /* -1: ours */
    int mode;  /* -1: as the umask says */
};

/*
 * Waits for the lock, but no longer than 20 ms. If another user's lock file that we may not open is there after 20 ms,
 * it is removed and the wait begins again. Returns a descriptor, to be given to socket_file_unlock(), or -1 with errno:
 * EBUSY where another process keeps the lock; EACCES where we may neither open nor remove its file.
 */
MUST_CHECK int socket_file_lock(const char *path);
void socket_file_unlock(const char *path, int lock);

/*
 * Binds `fd` to `addr`, a UNIX socket, and gives its file these rights. Nobody has any before. A file that is there
 * stays. The lock is held. Returns false with errno: EADDRINUSE; ESTALE where somebody has replaced the new file; or
 * what the kernel says. No file of ours is left then.
 */
MUST_CHECK bool socket_file_bind(int fd, const struct addr *addr, const struct socket_file_access *access,
                                 struct socket_file *ret_file);

/* The socket that is at `path` now. */
struct socket_file socket_file_at(const char *path);

/*
 * Whether `path` is a socket of ours to which nobody has a right: its process was killed inside socket_file_bind().
 * The lock is held.
 */
bool socket_file_is_unfinished(const char *path);

/* Removes `path` where it is `file`. The lock is held. */
void socket_file_remove(const char *path, const struct socket_file *file);

#endif
