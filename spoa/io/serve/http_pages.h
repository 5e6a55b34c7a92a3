/*
 * The pages that grow with the configuration (http_page), for all who wait for one at a time. Such a page is written in
 * short pieces, one a turn of the loop, so that HAProxy is answered in between. One text goes to all who asked before
 * it was begun, without a copy. Nobody gets a text that was begun before he asked: what has changed is seen at once.
 * After a page there is a pause of nine times what it took, so that no number of clients takes more than a tenth of a CPU.
 */
#ifndef SPOA_IO_SERVE_HTTP_PAGES_H
#define SPOA_IO_SERVE_HTTP_PAGES_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/status/http_routes.h"

struct http_pages;
struct status;

/* Fills in the present status but for `process`. What it points to is valid until the loop turns. */
typedef void (*http_status_fn)(void *context, struct status *ret_status);

/* A page as it was at one moment. It lives until all who hold it have given it back, and the pages are there. */
struct http_text {
    struct http_text *next; /* the next newer one */
    struct http_text *prev;
    char *data;
    size_t len;
    unsigned holders;
};

/*
 * Called when a page is written, for all who want it and whose ticket is not beyond `number`. They may hold the text.
 * NULL: memory was short.
 */
typedef void (*http_pages_ready_fn)(void *context, enum http_page page, uint64_t number,
                                    struct http_text *text);

struct http_pages_options {
    struct ev_loop *loop;
    http_status_fn status;
    void *status_context;
    http_pages_ready_fn ready;
    void *ready_context;
};

/* NULL where memory is short. */
struct http_pages *http_pages_create(const struct http_pages_options *options);

/* All texts must have been given back. NULL is fine. */
void http_pages_destroy(struct http_pages *pages);

/* Asks for a page that is not begun yet. Returns the ticket; see http_pages_ready_fn. */
uint64_t http_pages_want(struct http_pages *pages, enum http_page page);

void http_pages_hold(struct http_text *text);

/* Frees the text where nobody else holds it, a long one in later turns of the loop. */
void http_pages_give_back(struct http_pages *pages, struct http_text *text);

/* The oldest text where all that are held take too much memory, else NULL. Who holds it is too slow. */
const struct http_text *http_pages_excess(const struct http_pages *pages);

#endif
