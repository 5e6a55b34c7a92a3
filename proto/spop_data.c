#include "proto/spop_data.h"

#define TYPE_MASK 0x0fu
#define BOOL_TRUE 0x10u

bool spop_name_read(struct span *cursor, struct span *ret_name)
{
    uint64_t len;

    if (!spop_integer_read(cursor, &len) || len > cursor->len)
        return false;
    return span_take(cursor, (size_t)len, ret_name);
}

static bool read_bytes(struct span *cursor, uint8_t *out, size_t len)
{
    struct span bytes;

    if (!span_take(cursor, len, &bytes))
        return false;
    memcpy(out, bytes.data, len);
    return true;
}

static bool read_integer(struct span *cursor, int64_t *ret_integer)
{
    uint64_t bits;

    if (!spop_integer_read(cursor, &bits))
        return false;
    *ret_integer = (int64_t)bits;
    return true;
}

static bool read_content(struct span *cursor, uint8_t head, struct spop_value *value)
{
    switch (value->type) {
    case SPOP_NULL:
        return true;
    case SPOP_BOOL:
        value->boolean = (head & BOOL_TRUE) != 0;
        return true;
    case SPOP_INT32:
    case SPOP_UINT32:
    case SPOP_INT64:
    case SPOP_UINT64:
        return read_integer(cursor, &value->integer);
    case SPOP_IPV4:
        return read_bytes(cursor, value->ipv4, sizeof(value->ipv4));
    case SPOP_IPV6:
        return read_bytes(cursor, value->ipv6, sizeof(value->ipv6));
    case SPOP_STRING:
    case SPOP_BINARY:
        return spop_name_read(cursor, &value->text);
    }
    return false; /* a reserved type: its length is not known */
}

bool spop_value_read(struct span *cursor, struct spop_value *ret_value)
{
    uint8_t head;
    struct spop_value value;

    if (!read_bytes(cursor, &head, 1))
        return false;
    value.type = (enum spop_type)(head & TYPE_MASK);
    if (!read_content(cursor, head, &value))
        return false;
    *ret_value = value;
    return true;
}

bool spop_kv_read(struct span *cursor, struct span *ret_name, struct spop_value *ret_value)
{
    struct span name;

    if (!spop_name_read(cursor, &name) || !spop_value_read(cursor, ret_value))
        return false;
    *ret_name = name;
    return true;
}

void spop_integer_write(struct sink *sink, uint64_t value)
{
    uint8_t bytes[VARINT_MAX_BYTES];

    sink_put(sink, bytes, varint_encode(value, bytes));
}

void spop_name_write(struct sink *sink, struct span name)
{
    spop_integer_write(sink, name.len);
    sink_put(sink, name.data, name.len);
}

void spop_value_write(struct sink *sink, const struct spop_value *value)
{
    uint8_t head = (uint8_t)value->type;

    if (value->type == SPOP_BOOL && value->boolean)
        head |= BOOL_TRUE;
    sink_put_byte(sink, head);
    switch (value->type) {
    case SPOP_NULL:
    case SPOP_BOOL:
        break;
    case SPOP_INT32:
    case SPOP_UINT32:
    case SPOP_INT64:
    /* HAProxy reads all four types as 64 bits: a negative number is sent with all its bits. */
    case SPOP_UINT64:
        spop_integer_write(sink, (uint64_t)value->integer);
        break;
    case SPOP_IPV4:
        sink_put(sink, value->ipv4, sizeof(value->ipv4));
        break;
    case SPOP_IPV6:
        sink_put(sink, value->ipv6, sizeof(value->ipv6));
        break;
    case SPOP_STRING:
    case SPOP_BINARY:
        spop_name_write(sink, value->text);
        break;
    }
}

void spop_kv_write(struct sink *sink, const char *name, const struct spop_value *value)
{
    spop_name_write(sink, span_of_text(name));
    spop_value_write(sink, value);
}
