/* The errors of a configuration: messages with their places, in the order of the lines. */
#ifndef SPOA_CORE_CONFIG_CONFIG_ERRORS_H
#define SPOA_CORE_CONFIG_CONFIG_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

/* Where a key is. */
struct config_place {
    const char *file;
    unsigned line; /* 0: the message is about the whole file */
};

/* All zero is an empty list. Messages about the whole file come last. */
struct config_errors {
    char **texts; /* "FILE:LINE: ..." */
    unsigned *lines;
    size_t count;
    bool out_of_memory; /* some texts are missing */
};

/* Adds a message with "FILE:LINE: " in front, or "FILE: " if the line is 0. Control characters become '?'. */
void config_error(struct config_errors *errors, const struct config_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Frees the messages and empties the list. */
void config_errors_finish(struct config_errors *errors);

#endif
