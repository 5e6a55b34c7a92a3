#include "spoa/cli/rehearse.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/cli/options.h"
#include "spoa/cli/rehearse_state.h"
#include "spoa/cli/stopwatch.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"

/* Writes before the failover is ordered, and on the new master. */
#define WRITES_BEFORE 100
#define WRITES_AFTER 200
/* How long the first writes may take, and the failover. */
#define WARM_UP_MS 20000
#define FAILOVER_MS 60000
/* Between two questions to the Sentinels, and to the old master. */
#define LOOK_MS 10
#define ROLE_MS 200
#define PROGRESS_MS 200
/* A client waits so long for HAProxy, or 2 s longer than 'park'. */
#define CLIENT_S 10

/* The rehearsal as it goes on. */
struct stage {
    struct rehearse *rehearse;
    struct rehearsal rehearsal;
    struct redis_client session; /* opened before, and idle */
    struct text lines;           /* to be printed */
    pid_t writer;
    int pipe; /* from the writer */
    int64_t t_reopened_ms;
    int64_t t_role_ms;
    int64_t t_shown_ms;
};

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

/* ---- what the parts share ---- */

int rehearse_find_server(const struct rehearse *rehearse, const struct addr *addr)
{
    for (size_t i = 0; i < rehearse->service->server_count; i++)
        if (service_server_has(&rehearse->service->servers[i], addr))
            return (int)i;
    return REHEARSAL_NOBODY;
}

struct redis_client rehearse_open_node(const struct rehearse *rehearse, int server)
{
    return redis_client_open(&rehearse->service->servers[server].addr, rehearse->credentials, rehearse->tls);
}

struct redis_client rehearse_open_through(const struct rehearse *rehearse)
{
    struct redis_target target = {
        .addr = &rehearse->through,
        .credentials = rehearse->credentials,
        .tls = rehearse->tls,
        .patience_s = CLIENT_S,
    };

    if (rehearse->service->park_ms > (int64_t)(CLIENT_S - 2) * 1000)
        target.patience_s = (unsigned)(rehearse->service->park_ms / 1000) + 2;
    redis_client_open_all(&target, 1);
    return target.client;
}

void rehearse_copy_error(const struct redis_client *client, const struct reply *reply,
                         char error[REHEARSE_ERROR_MAX])
{
    if (reply == NULL)
        (void)snprintf(error, REHEARSE_ERROR_MAX, "%s",
                       client->error[0] != '\0' ? client->error : "no reply");
    else if (reply->kind == REPLY_ERROR || reply->kind == REPLY_TEXT)
        (void)snprintf(error, REHEARSE_ERROR_MAX, "%.*s", (int)reply->text.len,
                       (const char *)reply->text.data);
    else
        (void)snprintf(error, REHEARSE_ERROR_MAX, "a reply of another kind than expected");
}

int rehearse_identify(const struct rehearse *rehearse, struct redis_client *client,
                      char error[REHEARSE_ERROR_MAX])
{
    static const char *const words[] = {"INFO", "server", NULL};
    const struct reply *reply = client->wants_password ? NULL : redis_client_ask(client, words);
    struct span id;

    error[0] = '\0';
    if (reply == NULL || node_reply_read_run_id(reply, &id) != REPLY_READ_OK) {
        rehearse_copy_error(client, reply, error);
        return REHEARSAL_NOBODY;
    }
    for (size_t i = 0; i < rehearse->service->server_count; i++)
        if (span_equals_text(id, rehearse->run_ids[i]))
            return (int)i;
    return REHEARSAL_NOBODY;
}

/* ---- the key ---- */

/* Sends one command to a node. False with a message if it does not do it. */
static bool tell_node(const struct rehearse *rehearse, int server, const char *const *words)
{
    struct redis_client client = rehearse_open_node(rehearse, server);
    const struct reply *reply = redis_client_ask(&client, words);
    bool is_done = reply != NULL && reply->kind == REPLY_INTEGER;

    if (!is_done) {
        char error[REHEARSE_ERROR_MAX];
        rehearse_copy_error(&client, reply, error);
        fprintf(stderr, "%s refuses %s %s: %s\n", rehearse->names[server], words[0], words[1], error);
    }
    redis_client_close(&client);
    return is_done;
}

static bool is_master(const struct rehearse *rehearse, int server)
{
    static const char *const words[] = {"ROLE", NULL};
    struct redis_client client = rehearse_open_node(rehearse, server);
    const struct reply *reply = redis_client_ask(&client, words);
    bool is_so = reply != NULL && node_reply_role(reply) == NODE_ROLE_MASTER;

    redis_client_close(&client);
    return is_so;
}

/* From every node that says that it is a master: its replicas follow. */
static void remove_key(const struct rehearse *rehearse)
{
    const char *const words[] = {"DEL", rehearse->key, NULL};
    bool is_removed = false;

    for (size_t i = 0; i < rehearse->service->server_count; i++)
        if (is_master(rehearse, (int)i))
            is_removed = tell_node(rehearse, (int)i, words) || is_removed;
    if (!is_removed)
        fprintf(stderr, "the key %s could not be removed: it goes by itself after %s s\n", rehearse->key,
                REHEARSE_KEY_LIFE_S);
}

/* ---- the writer ---- */

static void run_writer(const struct rehearse *rehearse, int pipe)
{
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    rehearse_write_all(rehearse, pipe);
    _exit(0);
}

static bool start_writer(struct stage *stage)
{
    int ends[2];

    if (pipe(ends) == -1)
        return false;
    stage->writer = fork();
    if (stage->writer == 0) {
        close(ends[0]);
        run_writer(stage->rehearse, ends[1]);
    }
    close(ends[1]);
    stage->pipe = ends[0];
    return stage->writer != -1;
}

static void stop_writer(struct stage *stage)
{
    if (stage->writer <= 0)
        return;
    (void)kill(stage->writer, SIGKILL);
    while (waitpid(stage->writer, NULL, 0) == -1 && errno == EINTR)
        continue;
    stage->writer = 0;
}

#define CLEAR_LINE "\r\033[K"

static void print_lines(struct stage *stage)
{
    bool is_terminal = isatty(STDOUT_FILENO);

    fputs(is_terminal ? CLEAR_LINE : "", stdout);
    if (stage->lines.data != NULL)
        fputs(stage->lines.data, stdout);
    fflush(stdout);
    text_finish(&stage->lines);
}

/* For somebody who watches: the last line of the terminal says how far it is. */
static void print_progress(struct stage *stage)
{
    const struct rehearsal *rehearsal = &stage->rehearsal;
    int64_t now_ms = stopwatch_ms();

    if (!isatty(STDOUT_FILENO) || now_ms - stage->t_shown_ms < PROGRESS_MS)
        return;
    stage->t_shown_ms = now_ms;
    printf(CLEAR_LINE "%+8lld ms  %u writes, %u refused ...", (long long)(now_ms - rehearsal->t_ordered_ms),
           rehearsal->count, rehearsal->refused);
    fflush(stdout);
}

/* Takes one record. False where there is none. */
static bool take_record(struct stage *stage)
{
    struct rehearse_record record;

    if (read(stage->pipe, &record, sizeof(record)) != (ssize_t)sizeof(record))
        return false;
    record.error[sizeof(record.error) - 1] = '\0';
    rehearsal_note_write(&stage->rehearsal, &record.write, record.error, &stage->lines);
    return true;
}

/* Waits up to LOOK_MS for records of writes, and takes them. False if the writer has ended. */
static bool take_writes(struct stage *stage)
{
    struct pollfd polled = {.fd = stage->pipe, .events = POLLIN};
    int wait_ms = LOOK_MS;

    for (; poll(&polled, 1, wait_ms) == 1; wait_ms = 0)
        if (!take_record(stage))
            return false;
    return true;
}

/* ---- what is watched ---- */

/* Nothing is said on the idle session: whatever comes is its end. */
static void look_at_session(struct stage *stage)
{
    struct pollfd polled = {.fd = stage->session.fd, .events = POLLIN};

    if (stage->session.fd == -1 || poll(&polled, 1, 0) != 1)
        return;
    redis_client_close(&stage->session);
    rehearsal_note_cut(&stage->rehearsal, stopwatch_ms(), &stage->lines);
}

/* One whose connection broke is called again, once a second. */
static void reopen_sentinels(struct stage *stage)
{
    struct rehearse *rehearse = stage->rehearse;

    if (stopwatch_ms() - stage->t_reopened_ms < 1000)
        return;
    for (size_t i = 0; i < rehearse->group->address_count; i++)
        if (rehearse->sentinels[i].client.parser == NULL)
            redis_client_open_all(&rehearse->sentinels[i], 1);
    stage->t_reopened_ms = stopwatch_ms();
}

static void look_at_sentinels(struct stage *stage)
{
    struct rehearse *rehearse = stage->rehearse;
    const char *const words[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", rehearse->service->monitor, NULL};
    int votes[QUORUM_VOTERS_MAX];

    for (size_t i = 0; i < rehearse->group->address_count; i++) {
        const struct reply *reply = redis_client_ask(&rehearse->sentinels[i].client, words);
        struct addr addr;
        bool is_named = reply != NULL && sentinel_reply_read_master(reply, &addr) == REPLY_READ_OK;
        votes[i] = is_named ? rehearse_find_server(rehearse, &addr) : REHEARSAL_NOBODY;
    }
    rehearsal_note_votes(&stage->rehearsal, votes, stopwatch_ms(), &stage->lines);
    reopen_sentinels(stage);
}

/* Whether the old master is a replica of the new one, in sync. */
static bool follows(const struct rehearse *rehearse, int old, int new)
{
    static const char *const words[] = {"ROLE", NULL};
    const struct addr *self = &rehearse->service->servers[old].addr;
    struct redis_client client = rehearse_open_node(rehearse, old);
    const struct reply *reply = redis_client_ask(&client, words);
    struct addr master;
    bool is_self = true;
    bool is_so = reply != NULL && node_reply_read_role(reply, self, &master, &is_self) == REPLY_READ_OK &&
                 !is_self && reply->count > 3 && span_equals_text(reply->elements[3].text, "connected") &&
                 service_server_has(&rehearse->service->servers[new], &master);

    redis_client_close(&client);
    return is_so;
}

static void look_at_old_master(struct stage *stage)
{
    const struct rehearsal *rehearsal = &stage->rehearsal;
    int64_t now_ms = stopwatch_ms();

    if (rehearsal->new == REHEARSAL_NOBODY || rehearsal->t_followed_ms != REHEARSAL_NEVER ||
        now_ms - stage->t_role_ms < ROLE_MS)
        return;
    stage->t_role_ms = now_ms;
    if (follows(stage->rehearse, rehearsal->old, rehearsal->new))
        rehearsal_note_followed(&stage->rehearsal, now_ms, &stage->lines);
}

/* ---- the order of work ---- */

/* Before anything is changed in the cluster: all that will be needed is tried. */
static bool warm_up(struct stage *stage)
{
    const struct rehearse *rehearse = stage->rehearse;
    const char *const expire[] = {"EXPIRE", rehearse->key, REHEARSE_KEY_LIFE_S, NULL};
    const int64_t until_ms = stopwatch_ms() + WARM_UP_MS;
    const struct rehearsal *rehearsal = &stage->rehearsal;

    printf("Writing through HAProxy to the key %s, one connection per write.\n", rehearse->key);
    fflush(stdout);
    while (!is_interrupted && rehearsal->count < WRITES_BEFORE &&
           rehearsal->refused + rehearsal->astray == 0 && stopwatch_ms() < until_ms && take_writes(stage))
        continue;
    print_lines(stage);
    if (rehearsal->count < WRITES_BEFORE || rehearsal->refused + rehearsal->astray > 0) {
        fputs(is_interrupted ? "Interrupted. No failover was ordered.\n"
                             : "no rehearsal: the writes fail already, or are slow\n",
              stderr);
        return false;
    }
    return tell_node(rehearse, rehearse->old, expire);
}

static bool order_failover(struct stage *stage)
{
    struct rehearse *rehearse = stage->rehearse;
    const char *const words[] = {"SENTINEL", "FAILOVER", rehearse->service->monitor, NULL};
    char text[ADDR_TEXT_MAX];

    rehearsal_note_order(&stage->rehearsal, stopwatch_ms());
    const struct reply *reply = redis_client_ask(&rehearse->sentinels[0].client, words);
    const char *name = addr_format(rehearse->sentinels[0].addr, text);
    if (reply == NULL || reply->kind != REPLY_TEXT) {
        char error[REHEARSE_ERROR_MAX];
        rehearse_copy_error(&rehearse->sentinels[0].client, reply, error);
        fprintf(stderr, "no rehearsal: the Sentinel %s refuses SENTINEL FAILOVER %s: %s\n", name,
                rehearse->service->monitor, error);
        return false;
    }
    printf("%+8d ms  SENTINEL FAILOVER %s ordered at %s\n", 0, rehearse->service->monitor, name);
    fflush(stdout);
    return true;
}

static void watch(struct stage *stage)
{
    const int64_t until_ms = stage->rehearsal.t_ordered_ms + FAILOVER_MS;

    while (!is_interrupted && !rehearsal_is_over(&stage->rehearsal, WRITES_AFTER) &&
           stopwatch_ms() < until_ms) {
        bool is_writing = take_writes(stage);
        look_at_session(stage);
        look_at_sentinels(stage);
        look_at_old_master(stage);
        if (stage->lines.len > 0)
            print_lines(stage);
        print_progress(stage);
        if (!is_writing) /* it has written all that is counted */
            break;
    }
}

/* Reads from the new master what was written, and reports. */
static bool report(struct stage *stage)
{
    const struct rehearse *rehearse = stage->rehearse;
    const char *const words[] = {"GET", rehearse->key, NULL};
    struct rehearsal_found found = {.bits = NULL};
    struct redis_client client = {.fd = -1};
    struct text out = {.data = NULL};

    if (stage->rehearsal.new != REHEARSAL_NOBODY)
        client = rehearse_open_node(rehearse, stage->rehearsal.new);
    const struct reply *reply = redis_client_ask(&client, words);
    if (reply != NULL && reply->kind == REPLY_TEXT)
        found = (struct rehearsal_found){.bits = reply->text.data, .len = reply->text.len};
    bool is_well = rehearsal_report(&stage->rehearsal, &found, &out);
    fputs(out.data != NULL ? out.data : "out of memory\n", stdout);
    text_finish(&out);
    redis_client_close(&client);
    return is_well;
}

static bool perform(struct stage *stage)
{
    if (!start_writer(stage) || !warm_up(stage) || !order_failover(stage))
        return false;
    watch(stage);
    stop_writer(stage);
    while (take_record(stage))
        continue;
    print_lines(stage);
    if (is_interrupted) {
        fputs("Interrupted. The failover goes on.\n", stderr);
        return false;
    }
    return report(stage);
}

static bool rehearse_all(struct rehearse *rehearse)
{
    const char *const del[] = {"DEL", rehearse->key, NULL};
    struct stage stage = {.rehearse = rehearse, .session = {.fd = -1}, .pipe = -1};
    const struct sigaction action = {.sa_handler = on_interrupt};

    if (!tell_node(rehearse, rehearse->old, del)) /* the right to do it is needed at the end */
        return false;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    stage.session = rehearse_open_through(rehearse);
    bool is_well = rehearsal_init(&stage.rehearsal, rehearse->names, rehearse->old,
                                  (unsigned)rehearse->group->address_count) &&
                   perform(&stage);
    stop_writer(&stage);
    if (stage.pipe != -1)
        close(stage.pipe);
    remove_key(rehearse);
    redis_client_close(&stage.session);
    rehearsal_finish(&stage.rehearsal);
    text_finish(&stage.lines);
    return is_well;
}

/* ---- the command ---- */

static const struct config_service *find_service(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return &config->services[i];
    return NULL;
}

/* False if memory is short. */
static bool prepare(struct rehearse *rehearse)
{
    const struct config_voters *group = rehearse->group;
    size_t servers = rehearse->service->server_count;

    rehearse->sentinels = calloc(group->address_count, sizeof(*rehearse->sentinels));
    rehearse->run_ids = calloc(servers + 1, sizeof(*rehearse->run_ids));
    rehearse->names = calloc(servers + 1, sizeof(*rehearse->names));
    if (rehearse->sentinels == NULL || rehearse->run_ids == NULL || rehearse->names == NULL)
        return false;
    for (size_t i = 0; i < group->address_count; i++) {
        rehearse->sentinels[i] = (struct redis_target){
            .addr = &group->addresses[i], .credentials = &group->credentials, .tls = &group->tls};
        rehearse->sentinels[i].client.fd = -1;
    }
    for (size_t i = 0; i < servers; i++)
        rehearse->names[i] = rehearse->service->servers[i].name;
    return true;
}

static void finish(struct rehearse *rehearse)
{
    for (size_t i = 0; rehearse->sentinels != NULL && i < rehearse->group->address_count; i++)
        redis_client_close(&rehearse->sentinels[i].client);
    free(rehearse->sentinels);
    free(rehearse->run_ids);
    free(rehearse->names);
}

static void announce(const struct rehearse *rehearse, const char *through)
{
    printf("%s: %s is the master. All %zu Sentinels name it, and %zu replica%s can be promoted.\n",
           rehearse->service->name, rehearse->names[rehearse->old], rehearse->group->address_count,
           rehearse->heirs, rehearse->heirs == 1 ? "" : "s");
    printf("HAProxy at %s leads to %s.\n", through, rehearse->names[rehearse->old]);
}

int rehearse_run(const struct config *config, const char *service, const char *through, bool does_it)
{
    struct rehearse rehearse = {.service = find_service(config, service), .old = REHEARSAL_NOBODY};
    int code = EXIT_CODE_RUNTIME;

    if (rehearse.service == NULL || !addr_parse(span_of_text(through), &rehearse.through)) {
        fprintf(stderr,
                rehearse.service == NULL ? "there is no [service %s]\n"
                                         : "'%s' is no address for --through\n",
                rehearse.service == NULL ? service : through);
        return EXIT_CODE_USAGE;
    }
    rehearse.group = &config->groups[rehearse.service->group];
    if (rehearse.group->is_nodes) {
        fputs("only Sentinels can be told to replace a master, and this service has none\n", stderr);
        return EXIT_CODE_USAGE;
    }
    rehearse.credentials = config_node_credentials(rehearse.service, rehearse.group);
    rehearse.tls = config_node_tls(rehearse.service, rehearse.group);
    (void)snprintf(rehearse.key, sizeof(rehearse.key), REHEARSE_KEY_PREFIX "%ld", (long)getpid());
    if (!prepare(&rehearse)) {
        fputs("out of memory\n", stderr);
    } else if (rehearse_survey(&rehearse)) {
        announce(&rehearse, through);
        if (does_it) {
            code = rehearse_all(&rehearse) ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
        } else {
            printf("With --yes a Sentinel is told to replace %s. Clients feel that as they feel every "
                   "failover. Meanwhile "
                   "%s* is written, and removed afterwards.\n",
                   rehearse.names[rehearse.old], REHEARSE_KEY_PREFIX);
            code = EXIT_CODE_USAGE;
        }
    }
    finish(&rehearse);
    return code;
}
