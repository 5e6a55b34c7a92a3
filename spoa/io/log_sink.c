#include "spoa/io/log_sink.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spoa/core/log_format.h"
#include "spoa/core/log_limit.h"
#include "spoa/io/loop.h"

/* PIPE_BUF of Linux: a pipe that poll() calls writable takes that much without a wait, and undivided. */
#define LINE_MAX_BYTES 4096
/* "<6>" */
#define PREFIX_LEN 3

static struct {
    int fd;
    enum log_format format;
    bool is_socket;
    bool is_journal;
    struct log_limit limit;
} log_sink;

static void print_time(char *ret_text, size_t size)
{
    struct timespec now;
    struct tm utc;
    char seconds[32] = "";

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc) != NULL)
        strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(ret_text, size, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

/* The priorities of syslog, which the journal reads (sd-daemon(3)). */
static uint8_t priority_digit(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return '3';
    case LOG_LEVEL_WARNING:
        return '4';
    case LOG_LEVEL_INFO:
        return '6';
    case LOG_LEVEL_DEBUG:
        break;
    }
    return '7';
}

/* Gives the line up rather than wait: the loop must turn. */
static void write_line(const uint8_t *line, size_t len)
{
    struct pollfd ready = {.fd = log_sink.fd, .events = POLLOUT};
    ssize_t written = 0;

    if (poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT)
        return;
    if (log_sink.is_socket)
        written = send(log_sink.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        written = write(log_sink.fd, line, len);
    (void)written;
}

static void write_event(void *context, enum log_level level, const char *event,
                        const struct log_field *fields, size_t count)
{
    uint8_t out[LINE_MAX_BYTES];
    char time_text[48];
    struct log_line line = {
        .time = time_text, .level = level, .event = event, .fields = fields, .count = count};
    size_t prefix_len = log_sink.is_journal ? PREFIX_LEN : 0;

    (void)context;
    if (!log_limit_pass(&log_sink.limit, event, level == LOG_LEVEL_ERROR, loop_now_ms(), &line.suppressed))
        return;
    print_time(time_text, sizeof(time_text));
    out[0] = '<';
    out[1] = priority_digit(level);
    out[2] = '>';
    size_t len = log_format_line(log_sink.format, &line, out + prefix_len, sizeof(out) - prefix_len);
    write_line(out, prefix_len + len);
}

/* JOURNAL_STREAM has device and inode of the journal's socket: it may be inherited with stderr sent elsewhere. */
static bool is_journal_stream(const struct stat *status)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[48];

    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status->st_dev, (uintmax_t)status->st_ino);
    return stream != NULL && strcmp(stream, own) == 0;
}

void log_sink_open(int fd, enum log_format format, enum log_level max_level)
{
    struct stat status;
    bool is_known = fstat(fd, &status) == 0;

    log_sink.fd = fd;
    log_sink.format = format;
    log_sink.is_socket = is_known && S_ISSOCK(status.st_mode);
    log_sink.is_journal = is_known && is_journal_stream(&status);
    log_sink.limit.burst = LOG_SINK_BURST;
    log_set_sink(write_event, NULL, max_level);
}
