#include "spoa/core/voters/poll_parts.h"

unsigned poll_parts_count(size_t services, uint32_t poll_ms)
{
    size_t parts = services / POLL_PART_SERVICES;

    if (parts > POLL_PARTS_MAX)
        parts = POLL_PARTS_MAX;
    if (parts > poll_ms / POLL_PART_MS)
        parts = poll_ms / POLL_PART_MS;
    return parts > 0 ? (unsigned)parts : 1;
}

struct poll_part poll_part_of(size_t begin, size_t end, unsigned part, unsigned parts)
{
    return (struct poll_part){
        .begin = begin + (end - begin) * part / parts,
        .end = begin + (end - begin) * (part + 1) / parts,
    };
}
