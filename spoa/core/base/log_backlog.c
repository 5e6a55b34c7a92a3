#include "spoa/core/base/log_backlog.h"

#include <string.h>

#define LENGTH_BYTES 2

bool log_backlog_add(struct log_backlog *backlog, struct span line)
{
    size_t needed = LENGTH_BYTES + line.len;

    if (line.len > UINT16_MAX)
        return false;
    if (sizeof(backlog->bytes) - backlog->end < needed) {
        memmove(backlog->bytes, backlog->bytes + backlog->begin, backlog->end - backlog->begin);
        backlog->end -= backlog->begin;
        backlog->begin = 0;
    }
    if (sizeof(backlog->bytes) - backlog->end < needed)
        return false;
    uint8_t *at = backlog->bytes + backlog->end;
    at[0] = (uint8_t)(line.len >> 8);
    at[1] = (uint8_t)line.len;
    memcpy(at + LENGTH_BYTES, line.data, line.len);
    backlog->end += needed;
    return true;
}

struct span log_backlog_oldest(const struct log_backlog *backlog)
{
    const uint8_t *at = backlog->bytes + backlog->begin;

    if (backlog->begin == backlog->end)
        return span_of(NULL, 0);
    return span_of(at + LENGTH_BYTES, (size_t)at[0] << 8 | at[1]);
}

void log_backlog_drop(struct log_backlog *backlog)
{
    backlog->begin += LENGTH_BYTES + log_backlog_oldest(backlog).len;
}
