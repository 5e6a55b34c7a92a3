/*
 * The configuration file: passes its bytes to core/config/config_reader.h, and reads the files that it names.
 */
#ifndef SPOA_IO_PROCESS_CONFIG_FILE_H
#define SPOA_IO_PROCESS_CONFIG_FILE_H

#include <stdbool.h>

#include "proto/must_check.h"
#include "spoa/core/base/progress.h"

struct config;
struct config_credentials;
struct config_errors;

/*
 * Reads `path` into `config`, expands ${ENV} in values, reads the password files and checks the whole.
 * Returns false if anything is wrong; `errors` then lists all of it. config->warnings lists what is unwise.
 */
MUST_CHECK bool config_file_load(const char *path, struct config *config, struct config_errors *errors);

/* The same in slices, while the loop goes on. The bytes of the file are read at once. */
struct config_load;

/* All is borrowed. NULL if memory is short. */
MUST_CHECK struct config_load *config_load_begin(const char *path, struct config *config,
                                                 struct config_errors *errors);

/* A kilobyte of the file costs a unit, a service costs some. */
enum progress config_load_step(struct config_load *load, size_t *io_budget);

/* After the last step: whether all is good, as config_file_load() has it. */
bool config_load_is_good(const struct config_load *load);
void config_load_destroy(struct config_load *load); /* NULL is fine */

/* Reads the file that `password_file` names, if there is no password yet. `what` is the word for it in messages. `file`
 * has the line `password_file_line`, which names it. */
void config_file_read_secret(struct config_credentials *credentials, const char *what, const char *file,
                             struct config_errors *errors, struct config_errors *warnings);

/*
 * The second half of that, for keys that came from elsewhere: reads the password files and checks the whole.
 * `path` is what errors call the place where the keys are from.
 */
MUST_CHECK bool config_file_finish(const char *path, struct config *config, struct config_errors *errors);

#endif
