#include "spoa/core/config/config_reader.h"

#include <ctype.h>
#include <string.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"

#define BLANKS " \t\r\v\f"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define VARIABLE_NAME_MAX 127

static bool is_comment(const char *line)
{
    return line[0] == '\0' || line[0] == ';' || line[0] == '#';
}

/* Cuts the blanks at both ends. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    size_t len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

bool config_reader_is_quoted(const char *text)
{
    size_t len = strlen(text);

    return len >= 2 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0];
}

bool config_reader_can_give(const char *value)
{
    bool is_behind_blank = true;

    if (value[0] == ' ' || config_reader_is_quoted(value))
        return false;
    for (; *value != '\0'; value++) {
        if (iscntrl((unsigned char)*value) || (*value == ';' && is_behind_blank))
            return false;
        is_behind_blank = *value == ' ';
    }
    return true;
}

/* Adds the value of a variable. `*cursor` is after its "${" and moves behind its '}'. False, reported, if
 * there is no '}' or no such variable. */
static bool expand_variable(struct config_reader *reader, char **cursor, struct text *out)
{
    char *name = *cursor;
    char *end = strchr(name, '}');

    if (end == NULL || end - name > VARIABLE_NAME_MAX) {
        /* Does not show what follows: it may be a password. */
        config_error(reader->errors, &reader->place, "'}' is missing behind '${', or the name is too long");
        return false;
    }
    *end = '\0';
    *cursor = end + 1;
    const char *value = reader->variable(name);
    if (value == NULL) {
        config_error(reader->errors, &reader->place, "the environment variable '%s' is not set", name);
        return false;
    }
    text_add(out, value);
    return true;
}

/* Adds the value to `out`, with every ${NAME} replaced, and a '$' for each "$$". Returns false if that fails, which is
 * reported. */
static bool expand(struct config_reader *reader, char *value, struct text *out)
{
    char *dollar;

    while ((dollar = strchr(value, '$')) != NULL) {
        text_add_bytes(out, value, (size_t)(dollar - value));
        value = dollar + 1;
        if (*value == '{') {
            value++;
            if (!expand_variable(reader, &value, out))
                return false;
            continue;
        }
        text_add(out, "$");
        value += *value == '$';
    }
    text_add(out, value);
    reader->errors->out_of_memory |= out->has_failed;
    return !out->has_failed;
}

/* A '#' begins a comment at the start of a line only. Here it is part of the value, which may be meant otherwise. */
static void warn_of_hash(struct config_reader *reader, const char *key, const char *value)
{
    for (const char *c = strchr(value, '#'); c != NULL; c = strchr(c + 1, '#'))
        if (c > value && isspace((unsigned char)c[-1])) {
            config_error(&reader->config->warnings, &reader->place,
                         "the value of '%s' has a '#' behind a blank, which begins no comment: it is part of "
                         "the value",
                         key);
            return;
        }
}

static void take_value(struct config_reader *reader, const char *key, char *value)
{
    struct text expanded = {.data = NULL};

    warn_of_hash(reader, key, value);
    if (config_reader_is_quoted(value))
        config_error(reader->errors, &reader->place,
                     "the value of '%s' is in quotes: they would be part of it, leave them out", key);
    else if (expand(reader, value, &expanded))
        config_set(reader->config, &reader->place, key, expanded.data, reader->errors);
    text_finish(&expanded);
}

/* Ends the line before a ';' that follows a blank. Whether there is one. */
static bool cut_comment(char *line)
{
    for (char *c = line + 1; *c != '\0'; c++)
        if (*c == ';' && isspace((unsigned char)c[-1])) {
            *c = '\0';
            return true;
        }
    return false;
}

/* Whether the value is that of one variable: it does not stand in the file. */
static bool is_variable(const char *value)
{
    return strncmp(value, "${", 2) == 0 && value[strcspn(value, "}")] == '}' &&
           value[strcspn(value, "}") + 1] == '\0';
}

/* What is to be told of a line `password = VALUE`. */
static void look_at_password(struct config_reader *reader, const char *value, bool has_comment)
{
    if (has_comment)
        config_error(&reader->config->warnings, &reader->place,
                     "'password' ends before the ';' behind a blank, which begins a comment: write the "
                     "comment into a line "
                     "of its own, or the password into a file for 'password-file'");
    if (strstr(value, "$$") != NULL)
        config_error(&reader->config->warnings, &reader->place,
                     "'$$' in 'password' is one '$'; it was two in former versions");
    if (reader->password_line == 0 && !is_variable(value))
        reader->password_line = reader->place.line;
}

static void take_key(struct config_reader *reader, char *line)
{
    bool has_comment = cut_comment(line);

    if (strchr(line, '=') == NULL) {
        /* Shows only the first word: the rest may be a password. */
        config_error(reader->errors, &reader->place, "'=' is missing behind '%.*s'",
                     (int)strcspn(line, BLANKS), line);
        return;
    }
    /* A ':' before the '=' also ends the key: older files have such lines. */
    char *sign = line + strcspn(line, "=:");
    *sign = '\0';
    const char *key = trim(line);
    char *value = trim(sign + 1);
    if (strcmp(key, "password") == 0)
        look_at_password(reader, value, has_comment);
    take_value(reader, key, value);
}

static void take_section(struct config_reader *reader, char *line)
{
    char *end = strchr(line, ']');

    if (end == NULL) {
        config_error(reader->errors, &reader->place, "']' is missing behind '%s'", line);
        return;
    }
    const char *rest = trim(end + 1);
    if (!is_comment(rest))
        config_error(reader->errors, &reader->place, "'%s' stands behind ']': a key has a line of its own",
                     rest);
    *end = '\0';
    config_section(reader->config, &reader->place, line + 1, reader->errors);
}

static void take_line(struct config_reader *reader, char *line)
{
    if (reader->place.line == 1 && strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
        line += strlen(BYTE_ORDER_MARK);
    line += strspn(line, BLANKS);
    if (is_comment(line))
        return;
    if (line[0] == '[')
        take_section(reader, line);
    else
        take_key(reader, line);
}

static void end_line(struct config_reader *reader)
{
    reader->place.line++;
    if (reader->len > CONFIG_LINE_MAX) {
        config_error(reader->errors, &reader->place, "the line is longer than %zu bytes", CONFIG_LINE_MAX);
    } else if (memchr(reader->line, '\0', reader->len) != NULL) {
        config_error(reader->errors, &reader->place, "the line has a NUL byte in it");
    } else {
        reader->line[reader->len] = '\0';
        take_line(reader, reader->line);
    }
    reader->len = 0;
}

void config_reader_init(struct config_reader *reader, struct config *config, const char *file,
                        config_variable_fn variable, struct config_errors *errors)
{
    reader->config = config;
    reader->errors = errors;
    reader->variable = variable;
    reader->place = (struct config_place){.file = file};
    reader->password_line = 0;
    reader->len = 0;
}

void config_reader_feed(struct config_reader *reader, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            end_line(reader);
            continue;
        }
        if (reader->len < CONFIG_LINE_MAX)
            reader->line[reader->len] = bytes[i];
        reader->len++;
    }
}

void config_reader_end(struct config_reader *reader)
{
    if (reader->len > 0)
        end_line(reader);
}
