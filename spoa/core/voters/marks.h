/* Marks of services, one bit each: which of them are to be asked about. */
#ifndef SPOA_CORE_VOTERS_MARKS_H
#define SPOA_CORE_VOTERS_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Services in a word. */
#define MARKS_WORD_BITS 64

/* `words` is borrowed, and all 0 at first. */
struct marks {
    size_t count;
    size_t first_word; /* all words before it are 0 */
    uint64_t *words;
};

void marks_add(struct marks *marks, size_t service);

bool marks_has(const struct marks *marks, size_t service);

/* Adds the marks of `other`, which has as many words. It costs little per service. */
void marks_add_all(struct marks *marks, const struct marks *other, size_t words);

/* Removes the first mark and returns its service. There must be a mark. */
size_t marks_take(struct marks *marks);

#endif
