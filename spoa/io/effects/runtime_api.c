#include "spoa/io/effects/runtime_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "spoa/core/haproxy/runtime_reply.h"
#include "spoa/io/effects/runtime_call.h"

/* A process, and the visit to it. */
struct stop {
    struct runtime_api *api;
    struct runtime_visit *visit;
    struct runtime_call *call; /* NULL: none */
    struct stop *next;
};

struct runtime_api {
    struct ev_loop *loop;
    const struct addr *addr;
    bool is_master;
    runtime_api_ended *on_ended;
    void *context;
    struct runtime_visit_options what;
    struct runtime_call *call; /* `show proc`; NULL: none */
    struct reply_lines lines;
    struct reply_workers workers;
    struct reply_answer answer;
    bool is_listed; /* the list of workers is complete */
    struct stop *stops;
    size_t open; /* how many visits are not over */
    char complaint[RUNTIME_COMPLAINT_MAX];
};

struct runtime_api *runtime_api_create(struct ev_loop *loop, const struct addr *addr, bool is_master,
                                       runtime_api_ended *on_ended, void *context)
{
    struct runtime_api *api = calloc(1, sizeof(*api));

    if (api == NULL)
        return NULL;
    api->loop = loop;
    api->addr = addr;
    api->is_master = is_master;
    api->on_ended = on_ended;
    api->context = context;
    return api;
}

static void drop_stops(struct runtime_api *api)
{
    struct stop *stop;
    struct stop *next;

    LL_FOREACH_SAFE (api->stops, stop, next) {
        runtime_call_cancel(stop->call);
        runtime_visit_destroy(stop->visit);
        free(stop);
    }
    api->stops = NULL;
}

void runtime_api_destroy(struct runtime_api *api)
{
    if (api == NULL)
        return;
    runtime_call_cancel(api->call);
    drop_stops(api);
    free(api);
}

/* ---- how it ends ---- */

static void complain(struct runtime_api *api, const char *text)
{
    if (text != NULL && api->complaint[0] == '\0')
        (void)snprintf(api->complaint, sizeof(api->complaint), "%s", text);
}

static void end_round(struct runtime_api *api)
{
    const struct stop *stop;

    LL_FOREACH (api->stops, stop) {
        complain(api, runtime_visit_complaint(stop->visit));
    }
    drop_stops(api);
    api->on_ended(api->context, api->complaint[0] != '\0' ? api->complaint : NULL);
}

/* Ends the round before any visit. */
static void fail(struct runtime_api *api, const char *reason)
{
    complain(api, reason);
    for (size_t i = 0; i < api->what.items->count; i++)
        api->what.items->list[i].outcome = CUT_FAILED;
    end_round(api);
}

static void close_one(struct runtime_api *api)
{
    if (--api->open == 0)
        end_round(api);
}

/* ---- visits ---- */

static void read_visit(void *context, const char *bytes, size_t len);
static void end_call(void *context, const char *reason);

static size_t say_line(void *context, char line[RUNTIME_LINE_MAX])
{
    const struct stop *stop = context;

    return runtime_visit_say(stop->visit, line);
}

/* Calls for the next line, if there is one. */
static void go_on(struct stop *stop)
{
    struct runtime_api *api = stop->api;

    while (runtime_visit_goes_on(stop->visit)) {
        stop->call = runtime_call_begin(api->loop, api->addr, say_line, read_visit, end_call, stop);
        if (stop->call != NULL)
            return;
        runtime_visit_end_reply(stop->visit, strerror(errno));
    }
    close_one(api);
}

static void read_visit(void *context, const char *bytes, size_t len)
{
    struct stop *stop = context;

    if (runtime_visit_take(stop->visit, bytes, len))
        return;
    runtime_call_cancel(stop->call);
    stop->call = NULL;
    go_on(stop);
}

static void end_call(void *context, const char *reason)
{
    struct stop *stop = context;

    stop->call = NULL;
    runtime_visit_end_reply(stop->visit, reason);
    go_on(stop);
}

static bool add_stop(struct runtime_api *api, unsigned pid, bool is_old)
{
    struct runtime_visit_options what = api->what;
    struct stop *stop = calloc(1, sizeof(*stop));

    what.pid = pid;
    what.is_old = is_old;
    if (stop == NULL)
        return false;
    stop->visit = runtime_visit_create(&what);
    if (stop->visit == NULL) {
        free(stop);
        return false;
    }
    stop->api = api;
    LL_PREPEND(api->stops, stop);
    api->open++;
    return true;
}

/* Visits all processes at the same time, so that a process that does not answer does not delay the others. */
static void visit_all(struct runtime_api *api)
{
    struct stop *stop;

    api->open++; /* the round must not end within this loop */
    LL_FOREACH (api->stops, stop) {
        go_on(stop);
    }
    close_one(api);
}

/* ---- the workers of a master ---- */

static void take_line(void *context, const char *line)
{
    struct runtime_api *api = context;
    unsigned pid = reply_workers_take(&api->workers, line);
    bool is_wanted = pid != 0 && !(api->workers.is_old && api->what.is_trial);

    if (is_wanted && !add_stop(api, pid, api->workers.is_old))
        complain(api, "out of memory");
    api->is_listed = reply_answer_take(&api->answer, line) || api->is_listed;
}

static void read_workers(void *context, const char *bytes, size_t len)
{
    struct runtime_api *api = context;

    reply_lines_take(&api->lines, bytes, len);
}

static void end_workers(void *context, const char *reason)
{
    struct runtime_api *api = context;
    char text[RUNTIME_COMPLAINT_MAX];

    api->call = NULL;
    if (api->complaint[0] != '\0')
        reason = api->complaint;
    else if (reason == NULL && !api->is_listed)
        reason = "closed before all was answered";
    if (reason == NULL && api->stops == NULL) {
        (void)snprintf(text, sizeof(text), "this is no master with workers: it says '%s'", api->answer.text);
        reason = text;
    }
    if (reason != NULL)
        fail(api, reason);
    else
        visit_all(api);
}

static size_t ask_for_workers(void *context, char line[RUNTIME_LINE_MAX])
{
    (void)context;
    /* It does not close the connection by itself. */
    return (size_t)snprintf(line, RUNTIME_LINE_MAX, "show proc;quit\n");
}

static void list_workers(struct runtime_api *api)
{
    api->is_listed = false;
    api->workers = (struct reply_workers){.is_old = false};
    api->answer = (struct reply_answer){.has_ended = false};
    reply_lines_init(&api->lines, take_line, api);
    api->call = runtime_call_begin(api->loop, api->addr, ask_for_workers, read_workers, end_workers, api);
    if (api->call == NULL)
        fail(api, strerror(errno));
}

void runtime_api_begin(struct runtime_api *api, const struct runtime_visit_options *what)
{
    api->what = *what;
    api->open = 0;
    api->complaint[0] = '\0';
    if (api->is_master)
        list_workers(api);
    else if (add_stop(api, 0, false))
        visit_all(api);
    else
        fail(api, "out of memory");
}

void runtime_api_move(struct runtime_api *api, const struct addr *addr, void *context,
                      const struct runtime_visit_options *what)
{
    struct stop *stop;

    api->addr = addr;
    api->context = context;
    api->what = *what;
    LL_FOREACH (api->stops, stop) {
        runtime_visit_move(stop->visit, what->debts, what->api, what->items);
    }
}
