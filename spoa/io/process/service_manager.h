/* What the service manager is told (sd_notify(3)). */
#ifndef SPOA_IO_PROCESS_SERVICE_MANAGER_H
#define SPOA_IO_PROCESS_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

/* Sends lines such as "READY=1\nSTATUS=...". Nothing happens where nobody wants to know (NOTIFY_SOCKET). */
void service_manager_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "RELOADING=1" with the time that goes with it. */
void service_manager_reloading(void);

/* How often the manager wants to hear WATCHDOG=1, in seconds; 0: never. */
double service_manager_watchdog_interval(void);

#endif
