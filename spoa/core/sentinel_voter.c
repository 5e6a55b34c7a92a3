#include "spoa/core/sentinel_voter.h"

#include <ctype.h>
#include <string.h>

#include "spoa/core/log.h"

/* The requests of the conversation that asks, in the order in which they greet a new connection. */
enum query_kind {
    QUERY_AUTH,
    QUERY_SETNAME,
    QUERY_MYID,
    QUERY_MASTER, /* subject: the service */
};

/* Says a fault once per connection: a poll a second would repeat it for ever. */
static bool is_new_fault(struct sentinel_voter *voter, enum sentinel_fault fault)
{
    bool is_new = (voter->faults & fault) == 0;

    voter->faults |= fault;
    return is_new;
}

static void command_of_texts(struct conversation_command *command, const char *const *texts, size_t count)
{
    command->count = count;
    for (size_t i = 0; i < count; i++)
        command->args[i] = span_of_text(texts[i]);
}

static void command_auth(const struct sentinel_settings *settings, struct conversation_command *command)
{
    if (settings->username != NULL)
        command_of_texts(command, (const char *const[]){"AUTH", settings->username, settings->password}, 3);
    else
        command_of_texts(command, (const char *const[]){"AUTH", settings->password}, 2);
}

/* ---- the conversation that asks ---- */

static enum query_kind first_greeting(const struct sentinel_voter *voter)
{
    return voter->settings->password != NULL ? QUERY_AUTH : QUERY_SETNAME;
}

static void query_connected(void *context, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    voter->greetings = first_greeting(voter);
    voter->myid_refused = false;
    voter->faults = 0;
    voter->next_poll_ms = now_ms;
    voter_group_connected(voter->group, voter->index, now_ms);
}

/* Voters poll in turn, so that the first to know of a change is asked sooner; a dissent makes all be asked. */
static int64_t poll_after(const struct sentinel_voter *voter, int64_t now_ms)
{
    int64_t poll_ms = voter->settings->poll_ms;
    int64_t offset_ms = voter->index * poll_ms / voter_group_voter_count(voter->group);

    return now_ms + poll_ms - (now_ms - offset_ms) % poll_ms;
}

static bool query_greet(struct sentinel_voter *voter, struct conversation_command *ret_command,
                        struct conversation_request *ret_request)
{
    static const char *const setname[] = {"CLIENT", "SETNAME", "sentinel-spoa"};
    static const char *const myid[] = {"SENTINEL", "MYID"};

    ret_request->kind = voter->greetings;
    switch (voter->greetings) {
    case QUERY_AUTH:
        command_auth(voter->settings, ret_command);
        break;
    case QUERY_SETNAME:
        command_of_texts(ret_command, setname, 3);
        break;
    case QUERY_MYID:
        command_of_texts(ret_command, myid, 2);
        break;
    default:
        return false;
    }
    voter->greetings++;
    return true;
}

static bool query_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct conversation_request *ret_request)
{
    struct sentinel_voter *voter = context;
    size_t service;

    if (voter->myid_refused && now_ms >= voter->next_poll_ms) {
        /* Its password or our rights may have been put right since. The connection stays, so nothing else
         * would make us ask again. */
        voter->myid_refused = false;
        voter->greetings = first_greeting(voter);
    }
    if (query_greet(voter, ret_command, ret_request))
        return true;
    if (now_ms >= voter->next_poll_ms) {
        voter_group_ask_all(voter->group, voter->index);
        voter->next_poll_ms = poll_after(voter, now_ms);
    }
    if (!voter_group_next(voter->group, voter->index, &service))
        return false;
    const char *monitor = voter_group_monitor(voter->group, service);
    command_of_texts(ret_command, (const char *const[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", monitor}, 3);
    ret_request->kind = QUERY_MASTER;
    ret_request->subject = service;
    return true;
}

static void log_fault(struct sentinel_voter *voter, enum sentinel_fault fault, const char *event,
                      struct log_field detail)
{
    if (is_new_fault(voter, fault))
        log_event(LOG_LEVEL_WARNING, event, log_text("sentinel", voter->name), detail);
}

/* "ERR Client sent AUTH, but no password is set": the Sentinel wants none, which is harmless. */
static void take_auth(struct sentinel_voter *voter, const struct reply *reply)
{
    if (reply->kind == REPLY_ERROR)
        log_fault(voter, SENTINEL_FAULT_AUTH, "sentinel-auth-failed", log_span("error", reply->text));
}

static bool is_identity(struct span text)
{
    if (text.len != VOTER_IDENTITY_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isxdigit(text.data[i]))
            return false;
    return true;
}

static void take_myid(struct sentinel_voter *voter, const struct reply *reply, int64_t now_ms)
{
    if (reply->kind != REPLY_TEXT || !is_identity(reply->text)) {
        log_fault(voter, SENTINEL_FAULT_MYID, "sentinel-without-identity", log_span("reply", reply->text));
        voter->myid_refused = true;
        voter_group_identify(voter->group, voter->index, span_of(NULL, 0), now_ms);
        return;
    }
    voter_group_identify(voter->group, voter->index, reply->text, now_ms);
}

/* Reads the reply to GET-MASTER-ADDR-BY-NAME; `addr` is written where it returns QUORUM_NAMES. */
static enum quorum_ballot read_ballot(struct sentinel_voter *voter, const struct reply *reply,
                                      struct addr *addr, const char *monitor)
{
    if (reply->kind == REPLY_NIL) {
        log_fault(voter, SENTINEL_FAULT_UNKNOWN, "sentinel-knows-no-master", log_text("monitor", monitor));
        return QUORUM_UNKNOWN_NAME;
    }
    if (reply->kind == REPLY_ERROR) {
        if (is_new_fault(voter, SENTINEL_FAULT_ERROR))
            log_event(LOG_LEVEL_WARNING, "sentinel-error", log_text("sentinel", voter->name),
                      log_text("monitor", monitor), log_span("error", reply->text));
        return QUORUM_INVALID;
    }
    if (reply->kind != REPLY_ARRAY || reply->count != 2 || reply->elements[0].kind != REPLY_TEXT ||
        reply->elements[1].kind != REPLY_TEXT) {
        log_fault(voter, SENTINEL_FAULT_REPLY, "sentinel-nonsense", log_text("monitor", monitor));
        return QUORUM_INVALID;
    }
    if (!addr_from_parts(reply->elements[0].text, reply->elements[1].text, addr)) {
        if (is_new_fault(voter, SENTINEL_FAULT_ADDRESS))
            log_event(LOG_LEVEL_WARNING, "sentinel-bad-address", log_text("sentinel", voter->name),
                      log_text("monitor", monitor), log_span("host", reply->elements[0].text),
                      log_span("port", reply->elements[1].text));
        return QUORUM_INVALID;
    }
    return QUORUM_NAMES;
}

/* It gave an answer that counts. Not before: one that greets well and then talks nonsense must not be called again and
 * again, nor fill the log. */
static void welcome(struct sentinel_voter *voter)
{
    conversation_proved(&voter->query);
    if (!voter->told_up)
        log_event(LOG_LEVEL_INFO, "sentinel-up", log_text("sentinel", voter->name),
                  log_text("myid", voter_group_identity(voter->group, voter->index)));
    voter->told_up = true;
    voter->told_down = false;
}

static void take_master(struct sentinel_voter *voter, const struct conversation_request *request,
                        const struct reply *reply, int64_t now_ms)
{
    struct addr addr;
    const char *monitor = voter_group_monitor(voter->group, request->subject);
    struct service_ballot ballot = {
        .ballot = read_ballot(voter, reply, &addr, monitor),
        .addr = &addr,
        .t_sent_ms = request->t_sent_ms,
    };

    enum quorum_receipt receipt =
        voter_group_vote(voter->group, voter->index, request->subject, &ballot, now_ms);
    bool is_known = voter_group_identity(voter->group, voter->index)[0] != '\0';
    if (ballot.ballot != QUORUM_INVALID && receipt != QUORUM_DROPPED && is_known)
        welcome(voter);
}

static enum conversation_verdict query_reply(void *context, const struct conversation_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    switch ((enum query_kind)request->kind) {
    case QUERY_AUTH:
        take_auth(voter, reply);
        break;
    case QUERY_SETNAME: /* a convenience for who lists the Sentinel's clients; may be refused */
        break;
    case QUERY_MYID:
        take_myid(voter, reply, now_ms);
        break;
    case QUERY_MASTER:
        take_master(voter, request, reply, now_ms);
        break;
    }
    return CONVERSATION_DONE;
}

/* Its votes stay until they expire. */
static void query_lost(void *context, const char *reason, uint32_t retry_ms)
{
    struct sentinel_voter *voter = context;
    enum log_level level = voter->told_down ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;

    voter->metrics->link_failures_total++;
    voter->told_down = true;
    voter->told_up = false;
    log_event(level, "sentinel-down", log_text("sentinel", voter->name), log_text("reason", reason),
              log_number("retry-ms", retry_ms));
}

static int64_t query_wake_ms(const void *context)
{
    const struct sentinel_voter *voter = context;

    return voter_group_wants(voter->group, voter->index) ? INT64_MIN : voter->next_poll_ms;
}

static const struct conversation_topic query_topic = {
    .next = query_next,
    .reply = query_reply,
    .connected = query_connected,
    .lost = query_lost,
    .wake_ms = query_wake_ms,
};

/* ---- the conversation that listens ---- */

enum hint_kind {
    HINT_AUTH,
    HINT_SUBSCRIBE,
};

/* Events that may mean another master (or another view of one), or that one is near. Channels are named one by
 * one: with ACLs a pattern would have to be granted literally. */
static const char *const hint_channels[] = {
    "SUBSCRIBE",           "+switch-master", "+promoted-slave", "+failover-state-reconf-slaves",
    "+config-update-from", "+monitor",       "-monitor",        "+reset-master",
    "-role-change",        "+odown",         "-odown",
};

static void hints_connected(void *context, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    (void)now_ms;
    voter->hint_greeted = voter->settings->password == NULL;
    voter->hint_subscribed = false;
}

static bool hints_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct conversation_request *ret_request)
{
    struct sentinel_voter *voter = context;

    (void)now_ms;
    if (!voter->hint_greeted) {
        voter->hint_greeted = true;
        ret_request->kind = HINT_AUTH;
        command_auth(voter->settings, ret_command);
        return true;
    }
    if (voter->hint_subscribed)
        return false;
    voter->hint_subscribed = true;
    ret_request->kind = HINT_SUBSCRIBE;
    command_of_texts(ret_command, hint_channels, sizeof(hint_channels) / sizeof(*hint_channels));
    return true;
}

static struct span next_word(struct span *cursor)
{
    size_t start = 0;

    while (start < cursor->len && cursor->data[start] == ' ')
        start++;
    size_t end = start;
    while (end < cursor->len && cursor->data[end] != ' ')
        end++;
    struct span word = span_of(cursor->data + start, end - start);
    *cursor = span_of(cursor->data + end, cursor->len - end);
    return word;
}

/* The master that an event is about: "NAME OLDIP ..." on +switch-master, else "master NAME ..." or, for a
 * replica or a Sentinel, "TYPE ... @ NAME ...". Empty where it does not say. */
static struct span hint_monitor(struct span channel, struct span payload)
{
    struct span word = next_word(&payload);

    if (span_equals_text(channel, "+switch-master"))
        return word;
    if (span_equals_text(word, "master"))
        return next_word(&payload);
    while (word.len > 0 && !span_equals_text(word, "@"))
        word = next_word(&payload);
    return next_word(&payload);
}

static void take_hint(struct sentinel_voter *voter, struct span channel, struct span payload)
{
    struct span monitor = hint_monitor(channel, payload);

    voter->metrics->hints_total++;
    log_event(LOG_LEVEL_DEBUG, "sentinel-hint", log_text("sentinel", voter->name),
              log_span("channel", channel), log_span("payload", payload));
    if (monitor.len > 0)
        voter_group_ask(voter->group, voter->index, monitor);
    else
        voter_group_ask_all(voter->group, voter->index);
}

static enum conversation_verdict take_subscription(struct sentinel_voter *voter, const struct reply *reply)
{
    if (reply->kind == REPLY_ERROR) {
        if (!voter->hints_refused)
            log_event(LOG_LEVEL_INFO, "hints-refused", log_text("sentinel", voter->name),
                      log_span("error", reply->text));
        voter->hints_refused = true;
        return CONVERSATION_REFUSED;
    }
    if (reply->kind != REPLY_ARRAY || reply->count != 3 || reply->elements[0].kind != REPLY_TEXT ||
        reply->elements[1].kind != REPLY_TEXT)
        return CONVERSATION_BROKEN;
    voter->hints_refused = false;
    conversation_proved(&voter->hints);
    if (span_equals_text(reply->elements[0].text, "message") && reply->elements[2].kind == REPLY_TEXT)
        take_hint(voter, reply->elements[1].text, reply->elements[2].text);
    else /* just subscribed: events before that are lost */
        voter_group_ask_all(voter->group, voter->index);
    return CONVERSATION_GOES_ON;
}

static enum conversation_verdict hints_reply(void *context, const struct conversation_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    (void)now_ms;
    if (request->kind == HINT_AUTH)
        return CONVERSATION_DONE; /* the other conversation has told of a refusal */
    return take_subscription(context, reply);
}

static void hints_lost(void *context, const char *reason, uint32_t retry_ms)
{
    const struct sentinel_voter *voter = context;

    log_event(LOG_LEVEL_DEBUG, "hints-down", log_text("sentinel", voter->name), log_text("reason", reason),
              log_number("retry-ms", retry_ms));
}

static int64_t hints_wake_ms(const void *context)
{
    (void)context;
    return INT64_MAX;
}

static const struct conversation_topic hints_topic = {
    .next = hints_next,
    .reply = hints_reply,
    .connected = hints_connected,
    .lost = hints_lost,
    .wake_ms = hints_wake_ms,
};

/* ---- both ---- */

void sentinel_voter_init(struct sentinel_voter *voter, const struct sentinel_settings *settings,
                         struct voter_group *group, unsigned index, const char *name, struct metrics *metrics,
                         uint64_t seed, int64_t now_ms)
{
    *voter = (struct sentinel_voter){
        .settings = settings,
        .group = group,
        .metrics = metrics,
        .name = name,
        .index = index,
    };
    conversation_init(&voter->query, &settings->query, &query_topic, voter, seed, now_ms);
    conversation_init(&voter->hints, &settings->hints, &hints_topic, voter, seed ^ 0x9e3779b97f4a7c15u,
                      now_ms);
}

struct conversation_settings sentinel_query_settings(uint32_t connect_timeout_ms, uint32_t poll_ms,
                                                     uint32_t reply_timeout_ms)
{
    return (struct conversation_settings){
        .connect_timeout_ms = connect_timeout_ms,
        .silence_ms = poll_ms + reply_timeout_ms,
        .retry_min_ms = 100,
        .retry_max_ms = 2000,
        .refused_retry_ms = 60000,
    };
}

struct conversation_settings sentinel_hints_settings(uint32_t connect_timeout_ms, uint32_t reply_timeout_ms)
{
    return (struct conversation_settings){
        .connect_timeout_ms = connect_timeout_ms,
        .silence_ms = 2 * reply_timeout_ms,
        .retry_min_ms = 100,
        .retry_max_ms = 5000,
        .refused_retry_ms = 60000,
    };
}
