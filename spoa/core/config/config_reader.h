/*
 * The text of a configuration file: bytes in, sections and keys out to config.h. Pure: the environment comes in as a
 * function.
 *
 *     [section]      ; a comment begins with ';' at the start of a line or behind a blank,
 *     key = value    # or with '#' at the start of a line
 *
 * Blanks around lines, keys and values do not count. ${NAME} in a value is replaced by the variable of that name; what
 * the variable holds is not looked at again. A value in quotes is an error: they would become part of it.
 */
#ifndef SPOA_CORE_CONFIG_CONFIG_READER_H
#define SPOA_CORE_CONFIG_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/config/config_errors.h"

struct config;

/* The bytes of a line, without the newline. */
#define CONFIG_LINE_MAX ((size_t)64 * 1024)

/* The value of a variable, borrowed; NULL where it is not set. getenv(3) is one. */
typedef char *(*config_variable_fn)(const char *name);

struct config_reader {
    struct config *config;
    struct config_errors *errors;
    config_variable_fn variable;
    struct config_place place; /* of the line that was read last */
    size_t len; /* of the line that is not complete yet; no more than its first bytes are kept */
    char line[CONFIG_LINE_MAX + 1];
};

/* All is borrowed; `file` is for messages. */
void config_reader_init(struct config_reader *reader, struct config *config, const char *file,
                        config_variable_fn variable, struct config_errors *errors);

/* Takes the next bytes of the file, cut anywhere. What is wrong with the lines goes to the errors. */
void config_reader_feed(struct config_reader *reader, const char *bytes, size_t len);

/* The file ends here: its last line may have no newline. */
void config_reader_end(struct config_reader *reader);

/* Whether a line of a file can give this value as it stands. One that comes from a variable may be another. */
bool config_reader_can_give(const char *value);

#endif
