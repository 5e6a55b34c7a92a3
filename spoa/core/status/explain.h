/* Whom the agent names and why, and what would happen if somebody died now: in sentences, for the command `explain`. */
#ifndef SPOA_CORE_STATUS_EXPLAIN_H
#define SPOA_CORE_STATUS_EXPLAIN_H

#include <stdbool.h>

#include "proto/must_check.h"

struct page_cursor;
struct service;
struct status;
struct text;
struct voter_group;

/* Appends what is to be said of one service, which is of this group. */
void explain_service(const struct status *status, const struct voter_group *group,
                     const struct service *service, struct text *out);

/* The same of all services. Appends the next piece. False where it was the last one. */
MUST_CHECK bool explain_write(const struct status *status, struct page_cursor *cursor, struct text *out);

#endif
