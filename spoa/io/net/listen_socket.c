#include "spoa/io/net/listen_socket.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/socket_activation.h"
#include "spoa/io/net/socket_addr.h"

/* See socket_file.h for the first two. */
static const char *reason_of(int code)
{
    switch (code) {
    case EBUSY:
        return "another process is opening it";
    case ESTALE:
        return "another process has replaced its file";
    default:
        return strerror(code);
    }
}

static int fail(char error[LISTEN_SOCKET_ERROR_MAX], const char *what, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    int code = errno;

    snprintf(error, LISTEN_SOCKET_ERROR_MAX, "%s %s: %s", what, addr_format(addr, text), reason_of(code));
    return -1;
}

static int fail_to_lock(char error[LISTEN_SOCKET_ERROR_MAX], const struct addr *addr)
{
    int code = errno;

    snprintf(error, LISTEN_SOCKET_ERROR_MAX, "cannot lock %.160s.lock: %s", addr->name, reason_of(code));
    return -1;
}

/* Removes a socket that is left over: nobody accepts on it. What refuses connections and is no socket is not ours. */
static void remove_abandoned(const struct addr *addr)
{
    const struct socket_file file = socket_file_at(addr->name);
    struct sockaddr_storage storage;
    socklen_t len;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_abandoned = socket_addr_from(addr, &storage, &len) &&
                        connect(probe, (const struct sockaddr *)&storage, len) == -1 &&
                        (errno == ECONNREFUSED || (errno == EACCES && socket_file_is_unfinished(addr->name)));

    (void)close(probe);
    if (is_abandoned)
        socket_file_remove(addr->name, &file);
}

/* What the options say; false with a text in `error` where there is no such user or group. */
static bool find_access(const struct listen_socket_options *options, struct socket_file_access *ret_access,
                        char error[LISTEN_SOCKET_ERROR_MAX])
{
    *ret_access = (struct socket_file_access){.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = options->mode};
    if (options->owner[0] != '\0') {
        const struct passwd *user = getpwnam(options->owner);
        if (user == NULL) {
            snprintf(error, LISTEN_SOCKET_ERROR_MAX, "unknown user '%s'", options->owner);
            return false;
        }
        ret_access->uid = user->pw_uid;
    }
    if (options->group[0] != '\0') {
        const struct group *group = getgrnam(options->group);
        if (group == NULL) {
            snprintf(error, LISTEN_SOCKET_ERROR_MAX, "unknown group '%s'", options->group);
            return false;
        }
        ret_access->gid = group->gr_gid;
    }
    return true;
}

/* Listens under the lock: who finds a socket that does not listen yet takes it for abandoned. */
static int open_file(int fd, const struct addr *addr, const struct socket_file_access *access,
                     struct socket_file *ret_file, char error[LISTEN_SOCKET_ERROR_MAX])
{
    remove_abandoned(addr);
    if (!socket_file_bind(fd, addr, access, ret_file))
        return fail(error, "cannot bind to", addr);
    if (listen(fd, LISTEN_SOCKET_BACKLOG) == 0)
        return 0;
    (void)fail(error, "cannot listen on", addr);
    socket_file_remove(addr->name, ret_file);
    return -1;
}

static int listen_at_file(int fd, const struct listen_socket_options *options, struct socket_file *ret_file,
                          char error[LISTEN_SOCKET_ERROR_MAX])
{
    const char *path = options->addr->name;
    struct socket_file_access access;

    if (!find_access(options, &access, error))
        return -1;
    int lock = socket_file_lock(path);
    if (lock == -1)
        return fail_to_lock(error, options->addr);
    int result = open_file(fd, options->addr, &access, ret_file, error);
    socket_file_unlock(path, lock);
    return result;
}

/*
 * While we are root and may. False where it stays ours: then only a later reload as that user cannot share
 * its port.
 */
static bool give_to_user(int fd, const char *name)
{
    const struct passwd *user = name != NULL && geteuid() == 0 ? getpwnam(name) : NULL;

    return user != NULL && fchown(fd, user->pw_uid, (gid_t)-1) == 0;
}

static int listen_at_port(int fd, const struct listen_socket_options *options,
                          const struct sockaddr_storage *storage, socklen_t len,
                          char error[LISTEN_SOCKET_ERROR_MAX])
{
    const int on = true;
    const int is_ipv6_only = options->is_ipv6_only;

    if (options->addr->kind == ADDR_IPV6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only, sizeof(is_ipv6_only));
    if (options->shares_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)storage, len) == -1)
        return fail(error, "cannot bind to", options->addr);
    (void)give_to_user(fd, options->user);
    if (listen(fd, LISTEN_SOCKET_BACKLOG) == -1)
        return fail(error, "cannot listen on", options->addr);
    return 0;
}

static bool takes_only_ipv6(int fd)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len) == 0 && value != 0;
}

/* One that was open when we started; see socket_activation.h. */
static bool take_open(struct listen_socket *listening)
{
    bool is_managed;

    listening->fd = socket_activation_take(&listening->addr, &is_managed);
    if (listening->fd == -1)
        return false;
    listening->is_foreign = is_managed;
    listening->is_lent = !is_managed;
    if (listening->is_lent && listening->addr.kind == ADDR_UNIX)
        listening->file = socket_file_at(listening->addr.name);
    return true;
}

int listen_socket_open(const struct listen_socket_options *options, struct listen_socket *ret_socket,
                       char error[LISTEN_SOCKET_ERROR_MAX])
{
    const struct addr *addr = options->addr;
    struct listen_socket listening = {.addr = *addr};
    struct sockaddr_storage storage;
    socklen_t len;
    socklen_t room = sizeof(storage);

    if (!socket_addr_from(addr, &storage, &len)) {
        errno = EAFNOSUPPORT;
        return fail(error, "cannot listen on a host name,", addr);
    }
    if (!take_open(&listening)) {
        listening.fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (listening.fd == -1)
            return fail(error, "cannot open a socket for", addr);
        int result = addr->kind == ADDR_UNIX ? listen_at_file(listening.fd, options, &listening.file, error)
                                             : listen_at_port(listening.fd, options, &storage, len, error);
        if (result == -1) {
            close(listening.fd);
            return -1;
        }
    }
    listening.is_ipv6_only = takes_only_ipv6(listening.fd);
    if (addr->kind != ADDR_UNIX && getsockname(listening.fd, (struct sockaddr *)&storage, &room) == 0)
        (void)socket_addr_to(&storage, &listening.addr);
    *ret_socket = listening;
    return 0;
}

void listen_socket_share_port(const struct listen_socket *listening)
{
    const int on = true;

    (void)setsockopt(listening->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* Where it cannot be locked another process is replacing the file, or we may not write in its folder. */
static void remove_file(const struct listen_socket *listening)
{
    const char *path = listening->addr.name;
    int lock = socket_file_lock(path);

    if (lock == -1)
        return;
    socket_file_remove(path, &listening->file);
    socket_file_unlock(path, lock);
}

void listen_socket_close(struct listen_socket *listening)
{
    if (listening->fd == -1)
        return;
    if (listening->addr.kind == ADDR_UNIX && !listening->is_foreign && !listening->is_lent)
        remove_file(listening);
    close(listening->fd);
    listening->fd = -1;
}
