#include "spoa/core/status/explain.h"

#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

#define INDENT "    "

/* What all sentences about a service need. */
struct subject {
    const struct status *status;
    const struct voter_group *group;
    const struct service *service;
    const struct service_settings *settings;
    const struct service_decision *decision;
    struct text *out;
};

/* ---- words ---- */

/* "0.4 s". */
static void add_time(struct text *out, int64_t ms)
{
    int64_t tenths = ms < 0 ? 0 : (ms + 50) / 100;

    text_printf(out, "%lld.%lld s", (long long)tenths / 10, (long long)tenths % 10);
}

/* Somebody's own words as the end of a sentence. */
static void add_words(struct text *out, const char *words)
{
    size_t len = strlen(words);

    text_add(out, words);
    text_add(out, len > 0 && words[len - 1] == '.' ? "" : ".");
}

/* "Sentinel" or "node", of which there may be several. */
static const char *voters_word(const struct subject *subject, bool is_plural)
{
    if (voter_group_source(subject->group) == VOTER_SOURCE_SENTINEL)
        return is_plural ? "Sentinels" : "Sentinel";
    return is_plural ? "nodes" : "node";
}

/* "R2 (10.0.0.12:6379)"; the address alone where no server has it. */
static void add_node(const struct subject *subject, const struct addr *addr)
{
    const char *server = service_server(subject->service, addr);
    char text[ADDR_TEXT_MAX];

    if (server != NULL) {
        text_add(subject->out, server);
        text_add(subject->out, " (");
    }
    text_add(subject->out, addr_format(addr, text));
    text_add(subject->out, server != NULL ? ")" : "");
}

/* The shortest name of the node that the decision is about. */
static void add_short(const struct subject *subject)
{
    const struct addr *addr = subject->decision->addr;
    const char *server = addr != NULL ? service_server(subject->service, addr) : NULL;

    if (server == NULL && addr != NULL) {
        char text[ADDR_TEXT_MAX];
        text_add(subject->out, addr_format(addr, text));
        return;
    }
    text_add(subject->out, server != NULL ? server : "the master");
}

/* ---- what is, and what to do ---- */

/* A '%' in a text stands for the node that the state is about. */
static void add_sentence(const struct subject *subject, const char *text)
{
    for (const char *hole; (hole = strchr(text, '%')) != NULL; text = hole + 1) {
        text_add_bytes(subject->out, text, (size_t)(hole - text));
        add_short(subject);
    }
    text_add(subject->out, text);
}

struct explanation {
    const char *why;
    const char *advice;
};

static struct explanation explain_no_quorum(enum service_reason reason, bool has_nodes)
{
    switch (reason) {
    case SERVICE_BECAUSE_DISAGREE:
        return (struct explanation){
            "Nobody is named: too few name the same master.",
            has_nodes ? "Wait: a failover may be going on. If this lasts, the list above says who names whom."
                      : "Wait: a failover may be going on. If this lasts, the list above says who "
                        "names whom. SENTINEL RESET helps one that does not follow the others."};
    case SERVICE_BECAUSE_UNKNOWN_NAME:
        return (struct explanation){"Nobody is named: too many know no master of this name.",
                                    has_nodes
                                        ? "Ask a node who the master is: ROLE, or CLUSTER SLOTS in a cluster."
                                        : "Compare 'monitor' of the service with SENTINEL MASTERS."};
    case SERVICE_BECAUSE_REFUSED_US:
        return (struct explanation){"Nobody is named: those that are missing live, and refuse what we ask.",
                                    "Their words stand above: correct the password, or their ACL."};
    case SERVICE_BECAUSE_REFUSED:
        return (struct explanation){
            "Nobody is named: too few answer. The hosts of the others refuse connections.",
            "Start those that are missing again."};
    default:
        return (struct explanation){
            "Nobody is named: too few answer.",
            "Look at those that are missing, and at the network between them and this "
            "host."};
    }
}

static struct explanation explain_pending(enum service_reason reason)
{
    switch (reason) {
    case SERVICE_BECAUSE_SUSPECTED:
        return (struct explanation){"Somebody has just named another master. All are being asked.",
                                    "Wait: this takes 150 ms at the most."};
    case SERVICE_BECAUSE_UNCONFIRMED:
        return (struct explanation){
            "% is named, and has not said yet that it is a master.",
            "If this lasts, look at %: 'role-check = require' needs its answer to ROLE."};
    case SERVICE_BECAUSE_FAILOVER:
        return (struct explanation){"A failover has begun, so % is named no more ('early-fence').",
                                    "Wait: the new master is named as soon as the failover is done."};
    default:
        return (struct explanation){"The majority has just been lost. 'debounce' is not over.",
                                    "Wait, or look at those that are missing."};
    }
}

static struct explanation explain_down(enum service_reason reason, bool has_nodes)
{
    bool is_silent = reason == SERVICE_BECAUSE_SILENT;
    struct explanation explanation = {
        is_silent ? "A majority has not heard % for 'down-after'." : "A majority holds % to be down.",
        is_silent ? "Wait for the failover, or bring % back."
                  : "Wait for the failover. If there is none, ask a Sentinel: SENTINEL CKQUORUM, SENTINEL "
                    "REPLICAS."};

    if (has_nodes)
        explanation.advice = "Promote another node, or bring % back.";
    return explanation;
}

static struct explanation explain_not_master(enum service_reason reason, bool has_nodes)
{
    switch (reason) {
    case SERVICE_BECAUSE_LOADING:
        return (struct explanation){"A majority names %, but % says that it is loading its data.",
                                    "Wait until it is loaded, or until another node is promoted."};
    case SERVICE_BECAUSE_UNCONFIRMED:
        return (struct explanation){"A majority names %, but % does not say that it is a master.",
                                    "Look at %: 'role-check = require' needs its answer to ROLE."};
    default:
        return (struct explanation){"A majority names %, but % says that it is a replica.",
                                    has_nodes
                                        ? "Wait: a failover may be going on. If it lasts, somebody has sent "
                                          "REPLICAOF to %."
                                        : "Wait: the Sentinels correct this within some ten seconds. If it "
                                          "lasts, somebody has sent REPLICAOF to %."};
    }
}

static struct explanation explain_state(const struct subject *subject)
{
    const struct service_decision *decision = subject->decision;
    bool has_nodes = voter_group_source(subject->group) != VOTER_SOURCE_SENTINEL;
    bool is_silent = decision->doubt_cause == DOUBT_SILENT;

    switch (decision->state) {
    case SERVICE_STARTING:
        return (struct explanation){"Nobody is named yet: the agent has just started, and is still asking.",
                                    "Wait for a moment."};
    case SERVICE_DOUBTED:
        return (struct explanation){
            is_silent ? "The agent's own link to % has fallen silent: % may be dead."
                      : "The agent's own link to % broke: % may be dead.",
            "Wait: either % answers again, or another node is promoted. If this lasts, "
            "look at %, and at the network between it and this host."};
    case SERVICE_WITNESSED:
        return (struct explanation){
            "Too few answer, but one of them sees a majority. It is believed ('witness').",
            "Look at those that are missing, and at the network between them and this "
            "host."};
    case SERVICE_KEPT:
        return (struct explanation){"Too few answer. The last master is named for a while ('keep').",
                                    "Bring those back that are missing, before the time is over."};
    case SERVICE_PENDING:
        return explain_pending(decision->reason);
    case SERVICE_NO_QUORUM:
        return explain_no_quorum(decision->reason, has_nodes);
    case SERVICE_DOWN:
        return explain_down(decision->reason, has_nodes);
    case SERVICE_NOT_MASTER:
        return explain_not_master(decision->reason, has_nodes);
    case SERVICE_UNKNOWN_ADDRESS:
        return (struct explanation){"A majority names %, which no 'server' of the service has.",
                                    "Write a 'server' for it, or its address as 'alias=HOST:PORT' behind the "
                                    "server that it is."};
    case SERVICE_OK:
    case SERVICE_STATE_COUNT:
        break;
    }
    return (struct explanation){.why = NULL};
}

/* ---- who says what ---- */

static void add_votes(const struct subject *subject)
{
    const struct service_decision *decision = subject->decision;
    const struct quorum_config *quorum = &subject->settings->quorum;

    text_printf(subject->out, "%u of %u %s name%s it, %u %s needed.", decision->votes, quorum->voters,
                voters_word(subject, quorum->voters != 1), decision->votes == 1 ? "s" : "", quorum->threshold,
                quorum->threshold == 1 ? "is" : "are");
    if (decision->state == SERVICE_KEPT || decision->votes == 0)
        return;
    int64_t age_ms = subject->status->now_ms - decision->oldest_sent_ms;
    text_printf(subject->out, " The oldest of these votes is ");
    add_time(subject->out, age_ms);
    text_add(subject->out, " old and counts for ");
    add_time(subject->out, quorum->vote_life_ms - age_ms);
    text_add(subject->out, " more.");
}

/* What the node of the decision says of itself. */
static void add_own_word(const struct subject *subject)
{
    int server = service_find_server(subject->service, subject->decision->addr);
    const struct node_word *word = server != -1 ? service_node_word(subject->service, (size_t)server) : NULL;

    if (word == NULL || word->saying == NODE_NOT_ASKED || word->saying == NODE_LISTED)
        return;
    text_add(subject->out, " ");
    add_short(subject);
    switch (word->saying) {
    case NODE_SAYS_MASTER:
        text_add(subject->out, " itself says that it is a master.");
        break;
    case NODE_SAYS_REPLICA:
        text_add(subject->out, " itself says that it is a replica.");
        break;
    case NODE_SAYS_LOADING:
        text_add(subject->out, " itself says that it is loading its data.");
        break;
    default:
        text_add(subject->out,
                 word->saying == NODE_REFUSES ? " refuses to say what it is: " : " cannot be asked: ");
        add_words(subject->out, node_word_text(word));
        break;
    }
}

/* Whether the voter's fresh vote is for the node of the decision. */
static bool agrees(const struct subject *subject, const struct vote *vote)
{
    return vote->ballot == QUORUM_NAMES && subject->decision->addr != NULL &&
           service_is_same_node(subject->service, vote->addr, subject->decision->addr) &&
           subject->status->now_ms - vote->t_sent_ms < subject->settings->quorum.vote_life_ms;
}

static void add_vote(const struct subject *subject, const struct vote *vote)
{
    struct text *out = subject->out;

    switch (vote->ballot) {
    case QUORUM_SILENT:
        text_add(out, " has said nothing yet.");
        return;
    case QUORUM_NAMES:
        text_add(out, " named ");
        add_node(subject, vote->addr);
        break;
    case QUORUM_UNKNOWN_NAME:
        text_add(out, " knew no master called '");
        text_add(out, subject->settings->monitor);
        text_add(out, "'");
        break;
    case QUORUM_INVALID:
        text_add(out, " answered with an error");
        break;
    }
    text_add(out, " ");
    add_time(out, subject->status->now_ms - vote->t_sent_ms);
    text_add(out, " ago.");
}

/* Only those that do not name the node of the decision. */
static void add_dissenters(const struct subject *subject)
{
    const struct voter_group *group = subject->group;

    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        struct vote vote = service_vote(subject->service, i);
        const char *fault = voter_group_fault(group, i);
        if (agrees(subject, &vote))
            continue;
        text_add(subject->out, INDENT "The ");
        text_add(subject->out, voters_word(subject, false));
        text_add(subject->out, " ");
        text_add(subject->out, voter_group_voter_name(group, i));
        add_vote(subject, &vote);
        if (fault[0] != '\0') {
            text_add(subject->out,
                     voter_group_words(group, i)[0] != '\0' ? " It refuses us for " : " It is missing for ");
            add_time(subject->out, subject->status->now_ms - voter_group_fault_since_ms(group, i));
            text_add(subject->out, ": ");
            add_words(subject->out, fault);
        }
        text_add(subject->out, "\n");
    }
}

/* ---- what becomes of clients ---- */

static void add_patience(const struct subject *subject)
{
    if (subject->decision->park_ms == 0) {
        text_add(subject->out, "are refused at once ('park' is 0).");
        return;
    }
    text_add(subject->out, "wait up to ");
    add_time(subject->out, subject->decision->park_ms);
    text_add(subject->out, " ('park').");
}

static void add_clients(const struct subject *subject)
{
    const struct service_waiting *waiting = service_waiting(subject->service, SERVICE_ROLE_MASTER);

    text_add(subject->out, INDENT "New connections ");
    if (!service_state_names(subject->decision->state) || subject->decision->state == SERVICE_DOUBTED)
        add_patience(subject);
    else
        text_add(subject->out, "are sent there.");
    if (waiting->count > 0) {
        text_printf(subject->out, " %zu wait%s now, the oldest for ", waiting->count,
                    waiting->count == 1 ? "s" : "");
        add_time(subject->out, subject->status->now_ms - waiting->oldest_ms);
        text_add(subject->out, ".");
    }
    text_add(subject->out, "\n");
}

/* ---- what if ---- */

static void add_unnamed(const struct subject *subject)
{
    text_add(subject->out, "nobody would be named");
    if (subject->settings->policy.keep_ms > 0) {
        text_add(subject->out, ", as soon as 'keep' (");
        add_time(subject->out, subject->settings->policy.keep_ms);
        text_add(subject->out, ") is over");
    }
    text_add(subject->out, ".");
}

static void add_loss_of_voters(const struct subject *subject)
{
    const struct service_decision *decision = subject->decision;
    unsigned threshold = subject->settings->quorum.threshold;
    const char *word = voters_word(subject, false);
    struct text *out = subject->out;

    if (decision->votes < threshold)
        return;
    text_printf(out, INDENT "If one of these %s died now: ", voters_word(subject, true));
    if (decision->votes == threshold) {
        add_unnamed(subject);
    } else {
        text_printf(out, "%u of %u would be left, which is enough.\n", decision->votes - 1,
                    subject->settings->quorum.voters);
        if (decision->votes - threshold > 1)
            text_printf(
                out, INDENT "If %u died: the same. If one more %s died: ", decision->votes - threshold, word);
        else
            text_printf(out, INDENT "If one more %s died: ", word);
        add_unnamed(subject);
    }
    text_add(out, "\n");
}

static bool can_follow(const struct subject *subject, size_t server)
{
    enum node_saying saying = service_node_word(subject->service, server)->saying;

    return saying == NODE_SAYS_REPLICA || saying == NODE_LISTED;
}

/* "R1 or R3". */
static void add_heirs(const struct subject *subject)
{
    size_t count = 0;
    size_t added = 0;

    for (size_t i = 0; i < subject->settings->server_count; i++)
        count += can_follow(subject, i);
    if (count == 0) {
        text_add(subject->out, " The agent knows of no replica that can be promoted.");
        return;
    }
    text_add(subject->out, " Then ");
    for (size_t i = 0; i < subject->settings->server_count; i++) {
        if (!can_follow(subject, i))
            continue;
        text_add(subject->out, added == 0 ? "" : added + 1 == count ? " or " : ", ");
        text_add(subject->out, subject->settings->servers[i].name);
        added++;
    }
    text_add(subject->out, " can be promoted.");
}

/* The service's own `down-after` may be far shorter than that of the Sentinels. */
static void add_own_down_after(const struct subject *subject)
{
    int64_t down_after_ms = subject->settings->policy.down_after_ms;

    if (down_after_ms == 0)
        return;
    text_printf(subject->out, " It is named no more when a majority of the %s has not heard it for ",
                voters_word(subject, true));
    add_time(subject->out, down_after_ms);
    text_add(subject->out, " ('down-after').");
}

static void add_agreement(const struct subject *subject)
{
    uint32_t down_after_ms = service_down_after_ms(subject->service);

    if (voter_group_source(subject->group) != VOTER_SOURCE_SENTINEL) {
        text_add(subject->out,
                 " Somebody must promote another node: nodes that vote do not do that themselves.");
        return;
    }
    text_add(subject->out, " The Sentinels agree that it is down after ");
    if (down_after_ms > 0)
        add_time(subject->out, down_after_ms);
    else
        text_add(subject->out, "their");
    text_add(subject->out, down_after_ms > 0 ? " (down-after-milliseconds), and need about a second more."
                                             : " down-after-milliseconds, which they have not told yet.");
}

static void add_loss_of_master(const struct subject *subject)
{
    int server = service_find_server(subject->service, subject->decision->addr);
    bool is_asked =
        server != -1 && service_node_word(subject->service, (size_t)server)->saying != NODE_NOT_ASKED;

    text_add(subject->out, INDENT "If ");
    add_short(subject);
    text_add(subject->out, " died now: ");
    text_add(subject->out,
             is_asked ? "the agent notices a broken connection at once, and silence within about 2 s."
                      : "the agent does not notice it by itself ('role-check').");
    add_own_down_after(subject);
    add_agreement(subject);
    text_add(subject->out, " New clients ");
    add_patience(subject);
    add_heirs(subject);
    text_add(subject->out, "\n");
}

/* ---- all of it ---- */

static void add_alarms(const struct subject *subject, const struct alarms *alarms)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if (!alarms_is_raised(alarms, kind))
            continue;
        text_add(subject->out, INDENT "Alarm ");
        text_add(subject->out, alarm_text(kind));
        text_add(subject->out, ": ");
        text_add(subject->out, alarm_meaning(kind));
        text_add(subject->out, ".\n");
        if (alarms_detail(alarms, kind) != NULL) {
            text_add(subject->out, INDENT INDENT);
            add_words(subject->out, alarms_detail(alarms, kind));
            text_add(subject->out, "\n");
        }
    }
}

static void add_name(const struct subject *subject)
{
    text_add(subject->out, subject->settings->name);
    text_add(subject->out, ": ");
    if (service_state_names(subject->decision->state)) {
        add_node(subject, subject->decision->addr);
        text_add(subject->out, " is the master.\n");
    } else {
        text_add(subject->out, "there is no master to send clients to (");
        text_add(subject->out, service_state_text(subject->decision->state));
        text_add(subject->out, ").\n");
    }
}

void explain_service(const struct status *status, const struct voter_group *group,
                     const struct service *service, struct text *out)
{
    const struct subject subject = {
        status, group, service, service_settings(service), service_decision(service), out};
    struct explanation explanation = explain_state(&subject);

    add_name(&subject);
    if (subject.decision->addr != NULL) {
        text_add(out, INDENT);
        add_votes(&subject);
        add_own_word(&subject);
        text_add(out, "\n");
    }
    add_dissenters(&subject);
    if (explanation.why != NULL) {
        text_add(out, INDENT);
        add_sentence(&subject, explanation.why);
        text_add(out, "\n" INDENT "What to do: ");
        add_sentence(&subject, explanation.advice);
        text_add(out, "\n");
    }
    add_clients(&subject);
    if (service_state_names(subject.decision->state)) {
        add_loss_of_voters(&subject);
        if (subject.decision->state != SERVICE_DOUBTED)
            add_loss_of_master(&subject);
    }
    add_alarms(&subject, service_alarms(service));
    add_alarms(&subject, voter_group_alarms(group));
}

bool explain_write(const struct status *status, struct page_cursor *cursor, struct text *out)
{
    const struct voter_group *group;
    const struct service *service;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        bool is_first = page_cursor_is_first(cursor);
        if (!page_cursor_next(cursor, status, &group, &service))
            return false;
        text_add(out, is_first ? "" : "\n");
        explain_service(status, group, service, out);
    }
    return true;
}
