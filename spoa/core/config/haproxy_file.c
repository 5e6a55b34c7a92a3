#include "spoa/core/config/haproxy_file.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/text.h"

/* Words of a line beyond these are left out, as HAProxy refuses them. */
#define WORDS_MAX 256
#define VARIABLE_MAX 128

void haproxy_file_finish(struct haproxy_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        free(file->sections[i]->lines);
        free(file->sections[i]);
    }
    for (size_t i = 0; i < file->text_count; i++)
        free(file->texts[i]);
    free(file->sections);
    free(file->texts);
    free(file->variables);
    *file = (struct haproxy_file){.sections = NULL};
}

/* Makes the memory part of the file, which frees it. Frees it at once and returns NULL if memory is short. */
static void *keep(struct haproxy_file *file, void *memory)
{
    char **larger = memory != NULL ? realloc(file->texts, (file->text_count + 1) * sizeof(*larger)) : NULL;

    if (larger == NULL) {
        free(memory);
        file->out_of_memory = true;
        return NULL;
    }
    file->texts = larger;
    larger[file->text_count++] = memory;
    return memory;
}

/* ---- variables ---- */

/* The variable as the file has set it; NULL if it has not. */
static const struct haproxy_variable *find_variable(const struct haproxy_file *file, const char *name)
{
    for (size_t i = file->variable_count; i-- > 0;)
        if (strcmp(file->variables[i].name, name) == 0)
            return &file->variables[i];
    return NULL;
}

static char *value_of(const struct haproxy_file *file, haproxy_variable_fn variable, const char *name)
{
    const struct haproxy_variable *own = find_variable(file, name);

    return own != NULL ? own->value : variable(name);
}

static void set_variable(struct haproxy_file *file, const char *name, char *value)
{
    struct haproxy_variable *larger = realloc(file->variables, (file->variable_count + 1) * sizeof(*larger));

    if (larger == NULL) {
        file->out_of_memory = true;
        return;
    }
    file->variables = larger;
    larger[file->variable_count++] = (struct haproxy_variable){.name = name, .value = value};
}

/* A line of `global` that changes the environment. */
static void take_environment(struct haproxy_file *file, const struct haproxy_line *line,
                             haproxy_variable_fn variable)
{
    bool is_set = haproxy_line_begins(line, "setenv");
    bool is_preset = haproxy_line_begins(line, "presetenv");

    if (line->count > 2 && (is_set || (is_preset && value_of(file, variable, line->words[1]) == NULL)))
        set_variable(file, line->words[1], line->words[2]);
    for (size_t i = 1; haproxy_line_begins(line, "unsetenv") && i < line->count; i++)
        set_variable(file, line->words[i], NULL);
}

/* ---- words ---- */

/* A line that is being split. The words are gathered with a NUL behind each. */
struct splitter {
    const struct haproxy_file *file;
    const char *at;
    const char *end;
    haproxy_variable_fn variable;
    struct text words;
    size_t count;
    bool is_in_word;
};

static bool has_more(const struct splitter *splitter)
{
    return splitter->at < splitter->end;
}

/* The byte that a backslash and this letter mean. */
static char meant_by(char letter)
{
    switch (letter) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

static void take_escape(struct splitter *splitter)
{
    splitter->at++;
    if (!has_more(splitter))
        return;
    char byte = meant_by(*splitter->at++);
    text_add_bytes(&splitter->words, &byte, 1);
}

/* Takes `$NAME`, `${NAME}` or `${NAME-OTHER}`. */
static void take_variable(struct splitter *splitter)
{
    const char *begin = splitter->at++;
    bool has_braces = has_more(splitter) && *splitter->at == '{';
    char name[VARIABLE_MAX];
    size_t len = 0;

    splitter->at += has_braces;
    const char *first = splitter->at;
    while (has_more(splitter) && (isalnum((unsigned char)*splitter->at) || *splitter->at == '_'))
        splitter->at++;
    len = (size_t)(splitter->at - first);
    const char *other = splitter->at;
    while (has_braces && has_more(splitter) && *splitter->at != '}')
        splitter->at++;
    const char *other_end = splitter->at;
    splitter->at += has_braces && has_more(splitter);
    const char *value = NULL;
    if (len > 0 && len < sizeof(name)) {
        memcpy(name, first, len);
        name[len] = '\0';
        value = value_of(splitter->file, splitter->variable, name);
    }
    if (value != NULL)
        text_add(&splitter->words, value);
    else if (other < other_end && *other == '-')
        text_add_bytes(&splitter->words, other + 1, (size_t)(other_end - other - 1));
    else
        text_add_bytes(&splitter->words, begin, (size_t)(splitter->at - begin));
}

static void take_quoted(struct splitter *splitter)
{
    char quote = *splitter->at++;

    while (has_more(splitter) && *splitter->at != quote) {
        if (quote == '"' && *splitter->at == '\\')
            take_escape(splitter);
        else if (quote == '"' && *splitter->at == '$')
            take_variable(splitter);
        else
            text_add_bytes(&splitter->words, splitter->at++, 1);
    }
    splitter->at += has_more(splitter);
}

static void end_word(struct splitter *splitter)
{
    if (!splitter->is_in_word)
        return;
    text_add_bytes(&splitter->words, "", 1);
    splitter->count++;
    splitter->is_in_word = false;
}

static void split(struct splitter *splitter)
{
    while (has_more(splitter) && *splitter->at != '#' && *splitter->at != '\0') {
        if (isspace((unsigned char)*splitter->at)) {
            end_word(splitter);
            splitter->at++;
            continue;
        }
        splitter->is_in_word = true;
        if (*splitter->at == '\\')
            take_escape(splitter);
        else if (*splitter->at == '"' || *splitter->at == '\'')
            take_quoted(splitter);
        else
            text_add_bytes(&splitter->words, splitter->at++, 1);
    }
    end_word(splitter);
}

/* The words of the line; none if it is empty, or if memory is short. */
static struct haproxy_line split_line(struct haproxy_file *file, unsigned number, const char *begin,
                                      const char *end, haproxy_variable_fn variable)
{
    struct splitter splitter = {.file = file, .at = begin, .end = end, .variable = variable};
    struct haproxy_line line = {.number = number};

    split(&splitter);
    file->out_of_memory |= splitter.words.has_failed;
    if (splitter.count == 0 || splitter.words.has_failed) {
        text_finish(&splitter.words);
        return line;
    }
    char *word = keep(file, splitter.words.data);
    line.words = keep(file, calloc(splitter.count, sizeof(*line.words)));
    if (word == NULL || line.words == NULL)
        return line;
    for (; line.count < splitter.count && line.count < WORDS_MAX; word += strlen(word) + 1)
        line.words[line.count++] = word;
    return line;
}

/* ---- sections ---- */

static bool is_section(const char *word)
{
    static const char *const kinds[] = {
        "global",      "defaults",    "frontend", "backend",   "listen",     "peers",      "resolvers",
        "userlist",    "mailers",     "program",  "cache",     "ring",       "traces",     "log-forward",
        "log-profile", "http-errors", "fcgi-app", "crt-store", "spoe-agent", "spoe-group", "spoe-message"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(word, kinds[i]) == 0)
            return true;
    return false;
}

/* A file that is being read. */
struct reading {
    struct haproxy_file *file;
    const char *path;
    const char *origin;
    const char *scope;
    haproxy_variable_fn variable;
    struct haproxy_section *section; /* NULL: none has begun */
    unsigned skipped; /* `.if` blocks whose end is awaited, from that branch on which is not taken */
};

/* The defaults of a proxy: those behind `from`, or else the last. */
static const struct haproxy_section *find_defaults(const struct reading *reading,
                                                   const struct haproxy_line *line)
{
    for (size_t i = 1; i + 1 < line->count; i++)
        if (strcmp(line->words[i], "from") == 0)
            return haproxy_file_find(reading->file, "defaults", line->words[i + 1]);
    return strcmp(line->words[0], "defaults") != 0 ? reading->file->defaults : NULL;
}

static bool has_defaults(const char *kind)
{
    return strcmp(kind, "defaults") == 0 || strcmp(kind, "frontend") == 0 || strcmp(kind, "backend") == 0 ||
           strcmp(kind, "listen") == 0;
}

static void begin_section(struct reading *reading, const struct haproxy_line *line)
{
    struct haproxy_file *file = reading->file;
    struct haproxy_section **larger = realloc(file->sections, (file->count + 1) * sizeof(*larger));
    struct haproxy_section *section = calloc(1, sizeof(*section));
    const char *name = line->count > 1 && strcmp(line->words[1], "from") != 0 ? line->words[1] : "";

    if (larger != NULL)
        file->sections = larger;
    reading->section = NULL;
    if (larger == NULL || section == NULL) {
        free(section);
        file->out_of_memory = true;
        return;
    }
    *section = (struct haproxy_section){
        .path = reading->path,
        .origin = reading->origin,
        .scope = reading->scope,
        .line = line->number,
        .kind = line->words[0],
        .name = name,
        .defaults = has_defaults(line->words[0]) ? find_defaults(reading, line) : NULL,
    };
    file->sections[file->count++] = section;
    if (strcmp(section->kind, "defaults") == 0)
        file->defaults = section;
    reading->section = section;
}

static void add_line(struct reading *reading, const struct haproxy_line *line)
{
    struct haproxy_section *section = reading->section;
    struct haproxy_line *larger = realloc(section->lines, (section->count + 1) * sizeof(*larger));

    if (larger == NULL) {
        reading->file->out_of_memory = true;
        return;
    }
    section->lines = larger;
    larger[section->count++] = *line;
    if (strcmp(section->kind, "global") == 0)
        take_environment(reading->file, line, reading->variable);
}

/* `[NAME]` in a file of SPOE. False if the line is none. */
static bool take_scope(struct reading *reading, const struct haproxy_line *line)
{
    char *word = line->words[0];
    size_t len = strlen(word);

    if (line->count != 1 || len < 2 || word[0] != '[' || word[len - 1] != ']')
        return false;
    word[len - 1] = '\0';
    reading->scope = word + 1;
    reading->section = NULL;
    return true;
}

/* `.if` and the like. */
static void take_directive(struct reading *reading, const char *word)
{
    bool is_other_branch = strcmp(word, ".elif") == 0 || strcmp(word, ".else") == 0;

    if (reading->skipped == 0)
        reading->skipped += is_other_branch;
    else if (strcmp(word, ".if") == 0)
        reading->skipped++;
    else if (strcmp(word, ".endif") == 0)
        reading->skipped--;
}

static void take_line(struct reading *reading, const struct haproxy_line *line)
{
    if (line->count == 0)
        return;
    if (line->words[0][0] == '.')
        take_directive(reading, line->words[0]);
    else if (reading->skipped > 0 || take_scope(reading, line))
        return;
    else if (is_section(line->words[0]))
        begin_section(reading, line);
    else if (reading->section != NULL)
        add_line(reading, line);
}

void haproxy_file_read(struct haproxy_file *file, const char *path, const char *origin, const char *text,
                       size_t len, haproxy_variable_fn variable)
{
    const char *end = text + len;
    struct reading reading = {
        .file = file,
        .path = keep(file, strdup(path)),
        .origin = keep(file, strdup(origin)),
        .scope = "",
        .variable = variable,
    };

    if (reading.path == NULL || reading.origin == NULL)
        return;
    for (unsigned number = 1; text < end; number++) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            line_end = end;
        struct haproxy_line line = split_line(file, number, text, line_end, variable);
        take_line(&reading, &line);
        text = line_end < end ? line_end + 1 : end;
    }
}

/* ---- what the rules ask ---- */

bool haproxy_file_has(const struct haproxy_file *file, const char *origin)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->sections[i]->origin, origin) == 0)
            return true;
    return false;
}

const struct haproxy_section *haproxy_file_find(const struct haproxy_file *file, const char *kind,
                                                const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->sections[i]->kind, kind) == 0 && strcmp(file->sections[i]->name, name) == 0)
            return file->sections[i];
    return NULL;
}

const struct haproxy_section *haproxy_file_backend(const struct haproxy_file *file, const char *name)
{
    const struct haproxy_section *backend = haproxy_file_find(file, "backend", name);

    return backend != NULL ? backend : haproxy_file_find(file, "listen", name);
}

const char *haproxy_word(const struct haproxy_line *line, size_t at)
{
    return at < line->count ? line->words[at] : "";
}

bool haproxy_line_begins(const struct haproxy_line *line, const char *words)
{
    for (size_t i = 0; *words != '\0'; i++) {
        size_t len = strcspn(words, " ");
        const char *word = haproxy_word(line, i);
        if (strlen(word) != len || memcmp(word, words, len) != 0)
            return false;
        words += len + (words[len] == ' ');
    }
    return true;
}

const struct haproxy_line *haproxy_section_last(const struct haproxy_section *section, const char *words)
{
    for (; section != NULL; section = section->defaults)
        for (size_t i = section->count; i-- > 0;)
            if (haproxy_line_begins(&section->lines[i], words))
                return &section->lines[i];
    return NULL;
}

const struct haproxy_section *haproxy_section_of(const struct haproxy_section *section,
                                                 const struct haproxy_line *line)
{
    for (; section->defaults != NULL; section = section->defaults)
        for (size_t i = 0; i < section->count; i++)
            if (&section->lines[i] == line)
                return section;
    return section;
}

bool haproxy_read_time(const char *word, unsigned *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t number = 0;
    size_t digits = 0;

    for (; digits < 10 && isdigit((unsigned char)word[digits]); digits++)
        number = number * 10 + (uint64_t)(word[digits] - '0');
    if (digits == 0)
        return false;
    if (strcmp(word + digits, "us") == 0) {
        *ret_ms = (unsigned)((number + 999) / 1000);
        return true;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(word + digits, units[i].unit) == 0 && number <= UINT32_MAX / units[i].ms) {
            *ret_ms = (unsigned)(number * units[i].ms);
            return true;
        }
    return false;
}
