#include "spoa/core/voters/node_voter.h"

#include "spoa/core/base/log.h"
#include "spoa/core/redis/redis_id.h"
#include "spoa/core/voters/ballot.h"
#include "spoa/core/voters/node_reply.h"

/* In the order in which they are sent: the greetings, once a connection, and then again and again what makes a vote. */
enum node_step {
    NODE_AUTH,
    NODE_SETNAME,
    NODE_IDENTITY,
    NODE_CLUSTER_INFO,
    NODE_VOTE,
    NODE_IDLE,
};

/* ---- what is sent ---- */

static unsigned first_greeting(const struct node_voter *voter)
{
    return voter->settings->credentials.password != NULL ? NODE_AUTH : NODE_SETNAME;
}

static bool is_cluster(const struct node_voter *voter)
{
    return voter->settings->source == VOTER_SOURCE_CLUSTER;
}

static void node_connected(void *context, int64_t now_ms)
{
    struct node_voter *voter = context;

    voter->step = first_greeting(voter);
    voter->is_identified = false;
    voter->is_cluster_up = false;
    voter->next_poll_ms =
        voter_group_next_poll_ms(voter->group, voter->index, voter->settings->poll_ms, now_ms);
    voter_group_connected(voter->group, voter->index, now_ms);
}

/* One reply answers for all services, whatever is to be asked. False where there is nothing. */
static bool take_questions(struct node_voter *voter)
{
    enum voter_question question;
    size_t service;
    bool any = false;

    while (voter_group_next(voter->group, voter->index, &question, &service))
        any = true;
    return any;
}

static bool begin_round(struct node_voter *voter, int64_t now_ms)
{
    if (now_ms >= voter->next_poll_ms) {
        voter_group_poll(voter->group, voter->index);
        voter->next_poll_ms =
            voter_group_next_poll_ms(voter->group, voter->index, voter->settings->poll_ms, now_ms);
        /* The password or our rights may have been put right since. */
        if (!voter->is_identified) {
            (void)take_questions(voter);
            voter->step = first_greeting(voter);
            return true;
        }
    }
    if (!take_questions(voter))
        return false;
    voter->step = is_cluster(voter) ? NODE_CLUSTER_INFO : NODE_VOTE;
    return true;
}

static void command_step(const struct node_voter *voter, struct conversation_command *ret_command)
{
    static const char *const setname[] = {"CLIENT", "SETNAME", "sentinel-spoa"};
    static const char *const info[] = {"INFO", "server"};
    static const char *const myid[] = {"CLUSTER", "MYID"};
    static const char *const cluster_info[] = {"CLUSTER", "INFO"};
    static const char *const slots[] = {"CLUSTER", "SLOTS"};
    static const char *const role[] = {"ROLE"};

    switch ((enum node_step)voter->step) {
    case NODE_AUTH:
        redis_command_auth(ret_command, &voter->settings->credentials);
        break;
    case NODE_SETNAME:
        redis_command_of(ret_command, setname, 3);
        break;
    case NODE_IDENTITY:
        redis_command_of(ret_command, is_cluster(voter) ? myid : info, 2);
        break;
    case NODE_CLUSTER_INFO:
        redis_command_of(ret_command, cluster_info, 2);
        break;
    case NODE_VOTE:
    case NODE_IDLE:
        if (is_cluster(voter))
            redis_command_of(ret_command, slots, 2);
        else
            redis_command_of(ret_command, role, 1);
        break;
    }
}

static bool node_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                      struct awaited_request *ret_request)
{
    struct node_voter *voter = context;

    if (voter->step == NODE_IDLE && !begin_round(voter, now_ms))
        return false;
    command_step(voter, ret_command);
    ret_request->kind = voter->step;
    voter->step++;
    if (voter->step == NODE_CLUSTER_INFO && !is_cluster(voter))
        voter->step = NODE_VOTE;
    return true;
}

/* ---- what is answered ---- */

/* Once until it gives a vote again: a poll a second would repeat it for ever. */
static void tell_fault(struct node_voter *voter, const char *event, struct span reply)
{
    if (!voter->told_fault)
        log_event(LOG_LEVEL_WARNING, event, log_text("node", voter->name), log_span("reply", reply));
    voter->told_fault = true;
}

static void take_identity(struct node_voter *voter, const struct reply *reply, int64_t now_ms)
{
    struct span id = span_of(NULL, 0);
    enum reply_reading reading =
        is_cluster(voter) ? redis_id_read(reply, &id) : node_reply_read_run_id(reply, &id);

    voter->is_identified = reading == REPLY_READ_OK;
    if (!voter->is_identified)
        tell_fault(voter, "node-without-identity",
                   reading == REPLY_READ_ERROR ? reply->text : span_of(NULL, 0));
    voter_group_identify(voter->group, voter->index, id, now_ms);
}

/* It gave an answer that counts. */
static void welcome(struct node_voter *voter)
{
    conversation_proved(&voter->conversation);
    if (!voter->told_up)
        log_event(LOG_LEVEL_INFO, "node-up", log_text("node", voter->name),
                  log_text("id", voter_group_identity(voter->group, voter->index)));
    voter->told_up = true;
    voter->told_down = false;
    voter->told_fault = false;
}

/* Whom it names as the master of one service. */
static enum quorum_ballot read_ballot(const struct node_voter *voter, size_t service,
                                      const struct reply *reply, struct addr *ret_addr, bool *ret_is_self)
{
    *ret_is_self = false;
    if (!is_cluster(voter))
        return ballot_of(node_reply_read_role(reply, voter->addr, ret_addr, ret_is_self));
    /* An isolated node tells what its cluster was, not what it is. */
    if (!voter->is_cluster_up)
        return QUORUM_INVALID;
    return ballot_of(node_reply_read_owner(reply, voter_group_slot(voter->group, service), ret_addr));
}

static void take_vote(struct node_voter *voter, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    bool any_counts = false;

    for (size_t i = 0; i < voter_group_service_count(voter->group); i++) {
        struct addr addr;
        bool is_self;
        struct service_ballot ballot = {
            .ballot = read_ballot(voter, i, reply, &addr, &is_self),
            .addr = &addr,
            .t_sent_ms = request->t_sent_ms,
        };
        enum quorum_receipt receipt = voter_group_vote(voter->group, voter->index, i, &ballot, now_ms);
        any_counts = any_counts || (ballot.ballot != QUORUM_INVALID && receipt != QUORUM_DROPPED);
        /* For `when-alone`: the one that is left must be the master, not one that follows a dead one. */
        voter_group_witness(voter->group, voter->index, i, is_self, request->t_sent_ms, now_ms);
    }
    if (any_counts && voter->is_identified)
        welcome(voter);
    else if (!any_counts)
        tell_fault(voter, "node-without-vote",
                   reply->kind == REPLY_ERROR                   ? reply->text
                   : is_cluster(voter) && !voter->is_cluster_up ? span_of_text("cluster_state is not ok")
                                                                : span_of(NULL, 0));
}

static enum conversation_verdict node_reply(void *context, const struct awaited_request *request,
                                            const struct reply *reply, int64_t now_ms)
{
    struct node_voter *voter = context;

    switch ((enum node_step)request->kind) {
    case NODE_AUTH:
        if (reply->kind == REPLY_ERROR)
            tell_fault(voter, "node-auth-failed", reply->text);
        break;
    case NODE_IDENTITY:
        take_identity(voter, reply, now_ms);
        break;
    case NODE_CLUSTER_INFO:
        voter->is_cluster_up = false;
        (void)node_reply_read_cluster_state(reply, &voter->is_cluster_up);
        break;
    case NODE_VOTE:
        take_vote(voter, request, reply, now_ms);
        break;
    case NODE_SETNAME: /* a convenience for who lists the node's clients; may be refused */
    case NODE_IDLE:
        break;
    }
    return CONVERSATION_DONE;
}

/* Its votes stay until they expire. */
static void node_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct node_voter *voter = context;
    enum log_level level = voter->told_down ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;

    voter->metrics->link_failures_total++;
    voter->told_down = true;
    voter->told_up = false;
    log_event(level, "node-down", log_text("node", voter->name), log_text("reason", loss->reason),
              log_number("retry-ms", loss->retry_ms));
    voter_group_refuse(voter->group, voter->index, loss->end != CONVERSATION_END_SILENT, now_ms);
}

static int64_t node_wake_ms(const void *context)
{
    const struct node_voter *voter = context;

    return voter->step != NODE_IDLE || voter_group_wants(voter->group, voter->index) ? INT64_MIN
                                                                                     : voter->next_poll_ms;
}

static const struct conversation_topic node_topic = {
    .next = node_next,
    .reply = node_reply,
    .connected = node_connected,
    .lost = node_lost,
    .wake_ms = node_wake_ms,
};

void node_voter_init(struct node_voter *voter, const struct node_settings *settings,
                     struct voter_group *group, unsigned index, const struct addr *addr, const char *name,
                     struct metrics *metrics, uint64_t seed, int64_t now_ms)
{
    *voter = (struct node_voter){
        .settings = settings,
        .group = group,
        .metrics = metrics,
        .addr = addr,
        .name = name,
        .index = index,
    };
    conversation_init(&voter->conversation, &settings->conversation, &node_topic, voter,
                      (struct awaited_room){voter->runs, NODE_VOTER_RUNS}, seed, now_ms);
}
