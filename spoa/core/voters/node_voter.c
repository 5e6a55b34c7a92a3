#include "spoa/core/voters/node_voter.h"

#include "spoa/core/base/log.h"
#include "spoa/core/redis/redis_id.h"
#include "spoa/core/voters/ballot.h"

/* The requests that follow the peer's greeting, in the order in which they are sent. The identity is asked
 * once on each link, the rest with each poll. */
enum node_step {
    NODE_IDENTITY = PEER_GREETINGS,
    NODE_CLUSTER_INFO,
    NODE_VOTE,
    NODE_LINK,
    NODE_IDLE,
};

/* The peer's faults. */
enum node_fault {
    NODE_FAULT_AUTH = 1u << 0,     /* it refused the password */
    NODE_FAULT_IDENTITY = 1u << 1, /* it does not say who it is, so its votes do not count */
    NODE_FAULT_VOTE = 1u << 2,     /* its reply is no vote */
    NODE_FAULT_ADDRESS =
        1u << 3,               /* it names a master by something that is no address; subject: the service */
    NODE_FAULT_LINK = 1u << 4, /* it does not say how long it has not heard its master */
};

/* ---- what is sent ---- */

static bool is_cluster(const struct node_voter *voter)
{
    return voter->settings->source == VOTER_SOURCE_CLUSTER;
}

static void node_connected(void *context, int64_t now_ms)
{
    struct node_voter *voter = context;

    peer_connected(&voter->peer, now_ms);
    voter->step = NODE_IDENTITY;
    voter->is_identified = false;
    voter->is_cluster_up = false;
    voter->next_poll_ms =
        voter_group_next_poll_ms(voter->group, voter->index, voter->settings->poll_ms, now_ms);
    voter_group_connected(voter->group, voter->index, now_ms);
}

/* Takes all questions at once, because one reply answers them for all services. False if there are none. */
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
        voter_group_poll(voter->group, voter->index, voter->settings->poll_ms, now_ms);
        voter->next_poll_ms =
            voter_group_next_poll_ms(voter->group, voter->index, voter->settings->poll_ms, now_ms);
        /* The password or our rights may have been corrected. */
        if (!voter->is_identified) {
            (void)take_questions(voter);
            peer_greet_again(&voter->peer);
            voter->step = NODE_IDENTITY;
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
    static const char *const info[] = {"INFO", "server"};
    static const char *const myid[] = {"CLUSTER", "MYID"};
    static const char *const cluster_info[] = {"CLUSTER", "INFO"};
    static const char *const slots[] = {"CLUSTER", "SLOTS"};
    static const char *const role[] = {"ROLE"};
    static const char *const link[] = {"INFO", "replication"};

    switch ((enum node_step)voter->step) {
    case NODE_IDENTITY:
        redis_command_of(ret_command, is_cluster(voter) ? myid : info, 2);
        break;
    case NODE_CLUSTER_INFO:
        redis_command_of(ret_command, cluster_info, 2);
        break;
    case NODE_VOTE:
        if (is_cluster(voter))
            redis_command_of(ret_command, slots, 2);
        else
            redis_command_of(ret_command, role, 1);
        break;
    case NODE_LINK:
    case NODE_IDLE:
        redis_command_of(ret_command, link, 2);
        break;
    }
}

static unsigned next_step(const struct node_voter *voter)
{
    unsigned step = voter->step + 1;

    if (step == NODE_CLUSTER_INFO && !is_cluster(voter))
        return NODE_VOTE;
    return step == NODE_LINK && !voter->asks_link ? NODE_IDLE : step;
}

static bool node_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                      struct awaited_request *ret_request)
{
    struct node_voter *voter = context;

    if (peer_prove(&voter->peer, now_ms))
        log_event(EVENT_NODE_UP, log_text("node", voter->name),
                  log_text("id", voter_group_identity(voter->group, voter->index)));
    if (voter->step == NODE_IDLE && !begin_round(voter, now_ms))
        return false;
    if (peer_greet(&voter->peer, ret_command, ret_request))
        return true;
    command_step(voter, ret_command);
    ret_request->kind = voter->step;
    voter->step = next_step(voter);
    return true;
}

/* ---- what is answered ---- */

/* Tells why a reply is of no use: the node's own words if it is an error, else what we found in it. */
static void log_fault(struct node_voter *voter, enum node_fault fault, enum log_event_kind event,
                      const struct reply *reply, const char *finding)
{
    enum refusal refusal = refusal_of(reply);
    struct span words = refusal != REFUSAL_NONE ? reply->text : span_of_text(finding);

    if (peer_refuses(&voter->peer, fault, 0, refusal))
        log_event(event, log_text("node", voter->name), log_span("reply", words));
}

static void take_auth(struct node_voter *voter, const struct reply *reply)
{
    if (reply->kind == REPLY_ERROR)
        log_fault(voter, NODE_FAULT_AUTH, EVENT_NODE_AUTH_FAILED, reply, "");
    else
        peer_works(&voter->peer, NODE_FAULT_AUTH, 0);
}

static void take_identity(struct node_voter *voter, const struct reply *reply, int64_t now_ms)
{
    struct span id = span_of(NULL, 0);
    enum reply_reading reading =
        is_cluster(voter) ? redis_id_read(reply, &id) : node_reply_read_run_id(reply, &id);

    voter->is_identified = reading == REPLY_READ_OK;
    if (voter->is_identified)
        peer_works(&voter->peer, NODE_FAULT_IDENTITY, 0);
    else
        log_fault(voter, NODE_FAULT_IDENTITY, EVENT_NODE_WITHOUT_IDENTITY, reply,
                  is_cluster(voter) ? "no node ID" : "INFO has no run_id, as with Dragonfly");
    voter_group_note_words(voter->group, voter->index, VOTER_SUBJECT_IDENTITY,
                           peer_words(&voter->peer, reply), now_ms);
    voter_group_identify(voter->group, voter->index, id, now_ms);
}

/* The owner of the service's slot. A node that is cut off knows what its cluster was, not what it is. */
static enum reply_reading read_owner(const struct node_voter *voter, size_t service,
                                     const struct reply *reply, struct addr *ret_addr)
{
    if (!voter->is_cluster_up)
        return REPLY_READ_NONSENSE;
    unsigned slot = service_settings(voter_group_service(voter->group, service))->slot;
    return node_reply_read_owner(reply, slot, voter->addr, ret_addr);
}

/* Looks for a replica that the map lacks: the cluster may promote it. */
static void note_strangers(const struct node_voter *voter, size_t service,
                           const struct awaited_request *request, const struct reply *reply, int64_t now_ms)
{
    const struct service *one = voter_group_service(voter->group, service);
    struct service_strangers strangers = {.node = NULL};
    struct addr addr;
    enum reply_reading reading = REPLY_READ_OK;

    if (!voter->is_cluster_up || service_settings(one)->allow_any_address)
        return;
    for (size_t i = 0; strangers.node == NULL && reading == REPLY_READ_OK; i++) {
        reading = node_reply_read_replica(reply, service_settings(one)->slot, i, &addr);
        if (reading == REPLY_READ_OK && service_find_server(one, &addr) == -1)
            strangers.node = &addr;
    }
    const struct service_event event = {
        .kind = SERVICE_SAID_STRANGERS,
        .voter = voter->index,
        .t_sent_ms = request->t_sent_ms,
        .strangers = &strangers,
    };
    (void)voter_group_step(voter->group, service, &event, now_ms);
}

/* Tells if the owner of the slot, or the master that is followed, has no address that can be used. */
static void note_address(struct node_voter *voter, size_t service, enum reply_reading reading)
{
    if (reading == REPLY_READ_OK)
        peer_works(&voter->peer, NODE_FAULT_ADDRESS, service);
    else if (reading == REPLY_READ_BAD_ADDRESS && peer_fails(&voter->peer, NODE_FAULT_ADDRESS, service))
        log_event(
            EVENT_NODE_BAD_ADDRESS, log_text("node", voter->name),
            log_text("monitor", voter_group_monitor(voter->group, service)),
            log_text(
                "meaning",
                is_cluster(voter)
                    ? "it does not know the host of the slot's owner ('?'): set cluster-announce-hostname"
                    : "it follows a master without an address"));
}

/* What the reply says of one service. */
static enum quorum_ballot read_ballot(struct node_voter *voter, size_t service, const struct reply *reply,
                                      struct addr *ret_addr, bool *ret_is_self)
{
    *ret_is_self = false;
    enum reply_reading reading = is_cluster(voter)
                                     ? read_owner(voter, service, reply, ret_addr)
                                     : node_reply_read_role(reply, voter->addr, ret_addr, ret_is_self);
    note_address(voter, service, reading);
    return ballot_of(reading);
}

static const char *why_no_vote(const struct node_voter *voter, const struct reply *reply)
{
    if (!is_cluster(voter))
        return node_reply_role(reply) == NODE_ROLE_UNKNOWN ? node_reply_role_meaning(reply) : "";
    return voter->is_cluster_up ? "" : "cluster_state is not ok";
}

static void take_vote(struct node_voter *voter, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    bool any_counts = false;

    for (size_t i = 0; i < voter_group_service_count(voter->group); i++) {
        struct addr addr;
        bool is_self;
        struct service_event vote = {
            .kind = SERVICE_SAID_MASTER,
            .voter = voter->index,
            .t_sent_ms = request->t_sent_ms,
            .addr = &addr,
            .is_remote = voter->conversation.is_remote,
            .ballot = read_ballot(voter, i, reply, &addr, &is_self),
        };
        bool is_taken = voter_group_step(voter->group, i, &vote, now_ms);
        any_counts = any_counts || (vote.ballot != QUORUM_INVALID && is_taken);
        /* For `when-alone`: the last node left must be a master, not a replica of a dead one. */
        const struct service_event witness = {
            .kind = SERVICE_SAID_WITNESS,
            .voter = voter->index,
            .t_sent_ms = request->t_sent_ms,
            .is_so = is_self,
        };
        (void)voter_group_step(voter->group, i, &witness, now_ms);
        note_strangers(voter, i, request, reply, now_ms);
    }
    if (any_counts)
        peer_works(&voter->peer, NODE_FAULT_VOTE, 0);
    else
        log_fault(voter, NODE_FAULT_VOTE, EVENT_NODE_WITHOUT_VOTE, reply, why_no_vote(voter, reply));
    voter_group_note_words(voter->group, voter->index, 0, peer_words(&voter->peer, reply), now_ms);
    if (any_counts && voter->is_identified)
        peer_answered(&voter->peer);
}

/*
 * Notes a reply that is late. The node was busy then, and may not have read yet what its master sent, so all that it
 * was asked by then says nothing of the master.
 */
static void note_slowness(struct node_voter *voter, const struct awaited_request *request, int64_t now_ms)
{
    if (voter->asks_link && quorum_is_late(&service_settings(voter_group_service(voter->group, 0))->quorum,
                                           request->t_sent_ms, now_ms))
        voter->t_slow_ms = now_ms;
}

/* A node that never had a link to its master says nothing. */
static void take_link(struct node_voter *voter, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    struct sentinel_facts facts;
    struct addr addr;
    enum reply_reading reading = node_reply_read_link(reply, voter->addr, &addr, &facts);
    const struct service_event event = {
        .kind = SERVICE_SAID_FACTS,
        .voter = voter->index,
        .t_sent_ms = request->t_sent_ms,
        .addr = &addr,
        .facts = &facts,
    };

    if (reading == REPLY_READ_ERROR)
        log_fault(voter, NODE_FAULT_LINK, EVENT_NODE_FACTS_REFUSED, reply, "");
    else
        peer_works(&voter->peer, NODE_FAULT_LINK, 0);
    if (reading != REPLY_READ_OK || request->t_sent_ms <= voter->t_slow_ms)
        return;
    for (size_t i = 0; i < voter_group_service_count(voter->group); i++)
        (void)voter_group_step(voter->group, i, &event, now_ms);
}

static enum conversation_verdict node_reply(void *context, const struct awaited_request *request,
                                            const struct reply *reply, int64_t now_ms)
{
    struct node_voter *voter = context;

    note_slowness(voter, request, now_ms);
    switch (request->kind) {
    case PEER_AUTH:
        take_auth(voter, reply);
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
    case NODE_LINK:
        take_link(voter, request, reply, now_ms);
        break;
    }
    return CONVERSATION_DONE;
}

/* Of all ranges of slots only those with a slot of ours are needed. There may be 16384 of them. */
static bool node_keeps(void *context, const struct awaited_request *request, const struct reply *element)
{
    const struct node_voter *voter = context;

    return request->kind != NODE_VOTE || !is_cluster(voter) || node_reply_needs_range(element, voter->slots);
}

/* The votes stay until they expire. */
static void node_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct node_voter *voter = context;

    voter->metrics->link_failures_total++;
    log_event_at(peer_lost(&voter->peer, loss->end), EVENT_NODE_DOWN, log_text("node", voter->name),
                 log_text("reason", loss->reason), log_number("retry-ms", loss->retry_ms));
    voter_group_lost(voter->group, voter->index, loss, now_ms);
}

static int64_t node_wake_ms(const void *context)
{
    const struct node_voter *voter = context;

    bool is_due = voter->step != NODE_IDLE || voter_group_wants(voter->group, voter->index);

    return peer_wake_ms(&voter->peer, is_due ? INT64_MIN : voter->next_poll_ms);
}

static const struct conversation_topic node_topic = {
    .next = node_next,
    .reply = node_reply,
    .keeps = node_keeps,
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
        .t_slow_ms = INT64_MIN,
    };
    for (size_t i = 0; i < voter_group_service_count(group); i++) {
        const struct service_settings *service = service_settings(voter_group_service(group, i));
        voter->slots[service->slot / 64] |= (uint64_t)1 << service->slot % 64;
        voter->asks_link = voter->asks_link || service->policy.down_after_ms > 0;
    }
    conversation_init(&voter->conversation, &settings->conversation, &node_topic, voter,
                      (struct awaited_room){voter->runs, NODE_VOTER_RUNS}, seed, now_ms);
    peer_init(&voter->peer, &voter->conversation, &settings->credentials, settings->poll_ms);
}
