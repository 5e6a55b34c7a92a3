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

/* Inline, because every question comes through here: the compiler then knows the length of each comparison
 * and copy. */
#define INLINE static inline __attribute__((always_inline))

/* Removes a name (with its length before it) and the type of its value from the front of `bytes`. False if
 * `bytes` begin otherwise. */
INLINE bool take(struct span *bytes, const char *name_and_type, size_t len)
{
    if (bytes->len < len || memcmp(bytes->data, name_and_type, len) != 0)
        return false;
    bytes->data += len;
    bytes->len -= len;
    return true;
}

#define TAKE(bytes, name_and_type) take((bytes), (name_and_type), sizeof(name_and_type) - 1)

INLINE bool take_address(struct span *bytes, size_t len, uint8_t address[16])
{
    if (bytes->len < len)
        return false;
    memcpy(address, bytes->data, len);
    bytes->data += len;
    bytes->len -= len;
    return true;
}

/* Removes a port from the front of `bytes`: a varint (proto/varint.h) of one to three bytes. A longer one
 * is no port. */
INLINE bool take_port(struct span *bytes, uint16_t *ret_port)
{
    const uint8_t *in = bytes->data;
    uint32_t number = bytes->len > 0 ? in[0] : 0;
    size_t used = 1;

    if (number >= VARINT_ONE_BYTE_LIMIT) {
        used = bytes->len > 1 && in[1] >= 128 ? 3 : 2;
        if (bytes->len < used || in[used - 1] >= 128)
            return false;
        number += (uint32_t)in[1] << 4;
        if (used == 3)
            number += (uint32_t)in[2] << 11;
    }
    if (number == 0 || number > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)number;
    bytes->data += used;
    bytes->len -= used;
    return true;
}

/* Reads what follows the type of the first address. `dst` is the name and type of the next address. */
INLINE bool take_rest(struct span bytes, size_t len, const char *dst, struct client *ret_client)
{
    return take_address(&bytes, len, ret_client->src) && TAKE(&bytes, "\10src_port\4") &&
           take_port(&bytes, &ret_client->src_port) && take(&bytes, dst, 5) &&
           take_address(&bytes, len, ret_client->dst) && TAKE(&bytes, "\10dst_port\4") &&
           take_port(&bytes, &ret_client->dst_port) && bytes.len == 0;
}

bool client_read(struct span bytes, struct client *ret_client)
{
    static const char local[] =
        "\3src\0\10src_port\0\3dst\0\10dst_port"; /* the NUL at the end is the type SPOP_NULL */

    ret_client->kind = CLIENT_TCP;
    ret_client->is_ipv6 = false;
    if (TAKE(&bytes, "\3src\6"))
        return take_rest(bytes, 4, "\3dst\6", ret_client);
    ret_client->is_ipv6 = true;
    if (TAKE(&bytes, "\3src\7"))
        return take_rest(bytes, 16, "\3dst\7", ret_client);
    ret_client->kind = CLIENT_LOCAL;
    return bytes.len == sizeof(local) && memcmp(bytes.data, local, sizeof(local)) == 0;
}
