#include "proto/span.h"

bool span_take_number(struct span *cursor, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t len = 0;

    for (; len < cursor->len && cursor->data[len] >= '0' && cursor->data[len] <= '9'; len++) {
        uint64_t digit = cursor->data[len] - (uint64_t)'0';
        if (digit > max || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (len == 0)
        return false;
    *cursor = span_of(cursor->data + len, cursor->len - len);
    *ret_number = number;
    return true;
}

bool span_read_number(struct span text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number;

    if (!span_take_number(&text, max, &number) || text.len > 0)
        return false;
    *ret_number = number;
    return true;
}
