/* The conversation that listens to a Sentinel. Its events are hints to ask now, never votes. */
#include "spoa/core/voters/sentinel_voter.h"

#include "spoa/core/base/log.h"
#include "spoa/core/voters/sentinel_topics.h"

/* The request that follows the peer's greeting. */
#define HINT_SUBSCRIBE PEER_GREETINGS

/* The peer's fault: it refuses SUBSCRIBE. */
#define HINT_FAULT_REFUSED 1u

/* Events that may mean a new master, a new view of the master, or that a new master is near. Channels are
 * listed one by one, because an ACL would have to grant a pattern literally. */
static const char *const hint_channels[] = {
    "SUBSCRIBE",
    "+switch-master",
    "+promoted-slave",
    "+failover-state-reconf-slaves",
    "+config-update-from",
    "+monitor",
    "-monitor",
    "+reset-master",
    "-role-change",
    "+odown",
    "-odown",
    /* These say that the Sentinel has begun a failover. They are the last, because only `early-fence` may
     * need the right to them. */
    "+try-failover",
    "+selected-slave",
};
#define HINT_CHANNELS (sizeof(hint_channels) / sizeof(*hint_channels))
#define EARLY_CHANNELS 2

static void hints_connected(void *context, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    peer_connected(&voter->hints_peer, now_ms);
    voter->hint_subscribed = false;
}

static bool hints_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct awaited_request *ret_request)
{
    struct sentinel_voter *voter = context;

    (void)peer_prove(&voter->hints_peer, now_ms); /* the other conversation logs that it is up */
    if (peer_greet(&voter->hints_peer, ret_command, ret_request))
        return true;
    if (voter->hint_subscribed)
        return false;
    voter->hint_subscribed = true;
    ret_request->kind = HINT_SUBSCRIBE;
    redis_command_of(ret_command, hint_channels,
                     voter->settings->early ? HINT_CHANNELS : HINT_CHANNELS - EARLY_CHANNELS);
    return true;
}

/* The name of the master that an event is about; empty if the event does not say. The payload is "NAME
 * OLDIP ..." on +switch-master, otherwise "master NAME IP PORT ...", or "TYPE ... @ NAME IP PORT" for a
 * replica or a Sentinel. `payload` keeps what follows the name. */
static struct span take_monitor(struct span channel, struct span *payload)
{
    struct span word = span_take_word(payload);

    if (span_equals_text(channel, "+switch-master"))
        return word;
    if (span_equals_text(word, "master"))
        return span_take_word(payload);
    while (word.len > 0 && !span_equals_text(word, "@"))
        word = span_take_word(payload);
    return span_take_word(payload);
}

static bool is_early(struct span channel)
{
    for (size_t i = HINT_CHANNELS - EARLY_CHANNELS; i < HINT_CHANNELS; i++)
        if (span_equals_text(channel, hint_channels[i]))
            return true;
    return false;
}

static void take_hint(struct sentinel_voter *voter, struct span channel, struct span payload, int64_t now_ms)
{
    struct span rest = payload;
    struct span monitor = take_monitor(channel, &rest);
    struct span host = span_take_word(&rest);
    struct span port = span_take_word(&rest);
    struct addr addr;

    voter->metrics->hints_total++;
    log_event(EVENT_SENTINEL_HINT, log_text("sentinel", voter->name), log_span("channel", channel),
              log_span("payload", payload));
    if (is_early(channel) && monitor.len > 0 && addr_from_peer(host, port, &addr))
        voter_group_expect_failover(voter->group, monitor, &addr, now_ms);
    voter_group_ask(voter->group, voter->index, monitor);
}

static enum conversation_verdict take_subscription(struct sentinel_voter *voter, const struct reply *reply,
                                                   int64_t now_ms)
{
    if (reply->kind == REPLY_ERROR) {
        if (peer_refuses(&voter->hints_peer, HINT_FAULT_REFUSED, 0, refusal_of(reply)))
            log_event(EVENT_HINTS_REFUSED, log_text("sentinel", voter->name), log_span("error", reply->text));
        return CONVERSATION_REFUSED;
    }
    if (reply->kind != REPLY_ARRAY || reply->count != 3 || reply->elements[0].kind != REPLY_TEXT ||
        reply->elements[1].kind != REPLY_TEXT)
        return CONVERSATION_BROKEN;
    peer_works(&voter->hints_peer, HINT_FAULT_REFUSED, 0);
    peer_answered(&voter->hints_peer);
    if (span_equals_text(reply->elements[0].text, "message") && reply->elements[2].kind == REPLY_TEXT)
        take_hint(voter, reply->elements[1].text, reply->elements[2].text, now_ms);
    else /* just subscribed: earlier events were missed */
        voter_group_ask_all(voter->group, voter->index);
    return CONVERSATION_GOES_ON;
}

static enum conversation_verdict hints_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    if (request->kind != HINT_SUBSCRIBE)
        return CONVERSATION_DONE; /* the other conversation logs a refusal */
    return take_subscription(context, reply, now_ms);
}

static void hints_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct sentinel_voter *voter = context;

    /* The other conversation logs a failure, but the peer may have room for one client only. */
    enum log_level level = peer_lost(&voter->hints_peer, loss->end);

    (void)now_ms;
    log_event_at(loss->end == CONVERSATION_END_SENT_AWAY ? level : LOG_LEVEL_DEBUG, EVENT_HINTS_DOWN,
                 log_text("sentinel", voter->name), log_text("reason", loss->reason),
                 log_number("retry-ms", loss->retry_ms));
}

static int64_t hints_wake_ms(const void *context)
{
    const struct sentinel_voter *voter = context;

    return peer_wake_ms(&voter->hints_peer, INT64_MAX);
}

const struct conversation_topic sentinel_hints_topic = {
    .next = hints_next,
    .reply = hints_reply,
    .connected = hints_connected,
    .lost = hints_lost,
    .wake_ms = hints_wake_ms,
};
