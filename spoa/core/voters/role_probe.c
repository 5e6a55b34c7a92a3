#include "spoa/core/voters/role_probe.h"

#include "spoa/core/base/log.h"

/* The requests that follow the peer's greeting, in the order in which they are sent. PING comes first,
 * because a node answers ROLE even while it loads its data. */
enum probe_step {
    PROBE_PING = PEER_GREETINGS,
    PROBE_ROLE,
    PROBE_IDLE,
};

/* The peer's fault: it refuses AUTH or ROLE. The subject is the refused request. */
#define PROBE_FAULT_REFUSED 1u

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

/* Logs NOAUTH, WRONGPASS and NOPERM: the probe is of no use then, although the operator relies on it. */
static void note_refusal(struct role_probe *probe, unsigned kind, const struct reply *reply)
{
    char text[ADDR_TEXT_MAX];

    if (reply->kind != REPLY_ERROR)
        peer_works(&probe->peer, PROBE_FAULT_REFUSED, kind);
    else if (peer_fails(&probe->peer, PROBE_FAULT_REFUSED, kind))
        log_event(LOG_LEVEL_WARNING, "role-probe-refused",
                  log_text("monitor", voter_group_monitor(probe->group, probe->service)),
                  log_text("node", addr_format(&probe->target, text)), log_span("error", reply->text));
}

static enum node_role read_role(const struct role_probe *probe, const struct reply *reply)
{
    if (reply->kind != REPLY_ARRAY || reply->count == 0 || reply->elements[0].kind != REPLY_TEXT)
        return NODE_ROLE_UNKNOWN;
    if (span_equals_text(reply->elements[0].text, "slave"))
        return NODE_ROLE_REPLICA;
    if (!span_equals_text(reply->elements[0].text, "master"))
        return NODE_ROLE_UNKNOWN;
    return probe->is_loading ? NODE_ROLE_LOADING : NODE_ROLE_MASTER;
}

/* What a master lists. */
struct listed {
    int64_t offsets[REPLICAS_MAX]; /* one per server */
    struct addr stranger;          /* one that the map lacks */
    bool has_stranger;
};

/* Reads one replica of a master's list: address, port and offset, all as texts. */
static void read_replica(const struct role_probe *probe, const struct reply *reply, struct listed *listed)
{
    struct addr addr;
    uint64_t offset;

    if (reply->kind != REPLY_ARRAY || reply->count != 3)
        return;
    for (size_t i = 0; i < 3; i++)
        if (reply->elements[i].kind != REPLY_TEXT)
            return;
    if (!addr_from_parts(reply->elements[0].text, reply->elements[1].text, &addr))
        return;
    int server = service_find_server(voter_group_service(probe->group, probe->service), &addr);
    if (server == -1) {
        listed->stranger = addr;
        listed->has_stranger = true;
    } else if (span_read_number(reply->elements[2].text, INT64_MAX, &offset)) {
        listed->offsets[server] = (int64_t)offset;
    }
}

/* ROLE of a master: "master", its offset, its replicas (redis.io/commands/role). */
static void take_offsets(const struct role_probe *probe, const struct awaited_request *request,
                         const struct reply *reply, int64_t now_ms)
{
    struct listed listed = {.has_stranger = false};

    if (reply->count != 3 || reply->elements[1].kind != REPLY_INTEGER ||
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

static void take_role(struct role_probe *probe, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_ROLE,
        .t_sent_ms = request->t_sent_ms,
        .addr = &probe->target,
        .role = read_role(probe, reply),
    };

    note_refusal(probe, PROBE_ROLE, reply);
    if (event.role == NODE_ROLE_UNKNOWN)
        return;
    peer_answered(&probe->peer);
    probe->metrics->role_probes_total++;
    (void)voter_group_step(probe->group, probe->service, &event, now_ms);
    if (event.role == NODE_ROLE_MASTER)
        take_offsets(probe, request, reply, now_ms);
}

static enum conversation_verdict probe_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct role_probe *probe = context;

    switch (request->kind) {
    case PEER_AUTH:
        note_refusal(probe, PEER_AUTH, reply);
        break;
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
    log_event(peer_lost(&probe->peer), "role-probe-down",
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
