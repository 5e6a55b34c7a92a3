/* Where the sections and keys of a configuration stand, for messages. Pure. */
#ifndef SPOA_CORE_CONFIG_CONFIG_LINES_H
#define SPOA_CORE_CONFIG_CONFIG_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"

/* All zero is an empty list. */
struct config_lines {
    struct config_line *list;
    size_t count;
    const char **texts; /* each section and key once */
    size_t text_count;
};

void config_lines_finish(struct config_lines *lines);

/*
 * Notes a key of the section `section` ("agent", "sentinels", "service" ...) with this index among its kind; the
 * section itself has the key "". The texts are borrowed for good. False if memory is short.
 */
MUST_CHECK bool config_lines_note(struct config_lines *lines, const char *section, size_t index,
                                  const char *key, unsigned line);

/* The line of the key; of the `nth` one, from 0 on, where it is repeated. If it is not given: of its section. 0 if
 * that is not given either. */
unsigned config_lines_find(const struct config_lines *lines, const char *section, size_t index,
                           const char *key, size_t nth);

/* Whether the key is given. */
bool config_lines_have(const struct config_lines *lines, const char *section, size_t index, const char *key);

#endif
