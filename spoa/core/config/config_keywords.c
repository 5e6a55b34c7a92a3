#include "spoa/core/config/config_keywords.h"

#include <string.h>

#include "spoa/core/base/words.h"

const char *const config_section_names[CONFIG_SECTIONS] = {
    [CONFIG_AGENT] = "agent",
    [CONFIG_HAPROXY] = "haproxy",
    [CONFIG_SENTINELS] = "sentinels",
    [CONFIG_SERVICE] = "service",
};

uint64_t config_keyword_bit(const struct config_keyword *keyword)
{
    unsigned place = 0;

    for (const struct config_keyword *one = config_keywords; one != keyword; one++)
        place += one->section == keyword->section;
    return (uint64_t)1 << place;
}

const struct config_keyword *config_keyword_find(enum config_section_kind section, const char *key)
{
    for (size_t i = 0; i < config_keyword_count; i++)
        if (config_keywords[i].section == section && strcmp(config_keywords[i].key, key) == 0)
            return &config_keywords[i];
    return NULL;
}

bool config_keyword_allows(const struct config_keyword *keyword, const void *section)
{
    const void *field = (const char *)section + keyword->offset;

    if (keyword->least_ms == 0)
        return true;
    unsigned ms = *(const unsigned *)field;
    return ms >= keyword->least_ms || (ms == 0 && keyword->takes_zero);
}

const char *config_keyword_range(const struct config_keyword *keyword, char text[CONFIG_RANGE_MAX])
{
    text[0] = '\0';
    if (keyword->least_ms > 0)
        (void)snprintf(text, CONFIG_RANGE_MAX, ", %u ms or more%s", keyword->least_ms,
                       keyword->takes_zero ? ", or 0" : "");
    return text;
}

const char *config_keyword_nearest(enum config_section_kind section, const char *key)
{
    const char *nearest = NULL;
    unsigned best = WORDS_FAR;

    for (size_t i = 0; i < config_keyword_count; i++) {
        const struct config_keyword *keyword = &config_keywords[i];
        if (keyword->section != section)
            continue;
        unsigned distance = words_distance(key, keyword->key);
        if (distance < best && distance <= strlen(keyword->key) / 2) {
            best = distance;
            nearest = keyword->key;
        }
    }
    return nearest;
}
