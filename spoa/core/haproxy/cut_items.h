/* The servers that HAProxy is told about in one round, and the outcome for each. */
#ifndef SPOA_CORE_HAPROXY_CUT_ITEMS_H
#define SPOA_CORE_HAPROXY_CUT_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"

/* The outcome of a cut, from the best to the worst. */
enum cut_outcome {
    CUT_CONFIRMED,
    CUT_INCOMPLETE, /* some sessions are still connecting and were left alone */
    CUT_FAILED,
};

/* A server of a backend. */
struct cut_item {
    size_t place;        /* its number in the debts */
    const char *backend; /* in the list's own memory */
    const char *server;
    bool may_be_gone; /* our configuration no longer has it, so HAProxy may not have it either */
    enum cut_outcome outcome;
};

/* In the order of backends and servers. All zero: the list is empty. The texts are copies, because a reload
 * may end the configuration that they are from while the round goes on. */
struct cut_items {
    struct cut_item *list;
    size_t count;
    char *texts;
};

/* Copies the texts of all items. The caller frees the list with cut_items_finish(). False if memory is
 * short. */
MUST_CHECK bool cut_items_keep(struct cut_items *items);

/* Puts them in order. */
void cut_items_sort(struct cut_items *items);

/* How many items are about this server. There may be several, because services may share a backend.
 * Writes the place of the first one in the list. The texts need not be terminated. */
size_t cut_items_find(const struct cut_items *items, const char *backend, size_t backend_len,
                      const char *server, size_t server_len, size_t *ret_first);
void cut_items_finish(struct cut_items *items);

#endif
