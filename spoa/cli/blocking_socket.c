#include "spoa/cli/blocking_socket.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "spoa/io/net/socket_addr.h"

#define TIMEOUT_S 3

static int connect_to(const struct sockaddr *address, socklen_t len)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, address, len) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* Tries the addresses of the name in turn, until one accepts. */
static int connect_name(const struct addr *addr)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    int fd = -1;

    (void)snprintf(port, sizeof(port), "%u", (unsigned)addr->port);
    if (getaddrinfo(addr->host, port, &hints, &list) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    for (const struct addrinfo *one = list; one != NULL && fd == -1; one = one->ai_next)
        fd = connect_to(one->ai_addr, one->ai_addrlen);
    int code = errno;
    freeaddrinfo(list);
    errno = code;
    return fd;
}

static int connect_ip(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len = 0;

    if (!socket_addr_from(addr, &storage, &len)) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return connect_to((const struct sockaddr *)&storage, len);
}

/* What listens at [::] can be reached by IPv4 as well, and where IPv6 is switched off by nothing else. */
static int connect_to_all_ipv6(const struct addr *addr)
{
    static const uint8_t any[4];
    const struct addr ipv4 = addr_from_ip(any, ADDR_IPV4, addr->port);
    int fd = connect_ip(addr);

    return fd != -1 ? fd : connect_ip(&ipv4);
}

int blocking_socket_connect(const struct addr *addr)
{
    if (addr->kind == ADDR_NAME)
        return connect_name(addr);
    return addr->kind == ADDR_IPV6 && addr_is_wildcard(addr) ? connect_to_all_ipv6(addr) : connect_ip(addr);
}
