#include "tests/lib/reference.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/config/config_keywords.h"

#define SAMPLE_WIDTH 118

/* A document. The keys of a section stand between two lines, or all that is between two sections are keys. */
struct document {
    const char *path;
    const char *begins[CONFIG_SECTIONS];
    const char *end;  /* NULL: the next one's begin, or the end of the file */
    const char *head; /* of a list of keys */
    void (*write_keyword)(const struct config_keyword *keyword, FILE *out);
};

static bool is_same_section(const struct config_keyword *keyword, const char *section)
{
    return strcmp(section, config_section_names[keyword->section]) == 0;
}

/* Writes one word of a keyword's `see`. With links for Markdown. */
static void write_related(const struct config_keyword *keyword, char *word, bool has_links, FILE *out)
{
    char *dot = strchr(word, '.');
    const char *section = dot != NULL ? word : config_section_names[keyword->section];
    const char *key = dot != NULL ? dot + 1 : word;

    if (dot != NULL)
        *dot = '\0';
    fprintf(out, "%s`%s`", has_links ? "[" : "", key);
    if (has_links)
        fprintf(out, "](#%s-%s)", section, key);
    if (!is_same_section(keyword, section))
        fprintf(out, " in `[%s]`", section);
}

static void write_see(const struct config_keyword *keyword, bool has_links, FILE *out)
{
    char *words = keyword->see != NULL ? strdup(keyword->see) : NULL;
    char *rest = NULL;

    if (words == NULL)
        return;
    for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        fputs(word == words ? " See " : ", ", out);
        write_related(keyword, word, has_links, out);
    }
    fputc('.', out);
    free(words);
}

/* What holds of it beside the help. */
static void write_notes(const struct config_keyword *keyword, FILE *out)
{
    if (keyword->repeatable)
        fputs(" It may be given several times.", out);
    if (keyword->reload == CONFIG_RELOAD_RESTART)
        fputs(" A change needs a restart.", out);
}

/* "duration, 100 ms or more" */
static void write_range(const struct config_keyword *keyword, FILE *out)
{
    char range[CONFIG_RANGE_MAX];

    fprintf(out, "%s%s", keyword->type->noun != NULL ? keyword->type->noun : keyword->type->form,
            config_keyword_range(keyword, range));
}

static void write_row(const struct config_keyword *keyword, FILE *out)
{
    fprintf(out, "| <a id=\"%s-%s\"></a>`%s` | ", config_section_names[keyword->section], keyword->key,
            keyword->key);
    write_range(keyword, out);
    if (keyword->preset != NULL)
        fprintf(out, " | `%s`", keyword->preset);
    else
        fputs(" | ", out);
    fprintf(out, " | %s", keyword->help);
    write_notes(keyword, out);
    if (keyword->example != NULL)
        fprintf(out, " Example: `%s`.", keyword->example);
    write_see(keyword, true, out);
    if (keyword->more != NULL)
        fprintf(out, " More: [%s](%s).", keyword->more + strspn(keyword->more, "./#"), keyword->more);
    fputs(" |\n", out);
}

/* For the manual page all that is said of it behind its head, for the sample "key (range): help"; to be freed. */
static char *describe(const struct config_keyword *keyword, bool is_manual)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        abort();
    if (!is_manual) {
        fprintf(out, "%s (", keyword->key);
        write_range(keyword, out);
        fputs("): ", out);
    }
    fputs(keyword->help, out);
    write_notes(keyword, out);
    if (is_manual && keyword->example != NULL)
        fprintf(out, " Example: `%s`.", keyword->example);
    if (is_manual)
        write_see(keyword, false, out);
    if (fclose(out) != 0)
        abort();
    return text;
}

static void write_entry(const struct config_keyword *keyword, FILE *out)
{
    char *text = describe(keyword, true);

    fprintf(out, "\n*%s* (", keyword->key);
    write_range(keyword, out);
    if (keyword->preset != NULL)
        fprintf(out, "; default *%s*", keyword->preset);
    fputs(")\n\t", out);
    for (const char *byte = text; *byte != '\0'; byte++) {
        if (strchr("\\_*", *byte) != NULL)
            fputc('\\', out);
        fputc(*byte == '`' ? '*' : *byte, out);
    }
    fputc('\n', out);
    free(text);
}

/* Writes a comment, with as many words in a line as there is room for. */
static void write_comment(char *text, FILE *out)
{
    size_t column = 0;
    char *rest = NULL;

    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (column > 0 && column + 1 + strlen(word) > SAMPLE_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%s", column == 0 ? "; " : " ", word);
    }
    fputc('\n', out);
}

static void write_sample(const struct config_keyword *keyword, FILE *out)
{
    bool is_needed = keyword->type == &config_type_servers || keyword->type == &config_type_addresses;
    char *text = describe(keyword, false);
    size_t len = 0;

    for (const char *byte = text; *byte != '\0'; byte++)
        if (*byte != '`')
            text[len++] = *byte;
    text[len] = '\0';
    fputc('\n', out);
    write_comment(text, out);
    free(text);
    fprintf(out, "%s%s = %s\n", is_needed ? "" : "; ", keyword->key,
            keyword->preset != NULL ? keyword->preset : keyword->example);
}

#define MARKS(open, close)                                                                                   \
    {                                                                                                        \
        open "keys of [agent]" close, open "keys of [haproxy]" close, open "keys of [sentinels]" close,      \
            open "keys of [service]" close                                                                   \
    }

static const struct document documents[] = {
    {"spoa/doc/configuration.md", MARKS("<!-- ", ": `make docs` writes them -->"), "<!-- end of keys -->",
     "\n| Key | Takes | Default | Meaning |\n|---|---|---|---|\n", write_row},
    {"spoa/man/sentinel-spoa.conf.5.scd", MARKS("; ", ": `make docs` writes them"), "; end of keys", "",
     write_entry},
    {"haproxy-conf/sample.conf",
     {"[agent]", "[haproxy]", "[sentinels]", "[service mymaster]"},
     NULL,
     "",
     write_sample},
};

const char *reference_path(size_t index)
{
    return index < sizeof(documents) / sizeof(*documents) ? documents[index].path : NULL;
}

static void write_keys(const struct document *document, enum config_section_kind section, FILE *out)
{
    fputs(document->head, out);
    for (size_t i = 0; i < config_keyword_count; i++)
        if (config_keywords[i].section == section)
            document->write_keyword(&config_keywords[i], out);
}

/* The section whose keys begin behind this line, or CONFIG_SECTIONS. */
static enum config_section_kind begun_by(const struct document *document, const char *line)
{
    enum config_section_kind section = 0;

    while (section < CONFIG_SECTIONS && strcmp(line, document->begins[section]) != 0)
        section++;
    return section;
}

/* Whether the line ends the keys of a section. */
static bool ends_keys(const struct document *document, const char *line)
{
    return document->end != NULL ? strcmp(line, document->end) == 0
                                 : begun_by(document, line) != CONFIG_SECTIONS;
}

bool reference_write(size_t index, FILE *in, FILE *out)
{
    const struct document *document = &documents[index];
    unsigned begun = 0; /* a bit for each section */
    bool is_good = true;
    bool is_in_keys = false;
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, in) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        if (is_in_keys && !ends_keys(document, line))
            continue;
        if (is_in_keys)
            fputs(document->end != NULL ? "" : "\n", out);
        is_in_keys = false;
        fprintf(out, "%s\n", line);
        enum config_section_kind section = begun_by(document, line);
        if (section == CONFIG_SECTIONS)
            continue;
        is_good = is_good && (begun & 1U << section) == 0;
        begun |= 1U << section;
        is_in_keys = true;
        write_keys(document, section, out);
    }
    free(line);
    is_good = is_good && begun == (1U << CONFIG_SECTIONS) - 1;
    return is_good && (!is_in_keys || document->end == NULL);
}
