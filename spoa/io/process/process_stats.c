#include "spoa/io/process/process_stats.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spoa/core/status/status.h"
#include "spoa/io/net/loop.h"

/*
 * Unix time has been set if it is that far from where it was. Less is a measurement that was interrupted, or
 * a slow correction.
 */
#define CLOCK_STEP_MS 50

#define FD_FOLDER "/proc/self/fd"
#define WALK_INTERVAL_MS 1000

int64_t clock_to_unix_ms(int64_t t_ms)
{
    static int64_t offset_ms = INT64_MIN; /* between the two clocks */
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t measured_ms = ((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - clock_us()) / 1000;
    if (offset_ms == INT64_MIN || llabs(measured_ms - offset_ms) > CLOCK_STEP_MS)
        offset_ms = measured_ms;
    return t_ms + offset_ms;
}

/* Slow where there are thousands. */
static uint64_t walk_fds(void)
{
    DIR *directory = opendir(FD_FOLDER);
    uint64_t count = 0;

    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count > 3 ? count - 3 : 0; /* "." and "..", and the directory itself */
}

/* From Linux 6.2 on the size of the folder is their number. Before, they are counted, once a second at most. */
static uint64_t count_fds(void)
{
    static uint64_t count;
    static int64_t t_next_ms = INT64_MIN;
    struct stat folder;

    if (stat(FD_FOLDER, &folder) == 0 && folder.st_size > 0)
        return (uint64_t)folder.st_size;
    if (clock_ms() >= t_next_ms) {
        count = walk_fds();
        t_next_ms = clock_ms() + WALK_INTERVAL_MS;
    }
    return count;
}

/* The n-th field after the name in /proc/self/stat. Field 0 is the third of the file. */
static uint64_t read_field(const char *fields, unsigned n)
{
    for (unsigned i = 0; i < n && fields != NULL; i++)
        fields = strchr(fields + 1, ' ');
    return fields != NULL ? strtoull(fields + 1, NULL, 10) : 0;
}

static void read_stat(struct process_stats *stats)
{
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "re");

    if (file == NULL)
        return;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    /* The name in parentheses may contain anything, also blanks and parentheses. */
    const char *fields = strrchr(text, ')');
    if (fields == NULL)
        return;
    fields++;
    uint64_t start_ticks = read_field(fields, 19);
    stats->virtual_bytes = read_field(fields, 20);
    stats->resident_bytes = read_field(fields, 21) * (uint64_t)sysconf(_SC_PAGESIZE);
    int64_t t_start_ms = (int64_t)(start_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
    stats->t_start_unix_ms = clock_to_unix_ms(t_start_ms);
}

void process_stats_read(struct process_stats *ret_stats)
{
    struct rusage usage;
    struct rlimit limit;

    *ret_stats = (struct process_stats){.open_fds = count_fds()};
    read_stat(ret_stats);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        ret_stats->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        ret_stats->max_fds = (uint64_t)limit.rlim_cur;
}
