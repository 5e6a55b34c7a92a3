/*
 * A Redis-protocol peer, whatever the conversation with it is about: how each link to it is greeted, when it is
 * proved to work, and what the log is told about it. The rules are the same for all peers:
 *
 * - A link begins with AUTH, where there is a password, and CLIENT SETNAME.
 * - A peer is proved once a link has given an answer that counts and has lasted for one interval. Only then is
 *   the next back-off short again. A peer that answers one question and closes is backed off, as one that is
 *   down.
 * - The log is told once that a peer is up, is down or has a fault, and again only if it worked in between.
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

/* Kinds of requests (struct awaited_request), in the order in which they are sent. */
enum peer_greeting {
    PEER_AUTH,
    PEER_SETNAME,   /* for whoever lists the peer's clients; the reply does not matter */
    PEER_GREETINGS, /* the topic's own kinds begin here */
};

/* Faults are the topic's own, a bit each. */
#define PEER_FAULTS_MAX 9

/* What the log was told last. */
enum peer_told {
    PEER_TOLD_NOTHING,
    PEER_TOLD_UP,
    PEER_TOLD_DOWN,
};

struct peer {
    struct conversation *conversation;
    const struct redis_credentials *credentials;
    uint32_t interval_ms;
    /* Of the link that there is. */
    unsigned greeting; /* what is sent next, enum peer_greeting */
    int64_t connected_ms;
    bool has_answered; /* in a way that counts */
    bool is_proved;
    /* Told in the log. */
    enum peer_told told;
    unsigned faults;
    size_t subjects[PEER_FAULTS_MAX]; /* of each fault that was told */
};

/* Borrows all. `interval_ms`: how long a link must last. */
void peer_init(struct peer *peer, struct conversation *conversation,
               const struct redis_credentials *credentials, uint32_t interval_ms);

/* Another peer is talked to from now on: nothing is known of it, and nothing was told. */
void peer_forget(struct peer *peer);

/* There is a new link. */
void peer_connected(struct peer *peer, int64_t now_ms);

/* The next command of the greeting. False where the link is greeted. `ret_request` gets its kind. */
bool peer_greet(struct peer *peer, struct conversation_command *ret_command,
                struct awaited_request *ret_request);

/* Greets the same link once more: the password, or our rights, may have been put right since. */
void peer_greet_again(struct peer *peer);

/* The link gave an answer that counts. */
void peer_answered(struct peer *peer);

/* To be called from the topic's next(). True where the peer is proved just now, and is to be told as up. */
bool peer_prove(struct peer *peer, int64_t now_ms);

/* When next() is due: `topic_ms`, or earlier where the peer itself has something to do. */
int64_t peer_wake_ms(const struct peer *peer, int64_t topic_ms);

/* The link, or the attempt to make one, has ended. Returns the level at which that is to be told. */
enum log_level peer_lost(struct peer *peer);

/* `fault` (one bit) showed with `subject`, which is the topic's own. True where it is to be told. */
bool peer_fails(struct peer *peer, unsigned fault, size_t subject);

/* What has these `faults` (bits) works with `subject`: those that were told of it may be told again. */
void peer_works(struct peer *peer, unsigned faults, size_t subject);

/* The times of a conversation in which a question is asked each `interval_ms`. */
struct conversation_settings peer_times(uint32_t connect_timeout_ms, uint32_t interval_ms,
                                        uint32_t reply_timeout_ms);

/* The times of a conversation that only listens. */
struct conversation_settings peer_times_of_listener(uint32_t connect_timeout_ms, uint32_t reply_timeout_ms);

#endif
