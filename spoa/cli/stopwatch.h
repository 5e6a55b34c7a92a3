/* The time by which the commands of a terminal measure how long they wait. */
#ifndef SPOA_CLI_STOPWATCH_H
#define SPOA_CLI_STOPWATCH_H

#include <stdint.h>

/* Now, in ms of a clock that only goes forward (CLOCK_MONOTONIC). All processes have the same. */
int64_t stopwatch_ms(void);

#endif
