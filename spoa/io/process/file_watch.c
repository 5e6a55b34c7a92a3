#include "spoa/io/process/file_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"

/*
 * ev_stat uses inotify if that works, else it polls. On a file it sees writes to that file. A replaced file,
 * or a symbolic link that leads elsewhere, shows as a change of the folder. (Kubernetes changes a link of the
 * folder, not of the file.) But a folder changes for other reasons, too: so the file's own stat() decides.
 */
struct file {
    struct file *next;
    struct file_watch *watch;
    char *path;
    char *folder;
    struct stat last;
    ev_stat in_file;
    ev_stat in_folder;
};

struct file_watch {
    struct ev_loop *loop;
    file_watch_changed_fn on_change;
    void *context;
    struct file *files;
    ev_timer delay;
};

/* The stat() of `path`, symbolic links followed. All zero if there is no file. */
static struct stat look(const char *path)
{
    struct stat now;

    if (stat(path, &now) == -1)
        memset(&now, 0, sizeof(now));
    return now;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Looks at all files. Returns one of the changed files, or NULL. */
static const struct file *find_changed(struct file_watch *watch)
{
    const struct file *changed = NULL;

    for (struct file *file = watch->files; file != NULL; file = file->next) {
        struct stat now = look(file->path);
        if (!is_same(&now, &file->last))
            changed = file;
        file->last = now;
    }
    return changed;
}

static void on_delay(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct file_watch *watch = container_of(timer, struct file_watch, delay);
    const struct file *changed = find_changed(watch);

    (void)loop;
    (void)events;
    if (changed != NULL)
        watch->on_change(watch->context, changed->path);
}

/* Looks at all files a moment from now. One look is enough for all changes until then. */
static void look_later(struct file_watch *watch)
{
    if (ev_is_active(&watch->delay))
        return;
    ev_timer_set(&watch->delay, FILE_WATCH_DELAY_S, 0.);
    ev_timer_start(watch->loop, &watch->delay);
}

static void on_event(struct ev_loop *loop, ev_stat *watcher, int events)
{
    const struct file *file = watcher->data;

    (void)loop;
    (void)events;
    look_later(file->watch);
}

struct file_watch *file_watch_create(struct ev_loop *loop, file_watch_changed_fn on_change, void *context)
{
    struct file_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return NULL;
    watch->loop = loop;
    watch->on_change = on_change;
    watch->context = context;
    ev_timer_init(&watch->delay, on_delay, 0., 0.);
    return watch;
}

/* The folder of `path`. The caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static void destroy(struct file *file)
{
    free(file->path);
    free(file->folder);
    free(file);
}

static void watch_path(struct ev_loop *loop, ev_stat *watcher, const char *path, struct file *file)
{
    ev_stat_init(watcher, on_event, path, 0.);
    watcher->data = file;
    ev_stat_start(loop, watcher);
}

bool file_watch_add(struct file_watch *watch, const char *path)
{
    for (const struct file *file = watch->files; file != NULL; file = file->next)
        if (strcmp(file->path, path) == 0)
            return true;
    struct file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return false;
    file->path = strdup(path);
    file->folder = folder_of(path);
    if (file->path == NULL || file->folder == NULL) {
        destroy(file);
        return false;
    }
    file->watch = watch;
    file->last = look(path);
    LL_PREPEND(watch->files, file);
    watch_path(watch->loop, &file->in_file, file->path, file);
    watch_path(watch->loop, &file->in_folder, file->folder, file);
    /* ev_stat(3) does not see a change within the second of its own first look, if the size stays the same. */
    look_later(watch);
    return true;
}

void file_watch_look(struct file_watch *watch)
{
    (void)find_changed(watch);
}

void file_watch_clear(struct file_watch *watch)
{
    struct file *file;
    struct file *next;

    LL_FOREACH_SAFE (watch->files, file, next) {
        ev_stat_stop(watch->loop, &file->in_file);
        ev_stat_stop(watch->loop, &file->in_folder);
        destroy(file);
    }
    watch->files = NULL;
}

void file_watch_destroy(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    file_watch_clear(watch);
    ev_timer_stop(watch->loop, &watch->delay);
    free(watch);
}
