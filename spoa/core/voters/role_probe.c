#include "spoa/core/voters/role_probe.h"

#include <assert.h>

#include "spoa/core/base/log.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply_addr.h"
#include "spoa/core/voters/node_reply.h"

/* The requests that follow the peer's greeting, in the order in which they are sent. PING comes first,
 * because a node answers ROLE even while it loads its data. */
enum probe_step {
    PROBE_PING = PEER_GREETINGS,
    PROBE_ROLE,
    PROBE_IDLE,
};

/*
 * The peer's faults are the kinds of refusals, a bit each. So each kind is told once, and again after the request
 * that it refused has worked. The subject of a fault is that request.
 */
#define PROBE_FAULTS ((1u << REFUSALS) - 1)
static_assert(REFUSALS <= PEER_FAULTS_MAX, "each kind of refusal is a fault");

/* In place of a refusal that comes without an error: the reply to ROLE is none that we know. */
#define PROBE_FAULT_UNCLEAR (1u << REFUSAL_NONE)

/* The longest wait until the next attempt while the node is in doubt and refuses us, so that we notice its
 * return soon. */
#define DOUBT_RETRY_MS 250

static void probe_connected(void *context, int64_t now_ms)
{
    struct role_probe *probe = context;

    peer_connected(&probe->peer, now_ms);
    probe->step = PROBE_PING;
    probe->next_ms = now_ms;
}

static bool probe_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct awaited_request *ret_request)
{
    static const char *const ping[] = {"PING"};
    static const char *const role[] = {"ROLE"};
    struct role_probe *probe = context;

    (void)peer_prove(&probe->peer, now_ms);
    if (peer_greet(&probe->peer, ret_command, ret_request))
        return true;
    if (probe->step == PROBE_IDLE) {
        if (now_ms < probe->next_ms)
            return false;
        probe->step = PROBE_PING;
    }
    if (probe->step == PROBE_ROLE)
        probe->next_ms = now_ms + probe->settings->interval_ms;
    redis_command_of(ret_command, probe->step == PROBE_PING ? ping : role, 1);
    ret_request->kind = probe->step++;
    return true;
}

static void log_refusal(const struct role_probe *probe, struct span reason, const char *meaning)
{
    char text[ADDR_TEXT_MAX];

    log_event(LOG_LEVEL_WARNING, "role-probe-refused",
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
static void read_replica(const struct role_probe *probe, const struct reply *reply,
                         int64_t offsets[REPLICAS_MAX])
{
    struct addr addr;
    uint64_t offset;

    if (reply->kind != REPLY_ARRAY || reply->count < 3 ||
        reply_read_addr(&reply->elements[0], &reply->elements[1], &addr) != REPLY_READ_OK)
        return;
    int server = service_find_server(voter_group_service(probe->group, probe->service), &addr);
    if (server != -1 && reply_read_number(&reply->elements[2], INT64_MAX, &offset))
        offsets[server] = (int64_t)offset;
}

/* ROLE of a master: "master", its offset, its replicas (redis.io/commands/role). */
static void take_offsets(const struct role_probe *probe, const struct awaited_request *request,
                         const struct reply *reply, int64_t now_ms)
{
    int64_t offsets[REPLICAS_MAX];

    if (reply->count < 3 || reply->elements[1].kind != REPLY_INTEGER ||
        reply->elements[2].kind != REPLY_ARRAY)
        return;
    for (size_t i = 0; i < REPLICAS_MAX; i++)
        offsets[i] = REPLICA_NOT_CONNECTED;
    for (size_t i = 0; i < reply->elements[2].count; i++)
        read_replica(probe, &reply->elements[2].elements[i], offsets);
    const struct service_event event = {
        .kind = SERVICE_SAID_OFFSETS,
        .t_sent_ms = request->t_sent_ms,
        .addr = &probe->target,
        .offset = reply->elements[1].number,
        .offsets = offsets,
    };
    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
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

    if (role == NODE_ROLE_UNKNOWN)
        return;
    peer_answered(&probe->peer);
    probe->metrics->role_probes_total++;
    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
    if (role == NODE_ROLE_MASTER)
        take_offsets(probe, request, reply, now_ms);
}

static enum conversation_verdict probe_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct role_probe *probe = context;

    if (request->kind != PEER_SETNAME)
        note_refusal(probe, request->kind, reply);
    switch (request->kind) {
    case PROBE_PING:
        probe->is_loading = reply_is_error(reply, "LOADING") || reply_is_error(reply, "MASTERDOWN");
        break;
    case PROBE_ROLE:
        take_role(probe, request, reply, now_ms);
        break;
    }
    return CONVERSATION_DONE;
}

/* Nobody listens at the node's address. If the node is in doubt, it stays in doubt until the next attempt
 * has ended. Returns the wait until that attempt in ms. */
static uint32_t confirm_doubt(struct role_probe *probe, uint32_t retry_ms, int64_t now_ms)
{
    uint32_t soon_ms = retry_ms < DOUBT_RETRY_MS ? retry_ms : DOUBT_RETRY_MS;
    const struct service_event event = {
        .kind = SERVICE_LINK_REFUSED,
        .addr = &probe->target,
        .until_ms = now_ms + soon_ms + probe->settings->conversation.connect_timeout_ms,
    };

    if (!voter_group_step(probe->group, probe->service, &event, now_ms))
        return retry_ms;
    conversation_hurry(&probe->conversation, now_ms + soon_ms);
    return soon_ms;
}

/* The link worked and was closed. Connects again at once, which shows whether the node is still there.
 * Does so only once in an interval, because a node that always closes must still be backed off. Returns
 * the wait until the next attempt in ms. */
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

    /* If the process was killed, the link shows it at once, long before Sentinel says anything. Only a
     * link that worked raises a doubt: a firewall that always refuses us must not delay all clients for
     * ever. */
    if (loss->end == CONVERSATION_END_CLOSED && probe->peer.has_answered) {
        (void)voter_group_step(probe->group, probe->service, &closed, now_ms);
        retry_ms = return_at_once(probe, retry_ms, now_ms);
    } else if (loss->end == CONVERSATION_END_REFUSED) {
        retry_ms = confirm_doubt(probe, retry_ms, now_ms);
    }
    probe->metrics->role_probe_failures_total++;
    log_event(peer_lost(&probe->peer, loss->end), "role-probe-down",
              log_text("monitor", voter_group_monitor(probe->group, probe->service)),
              log_text("node", addr_format(&probe->target, text)), log_text("reason", loss->reason),
              log_number("retry-ms", retry_ms));
}

static int64_t probe_wake_ms(const void *context)
{
    const struct role_probe *probe = context;

    return peer_wake_ms(&probe->peer, probe->step != PROBE_IDLE ? INT64_MIN : probe->next_ms);
}

static const struct conversation_topic probe_topic = {
    .next = probe_next,
    .reply = probe_reply,
    .connected = probe_connected,
    .lost = probe_lost,
    .wake_ms = probe_wake_ms,
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
    if (probe->is_aimed && addr_equals(&probe->target, target))
        return;
    probe->target = *target;
    probe->is_aimed = true;
    probe->return_ms = now_ms;
    peer_forget(&probe->peer);
    conversation_restart(&probe->conversation, now_ms);
}
