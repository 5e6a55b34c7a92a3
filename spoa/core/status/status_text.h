/* The status for a terminal. */
#ifndef SPOA_CORE_STATUS_STATUS_TEXT_H
#define SPOA_CORE_STATUS_STATUS_TEXT_H

#include <stdbool.h>

#include "proto/must_check.h"

struct page_cursor;
struct status;
struct text;

/* Appends the next piece. False where it was the last one. */
MUST_CHECK bool status_text_write(const struct status *status, struct page_cursor *cursor, struct text *out);

#endif
