#include "spoa/core/voters/marks.h"

void marks_add(struct marks *marks, size_t service)
{
    uint64_t *word = &marks->words[service / MARKS_WORD_BITS];
    uint64_t bit = (uint64_t)1 << (service % MARKS_WORD_BITS);

    marks->count += (*word & bit) == 0;
    *word |= bit;
    if (service / MARKS_WORD_BITS < marks->first_word)
        marks->first_word = service / MARKS_WORD_BITS;
}

bool marks_has(const struct marks *marks, size_t service)
{
    return (marks->words[service / MARKS_WORD_BITS] >> (service % MARKS_WORD_BITS) & 1) != 0;
}

void marks_add_all(struct marks *marks, const struct marks *other, size_t words)
{
    if (other->count == 0)
        return;
    for (size_t i = 0; i < words; i++) {
        marks->count += (unsigned)__builtin_popcountll(other->words[i] & ~marks->words[i]);
        marks->words[i] |= other->words[i];
    }
    marks->first_word = 0;
}

size_t marks_take(struct marks *marks)
{
    while (marks->words[marks->first_word] == 0)
        marks->first_word++;
    uint64_t *word = &marks->words[marks->first_word];
    size_t service = marks->first_word * MARKS_WORD_BITS + (unsigned)__builtin_ctzll(*word);
    *word &= *word - 1;
    marks->count--;
    return service;
}
