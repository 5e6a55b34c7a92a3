/*
 * Reads the text of a configuration file: takes bytes, gives sections and keys to config.h. Pure: a function
 * gives the values of the environment.
 *
 *     [section]      ; a comment begins with ';' at the start of a line or behind a blank,
 *     key = value    # or with '#' at the start of a line
 *
 * Blanks around lines, keys and values do not count. ${NAME} in a value is replaced by the variable of that
 * name. Its value is not expanded again. "$$" is one '$'. A value in quotes is an error, because the quotes would be part of
 * it.
 */
#ifndef SPOA_CORE_CONFIG_CONFIG_READER_H
#define SPOA_CORE_CONFIG_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/config/config_errors.h"

struct config;

/* The most bytes of a line, without the newline. */
#define CONFIG_LINE_MAX ((size_t)64 * 1024)

/* Returns the value of a variable, borrowed, or NULL if it is not set. getenv(3) is such a function. */
typedef char *(*config_variable_fn)(const char *name);

struct config_reader {
    struct config *config;
    struct config_errors *errors;
    config_variable_fn variable;
    struct config_place place; /* of the line that was read last */
    unsigned password_line; /* the first that has a password, and not a variable for it; 0: there is none */
    /* Length of the incomplete line. `line` keeps only its first CONFIG_LINE_MAX bytes. */
    size_t len;
    char line[CONFIG_LINE_MAX + 1];
};

/* All pointers are borrowed. `file` is for messages. */
void config_reader_init(struct config_reader *reader, struct config *config, const char *file,
                        config_variable_fn variable, struct config_errors *errors);

/* Takes the next bytes of the file, cut anywhere. Reports the errors of complete lines. */
void config_reader_feed(struct config_reader *reader, const char *bytes, size_t len);

/* Call at the end of the file: its last line may have no newline. */
void config_reader_end(struct config_reader *reader);

/* Whether a line of a file can give exactly this value. A variable can have values that no line can give. */
bool config_reader_can_give(const char *value);

/* Whether there is the same kind of quote at both ends. */
bool config_reader_is_quoted(const char *text);

#endif
