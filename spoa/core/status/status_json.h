/* The status as JSON, for the status page, the status command and scripts. */
#ifndef SPOA_CORE_STATUS_STATUS_JSON_H
#define SPOA_CORE_STATUS_STATUS_JSON_H

struct status;
struct text;

void status_json_write(const struct status *status, struct text *out);

#endif
