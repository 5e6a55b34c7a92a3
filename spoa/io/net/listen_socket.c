#include "spoa/io/net/listen_socket.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/io/net/socket_activation.h"
#include "spoa/io/net/socket_addr.h"

static int fail(char error[LISTEN_SOCKET_ERROR_MAX], const char *what, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    int code = errno;

    snprintf(error, LISTEN_SOCKET_ERROR_MAX, "%s %s: %s", what, addr_format(addr, text), strerror(code));
    return -1;
}

/* Whether the path is a socket that is left over: nobody accepts on it. A file of another kind refuses
 * connections, too, and is not ours to remove. */
static bool is_abandoned(const char *path, const struct sockaddr_storage *storage, socklen_t len)
{
    struct stat status;

    if (lstat(path, &status) == -1 || !S_ISSOCK(status.st_mode))
        return false;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (probe == -1)
        return false;
    bool abandoned = connect(probe, (const struct sockaddr *)storage, len) == -1 && errno == ECONNREFUSED;
    close(probe);
    return abandoned;
}

static int set_owner(const struct listen_socket_options *options, char error[LISTEN_SOCKET_ERROR_MAX])
{
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;

    if (options->owner[0] != '\0') {
        const struct passwd *user = getpwnam(options->owner);
        if (user == NULL) {
            snprintf(error, LISTEN_SOCKET_ERROR_MAX, "unknown user '%s'", options->owner);
            return -1;
        }
        uid = user->pw_uid;
    }
    if (options->group[0] != '\0') {
        const struct group *group = getgrnam(options->group);
        if (group == NULL) {
            snprintf(error, LISTEN_SOCKET_ERROR_MAX, "unknown group '%s'", options->group);
            return -1;
        }
        gid = group->gr_gid;
    }
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(options->addr->host, uid, gid) == -1)
        return fail(error, "cannot change the owner of", options->addr);
    return 0;
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

/* Owner before mode: a chown may take mode bits away. */
static int set_access(int fd, const struct listen_socket_options *options,
                      char error[LISTEN_SOCKET_ERROR_MAX])
{
    if (options->addr->kind != ADDR_UNIX) {
        (void)give_to_user(fd, options->user);
        return 0;
    }
    if (set_owner(options, error) == -1)
        return -1;
    if (options->mode != -1 && chmod(options->addr->host, (mode_t)options->mode) == -1)
        return fail(error, "cannot change the mode of", options->addr);
    return 0;
}

static int bind_and_listen(int fd, const struct listen_socket_options *options,
                           const struct sockaddr_storage *storage, socklen_t len,
                           char error[LISTEN_SOCKET_ERROR_MAX])
{
    const int on = 1;
    const int is_ipv6_only = options->is_ipv6_only;

    if (options->addr->kind == ADDR_IPV6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only, sizeof(is_ipv6_only));
    if (options->shares_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (options->addr->kind != ADDR_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    else if (is_abandoned(options->addr->host, storage, len))
        unlink(options->addr->host);
    if (bind(fd, (const struct sockaddr *)storage, len) == -1)
        return fail(error, "cannot bind to", options->addr);
    /* Before listen(): nobody can connect while the rights are those of the umask. */
    if (set_access(fd, options, error) == -1)
        return -1;
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

int listen_socket_open(const struct listen_socket_options *options, struct listen_socket *ret_socket,
                       char error[LISTEN_SOCKET_ERROR_MAX])
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);

    if (!socket_addr_from(options->addr, &storage, &len)) {
        errno = EAFNOSUPPORT;
        return fail(error, "cannot listen on a host name,", options->addr);
    }
    *ret_socket = (struct listen_socket){.addr = *options->addr};
    ret_socket->fd = socket_activation_take(options->addr, &ret_socket->is_foreign);
    if (ret_socket->fd != -1) {
        ret_socket->is_ipv6_only = takes_only_ipv6(ret_socket->fd);
        return 0;
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return fail(error, "cannot open a socket for", options->addr);
    if (bind_and_listen(fd, options, &storage, len, error) == -1) {
        close(fd);
        return -1;
    }
    ret_socket->fd = fd;
    ret_socket->is_ipv6_only = takes_only_ipv6(fd);
    len = sizeof(storage);
    if (options->addr->kind != ADDR_UNIX && getsockname(fd, (struct sockaddr *)&storage, &len) == 0)
        (void)socket_addr_to(&storage, &ret_socket->addr);
    return 0;
}

void listen_socket_share_port(const struct listen_socket *listening)
{
    const int on = 1;

    (void)setsockopt(listening->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

void listen_socket_close(struct listen_socket *listening)
{
    if (listening->fd == -1)
        return;
    /* In this order: a successor that finds the socket abandoned replaces it, and must not lose its own. */
    if (listening->addr.kind == ADDR_UNIX && !listening->is_foreign)
        unlink(listening->addr.host);
    close(listening->fd);
    listening->fd = -1;
}
