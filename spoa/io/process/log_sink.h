/* The sink of core/base/log.h: one line per event, logfmt or JSON, to a file descriptor or to syslog. */
#ifndef SPOA_IO_PROCESS_LOG_SINK_H
#define SPOA_IO_PROCESS_LOG_SINK_H

#include "proto/must_check.h"
#include "spoa/core/base/log.h"

/*
 * If one event about one subject has more lines than this in a second, the rest is counted and not written.
 * Errors, and lines that are to be kept (LOG_WEIGHT_KEPT), are always written.
 */
#define LOG_SINK_BURST 20

/* How often log_sink_tick() is to be called. */
#define LOG_SINK_TICK_MS 250

/*
 * Sends all events up to `max_level` to `fd` from now on. May be called again to change level and format. A
 * line is one write() of at most 4 KiB; a longer line is cut. The agent never waits: if the reader is slow or
 * gone, lines that are to be kept wait in a bounded place, and the others are lost and counted. (It calls poll()
 * first, because it must not set O_NONBLOCK on a shared descriptor.)
 * If JOURNAL_STREAM names `fd`, each line begins with its level as <N>, for the journal.
 */
void log_sink_open(int fd, enum log_format format, enum log_level max_level);

/*
 * Sends the events to a syslog socket instead (RFC 3164 as local daemons take it, facility daemon). While the
 * daemon is not there, they go to stderr. It is looked for again with each tick.
 */
void log_sink_open_syslog(const char *path, enum log_format format, enum log_level max_level);

/* Sends the events to the syslog socket if there is a path, else to stderr. */
void log_sink_choose(const char *syslog_path, enum log_format format, enum log_level max_level);

/* Looks for the syslog daemon, writes what waits, and tells how many lines were dropped. */
void log_sink_tick(int64_t now_ms);

/* Lines that were dropped since the start: held back by the limit, or not taken by the reader. */
uint64_t log_sink_dropped(void);

#endif
