/* Networks as text and as what an address is in or not: `10.0.0.0/8`, `2001:db8::/32`, `10.0.0.5`. */
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
    struct addr first; /* its port is of no account */
    unsigned bits;     /* of the prefix */
};

/* False, nothing written, on anything else than "IP/BITS" and "IP", or where bits beyond the prefix are set. */
MUST_CHECK bool network_parse(struct span text, struct network *ret_network);

/* Whether a numeric address is in it; never, of another family. An IPv4-mapped IPv6 address is IPv4 (proto/addr.h). */
bool network_has(const struct network *network, const struct addr *addr);

/* Writes what network_parse() reads, with a NUL; returns `out`. */
const char *network_format(const struct network *network, char out[NETWORK_TEXT_MAX]);

#endif
