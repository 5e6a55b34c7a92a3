#include "tests/lib/log_capture.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINES_MAX 256
#define LINE_SIZE 1024

static struct {
    char event[64];
    char text[LINE_SIZE];
} lines[LINES_MAX];
static size_t line_count;

static void append(char *text, const char *part, size_t len)
{
    size_t used = strlen(text);

    assert(used + len < LINE_SIZE);
    memcpy(text + used, part, len);
    text[used + len] = '\0';
}

static void keep(void *context, enum log_level level, enum log_weight weight, const char *event,
                 const struct log_field *fields, size_t count)
{
    (void)context;
    (void)weight;
    assert(line_count < LINES_MAX && strlen(event) < sizeof(lines->event));
    char *text = lines[line_count].text;
    snprintf(lines[line_count].event, sizeof(lines->event), "%s", event);
    snprintf(text, LINE_SIZE, "%s %s", log_level_text(level), event);
    for (size_t i = 0; i < count; i++) {
        char number[32];
        append(text, " ", 1);
        append(text, fields[i].key, strlen(fields[i].key));
        append(text, "=", 1);
        snprintf(number, sizeof(number), "%" PRId64, fields[i].number);
        if (fields[i].is_number)
            append(text, number, strlen(number));
        else if (fields[i].text.len > 0)
            append(text, (const char *)fields[i].text.data, fields[i].text.len);
    }
    line_count++;
}

void log_capture_begin(enum log_level max_level)
{
    log_capture_clear();
    log_set_sink(keep, NULL, max_level);
}

void log_capture_clear(void)
{
    line_count = 0;
}

size_t log_capture_count(const char *event)
{
    size_t count = 0;

    for (size_t i = 0; i < line_count; i++)
        count += event == NULL || strcmp(lines[i].event, event) == 0;
    return count;
}

const char *log_capture_last(const char *event)
{
    for (size_t i = line_count; i > 0; i--)
        if (strcmp(lines[i - 1].event, event) == 0)
            return lines[i - 1].text;
    return "";
}
