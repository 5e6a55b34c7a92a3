/*
 * HAProxy's configuration files, and those of its SPOE filters, as sections of lines of words. Whatever is not known is
 * kept as it is. Pure: text in, sections out.
 *
 * Words are split as HAProxy does: quotes, backslashes, comments, variables of the environment between double quotes, with
 * `setenv`, `presetenv` and `unsetenv` of `global`. A variable that is not set stays as `${NAME}`: HAProxy may have it. Of an
 * `.if` block the first branch is taken.
 */
#ifndef SPOA_CORE_CONFIG_HAPROXY_FILE_H
#define SPOA_CORE_CONFIG_HAPROXY_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Returns the value of a variable, borrowed, or NULL if it is not set. getenv(3) is such a function. */
typedef char *(*haproxy_variable_fn)(const char *name);

struct haproxy_line {
    unsigned number;
    char **words;
    size_t count; /* at least 1 */
};

struct haproxy_section {
    const char *path;   /* of its file */
    const char *origin; /* how that file was named: by `config FILE` of a filter, or as `path` */
    const char *scope;  /* of an engine, behind `[NAME]` in a file of SPOE; "": none */
    unsigned line;      /* where it begins */
    const char *kind;   /* "frontend", "backend", "spoe-agent" ... */
    const char *name;   /* "" if it has none */
    const struct haproxy_section *defaults; /* whose settings hold where it has none of its own; or NULL */
    struct haproxy_line *lines;
    size_t count;
};

/* A variable that a file sets, or takes away. */
struct haproxy_variable {
    const char *name;
    char *value; /* NULL: it is not set any more */
};

/* All zero is an empty one. */
struct haproxy_file {
    struct haproxy_section **sections;
    size_t count;
    char **texts; /* what the sections borrow */
    size_t text_count;
    const struct haproxy_section *defaults; /* the last that was read */
    struct haproxy_variable *variables;     /* the last of a name counts */
    size_t variable_count;
    bool out_of_memory; /* a part is missing */
};

/*
 * Adds the sections of a file. HAProxy's files come in their order: `defaults` hold for what follows. `origin`: see
 * struct haproxy_section.
 */
void haproxy_file_read(struct haproxy_file *file, const char *path, const char *origin, const char *text,
                       size_t len, haproxy_variable_fn variable);
void haproxy_file_finish(struct haproxy_file *file);

/* Whether there is a section of the file that was named like this. */
bool haproxy_file_has(const struct haproxy_file *file, const char *origin);

/* The section with this kind and name, or NULL. */
const struct haproxy_section *haproxy_file_find(const struct haproxy_file *file, const char *kind,
                                                const char *name);

/* The backend, or `listen` section, with this name; or NULL. */
const struct haproxy_section *haproxy_file_backend(const struct haproxy_file *file, const char *name);

/* The word at this place of the line, "" behind its end. */
const char *haproxy_word(const struct haproxy_line *line, size_t at);

/* Whether the line begins with these words, which are separated by one blank each. */
bool haproxy_line_begins(const struct haproxy_line *line, const char *words);

/* The last line of the section, or else of its defaults, that begins with these words. NULL if there is none. */
const struct haproxy_line *haproxy_section_last(const struct haproxy_section *section, const char *words);

/* The section itself or the one of its defaults that has the line. */
const struct haproxy_section *haproxy_section_of(const struct haproxy_section *section,
                                                 const struct haproxy_line *line);

/* "500ms", "5s", "1h" as milliseconds; without a unit it is milliseconds. False if it is none. */
bool haproxy_read_time(const char *word, unsigned *ret_ms);

#endif
