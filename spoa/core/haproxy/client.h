/*
 * The client for which HAProxy asks: its TCP connection to HAProxy, and whether the client is still there. A
 * client that has closed its side (FIN) has given up: what it sent before must not be delivered later. Pure.
 */
#ifndef SPOA_CORE_HAPROXY_CLIENT_H
#define SPOA_CORE_HAPROXY_CLIENT_H

#include "proto/chunk.h"
#include "proto/must_check.h"
#include "proto/span.h"
#include "proto/spop_data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the arguments src, src_port, dst and dst_port of HAProxy's message say. */
enum client_kind {
    CLIENT_NOT_GIVEN, /* HAProxy is not configured to send them */
    CLIENT_LOCAL,     /* they have no values: a client on a UNIX socket */
    CLIENT_TCP,
    CLIENT_ODD, /* one is missing, a port is 0, or the families differ */
};

struct client {
    enum client_kind kind;
    bool is_ipv6;
    uint16_t src_port;
    uint16_t dst_port;
    uint8_t src[16]; /* the client's end, network order; the first 4 bytes for IPv4 */
    uint8_t dst[16]; /* HAProxy's end */
};

/* The state of a client's connection, as seen at HAProxy's end. */
enum client_state {
    CLIENT_STATE_UNKNOWN, /* it could not be looked at */
    CLIENT_STATE_ABSENT,  /* there is no such connection in this network namespace */
    CLIENT_STATE_THERE,
    CLIENT_STATE_GONE,     /* the client has closed its side */
    CLIENT_STATE_GIVEN_UP, /* HAProxy has closed its side first */
};

/* Looks at `count` clients of kind CLIENT_TCP and writes their states to `ret_states`. Must not block. */
typedef void client_look_fn(void *context, const struct client *const *clients, size_t count,
                            enum client_state *ret_states);

/* The most clients that are looked at in one call. */
#define CLIENT_LOOK_MAX 64

/* The four arguments while they are being read. All zero: none was read yet. */
struct client_arguments {
    struct spop_value src;
    struct spop_value dst;
    struct spop_value src_port;
    struct spop_value dst_port;
    uint8_t given; /* a bit for each that was sent */
};

/* Stores an argument of the message if it is one of the four. */
void client_take_argument(struct client_arguments *arguments, struct span name,
                          const struct spop_value *value);

/* The client that the arguments describe. */
struct client client_of(const struct client_arguments *arguments);

/*
 * Whether `bytes` have the usual form, which the recipes send: exactly the four arguments, in the order src, src_port,
 * dst, dst_port. A port is any integer of one to three bytes: what it is worth, client_of() says. Any other form may
 * still be valid (question_read() takes all forms).
 */
static inline bool client_is_usual(struct span bytes);

/* ---- In nearly all questions both ports have three bytes. Then all lengths are known: that case is inline. ---- */

#define CLIENT_IPV4_LEN 44
#define CLIENT_IPV6_LEN 68

/* Where a bit of a mask is set, the bytes say what it is. (The last byte is the NUL of the text.) */
extern const char client_ipv4_bytes[CLIENT_IPV4_LEN + 1];
extern const char client_ipv4_mask[CLIENT_IPV4_LEN + 1];
extern const char client_ipv6_bytes[CLIENT_IPV6_LEN + 1];
extern const char client_ipv6_mask[CLIENT_IPV6_LEN + 1];

/* For all other lengths. */
bool client_is_usual_otherwise(struct span bytes);

/* Whether these CLIENT_IPV4_LEN bytes have the usual form. The last sixteen overlap those before. */
CHUNK_INLINE bool client_is_usual_ipv4(const uint8_t *in)
{
    return chunk_is_zero(chunk_masked_difference(in, client_ipv4_bytes, client_ipv4_mask) |
                         chunk_masked_difference(in + 16, client_ipv4_bytes + 16, client_ipv4_mask + 16) |
                         chunk_masked_difference(in + CLIENT_IPV4_LEN - 16,
                                                 client_ipv4_bytes + CLIENT_IPV4_LEN - 16,
                                                 client_ipv4_mask + CLIENT_IPV4_LEN - 16));
}

/* Whether these CLIENT_IPV6_LEN bytes have the usual form. */
CHUNK_INLINE bool client_is_usual_ipv6(const uint8_t *in)
{
    return chunk_is_zero(chunk_masked_difference(in, client_ipv6_bytes, client_ipv6_mask) |
                         chunk_masked_difference(in + 16, client_ipv6_bytes + 16, client_ipv6_mask + 16) |
                         chunk_masked_difference(in + 32, client_ipv6_bytes + 32, client_ipv6_mask + 32) |
                         chunk_masked_difference(in + 48, client_ipv6_bytes + 48, client_ipv6_mask + 48) |
                         chunk_masked_difference(in + CLIENT_IPV6_LEN - 16,
                                                 client_ipv6_bytes + CLIENT_IPV6_LEN - 16,
                                                 client_ipv6_mask + CLIENT_IPV6_LEN - 16));
}

CHUNK_INLINE bool client_is_usual(struct span bytes)
{
    if (__builtin_expect(bytes.len == CLIENT_IPV4_LEN, 1))
        return client_is_usual_ipv4(bytes.data);
    if (bytes.len == CLIENT_IPV6_LEN)
        return client_is_usual_ipv6(bytes.data);
    return client_is_usual_otherwise(bytes);
}

#endif
