#include "spoa/core/redis/peer.h"

void peer_init(struct peer *peer, struct conversation *conversation,
               const struct redis_credentials *credentials, uint32_t interval_ms)
{
    *peer = (struct peer){
        .conversation = conversation,
        .credentials = credentials,
        .interval_ms = interval_ms,
        .greeting = PEER_GREETINGS,
    };
}

void peer_forget(struct peer *peer)
{
    peer_init(peer, peer->conversation, peer->credentials, peer->interval_ms);
}

/* ---- the link ---- */

void peer_connected(struct peer *peer, int64_t now_ms)
{
    peer->connected_ms = now_ms;
    peer->has_answered = false;
    peer->is_proved = false;
    peer_greet_again(peer);
}

void peer_greet_again(struct peer *peer)
{
    peer->greeting = peer->credentials->password != NULL ? PEER_AUTH : PEER_SETNAME;
}

bool peer_greet(struct peer *peer, struct conversation_command *ret_command,
                struct awaited_request *ret_request)
{
    static const char *const setname[] = {"CLIENT", "SETNAME", "sentinel-spoa"};

    if (peer->greeting == PEER_GREETINGS)
        return false;
    if (peer->greeting == PEER_AUTH)
        redis_command_auth(ret_command, peer->credentials);
    else
        redis_command_of(ret_command, setname, 3);
    ret_request->kind = peer->greeting++;
    return true;
}

struct span peer_words(const struct peer *peer, const struct reply *reply)
{
    struct span first = span_of_text(peer->conversation->words);

    if (reply->kind != REPLY_ERROR)
        return span_of("", 0);
    bool is_consequence =
        refusal_of(reply) == REFUSAL_PASSWORD && refusal_of_words(first) == REFUSAL_PASSWORD;
    return is_consequence ? first : reply->text;
}

void peer_answered(struct peer *peer)
{
    peer->has_answered = true;
}

static int64_t proof_due_ms(const struct peer *peer)
{
    return peer->has_answered && !peer->is_proved ? peer->connected_ms + peer->interval_ms : INT64_MAX;
}

bool peer_prove(struct peer *peer, int64_t now_ms)
{
    if (now_ms < proof_due_ms(peer))
        return false;
    peer->is_proved = true;
    conversation_proved(peer->conversation);
    bool is_news = peer->told != PEER_TOLD_UP;
    peer->told = PEER_TOLD_UP;
    return is_news;
}

int64_t peer_wake_ms(const struct peer *peer, int64_t topic_ms)
{
    int64_t due_ms = peer->greeting < PEER_GREETINGS ? INT64_MIN : proof_due_ms(peer);

    return due_ms < topic_ms ? due_ms : topic_ms;
}

enum log_level peer_lost(struct peer *peer, enum conversation_end end)
{
    enum peer_told told = end == CONVERSATION_END_SENT_AWAY ? PEER_TOLD_SENT_AWAY : PEER_TOLD_DOWN;
    bool is_news = peer->told < told;

    if (is_news)
        peer->told = told;
    peer->has_answered = false;
    return is_news ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
}

/* ---- faults ---- */

bool peer_fails(struct peer *peer, unsigned fault, size_t subject)
{
    if ((peer->faults & fault) != 0)
        return false;
    peer->faults |= fault;
    peer->subjects[__builtin_ctz(fault)] = subject;
    return true;
}

bool peer_refuses(struct peer *peer, unsigned fault, size_t subject, enum refusal refusal)
{
    uint16_t *told = &peer->refusals[__builtin_ctz(fault)];
    unsigned kind = 1u << refusal;

    if (peer_fails(peer, fault, subject))
        *told = 0;
    bool is_news = (*told & kind) == 0;
    *told = (uint16_t)(*told | kind);
    return is_news;
}

void peer_works(struct peer *peer, unsigned faults, size_t subject)
{
    for (unsigned left = peer->faults & faults; left != 0; left &= left - 1)
        if (peer->subjects[__builtin_ctz(left)] == subject)
            peer->faults &= ~(left & -left);
}

/* ---- times ---- */

struct conversation_settings peer_times(uint32_t connect_timeout_ms, uint32_t interval_ms,
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

struct conversation_settings peer_times_of_listener(uint32_t connect_timeout_ms, uint32_t reply_timeout_ms)
{
    struct conversation_settings times = peer_times(connect_timeout_ms, reply_timeout_ms, reply_timeout_ms);

    times.retry_max_ms = 5000;
    return times;
}
