#include "spoa/core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096

void page_finish(struct page *page)
{
    free(page->text);
    *page = (struct page){.text = NULL};
}

/* Room for `len` more bytes and a NUL. */
static bool grow(struct page *page, size_t len)
{
    size_t size = page->size > 0 ? page->size : FIRST_SIZE;

    if (page->has_failed)
        return false;
    while (size - page->len <= len)
        size *= 2;
    if (size == page->size)
        return true;
    char *larger = realloc(page->text, size);
    if (larger == NULL) {
        page->has_failed = true;
        return false;
    }
    page->text = larger;
    page->size = size;
    return true;
}

static void add_bytes(struct page *page, const char *bytes, size_t len)
{
    if (!grow(page, len))
        return;
    memcpy(page->text + page->len, bytes, len);
    page->len += len;
    page->text[page->len] = '\0';
}

void page_add(struct page *page, const char *text)
{
    add_bytes(page, text, strlen(text));
}

void page_printf(struct page *page, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text))
        page->has_failed = true; /* names go in by page_add(): nothing else is as long */
    else
        add_bytes(page, text, (size_t)len);
}

void page_add_number(struct page *page, uint64_t number)
{
    char digits[20];
    size_t first = sizeof(digits);

    do
        digits[--first] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add_bytes(page, digits + first, sizeof(digits) - first);
}

void page_add_json(struct page *page, const char *text)
{
    if (text == NULL) {
        page_add(page, "null");
        return;
    }
    add_bytes(page, "\"", 1);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            add_bytes(page, "\\", 1);
        if ((unsigned char)*text < 0x20)
            page_printf(page, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            add_bytes(page, text, 1);
    }
    add_bytes(page, "\"", 1);
}

void page_add_label(struct page *page, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, "\"\\\n");
        add_bytes(page, text, len);
        text += len;
        if (*text == '\0')
            return;
        add_bytes(page, "\\", 1);
        add_bytes(page, *text == '\n' ? "n" : text, 1);
        text++;
    }
}
