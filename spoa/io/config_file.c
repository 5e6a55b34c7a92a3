#include "spoa/io/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* The longest password that we take from a file. */
#define SECRET_MAX 512

struct config_reader {
    FILE *file;
    struct config *config;
    struct config_errors *errors;
    struct config_place place; /* of the line that inih has in hand */
};

static void skip_rest_of_line(FILE *file)
{
    int c;

    do
        c = fgetc(file);
    while (c != '\n' && c != EOF);
}

static bool is_comment(const char *line)
{
    return line[0] == '\0' || line[0] == '\n' || line[0] == ';' || line[0] == '#';
}

/* inih cuts section names at 49 bytes and says nothing of a section without keys: we read these lines. */
static void read_section(struct config_reader *reader, char *line)
{
    char *end = strchr(line, ']');

    if (end == NULL) {
        config_error(reader->errors, &reader->place, "']' is missing behind '%s'", line);
        return;
    }
    *end = '\0';
    config_section(reader->config, &reader->place, line + 1, reader->errors);
    *end = ']';
}

/* Looks at a line before inih does; one that inih must not see is emptied. */
static void look_at_line(struct config_reader *reader, char *line)
{
    /* inih takes a line that begins with a blank for more of the value before it. */
    size_t blanks = strspn(line, " \t\r");
    memmove(line, line + blanks, strlen(line + blanks) + 1);
    if (is_comment(line))
        return;
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '[') {
        read_section(reader, line);
        line[0] = '\0';
    } else if (strchr(line, '=') == NULL) {
        config_error(reader->errors, &reader->place, "'=' is missing in '%s'", line);
        line[0] = '\0';
    }
}

/* Reads a line for inih, as fgets() does, and counts. */
static char *read_line(char *line, int size, void *stream)
{
    struct config_reader *reader = stream;

    if (fgets(line, size, reader->file) == NULL)
        return NULL;
    reader->place.line++;
    if (strchr(line, '\n') == NULL && !feof(reader->file)) {
        skip_rest_of_line(reader->file);
        config_error(reader->errors, &reader->place, "the line is longer than %d bytes", size - 2);
        line[0] = '\0';
    }
    look_at_line(reader, line);
    return line;
}

/* Writes the value of the variable that `*cursor`, behind "${", begins with. False where it cannot. */
static bool expand_variable(struct config_reader *reader, const char **cursor, FILE *out)
{
    const char *end = strchr(*cursor, '}');
    char name[128];

    if (end == NULL || (size_t)(end - *cursor) >= sizeof(name)) {
        config_error(reader->errors, &reader->place, "'}' is missing behind '${%s'", *cursor);
        return false;
    }
    memcpy(name, *cursor, (size_t)(end - *cursor));
    name[end - *cursor] = '\0';
    *cursor = end + 1;
    const char *value = getenv(name);
    if (value == NULL) {
        config_error(reader->errors, &reader->place, "the environment variable '%s' is not set", name);
        return false;
    }
    fputs(value, out);
    return true;
}

/* The value with every ${NAME} replaced; to be freed. NULL where that cannot be done, which is reported. */
static char *expand(struct config_reader *reader, const char *value)
{
    char *expanded = NULL;
    size_t len = 0;
    bool is_good = true;
    FILE *out = open_memstream(&expanded, &len);

    if (out == NULL) {
        reader->errors->out_of_memory = true;
        return NULL;
    }
    while (is_good && *value != '\0') {
        if (value[0] == '$' && value[1] == '{') {
            value += 2;
            is_good = expand_variable(reader, &value, out);
        } else {
            fputc(*value++, out);
        }
    }
    if (fclose(out) != 0) {
        reader->errors->out_of_memory = true;
        is_good = false;
    }
    if (!is_good) {
        free(expanded);
        return NULL;
    }
    return expanded;
}

/* inih's handler; the section is the one that read_section() saw. */
static int take_key(void *user, const char *section, const char *key, const char *value)
{
    struct config_reader *reader = user;
    char *expanded = expand(reader, value);

    (void)section;
    if (expanded != NULL)
        config_set(reader->config, &reader->place, key, expanded, reader->errors);
    free(expanded);
    return 1;
}

static void read_secret(struct config_sentinels *group, const char *file, struct config_errors *errors)
{
    struct config_place place = {.file = file, .line = group->password_file_line};
    char secret[SECRET_MAX + 2];
    FILE *in = fopen(group->password_file, "re");

    if (in == NULL) {
        config_error(errors, &place, "cannot read '%s': %s", group->password_file, strerror(errno));
        return;
    }
    bool is_read = fgets(secret, sizeof(secret), in) != NULL;
    fclose(in);
    if (is_read)
        secret[strcspn(secret, "\r\n")] = '\0';
    if (!is_read || secret[0] == '\0' || strlen(secret) > SECRET_MAX)
        config_error(errors, &place, "'%s' has no password of 1 to %d bytes in its first line",
                     group->password_file, SECRET_MAX);
    else if ((group->password = strdup(secret)) == NULL)
        errors->out_of_memory = true;
    explicit_bzero(secret, sizeof(secret));
}

bool config_file_load(const char *path, struct config *config, struct config_errors *errors)
{
    struct config_reader reader = {
        .file = fopen(path, "re"), .config = config, .errors = errors, .place = {.file = path}};
    struct config_place whole = {.file = path};

    if (reader.file == NULL) {
        config_error(errors, &whole, "cannot open: %s", strerror(errno));
        return false;
    }
    /* Its result names the first bad line only; look_at_line() has reported them all. */
    (void)ini_parse_stream(read_line, &reader, take_key, &reader);
    if (ferror(reader.file))
        config_error(errors, &whole, "cannot read: %s", strerror(errno));
    fclose(reader.file);
    config_finish(config, path, errors);
    for (size_t i = 0; i < config->group_count; i++)
        if (config->groups[i].password_file != NULL && config->groups[i].password == NULL)
            read_secret(&config->groups[i], path, errors);
    return errors->count == 0 && !errors->out_of_memory;
}
