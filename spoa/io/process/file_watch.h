/* Tells when a watched file changes: it is written to, replaced, or a symbolic link leads elsewhere. */
#ifndef SPOA_IO_PROCESS_FILE_WATCH_H
#define SPOA_IO_PROCESS_FILE_WATCH_H

#include <ev.h>
#include <stdbool.h>

#include "proto/must_check.h"

struct file_watch;

typedef void (*file_watch_changed_fn)(void *context, const char *path);

/* Calls `on_change` with a changed path, FILE_WATCH_DELAY_S after the change was seen. NULL if memory is
 * short. */
MUST_CHECK struct file_watch *file_watch_create(struct ev_loop *loop, file_watch_changed_fn on_change,
                                                void *context);
void file_watch_destroy(struct file_watch *watch); /* NULL is fine */

/* One edit comes in several writes: the delay waits for the rest. It is over a second because ev_stat(3)
 * sees only one change per second. */
#define FILE_WATCH_DELAY_S 1.1

/* Also watches `path`, which is copied and need not exist. If it is watched already, this changes nothing:
 * it is still compared with the last look. False if memory is short. */
bool file_watch_add(struct file_watch *watch, const char *path);

/* Looks at all files. Changes before this call are not reported any more. */
void file_watch_look(struct file_watch *watch);

/* Stops watching all files. */
void file_watch_clear(struct file_watch *watch);

#endif
