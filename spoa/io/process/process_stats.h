/* What the kernel tells about our process (proc(5)). */
#ifndef SPOA_IO_PROCESS_PROCESS_STATS_H
#define SPOA_IO_PROCESS_PROCESS_STATS_H

#include <stdint.h>

struct process_stats;

void process_stats_read(struct process_stats *ret_stats);

/*
 * A time of clock_ms() as Unix time in ms. The same time gives the same result until the machine's clock is
 * set, so that metrics do not tremble.
 */
int64_t clock_to_unix_ms(int64_t t_ms);

#endif
