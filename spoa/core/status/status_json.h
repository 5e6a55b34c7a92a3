/* The status as JSON, for the status page, the status command and scripts. */
#ifndef SPOA_CORE_STATUS_STATUS_JSON_H
#define SPOA_CORE_STATUS_STATUS_JSON_H

#include <stdbool.h>

#include "proto/must_check.h"

struct page_cursor;
struct status;
struct text;

/* Appends the next piece. False where it was the last one. */
MUST_CHECK bool status_json_write(const struct status *status, struct page_cursor *cursor, struct text *out);

#endif
