#include "spoa/io/serve/http_pages.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/text.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/process/process_stats.h"

/* How long one turn of the loop may write. A piece that is begun is finished. */
#define SLICE_US 500
/* The pause after a page, in times of what it took. */
#define PAUSE 9
/* What all texts together may take: so many bytes, or so many times the newest where that is more. */
#define HELD_MAX ((size_t)32 * 1024 * 1024)
#define HELD_TIMES 4
/* So much memory is given back to the kernel in one turn of the loop: 40 MiB would take three milliseconds. */
#define SHED_SIZE ((size_t)2 * 1024 * 1024)

struct http_pages {
    struct http_pages_options options;
    ev_timer turn;
    uint64_t begun;               /* how many pages were begun */
    bool wanted[HTTP_PAGE_COUNT]; /* by somebody who asked after it was begun last */
    enum http_page page;          /* being written; NONE: there is a pause, or nothing to do */
    enum http_page last;          /* the one before it */
    struct page_cursor cursor;
    struct text text;
    struct process_stats process;
    int64_t t_loaded_ms;              /* of the configuration that is shown */
    int64_t used_us;                  /* what the page took so far */
    size_t last_len[HTTP_PAGE_COUNT]; /* of each page when it was written last; 0: never */
    struct http_text *texts;
    size_t held;
    struct http_text *unheld; /* long texts that nobody holds, while their memory is given back */
    ev_timer shed;
};

static void arm(const struct http_pages *pages, ev_timer *timer, int64_t wait_us)
{
    ev_timer_stop(pages->options.loop, timer);
    ev_timer_set(timer, (double)wait_us / 1e6, 0.0);
    ev_timer_start(pages->options.loop, timer);
}

/* By turns, so that nobody waits for ever. NONE: nobody waits. */
static enum http_page choose(const struct http_pages *pages)
{
    for (unsigned i = 1; i <= HTTP_PAGE_COUNT; i++) {
        enum http_page page = (pages->last + i) % HTTP_PAGE_COUNT;
        if (pages->wanted[page])
            return page;
    }
    return HTTP_PAGE_NONE;
}

static void begin(struct http_pages *pages, enum http_page page)
{
    pages->page = page;
    pages->last = page;
    pages->wanted[page] = false;
    pages->begun++;
    pages->used_us = 0;
    pages->t_loaded_ms = INT64_MIN;
    process_stats_read(&pages->process);
    text_reserve(&pages->text, pages->last_len[page]);
}

/* NULL where memory is short. */
static struct http_text *make_text(struct http_pages *pages)
{
    struct http_text *text = pages->text.has_failed ? NULL : calloc(1, sizeof(*text));

    if (text == NULL) {
        text_finish(&pages->text);
        return NULL;
    }
    text->data = pages->text.data;
    text->len = pages->text.len;
    text->holders = 1;
    pages->text = (struct text){.data = NULL};
    pages->held += text->len;
    pages->last_len[pages->page] = text->len;
    DL_APPEND(pages->texts, text);
    return text;
}

static void end(struct http_pages *pages)
{
    struct http_text *text = make_text(pages);
    enum http_page page = pages->page;

    pages->page = HTTP_PAGE_NONE;
    arm(pages, &pages->turn, PAUSE * pages->used_us);
    pages->options.ready(pages->options.ready_context, page, pages->begun, text);
    if (text != NULL)
        http_pages_give_back(pages, text);
}

/* True where more is to be written. */
static bool write_slice(struct http_pages *pages, int64_t begun_us)
{
    struct status status;

    pages->options.status(pages->options.status_context, &status);
    status.process = pages->process;
    if (status.t_loaded_ms != pages->t_loaded_ms) { /* the first slice, or another configuration since */
        text_clear(&pages->text);
        pages->cursor = (struct page_cursor){.section = 0};
        pages->t_loaded_ms = status.t_loaded_ms;
    }
    while (http_page_write(pages->page, &status, &pages->cursor, &pages->text) && !pages->text.has_failed)
        if (clock_us() - begun_us >= SLICE_US)
            return true;
    return false;
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct http_pages *pages = container_of(timer, struct http_pages, turn);
    int64_t begun_us = clock_us();

    (void)loop;
    (void)events;
    if (pages->page == HTTP_PAGE_NONE) {
        enum http_page page = choose(pages);
        if (page == HTTP_PAGE_NONE)
            return;
        begin(pages, page);
    }
    bool has_more = write_slice(pages, begun_us);
    pages->used_us += clock_us() - begun_us;
    if (has_more)
        arm(pages, &pages->turn, 0);
    else
        end(pages);
}

uint64_t http_pages_want(struct http_pages *pages, enum http_page page)
{
    pages->wanted[page] = true;
    if (!ev_is_active(&pages->turn))
        arm(pages, &pages->turn, 0);
    return pages->begun + 1;
}

void http_pages_hold(struct http_text *text)
{
    text->holders++;
}

static void free_unheld(struct http_pages *pages)
{
    struct http_text *text = pages->unheld;

    LL_DELETE(pages->unheld, text);
    free(text->data);
    free(text);
}

static void on_shed(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct http_pages *pages = container_of(timer, struct http_pages, shed);
    struct http_text *text = pages->unheld;
    char *rest = text->len > SHED_SIZE ? realloc(text->data, text->len - SHED_SIZE) : NULL;

    (void)loop;
    (void)events;
    if (rest == NULL) {
        free_unheld(pages);
    } else {
        text->data = rest;
        text->len -= SHED_SIZE;
    }
    if (pages->unheld != NULL)
        arm(pages, timer, 0);
}

void http_pages_give_back(struct http_pages *pages, struct http_text *text)
{
    if (--text->holders > 0)
        return;
    DL_DELETE(pages->texts, text);
    pages->held -= text->len;
    LL_PREPEND(pages->unheld, text);
    if (text->len <= SHED_SIZE)
        free_unheld(pages);
    else
        arm(pages, &pages->shed, 0);
}

const struct http_text *http_pages_excess(const struct http_pages *pages)
{
    if (pages->texts == NULL || pages->held <= HELD_MAX)
        return NULL;
    const struct http_text *newest = pages->texts->prev; /* utlist: the first one's is the last */
    return pages->held > HELD_TIMES * newest->len ? pages->texts : NULL;
}

struct http_pages *http_pages_create(const struct http_pages_options *options)
{
    struct http_pages *pages = calloc(1, sizeof(*pages));

    if (pages == NULL)
        return NULL;
    pages->options = *options;
    ev_timer_init(&pages->turn, on_turn, 0.0, 0.0);
    ev_timer_init(&pages->shed, on_shed, 0.0, 0.0);
    return pages;
}

void http_pages_destroy(struct http_pages *pages)
{
    if (pages == NULL)
        return;
    assert(pages->texts == NULL);
    ev_timer_stop(pages->options.loop, &pages->turn);
    ev_timer_stop(pages->options.loop, &pages->shed);
    while (pages->unheld != NULL)
        free_unheld(pages);
    text_finish(&pages->text);
    free(pages);
}
