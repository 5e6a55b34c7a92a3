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

/* A name with its length before it, and the type of a value. The bits that are the same in each integer of three bytes
 * (proto/varint.h). The same for masks: which bits of all that count. */
#define SRC "\3src"
#define DST "\3dst"
#define SRC_PORT "\10src_port\4\xf0\x80\0"
#define DST_PORT "\10dst_port\4\xf0\x80\0"
#define NAME_MASK "\xff\xff\xff\xff"
#define PORT_MASK "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0\x80\x80"
#define TYPE_MASK "\xff"
#define IPV4_ANY "\0\0\0\0"
#define IPV6_ANY IPV4_ANY IPV4_ANY IPV4_ANY IPV4_ANY

const char client_ipv4_bytes[] = SRC "\6" IPV4_ANY SRC_PORT DST "\6" IPV4_ANY DST_PORT;
const char client_ipv4_mask[] = NAME_MASK TYPE_MASK IPV4_ANY PORT_MASK NAME_MASK TYPE_MASK IPV4_ANY PORT_MASK;
const char client_ipv6_bytes[] = SRC "\7" IPV6_ANY SRC_PORT DST "\7" IPV6_ANY DST_PORT;
const char client_ipv6_mask[] = NAME_MASK TYPE_MASK IPV6_ANY PORT_MASK NAME_MASK TYPE_MASK IPV6_ANY PORT_MASK;

_Static_assert(sizeof(client_ipv4_bytes) == CLIENT_IPV4_LEN + 1 &&
                   sizeof(client_ipv4_mask) == CLIENT_IPV4_LEN + 1 &&
                   sizeof(client_ipv6_bytes) == CLIENT_IPV6_LEN + 1 &&
                   sizeof(client_ipv6_mask) == CLIENT_IPV6_LEN + 1,
               "the forms are as long as they say");

/* Takes `wanted` off the front of `cursor`, and `any` bytes more. */
static bool skip(struct span *cursor, const char *wanted, size_t any)
{
    struct span taken;
    size_t len = strlen(wanted);

    return span_take(cursor, len + any, &taken) && memcmp(taken.data, wanted, len) == 0;
}

/* Takes an integer of one to three bytes off the front of `cursor`. */
static bool skip_port(struct span *cursor)
{
    size_t before = cursor->len;
    uint64_t number;

    return spop_integer_read(cursor, &number) && before - cursor->len <= 3;
}

static bool is_tcp(struct span bytes, const char *src, const char *dst, size_t address_len)
{
    return skip(&bytes, src, address_len) && skip(&bytes, "\10src_port\4", 0) && skip_port(&bytes) &&
           skip(&bytes, dst, address_len) && skip(&bytes, "\10dst_port\4", 0) && skip_port(&bytes) &&
           bytes.len == 0;
}

bool client_is_usual_otherwise(struct span bytes)
{
    static const char local[] =
        "\3src\0\10src_port\0\3dst\0\10dst_port"; /* the NUL at the end is the type SPOP_NULL */

    return is_tcp(bytes, SRC "\6", DST "\6", 4) || is_tcp(bytes, SRC "\7", DST "\7", 16) ||
           (bytes.len == sizeof(local) && memcmp(bytes.data, local, sizeof(local)) == 0);
}
