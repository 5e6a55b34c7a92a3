/* Addresses as text and as comparable values: `host:port`, `[v6]:port`, `unix:/path`. Nothing is resolved. */
#ifndef PROTO_ADDR_H
#define PROTO_ADDR_H

#include "proto/must_check.h"
#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest host name (RFC 1035). The path of a UNIX socket is shorter (107 bytes). */
#define ADDR_HOST_MAX 253
/* Room for "[host]:port" or "unix:path" with the NUL. */
#define ADDR_TEXT_MAX (ADDR_HOST_MAX + 10)

/* Room for an IP address as text, with the NUL. */
#define ADDR_IP_TEXT_MAX 46

/* The bits in front of the IPv4 address in an IPv4-mapped one, `::ffff:10.0.0.1` (RFC 4291 2.5.5.2). */
#define ADDR_MAPPED_BITS 96

enum addr_kind {
    ADDR_NONE = 0,
    ADDR_IPV4,
    ADDR_IPV6,
    ADDR_NAME, /* a host name, compared as a name */
    ADDR_UNIX, /* a socket path; no port */
};

/* Always in normal form: names in lower case, an IPv4-mapped IPv6 address as IPv4. Compare with addr_equals()
 * only: with and without a final dot a name is the same. There are several of them for each service, so they
 * are small. They may be copied. */
struct addr {
    enum addr_kind kind;
    bool is_absolute; /* the name has a final dot: it is looked up without the search list */
    uint16_t port;
    union {
        uint8_t ip[16];   /* network order; the first 4 bytes for IPv4 */
        const char *name; /* without the final dot, or the path: one of names.h, which stays */
    };
};

/* Reads the text forms above. Anything else returns false and writes nothing: no port, port 0 or over
 * 65535, an empty host or label, a character that a host name cannot have, a path over 107 bytes. So does a
 * name or a path for which memory is short. For what the operator writes: see addr_from_peer(). */
MUST_CHECK bool addr_parse(struct span text, struct addr *ret_addr);

/* Makes an address of a host (numeric or name, brackets not needed) and a decimal port. Returns false for the
 * same reasons as addr_parse(). */
MUST_CHECK bool addr_from_parts(struct span host, struct span port, struct addr *ret_addr);

/* The same for what a peer of the agent says. The agent remembers NAMES_TOLD_MAX names that no operator wrote. A
 * further one, or one for which memory is short, becomes ADDR_FORGOTTEN_NAME: it is an address, and is equal to none
 * of the configuration. All such names with one port are equal. */
#define ADDR_FORGOTTEN_NAME "too-many-names.invalid"
MUST_CHECK bool addr_from_peer(struct span host, struct span port, struct addr *ret_addr);

/* Makes an address of an IP address in network order: 4 bytes for ADDR_IPV4, 16 for ADDR_IPV6. This is the
 * one place that makes the normal form of a numeric address. */
struct addr addr_from_ip(const uint8_t *ip, enum addr_kind kind, uint16_t port);

bool addr_equals(const struct addr *a, const struct addr *b);

/* The same, whatever the ports are. */
bool addr_is_same_host(const struct addr *a, const struct addr *b);

/* Whether it is 0.0.0.0 or [::], with whatever port. */
bool addr_is_wildcard(const struct addr *addr);

/* Whether the address leads every host to itself: a loopback address, 0.0.0.0, [::], the name localhost or a
 * UNIX socket. */
bool addr_is_loopback(const struct addr *addr);

/* The host in its canonical text, without brackets or final dot; or the path. `out` is only used for an IP
 * address. */
const char *addr_host(const struct addr *addr, char out[ADDR_IP_TEXT_MAX]);

/* Writes the text that addr_parse() reads, with a NUL. Returns `out`. */
const char *addr_format(const struct addr *addr, char out[ADDR_TEXT_MAX]);

#endif
