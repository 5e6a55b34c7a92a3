/* Networks as text, and whether an address is in one: `10.0.0.0/8`, `2001:db8::/32`, `10.0.0.5`. */
#ifndef PROTO_NETWORK_H
#define PROTO_NETWORK_H

#include "proto/addr.h"
#include "proto/must_check.h"
#include "proto/span.h"

#include <stdbool.h>
#include <stdint.h>

/* "ADDRESS/128" with the NUL. */
#define NETWORK_TEXT_MAX 64

struct network {
    struct addr first; /* its port is not used */
    unsigned bits;     /* of the prefix */
};

enum network_reading {
    NETWORK_OK,
    NETWORK_BAD,          /* another text, or bits beyond the prefix are set */
    NETWORK_TOO_FEW_BITS, /* an IPv4-mapped network, `::ffff:10.0.0.0/BITS`, with fewer than 96 bits */
};

/* Reads "IP/BITS" or "IP". An IPv4-mapped network is the IPv4 network: `::ffff:10.0.0.0/104` is `10.0.0.0/8`. Writes
 * nothing unless the result is NETWORK_OK. */
MUST_CHECK enum network_reading network_parse(struct span text, struct network *ret_network);

/* Whether a numeric address is in the network. An address of the other family is not. An IPv4-mapped IPv6
 * address is IPv4 (proto/addr.h). */
bool network_has(const struct network *network, const struct addr *addr);

/* Writes the text that network_parse() reads, with a NUL. Returns `out`. */
const char *network_format(const struct network *network, char out[NETWORK_TEXT_MAX]);

#endif
