#include "spoa/core/redis/conversation.h"

#include <string.h>

#include "spoa/core/redis/refusal.h"

void conversation_init(struct conversation *conversation, const struct conversation_settings *settings,
                       const struct conversation_topic *topic, void *context, struct awaited_room room,
                       uint64_t seed, int64_t begin_ms)
{
    *conversation = (struct conversation){
        .settings = settings,
        .topic = topic,
        .context = context,
        .phase = CONVERSATION_WAITING,
        .wake_ms = begin_ms,
    };
    awaited_init(&conversation->awaited, room);
    backoff_init(&conversation->backoff, settings->retry_min_ms, settings->retry_max_ms, seed);
}

static void wait_until(struct conversation *conversation, int64_t wake_ms)
{
    conversation->phase = CONVERSATION_WAITING;
    conversation->wake_ms = wake_ms;
    conversation->restarts = false;
    awaited_forget(&conversation->awaited);
}

/* Ends the connection and plans the next one. */
static void part(struct conversation *conversation, const struct conversation_loss *loss, int64_t now_ms)
{
    wait_until(conversation, now_ms + loss->retry_ms);
    conversation->topic->lost(conversation->context, loss, now_ms);
}

/* Does the same after a failure, with back-off. */
static void fail(struct conversation *conversation, const char *reason, enum conversation_end end,
                 int64_t now_ms)
{
    struct conversation_loss loss = {
        .reason = reason,
        .end = end,
        .retry_ms = backoff_next(&conversation->backoff),
    };

    part(conversation, &loss, now_ms);
}

/* When the oldest request that has a deadline reaches it; INT64_MAX if there is none. */
static int64_t silence_deadline_ms(const struct conversation *conversation)
{
    int64_t oldest_ms = awaited_oldest_ms(&conversation->awaited);

    return oldest_ms == INT64_MAX ? INT64_MAX : oldest_ms + conversation->settings->silence_ms;
}

enum conversation_action conversation_tick(struct conversation *conversation, int64_t now_ms)
{
    if (conversation->restarts) {
        wait_until(conversation, now_ms);
        return CONVERSATION_DISCONNECT;
    }
    switch (conversation->phase) {
    case CONVERSATION_WAITING:
        if (now_ms < conversation->wake_ms)
            return CONVERSATION_NOTHING;
        conversation->phase = CONVERSATION_CONNECTING;
        conversation_found(conversation, now_ms);
        return CONVERSATION_CONNECT;
    case CONVERSATION_CONNECTING:
        if (now_ms < conversation->wake_ms)
            return CONVERSATION_NOTHING;
        fail(conversation, conversation->looks_up ? "look-up timeout" : "connect timeout",
             CONVERSATION_END_SILENT, now_ms);
        return CONVERSATION_DISCONNECT;
    case CONVERSATION_TALKING:
        if (now_ms >= silence_deadline_ms(conversation)) {
            fail(conversation, "reply timeout", CONVERSATION_END_SILENT, now_ms);
            return CONVERSATION_DISCONNECT;
        }
        if (conversation->topic->tick != NULL)
            conversation->topic->tick(conversation->context, now_ms);
        return CONVERSATION_NOTHING;
    }
    return CONVERSATION_NOTHING;
}

void conversation_looks_up(struct conversation *conversation, int64_t now_ms)
{
    uint64_t limit_ms = (uint64_t)conversation->settings->connect_timeout_ms * CONVERSATION_LOOKUP_FACTOR;

    if (limit_ms > CONVERSATION_LOOKUP_MAX_MS)
        limit_ms = CONVERSATION_LOOKUP_MAX_MS;
    conversation->wake_ms = now_ms + (int64_t)limit_ms;
    conversation->looks_up = true;
}

void conversation_found(struct conversation *conversation, int64_t now_ms)
{
    conversation->wake_ms = now_ms + conversation->settings->connect_timeout_ms;
    conversation->looks_up = false;
}

void conversation_connected(struct conversation *conversation, int64_t now_ms)
{
    if (conversation->restarts)
        return;
    conversation->phase = CONVERSATION_TALKING;
    conversation->has_heard = false;
    conversation->has_heard_more = false;
    conversation->words[0] = '\0';
    awaited_forget(&conversation->awaited);
    conversation->topic->connected(conversation->context, now_ms);
}

/* Whether all that the peer has said on this connection is an error. */
static bool is_sent_away(const struct conversation *conversation)
{
    return conversation->phase == CONVERSATION_TALKING && conversation->words[0] != '\0' &&
           !conversation->has_heard_more;
}

void conversation_lost(struct conversation *conversation, const char *reason, enum conversation_end end,
                       int64_t now_ms)
{
    if (conversation->restarts)
        wait_until(conversation, now_ms);
    else if (end == CONVERSATION_END_CLOSED && is_sent_away(conversation))
        fail(conversation, conversation->words, CONVERSATION_END_SENT_AWAY, now_ms);
    else if (conversation->phase != CONVERSATION_WAITING)
        fail(conversation, reason, end, now_ms);
}

void conversation_restart(struct conversation *conversation, int64_t now_ms)
{
    backoff_reset(&conversation->backoff);
    if (conversation->phase == CONVERSATION_WAITING)
        conversation->wake_ms = now_ms;
    else
        conversation->restarts = true;
}

void conversation_proved(struct conversation *conversation)
{
    backoff_reset(&conversation->backoff);
}

void conversation_hurry(struct conversation *conversation, int64_t wake_ms)
{
    if (conversation->phase == CONVERSATION_WAITING && wake_ms < conversation->wake_ms)
        conversation->wake_ms = wake_ms;
}

/* Keeps the reply's text if it is an error and the first reply. */
static void keep_words(struct conversation *conversation, const struct reply *reply)
{
    size_t len = 0;

    conversation->has_heard_more = conversation->has_heard;
    conversation->has_heard = true;
    if (conversation->has_heard_more)
        return;
    if (reply->kind == REPLY_ERROR) {
        len = reply->text.len < CONVERSATION_WORDS_MAX - 1 ? reply->text.len : CONVERSATION_WORDS_MAX - 1;
        memcpy(conversation->words, reply->text.data, len);
    }
    conversation->words[len] = '\0';
}

enum conversation_action conversation_reply(struct conversation *conversation, const struct reply *reply,
                                            int64_t now_ms)
{
    enum conversation_verdict verdict = CONVERSATION_BROKEN;
    struct awaited_request request;

    if (conversation->phase != CONVERSATION_TALKING || conversation->restarts)
        return CONVERSATION_NOTHING;
    bool is_asked = awaited_next(&conversation->awaited, &request);
    keep_words(conversation, reply);
    if (is_sent_away(conversation) && (!is_asked || refusal_closes(refusal_of(reply)))) {
        fail(conversation, conversation->words, CONVERSATION_END_SENT_AWAY, now_ms);
        return CONVERSATION_DISCONNECT;
    }
    if (is_asked)
        verdict = conversation->topic->reply(conversation->context, &request, reply, now_ms);
    switch (verdict) {
    case CONVERSATION_DONE:
        awaited_finish(&conversation->awaited);
        return CONVERSATION_NOTHING;
    case CONVERSATION_GOES_ON:
        awaited_go_on(&conversation->awaited);
        return CONVERSATION_NOTHING;
    case CONVERSATION_REFUSED:
        part(conversation,
             &(struct conversation_loss){.reason = "refused",
                                         .retry_ms = conversation->settings->refused_retry_ms},
             now_ms);
        return CONVERSATION_DISCONNECT;
    case CONVERSATION_BROKEN:
        fail(conversation, "unexpected reply", CONVERSATION_END_SILENT, now_ms);
        return CONVERSATION_DISCONNECT;
    }
    return CONVERSATION_NOTHING;
}

bool conversation_is_choosy(const struct conversation *conversation)
{
    return conversation->topic->keeps != NULL;
}

bool conversation_keeps(const struct conversation *conversation, const struct reply *element)
{
    struct awaited_request request;

    return !conversation_is_choosy(conversation) || !awaited_next(&conversation->awaited, &request) ||
           conversation->topic->keeps(conversation->context, &request, element);
}

bool conversation_next(struct conversation *conversation, int64_t now_ms,
                       struct conversation_command *ret_command)
{
    struct awaited_request request = {.kind = 0};

    if (conversation->phase != CONVERSATION_TALKING || conversation->restarts ||
        awaited_is_full(&conversation->awaited))
        return false;
    if (!conversation->topic->next(conversation->context, now_ms, ret_command, &request))
        return false;
    request.t_sent_ms = now_ms;
    awaited_add(&conversation->awaited, &request);
    return true;
}

int64_t conversation_wake_ms(const struct conversation *conversation)
{
    if (conversation->restarts)
        return INT64_MIN;
    if (conversation->phase != CONVERSATION_TALKING)
        return conversation->wake_ms;
    int64_t silence_ms = silence_deadline_ms(conversation);
    int64_t topic_ms = conversation->topic->wake_ms(conversation->context);
    if (awaited_is_full(&conversation->awaited))
        return silence_ms;
    return silence_ms < topic_ms ? silence_ms : topic_ms;
}
