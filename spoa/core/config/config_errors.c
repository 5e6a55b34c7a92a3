#include "spoa/core/config/config_errors.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 512

/* A message must stay one line, also if the file or the environment has control characters. */
static void clean(char *message)
{
    for (; *message != '\0'; message++)
        if (iscntrl((unsigned char)*message))
            *message = '?';
}

static bool grow(struct config_errors *errors)
{
    char **texts = realloc(errors->texts, (errors->count + 1) * sizeof(*texts));

    if (texts == NULL)
        return false;
    errors->texts = texts;
    unsigned *lines = realloc(errors->lines, (errors->count + 1) * sizeof(*lines));
    if (lines == NULL)
        return false;
    errors->lines = lines;
    return true;
}

/* Inserts the message after those of the same line. Lines are read in order, so the loop is short. */
static void insert(struct config_errors *errors, unsigned line, char *text)
{
    size_t at = errors->count++;

    for (; at > 0 && errors->lines[at - 1] > line; at--) {
        errors->lines[at] = errors->lines[at - 1];
        errors->texts[at] = errors->texts[at - 1];
    }
    errors->lines[at] = line;
    errors->texts[at] = text;
}

void config_error(struct config_errors *errors, const struct config_place *place, const char *format, ...)
{
    char message[MESSAGE_MAX];
    char *text = NULL;
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    clean(message);
    int len = place->line > 0 ? asprintf(&text, "%s:%u: %s", place->file, place->line, message)
                              : asprintf(&text, "%s: %s", place->file, message);
    if (len == -1) {
        errors->out_of_memory = true;
    } else if (!grow(errors)) {
        free(text);
        errors->out_of_memory = true;
    } else {
        insert(errors, place->line > 0 ? place->line : UINT_MAX, text);
    }
}

void config_errors_finish(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        free(errors->texts[i]);
    free(errors->texts);
    free(errors->lines);
    *errors = (struct config_errors){.texts = NULL};
}
