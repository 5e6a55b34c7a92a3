#include "spoa/core/base/words.h"

#include <string.h>

#define WORD_MAX 31

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned words_distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1] = {0};
    size_t b_len = strnlen(b, WORD_MAX);

    for (unsigned k = 1; k <= b_len; k++)
        row[k] = k;
    for (unsigned i = 1; i <= strnlen(a, WORD_MAX); i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= b_len; k++) {
            unsigned replace = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            row[k] = least(replace, least(row[k], row[k - 1]) + 1);
        }
    }
    return row[b_len];
}
