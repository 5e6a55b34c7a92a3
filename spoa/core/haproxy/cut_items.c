#include "spoa/core/haproxy/cut_items.h"

#include <stdlib.h>
#include <string.h>

static int compare_items(const void *left, const void *right)
{
    const struct cut_item *a = left;
    const struct cut_item *b = right;
    int order = strcmp(a->backend, b->backend);

    if (order == 0)
        order = strcmp(a->server, b->server);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

void cut_items_sort(struct cut_items *items)
{
    qsort(items->list, items->count, sizeof(*items->list), compare_items);
}

/* As strcmp(), but `other` need not be terminated. */
static int compare_text(const char *text, const char *other, size_t other_len)
{
    int order = strncmp(text, other, other_len);

    return order != 0 ? order : text[other_len] != '\0';
}

size_t cut_items_find(const struct cut_items *items, const char *backend, size_t backend_len,
                      const char *server, size_t server_len, size_t *ret_first)
{
    size_t low = 0;
    size_t count = 0;

    for (size_t high = items->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = compare_text(items->list[middle].backend, backend, backend_len);
        if (order == 0)
            order = compare_text(items->list[middle].server, server, server_len);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_first = low;
    while (low + count < items->count &&
           compare_text(items->list[low + count].backend, backend, backend_len) == 0 &&
           compare_text(items->list[low + count].server, server, server_len) == 0)
        count++;
    return count;
}

/* Copies a text to `at`, and returns the place behind it. */
static char *keep_text(char *at, const char **text)
{
    size_t len = strlen(*text) + 1;

    *text = memcpy(at, *text, len);
    return at + len;
}

bool cut_items_keep(struct cut_items *items)
{
    size_t len = 1;

    for (size_t i = 0; i < items->count; i++)
        len += strlen(items->list[i].backend) + strlen(items->list[i].server) + 2;
    char *at = malloc(len);
    items->texts = at;
    for (size_t i = 0; at != NULL && i < items->count; i++)
        at = keep_text(keep_text(at, &items->list[i].backend), &items->list[i].server);
    return at != NULL;
}

void cut_items_finish(struct cut_items *items)
{
    free(items->list);
    free(items->texts);
    *items = (struct cut_items){.list = NULL};
}
