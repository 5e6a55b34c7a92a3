/* Messages to the service manager (sd_notify(3)). */
#ifndef SPOA_IO_PROCESS_SERVICE_MANAGER_H
#define SPOA_IO_PROCESS_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

/* Sends lines such as "READY=1\nSTATUS=...". Does nothing if there is no NOTIFY_SOCKET. */
void service_manager_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sends "RELOADING=1" with the time that it needs. */
void service_manager_reloading(void);

/* The interval at which to send WATCHDOG=1, in seconds; 0: never. */
double service_manager_watchdog_interval(void);

#endif
