/*
 * The log's sink on real descriptors: one write a line, levels, the journal's prefix, a reader that is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "spoa/io/process/log_sink.h"

static int ends[2]; /* read, write */

static struct timespec set_time; /* the time of day that is read; 0: the true one */

static const char *written(void);

/* In place of the C library's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_REALTIME || set_time.tv_sec == 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    *now = set_time;
    return 0;
}

static int open_pipe(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1 || fcntl(ends[1], F_SETFL, 0) == -1)
        return -1;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_sink_tick(INT64_MAX); /* what the test before could not write */
    (void)written();
    return 0;
}

static int close_pipe(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* All that was written so far, as text; empty where nothing was. */
static const char *written(void)
{
    static char text[65536];
    ssize_t got = read(ends[0], text, sizeof(text) - 1);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

/* The line without its time; checks that that looks like one. */
static const char *without_time(const char *line, const char *prefix)
{
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millisecond = 0, end = 0;

    assert_memory_equal(line, prefix, strlen(prefix));
    line += strlen(prefix);
    assert_int_equal(sscanf(line, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour, &minute,
                            &second, &millisecond, &end),
                     7);
    assert_int_equal(end, 28);
    assert_true(year >= 2024 && year <= 2200);
    return line + end;
}

static void line_is_written(void **state)
{
    (void)state;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event(EVENT_LISTENING, log_text("address", "127.0.0.1:9012"));
    assert_string_equal(without_time(written(), ""), "level=info event=listening address=127.0.0.1:9012\n");
}

/* Milliseconds are cut, not rounded: a line is not from the next second. */
static void the_time_of_a_line(void **state)
{
    (void)state;
    set_time = (struct timespec){.tv_sec = 1800000000, .tv_nsec = 5000000};
    log_event(EVENT_CLIENTS_SEEN, log_number("n", 1));
    assert_memory_equal(written(), "ts=2027-01-15T08:00:00.005Z ", 28);
    set_time.tv_nsec = 999999999;
    log_event(EVENT_CLIENTS_SEEN, log_number("n", 2));
    assert_memory_equal(written(), "ts=2027-01-15T08:00:00.999Z ", 28);
    set_time.tv_sec = 0;
}

static void level_and_format_change(void **state)
{
    (void)state;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event_at(LOG_LEVEL_DEBUG, EVENT_ALARM_CLEARED, log_number("n", 1));
    assert_string_equal(written(), "");
    log_sink_open(ends[1], LOG_FORMAT_JSON, LOG_LEVEL_DEBUG);
    log_event_at(LOG_LEVEL_DEBUG, EVENT_ALARM_CLEARED, log_number("n", 1));
    const char *line = written();
    assert_memory_equal(line, "{\"ts\":\"", 7);
    assert_string_equal(strstr(line, ",\"level\""),
                        ",\"level\":\"debug\",\"event\":\"alarm-cleared\",\"n\":1}\n");
}

static void burst_is_held_back(void **state)
{
    unsigned lines = 0;

    (void)state;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    for (int i = 0; i < 10 * LOG_SINK_BURST; i++)
        log_event(EVENT_REPLICAS, log_number("n", i));
    for (const char *at = written(); (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    /* More only where a second began meanwhile. */
    assert_true(lines >= LOG_SINK_BURST && lines <= 3 * LOG_SINK_BURST);
    log_event_at(LOG_LEVEL_ERROR, EVENT_REPLICAS, log_number("n", 1));
    assert_non_null(strstr(written(), " n=1 suppressed="));
}

static void journal_gets_a_prefix(void **state)
{
    struct stat status;
    char stream[64];

    (void)state;
    assert_int_equal(fstat(ends[1], &status), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_DEBUG);
    static const struct {
        enum log_level level;
        const char *prefix;
    } prefixes[] = {{LOG_LEVEL_ERROR, "<3>"},
                    {LOG_LEVEL_WARNING, "<4>"},
                    {LOG_LEVEL_INFO, "<6>"},
                    {LOG_LEVEL_DEBUG, "<7>"}};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        log_event_at(prefixes[i].level, EVENT_PARK, log_number("n", 1));
        (void)without_time(written(), prefixes[i].prefix);
    }
    /* Another stream's identity: stderr was sent elsewhere. */
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_DEBUG);
    log_event(EVENT_PARK, log_number("n", 1));
    (void)without_time(written(), "");
    unsetenv("JOURNAL_STREAM");
}

static void fill_pipe(void)
{
    char filler[4096] = "";

    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], filler, sizeof(filler)) > 0)
        continue;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
}

static void empty_pipe(void)
{
    char filler[4096];

    while (read(ends[0], filler, sizeof(filler)) > 0)
        assert_null(memchr(filler, '\n', sizeof(filler)));
}

/* A write to a full pipe would never return: alarm() ends the test then. */
static void full_pipe_does_not_block(void **state)
{
    (void)state;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    fill_pipe();
    alarm(20);
    log_event(EVENT_HINTS_REFUSED, log_number("n", 1));
    alarm(0);
    empty_pipe();
    log_event(EVENT_HINTS_REFUSED, log_number("n", 2));
    const char *text = written();
    assert_string_equal(without_time(strchr(text, '\n') + 1, ""), "level=info event=hints-refused n=2\n");
    assert_non_null(strstr(text, "level=warning event=lines-lost of=all lines=1\n"));
}

/* The line that tells of lost lines may be lost, too. Then it counts with them. */
static void news_of_lost_lines_is_lost(void **state)
{
    (void)state;
    fill_pipe();
    log_event(EVENT_MASTER_DOUBTED, log_number("n", 1));
    log_event(EVENT_MASTER_DOUBTED, log_number("n", 2));
    empty_pipe();
    log_sink_tick(INT64_MAX);
    assert_non_null(strstr(written(), "event=lines-lost of=all lines=3\n"));
}

/* What takes a line when poll() says so, and what refuses it all the same: that line is lost and counted. */
static void check_write(int fd, unsigned lost)
{
    uint64_t dropped = log_sink_dropped();

    assert_int_not_equal(fd, -1);
    log_sink_open(fd, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event(EVENT_MASTER_TRUSTED, log_number("n", 1));
    assert_int_equal(log_sink_dropped() - dropped, lost);
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_sink_tick(INT64_MAX);
    assert_int_equal(strstr(written(), "event=lines-lost of=all lines=1\n") != NULL, lost);
    close(fd);
}

static void a_write_that_fails_is_counted(void **state)
{
    int pair[2];
    char line[512] = "";

    (void)state;
    check_write(open("/dev/full", O_WRONLY | O_CLOEXEC), 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    check_write(fcntl(pair[1], F_DUPFD_CLOEXEC, 0), 0);
    assert_true(recv(pair[0], line, sizeof(line) - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(line, "event=master-trusted n=1\n"));
    assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    check_write(pair[1], 1);
    close(pair[0]);
}

/* Lines that are to be kept wait for the reader, and nothing overtakes them. */
static void kept_lines_wait_for_the_reader(void **state)
{
    uint64_t dropped = log_sink_dropped();
    unsigned next = 0;

    (void)state;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    fill_pipe();
    for (unsigned i = 0; i < 3 * LOG_SINK_BURST; i++)
        log_event(EVENT_SESSIONS_CUT, log_number("n", i));
    log_event(EVENT_NODE_UP, log_number("n", 1));
    assert_true(log_sink_dropped() == dropped + 1);
    empty_pipe();
    log_sink_tick(INT64_MAX);
    const char *text = written();
    for (const char *at = text; (at = strstr(at, "event=sessions-cut n=")) != NULL; at++)
        assert_int_equal(strtoul(at + strlen("event=sessions-cut n="), NULL, 10), next++);
    assert_int_equal(next, 3 * LOG_SINK_BURST);
    assert_null(strstr(text, "event=node-up"));
    assert_non_null(strstr(strstr(text, "n=59"), "event=lines-lost of=all lines=1\n"));
}

/* What has no room is lost and counted. */
static void kept_lines_are_bounded(void **state)
{
    static char words[1000];
    uint64_t dropped = log_sink_dropped();

    (void)state;
    memset(words, 'x', sizeof(words) - 1);
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    fill_pipe();
    for (unsigned i = 0; i < 200; i++)
        log_event_at(LOG_LEVEL_INFO, EVENT_HOOK_ENDED, log_text("words", words));
    assert_in_range(log_sink_dropped() - dropped, 50, 150);
    empty_pipe();
    for (unsigned i = 0; i < 10; i++) {
        log_sink_tick(INT64_MAX);
        if (strstr(written(), "event=lines-lost") != NULL)
            return;
    }
    fail(); /* a pipe takes some of them at a time */
}

/* The count is told although no other line follows. */
static void suppressed_lines_are_told_by_the_tick(void **state)
{
    (void)state;
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    for (int i = 0; i < 3 * LOG_SINK_BURST; i++)
        log_event(EVENT_SENTINEL_UP, log_number("n", i));
    (void)written();
    log_sink_tick(INT64_MAX);
    assert_non_null(strstr(written(), "event=lines-suppressed of=sentinel-up lines="));
}

/* SIGPIPE has its default action here: it would end the test. */
static void gone_reader_is_survived(void **state)
{
    int pair[2];

    (void)state;
    close(ends[0]);
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event_at(LOG_LEVEL_ERROR, EVENT_STARTED, log_number("n", 1));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    log_sink_open(pair[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    close(pair[0]);
    log_event_at(LOG_LEVEL_ERROR, EVENT_STARTED, log_number("n", 2));
    close(pair[1]);
}

/* ---- syslog ---- */

/* The descriptor that would be opened next. */
static int next_descriptor(void)
{
    int fd = dup(STDIN_FILENO);

    assert_int_not_equal(fd, -1);
    close(fd);
    return fd;
}

static char syslog_path[64];

static int listen_as_syslog(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(syslog_path, sizeof(syslog_path), "/tmp/test-log-sink-%d.sock", (int)getpid());
    memcpy(address.sun_path, syslog_path, strlen(syslog_path) + 1);
    unlink(syslog_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* The next line that the daemon got, "" where there is none. */
static const char *heard(int fd)
{
    static char text[8192];
    ssize_t got = recv(fd, text, sizeof(text) - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void goes_to_syslog(void **state)
{
    char prefix[64];
    int fd = listen_as_syslog();

    (void)state;
    log_sink_open_syslog(syslog_path, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event_at(LOG_LEVEL_WARNING, EVENT_STARTING, log_number("n", 1));
    snprintf(prefix, sizeof(prefix), "<28>sentinel-spoa[%d]: ", (int)getpid());
    assert_string_equal(without_time(heard(fd), prefix), "level=warning event=starting n=1\n");
    log_event(EVENT_SENTINEL_HINT, log_number("n", 2));
    assert_string_equal(heard(fd), "");
    int free_one = next_descriptor();
    close(fd); /* the daemon is started anew */
    fd = listen_as_syslog();
    log_event(EVENT_NOT_LISTENING, log_number("n", 3));
    assert_non_null(strstr(heard(fd), "event=not-listening"));
    assert_int_equal(next_descriptor(), free_one); /* the old socket is closed */
    log_sink_open(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_sink_tick(0); /* it is not looked for any more */
    log_event(EVENT_STOPPING, log_number("n", 5));
    assert_non_null(strstr(written(), "event=stopping"));
    assert_string_equal(heard(fd), "");
    close(fd);
    unlink(syslog_path);
}

/* Until restore_stderr(), what is written to stderr is written to the pipe. */
static int divert_stderr(void)
{
    int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    assert_true(dup2(ends[1], STDERR_FILENO) != -1);
    return before;
}

static void restore_stderr(int before)
{
    assert_true(dup2(before, STDERR_FILENO) != -1);
    close(before);
}

/* With a path and without one. */
static void the_sink_is_chosen(void **state)
{
    int fd = listen_as_syslog();
    int before = divert_stderr();

    (void)state;
    log_sink_choose(syslog_path, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event(EVENT_SENTINEL_DOWN, log_number("n", 1));
    assert_non_null(strstr(heard(fd), "event=sentinel-down n=1\n"));
    log_sink_choose(NULL, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_event(EVENT_SENTINEL_DOWN, log_number("n", 2));
    assert_non_null(strstr(written(), "event=sentinel-down n=2\n"));
    assert_string_equal(heard(fd), "");
    restore_stderr(before);
    close(fd);
    unlink(syslog_path);
}

/* It is told why the daemon cannot be used, here: there is no descriptor left. stderr serves. */
static void no_descriptor_for_syslog(void **state)
{
    struct rlimit limit;
    int fd = listen_as_syslog();
    int before = divert_stderr();

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)next_descriptor(), .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    log_sink_open_syslog(syslog_path, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_non_null(strstr(written(), "error=\"Too many open files\"\n"));
    restore_stderr(before);
    close(fd);
    unlink(syslog_path);
}

/* A daemon that is slow is not left: what is to be kept waits until it takes lines again. */
static void a_slow_daemon_keeps_its_lines(void **state)
{
    int fd = listen_as_syslog();
    int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int before = divert_stderr();
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    log_sink_open_syslog(syslog_path, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    memcpy(address.sun_path, syslog_path, strlen(syslog_path) + 1);
    while (sendto(filler, "x", 1, 0, (const struct sockaddr *)&address, sizeof(address)) == 1)
        continue;
    assert_int_equal(errno, EAGAIN);
    unlink(syslog_path); /* who left it would not find it again */
    errno = 0;
    log_event(EVENT_FENCED, log_number("n", 1));
    while (strcmp(heard(fd), "x") == 0)
        continue;
    assert_string_equal(heard(fd), "");
    log_sink_tick(INT64_MAX);
    assert_non_null(strstr(heard(fd), "event=fenced n=1\n"));
    assert_string_equal(written(), "");
    restore_stderr(before);
    close(filler);
    close(fd);
}

/* While there is no daemon, stderr serves. It is used as soon as it is there. */
static void syslog_that_comes_later_is_used(void **state)
{
    int before = divert_stderr();

    (void)state;
    snprintf(syslog_path, sizeof(syslog_path), "/tmp/test-log-sink-%d.sock", (int)getpid());
    log_sink_open_syslog(syslog_path, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    assert_non_null(strstr(written(), "event=no-syslog"));
    log_event(EVENT_STARTING, log_number("n", 1));
    assert_non_null(strstr(written(), "event=starting"));
    int free_one = next_descriptor();
    log_sink_tick(0);
    assert_int_equal(next_descriptor(), free_one); /* in vain, and nothing is left open */
    int fd = listen_as_syslog();
    log_sink_tick(0);
    assert_non_null(strstr(heard(fd), "event=syslog path="));
    log_event(EVENT_NOT_LISTENING, log_number("n", 2));
    assert_non_null(strstr(heard(fd), "event=not-listening"));
    assert_string_equal(written(), "");
    close(fd);
    unlink(syslog_path);
    log_event(EVENT_STOPPING, log_number("n", 3));
    assert_non_null(strstr(written(), "event=stopping"));
    fd = listen_as_syslog();
    log_sink_tick(0);
    assert_non_null(strstr(heard(fd), "event=syslog path="));
    close(fd);
    unlink(syslog_path);
    restore_stderr(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_is_written, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(the_time_of_a_line, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(level_and_format_change, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(burst_is_held_back, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(journal_gets_a_prefix, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(full_pipe_does_not_block, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(news_of_lost_lines_is_lost, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_write_that_fails_is_counted, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(gone_reader_is_survived, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(goes_to_syslog, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(the_sink_is_chosen, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(no_descriptor_for_syslog, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_slow_daemon_keeps_its_lines, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(kept_lines_wait_for_the_reader, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(kept_lines_are_bounded, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(suppressed_lines_are_told_by_the_tick, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(syslog_that_comes_later_is_used, open_pipe, close_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
