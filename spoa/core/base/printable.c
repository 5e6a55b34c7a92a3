#include "spoa/core/base/printable.h"

void printable_copy(struct span words, char *out, size_t size)
{
    size_t len = 0;

    for (; len < words.len && len + 1 < size; len++)
        out[len] = (char)(words.data[len] >= ' ' && words.data[len] <= '~' ? words.data[len] : '?');
    out[len] = '\0';
}
