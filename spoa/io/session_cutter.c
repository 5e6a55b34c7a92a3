#include "spoa/io/session_cutter.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "spoa/core/log.h"
#include "spoa/io/loop.h"
#include "spoa/io/socket_addr.h"

/* A cut is told so many times, at this interval. */
#define ROUNDS 6
#define ROUND_INTERVAL_S 0.1
/* HAProxy takes a line of tune.bufsize at the most, 16384 by default. */
#define COMMANDS_MAX 8000
/* What is kept of its reply: enough to say what is wrong. */
#define REPLY_MAX 200
#define API_TIMEOUT_S 2.0

struct watch {
    struct service_observer observer;
    struct session_cutter *cutter;
    struct service *service;
    const char *backend;
    const char *last_server; /* of the master named last; borrowed from the configuration */
    struct watch *next;
};

/* Sessions to a server that are being cut. */
struct cut {
    const struct watch *watch;
    const char *server;
    unsigned rounds; /* done */
    struct cut *next;
};

/* One round of commands on its way to one HAProxy, on a connection of its own: so HAProxy wants it. */
struct call {
    ev_io io;
    ev_timer timeout;
    struct session_cutter *cutter;
    const struct addr *api;
    bool is_first_round; /* later ones repeat what went wrong */
    size_t sent;
    size_t reply_len;
    char reply[REPLY_MAX];
    struct call *next;
    struct call *prev;
    size_t len;
    char commands[];
};

struct session_cutter {
    struct ev_loop *loop;
    const struct addr *apis;
    size_t api_count;
    struct metrics *metrics;
    struct history *history;
    struct watch *watches;
    struct cut *cuts;
    struct call *calls;
    ev_timer round;
};

/* ---- one call ---- */

static void end_call(struct call *call)
{
    struct session_cutter *cutter = call->cutter;

    ev_io_stop(cutter->loop, &call->io);
    ev_timer_stop(cutter->loop, &call->timeout);
    if (call->io.fd != -1)
        close(call->io.fd);
    DL_DELETE(cutter->calls, call);
    free(call);
}

static void fail_call(struct call *call, const char *reason)
{
    call->cutter->metrics->cut_failures_total++;
    if (call->is_first_round) {
        char text[ADDR_TEXT_MAX];
        log_event(LOG_LEVEL_WARNING, "runtime-api-failed", log_text("api", addr_format(call->api, text)),
                  log_text("reason", reason));
    }
    end_call(call);
}

static void succeed_call(struct call *call)
{
    const struct session_cutter *cutter = call->cutter;

    for (const struct cut *cut = cutter->cuts; cut != NULL && call->is_first_round; cut = cut->next)
        history_note_cut(cutter->history, service_settings(cut->watch->service)->name, cut->server,
                         loop_now_ms());
    end_call(call);
}

/* HAProxy says nothing but newlines where all went well. */
static void judge_reply(struct call *call)
{
    size_t start = 0;
    size_t end = call->reply_len;

    while (start < end && isspace((unsigned char)call->reply[start]))
        start++;
    while (end > start && isspace((unsigned char)call->reply[end - 1]))
        end--;
    call->reply[end < REPLY_MAX ? end : REPLY_MAX - 1] = '\0';
    if (call->sent < call->len)
        fail_call(call, "closed before all was said");
    else if (end > start)
        fail_call(call, call->reply + start);
    else
        succeed_call(call);
}

static void read_reply(struct call *call)
{
    char bytes[1024];
    ssize_t got = read(call->io.fd, bytes, sizeof(bytes));
    size_t room = sizeof(call->reply) - call->reply_len;

    if (got > 0) {
        size_t kept = (size_t)got < room ? (size_t)got : room;
        memcpy(call->reply + call->reply_len, bytes, kept);
        call->reply_len += kept;
    } else if (got == 0) {
        judge_reply(call);
    } else if (errno != EAGAIN && errno != EINTR) {
        fail_call(call, strerror(errno));
    }
}

static void write_commands(struct call *call)
{
    ssize_t sent = send(call->io.fd, call->commands + call->sent, call->len - call->sent, MSG_NOSIGNAL);

    if (sent == -1) {
        if (errno != EAGAIN && errno != EINTR)
            fail_call(call, strerror(errno));
        return;
    }
    call->sent += (size_t)sent;
    if (call->sent < call->len)
        return;
    ev_io_stop(call->cutter->loop, &call->io);
    ev_io_set(&call->io, call->io.fd, EV_READ);
    ev_io_start(call->cutter->loop, &call->io);
}

static void on_call(struct ev_loop *loop, ev_io *io, int events)
{
    struct call *call = container_of(io, struct call, io);

    (void)loop;
    if ((events & EV_WRITE) != 0)
        write_commands(call);
    else
        read_reply(call);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    fail_call(container_of(timer, struct call, timeout), "timeout");
}

/* -1 with errno, where it cannot even be tried. */
static int connect_api(const struct addr *api)
{
    struct sockaddr_storage address;
    socklen_t len = 0;

    if (!socket_addr_from(api, &address, &len)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, len) == -1 && errno != EINPROGRESS && errno != EINTR) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static void begin_call(struct session_cutter *cutter, const struct addr *api, const char *commands,
                       size_t len, bool is_first_round)
{
    struct call *call = calloc(1, sizeof(*call) + len);

    if (call == NULL) {
        cutter->metrics->cut_failures_total++;
        return;
    }
    call->cutter = cutter;
    call->api = api;
    call->is_first_round = is_first_round;
    call->len = len;
    memcpy(call->commands, commands, len);
    ev_io_init(&call->io, on_call, -1, EV_NONE);
    ev_timer_init(&call->timeout, on_timeout, API_TIMEOUT_S, 0.0);
    DL_APPEND(cutter->calls, call);
    int fd = connect_api(api);
    ev_io_set(&call->io, fd, EV_WRITE);
    if (fd == -1) {
        fail_call(call, strerror(errno));
        return;
    }
    ev_io_start(cutter->loop, &call->io);
    ev_now_update(cutter->loop);
    ev_timer_start(cutter->loop, &call->timeout);
}

/* ---- rounds ---- */

static void send_commands(struct session_cutter *cutter, char *commands, size_t len, bool is_first_round)
{
    if (len == 0)
        return;
    commands[len - 1] = '\n'; /* in place of the last semicolon */
    for (size_t i = 0; i < cutter->api_count; i++)
        begin_call(cutter, &cutter->apis[i], commands, len, is_first_round);
}

/* A server that is the master again must be let alone. */
static bool is_over(const struct cut *cut)
{
    const struct service_decision *decision = service_decision(cut->watch->service);

    return cut->rounds == ROUNDS || decision->server == cut->server;
}

/* Drops the cuts that are done. */
static void drop_ended(struct session_cutter *cutter)
{
    struct cut **link = &cutter->cuts;

    while (*link != NULL) {
        struct cut *cut = *link;
        if (is_over(cut)) {
            *link = cut->next;
            free(cut);
        } else {
            link = &cut->next;
        }
    }
}

/* Tells all HAProxys of all cuts, in as few lines as they fit into. */
static void do_round(struct session_cutter *cutter)
{
    char commands[COMMANDS_MAX];
    size_t len = 0;
    bool is_first_round = false;

    for (struct cut *cut = cutter->cuts; cut != NULL; cut = cut->next) {
        size_t needed =
            strlen("shutdown sessions server /;") + strlen(cut->watch->backend) + strlen(cut->server);
        if (len + needed >= sizeof(commands)) {
            send_commands(cutter, commands, len, is_first_round);
            len = 0;
            is_first_round = false;
        }
        (void)snprintf(commands + len, sizeof(commands) - len, "shutdown sessions server %s/%s;",
                       cut->watch->backend, cut->server);
        len += needed;
        is_first_round = is_first_round || cut->rounds == 0;
        cut->rounds++;
    }
    send_commands(cutter, commands, len, is_first_round);
}

static void on_round(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct session_cutter *cutter = container_of(timer, struct session_cutter, round);

    (void)events;
    drop_ended(cutter);
    do_round(cutter);
    if (cutter->cuts == NULL)
        ev_timer_stop(loop, timer);
}

static void begin_cut(struct watch *watch, const char *server)
{
    struct session_cutter *cutter = watch->cutter;
    struct cut *cut = calloc(1, sizeof(*cut));

    if (cut == NULL) {
        cutter->metrics->cut_failures_total++;
        return;
    }
    cut->watch = watch;
    cut->server = server;
    cut->next = cutter->cuts;
    cutter->cuts = cut;
    cutter->metrics->cuts_total++;
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
    cutter->loop = loop;
    cutter->apis = apis;
    cutter->api_count = count;
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
    watch->next = cutter->watches;
    cutter->watches = watch;
    service_observe(service, &watch->observer);
    return true;
}

void session_cutter_destroy(struct session_cutter *cutter)
{
    struct cut *cut;
    struct watch *watch;

    if (cutter == NULL)
        return;
    ev_timer_stop(cutter->loop, &cutter->round);
    for (struct call *call = cutter->calls, *next = NULL; call != NULL; call = next) {
        next = call->next;
        end_call(call);
    }
    while ((cut = cutter->cuts) != NULL) {
        cutter->cuts = cut->next;
        free(cut);
    }
    while ((watch = cutter->watches) != NULL) {
        cutter->watches = watch->next;
        free(watch);
    }
    free(cutter);
}
