#include "proto/varint.h"

int varint_decode_long(const uint8_t *in, size_t len, uint64_t *ret_value)
{
    uint64_t value = in[0];
    unsigned shift = 4;

    for (size_t i = 1; i < VARINT_MAX_BYTES; i++, shift += 7) {
        if (i == len)
            return 0;
        uint64_t part = (uint64_t)in[i] << shift;
        if (part >> shift != in[i] || value + part < value)
            return -1;
        value += part;
        if (in[i] < 128) {
            *ret_value = value;
            return (int)i + 1;
        }
    }
    return -1;
}

size_t varint_encode_long(uint64_t value, uint8_t out[VARINT_MAX_BYTES])
{
    size_t len = 0;

    out[len++] = (uint8_t)(value | VARINT_ONE_BYTE_LIMIT);
    value = (value - VARINT_ONE_BYTE_LIMIT) >> 4;
    while (value >= 128) {
        out[len++] = (uint8_t)(value | 128);
        value = (value - 128) >> 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}
