#include "spoa/core/config/haproxy_servers.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/config/haproxy_file.h"

bool haproxy_is_server(const struct haproxy_line *line)
{
    return haproxy_line_begins(line, "server") || haproxy_line_begins(line, "server-template");
}

static void take_word(struct haproxy_server_settings *settings, const struct haproxy_line *line, size_t at)
{
    const char *word = line->words[at];
    const char *value = haproxy_word(line, at + 1);

    if (strcmp(word, "weight") == 0) {
        settings->weight = strtol(value, NULL, 10);
        settings->weight_line = line;
    } else if (strcmp(word, "maxconn") == 0) {
        settings->maxconn = strtol(value, NULL, 10);
    } else if (strcmp(word, "check") == 0) {
        settings->has_check = true;
    } else if (strcmp(word, "no-check") == 0) {
        settings->has_check = false;
    } else if (strcmp(word, "addr") == 0) {
        settings->is_checked_elsewhere = true;
    } else if (strcmp(word, "on-marked-down") == 0) {
        settings->shuts_when_down = strcmp(value, "shutdown-sessions") == 0;
    }
}

static void take_line(struct haproxy_server_settings *settings, const struct haproxy_line *line)
{
    for (size_t i = 1; i < line->count; i++)
        take_word(settings, line, i);
    bool shuts = settings->has_check && settings->shuts_when_down && !settings->is_checked_elsewhere;
    if (!shuts)
        settings->shut_line = NULL;
    else if (settings->shut_line == NULL)
        settings->shut_line = line;
}

static void take_defaults(struct haproxy_server_settings *settings, const struct haproxy_section *section)
{
    if (section == NULL)
        return;
    take_defaults(settings, section->defaults);
    for (size_t i = 0; i < section->count; i++)
        if (haproxy_line_begins(&section->lines[i], "default-server"))
            take_line(settings, &section->lines[i]);
}

struct haproxy_server_settings haproxy_settings_of(const struct haproxy_section *backend,
                                                   const struct haproxy_line *server)
{
    struct haproxy_server_settings settings = {.weight = 1};

    take_defaults(&settings, backend->defaults);
    for (const struct haproxy_line *line = backend->lines; line < server; line++)
        if (haproxy_line_begins(line, "default-server"))
            take_line(&settings, line);
    take_line(&settings, server);
    return settings;
}
