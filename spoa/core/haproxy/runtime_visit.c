#include "spoa/core/haproxy/runtime_visit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/text.h"
#include "spoa/core/haproxy/haproxy_sessions.h"
#include "spoa/core/haproxy/haproxy_version.h"
#include "spoa/core/haproxy/runtime_reply.h"

/* The room for commands that shut single sessions, in bytes. If it is too small for all sessions, the
 * visit looks at the sessions again, at most so many times. */
#define ONE_BY_ONE_MAX 65536
#define LOOKS_MAX 100
/* The part of the reply to `show info` that is kept. It begins with the name and the version. */
#define INFO_MAX 200

/* The steps of a visit, in this order. */
enum step {
    STEP_BEGIN,
    STEP_INFO,    /* ask for name and version */
    STEP_TRY,     /* in a trial: test our rights, ask for the weights */
    STEP_LOOK,    /* in a cut: look for sessions that are connecting */
    STEP_WHOLE,   /* shut all sessions to a server at once */
    STEP_SINGLES, /* look for the sessions that must be shut one by one */
    STEP_SHUT,    /* shut these */
    STEP_OVER,
};

/* What is known of an item. */
enum mark {
    MARK_DONE = 1,       /* all its sessions were shut */
    MARK_CONNECTING = 2, /* some of its sessions are connecting and must be left alone */
    MARK_SINGLE = 4,     /* its sessions must be shut one by one */
    MARK_BAD = 8,        /* HAProxy refused */
};

struct runtime_visit {
    struct runtime_visit_options options;
    enum step step;
    bool hangs; /* this version must not shut a session that is connecting */
    bool has_failed;
    bool has_more; /* there are sessions that had no room in `shut` */
    unsigned looks;
    struct reply_lines lines;
    struct reply_answer answer;
    /*
     * Of this step. Each has the number of its item and a space before it, and a semicolon behind it. Where a command is
     * about several items, or about none, the number is that of the first, or 0.
     */
    struct text commands;
    struct text shut; /* the commands for STEP_SHUT; grows while sessions are read */
    size_t said;      /* how many bytes of `commands` were said, or passed over */
    size_t said_count;
    size_t answered_count;
    size_t *asked; /* the items of the commands that were said in STEP_TRY and STEP_WHOLE */
    size_t info_len;
    char info[INFO_MAX];
    char complaint[RUNTIME_COMPLAINT_MAX];
    uint8_t marks[]; /* of the items */
};

static void take_line(void *context, const char *line);

struct runtime_visit *runtime_visit_create(const struct runtime_visit_options *options)
{
    size_t count = options->items->count;
    struct runtime_visit *visit = calloc(1, sizeof(*visit) + count);

    if (visit == NULL)
        return NULL;
    visit->asked = calloc(count + 1, sizeof(*visit->asked)); /* STEP_TRY says one command more */
    if (visit->asked == NULL) {
        free(visit);
        return NULL;
    }
    visit->options = *options;
    reply_lines_init(&visit->lines, take_line, visit);
    return visit;
}

void runtime_visit_destroy(struct runtime_visit *visit)
{
    if (visit == NULL)
        return;
    text_finish(&visit->commands);
    text_finish(&visit->shut);
    free(visit->asked);
    free(visit);
}

void runtime_visit_move(struct runtime_visit *visit, const struct cut_debts *debts, size_t api,
                        struct cut_items *items)
{
    visit->options.debts = debts;
    visit->options.api = api;
    visit->options.items = items;
}

const char *runtime_visit_complaint(const struct runtime_visit *visit)
{
    return visit->complaint[0] != '\0' ? visit->complaint : NULL;
}

static struct cut_item *item_at(const struct runtime_visit *visit, size_t index)
{
    return &visit->options.items->list[index];
}

/* False if the server has become the master again. */
static bool is_wanted(const struct runtime_visit *visit, size_t index)
{
    return cut_debts_is_owed(visit->options.debts, visit->options.api, item_at(visit, index)->place);
}

/* ---- how it ends ---- */

static enum cut_outcome judge_item(const struct runtime_visit *visit, size_t index)
{
    uint8_t marks = visit->marks[index];

    if ((marks & MARK_BAD) != 0 || (visit->has_failed && (marks & MARK_DONE) == 0))
        return CUT_FAILED;
    if ((marks & MARK_CONNECTING) != 0 || ((marks & MARK_SINGLE) != 0 && visit->has_more))
        return CUT_INCOMPLETE;
    return CUT_CONFIRMED;
}

static void finish(struct runtime_visit *visit)
{
    visit->step = STEP_OVER;
    for (size_t i = 0; i < visit->options.items->count; i++) {
        enum cut_outcome outcome = judge_item(visit, i);
        if (outcome > item_at(visit, i)->outcome)
            item_at(visit, i)->outcome = outcome;
    }
}

/* The first complaint is kept. */
static void complain(struct runtime_visit *visit, const char *text)
{
    if (visit->complaint[0] == '\0')
        (void)snprintf(visit->complaint, sizeof(visit->complaint), "%s", text);
}

static void complain_of(struct runtime_visit *visit, const struct cut_item *item, const char *separator,
                        const char *text)
{
    if (visit->complaint[0] == '\0')
        (void)snprintf(visit->complaint, sizeof(visit->complaint), "%s/%s%s%s", item->backend, item->server,
                       separator, text);
}

/* The visit ends here. */
static void fail(struct runtime_visit *visit, const char *reason)
{
    visit->has_failed = true;
    complain(visit, reason);
    finish(visit);
}

/* The worker has ended, and all its sessions with it. */
static void find_gone(struct runtime_visit *visit, const char *line)
{
    if (visit->options.is_trial) {
        fail(visit, line);
        return;
    }
    for (size_t i = 0; i < visit->options.items->count; i++)
        visit->marks[i] = MARK_DONE;
    finish(visit);
}

/* ---- what is asked and told ---- */

static void begin_step(struct runtime_visit *visit, enum step step)
{
    text_finish(&visit->commands);
    visit->step = step;
    visit->said = 0;
    visit->said_count = 0;
    visit->answered_count = 0;
}

/* About no item. */
static void add_command(struct runtime_visit *visit, const char *command)
{
    text_add(&visit->commands, "0 ");
    text_add(&visit->commands, command);
    text_add(&visit->commands, ";");
}

static void add_about(struct runtime_visit *visit, const char *command, size_t index)
{
    const struct cut_item *item = item_at(visit, index);

    text_add_number(&visit->commands, index);
    text_add(&visit->commands, " ");
    text_add(&visit->commands, command);
    text_add(&visit->commands, " ");
    text_add(&visit->commands, item->backend);
    text_add(&visit->commands, "/");
    text_add(&visit->commands, item->server);
    text_add(&visit->commands, ";");
}

/* No server is called that. HAProxy checks our right first, so its answer tells whether we may shut
 * sessions. */
static void begin_trial(struct runtime_visit *visit)
{
    begin_step(visit, STEP_TRY);
    add_command(visit, "shutdown sessions server -/-");
    for (size_t i = 0; i < visit->options.items->count; i++)
        add_about(visit, "get weight", i);
}

static void begin_sessions(struct runtime_visit *visit, enum step step)
{
    begin_step(visit, step);
    add_command(visit, "show sess");
}

/*
 * This command can only shut sessions to the right server. A command that shuts one session by its id can
 * shut another session, if the first one has ended and its id is in use again. So it is only used where
 * it must be.
 */
static void begin_whole(struct runtime_visit *visit)
{
    begin_step(visit, STEP_WHOLE);
    for (size_t i = 0; i < visit->options.items->count; i++)
        if ((visit->marks[i] & MARK_CONNECTING) == 0)
            add_about(visit, "shutdown sessions server", i);
}

static void begin_singles(struct runtime_visit *visit)
{
    bool is_any = false;

    for (size_t i = 0; i < visit->options.items->count; i++)
        is_any = is_any || (visit->marks[i] & (MARK_CONNECTING | MARK_SINGLE)) != 0;
    visit->has_more = false;
    if (is_any)
        begin_sessions(visit, STEP_SINGLES);
    else
        finish(visit);
}

static void begin_shut(struct runtime_visit *visit)
{
    begin_step(visit, STEP_SHUT);
    visit->commands = visit->shut;
    visit->shut = (struct text){.data = NULL};
}

static void judge_info(struct runtime_visit *visit)
{
    static const char name[] = "Name: HAProxy\n";

    if (strncmp(visit->info, name, strlen(name)) != 0) {
        char text[RUNTIME_COMPLAINT_MAX];
        (void)snprintf(text, sizeof(text), "this is no HAProxy: it says '%.*s'",
                       (int)strcspn(visit->info, "\n"), visit->info);
        fail(visit, text);
        return;
    }
    visit->hangs = haproxy_hangs(haproxy_info_version(visit->info));
    if (visit->options.is_trial)
        begin_trial(visit);
    else if (visit->hangs)
        begin_sessions(visit, STEP_LOOK);
    else
        begin_whole(visit);
}

/* All commands of the step were answered: begin the next one. */
static void end_step(struct runtime_visit *visit)
{
    switch (visit->step) {
    case STEP_BEGIN:
        begin_step(visit, STEP_INFO);
        add_command(visit, "show info");
        break;
    case STEP_INFO:
        judge_info(visit);
        break;
    case STEP_LOOK:
        begin_whole(visit);
        break;
    case STEP_WHOLE:
        begin_singles(visit);
        break;
    case STEP_SINGLES:
        begin_shut(visit);
        break;
    case STEP_SHUT:
        if (visit->has_more && ++visit->looks < LOOKS_MAX)
            begin_singles(visit);
        else
            finish(visit);
        break;
    case STEP_TRY:
    case STEP_OVER:
        finish(visit);
        break;
    }
}

static size_t put(char line[RUNTIME_LINE_MAX], size_t len, const char *text, size_t text_len)
{
    for (size_t i = 0; i < text_len; i++)
        line[len + i] = text[i];
    return len + text_len;
}

/* Whether the sessions of one of these items are shut one by one. */
static bool is_single(const struct runtime_visit *visit, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if ((visit->marks[i] & (MARK_CONNECTING | MARK_SINGLE)) != 0 && is_wanted(visit, i))
            return true;
    return false;
}

/* The same for all items about the server of this one. */
static bool is_single_server(const struct runtime_visit *visit, size_t index)
{
    const struct cut_item *item = item_at(visit, index);
    size_t first;
    size_t count = cut_items_find(visit->options.items, item->backend, strlen(item->backend), item->server,
                                  strlen(item->server), &first);

    return is_single(visit, first, count);
}

/* The next command, which is not terminated, and its item. */
static const char *next_command(const struct runtime_visit *visit, size_t *ret_index)
{
    char *end = NULL;

    *ret_index = strtoul(visit->commands.data + visit->said, &end, 10);
    return end + 1;
}

/* A step may take several lines. Its commands were collected before the first one, and a server may be the master since. */
static bool is_still_wanted(const struct runtime_visit *visit, size_t index)
{
    if (visit->step == STEP_WHOLE)
        return is_wanted(visit, index);
    return visit->step != STEP_SHUT || is_single_server(visit, index);
}

/* Passes over what must not be said any more. False if no command of this step is left. */
static bool has_command(struct runtime_visit *visit)
{
    while (visit->said < visit->commands.len) {
        size_t index;
        const char *command = next_command(visit, &index);
        if (is_still_wanted(visit, index))
            return true;
        visit->said = (size_t)(command - visit->commands.data) + strcspn(command, ";") + 1;
    }
    return false;
}

static void note_said(struct runtime_visit *visit, size_t index, const char *end)
{
    if (visit->step == STEP_TRY || visit->step == STEP_WHOLE)
        visit->asked[visit->said_count] = index;
    visit->said_count++;
    visit->said = (size_t)(end - visit->commands.data);
}

/* Writes as many commands as fit into a line, which is not terminated. */
static size_t write_line(struct runtime_visit *visit, char line[RUNTIME_LINE_MAX])
{
    static const char quit[] = ";quit\n"; /* a master does not close the connection by itself */
    char prefix[24] = "";
    size_t len = 0;

    if (visit->options.pid != 0)
        (void)snprintf(prefix, sizeof(prefix), "@!%u ", visit->options.pid);
    size_t prefix_len = strlen(prefix);
    while (has_command(visit)) {
        size_t index;
        const char *command = next_command(visit, &index);
        size_t command_len = strcspn(command, ";");
        if (len + 1 + prefix_len + command_len + strlen(quit) > RUNTIME_LINE_MAX)
            break;
        if (len > 0)
            line[len++] = ';';
        len = put(line, len, prefix, prefix_len);
        len = put(line, len, command, command_len);
        note_said(visit, index, command + command_len + 1);
    }
    const char *end = prefix_len > 0 ? quit : "\n";
    return put(line, len, end, strlen(end));
}

bool runtime_visit_goes_on(struct runtime_visit *visit)
{
    while (visit->step != STEP_OVER && (visit->commands.has_failed || !has_command(visit))) {
        if (visit->commands.has_failed)
            fail(visit, "out of memory");
        else
            end_step(visit);
    }
    return visit->step != STEP_OVER;
}

size_t runtime_visit_say(struct runtime_visit *visit, char line[RUNTIME_LINE_MAX])
{
    if (!runtime_visit_goes_on(visit))
        return 0;
    visit->answer = (struct reply_answer){.has_ended = false};
    reply_lines_init(&visit->lines, take_line, visit);
    return write_line(visit, line);
}

/* ---- what HAProxy says ---- */

static void note_info(struct runtime_visit *visit, const char *line)
{
    size_t room = sizeof(visit->info) - visit->info_len;
    int len = snprintf(visit->info + visit->info_len, room, "%s\n", line);

    visit->info_len += (size_t)len < room ? (size_t)len : room - 1;
}

static void note_connecting(struct runtime_visit *visit, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        visit->marks[i] |= MARK_CONNECTING;
}

static void note_session(struct runtime_visit *visit, const char *line)
{
    struct haproxy_session session;
    size_t first;

    if (!haproxy_session_read(line, &session) || session.state == HAPROXY_SESSION_ENDING)
        return;
    bool is_connecting = session.state == HAPROXY_SESSION_CONNECTING && visit->hangs;
    size_t count = cut_items_find(visit->options.items, session.backend, session.backend_len, session.server,
                                  session.server_len, &first);
    if (is_connecting)
        note_connecting(visit, first, count);
    else if (visit->step == STEP_LOOK || !is_single(visit, first, count))
        return;
    else if (visit->shut.len > ONE_BY_ONE_MAX)
        visit->has_more = true;
    else
        text_printf(&visit->shut, "%zu shutdown session %.*s;", first, (int)session.id_len, session.id);
}

static bool begins_with(const char *text, const char *part)
{
    return strncmp(text, part, strlen(part)) == 0;
}

/* A process that does not have the server has no sessions to it. */
static bool is_excused(const struct runtime_visit *visit, const struct cut_item *item, const char *answer)
{
    return (visit->options.is_old || item->may_be_gone) &&
           (begins_with(answer, "No such backend") || begins_with(answer, "No such server"));
}

static void judge_whole(struct runtime_visit *visit, size_t index, const char *answer)
{
    const struct cut_item *item = item_at(visit, index);

    if (answer[0] == '\0' || is_excused(visit, item, answer)) {
        visit->marks[index] |= MARK_DONE;
    } else if (begins_with(answer, "Proxy is disabled")) {
        visit->marks[index] |= MARK_SINGLE;
    } else {
        visit->marks[index] |= MARK_BAD;
        complain_of(visit, item, ": ", answer);
    }
}

static void judge_weight(struct runtime_visit *visit, size_t index, const char *answer)
{
    unsigned weight;
    char text[64];

    if (!reply_weight_read(answer, &weight)) {
        complain_of(visit, item_at(visit, index), ": ", answer);
    } else if (weight != 0) {
        (void)snprintf(text, sizeof(text), "weight %u: it must be 0", weight);
        complain_of(visit, item_at(visit, index), " has ", text);
    }
}

/* Whether the answer says that the round cannot go on. */
static bool is_refusal(const struct runtime_visit *visit, const char *answer)
{
    bool is_of_sessions = visit->step == STEP_LOOK || visit->step == STEP_SINGLES;
    bool is_of_shut = visit->step == STEP_SHUT && answer[0] != '\0';

    return begins_with(answer, "Permission denied") ||
           (is_of_sessions && !begins_with(answer, "0x")) || /* our own session is always in the list */
           (is_of_shut && !begins_with(answer, "No such session"));
}

static void judge_answer(struct runtime_visit *visit, size_t number, const char *answer)
{
    if (is_refusal(visit, answer))
        fail(visit, answer);
    else if (visit->step == STEP_WHOLE)
        judge_whole(visit, visit->asked[number], answer);
    else if (visit->step == STEP_TRY && number > 0) /* the first command tested our rights */
        judge_weight(visit, visit->asked[number], answer);
}

static void take_line(void *context, const char *line)
{
    struct runtime_visit *visit = context;

    if (visit->step == STEP_OVER)
        return;
    if (begins_with(line, "Can't find the target PID"))
        find_gone(visit, line);
    else if (visit->step == STEP_INFO)
        note_info(visit, line);
    else if (visit->step == STEP_LOOK || visit->step == STEP_SINGLES)
        note_session(visit, line);
    if (visit->step == STEP_OVER || !reply_answer_take(&visit->answer, line) ||
        visit->answered_count >= visit->said_count)
        return;
    judge_answer(visit, visit->answered_count++, visit->answer.text);
}

bool runtime_visit_take(struct runtime_visit *visit, const char *bytes, size_t len)
{
    reply_lines_take(&visit->lines, bytes, len);
    return visit->step != STEP_OVER;
}

void runtime_visit_end_reply(struct runtime_visit *visit, const char *reason)
{
    if (visit->step == STEP_OVER)
        return;
    if (reason != NULL)
        fail(visit, reason);
    else if (visit->answered_count < visit->said_count)
        fail(visit, "closed before all was answered");
}
