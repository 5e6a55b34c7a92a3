/* What the process says of itself: times that do not tremble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spoa/core/status/status.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/process/process_stats.h"

#define TIMES 2000
#define FD_FOLDER "/proc/self/fd"

/* Earlier ones had no stat() whose place a program could take. */
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 33)
#define HAS_OWN_STAT false
#else
#define HAS_OWN_STAT true
#endif

static struct timespec set_real; /* what the clocks say; 0: the true times */
static struct timespec set_boot;
static const char *stat_text; /* /proc/self/stat; NULL: the true one */
static off_t fd_size = -1;    /* of the folder of descriptors; -1: its true one, -2: it cannot be told */
static bool has_no_folder;    /* of descriptors */
static int entries = -1;      /* that it has yet; -1: its true ones */

/* These are in place of the C library's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_REALTIME && set_real.tv_sec != 0)
        *now = set_real;
    else if (clock == CLOCK_BOOTTIME && set_boot.tv_sec != 0)
        *now = set_boot;
    else
        return (int)syscall(SYS_clock_gettime, clock, now);
    return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int stat(const char *restrict path, struct stat *restrict found)
{
    if (fd_size == -1 || strcmp(path, FD_FOLDER) != 0)
        return fstatat(AT_FDCWD, path, found, 0);
    *found = (struct stat){.st_size = fd_size == -2 ? 5 : fd_size};
    return fd_size == -2 ? -1 : 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
FILE *fopen(const char *restrict path, const char *restrict mode)
{
    FILE *(*next)(const char *, const char *);

    if (stat_text != NULL && strcmp(path, "/proc/self/stat") == 0)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        return stat_text[0] != '\0' ? fmemopen((void *)(uintptr_t)stat_text, strlen(stat_text), "r") : NULL;
    *(void **)(void *)&next = dlsym(RTLD_NEXT, "fopen");
    return next(path, mode);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
DIR *opendir(const char *path)
{
    DIR *(*next)(const char *);

    *(void **)(void *)&next = dlsym(RTLD_NEXT, "opendir");
    return has_no_folder ? NULL : next(path);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
struct dirent *readdir(DIR *folder)
{
    static struct dirent entry;
    struct dirent *(*next)(DIR *);

    *(void **)(void *)&next = dlsym(RTLD_NEXT, "readdir");
    if (entries == -1)
        return next(folder);
    return entries-- > 0 ? &entry : NULL;
}

/* It must be the first: what is measured first counts as long as it is not far away. */
static void steps_of_the_clock(void **state)
{
    (void)state;
    set_boot = (struct timespec){.tv_sec = 5000, .tv_nsec = 998500000};
    set_real = (struct timespec){.tv_sec = 1800000000, .tv_nsec = 999999999};
    assert_int_equal(clock_to_unix_ms(0), 1799995000001);
    set_boot.tv_nsec = 999999000;
    set_real.tv_nsec = 999999000;
    set_boot.tv_sec = 6000;
    set_real.tv_sec = 1800001000;
    assert_int_equal(clock_to_unix_ms(7), 1799995000008);
    set_boot.tv_nsec = 0;
    set_real.tv_nsec = 51000000; /* by 50 */
    assert_int_equal(clock_to_unix_ms(7), 1799995000008);
    set_real.tv_nsec = 52000000; /* by 51 */
    assert_int_equal(clock_to_unix_ms(7), 1799995000059);
    set_real.tv_nsec = 0; /* by 52, back */
    assert_int_equal(clock_to_unix_ms(7), 1799995000007);
}

/* After the name, which may have what ends it: "S", and numbers of which each is unlike the others. */
static const char *proc_stat(const char *name, unsigned count)
{
    static char text[2048];
    size_t len = (size_t)snprintf(text, sizeof(text), "77 (%s) S", name);

    for (unsigned i = 1; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %u", 100000 + 1000 * i);
    return text;
}

static void numbers_of_the_kernel(void **state)
{
    struct process_stats stats;

    (void)state;
    set_boot = (struct timespec){.tv_sec = 5000};
    set_real = (struct timespec){.tv_sec = 1800000000};
    stat_text = proc_stat("a) b (c", 40);
    process_stats_read(&stats);
    assert_int_equal(stats.virtual_bytes, 120000);
    assert_int_equal(stats.resident_bytes, 121000 * sysconf(_SC_PAGESIZE));
    assert_int_equal(stats.t_start_unix_ms, 1799995000000 + 119000 * 1000 / sysconf(_SC_CLK_TCK));
    stat_text = proc_stat("a", 200); /* longer than what is read of it */
    process_stats_read(&stats);
    assert_int_equal(stats.virtual_bytes, 120000);
    /* What is not there is not known. */
    stat_text = proc_stat("a", 21);
    process_stats_read(&stats);
    assert_int_equal(stats.virtual_bytes, 120000);
    assert_int_equal(stats.resident_bytes, 0);
    static const char *const bad[] = {"", "77 a S 1 2 3"};
    for (size_t i = 0; i < 2; i++) {
        stat_text = bad[i];
        process_stats_read(&stats);
        assert_int_equal(stats.virtual_bytes, 0);
        assert_int_equal(stats.t_start_unix_ms, 0);
    }
}

static void processor_and_limit(void **state)
{
    struct process_stats stats;
    struct timespec cpu;
    struct rlimit limit;

    (void)state;
    process_stats_read(&stats);
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu), 0);
    double used_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    assert_true(stats.cpu_seconds > 0.0 && stats.cpu_seconds < used_s + 0.1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(stats.max_fds, limit.rlim_cur);
}

static uint64_t open_fds(void)
{
    struct process_stats stats;

    process_stats_read(&stats);
    return stats.open_fds;
}

/* Kernels before 6.2 do not tell the number: descriptors are counted, once a second at most. */
static void descriptors_of_old_kernels(void **state)
{
    (void)state;
    if (!HAS_OWN_STAT)
        skip();
    set_boot = (struct timespec){.tv_sec = 7000};
    fd_size = 7;
    assert_int_equal(open_fds(), 7);
    fd_size = 1;
    assert_int_equal(open_fds(), 1);
    fd_size = 0;
    uint64_t before = open_fds();
    int more[2];
    assert_int_equal(pipe(more), 0);
    assert_true(before > 2 && before < 100);
    set_boot.tv_nsec = 999000000;
    assert_int_equal(open_fds(), before);
    set_boot = (struct timespec){.tv_sec = 7001};
    assert_int_equal(open_fds(), before + 2);
    close(more[0]);
    close(more[1]);
    set_boot.tv_sec = 7002;
    fd_size = -2;
    assert_int_equal(open_fds(), before);
    for (int i = 3; i <= 5; i++) {
        set_boot.tv_sec = 7000 + i;
        entries = i;
        assert_int_equal(open_fds(), i - 3);
    }
    entries = -1;
    set_boot.tv_sec = 7010;
    has_no_folder = true;
    assert_int_equal(open_fds(), 0);
    has_no_folder = false;
}

static int restore(void **state)
{
    (void)state;
    set_real.tv_sec = 0;
    set_boot.tv_sec = 0;
    stat_text = NULL;
    fd_size = -1;
    return 0;
}

/* Two scrapes must tell one start, or changes(process_start_time_seconds[1h]) sees restarts. */
static void the_start_stays(void **state)
{
    struct process_stats first;
    struct process_stats later;

    (void)state;
    int64_t now_ms = clock_to_unix_ms(clock_ms());
    process_stats_read(&first);
    assert_in_range(first.t_start_unix_ms, now_ms - 600000, now_ms + 1000); /* the process has just begun */
    for (int i = 0; i < TIMES; i++) {
        process_stats_read(&later);
        assert_int_equal(later.t_start_unix_ms, first.t_start_unix_ms);
    }
}

static void it_is_unix_time(void **state)
{
    int64_t now_ms = (int64_t)time(NULL) * 1000;

    (void)state;
    assert_in_range(clock_to_unix_ms(clock_ms()), now_ms - 1000, now_ms + 5000);
}

static void descriptors_are_counted(void **state)
{
    struct process_stats stats;
    uint64_t listed = 0;
    DIR *folder = opendir("/proc/self/fd");

    (void)state;
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        listed++;
    closedir(folder);
    process_stats_read(&stats);
    assert_int_equal(stats.open_fds, listed - 3); /* ".", ".." and the folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(steps_of_the_clock, restore),
        cmocka_unit_test_teardown(numbers_of_the_kernel, restore),
        cmocka_unit_test_teardown(descriptors_of_old_kernels, restore),
        cmocka_unit_test(processor_and_limit),
        cmocka_unit_test(the_start_stays),
        cmocka_unit_test(it_is_unix_time),
        cmocka_unit_test(descriptors_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
