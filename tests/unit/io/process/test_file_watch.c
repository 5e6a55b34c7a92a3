/* Which changes of files are told, and which are not: all in one run of a loop, because a change is told late. */
#include "spoa/io/process/file_watch.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longer than any change takes to be told. */
#define PATIENCE_S 30.0

#define NAME_MAX_LEN 128

static char directory[64];
static struct ev_loop *loop;
static unsigned missing; /* changes that are not told yet */

/* A watched file in a folder of its own. */
struct watched {
    const char *what;
    void (*prepare)(struct watched *watched); /* before it is watched */
    void (*change)(struct watched *watched);  /* long after */
    bool is_told;
    char folder[NAME_MAX_LEN];
    char path[NAME_MAX_LEN];
    char other[NAME_MAX_LEN]; /* a file beside it, which is there if prepare() makes it */
    struct file_watch *watch;
    unsigned count; /* how often it was told */
};

static void on_change(void *context, const char *path)
{
    struct watched *watched = context;

    assert_string_equal(path, watched->path);
    if (watched->count++ == 0 && watched->is_told && --missing == 0)
        ev_break(loop, EVBREAK_ALL);
}

/* ---- before and after ---- */

static void write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_not_equal(file, -1);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

static void set_time(const char *path, long seconds, long nanoseconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds, .tv_nsec = nanoseconds},
                                      {.tv_sec = seconds, .tv_nsec = nanoseconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void make_file(struct watched *watched)
{
    write_file(watched->path, "text");
    set_time(watched->path, 1000, 1);
}

static void make_both(struct watched *watched)
{
    make_file(watched);
    write_file(watched->other, "text");
    set_time(watched->other, 1000, 1);
}

static void make_link(struct watched *watched)
{
    char target[2 * NAME_MAX_LEN];

    (void)snprintf(target, sizeof(target), "%s.1", watched->path);
    write_file(target, "one");
    assert_int_equal(symlink(target, watched->path), 0);
}

static void make_nothing(struct watched *watched)
{
    (void)watched;
}

static void write_again(struct watched *watched)
{
    write_file(watched->path, "next");
}

static void write_more(struct watched *watched)
{
    write_file(watched->path, "longer text");
    set_time(watched->path, 1000, 1);
}

static void touch_later(struct watched *watched)
{
    set_time(watched->path, 1001, 1);
}

static void touch_a_little_later(struct watched *watched)
{
    set_time(watched->path, 1000, 2);
}

static void replace(struct watched *watched)
{
    assert_int_equal(rename(watched->other, watched->path), 0);
}

static void lead_elsewhere(struct watched *watched)
{
    char target[2 * NAME_MAX_LEN];

    (void)snprintf(target, sizeof(target), "%s.2", watched->path);
    write_file(target, "two");
    assert_int_equal(symlink(target, watched->other), 0);
    replace(watched);
}

static void take_away(struct watched *watched)
{
    assert_int_equal(unlink(watched->path), 0);
}

static void write_other(struct watched *watched)
{
    write_file(watched->other, "next");
}

static void write_and_look(struct watched *watched)
{
    write_again(watched);
    file_watch_look(watched->watch);
}

static void write_and_add(struct watched *watched)
{
    write_again(watched);
    assert_true(file_watch_add(watched->watch, watched->path));
}

static void clear_and_write(struct watched *watched)
{
    file_watch_clear(watched->watch);
    write_again(watched);
}

static struct watched all[] = {
    {.what = "written", .prepare = make_file, .change = write_again, .is_told = true},
    {.what = "longer, and as old", .prepare = make_file, .change = write_more, .is_told = true},
    {.what = "later", .prepare = make_file, .change = touch_later, .is_told = true},
    {.what = "a little later", .prepare = make_file, .change = touch_a_little_later, .is_told = true},
    {.what = "replaced by its like", .prepare = make_both, .change = replace, .is_told = true},
    {.what = "a link that leads elsewhere", .prepare = make_link, .change = lead_elsewhere, .is_told = true},
    {.what = "created", .prepare = make_nothing, .change = write_again, .is_told = true},
    {.what = "removed", .prepare = make_file, .change = take_away, .is_told = true},
    {.what = "added once more", .prepare = make_file, .change = write_and_add, .is_told = true},
    {.what = "left as it is", .prepare = make_file, .change = make_nothing, .is_told = false},
    {.what = "the file beside it is written", .prepare = make_both, .change = write_other, .is_told = false},
    {.what = "looked at", .prepare = make_file, .change = write_and_look, .is_told = false},
    {.what = "watched no more", .prepare = make_file, .change = clear_and_write, .is_told = false},
};

enum { COUNT = sizeof(all) / sizeof(*all) };

/* ---- the run ---- */

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/watch-XXXXXX");
    assert_non_null(mkdtemp(directory));
    loop = ev_loop_new(0);
    assert_non_null(loop);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        file_watch_destroy(all[i].watch);
    ev_loop_destroy(loop);
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void stop(struct ev_loop *stopped, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(stopped, EVBREAK_ALL);
}

/* Runs the loop for that long, or until the last change is told. */
static void run(double limit_s)
{
    ev_timer timer;

    ev_now_update(loop);
    ev_timer_init(&timer, stop, limit_s, 0.);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    ev_timer_stop(loop, &timer);
}

static void check_counts(bool is_changed)
{
    for (int i = 0; i < COUNT; i++)
        if (all[i].count != (is_changed && all[i].is_told ? 1 : 0))
            fail_msg("%s: told %u times", all[i].what, all[i].count);
}

static void test_changes(void **state)
{
    (void)state;
    missing = 0;
    for (int i = 0; i < COUNT; i++) {
        struct watched *watched = &all[i];
        (void)snprintf(watched->folder, sizeof(watched->folder), "%s/%d", directory, i);
        (void)snprintf(watched->path, sizeof(watched->path), "%s/%d/file", directory, i);
        (void)snprintf(watched->other, sizeof(watched->other), "%s/%d/other", directory, i);
        assert_int_equal(mkdir(watched->folder, 0700), 0);
        watched->prepare(watched);
        watched->watch = file_watch_create(loop, on_change, watched);
        assert_non_null(watched->watch);
        assert_true(file_watch_add(watched->watch, watched->path));
        missing += watched->is_told;
    }
    /* A look comes soon after a file is added, whatever is seen. From then on only what is seen counts. */
    run(2 * FILE_WATCH_DELAY_S);
    check_counts(false);
    for (int i = 0; i < COUNT; i++)
        all[i].change(&all[i]);
    run(PATIENCE_S);
    run(2 * FILE_WATCH_DELAY_S); /* nothing comes twice, or late */
    check_counts(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
