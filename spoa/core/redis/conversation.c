#include "spoa/core/redis/conversation.h"

void conversation_init(struct conversation *conversation, const struct conversation_settings *settings,
                       const struct conversation_topic *topic, void *context,
                       struct conversation_room pending, uint64_t seed, int64_t begin_ms)
{
    *conversation = (struct conversation){
        .settings = settings,
        .topic = topic,
        .context = context,
        .pending = pending,
        .phase = CONVERSATION_WAITING,
        .wake_ms = begin_ms,
    };
    backoff_init(&conversation->backoff, settings->retry_min_ms, settings->retry_max_ms, seed);
}

static struct conversation_run *pending_at(struct conversation *conversation, unsigned position)
{
    return &conversation->pending.runs[(conversation->head + position) % conversation->pending.size];
}

static void wait_until(struct conversation *conversation, int64_t wake_ms)
{
    conversation->phase = CONVERSATION_WAITING;
    conversation->wake_ms = wake_ms;
    conversation->restarts = false;
    conversation->head = 0;
    conversation->pending_count = 0;
}

/* Ends the connection and plans the next one. */
static void part(struct conversation *conversation, const struct conversation_loss *loss, int64_t now_ms)
{
    wait_until(conversation, now_ms + loss->retry_ms);
    conversation->topic->lost(conversation->context, loss, now_ms);
}

/* The same after a failure: with back-off. */
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

/* The time at which the oldest request that has a deadline runs out of it. */
static int64_t silence_deadline_ms(const struct conversation *conversation)
{
    for (unsigned i = 0; i < conversation->pending_count; i++) {
        const struct conversation_run *run =
            &conversation->pending.runs[(conversation->head + i) % conversation->pending.size];
        if (!run->endless)
            return run->first.t_sent_ms + conversation->settings->silence_ms;
    }
    return INT64_MAX;
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
        conversation->wake_ms = now_ms + conversation->settings->connect_timeout_ms;
        return CONVERSATION_CONNECT;
    case CONVERSATION_CONNECTING:
        if (now_ms < conversation->wake_ms)
            return CONVERSATION_NOTHING;
        fail(conversation, "connect timeout", CONVERSATION_END_SILENT, now_ms);
        return CONVERSATION_DISCONNECT;
    case CONVERSATION_TALKING:
        if (now_ms < silence_deadline_ms(conversation))
            return CONVERSATION_NOTHING;
        fail(conversation, "reply timeout", CONVERSATION_END_SILENT, now_ms);
        return CONVERSATION_DISCONNECT;
    }
    return CONVERSATION_NOTHING;
}

void conversation_connected(struct conversation *conversation, int64_t now_ms)
{
    if (conversation->restarts)
        return;
    conversation->phase = CONVERSATION_TALKING;
    conversation->head = 0;
    conversation->pending_count = 0;
    conversation->topic->connected(conversation->context, now_ms);
}

void conversation_lost(struct conversation *conversation, const char *reason, enum conversation_end end,
                       int64_t now_ms)
{
    if (conversation->restarts)
        wait_until(conversation, now_ms);
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

static void finish_one(struct conversation *conversation, struct conversation_run *run)
{
    if (++run->answered < run->count)
        return;
    conversation->head = (conversation->head + 1) % conversation->pending.size;
    conversation->pending_count--;
}

enum conversation_action conversation_reply(struct conversation *conversation, const struct reply *reply,
                                            int64_t now_ms)
{
    enum conversation_verdict verdict = CONVERSATION_BROKEN;

    if (conversation->phase != CONVERSATION_TALKING || conversation->restarts)
        return CONVERSATION_NOTHING;
    if (conversation->pending_count > 0) {
        struct conversation_run *run = pending_at(conversation, 0);
        struct conversation_request request = run->first;
        request.subject += run->answered;
        verdict = conversation->topic->reply(conversation->context, &request, reply, now_ms);
        if (verdict == CONVERSATION_DONE)
            finish_one(conversation, run);
        else if (verdict == CONVERSATION_GOES_ON)
            run->endless = true;
    }
    switch (verdict) {
    case CONVERSATION_DONE:
    case CONVERSATION_GOES_ON:
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

/* Files the request that was just made: as one more of the last run where it continues it. */
static void file_request(struct conversation *conversation, const struct conversation_request *request)
{
    if (conversation->pending_count > 0) {
        struct conversation_run *last = pending_at(conversation, conversation->pending_count - 1);
        if (!last->endless && last->first.kind == request->kind &&
            last->first.t_sent_ms == request->t_sent_ms &&
            last->first.subject + last->count == request->subject) {
            last->count++;
            return;
        }
    }
    *pending_at(conversation, conversation->pending_count) =
        (struct conversation_run){.first = *request, .count = 1};
    conversation->pending_count++;
}

bool conversation_next(struct conversation *conversation, int64_t now_ms,
                       struct conversation_command *ret_command)
{
    struct conversation_request request = {.kind = 0};

    if (conversation->phase != CONVERSATION_TALKING || conversation->restarts ||
        conversation->pending_count == conversation->pending.size)
        return false;
    if (!conversation->topic->next(conversation->context, now_ms, ret_command, &request))
        return false;
    request.t_sent_ms = now_ms;
    file_request(conversation, &request);
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
    if (conversation->pending_count == conversation->pending.size)
        return silence_ms;
    return silence_ms < topic_ms ? silence_ms : topic_ms;
}
