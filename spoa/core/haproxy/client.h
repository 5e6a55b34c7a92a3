/*
 * The client on whose behalf HAProxy asks: its TCP connection to HAProxy, and whether it is still there. A client that
 * has sent its end (FIN) has given up; what it said before must not be delivered later. Pure.
 */
#ifndef SPOA_CORE_HAPROXY_CLIENT_H
#define SPOA_CORE_HAPROXY_CLIENT_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "proto/spop_data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the arguments src, src_port, dst and dst_port of HAProxy's message say. */
enum client_kind {
    CLIENT_NOT_GIVEN, /* HAProxy was not told to send them */
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

/* What became of a client's connection, as HAProxy's side of it has it. */
enum client_state {
    CLIENT_STATE_UNKNOWN, /* could not be looked at */
    CLIENT_STATE_ABSENT,  /* there is no such connection in this network namespace */
    CLIENT_STATE_THERE,
    CLIENT_STATE_GONE, /* the client has sent its end */
};

/* Looks at so many clients of kind CLIENT_TCP at once. Must not block. */
typedef void client_look_fn(void *context, const struct client *const *clients, size_t count,
                            enum client_state *ret_states);

/* The most that is looked at in one call. */
#define CLIENT_LOOK_MAX 64

/* What is known of the four arguments while they are read; zero is nothing. */
struct client_arguments {
    struct spop_value src;
    struct spop_value dst;
    struct spop_value src_port;
    struct spop_value dst_port;
    uint8_t given; /* a bit for each */
};

/* Takes an argument of the message where it is one of the four. */
void client_take_argument(struct client_arguments *arguments, struct span name,
                          const struct spop_value *value);

/* What they say together. */
struct client client_of(const struct client_arguments *arguments);

/*
 * Reads the four arguments where they are all that `bytes` have, in the order src, src_port, dst, dst_port, as the recipes
 * send them. False where it is anything else, which may well be in order (question_read()).
 */
MUST_CHECK bool client_read(struct span bytes, struct client *ret_client);

#endif
