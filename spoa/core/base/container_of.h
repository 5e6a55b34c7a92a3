/* From a member back to the struct that it stands in. */
#ifndef SPOA_CORE_BASE_CONTAINER_OF_H
#define SPOA_CORE_BASE_CONTAINER_OF_H

#include <stddef.h>

/* The struct of this `type` that has in its `member` what `pointer` points to. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
