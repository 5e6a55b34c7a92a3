#include "spoa/core/config/config_lines.h"

#include <stdlib.h>
#include <string.h>

struct config_line {
    const char *section;
    size_t index;
    const char *key;
    unsigned line;
};

void config_lines_finish(struct config_lines *lines)
{
    free(lines->list);
    *lines = (struct config_lines){.list = NULL};
}

bool config_lines_note(struct config_lines *lines, const char *section, size_t index, const char *key,
                       unsigned line)
{
    struct config_line *larger = realloc(lines->list, (lines->count + 1) * sizeof(*larger));

    if (larger == NULL)
        return false;
    lines->list = larger;
    larger[lines->count++] =
        (struct config_line){.section = section, .index = index, .key = key, .line = line};
    return true;
}

static const struct config_line *find(const struct config_lines *lines, const char *section, size_t index,
                                      const char *key, size_t nth)
{
    for (size_t i = 0; i < lines->count; i++) {
        const struct config_line *line = &lines->list[i];
        if (strcmp(line->section, section) == 0 && line->index == index && strcmp(line->key, key) == 0 &&
            nth-- == 0)
            return line;
    }
    return NULL;
}

unsigned config_lines_find(const struct config_lines *lines, const char *section, size_t index,
                           const char *key, size_t nth)
{
    const struct config_line *found = find(lines, section, index, key, nth);

    if (found == NULL)
        found = find(lines, section, index, "", 0);
    return found != NULL ? found->line : 0;
}

bool config_lines_have(const struct config_lines *lines, const char *section, size_t index, const char *key)
{
    return find(lines, section, index, key, 0) != NULL;
}
