#include "spoa/io/net/socket_addr.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

bool socket_addr_from(const struct addr *addr, struct sockaddr_storage *ret_storage, socklen_t *ret_len)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};

    memset(ret_storage, 0, sizeof(*ret_storage));
    switch (addr->kind) {
    case ADDR_IPV4:
        memcpy(&ipv4.sin_addr, addr->ip, sizeof(ipv4.sin_addr));
        memcpy(ret_storage, &ipv4, sizeof(ipv4));
        *ret_len = sizeof(ipv4);
        return true;
    case ADDR_IPV6:
        memcpy(&ipv6.sin6_addr, addr->ip, sizeof(ipv6.sin6_addr));
        memcpy(ret_storage, &ipv6, sizeof(ipv6));
        *ret_len = sizeof(ipv6);
        return true;
    /* addr.h limits the path: it always fits in sun_path with its NUL. */
    case ADDR_UNIX:
        (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", addr->name);
        memcpy(ret_storage, &local, sizeof(local));
        *ret_len = sizeof(local);
        return true;
    case ADDR_NONE:
    case ADDR_NAME:
        break;
    }
    return false;
}

bool socket_addr_to(const struct sockaddr_storage *storage, struct addr *ret_addr)
{
    if (storage->ss_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, storage, sizeof(ipv4));
        *ret_addr = addr_from_ip((const uint8_t *)&ipv4.sin_addr, ADDR_IPV4, ntohs(ipv4.sin_port));
        return true;
    }
    if (storage->ss_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, storage, sizeof(ipv6));
        *ret_addr = addr_from_ip(ipv6.sin6_addr.s6_addr, ADDR_IPV6, ntohs(ipv6.sin6_port));
        return true;
    }
    return false;
}

bool socket_is_remote(int fd)
{
    /* An end of which the kernel says nothing keeps this family, which is none of ours. */
    struct sockaddr_storage far_end = {.ss_family = AF_UNSPEC};
    struct sockaddr_storage near_end = {.ss_family = AF_UNSPEC};
    socklen_t far_len = sizeof(far_end);
    socklen_t near_len = sizeof(near_end);
    struct addr peer;
    struct addr self;

    (void)getpeername(fd, (struct sockaddr *)&far_end, &far_len);
    (void)getsockname(fd, (struct sockaddr *)&near_end, &near_len);
    if (!socket_addr_to(&far_end, &peer) || !socket_addr_to(&near_end, &self))
        return false;
    /* The kernel gives a connection to an address of this host that very address at our end, too. */
    self.port = peer.port;
    return !addr_is_loopback(&peer) && !addr_equals(&peer, &self);
}

void socket_tune_tcp(int fd, int idle_s, int interval_s)
{
    const struct {
        int level;
        int option;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, true},    {SOL_SOCKET, SO_KEEPALIVE, true},
        {IPPROTO_TCP, TCP_KEEPIDLE, idle_s}, {IPPROTO_TCP, TCP_KEEPINTVL, interval_s},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };

    for (size_t i = 0; i < (idle_s != 0 ? sizeof(options) / sizeof(*options) : 1); i++)
        (void)setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                         sizeof(options[i].value));
}
