/* A decision as the actions of an ACK: what HAProxy's variables become. Encoded once per decision. */
#ifndef SPOA_CORE_HAPROXY_ANSWER_H
#define SPOA_CORE_HAPROXY_ANSWER_H

#include "proto/addr.h"
#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the longest answer: it fits the smallest frame that HAProxy may ask for (256 bytes with a header of
 * 25) as long as the server's name keeps to SERVER_NAME_MAX. */
#define ANSWER_MAX 231

struct answer {
    const char *state;       /* never NULL: an ACK without an action hangs HAProxy 3.1 */
    bool is_replica;         /* `server` goes into the variable `replica`, not `master` */
    const char *server;      /* HAProxy's name of the node, or NULL */
    const struct addr *addr; /* its address, or NULL: nobody is named */
    unsigned votes;          /* for that address */
    uint64_t generation;     /* switches so far */
};

/*
 * Writes the actions to `out`, in scope txn; returns their length in bytes. Where nobody is named the other
 * variables are unset, so that a second look-up in one transaction leaves no old name behind (but that of the other
 * role, which may be wanted as well).
 */
size_t answer_encode(const struct answer *answer, uint8_t out[ANSWER_MAX]);

#endif
