#include "spoa/core/haproxy/client.h"

#include <string.h>

enum argument { SRC = 1, SRC_PORT = 2, DST = 4, DST_PORT = 8, ALL = 15 };

void client_take_argument(struct client_arguments *arguments, struct span name,
                          const struct spop_value *value)
{
    if (span_equals_text(name, "src")) {
        arguments->src = *value;
        arguments->given |= SRC;
    } else if (span_equals_text(name, "src_port")) {
        arguments->src_port = *value;
        arguments->given |= SRC_PORT;
    } else if (span_equals_text(name, "dst")) {
        arguments->dst = *value;
        arguments->given |= DST;
    } else if (span_equals_text(name, "dst_port")) {
        arguments->dst_port = *value;
        arguments->given |= DST_PORT;
    }
}

/* 0 if it is no port. */
static uint16_t port_of(const struct spop_value *value)
{
    bool is_integer = value->type >= SPOP_INT32 && value->type <= SPOP_UINT64;

    return is_integer && value->integer > 0 && value->integer <= UINT16_MAX ? (uint16_t)value->integer : 0;
}

struct client client_of(const struct client_arguments *arguments)
{
    struct client client = {
        .kind = CLIENT_ODD,
        .src_port = port_of(&arguments->src_port),
        .dst_port = port_of(&arguments->dst_port),
    };

    if (arguments->given == 0) {
        client.kind = CLIENT_NOT_GIVEN;
        return client;
    }
    if (arguments->given == ALL && arguments->src.type == SPOP_NULL) {
        client.kind = CLIENT_LOCAL;
        return client;
    }
    if (arguments->given != ALL || client.src_port == 0 || client.dst_port == 0 ||
        arguments->src.type != arguments->dst.type)
        return client;
    if (arguments->src.type == SPOP_IPV4) {
        memcpy(client.src, arguments->src.ipv4, sizeof(arguments->src.ipv4));
        memcpy(client.dst, arguments->dst.ipv4, sizeof(arguments->dst.ipv4));
        client.kind = CLIENT_TCP;
    } else if (arguments->src.type == SPOP_IPV6) {
        memcpy(client.src, arguments->src.ipv6, sizeof(client.src));
        memcpy(client.dst, arguments->dst.ipv6, sizeof(client.dst));
        client.is_ipv6 = true;
        client.kind = CLIENT_TCP;
    }
    return client;
}

/* ---- the usual form, which nearly every question has ---- */

/* Inline, because every question comes through here: the compiler then knows the length of each comparison. */
#define INLINE static inline __attribute__((always_inline))

/* The name of an argument, with its length before it, and the type of its value. */
#define NAMED(name_and_type) span_of((name_and_type), sizeof(name_and_type) - 1)

INLINE bool begins(const uint8_t *bytes, struct span with)
{
    return memcmp(bytes, with.data, with.len) == 0;
}

/* The length of the port at the front of `in`, a varint (proto/varint.h) of one to three bytes: a longer one is no
 * port. 0 if there is none within `len` bytes, which are one at least. */
INLINE size_t port_len(const uint8_t *in, size_t len)
{
    uint32_t number = in[0];
    size_t used = 1;

    if (number >= VARINT_ONE_BYTE_LIMIT) {
        used = len > 1 && in[1] >= 128 ? 3 : 2;
        if (len < used)
            return 0;
        number += (uint32_t)in[1] << 4;
        if (used == 3)
            number += (uint32_t)in[2] << 11; /* if more bytes follow this one, that is too much for a port */
    }
    return number > 0 && number <= UINT16_MAX ? used : 0;
}

/* `len` is that of an address. */
INLINE bool is_tcp(struct span bytes, struct span src, struct span dst, size_t len)
{
    const struct span src_port = NAMED("\10src_port\4");
    const struct span dst_port = NAMED("\10dst_port\4");
    const size_t before_port = src.len + len + src_port.len;

    if (bytes.len < before_port + 3 || !begins(bytes.data, src) ||
        !begins(bytes.data + src.len + len, src_port))
        return false;
    size_t src_port_len = port_len(bytes.data + before_port, 3);
    size_t used = before_port + src_port_len + before_port;
    if (src_port_len == 0 || bytes.len <= used)
        return false;
    const uint8_t *at = bytes.data + before_port + src_port_len;
    return begins(at, dst) && begins(at + dst.len + len, dst_port) &&
           port_len(bytes.data + used, bytes.len - used) == bytes.len - used;
}

bool client_is_usual(struct span bytes)
{
    static const char local[] =
        "\3src\0\10src_port\0\3dst\0\10dst_port"; /* the NUL at the end is the type SPOP_NULL */

    return is_tcp(bytes, NAMED("\3src\6"), NAMED("\3dst\6"), 4) ||
           is_tcp(bytes, NAMED("\3src\7"), NAMED("\3dst\7"), 16) ||
           (bytes.len == sizeof(local) && memcmp(bytes.data, local, sizeof(local)) == 0);
}
