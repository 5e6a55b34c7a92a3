/*
 * A name server for the tests of what uses c-ares: a UDP socket on the loopback in the test's own loop.
 * Include it in one file of the program: it puts itself between that and c-ares' ares_init_options(), so that
 * no query ever leaves the machine and no time-out is long.
 */
#ifndef TESTS_UNIT_IO_NET_DNS_PEER_H
#define TESTS_UNIT_IO_NET_DNS_PEER_H

#include <ares.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DNS_PEER_TYPE_A 1
#define DNS_PEER_TYPE_AAAA 28
#define DNS_PEER_HELD_MAX 16

struct dns_peer_query {
    struct sockaddr_in from;
    size_t len;
    uint8_t bytes[512];
};

static struct {
    ev_io io;
    char address[32];
    const char *ipv4[24]; /* what A answers; NULL ends it */
    const char *ipv6[4];  /* likewise AAAA */
    unsigned rcode;       /* 3: no such name */
    bool is_holding;      /* keeps queries until dns_peer_release() */
    unsigned queries;     /* seen so far */
    unsigned held_count;
    struct dns_peer_query held[DNS_PEER_HELD_MAX];
} dns_peer;

/* c-ares made the options const after 1.20. */
#if ARES_VERSION < 0x011500
typedef struct ares_options dns_peer_options;
#else
typedef const struct ares_options dns_peer_options;
#endif

int ares_init_options(ares_channel *channel, dns_peer_options *options, int mask)
{
    struct ares_options changed = *options;
    int (*original)(ares_channel *, dns_peer_options *, int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "ares_init_options");

    memcpy(&original, &symbol, sizeof(original));
    changed.timeout = 30;
    int status = original(channel, &changed, mask);
    return status == ARES_SUCCESS ? ares_set_servers_ports_csv(*channel, dns_peer.address) : status;
}

static inline size_t dns_peer_put_answer(uint8_t *out, unsigned type, const char *text)
{
    uint8_t rdata[16];
    size_t len = type == DNS_PEER_TYPE_A ? 4 : 16;
    /* The name by reference to the question, class IN, 60 s. */
    const uint8_t head[] = {0xC0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)len};

    if (inet_pton(type == DNS_PEER_TYPE_A ? AF_INET : AF_INET6, text, rdata) != 1)
        return 0;
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), rdata, len);
    return sizeof(head) + len;
}

static inline void dns_peer_answer(const struct dns_peer_query *query)
{
    uint8_t out[1024];
    size_t question = 12;
    unsigned count = 0;

    while (question < query->len && query->bytes[question] != 0)
        question += (size_t)query->bytes[question] + 1;
    unsigned type = query->bytes[question + 2];
    size_t len = question + 5;
    memcpy(out, query->bytes, len);
    for (const char **at = type == DNS_PEER_TYPE_A ? dns_peer.ipv4 : dns_peer.ipv6;
         dns_peer.rcode == 0 && (type == DNS_PEER_TYPE_A || type == DNS_PEER_TYPE_AAAA) && *at != NULL;
         at++) {
        len += dns_peer_put_answer(out + len, type, *at);
        count++;
    }
    const uint8_t head[] = {0x81, (uint8_t)(0x80 | dns_peer.rcode), 0, 1, 0, (uint8_t)count, 0, 0, 0, 0};
    memcpy(out + 2, head, sizeof(head));
    (void)sendto(dns_peer.io.fd, out, len, 0, (const struct sockaddr *)&query->from, sizeof(query->from));
}

static inline void dns_peer_on_query(struct ev_loop *dns_loop, ev_io *io, int events)
{
    struct dns_peer_query query;
    socklen_t from_len = sizeof(query.from);
    ssize_t got =
        recvfrom(io->fd, query.bytes, sizeof(query.bytes), 0, (struct sockaddr *)&query.from, &from_len);

    (void)dns_loop;
    (void)events;
    if (got < 17)
        return;
    query.len = (size_t)got;
    dns_peer.queries++;
    if (!dns_peer.is_holding)
        dns_peer_answer(&query);
    else if (dns_peer.held_count < DNS_PEER_HELD_MAX)
        dns_peer.held[dns_peer.held_count++] = query;
}

/* Answers what was held, and is not holding any more. */
static inline void dns_peer_release(void)
{
    dns_peer.is_holding = false;
    for (unsigned i = 0; i < dns_peer.held_count; i++)
        dns_peer_answer(&dns_peer.held[i]);
    dns_peer.held_count = 0;
}

/* Before resolver_create(). False where there is no socket. */
static inline bool dns_peer_open(struct ev_loop *dns_loop)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memset(&dns_peer, 0, sizeof(dns_peer));
    if (fd == -1 || bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
        getsockname(fd, (struct sockaddr *)&address, &len) == -1)
        return false;
    snprintf(dns_peer.address, sizeof(dns_peer.address), "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    ev_io_init(&dns_peer.io, dns_peer_on_query, fd, EV_READ);
    ev_io_start(dns_loop, &dns_peer.io);
    return true;
}

static inline void dns_peer_close(struct ev_loop *dns_loop)
{
    ev_io_stop(dns_loop, &dns_peer.io);
    close(dns_peer.io.fd);
}

#endif
