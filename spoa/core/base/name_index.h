/* Finds a name among thousands: an index of a list that belongs to somebody else. */
#ifndef SPOA_CORE_BASE_NAME_INDEX_H
#define SPOA_CORE_BASE_NAME_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

#include <stdbool.h>

#define NAME_INDEX_NONE SIZE_MAX

/* The name at this place of the list. */
typedef const char *(*name_index_name_fn)(const void *list, size_t place);

/* All zero is an index without room. */
struct name_index {
    name_index_name_fn name;
    size_t *slots; /* a place and 1; 0: empty */
    size_t mask;   /* the number of slots, less 1 */
};

/* Makes room for `count` names. The index is empty then. False if memory is short. */
MUST_CHECK bool name_index_init(struct name_index *index, name_index_name_fn name, size_t count);

/* Makes room for `count` names in an index that may have names of `list` already, and keeps them. The room doubles, so that
 * names can be added one by one. False if memory is short: the index stays as it was. */
MUST_CHECK bool name_index_reserve(struct name_index *index, name_index_name_fn name, const void *list,
                                   size_t count);
void name_index_finish(struct name_index *index);

/* Adds the name at this place. If the index has the name already, returns its place and adds nothing; otherwise `place`. */
size_t name_index_add(struct name_index *index, const void *list, size_t place);

/* The place of a name; NAME_INDEX_NONE if the index does not have it. */
size_t name_index_find(const struct name_index *index, const void *list, const char *name);

#endif
