/*
 * How far a page is written. A page that grows with the configuration is written in pieces, so that HAProxy is answered
 * between two of them. The status of each piece is that of its own moment. A configuration that changes meanwhile needs
 * a new cursor and a new text.
 */
#ifndef SPOA_CORE_STATUS_PAGE_CURSOR_H
#define SPOA_CORE_STATUS_PAGE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/base/json.h"
#include "spoa/core/status/summary.h"

struct service;
struct status;
struct voter_group;

/* A piece has at most so many services, or groups. */
#define PAGE_PIECE 16

/* All zero: nothing is written. */
struct page_cursor {
    size_t section; /* which part of the page is next */
    size_t group;   /* which group and which of its services are next in this section */
    size_t service;
    struct summary sum; /* what is counted so far; the text counts before it says anything */
    size_t told;        /* services in trouble that stand in the text in full */
    struct json json;   /* what is open, of a page in JSON; its text is set for each piece */
};

void page_cursor_next_section(struct page_cursor *cursor);

/* Whether nothing of the section is written. */
bool page_cursor_is_first(const struct page_cursor *cursor);

/* Takes the next service, through all groups. False where there is none. */
MUST_CHECK bool page_cursor_next(struct page_cursor *cursor, const struct status *status,
                                 const struct voter_group **ret_group, const struct service **ret_service);

/* Takes the next group. False where there is none. */
MUST_CHECK bool page_cursor_next_group(struct page_cursor *cursor, const struct status *status,
                                       const struct voter_group **ret_group);

#endif
