/*
 * One conversation with a Redis-protocol peer as a step function: it says when to connect, what to send and
 * when to give up, and is told what happened. It knows no socket and no clock, nor what is talked about: that
 * is the topic's (sentinel_voter.h has two). Commands are pipelined and answered in order.
 */
#ifndef SPOA_CORE_REDIS_CONVERSATION_H
#define SPOA_CORE_REDIS_CONVERSATION_H

#include "proto/span.h"
#include "spoa/core/base/backoff.h"
#include "spoa/core/redis/awaited.h"
#include "spoa/core/redis/reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for SUBSCRIBE and its channels. */
#define CONVERSATION_ARGS_MAX 20

enum conversation_phase {
    CONVERSATION_WAITING,    /* until wake_ms, then to be connected */
    CONVERSATION_CONNECTING, /* until connected, or given up at wake_ms */
    CONVERSATION_TALKING,
};

/* One command: borrowed arguments, valid until the next call that takes the conversation. */
struct conversation_command {
    size_t count;
    struct span args[CONVERSATION_ARGS_MAX];
};

enum conversation_verdict {
    CONVERSATION_DONE,    /* the request is answered */
    CONVERSATION_GOES_ON, /* more replies to it will follow, for an unlimited time (a subscription) */
    CONVERSATION_REFUSED, /* pointless to go on: disconnect and wait for a long time */
    CONVERSATION_BROKEN,  /* the peer talks nonsense: disconnect and come back */
};

/* How a connection, or the attempt to make one, came to an end. */
enum conversation_end {
    CONVERSATION_END_SILENT, /* by a time limit, or by a failure that says nothing of the peer's host */
    CONVERSATION_END_CLOSED, /* a connection that was there was closed or reset: the host is in reach */
    /* The attempt was refused: the host is in reach, and nobody listens there for us. */
    CONVERSATION_END_REFUSED,
};

/* Why it did. */
struct conversation_loss {
    const char *reason; /* for the log */
    enum conversation_end end;
    uint32_t retry_ms; /* until the next attempt */
};

struct conversation;

/* What is talked about. All members are set. */
struct conversation_topic {
    /* The next command to send. False where there is none now. `ret_request` gets kind and subject. */
    bool (*next)(void *context, int64_t now_ms, struct conversation_command *ret_command,
                 struct awaited_request *ret_request);
    /* A reply to `request` came. */
    enum conversation_verdict (*reply)(void *context, const struct awaited_request *request,
                                       const struct reply *reply, int64_t now_ms);
    /* There is a new connection. */
    void (*connected)(void *context, int64_t now_ms);
    /* The connection, or the attempt, came to an end. */
    void (*lost)(void *context, const struct conversation_loss *loss, int64_t now_ms);
    /* When next() will have something to send by time alone; INT64_MAX for never. */
    int64_t (*wake_ms)(const void *context);
};

struct conversation_settings {
    uint32_t connect_timeout_ms;
    uint32_t silence_ms;   /* the oldest request unanswered for this long: the link is dead */
    uint32_t retry_min_ms; /* back-off after a failure */
    uint32_t retry_max_ms;
    uint32_t refused_retry_ms; /* wait after CONVERSATION_REFUSED */
};

struct conversation {
    const struct conversation_settings *settings;
    const struct conversation_topic *topic;
    void *context;
    enum conversation_phase phase;
    int64_t wake_ms; /* WAITING and CONNECTING */
    bool restarts;   /* the next tick disconnects, and the one after it connects again */
    struct backoff backoff;
    struct awaited awaited;
};

/* What the caller must do after a step. */
enum conversation_action {
    CONVERSATION_NOTHING,
    CONVERSATION_CONNECT,    /* open a connection; report connected or lost */
    CONVERSATION_DISCONNECT, /* close the connection or give the attempt up; lost was reported already */
};

/*
 * Borrows all. Nothing is sent while `room` is full of requests without a reply. Begins WAITING until
 * `begin_ms`: the first tick from then on connects. INT64_MAX: not before conversation_restart().
 */
void conversation_init(struct conversation *conversation, const struct conversation_settings *settings,
                       const struct conversation_topic *topic, void *context, struct awaited_room room,
                       uint64_t seed, int64_t begin_ms);

/* Time has come (see conversation_wake_ms). */
enum conversation_action conversation_tick(struct conversation *conversation, int64_t now_ms);

/* The connection that was asked for is there. */
void conversation_connected(struct conversation *conversation, int64_t now_ms);

/* A reply came. */
enum conversation_action conversation_reply(struct conversation *conversation, const struct reply *reply,
                                            int64_t now_ms);

/* The connection failed or was closed; `reason` is for the log. */
void conversation_lost(struct conversation *conversation, const char *reason, enum conversation_end end,
                       int64_t now_ms);

/*
 * The peer has another address now: what is under way is dropped, and a connection is made at once. The topic is
 * not told of a loss, nor of replies that still come. The next tick is due, and asks to disconnect.
 */
void conversation_restart(struct conversation *conversation, int64_t now_ms);

/* The peer is known to work (see peer.h): the next back-off is short again. */
void conversation_proved(struct conversation *conversation);

/* A conversation that waits for its next attempt makes it at `wake_ms` at the latest. Called by the topic, from
 * lost() too. */
void conversation_hurry(struct conversation *conversation, int64_t wake_ms);

/* The next command to send, while TALKING; to be called until it says false, after every step. */
bool conversation_next(struct conversation *conversation, int64_t now_ms,
                       struct conversation_command *ret_command);

/* When conversation_tick(), followed by conversation_next(), is due. */
int64_t conversation_wake_ms(const struct conversation *conversation);

#endif
