#include "spoa/core/config/config.h"
#include "spoa/core/config/config_keywords.h"

static void dump_section(const void *section, enum config_section_kind kind, const char *word,
                         const char *name, FILE *out)
{
    fprintf(out, "[%s%s%s]\n", word, name[0] != '\0' ? " " : "", name);
    for (size_t i = 0; i < config_keyword_count; i++) {
        const struct config_keyword *keyword = &config_keywords[i];
        if (keyword->section == kind)
            keyword->type->write((const char *)section + keyword->offset, keyword->key, out);
    }
    fputc('\n', out);
}

void config_dump(const struct config *config, FILE *out)
{
    dump_section(&config->agent, CONFIG_AGENT, "agent", "", out);
    dump_section(&config->haproxy, CONFIG_HAPROXY, "haproxy", "", out);
    for (size_t i = 0; i < config->group_count; i++)
        dump_section(&config->groups[i], CONFIG_SENTINELS, config_voters_word(&config->groups[i]),
                     config->groups[i].name, out);
    for (size_t i = 0; i < config->service_count; i++)
        dump_section(&config->services[i], CONFIG_SERVICE, "service", config->services[i].name, out);
}
