/* What a peer said in its own words, as it may be shown: it may be anything. */
#ifndef SPOA_CORE_BASE_PRINTABLE_H
#define SPOA_CORE_BASE_PRINTABLE_H

#include <stddef.h>

#include "proto/span.h"

/* Copies `words`, or what `size - 1` bytes of them take, and a NUL. Other bytes than printable ASCII become '?'. */
void printable_copy(struct span words, char *out, size_t size);

#endif
