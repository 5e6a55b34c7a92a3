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

/* Whether the `len` bytes at `in`, one to three, are a port: a varint (proto/varint.h). A longer one is no
 * port. */
INLINE bool is_port(const uint8_t *in, size_t len)
{
    uint32_t number = in[0];

    if ((in[0] >= VARINT_ONE_BYTE_LIMIT) != (len > 1) || (len > 1 && (in[1] >= 128) != (len > 2)))
        return false;
    if (len > 1)
        number += (uint32_t)in[1] << 4;
    if (len > 2)
        number += (uint32_t)in[2] << 11; /* if more bytes follow this one, that is too much for a port */
    return number > 0 && number <= UINT16_MAX;
}

/* The names of two arguments and the types of their values; how long these are. */
struct form {
    struct span address;
    size_t address_len;
    struct span port;
    size_t port_len;
};

INLINE size_t size_of(const struct form *form)
{
    return form->address.len + form->address_len + form->port.len + form->port_len;
}

INLINE bool has_form(const uint8_t *at, const struct form *form)
{
    const uint8_t *port = at + form->address.len + form->address_len;

    return begins(at, form->address) && begins(port, form->port) &&
           is_port(port + form->port.len, form->port_len);
}

/* `len` is that of an address. */
INLINE bool is_tcp(struct span bytes, struct span src, struct span dst, size_t len)
{
    struct form from = {.address = src, .address_len = len, .port = NAMED("\10src_port\4")};
    struct form to = {.address = dst, .address_len = len, .port = NAMED("\10dst_port\4")};
    size_t ports_len = bytes.len - size_of(&from) - size_of(&to); /* if there are fewer bytes, it is huge */

    /* The usual port has three bytes. It comes first, so that the compiler knows all lengths. */
    from.port_len = to.port_len = 3;
    if (ports_len == 6)
        return has_form(bytes.data, &from) && has_form(bytes.data + size_of(&from), &to);
    for (from.port_len = 1; from.port_len <= 3; from.port_len++) {
        to.port_len = ports_len - from.port_len;
        if (to.port_len >= 1 && to.port_len <= 3 && has_form(bytes.data, &from))
            return has_form(bytes.data + size_of(&from), &to);
    }
    return false;
}

bool client_is_usual(struct span bytes)
{
    static const char local[] =
        "\3src\0\10src_port\0\3dst\0\10dst_port"; /* the NUL at the end is the type SPOP_NULL */

    return is_tcp(bytes, NAMED("\3src\6"), NAMED("\3dst\6"), 4) ||
           is_tcp(bytes, NAMED("\3src\7"), NAMED("\3dst\7"), 16) ||
           (bytes.len == sizeof(local) && memcmp(bytes.data, local, sizeof(local)) == 0);
}
