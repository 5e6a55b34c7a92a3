/*
 * A Sentinel that is asked about many services is not asked about all of them at once: its poll has parts, spread over the
 * time between two polls. So neither the Sentinel nor we are held up. Each service is still asked about once in that time.
 */
#ifndef SPOA_CORE_VOTERS_POLL_PARTS_H
#define SPOA_CORE_VOTERS_POLL_PARTS_H

#include <stddef.h>
#include <stdint.h>

/* A part has at least so many services, unless there are fewer: half a millisecond of a Sentinel, and of ours. */
#define POLL_PART_SERVICES 1000
/* A slow peer still owes the answers of parts before: no more of them than a conversation can await. */
#define POLL_PARTS_MAX 25
/* The least time between two parts. */
#define POLL_PART_MS 20

/* Services from `begin` to before `end`. */
struct poll_part {
    size_t begin;
    size_t end;
};

/* 1 or more. */
unsigned poll_parts_count(size_t services, uint32_t poll_ms);

/* The part with the number `part` of `parts` about equal ones. */
struct poll_part poll_part_of(size_t begin, size_t end, unsigned part, unsigned parts);

#endif
