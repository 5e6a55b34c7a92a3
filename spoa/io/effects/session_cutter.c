#include "spoa/io/effects/session_cutter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/text.h"
#include "spoa/core/haproxy/haproxy_sessions.h"
#include "spoa/core/haproxy/haproxy_version.h"
#include "spoa/io/effects/runtime_call.h"
#include "spoa/io/net/loop.h"

/* A cut is told so many times, at this interval; more often while sessions to the server are still connecting. */
#define ROUNDS 6
#define ROUNDS_MAX 11
#define ROUND_INTERVAL_S 0.1
/* What is kept of a line of HAProxy's: enough to say what is wrong. */
#define LINE_MAX_KEPT 200
/* Commands by which sessions are shut one by one, in bytes. What has no room goes with the next look at the sessions, and
 * so many looks follow each other. */
#define ONE_BY_ONE_MAX 65536
#define LOOKS_MAX 100

struct watch {
    struct service_observer observer;
    struct session_cutter *cutter;
    struct service *service;
    const char *backend;
    const char *last_server; /* of the master named last; borrowed from the configuration */
    struct watch *next;
};

/* What one HAProxy was told of a cut. */
struct progress {
    unsigned rounds;    /* that are over, well or not */
    bool is_in_round;   /* the round under way is about it */
    bool is_connecting; /* in the last look a session to the server was connecting */
};

/* Sessions to a server that are being cut. */
struct cut {
    const struct watch *watch;
    const char *server;
    bool is_noted; /* the history has it */
    struct cut *next;
    struct progress progress[]; /* one per HAProxy */
};

/* What a HAProxy is being asked or told. */
enum step {
    STEP_INFO,     /* which version it is */
    STEP_SESSIONS, /* which sessions it has, and whether one is connecting */
    STEP_SINGLE,   /* which are established where others are connecting */
    STEP_SHUT,     /* to shut some */
};

/* One HAProxy. It has one call at a time. */
struct api {
    struct session_cutter *cutter;
    const struct addr *addr;
    size_t index;
    struct runtime_call *call; /* NULL: none */
    enum step step;
    unsigned version;      /* 0: not one that we know */
    bool is_version_known; /* for as long as there is something to cut */
    bool is_due;           /* a round came during a call */
    bool is_told;          /* the log has what is wrong with it */
    size_t len;
    char line[LINE_MAX_KEPT]; /* the beginning of the reply; with STEP_SHUT, of its last line */
    char complaint[LINE_MAX_KEPT];
    struct session_reader sessions;
    unsigned looks;       /* that followed each other, because `has_more` */
    bool has_more;        /* sessions for which `commands` had no room */
    struct text commands; /* of this round, with a semicolon behind each */
    size_t commands_sent;
};

struct session_cutter {
    struct ev_loop *loop;
    struct api *apis;
    size_t api_count;
    struct metrics *metrics;
    struct history *history;
    struct watch *watches;
    struct cut *cuts;
    ev_timer round;
};

/* ---- the cuts ---- */

static bool is_settled(const struct progress *progress)
{
    return !progress->is_in_round && progress->rounds >= (progress->is_connecting ? ROUNDS_MAX : ROUNDS);
}

/* A server that is the master again must be let alone. */
static bool is_master_again(const struct cut *cut)
{
    return service_decision(cut->watch->service)->server == cut->server;
}

static bool is_over(const struct session_cutter *cutter, const struct cut *cut)
{
    if (is_master_again(cut))
        return true;
    for (size_t i = 0; i < cutter->api_count; i++)
        if (!is_settled(&cut->progress[i]))
            return false;
    return true;
}

/* Drops the cuts that are done. */
static void drop_ended(struct session_cutter *cutter)
{
    struct cut *cut;
    struct cut *next;
    struct cut *kept = NULL;

    LL_FOREACH_SAFE (cutter->cuts, cut, next) {
        if (is_over(cutter, cut))
            free(cut);
        else
            LL_APPEND(kept, cut);
    }
    cutter->cuts = kept;
}

/* ---- one HAProxy ---- */

static void begin_round(struct api *api);
static void take_sessions(struct api *api);
static void tell_next(struct api *api);

/* The round is over, for the cuts that it was about. */
static void end_round(struct api *api, bool is_well)
{
    struct session_cutter *cutter = api->cutter;

    for (struct cut *cut = cutter->cuts; cut != NULL; cut = cut->next) {
        struct progress *progress = &cut->progress[api->index];
        if (!progress->is_in_round)
            continue;
        progress->is_in_round = false;
        progress->rounds++;
        if (is_well && !cut->is_noted)
            history_note_cut(cutter->history, service_settings(cut->watch->service)->name, cut->server,
                             clock_ms());
        cut->is_noted = cut->is_noted || is_well;
    }
    api->looks = 0;
    if (api->is_due)
        begin_round(api);
}

static void fail(struct api *api, const char *reason)
{
    api->cutter->metrics->cut_failures_total++;
    api->is_version_known = false;
    if (!api->is_told) {
        char text[ADDR_TEXT_MAX];
        log_event(LOG_LEVEL_WARNING, "runtime-api-failed", log_text("api", addr_format(api->addr, text)),
                  log_text("reason", reason));
    }
    api->is_told = true;
    end_round(api, false);
}

/* All that this round had to say was said. */
static void finish_round(struct api *api)
{
    if (api->complaint[0] != '\0')
        fail(api, api->complaint);
    else if (api->has_more && ++api->looks < LOOKS_MAX)
        begin_round(api);
    else
        end_round(api, true);
}

/* Keeps the first line that complains. A session that ended by itself is no fault. */
static void judge_line(struct api *api)
{
    api->line[api->len] = '\0';
    api->len = 0;
    if (api->complaint[0] == '\0' && strspn(api->line, " \r") < strlen(api->line) &&
        strncmp(api->line, "No such session", 15) != 0)
        memcpy(api->complaint, api->line, sizeof(api->complaint));
}

static void call_read(void *context, const char *bytes, size_t len)
{
    struct api *api = context;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' && api->step == STEP_SHUT)
            judge_line(api);
        else if (api->len + 1 < sizeof(api->line))
            api->line[api->len++] = bytes[i];
    }
    if (api->step == STEP_SESSIONS || api->step == STEP_SINGLE)
        session_reader_take(&api->sessions, bytes, len);
}

static void end_step(struct api *api)
{
    api->line[api->len] = '\0';
    if (api->step == STEP_INFO) {
        api->version = haproxy_info_version(api->line);
        api->is_version_known = true;
        begin_round(api);
    } else if (api->step != STEP_SHUT && strncmp(api->line, "0x", 2) != 0) {
        api->line[strcspn(api->line, "\r\n")] = '\0';
        fail(api, api->line); /* the session that asks is always there */
    } else if (api->step == STEP_SESSIONS) {
        take_sessions(api);
    } else {
        tell_next(api);
    }
}

static void call_ended(void *context, const char *reason)
{
    struct api *api = context;

    api->call = NULL;
    if (reason != NULL)
        fail(api, reason);
    else
        end_step(api);
}

static void say(struct api *api, enum step step, const char *line, size_t len)
{
    api->step = step;
    api->len = 0;
    api->call = runtime_call_begin(api->cutter->loop, api->addr, line, len, call_read, call_ended, api);
    if (api->call == NULL)
        fail(api, strerror(errno));
}

/* A command about the server of a cut. */
static void add_command(struct text *commands, const char *command, const struct cut *cut)
{
    text_add(commands, command);
    text_add(commands, " ");
    text_add(commands, cut->watch->backend);
    text_add(commands, "/");
    text_add(commands, cut->server);
    text_add(commands, ";");
}

/* Shuts all sessions to the servers to which nobody was connecting. */
static void add_whole_cuts(struct api *api)
{
    for (const struct cut *cut = api->cutter->cuts; cut != NULL; cut = cut->next) {
        const struct progress *progress = &cut->progress[api->index];
        if (progress->is_in_round && !progress->is_connecting && !is_master_again(cut))
            add_command(&api->commands, "shutdown sessions server", cut);
    }
}

/* The next of the commands, as many as a line takes. */
static void tell_next(struct api *api)
{
    char line[RUNTIME_CALL_MAX];
    size_t len = api->commands.len - api->commands_sent;
    if (api->commands.has_failed) {
        fail(api, "out of memory");
        return;
    }
    if (len == 0) {
        finish_round(api);
        return;
    }
    const char *at = api->commands.data + api->commands_sent;
    if (len > sizeof(line))
        for (len = sizeof(line); at[len - 1] != ';';)
            len--;
    memcpy(line, at, len);
    line[len - 1] = '\n'; /* in place of the last semicolon */
    api->commands_sent += len;
    say(api, STEP_SHUT, line, len);
}

static bool is_text(const char *text, const char *part, size_t len)
{
    return strlen(text) == len && memcmp(text, part, len) == 0;
}

static struct cut *find_cut(const struct api *api, const struct haproxy_session *session)
{
    for (struct cut *cut = api->cutter->cuts; cut != NULL; cut = cut->next)
        if (cut->progress[api->index].is_in_round &&
            is_text(cut->server, session->server, session->server_len) &&
            is_text(cut->watch->backend, session->backend, session->backend_len))
            return cut;
    return NULL;
}

/* ---- a HAProxy that must not shut a session which is connecting ---- */

static void find_connecting(void *context, const struct haproxy_session *session)
{
    const struct api *api = context;
    struct cut *cut = session->state == HAPROXY_SESSION_CONNECTING ? find_cut(api, session) : NULL;

    if (cut != NULL)
        cut->progress[api->index].is_connecting = true;
}

static void shut_established(void *context, const struct haproxy_session *session)
{
    struct api *api = context;
    const struct cut *cut = session->state == HAPROXY_SESSION_ESTABLISHED ? find_cut(api, session) : NULL;

    if (cut == NULL || !cut->progress[api->index].is_connecting || is_master_again(cut))
        return;
    if (api->commands.len > ONE_BY_ONE_MAX)
        api->has_more = true;
    else
        text_printf(&api->commands, "shutdown session %.*s;", (int)session->id_len, session->id);
}

static void ask_sessions(struct api *api, enum step step)
{
    static const char sessions[] = "show sess\n";

    session_reader_init(&api->sessions, step == STEP_SESSIONS ? find_connecting : shut_established, api);
    say(api, step, sessions, strlen(sessions));
}

static void look_at_sessions(struct api *api)
{
    for (struct cut *cut = api->cutter->cuts; cut != NULL; cut = cut->next)
        cut->progress[api->index].is_connecting = false;
    ask_sessions(api, STEP_SESSIONS);
}

/*
 * Where nobody was connecting all sessions to the server are shut in one go: these can only be sessions to the server. One by
 * one they are shut only where somebody was, for an id may be another session's by the time that HAProxy reads it.
 */
static void take_sessions(struct api *api)
{
    bool any_connects = false;

    for (const struct cut *cut = api->cutter->cuts; cut != NULL; cut = cut->next)
        any_connects = any_connects || cut->progress[api->index].is_connecting;
    add_whole_cuts(api);
    if (any_connects)
        ask_sessions(api, STEP_SINGLE);
    else
        tell_next(api);
}

/* Begins, or goes on with, the round about all cuts of which this HAProxy was not told often enough. */
static void begin_round(struct api *api)
{
    static const char info[] = "show info\n";
    bool is_idle = true;

    drop_ended(api->cutter);
    api->is_due = false;
    api->has_more = false;
    api->complaint[0] = '\0';
    api->commands_sent = 0;
    text_finish(&api->commands);
    for (struct cut *cut = api->cutter->cuts; cut != NULL; cut = cut->next) {
        struct progress *progress = &cut->progress[api->index];
        progress->is_in_round = !is_settled(progress);
        is_idle = is_idle && !progress->is_in_round;
    }
    if (is_idle)
        return;
    if (!api->is_version_known) {
        say(api, STEP_INFO, info, strlen(info));
    } else if (haproxy_hangs(api->version)) {
        look_at_sessions(api);
    } else {
        add_whole_cuts(api);
        tell_next(api);
    }
}

/* ---- rounds ---- */

/* Tells all HAProxys of all cuts. One that has not answered the last time is told when it has. */
static void on_round(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct session_cutter *cutter = container_of(timer, struct session_cutter, round);

    (void)events;
    drop_ended(cutter);
    for (size_t i = 0; i < cutter->api_count; i++) {
        if (cutter->apis[i].call != NULL) {
            cutter->apis[i].is_due = true;
            continue;
        }
        begin_round(&cutter->apis[i]);
    }
    if (cutter->cuts == NULL)
        ev_timer_stop(loop, timer);
}

static void begin_cut(struct watch *watch, const char *server)
{
    struct session_cutter *cutter = watch->cutter;
    struct cut *cut = calloc(1, sizeof(*cut) + cutter->api_count * sizeof(*cut->progress));
    bool is_first = cutter->cuts == NULL;

    if (cut == NULL) {
        cutter->metrics->cut_failures_total++;
        return;
    }
    cut->watch = watch;
    cut->server = server;
    LL_PREPEND(cutter->cuts, cut);
    cutter->metrics->cuts_total++;
    for (size_t i = 0; i < cutter->api_count; i++) {
        cutter->apis[i].is_told = false;
        if (is_first) /* since the last cut another HAProxy may have begun to listen there */
            cutter->apis[i].is_version_known = false;
    }
    log_event(LOG_LEVEL_INFO, "sessions-cut", log_text("service", service_settings(watch->service)->name),
              log_text("backend", watch->backend), log_text("server", server));
    /* At once; several services that switch in one turn of the loop share a round. */
    ev_now_update(cutter->loop);
    ev_timer_stop(cutter->loop, &cutter->round);
    ev_timer_set(&cutter->round, 0.0, ROUND_INTERVAL_S);
    ev_timer_start(cutter->loop, &cutter->round);
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct watch *watch = container_of(self, struct watch, observer);

    (void)service;
    if (change->switched) {
        if (change->replaced_server != NULL)
            begin_cut(watch, change->replaced_server);
        watch->last_server = change->after->server;
    }
    if (change->after->is_fenced && !change->before->is_fenced && watch->last_server != NULL)
        begin_cut(watch, watch->last_server);
}

struct session_cutter *session_cutter_create(struct ev_loop *loop, const struct addr *apis, size_t count,
                                             struct metrics *metrics, struct history *history)
{
    struct session_cutter *cutter = calloc(1, sizeof(*cutter));

    if (cutter == NULL)
        return NULL;
    cutter->apis = calloc(count > 0 ? count : 1, sizeof(*cutter->apis));
    if (cutter->apis == NULL) {
        free(cutter);
        return NULL;
    }
    cutter->loop = loop;
    cutter->api_count = count;
    for (size_t i = 0; i < count; i++) {
        cutter->apis[i].cutter = cutter;
        cutter->apis[i].addr = &apis[i];
        cutter->apis[i].index = i;
    }
    cutter->metrics = metrics;
    cutter->history = history;
    ev_timer_init(&cutter->round, on_round, 0.0, ROUND_INTERVAL_S);
    return cutter;
}

bool session_cutter_watch(struct session_cutter *cutter, struct service *service, const char *backend)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return false;
    watch->cutter = cutter;
    watch->service = service;
    watch->backend = backend;
    watch->last_server = service_last_server(service);
    watch->observer.changed = decision_changed;
    LL_PREPEND(cutter->watches, watch);
    service_observe(service, &watch->observer);
    return true;
}

void session_cutter_destroy(struct session_cutter *cutter)
{
    struct cut *cut;
    struct cut *next_cut;
    struct watch *watch;
    struct watch *next_watch;

    if (cutter == NULL)
        return;
    ev_timer_stop(cutter->loop, &cutter->round);
    for (size_t i = 0; i < cutter->api_count; i++) {
        runtime_call_cancel(cutter->apis[i].call);
        text_finish(&cutter->apis[i].commands);
    }
    free(cutter->apis);
    LL_FOREACH_SAFE (cutter->cuts, cut, next_cut) {
        free(cut);
    }
    LL_FOREACH_SAFE (cutter->watches, watch, next_watch) {
        free(watch);
    }
    free(cutter);
}
