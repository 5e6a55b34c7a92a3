/* The sink of core/base/log.h: one line per event, logfmt or JSON, to a file descriptor or to syslog. */
#ifndef SPOA_IO_PROCESS_LOG_SINK_H
#define SPOA_IO_PROCESS_LOG_SINK_H

#include "proto/must_check.h"
#include "spoa/core/base/log.h"

/* If one event has more lines than this in a second, the rest is counted and not written. Errors are
 * always written. */
#define LOG_SINK_BURST 20

/*
 * Sends all events up to `max_level` to `fd` from now on. May be called again to change level and format. A
 * line is one write() of at most 4 KiB; a longer line is cut. The agent never waits: if the reader is slow or
 * gone, lines are lost. (It calls poll() first, because it must not set O_NONBLOCK on a shared descriptor.)
 * If JOURNAL_STREAM names `fd`, each line begins with its level as <N>, for the journal.
 */
void log_sink_open(int fd, enum log_format format, enum log_level max_level);

/*
 * Sends the events to a syslog socket instead (RFC 3164 as local daemons take it, facility daemon). Returns
 * false and changes nothing if it cannot be reached. A restarted daemon is found again. Lines that it does
 * not take at once are lost.
 */
MUST_CHECK bool log_sink_open_syslog(const char *path, enum log_format format, enum log_level max_level);

/* Sends the events to the syslog socket if there is a path. Without a path, or if the socket cannot be
 * reached, they go to stderr. */
void log_sink_choose(const char *syslog_path, enum log_format format, enum log_level max_level);

#endif
