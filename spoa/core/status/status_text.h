/* The status for a terminal. */
#ifndef SPOA_CORE_STATUS_STATUS_TEXT_H
#define SPOA_CORE_STATUS_STATUS_TEXT_H

struct status;
struct text;

void status_text_write(const struct status *status, struct text *out);

#endif
