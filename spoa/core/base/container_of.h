/* Finds the struct that a member belongs to. */
#ifndef SPOA_CORE_BASE_CONTAINER_OF_H
#define SPOA_CORE_BASE_CONTAINER_OF_H

#include <stddef.h>

/* The struct of type `type` whose `member` is what `pointer` points to. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
