#include "spoa/io/process/log_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "spoa/core/base/log_format.h"
#include "spoa/core/base/log_limit.h"
#include "spoa/io/net/loop.h"

/* PIPE_BUF of Linux. A pipe that poll() calls writable takes this much without waiting, and in one piece. */
#define LINE_MAX_BYTES 4096
/* "<6>", or "<30>sentinel-spoa[4194304]: " */
#define PREFIX_MAX 40
/* syslog(3): LOG_DAEMON */
#define FACILITY (3 << 3)

static struct {
    int fd;
    char syslog_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": no syslog */
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

/* The priorities of syslog. The journal reads them, too (sd-daemon(3)). */
static int priority(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return 3;
    case LOG_LEVEL_WARNING:
        return 4;
    case LOG_LEVEL_INFO:
        return 6;
    case LOG_LEVEL_DEBUG:
        break;
    }
    return 7;
}

/* Returns a new socket, connected to the daemon's, or -1 with errno. */
static int connect_syslog(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* If sending fails, connects again and retries once: the daemon may have been restarted. */
static void send_to_syslog(const uint8_t *line, size_t len)
{
    if (log_sink.fd != -1 && (send(log_sink.fd, line, len, MSG_NOSIGNAL) != -1 || errno == EAGAIN))
        return;
    if (log_sink.fd != -1)
        close(log_sink.fd);
    log_sink.fd = connect_syslog(log_sink.syslog_path);
    if (log_sink.fd != -1)
        (void)send(log_sink.fd, line, len, MSG_NOSIGNAL);
}

/* Drops the line rather than wait: the loop must turn. */
static void write_line(const uint8_t *line, size_t len)
{
    struct pollfd ready = {.fd = log_sink.fd, .events = POLLOUT};
    ssize_t written = 0;

    if (log_sink.syslog_path[0] != '\0') {
        send_to_syslog(line, len);
        return;
    }
    if (poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT)
        return;
    if (log_sink.is_socket)
        written = send(log_sink.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        written = write(log_sink.fd, line, len);
    (void)written;
}

/* Writes a line whatever the limit says. */
static void write_log_line(enum log_level level, struct log_line *line)
{
    uint8_t out[LINE_MAX_BYTES];
    char time_text[48];
    size_t prefix_len = 0;

    print_time(time_text, sizeof(time_text));
    line->time = time_text;
    line->level = level;
    if (log_sink.syslog_path[0] != '\0')
        prefix_len = (size_t)snprintf((char *)out, PREFIX_MAX,
                                      "<%d>sentinel-spoa[%d]: ", FACILITY | priority(level), (int)getpid());
    else if (log_sink.is_journal)
        prefix_len = (size_t)snprintf((char *)out, PREFIX_MAX, "<%d>", priority(level));
    size_t len = log_format_line(log_sink.format, line, out + prefix_len, sizeof(out) - prefix_len);
    line->time = NULL; /* the text ends with this function */
    write_line(out, prefix_len + len);
}

/*
 * What an event is about, if that is something in the configuration. What a peer says must not be one: it
 * could choose another subject for each line.
 */
static struct span subject_of(const struct log_field *fields, size_t count)
{
    static const char *const keys[] = {"service", "monitor", "sentinel"};

    for (size_t i = 0; count > 0 && i < sizeof(keys) / sizeof(*keys); i++)
        if (strcmp(fields[0].key, keys[i]) == 0 && !fields[0].is_number)
            return fields[0].text;
    return span_of(NULL, 0);
}

static void tell_suppressed(int64_t now_ms)
{
    const char *event;
    uint64_t count;

    while (log_limit_take(&log_sink.limit, now_ms, &event, &count)) {
        const struct log_field fields[] = {log_text("of", event), log_number("lines", (int64_t)count)};
        struct log_line line = {.event = "lines-suppressed", .fields = fields, .count = 2};
        write_log_line(LOG_LEVEL_WARNING, &line);
    }
}

static void write_event(void *context, enum log_level level, const char *event,
                        const struct log_field *fields, size_t count)
{
    struct log_line line = {.event = event, .fields = fields, .count = count};
    int64_t now_ms = clock_ms();

    (void)context;
    if (!log_limit_pass(&log_sink.limit, event, subject_of(fields, count), level == LOG_LEVEL_ERROR, now_ms,
                        &line.suppressed))
        return;
    tell_suppressed(now_ms);
    write_log_line(level, &line);
}

/*
 * JOURNAL_STREAM has device and inode of the journal's socket: it may be inherited with stderr sent
 * elsewhere.
 */
static bool is_journal_stream(const struct stat *status)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[48];

    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status->st_dev, (uintmax_t)status->st_ino);
    return stream != NULL && strcmp(stream, own) == 0;
}

static void leave_syslog(void)
{
    if (log_sink.syslog_path[0] != '\0' && log_sink.fd != -1)
        close(log_sink.fd);
    log_sink.syslog_path[0] = '\0';
}

void log_sink_open(int fd, enum log_format format, enum log_level max_level)
{
    struct stat status;
    bool is_known = fstat(fd, &status) == 0;

    leave_syslog();
    log_sink.fd = fd;
    log_sink.format = format;
    log_sink.is_socket = is_known && S_ISSOCK(status.st_mode);
    log_sink.is_journal = is_known && is_journal_stream(&status);
    log_sink.limit.burst = LOG_SINK_BURST;
    log_set_sink(write_event, NULL, max_level);
}

bool log_sink_open_syslog(const char *path, enum log_format format, enum log_level max_level)
{
    int fd = connect_syslog(path);

    if (fd == -1)
        return false;
    leave_syslog();
    log_sink.fd = fd;
    memcpy(log_sink.syslog_path, path, strlen(path) + 1);
    log_sink.format = format;
    log_sink.limit.burst = LOG_SINK_BURST;
    log_set_sink(write_event, NULL, max_level);
    return true;
}

void log_sink_choose(const char *syslog_path, enum log_format format, enum log_level max_level)
{
    if (syslog_path != NULL && log_sink_open_syslog(syslog_path, format, max_level))
        return;
    int code = errno;
    log_sink_open(STDERR_FILENO, format, max_level);
    if (syslog_path != NULL)
        log_event(LOG_LEVEL_WARNING, "no-syslog", log_text("path", syslog_path),
                  log_text("error", strerror(code)));
}
