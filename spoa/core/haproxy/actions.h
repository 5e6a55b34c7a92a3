/* The actions of an ACK: they set HAProxy's variables (SPOE.txt 3.3). */
#ifndef SPOA_CORE_HAPROXY_ACTIONS_H
#define SPOA_CORE_HAPROXY_ACTIONS_H

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/decision/server_map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the longest answer, in bytes. It fits into the smallest frame that HAProxy may ask for: 256
 * bytes, of which 25 are the header. */
#define ACTIONS_MAX 231

struct actions {
    const char *state;       /* never NULL: an ACK without an action hangs HAProxy 3.1 */
    bool is_replica;         /* `server` goes into the variable `replica`, not `master` */
    const char *server;      /* HAProxy's name of the node, or NULL */
    const struct addr *addr; /* its address; NULL if no node is named */
    unsigned votes;          /* for that address */
    uint64_t generation;     /* switches so far */
};

/*
 * Writes the actions to `out`, in scope txn, and returns their length in bytes. If no node is named, the
 * other variables are unset, so that a second look-up in one transaction leaves no old name behind. The name
 * of the other role stays, because it may be needed as well.
 */
size_t actions_encode(const struct actions *actions, uint8_t out[ACTIONS_MAX]);

#endif
