/* The sink behind core/log.h: one line an event, logfmt or JSON, to a file descriptor. */
#ifndef SPOA_IO_PROCESS_LOG_SINK_H
#define SPOA_IO_PROCESS_LOG_SINK_H

#include "proto/must_check.h"
#include "spoa/core/base/log.h"

/* Lines of one event in a second beyond which it is counted instead of written (errors are always written). */
#define LOG_SINK_BURST 20

/*
 * Sends all events up to `max_level` to `fd` from now on. Called again it changes level and format. A line is
 * one write() of at most 4 KiB, longer ones are cut; where the reader is slow or gone lines are lost, the agent
 * never waits (O_NONBLOCK is not set on a shared descriptor: poll() first). Where JOURNAL_STREAM names our
 * stderr every line begins with the level as <N>, for the journal.
 */
void log_sink_open(int fd, enum log_format format, enum log_level max_level);

/* The same to a syslog socket (RFC 3164 as local daemons take it, facility daemon). False where it cannot be reached; then
 * nothing changed. A daemon that is started anew is found again; lines that it does not take at once are lost. */
MUST_CHECK bool log_sink_open_syslog(const char *path, enum log_format format, enum log_level max_level);

/* To the syslog socket where there is a path, else, and where it cannot be reached, to stderr. */
void log_sink_choose(const char *syslog_path, enum log_format format, enum log_level max_level);

#endif
