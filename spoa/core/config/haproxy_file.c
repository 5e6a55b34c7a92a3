#include "spoa/core/config/haproxy_file.h"

#include <stddef.h>
#include <string.h>

#define WORDS_MAX 128

void haproxy_file_init(struct haproxy_file *file)
{
    *file = (struct haproxy_file){.is_in_defaults = false};
}

/* Splits the line into words, up to a comment. Ignores words beyond WORDS_MAX. */
static size_t split(char *line, const char *words[WORDS_MAX])
{
    size_t count = 0;
    char *rest = line;

    line[strcspn(line, "#\r\n")] = '\0';
    for (const char *word; count < WORDS_MAX && (word = strtok_r(rest, " \t", &rest)) != NULL;)
        words[count++] = word;
    return count;
}

/* A section of HAProxy begins with its own keyword, indented or not. */
static bool is_section(const char *word)
{
    static const char *const sections[] = {"global", "defaults",  "frontend",    "backend",     "listen",
                                           "peers",  "resolvers", "userlist",    "mailers",     "program",
                                           "cache",  "ring",      "log-forward", "http-errors", "fcgi-app"};

    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
        if (strcmp(word, sections[i]) == 0)
            return true;
    return false;
}

static void take_words(struct haproxy_server_words *server, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *next = i + 1 < count ? words[i + 1] : "";
        if (strcmp(words[i], "check") == 0)
            server->has_check = true;
        else if (strcmp(words[i], "no-check") == 0)
            server->has_check = false;
        else if (strcmp(words[i], "addr") == 0)
            server->is_checked_elsewhere = true;
        else if (strcmp(words[i], "on-marked-down") == 0)
            server->shuts_when_down = strcmp(next, "shutdown-sessions") == 0;
    }
}

static bool is_dangerous(const struct haproxy_server_words *server)
{
    return server->has_check && server->shuts_when_down && !server->is_checked_elsewhere;
}

bool haproxy_file_take(struct haproxy_file *file, char *line)
{
    const char *words[WORDS_MAX];
    size_t count = split(line, words);

    if (count == 0)
        return false;
    if (is_section(words[0])) {
        file->is_in_defaults = strcmp(words[0], "defaults") == 0;
        if (file->is_in_defaults)
            file->defaults = (struct haproxy_server_words){.has_check = false};
        file->section = file->defaults;
        return false;
    }
    if (strcmp(words[0], "default-server") == 0) {
        take_words(&file->section, words + 1, count - 1);
        if (file->is_in_defaults)
            file->defaults = file->section;
        return is_dangerous(&file->section);
    }
    if (strcmp(words[0], "server") != 0 && strcmp(words[0], "server-template") != 0)
        return false;
    struct haproxy_server_words server = file->section;
    take_words(&server, words + 1, count - 1);
    return is_dangerous(&server) && !is_dangerous(&file->section);
}
