#include "spoa/core/config/config_lines.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* There are several for each of thousands of services, and few texts. */
struct config_line {
    uint16_t section; /* places in `texts` */
    uint16_t key;
    uint32_t index;
    uint32_t line;
};

void config_lines_finish(struct config_lines *lines)
{
    free(lines->list);
    free(lines->texts);
    *lines = (struct config_lines){.list = NULL};
}

/* `text_count` where it is not there. */
static size_t find_text(const struct config_lines *lines, const char *text)
{
    size_t at = 0;

    while (at < lines->text_count && strcmp(lines->texts[at], text) != 0)
        at++;
    return at;
}

/* The place of a text that is there, or is added; false if memory is short. */
static bool place_text(struct config_lines *lines, const char *text, uint16_t *ret_place)
{
    size_t at = find_text(lines, text);

    assert(at < UINT16_MAX); /* there are fewer keywords */
    *ret_place = (uint16_t)at;
    if (at < lines->text_count)
        return true;
    const char **larger = realloc(lines->texts, (at + 1) * sizeof(*larger));
    if (larger == NULL)
        return false;
    lines->texts = larger;
    larger[lines->text_count++] = text;
    return true;
}

bool config_lines_note(struct config_lines *lines, const char *section, size_t index, const char *key,
                       unsigned line)
{
    struct config_line noted = {.index = (uint32_t)index, .line = line};

    if (!place_text(lines, section, &noted.section) || !place_text(lines, key, &noted.key))
        return false;
    struct config_line *larger = realloc(lines->list, (lines->count + 1) * sizeof(*larger));
    if (larger == NULL)
        return false;
    lines->list = larger;
    larger[lines->count++] = noted;
    return true;
}

static const struct config_line *find(const struct config_lines *lines, const char *section, size_t index,
                                      const char *key, size_t nth)
{
    size_t section_place = find_text(lines, section);
    size_t key_place = find_text(lines, key);

    for (size_t i = 0; i < lines->count; i++) {
        const struct config_line *line = &lines->list[i];
        if (line->section == section_place && line->index == index && line->key == key_place && nth-- == 0)
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
