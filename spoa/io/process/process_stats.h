/* What the kernel tells about our process (proc(5)). */
#ifndef SPOA_IO_PROCESS_PROCESS_STATS_H
#define SPOA_IO_PROCESS_PROCESS_STATS_H

#include <stdint.h>

struct process_stats;

void process_stats_read(struct process_stats *ret_stats);

/* Unix time in ms. */
int64_t clock_unix_ms(void);

#endif
