/* What the process says of itself: times that do not tremble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <dirent.h>

#include "spoa/core/status/status.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/process/process_stats.h"

#define TIMES 2000

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
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_start_stays), cmocka_unit_test(it_is_unix_time),
                                       cmocka_unit_test(descriptors_are_counted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
