/* What the service manager is told (sd_notify(3)), and the sockets that it opened for us (sd_listen_fds(3)). */
#ifndef SPOA_IO_PROCESS_SERVICE_MANAGER_H
#define SPOA_IO_PROCESS_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/addr.h"

/* Sends lines such as "READY=1\nSTATUS=...". Nothing happens where nobody wants to know (NOTIFY_SOCKET). */
void sdnotify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "RELOADING=1" with the time that goes with it. */
void sdnotify_reloading(void);

/* How often the manager wants to hear WATCHDOG=1, in seconds; 0: never. */
double sdnotify_watchdog_interval(void);

/* Takes the listening socket for `addr` that we were started with; -1 where there is none. It is non-blocking and
 * close-on-exec then. */
int sdnotify_take_socket(const struct addr *addr);

#endif
