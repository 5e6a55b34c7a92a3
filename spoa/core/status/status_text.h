/* The status for a terminal. */
#ifndef SPOA_CORE_STATUS_STATUS_TEXT_H
#define SPOA_CORE_STATUS_STATUS_TEXT_H

#include "spoa/core/base/text.h"
#include "spoa/core/status/status.h"

void status_text_write(const struct status *status, struct text *out);

#endif
