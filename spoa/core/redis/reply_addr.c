#include "spoa/core/redis/reply_addr.h"

#include <inttypes.h>
#include <stdio.h>

/* Room for the digits of an integer, its sign and a NUL. */
#define NUMBER_TEXT_MAX 24

bool reply_read_number(const struct reply *reply, uint64_t max, uint64_t *ret_number)
{
    if (reply->kind == REPLY_TEXT)
        return span_read_number(reply->text, max, ret_number);
    if (reply->kind != REPLY_INTEGER || reply->number < 0 || (uint64_t)reply->number > max)
        return false;
    *ret_number = (uint64_t)reply->number;
    return true;
}

enum reply_reading reply_read_addr(const struct reply *host, const struct reply *port, struct addr *ret_addr)
{
    char digits[NUMBER_TEXT_MAX];

    if (host->kind != REPLY_TEXT || (port->kind != REPLY_TEXT && port->kind != REPLY_INTEGER))
        return REPLY_READ_NONSENSE;
    (void)snprintf(digits, sizeof(digits), "%" PRId64, port->number);
    struct span text = port->kind == REPLY_INTEGER ? span_of_text(digits) : port->text;
    return addr_from_peer(host->text, text, ret_addr) ? REPLY_READ_OK : REPLY_READ_BAD_ADDRESS;
}
