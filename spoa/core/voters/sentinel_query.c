/* The conversation that asks a Sentinel for its votes, and for what else it knows. */
#include "spoa/core/voters/sentinel_voter.h"

#include <string.h>

#include "spoa/core/base/log.h"
#include "spoa/core/redis/redis_id.h"
#include "spoa/core/voters/ballot.h"
#include "spoa/core/voters/sentinel_replicas.h"
#include "spoa/core/voters/sentinel_reply.h"
#include "spoa/core/voters/sentinel_topics.h"

/* The requests that follow the peer's greeting. */
enum query_kind {
    QUERY_MYID = PEER_GREETINGS,
    /* The subject of these is a service. */
    QUERY_MASTER,
    QUERY_FACTS,
    QUERY_WITNESS,
    QUERY_PEERS,
    QUERY_REPLICAS,
};

/* ---- what is sent ---- */

static void query_connected(void *context, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    peer_connected(&voter->query_peer, now_ms);
    voter->myid_asked = false;
    voter->myid_refused = false;
    voter->next_poll_ms = now_ms;
    voter_group_connected(voter->group, voter->index, now_ms);
    voter_group_ask_all(voter->group, voter->index);
}

static bool query_greet(struct sentinel_voter *voter, struct conversation_command *ret_command,
                        struct awaited_request *ret_request)
{
    static const char *const myid[] = {"SENTINEL", "MYID"};

    if (peer_greet(&voter->query_peer, ret_command, ret_request))
        return true;
    if (voter->myid_asked)
        return false;
    voter->myid_asked = true;
    ret_request->kind = QUERY_MYID;
    redis_command_of(ret_command, myid, 2);
    return true;
}

static void command_question(const struct sentinel_voter *voter, enum voter_question question, size_t service,
                             struct conversation_command *ret_command, struct awaited_request *ret_request)
{
    static const struct {
        const char *word;
        enum query_kind kind;
    } questions[] = {
        [VOTER_ASK_MASTER] = {"GET-MASTER-ADDR-BY-NAME", QUERY_MASTER},
        [VOTER_ASK_FACTS] = {"MASTER", QUERY_FACTS},
        [VOTER_ASK_WITNESS] = {"CKQUORUM", QUERY_WITNESS},
        [VOTER_ASK_PEERS] = {"SENTINELS", QUERY_PEERS},
        [VOTER_ASK_REPLICAS] = {"REPLICAS", QUERY_REPLICAS},
    };
    const char *const words[] = {"SENTINEL", questions[question].word,
                                 voter_group_monitor(voter->group, service)};

    redis_command_of(ret_command, words, 3);
    ret_request->kind = questions[question].kind;
    ret_request->subject = service;
}

static bool query_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct awaited_request *ret_request)
{
    struct sentinel_voter *voter = context;
    enum voter_question question;
    size_t service;

    if (peer_prove(&voter->query_peer, now_ms))
        log_event(EVENT_SENTINEL_UP, log_text("sentinel", voter->name),
                  log_text("myid", voter_group_identity(voter->group, voter->index)));
    if (voter->myid_refused && now_ms >= voter->next_poll_ms &&
        voter_group_begins_poll(voter->group, voter->index, voter->settings->poll_ms)) {
        /* The password or our rights may have been corrected. The connection stays, so nothing else would
         * make us ask again. */
        voter->myid_refused = false;
        voter->myid_asked = false;
        peer_greet_again(&voter->query_peer);
    }
    if (query_greet(voter, ret_command, ret_request))
        return true;
    if (now_ms >= voter->next_poll_ms) {
        voter_group_poll(voter->group, voter->index, voter->settings->poll_ms, now_ms);
        voter->next_poll_ms =
            voter_group_next_poll_ms(voter->group, voter->index, voter->settings->poll_ms, now_ms);
    }
    if (!voter_group_next(voter->group, voter->index, &question, &service))
        return false;
    command_question(voter, question, service, ret_command, ret_request);
    return true;
}

/* ---- what is answered ---- */

static void log_fault(struct sentinel_voter *voter, enum sentinel_fault fault, enum log_event_kind event,
                      const struct reply *reply, const char *key)
{
    if (peer_refuses(&voter->query_peer, fault, 0, refusal_of(reply)))
        log_event(event, log_text("sentinel", voter->name), log_span(key, reply->text));
}

/* One error is harmless: "ERR Client sent AUTH, but no password is set". The Sentinel needs no password. */
static void take_auth(struct sentinel_voter *voter, const struct reply *reply)
{
    if (reply->kind == REPLY_ERROR)
        log_fault(voter, SENTINEL_FAULT_AUTH, EVENT_SENTINEL_AUTH_FAILED, reply, "error");
    else
        peer_works(&voter->query_peer, SENTINEL_FAULT_AUTH, 0);
}

static void take_myid(struct sentinel_voter *voter, const struct reply *reply, int64_t now_ms)
{
    struct span id;

    voter_group_note_words(voter->group, voter->index, VOTER_SUBJECT_IDENTITY,
                           peer_words(&voter->query_peer, reply), now_ms);
    if (redis_id_read(reply, &id) != REPLY_READ_OK) {
        log_fault(voter, SENTINEL_FAULT_MYID, EVENT_SENTINEL_WITHOUT_IDENTITY, reply, "reply");
        voter->myid_refused = true;
        voter_group_identify(voter->group, voter->index, span_of(NULL, 0), now_ms);
        return;
    }
    peer_works(&voter->query_peer, SENTINEL_FAULT_MYID, 0);
    voter_group_identify(voter->group, voter->index, id, now_ms);
}

static struct log_field log_port(const struct reply *port)
{
    return port->kind == REPLY_INTEGER ? log_number("port", port->number) : log_span("port", port->text);
}

/* Logs why a reply to GET-MASTER-ADDR-BY-NAME names no master. Notes that it works if it names one. */
static void note_reading(struct sentinel_voter *voter, size_t service, enum reply_reading reading,
                         const struct reply *reply)
{
    struct peer *peer = &voter->query_peer;
    struct log_field sentinel = log_text("sentinel", voter->name);
    struct log_field monitor = log_text("monitor", voter_group_monitor(voter->group, service));

    switch (reading) {
    case REPLY_READ_OK:
        peer_works(peer, SENTINEL_FAULTS_OF_VOTES, service);
        break;
    case REPLY_READ_NONE:
        if (peer_fails(peer, SENTINEL_FAULT_UNKNOWN, service))
            log_event(EVENT_SENTINEL_KNOWS_NO_MASTER, sentinel, monitor);
        break;
    case REPLY_READ_ERROR:
        if (peer_refuses(peer, SENTINEL_FAULT_ERROR, service, refusal_of(reply)))
            log_event(EVENT_SENTINEL_ERROR, sentinel, monitor, log_span("error", reply->text));
        break;
    case REPLY_READ_NONSENSE:
        if (peer_fails(peer, SENTINEL_FAULT_REPLY, service))
            log_event(EVENT_SENTINEL_NONSENSE, sentinel, monitor);
        break;
    case REPLY_READ_BAD_ADDRESS:
        if (peer_fails(peer, SENTINEL_FAULT_ADDRESS, service))
            log_event(EVENT_SENTINEL_BAD_ADDRESS, sentinel, monitor,
                      log_span("host", reply->elements[0].text), log_port(&reply->elements[1]));
        break;
    }
}

static struct service_event said(const struct sentinel_voter *voter, enum service_event_kind kind,
                                 const struct awaited_request *request)
{
    return (struct service_event){.kind = kind, .voter = voter->index, .t_sent_ms = request->t_sent_ms};
}

static void take_master(struct sentinel_voter *voter, const struct awaited_request *request,
                        const struct reply *reply, int64_t now_ms)
{
    struct addr addr;
    enum reply_reading reading = sentinel_reply_read_master(reply, &addr);
    struct service_event event = said(voter, SERVICE_SAID_MASTER, request);

    event.addr = &addr;
    event.is_remote = voter->query.is_remote;
    event.ballot = ballot_of(reading);
    note_reading(voter, request->subject, reading, reply);
    bool is_taken = voter_group_step(voter->group, request->subject, &event, now_ms);
    /* Afterwards: a vote that this reply replaces must not be counted once more. */
    voter_group_note_words(voter->group, voter->index, request->subject,
                           peer_words(&voter->query_peer, reply), now_ms);
    bool is_known = voter_group_identity(voter->group, voter->index)[0] != '\0';
    if (event.ballot != QUORUM_INVALID && is_taken && is_known)
        peer_answered(&voter->query_peer);
}

/*
 * Notes whether the Sentinel answers a command. Votes do not need this command, but a feature does. That it
 * knows no master of that name is told with the votes.
 */
static void note_answer(struct sentinel_voter *voter, enum sentinel_fault fault, enum log_event_kind event,
                        const struct reply *reply)
{
    if (reply->kind != REPLY_ERROR || reply_is_error(reply, "NOQUORUM"))
        peer_works(&voter->query_peer, fault, 0);
    else if (!sentinel_reply_is_unknown_name(reply))
        log_fault(voter, fault, event, reply, "error");
}

/* Without SENTINEL MASTER we only miss an early notice of a dead master, and alarms. */
static void take_facts(struct sentinel_voter *voter, const struct awaited_request *request,
                       const struct reply *reply, int64_t now_ms)
{
    struct sentinel_facts facts;
    struct addr addr;

    struct service_event event = said(voter, SERVICE_SAID_FACTS, request);

    note_answer(voter, SENTINEL_FAULT_FACTS, EVENT_SENTINEL_FACTS_REFUSED, reply);
    if (sentinel_reply_read_facts(reply, &addr, &facts) != REPLY_READ_OK)
        return;
    event.addr = &addr;
    event.facts = &facts;
    (void)voter_group_step(voter->group, request->subject, &event, now_ms);
}

/* "OK 3 usable Sentinels ...", or an error: NOQUORUM, NOPERM, no such master. */
static void take_witness(struct sentinel_voter *voter, const struct awaited_request *request,
                         const struct reply *reply, int64_t now_ms)
{
    struct service_event event = said(voter, SERVICE_SAID_WITNESS, request);

    note_answer(voter, SENTINEL_FAULT_WITNESS, EVENT_SENTINEL_WITNESS_REFUSED, reply);
    event.is_so = reply->kind == REPLY_TEXT && reply->text.len >= 2 && memcmp(reply->text.data, "OK", 2) == 0;
    (void)voter_group_step(voter->group, request->subject, &event, now_ms);
}

/* Without the right to SENTINEL SENTINELS nobody can be a witness where `down-after` is set. */
static void take_peers(struct sentinel_voter *voter, const struct awaited_request *request,
                       const struct reply *reply, int64_t now_ms)
{
    const struct service *service = voter_group_service(voter->group, request->subject);
    const char *identity = voter_group_identity(voter->group, voter->index);
    unsigned others = service_settings(service)->quorum.threshold - 1;
    struct service_event event = said(voter, SERVICE_SAID_PEERS, request);

    note_answer(voter, SENTINEL_FAULT_PEERS, EVENT_SENTINEL_PEERS_REFUSED, reply);
    if (sentinel_reply_read_peers(reply, identity, others, &event.age_ms) != REPLY_READ_OK)
        return;
    (void)voter_group_step(voter->group, request->subject, &event, now_ms);
}

/* Counts only the replicas of the master that this Sentinel names now. During a failover it may still show
 * the replicas of the old one. */
static void take_replicas(struct sentinel_voter *voter, const struct awaited_request *request,
                          const struct reply *reply, int64_t now_ms)
{
    const struct service *service = voter_group_service(voter->group, request->subject);
    const struct addr *master = service_vote(service, voter->index).addr;
    struct service_event event = said(voter, SERVICE_SAID_REPLICAS, request);
    struct service_event strangers = said(voter, SERVICE_SAID_STRANGERS, request);
    struct sentinel_replicas replicas;

    note_answer(voter, SENTINEL_FAULT_REPLICAS, EVENT_SENTINEL_REPLICAS_REFUSED, reply);
    if (reply->kind != REPLY_ARRAY || master == NULL)
        return;
    sentinel_replicas_read(service, master, reply, &replicas);
    /* A copy: the step may change what `master` points to. */
    struct addr named = *master;
    event.addr = &named;
    event.servers = replicas.up;
    (void)voter_group_step(voter->group, request->subject, &event, now_ms);
    strangers.strangers = &replicas.strangers;
    (void)voter_group_step(voter->group, request->subject, &strangers, now_ms);
}

static enum conversation_verdict query_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    switch (request->kind) {
    case PEER_AUTH:
        take_auth(voter, reply);
        break;
    case QUERY_MYID:
        take_myid(voter, reply, now_ms);
        break;
    case QUERY_MASTER:
        take_master(voter, request, reply, now_ms);
        break;
    case QUERY_FACTS:
        take_facts(voter, request, reply, now_ms);
        break;
    case QUERY_WITNESS:
        take_witness(voter, request, reply, now_ms);
        break;
    case QUERY_PEERS:
        take_peers(voter, request, reply, now_ms);
        break;
    case QUERY_REPLICAS:
        take_replicas(voter, request, reply, now_ms);
        break;
    }
    return CONVERSATION_DONE;
}

/* The votes stay until they expire. */
static void query_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    voter->metrics->link_failures_total++;
    log_event_at(peer_lost(&voter->query_peer, loss->end), EVENT_SENTINEL_DOWN,
                 log_text("sentinel", voter->name), log_text("reason", loss->reason),
                 log_number("retry-ms", loss->retry_ms));
    voter_group_lost(voter->group, voter->index, loss, now_ms);
}

static int64_t query_wake_ms(const void *context)
{
    const struct sentinel_voter *voter = context;

    return peer_wake_ms(&voter->query_peer,
                        voter_group_wants(voter->group, voter->index) ? INT64_MIN : voter->next_poll_ms);
}

const struct conversation_topic sentinel_query_topic = {
    .next = query_next,
    .reply = query_reply,
    .connected = query_connected,
    .lost = query_lost,
    .wake_ms = query_wake_ms,
};
