/*
 * What all conversations have in common, whatever they are about: how a link is greeted, when the peer is
 * proved to work, and what is logged about it. The rules:
 *
 * - A link begins with AUTH, if there is a password, and then CLIENT SETNAME.
 * - A peer is proved once a link has given an answer that counts and has lasted for one interval. Only then
 *   is the next back-off short again. So a peer that answers one question and closes the link is backed off
 *   like a peer that is down.
 * - The log says once that a peer is up, is down or has a fault. It says so again only if the peer worked in
 *   between. A refusal of another kind is told, too: who hears NOPERM must hear of it although BUSY came before.
 *
 * A topic (conversation.h) owns a peer and calls it from each of its functions.
 */
#ifndef SPOA_CORE_REDIS_PEER_H
#define SPOA_CORE_REDIS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/base/log.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/redis/redis_command.h"
#include "spoa/core/redis/refusal.h"

/* Kinds of requests (struct awaited_request), in the order in which they are sent. */
enum peer_greeting {
    PEER_AUTH,
    PEER_SETNAME,   /* names us in the peer's list of clients; the reply does not matter */
    PEER_GREETINGS, /* the topic's own kinds begin here */
};

/* The topic defines the faults, one bit each. */
#define PEER_FAULTS_MAX 12

/* What was logged last. */
enum peer_told {
    PEER_TOLD_NOTHING,
    PEER_TOLD_UP,
    PEER_TOLD_DOWN,
    PEER_TOLD_SENT_AWAY, /* that it is down, and why, in its own words */
};

struct peer {
    struct conversation *conversation;
    const struct redis_credentials *credentials;
    uint32_t interval_ms;
    /* About the present link. */
    unsigned greeting; /* what is sent next; enum peer_greeting */
    int64_t connected_ms;
    bool has_answered; /* with an answer that counts */
    bool is_proved;
    /* About the log. */
    enum peer_told told;
    unsigned faults;
    size_t subjects[PEER_FAULTS_MAX];   /* of each fault that was logged */
    uint16_t refusals[PEER_FAULTS_MAX]; /* of each fault that was logged: a bit for each kind of refusal */
};

/* Borrows all arguments. `interval_ms`: how long a link must last before the peer is proved. */
void peer_init(struct peer *peer, struct conversation *conversation,
               const struct redis_credentials *credentials, uint32_t interval_ms);

/* The conversation has another peer from now on: forgets what is known of the peer, and what was logged. */
void peer_forget(struct peer *peer);

/* There is a new link. */
void peer_connected(struct peer *peer, int64_t now_ms);

/* The next command of the greeting; `ret_request` gets its kind. False if the greeting is complete. */
bool peer_greet(struct peer *peer, struct conversation_command *ret_command,
                struct awaited_request *ret_request);

/* Greets the present link once more: the password, or our rights, may have been corrected. */
void peer_greet_again(struct peer *peer);

/*
 * With which words the peer refuses what it was asked: the error, or "" if `reply` is none. If AUTH was refused on this
 * link, its words are the cause: what follows it is only told that a password is missing. Valid as long as both.
 */
struct span peer_words(const struct peer *peer, const struct reply *reply);

/* The link gave an answer that counts. */
void peer_answered(struct peer *peer);

/* To be called from the topic's next(). True if this call proves the peer and the topic is to log that it
 * is up. */
bool peer_prove(struct peer *peer, int64_t now_ms);

/* When the topic's next() is due: at `topic_ms`, or earlier if the peer itself has something to do. */
int64_t peer_wake_ms(const struct peer *peer, int64_t topic_ms);

/* The link, or the attempt to connect, has ended. Returns the level at which to log that. What a peer says itself
 * is told although it was down before. */
enum log_level peer_lost(struct peer *peer, enum conversation_end end);

/* The peer has shown `fault` (one bit) with `subject`, which the topic defines. True if it is to be
 * logged. */
bool peer_fails(struct peer *peer, unsigned fault, size_t subject);

/* The same for a fault that is a refusal, of the kind `refusal`. True once for each kind. */
bool peer_refuses(struct peer *peer, unsigned fault, size_t subject, enum refusal refusal);

/* `faults` (bits) no longer hold for `subject`. Those that were logged with this subject may be logged
 * again. */
void peer_works(struct peer *peer, unsigned faults, size_t subject);

/* The times of a conversation that asks a question every `interval_ms`. */
struct conversation_settings peer_times(uint32_t connect_timeout_ms, uint32_t interval_ms,
                                        uint32_t reply_timeout_ms);

/* The times of a conversation that only listens. */
struct conversation_settings peer_times_of_listener(uint32_t connect_timeout_ms, uint32_t reply_timeout_ms);

#endif
