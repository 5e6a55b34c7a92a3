/* Bytes that end where memory ends: reading one more is a crash, with or without a sanitizer. */
#ifndef TESTS_LIB_GUARDED_H
#define TESTS_LIB_GUARDED_H

#include <stddef.h>
#include <stdint.h>

/*
 * A copy of `data` (at most a page) whose last byte lies before a PROT_NONE page. Valid until the next call.
 */
const uint8_t *guarded_copy(const void *data, size_t len);

/* `len` bytes of space that end there likewise. */
uint8_t *guarded_space(size_t len);

#endif
