#include "spoa/core/base/name_index.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/hash.h"

bool name_index_init(struct name_index *index, name_index_name_fn name, size_t count)
{
    size_t size = 16;

    while (size < 2 * count)
        size *= 2;
    *index =
        (struct name_index){.name = name, .slots = calloc(size, sizeof(*index->slots)), .mask = size - 1};
    return index->slots != NULL;
}

void name_index_finish(struct name_index *index)
{
    free(index->slots);
    *index = (struct name_index){.slots = NULL};
}

/* The slot of the name, or the empty one where it would be. */
static size_t *find_slot(const struct name_index *index, const void *list, const char *name)
{
    uint64_t hash = hash_add(HASH_EMPTY, name, strlen(name));
    size_t at = (size_t)(hash ^ hash >> 32) & index->mask;

    while (index->slots[at] != 0 && strcmp(index->name(list, index->slots[at] - 1), name) != 0)
        at = (at + 1) & index->mask;
    return &index->slots[at];
}

size_t name_index_add(struct name_index *index, const void *list, size_t place)
{
    size_t *slot = find_slot(index, list, index->name(list, place));

    if (*slot == 0)
        *slot = place + 1;
    return *slot - 1;
}

bool name_index_reserve(struct name_index *index, name_index_name_fn name, const void *list, size_t count)
{
    struct name_index larger;

    if (index->slots != NULL && 2 * count <= index->mask + 1)
        return true;
    if (!name_index_init(&larger, name, count))
        return false;
    for (size_t i = 0; index->slots != NULL && i <= index->mask; i++)
        if (index->slots[i] != 0)
            (void)name_index_add(&larger, list, index->slots[i] - 1);
    name_index_finish(index);
    *index = larger;
    return true;
}

size_t name_index_find(const struct name_index *index, const void *list, const char *name)
{
    const size_t *slot = find_slot(index, list, name);

    return *slot != 0 ? *slot - 1 : NAME_INDEX_NONE;
}
