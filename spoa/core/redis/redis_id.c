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
