/* For init.c: writes the files, all of them or none. */
#ifndef SPOA_CLI_INIT_FILES_H
#define SPOA_CLI_INIT_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/base/text.h"

/* The group of the agent's user, where it is installed. */
#define INIT_GROUP "sentinel-spoa"

struct init_file {
    char *path; /* owned */
    struct text text;
    bool is_agents; /* for the agent's user only: it says where passwords are */
};

/* Whether there is no file yet or, if they may be replaced, nothing but files. Says on stderr which are in the way. */
MUST_CHECK bool init_files_are_free(const struct init_file *files, size_t count, bool may_replace);

/* Writes all of them under other names, then gives them theirs. A file that is there is kept as FILE.bak, and said. Says on
 * stderr what failed. */
MUST_CHECK bool init_files_write(const struct init_file *files, size_t count);

#endif
