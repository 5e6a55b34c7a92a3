/* Text that grows: what is shown over HTTP. A failure to get memory shows once, at the end. */
#ifndef SPOA_CORE_BASE_TEXT_H
#define SPOA_CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is an empty one. */
struct text {
    char *data; /* `len` bytes and a NUL; NULL where nothing was added */
    size_t len;
    size_t size;
    bool has_failed; /* memory was short: what is there is not the whole */
};

/* Frees the text; it is empty then. */
void text_finish(struct text *out);

void text_add(struct text *out, const char *text);
void text_add_bytes(struct text *out, const char *bytes, size_t len);
void text_printf(struct text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a number in decimal. A scrape has thousands of them, and text_printf() took two thirds of its time. */
void text_add_number(struct text *out, uint64_t number);

/* Adds the value of a Prometheus label: escapes the backslash, the quote and the line feed. */
void text_add_label(struct text *out, const char *text);

#endif
