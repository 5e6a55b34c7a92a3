#include "spoa/core/redis/redis_id.h"

#include <ctype.h>

bool redis_is_id(struct span text)
{
    if (text.len != REDIS_ID_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isxdigit(text.data[i]))
            return false;
    return true;
}

enum reply_reading redis_id_read(const struct reply *reply, struct span *ret_id)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_TEXT);

    if (reading != REPLY_READ_OK)
        return reading;
    if (!redis_is_id(reply->text))
        return REPLY_READ_NONSENSE;
    *ret_id = reply->text;
    return REPLY_READ_OK;
}
