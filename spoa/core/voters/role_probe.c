#include "spoa/core/voters/role_probe.h"

#include <assert.h>
#include <string.h>

#include "spoa/core/base/log.h"
#include "spoa/core/decision/handover.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply_addr.h"
#include "spoa/core/voters/node_reply.h"

/* The requests that follow the peer's greeting, in the order in which they are sent. PING comes first,
 * because a node answers ROLE even while it loads its data. */
enum probe_step {
    PROBE_PING = PEER_GREETINGS,
    PROBE_ROLE,
    PROBE_INFO,
    PROBE_IDLE,
};

/* Only an alarm depends on INFO. So it is sent with every tenth ROLE, if at all. */
#define INFO_INTERVALS 10

/*
 * The peer's faults are the kinds of refusals, a bit each. So each kind is told once, and again after the request
 * that it refused has worked. The subject of a fault is that request.
 */
#define PROBE_FAULTS ((1u << REFUSALS) - 1)
static_assert(REFUSALS <= PEER_FAULTS_MAX, "each kind of refusal is a fault");

/* In place of a refusal that comes without an error: the reply to ROLE is none that we know. */
#define PROBE_FAULT_UNCLEAR (1u << REFUSAL_NONE)

/* The longest wait until the next attempt while the node is in doubt, so that we notice its return soon. */
#define DOUBT_RETRY_MS 250

/* ---- silence ---- */

static void note_ping(struct role_probe *probe, int64_t now_ms)
{
    probe->t_ping_ms = now_ms;
    if (++probe->unheard == 2)
        probe->silent_ms = now_ms + probe->settings->reply_timeout_ms;
}

static void note_heard(struct role_probe *probe)
{
    probe->unheard = 0;
    probe->silent_ms = INT64_MAX;
}

/* When the next PING is due because one is late. Nothing would follow from it on a link that has not worked yet,
 * or whose silence was told. */
static int64_t again_ms(const struct role_probe *probe)
{
    uint32_t late_ms = probe->settings->reply_timeout_ms;
    bool was_told = probe->unheard >= 2 && probe->silent_ms == INT64_MAX;

    if (!probe->peer.has_answered || was_told || awaited_oldest_ms(&probe->conversation.awaited) == INT64_MAX)
        return INT64_MAX;
    if (late_ms > ROLE_PROBE_LATE_MS)
        late_ms = ROLE_PROBE_LATE_MS;
    return probe->t_ping_ms + late_ms;
}

/* A host that is gone closes no link. Only a link that worked raises a doubt, see probe_lost(). */
static void tell_silence(struct role_probe *probe, int64_t now_ms)
{
    const struct service_event silent = {.kind = SERVICE_LINK_SILENT, .addr = &probe->target};

    if (!probe->peer.has_answered || now_ms < probe->silent_ms)
        return;
    probe->silent_ms = INT64_MAX;
    (void)voter_group_step(probe->group, probe->service, &silent, now_ms);
}

static void probe_tick(void *context, int64_t now_ms)
{
    tell_silence(context, now_ms);
}

/* ---- questions ---- */

static void probe_connected(void *context, int64_t now_ms)
{
    struct role_probe *probe = context;

    peer_connected(&probe->peer, now_ms);
    note_heard(probe);
    probe->step = PROBE_PING;
    probe->next_ms = now_ms;
    probe->info_ms = now_ms;
    probe->is_refused = false;
}

static bool is_info_due(const struct role_probe *probe, int64_t now_ms)
{
    return now_ms >= probe->info_ms &&
           service_wants_min_replicas(voter_group_service(probe->group, probe->service), now_ms);
}

static void ask(struct role_probe *probe, unsigned kind, int64_t now_ms,
                struct conversation_command *ret_command, struct awaited_request *ret_request)
{
    static const char *const ping[] = {"PING"};
    static const char *const role[] = {"ROLE"};
    static const char *const info[] = {"INFO", "replication"};
    uint32_t interval_ms = probe->settings->interval_ms;

    if (kind == PROBE_PING) {
        note_ping(probe, now_ms);
        redis_command_of(ret_command, ping, 1);
    } else if (kind == PROBE_ROLE) {
        probe->next_ms = now_ms + interval_ms;
        redis_command_of(ret_command, role, 1);
    } else {
        probe->info_ms = now_ms + (int64_t)INFO_INTERVALS * interval_ms;
        redis_command_of(ret_command, info, 2);
    }
    ret_request->kind = kind;
}

static unsigned take_step(struct role_probe *probe, int64_t now_ms)
{
    unsigned kind = probe->step++;

    if (probe->step == PROBE_INFO && !is_info_due(probe, now_ms))
        probe->step = PROBE_IDLE;
    return kind;
}

/* When there is something to ask. The room is never full: while it is, the conversation would not call us, and
 * a silence would be told late. */
static int64_t ask_ms(const struct role_probe *probe)
{
    int64_t late_ms = again_ms(probe);

    if (probe->step != PROBE_IDLE)
        return INT64_MIN;
    if (probe->conversation.awaited.count + 3 >= ROLE_PROBE_RUNS)
        return INT64_MAX;
    return late_ms < probe->next_ms ? late_ms : probe->next_ms;
}

/* Begins the next poll when it is due. */
static void begin_poll(struct role_probe *probe, int64_t now_ms)
{
    if (probe->step != PROBE_IDLE || now_ms < ask_ms(probe) || now_ms < probe->next_ms)
        return;
    probe->step = PROBE_PING;
    /* The password may have been corrected at the node. While replies are outstanding there may be no room for it. */
    if (probe->is_refused && probe->settings->credentials.password != NULL &&
        probe->conversation.awaited.count == 0)
        peer_greet_again(&probe->peer);
}

static bool probe_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct awaited_request *ret_request)
{
    struct role_probe *probe = context;

    (void)peer_prove(&probe->peer, now_ms);
    begin_poll(probe, now_ms);
    if (peer_greet(&probe->peer, ret_command, ret_request))
        return true;
    if (now_ms < ask_ms(probe))
        return false;
    ask(probe, probe->step == PROBE_IDLE ? PROBE_PING : take_step(probe, now_ms), now_ms, ret_command,
        ret_request);
    return true;
}

/* ---- replies ---- */

static void log_refusal(const struct role_probe *probe, struct span reason, const char *meaning)
{
    char text[ADDR_TEXT_MAX];

    log_event(EVENT_ROLE_PROBE_REFUSED,
              log_text("monitor", voter_group_monitor(probe->group, probe->service)),
              log_text("node", addr_format(&probe->target, text)), log_span("reason", reason),
              log_text("meaning", meaning));
}

/* Tells why the node does not answer `kind`: the probe is of no use then, although the operator relies on it. */
static void note_refusal(struct role_probe *probe, unsigned kind, const struct reply *reply)
{
    enum refusal refusal = refusal_of(reply);

    if (refusal == REFUSAL_NONE)
        peer_works(&probe->peer, PROBE_FAULTS & ~PROBE_FAULT_UNCLEAR, kind);
    else if (peer_fails(&probe->peer, 1u << refusal, kind))
        log_refusal(probe, reply->text, refusal_meaning(refusal));
}

/* What a master lists. */
struct listed {
    int64_t offsets[REPLICAS_MAX]; /* one per server */
    struct addr stranger;          /* one that the map lacks */
    bool has_stranger;
};

/* What the node is. Tells if its reply says something else, as KeyDB's "active-replica". */
static enum node_role read_role(struct role_probe *probe, const struct reply *reply)
{
    enum node_role role = node_reply_role(reply);

    if (reply->kind == REPLY_ERROR)
        return NODE_ROLE_UNKNOWN;
    if (role != NODE_ROLE_UNKNOWN)
        peer_works(&probe->peer, PROBE_FAULT_UNCLEAR, PROBE_ROLE);
    else if (peer_fails(&probe->peer, PROBE_FAULT_UNCLEAR, PROBE_ROLE))
        log_refusal(probe, node_reply_role_word(reply), node_reply_role_meaning(reply));
    return role == NODE_ROLE_MASTER && probe->is_loading ? NODE_ROLE_LOADING : role;
}

/* Reads one replica of a master's list: address, port and offset. Dragonfly has a word in place of the offset. */
static void read_replica(const struct role_probe *probe, const struct reply *reply, struct listed *listed)
{
    struct addr addr;
    uint64_t offset;

    if (reply->kind != REPLY_ARRAY || reply->count < 3 ||
        reply_read_addr(&reply->elements[0], &reply->elements[1], &addr) != REPLY_READ_OK)
        return;
    int server = service_find_server(voter_group_service(probe->group, probe->service), &addr);
    if (server == -1) {
        listed->stranger = addr;
        listed->has_stranger = true;
    } else if (reply_read_number(&reply->elements[2], INT64_MAX, &offset)) {
        listed->offsets[server] = (int64_t)offset;
    }
}

/* ROLE of a master: "master", its offset, its replicas (redis.io/commands/role). */
static void take_offsets(const struct role_probe *probe, const struct awaited_request *request,
                         const struct reply *reply, int64_t now_ms)
{
    struct listed listed = {.has_stranger = false};

    if (reply->count < 3 || reply->elements[1].kind != REPLY_INTEGER ||
        reply->elements[2].kind != REPLY_ARRAY)
        return;
    for (size_t i = 0; i < REPLICAS_MAX; i++)
        listed.offsets[i] = REPLICA_NOT_CONNECTED;
    for (size_t i = 0; i < reply->elements[2].count; i++)
        read_replica(probe, &reply->elements[2].elements[i], &listed);
    const struct service_event event = {
        .kind = SERVICE_SAID_OFFSETS,
        .t_sent_ms = request->t_sent_ms,
        .addr = &probe->target,
        .offset = reply->elements[1].number,
        .offsets = listed.offsets,
        .unlisted = listed.has_stranger ? &listed.stranger : NULL,
    };
    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
}

static void tell_word(struct role_probe *probe, enum node_saying saying, struct span words, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_NODE_WORD, .addr = &probe->target, .saying = saying, .words = words};

    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
}

/* What the node is, for the status. */
static void tell_own_word(struct role_probe *probe, enum node_role role, const struct reply *reply,
                          int64_t now_ms)
{
    static const enum node_saying sayings[] = {
        [NODE_ROLE_MASTER] = NODE_SAYS_MASTER,
        [NODE_ROLE_REPLICA] = NODE_SAYS_REPLICA,
        [NODE_ROLE_LOADING] = NODE_SAYS_LOADING,
    };
    char text[ADDR_TEXT_MAX] = "";
    struct addr leader;
    bool is_self;

    if (role == NODE_ROLE_REPLICA &&
        node_reply_read_role(reply, &probe->target, &leader, &is_self) == REPLY_READ_OK)
        (void)addr_format(&leader, text);
    tell_word(probe, sayings[role], span_of_text(text), now_ms);
}

/* It refuses to say what it is, in these words. */
static void tell_no_role(struct role_probe *probe, struct span words, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_NO_ROLE,
        .addr = &probe->target,
        .words = words,
        .wants_password = refusal_of_words(words) == REFUSAL_PASSWORD,
    };

    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
    tell_word(probe, NODE_REFUSES, words, now_ms);
}

static void take_no_role(struct role_probe *probe, const struct reply *reply, int64_t now_ms)
{
    const struct service_event present = {.kind = SERVICE_SAID_ANYTHING, .addr = &probe->target};

    if (reply->kind == REPLY_ERROR)
        tell_no_role(probe, peer_words(&probe->peer, reply), now_ms);
    else
        (void)voter_group_step(probe->group, probe->service, &present, now_ms);
}

static void take_role(struct role_probe *probe, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    enum node_role role = read_role(probe, reply);
    const struct service_event event = {
        .kind = SERVICE_SAID_ROLE,
        .t_sent_ms = request->t_sent_ms,
        .addr = &probe->target,
        .role = role,
    };
    probe->is_refused = reply->kind == REPLY_ERROR;
    if (role == NODE_ROLE_UNKNOWN) {
        take_no_role(probe, reply, now_ms);
        return;
    }
    peer_answered(&probe->peer);
    probe->metrics->role_probes_total++;
    tell_own_word(probe, role, reply, now_ms);
    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
    if (role == NODE_ROLE_MASTER)
        take_offsets(probe, request, reply, now_ms);
}

/* An error says nothing here, and is not told: the user may lack the right to INFO. */
static void take_info(const struct role_probe *probe, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    struct service_event event = {
        .kind = SERVICE_SAID_MIN_REPLICAS, .t_sent_ms = request->t_sent_ms, .addr = &probe->target};

    if (node_reply_read_min_replicas(reply, &event.is_so) == REPLY_READ_OK)
        (void)voter_group_step(probe->group, probe->service, &event, now_ms);
}

static enum conversation_verdict probe_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct role_probe *probe = context;

    note_heard(probe);
    if (request->kind != PEER_SETNAME && request->kind != PROBE_INFO)
        note_refusal(probe, request->kind, reply);
    switch (request->kind) {
    case PROBE_PING:
        probe->is_loading = reply_is_error(reply, "LOADING") || reply_is_error(reply, "MASTERDOWN");
        break;
    case PROBE_ROLE:
        take_role(probe, request, reply, now_ms);
        break;
    case PROBE_INFO:
        take_info(probe, request, reply, now_ms);
        break;
    }
    return CONVERSATION_DONE;
}

/* ---- the end of a link ---- */

static uint32_t soon_ms(uint32_t retry_ms)
{
    return retry_ms < DOUBT_RETRY_MS ? retry_ms : DOUBT_RETRY_MS;
}

/* Returns the wait until the next attempt in ms, as the next two do. */
static uint32_t return_soon(struct role_probe *probe, uint32_t retry_ms, int64_t now_ms)
{
    conversation_hurry(&probe->conversation, now_ms + soon_ms(retry_ms));
    return soon_ms(retry_ms);
}

static bool is_doubted(const struct role_probe *probe)
{
    return service_decision(voter_group_service(probe->group, probe->service))->state == SERVICE_DOUBTED;
}

/* Nobody listens at the node's address. If the node is in doubt, it stays in doubt until the next attempt
 * has ended. */
static uint32_t confirm_doubt(struct role_probe *probe, uint32_t retry_ms, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_LINK_REFUSED,
        .addr = &probe->target,
        .until_ms = now_ms + soon_ms(retry_ms) + probe->settings->conversation.connect_timeout_ms,
    };

    if (!voter_group_step(probe->group, probe->service, &event, now_ms))
        return retry_ms;
    return return_soon(probe, retry_ms, now_ms);
}

/* The link worked and was closed. Connects again at once, which shows whether the node is still there.
 * Does so only once in an interval, because a node that always closes must still be backed off. */
static uint32_t return_at_once(struct role_probe *probe, uint32_t retry_ms, int64_t now_ms)
{
    if (now_ms < probe->return_ms)
        return retry_ms;
    probe->return_ms = now_ms + probe->settings->interval_ms;
    conversation_hurry(&probe->conversation, now_ms);
    return 0;
}

static void probe_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct role_probe *probe = context;
    const struct service_event closed = {.kind = SERVICE_LINK_CLOSED, .addr = &probe->target};
    uint32_t retry_ms = loss->retry_ms;
    char text[ADDR_TEXT_MAX];

    tell_silence(probe, now_ms);
    if (loss->end != CONVERSATION_END_SENT_AWAY)
        tell_word(probe, NODE_UNREACHABLE, span_of_text(loss->reason), now_ms);
    /* If the process was killed, the link shows it at once, long before Sentinel says anything. Only a
     * link that worked raises a doubt: a firewall that always refuses us must not delay all clients for
     * ever. */
    if (loss->end == CONVERSATION_END_CLOSED && probe->peer.has_answered) {
        (void)voter_group_step(probe->group, probe->service, &closed, now_ms);
        retry_ms = return_at_once(probe, retry_ms, now_ms);
    } else if (loss->end == CONVERSATION_END_REFUSED) {
        retry_ms = confirm_doubt(probe, retry_ms, now_ms);
    } else if (loss->end == CONVERSATION_END_SILENT && is_doubted(probe)) {
        retry_ms = return_soon(probe, retry_ms, now_ms);
    } else if (loss->end == CONVERSATION_END_SENT_AWAY) {
        tell_no_role(probe, span_of_text(loss->reason), now_ms);
    }
    probe->metrics->role_probe_failures_total++;
    log_event_at(peer_lost(&probe->peer, loss->end), EVENT_ROLE_PROBE_DOWN,
                 log_text("monitor", voter_group_monitor(probe->group, probe->service)),
                 log_text("node", addr_format(&probe->target, text)), log_text("reason", loss->reason),
                 log_number("retry-ms", retry_ms));
}

static int64_t probe_wake_ms(const void *context)
{
    const struct role_probe *probe = context;
    int64_t wake_ms = ask_ms(probe);

    if (probe->peer.has_answered && probe->silent_ms < wake_ms)
        wake_ms = probe->silent_ms;
    return peer_wake_ms(&probe->peer, wake_ms);
}

static const struct conversation_topic probe_topic = {
    .next = probe_next,
    .reply = probe_reply,
    .connected = probe_connected,
    .lost = probe_lost,
    .wake_ms = probe_wake_ms,
    .tick = probe_tick,
};

void role_probe_init(struct role_probe *probe, const struct role_probe_settings *settings,
                     struct voter_group *group, size_t service, struct metrics *metrics, uint64_t seed)
{
    *probe = (struct role_probe){
        .settings = settings,
        .group = group,
        .service = service,
        .metrics = metrics,
    };
    conversation_init(&probe->conversation, &settings->conversation, &probe_topic, probe,
                      (struct awaited_room){probe->runs, ROLE_PROBE_RUNS}, seed, INT64_MAX);
    peer_init(&probe->peer, &probe->conversation, &settings->credentials, settings->interval_ms);
}

void role_probe_aim(struct role_probe *probe, const struct addr *target, int64_t now_ms)
{
    bool is_aimed = probe->is_aimed && addr_equals(&probe->target, target);

    /* A majority that names a stranger must not get the password of our nodes for him. */
    if (is_aimed || !service_may_name(voter_group_service(probe->group, probe->service), target))
        return;
    probe->target = *target;
    probe->is_aimed = true;
    probe->return_ms = now_ms;
    peer_forget(&probe->peer);
    conversation_restart(&probe->conversation, now_ms);
}

void role_probe_catch_up(struct role_probe *probe, const struct service_decision *decision, int64_t now_ms)
{
    if (decision->addr == NULL)
        return;
    role_probe_aim(probe, decision->addr, now_ms);
    if (decision->state == SERVICE_DOUBTED)
        conversation_hurry(&probe->conversation, now_ms);
}

/* ---- a reload ---- */

/* Only a new connection looks the name up again: the present one may go on to a host that has the name no more. */
static bool is_by_name(const struct role_probe *probe)
{
    return probe->target.kind == ADDR_NAME;
}

static bool is_same_text(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

bool role_probe_is_alike(const struct role_probe_settings *one, const struct role_probe_settings *other)
{
    return is_same_text(one->credentials.username, other->credentials.username) &&
           is_same_text(one->credentials.password, other->credentials.password) &&
           one->interval_ms == other->interval_ms && one->reply_timeout_ms == other->reply_timeout_ms &&
           memcmp(&one->conversation, &other->conversation, sizeof(one->conversation)) == 0;
}

bool role_probe_serves(const struct role_probe *probe, const struct service *next)
{
    const struct addr *addr = service_decision(next)->addr;

    return addr == NULL || (probe->is_aimed && !is_by_name(probe) && addr_equals(&probe->target, addr));
}

void role_probe_tell(const struct role_probe *probe, struct voter_group *group, size_t service,
                     int64_t now_ms)
{
    struct service_event event;

    if (handover_tell_role(voter_group_service(group, service),
                           voter_group_service(probe->group, probe->service), &event))
        (void)voter_group_step(group, service, &event, now_ms);
}

bool role_probe_move(struct role_probe *probe, const struct role_probe_settings *settings,
                     struct voter_group *group, size_t service)
{
    probe->settings = settings;
    probe->group = group;
    probe->service = service;
    probe->conversation.settings = &settings->conversation;
    probe->peer.credentials = &settings->credentials;
    return probe->is_aimed && !is_by_name(probe) &&
           service_may_name(voter_group_service(group, service), &probe->target);
}
