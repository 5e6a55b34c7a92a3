#include "spoa/core/voters/role_probe.h"

#include "spoa/core/base/log.h"

/* In the order in which they are sent. PING comes first: ROLE is answered even while data are loaded. */
enum probe_kind {
    PROBE_AUTH,
    PROBE_SETNAME,
    PROBE_PING,
    PROBE_ROLE,
    PROBE_KINDS,
};

/* While the node is in doubt and refuses us: the wait until the next attempt, so that one that comes back is noticed. */
#define DOUBT_RETRY_MS 250

static void probe_connected(void *context, int64_t now_ms)
{
    struct role_probe *probe = context;

    probe->greetings = probe->settings->credentials.password != NULL ? PROBE_AUTH : PROBE_SETNAME;
    probe->next_ms = now_ms;
}

static bool probe_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct awaited_request *ret_request)
{
    static const char *const setname[] = {"CLIENT", "SETNAME", "sentinel-spoa"};
    static const char *const ping[] = {"PING"};
    static const char *const role[] = {"ROLE"};
    struct role_probe *probe = context;

    if (probe->greetings == PROBE_KINDS) {
        if (now_ms < probe->next_ms)
            return false;
        probe->greetings = PROBE_PING;
    }
    switch ((enum probe_kind)probe->greetings) {
    case PROBE_AUTH:
        redis_command_auth(ret_command, &probe->settings->credentials);
        break;
    case PROBE_SETNAME:
        redis_command_of(ret_command, setname, 3);
        break;
    case PROBE_PING:
        redis_command_of(ret_command, ping, 1);
        break;
    default:
        redis_command_of(ret_command, role, 1);
        probe->next_ms = now_ms + probe->settings->interval_ms;
        break;
    }
    ret_request->kind = probe->greetings++;
    return true;
}

/* NOAUTH, WRONGPASS, NOPERM: the probe is of no use, and the operator believes that it is. */
static void tell_refusal(struct role_probe *probe, const struct reply *reply)
{
    char text[ADDR_TEXT_MAX];

    if (reply->kind != REPLY_ERROR || probe->told_refused)
        return;
    probe->told_refused = true;
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

/* One of the replicas that a master lists: address, port and offset, all texts. */
static void read_replica(const struct role_probe *probe, const struct reply *reply,
                         int64_t offsets[REPLICAS_MAX])
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
    int server = voter_group_find_server(probe->group, probe->service, &addr);
    if (server != -1 && span_read_number(reply->elements[2].text, INT64_MAX, &offset))
        offsets[server] = (int64_t)offset;
}

/* ROLE of a master: "master", its offset, its replicas (redis.io/commands/role). */
static void take_offsets(const struct role_probe *probe, const struct awaited_request *request,
                         const struct reply *reply, int64_t now_ms)
{
    int64_t offsets[REPLICAS_MAX];

    if (reply->count != 3 || reply->elements[1].kind != REPLY_INTEGER ||
        reply->elements[2].kind != REPLY_ARRAY)
        return;
    for (size_t i = 0; i < REPLICAS_MAX; i++)
        offsets[i] = REPLICA_NOT_CONNECTED;
    for (size_t i = 0; i < reply->elements[2].count; i++)
        read_replica(probe, &reply->elements[2].elements[i], offsets);
    voter_group_offsets(probe->group, probe->service, &probe->target, reply->elements[1].number, offsets,
                        request->t_sent_ms, now_ms);
}

static void take_role(struct role_probe *probe, const struct awaited_request *request,
                      const struct reply *reply, int64_t now_ms)
{
    enum node_role role = read_role(probe, reply);

    tell_refusal(probe, reply);
    if (role == NODE_ROLE_UNKNOWN)
        return;
    probe->has_answered = true;
    probe->metrics->role_probes_total++;
    conversation_proved(&probe->conversation);
    voter_group_role(probe->group, probe->service, &probe->target, role, request->t_sent_ms, now_ms);
    if (role == NODE_ROLE_MASTER)
        take_offsets(probe, request, reply, now_ms);
}

static enum conversation_verdict probe_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct role_probe *probe = context;

    switch ((enum probe_kind)request->kind) {
    case PROBE_AUTH:
        tell_refusal(probe, reply);
        break;
    case PROBE_PING:
        probe->is_loading = reply_is_error(reply, "LOADING") || reply_is_error(reply, "MASTERDOWN");
        break;
    case PROBE_ROLE:
        take_role(probe, request, reply, now_ms);
        break;
    case PROBE_SETNAME: /* a convenience for who lists the node's clients; may be refused */
    case PROBE_KINDS:
        break;
    }
    return CONVERSATION_DONE;
}

/* Nobody listens where the node was: it stays in doubt until it is known how the next attempt ends. Returns the wait
 * until that. */
static uint32_t confirm_doubt(struct role_probe *probe, uint32_t retry_ms, int64_t now_ms)
{
    uint32_t soon_ms = retry_ms < DOUBT_RETRY_MS ? retry_ms : DOUBT_RETRY_MS;
    int64_t until_ms = now_ms + soon_ms + probe->settings->conversation.connect_timeout_ms;

    if (!voter_group_confirm_doubt(probe->group, probe->service, &probe->target, until_ms, now_ms))
        return retry_ms;
    conversation_hurry(&probe->conversation, now_ms + soon_ms);
    return soon_ms;
}

static void probe_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct role_probe *probe = context;
    uint32_t retry_ms = loss->retry_ms;
    char text[ADDR_TEXT_MAX];

    /* A process that is killed shows at once, long before Sentinel says anything. Only a link that worked raises a doubt:
     * a firewall that always refuses us must not delay everybody for ever. */
    if (loss->end == CONVERSATION_END_CLOSED && probe->has_answered)
        voter_group_doubt(probe->group, probe->service, &probe->target, now_ms);
    else if (loss->end == CONVERSATION_END_REFUSED)
        retry_ms = confirm_doubt(probe, retry_ms, now_ms);
    probe->has_answered = false;
    probe->metrics->role_probe_failures_total++;
    enum log_level level = probe->told_down ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;
    probe->told_down = true;
    log_event(level, "role-probe-down",
              log_text("monitor", voter_group_monitor(probe->group, probe->service)),
              log_text("node", addr_format(&probe->target, text)), log_text("reason", loss->reason),
              log_number("retry-ms", retry_ms));
}

static int64_t probe_wake_ms(const void *context)
{
    const struct role_probe *probe = context;

    return probe->greetings < PROBE_KINDS ? INT64_MIN : probe->next_ms;
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
}

void role_probe_aim(struct role_probe *probe, const struct addr *target, int64_t now_ms)
{
    if (probe->is_aimed && addr_equals(&probe->target, target))
        return;
    probe->target = *target;
    probe->is_aimed = true;
    probe->told_refused = false;
    probe->told_down = false;
    probe->has_answered = false;
    conversation_restart(&probe->conversation, now_ms);
}

struct conversation_settings role_probe_conversation(uint32_t connect_timeout_ms, uint32_t interval_ms,
                                                     uint32_t reply_timeout_ms)
{
    return (struct conversation_settings){
        .connect_timeout_ms = connect_timeout_ms,
        .silence_ms = interval_ms + reply_timeout_ms,
        .retry_min_ms = 100,
        .retry_max_ms = 2000,
        .refused_retry_ms = 60000,
    };
}
