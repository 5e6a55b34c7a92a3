/* A text that grows, for what is shown over HTTP. The caller checks once, at the end, whether memory was
 * short. */
#ifndef SPOA_CORE_BASE_TEXT_H
#define SPOA_CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is an empty text. */
struct text {
    char *data; /* `len` bytes and a NUL; NULL if nothing was added */
    size_t len;
    size_t size;
    bool has_failed; /* memory was short, or a call of text_printf() was too long: the text is not complete */
};

/* Frees the text and makes it empty. */
void text_finish(struct text *out);

/* Makes the text empty and keeps its room for the next one. */
void text_clear(struct text *out);

/* Makes room for `len` bytes more, if there is memory, so that the text does not have to move for them. */
void text_reserve(struct text *out, size_t len);

void text_add(struct text *out, const char *text);
void text_add_bytes(struct text *out, const char *bytes, size_t len);
void text_printf(struct text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a number in decimal. For speed: a scrape has thousands of numbers, and text_printf() took two
 * thirds of its time. */
void text_add_number(struct text *out, uint64_t number);

/* Adds the value of a Prometheus label. Escapes backslash, quote and line feed. */
void text_add_label(struct text *out, const char *text);

#endif
