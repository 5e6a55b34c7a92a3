/* What HAProxy is to be told about in one round: servers of backends, and what came of each. */
#ifndef SPOA_CORE_HAPROXY_CUT_ITEMS_H
#define SPOA_CORE_HAPROXY_CUT_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

/* What came of a cut, from the best to the worst. */
enum cut_outcome {
    CUT_CONFIRMED,
    CUT_INCOMPLETE, /* some sessions had to be left alone, for now */
    CUT_FAILED,
};

/* A server of a backend that HAProxy is told about, and what came of it. */
struct cut_item {
    size_t place; /* in the debts */
    const char *backend;
    const char *server;
    bool may_be_gone; /* the configuration has it no more: HAProxy need not know it */
    enum cut_outcome outcome;
};

/* In order of backend and server. Zero is an empty list. */
struct cut_items {
    struct cut_item *list;
    size_t count;
};

/* Puts them in order. */
void cut_items_sort(struct cut_items *items);

/* How many items are about this server of this backend, which several services may share. `*ret_first` is the place of
 * the first of them in the list. The texts need not be terminated. */
size_t cut_items_find(const struct cut_items *items, const char *backend, size_t backend_len,
                      const char *server, size_t server_len, size_t *ret_first);
void cut_items_finish(struct cut_items *items);

#endif
