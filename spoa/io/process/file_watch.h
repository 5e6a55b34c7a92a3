/* Tells when one of some files has changed: written to, replaced by another of its name, or by way of a symbolic link. */
#ifndef SPOA_IO_PROCESS_FILE_WATCH_H
#define SPOA_IO_PROCESS_FILE_WATCH_H

#include <ev.h>
#include <stdbool.h>

#include "proto/must_check.h"

struct file_watch;

typedef void (*file_watch_changed_fn)(void *context, const char *path);

/* Calls `on_change` with a path that has changed, FILE_WATCH_DELAY_S after that was seen. NULL where memory is
 * short. */
MUST_CHECK struct file_watch *file_watch_create(struct ev_loop *loop, file_watch_changed_fn on_change,
                                                void *context);
void file_watch_destroy(struct file_watch *watch); /* NULL is fine */

/* So late, since what one person or program writes comes in pieces; over a second, for ev_stat(3) sees but one change
 * in each. */
#define FILE_WATCH_DELAY_S 1.1

/* Watches `path` as well, whether it is there or not; `path` is copied. One that is watched already is known as it was
 * when it was looked at last. False where memory is short. */
bool file_watch_add(struct file_watch *watch, const char *path);

/* Takes all as they are now for unchanged. */
void file_watch_look(struct file_watch *watch);

/* Watches nothing any more. */
void file_watch_clear(struct file_watch *watch);

#endif
