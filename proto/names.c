#include "proto/names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What cannot be added is not there. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct name {
    UT_hash_handle hh;
    bool is_told; /* only peers told it so far */
    char text[];
};

static struct name *names;
static size_t told;

static struct name *find(struct span text)
{
    struct name *name = NULL;

    HASH_FIND(hh, names, text.data, text.len, name);
    return name;
}

static struct name *add(struct span text, bool is_told)
{
    struct name *name = calloc(1, sizeof(*name) + text.len + 1);
    unsigned before = HASH_COUNT(names);

    if (name == NULL)
        return NULL;
    memcpy(name->text, text.data, text.len);
    name->is_told = is_told;
    HASH_ADD_KEYPTR(hh, names, name->text, text.len, name);
    if (HASH_COUNT(names) == before) {
        free(name);
        return NULL;
    }
    told += is_told;
    return name;
}

const char *names_keep(struct span text)
{
    struct name *name = find(text);

    if (name == NULL)
        name = add(text, false);
    else if (name->is_told) {
        name->is_told = false;
        told--;
    }
    return name != NULL ? name->text : NULL;
}

const char *names_keep_told(struct span text)
{
    struct name *name = find(text);

    if (name == NULL && told < NAMES_TOLD_MAX)
        name = add(text, true);
    return name != NULL ? name->text : NULL;
}

void names_forget(void)
{
    struct name *rest = names;
    struct name *name;

    HASH_CLEAR(hh, names);
    while ((name = rest) != NULL) {
        rest = name->hh.next;
        free(name);
    }
    told = 0;
}
