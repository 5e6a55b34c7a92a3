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

#include "spoa/core/base/log_backlog.h"
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
    char wanted[sizeof(
        ((struct sockaddr_un *)0)->sun_path)]; /* the path of the syslog socket; "": none is wanted */
    bool is_syslog; /* `fd` is connected to it; else it is stderr, or what log_sink_open() was given */
    enum log_format format;
    bool is_socket;
    bool is_journal;
    struct log_limit limit;
    struct log_backlog backlog; /* lines that must not be lost */
    uint64_t lost;              /* lines that could not be written, and were not told yet */
    uint64_t dropped;           /* these, and those that the limit held back, since the start */
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
static int connect_syslog(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, log_sink.wanted, sizeof(address.sun_path));
    if (fd == -1 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
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

static void use(int fd)
{
    struct stat status;
    bool is_known = fstat(fd, &status) == 0;

    log_sink.fd = fd;
    log_sink.is_syslog = false;
    log_sink.is_socket = is_known && S_ISSOCK(status.st_mode);
    log_sink.is_journal = is_known && is_journal_stream(&status);
}

/* Returns false with errno and changes nothing if the daemon is not there. */
static bool use_syslog(void)
{
    int fd = connect_syslog();

    if (fd == -1)
        return false;
    log_sink.fd = fd;
    log_sink.is_syslog = true;
    return true;
}

/* The daemon is gone. If it was restarted, it is found again at once; else stderr serves until it is back. */
static void replace_syslog(void)
{
    close(log_sink.fd);
    if (!use_syslog())
        use(STDERR_FILENO);
}

/* False if the reader takes nothing now. It never waits: the loop must turn. */
static bool try_to_write(struct span line)
{
    struct pollfd ready = {.fd = log_sink.fd, .events = POLLOUT};

    if (log_sink.is_syslog)
        return send(log_sink.fd, line.data, line.len, MSG_NOSIGNAL) != -1;
    if (poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT)
        return false;
    if (log_sink.is_socket)
        return send(log_sink.fd, line.data, line.len, MSG_DONTWAIT | MSG_NOSIGNAL) != -1;
    return write(log_sink.fd, line.data, line.len) != -1;
}

static bool write_line(struct span line)
{
    if (try_to_write(line))
        return true;
    if (!log_sink.is_syslog || errno == EAGAIN)
        return false;
    replace_syslog();
    return try_to_write(line);
}

/* False if lines are left that the reader does not take. */
static bool write_backlog(void)
{
    struct span line;

    while ((line = log_backlog_oldest(&log_sink.backlog)).len > 0) {
        if (!write_line(line))
            return false;
        log_backlog_drop(&log_sink.backlog);
    }
    return true;
}

/* Keeps the order: nothing overtakes the backlog. */
static void write_in_turn(struct span line, enum log_weight weight)
{
    if (write_backlog() && write_line(line))
        return;
    if (weight == LOG_WEIGHT_KEPT && log_backlog_add(&log_sink.backlog, line))
        return;
    log_sink.lost++;
    log_sink.dropped++;
}

/* Writes a line whatever the limit says. */
static void write_log_line(enum log_level level, enum log_weight weight, struct log_line *line)
{
    uint8_t out[LINE_MAX_BYTES];
    char time_text[48];
    size_t prefix_len = 0;

    print_time(time_text, sizeof(time_text));
    line->time = time_text;
    line->level = level;
    if (log_sink.is_syslog)
        prefix_len = (size_t)snprintf((char *)out, PREFIX_MAX,
                                      "<%d>sentinel-spoa[%d]: ", FACILITY | priority(level), (int)getpid());
    else if (log_sink.is_journal)
        prefix_len = (size_t)snprintf((char *)out, PREFIX_MAX, "<%d>", priority(level));
    size_t len = log_format_line(log_sink.format, line, out + prefix_len, sizeof(out) - prefix_len);
    line->time = NULL; /* the text ends with this function */
    write_in_turn(span_of(out, prefix_len + len), weight);
}

static void tell_dropped(enum log_event_kind event, const char *of, uint64_t lines)
{
    const struct log_field fields[] = {log_text("of", of), log_number("lines", (int64_t)lines)};
    struct log_line line = {.event = log_event_text(event), .fields = fields, .count = 2};

    write_log_line(LOG_LEVEL_WARNING, LOG_WEIGHT_COMMON, &line);
}

static void tell_suppressed(int64_t now_ms)
{
    const char *event;
    uint64_t count;

    while (log_limit_take(&log_sink.limit, now_ms, &event, &count))
        tell_dropped(EVENT_LINES_SUPPRESSED, event, count);
}

/* If this line is lost too, it counts with the others. */
static void tell_lost(void)
{
    uint64_t lost = log_sink.lost;

    if (lost == 0 || !write_backlog())
        return;
    log_sink.lost = 0;
    tell_dropped(EVENT_LINES_LOST, "all", lost);
    log_sink.lost += log_sink.lost > 0 ? lost : 0;
}

static void write_event(void *context, enum log_level level, enum log_weight weight, const char *event,
                        const struct log_field *fields, size_t count)
{
    struct log_line line = {.event = event, .fields = fields, .count = count};
    bool must_pass = level == LOG_LEVEL_ERROR || weight == LOG_WEIGHT_KEPT;
    int64_t now_ms = clock_ms();

    (void)context;
    if (!log_limit_pass(&log_sink.limit, event, log_limit_subject(fields, count), must_pass, now_ms,
                        &line.suppressed)) {
        log_sink.dropped++;
        return;
    }
    tell_suppressed(now_ms);
    tell_lost();
    write_log_line(level, must_pass ? LOG_WEIGHT_KEPT : LOG_WEIGHT_COMMON, &line);
}

static void close_syslog(void)
{
    if (log_sink.is_syslog)
        close(log_sink.fd);
}

static void begin(enum log_format format, enum log_level max_level)
{
    log_sink.format = format;
    log_sink.limit.burst = LOG_SINK_BURST;
    log_set_sink(write_event, NULL, max_level);
}

void log_sink_open(int fd, enum log_format format, enum log_level max_level)
{
    close_syslog();
    log_sink.wanted[0] = '\0';
    use(fd);
    begin(format, max_level);
}

void log_sink_open_syslog(const char *path, enum log_format format, enum log_level max_level)
{
    close_syslog();
    (void)snprintf(log_sink.wanted, sizeof(log_sink.wanted), "%s", path);
    bool is_there = use_syslog();
    int code = errno;
    if (!is_there)
        use(STDERR_FILENO);
    begin(format, max_level);
    if (!is_there)
        log_event(EVENT_NO_SYSLOG, log_text("path", path), log_text("error", strerror(code)));
}

void log_sink_choose(const char *syslog_path, enum log_format format, enum log_level max_level)
{
    if (syslog_path != NULL)
        log_sink_open_syslog(syslog_path, format, max_level);
    else
        log_sink_open(STDERR_FILENO, format, max_level);
}

void log_sink_tick(int64_t now_ms)
{
    if (log_sink.wanted[0] != '\0' && !log_sink.is_syslog && use_syslog())
        log_event(EVENT_SYSLOG, log_text("path", log_sink.wanted));
    (void)write_backlog();
    tell_suppressed(now_ms);
    tell_lost();
}

uint64_t log_sink_dropped(void)
{
    return log_sink.dropped;
}
