#include "spoa/core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096

void text_finish(struct text *out)
{
    free(out->data);
    *out = (struct text){.data = NULL};
}

void text_clear(struct text *out)
{
    out->len = 0;
    if (out->data != NULL)
        out->data[0] = '\0';
}

/* Makes room for `len` more bytes and a NUL. False if memory is short, now or earlier. */
static bool grow(struct text *out, size_t len)
{
    size_t size = out->size > 0 ? out->size : FIRST_SIZE;

    if (out->has_failed)
        return false;
    while (size - out->len <= len)
        size *= 2;
    if (size == out->size)
        return true;
    char *larger = realloc(out->data, size);
    if (larger == NULL) {
        out->has_failed = true;
        return false;
    }
    out->data = larger;
    out->size = size;
    return true;
}

void text_reserve(struct text *out, size_t len)
{
    bool has_failed = out->has_failed;

    (void)grow(out, len);
    out->has_failed = has_failed;
}

void text_add_bytes(struct text *out, const char *bytes, size_t len)
{
    if (!grow(out, len))
        return;
    memcpy(out->data + out->len, bytes, len);
    out->len += len;
    out->data[out->len] = '\0';
}

void text_add(struct text *out, const char *text)
{
    text_add_bytes(out, text, strlen(text));
}

void text_printf(struct text *out, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text))
        out->has_failed = true; /* only names can be that long, and text_add() adds them */
    else
        text_add_bytes(out, text, (size_t)len);
}

void text_add_number(struct text *out, uint64_t number)
{
    char digits[20];
    size_t first = sizeof(digits);

    do
        digits[--first] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    text_add_bytes(out, digits + first, sizeof(digits) - first);
}

void text_add_label(struct text *out, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, "\"\\\n");
        text_add_bytes(out, text, len);
        text += len;
        if (*text == '\0')
            return;
        text_add_bytes(out, "\\", 1);
        text_add_bytes(out, *text == '\n' ? "n" : text, 1);
        text++;
    }
}
