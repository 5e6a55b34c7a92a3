/*
 * One conversation with a peer that speaks Redis' protocol. It is a step function: the caller reports what
 * happened, and the conversation says when to connect, what to send and when to give up. It knows no socket
 * and no clock. What the conversation is about is defined by a topic (sentinel_voter.h has two). Commands are
 * pipelined and answered in order.
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

/* Room for what a peer says before it closes the connection, with the NUL. The rest is cut off. */
#define CONVERSATION_WORDS_MAX 160

enum conversation_phase {
    CONVERSATION_WAITING,    /* not connected; connects at wake_ms */
    CONVERSATION_CONNECTING, /* gives the attempt up at wake_ms */
    CONVERSATION_TALKING,
};

/* One command. Its arguments are borrowed; they are valid until the next call with this conversation. */
struct conversation_command {
    size_t count;
    struct span args[CONVERSATION_ARGS_MAX];
};

enum conversation_verdict {
    CONVERSATION_DONE,    /* the request is answered */
    CONVERSATION_GOES_ON, /* more replies to it will follow, without an end (a subscription) */
    CONVERSATION_REFUSED, /* it is pointless to go on: disconnect, and wait for refused_retry_ms */
    CONVERSATION_BROKEN,  /* the reply makes no sense: disconnect, and try again with back-off */
};

/* How a connection, or an attempt to connect, ended. */
enum conversation_end {
    CONVERSATION_END_SILENT,    /* a time limit, or a failure that tells nothing about the peer's host */
    CONVERSATION_END_CLOSED,    /* an established connection was closed or reset: the host is in reach */
    CONVERSATION_END_REFUSED,   /* the attempt was refused: the host is in reach, nobody listens there */
    CONVERSATION_END_SENT_AWAY, /* the peer lives and does not want us: the reason is in its own words */
};

/* Why and how a connection, or an attempt to connect, ended. */
struct conversation_loss {
    const char *reason; /* for the log */
    enum conversation_end end;
    uint32_t retry_ms; /* until the next attempt */
};

struct conversation;

/* What the conversation is about. Only `keeps` and `tick` may be NULL. */
struct conversation_topic {
    /* The next command to send; `ret_request` gets its kind and subject. False if there is nothing to send
     * now. */
    bool (*next)(void *context, int64_t now_ms, struct conversation_command *ret_command,
                 struct awaited_request *ret_request);
    /* A reply to `request` came. */
    enum conversation_verdict (*reply)(void *context, const struct awaited_request *request,
                                       const struct reply *reply, int64_t now_ms);
    /*
     * Whether an element of the reply to `request`, which is an array, is needed. reply() need not get the others,
     * so a long reply takes little memory. NULL: all are needed.
     */
    bool (*keeps)(void *context, const struct awaited_request *request, const struct reply *element);
    /* There is a new connection. */
    void (*connected)(void *context, int64_t now_ms);
    /* The connection, or the attempt to connect, ended. */
    void (*lost)(void *context, const struct conversation_loss *loss, int64_t now_ms);
    /* When next() will have something to send, or tick() something to do, if nothing else happens before;
     * INT64_MAX for never. */
    int64_t (*wake_ms)(const void *context);
    /* The link is there and wake_ms() may have come: does what is due beside a command. NULL: nothing is. */
    void (*tick)(void *context, int64_t now_ms);
};

/* How long the look-up of a peer's name may take: so many times connect_timeout_ms, but not over the maximum.
 * With the default it is 10 s: the C library asks a second name server after 5 s. */
#define CONVERSATION_LOOKUP_FACTOR 20
#define CONVERSATION_LOOKUP_MAX_MS 60000

struct conversation_settings {
    uint32_t connect_timeout_ms;
    uint32_t silence_ms;   /* if the oldest request is unanswered for this long, the link is dead */
    uint32_t retry_min_ms; /* back-off after a failure */
    uint32_t retry_max_ms;
    uint32_t refused_retry_ms; /* the wait after CONVERSATION_REFUSED */
};

struct conversation {
    const struct conversation_settings *settings;
    const struct conversation_topic *topic;
    void *context;
    enum conversation_phase phase;
    int64_t wake_ms; /* valid while WAITING or CONNECTING */
    bool is_remote;  /* the caller sets it before conversation_connected(): the peer is on another host */
    bool restarts;   /* the next tick disconnects, and the one after it connects again */
    bool looks_up;   /* valid while CONNECTING: `wake_ms` is the limit of the look-up */
    struct backoff backoff;
    struct awaited awaited;
    /* About the present connection. */
    bool has_heard;                     /* a reply came */
    bool has_heard_more;                /* and another one */
    char words[CONVERSATION_WORDS_MAX]; /* the first reply, if it is an error; else "" */
};

/* What the caller must do after a step. */
enum conversation_action {
    CONVERSATION_NOTHING,
    CONVERSATION_CONNECT,    /* open a connection, then report connected or lost */
    CONVERSATION_DISCONNECT, /* close the connection or stop the attempt; do not report it as lost */
};

/*
 * Borrows all arguments. Begins WAITING: the first tick at `begin_ms` or later connects. With INT64_MAX
 * nothing happens before conversation_restart(). Nothing is sent while `room` is full of unanswered requests.
 * `seed` varies the back-off.
 */
void conversation_init(struct conversation *conversation, const struct conversation_settings *settings,
                       const struct conversation_topic *topic, void *context, struct awaited_room room,
                       uint64_t seed, int64_t begin_ms);

/* Does what is due; see conversation_wake_ms(). */
enum conversation_action conversation_tick(struct conversation *conversation, int64_t now_ms);

/* After CONVERSATION_CONNECT: the peer has a name, which is looked up now. The limit of connecting does not run
 * before conversation_found(). */
void conversation_looks_up(struct conversation *conversation, int64_t now_ms);

/* Reports that an address of the peer's name is known: the limit of connecting begins. */
void conversation_found(struct conversation *conversation, int64_t now_ms);

/* Reports that the connection is established. */
void conversation_connected(struct conversation *conversation, int64_t now_ms);

/*
 * Reports a reply. If the first reply is an error, and it says why the peer closes this connection or nothing was
 * asked, the topic does not get it: the connection has ended, for the reason that the peer gives.
 */
enum conversation_action conversation_reply(struct conversation *conversation, const struct reply *reply,
                                            int64_t now_ms);

/* Whether some elements of replies may be left out. If so, conversation_keeps() says which. */
bool conversation_is_choosy(const struct conversation *conversation);

/*
 * Whether an element of the next reply is needed. That reply is an array, and has not come completely yet. Those
 * that are not needed may be left out of what conversation_reply() gets.
 */
bool conversation_keeps(const struct conversation *conversation, const struct reply *element);

/*
 * Reports that the connection failed or was closed. `reason` is for the log. If the peer closed it and had said
 * nothing but one error, that error is the reason.
 */
void conversation_lost(struct conversation *conversation, const char *reason, enum conversation_end end,
                       int64_t now_ms);

/*
 * The peer has a new address. Drops the connection or the attempt, and connects again at once. The topic's
 * lost() is not called, and replies that still come are ignored. The next tick is due at once. It returns
 * CONVERSATION_DISCONNECT if there is something to close; the tick after it then connects.
 */
void conversation_restart(struct conversation *conversation, int64_t now_ms);

/* The peer is known to work (see peer.h): the next back-off is short again. */
void conversation_proved(struct conversation *conversation);

/* If the conversation waits for its next attempt: makes this attempt at `wake_ms` at the latest. For the
 * topic, which may call it from lost(), too. */
void conversation_hurry(struct conversation *conversation, int64_t wake_ms);

/* The next command to send. False if there is none, or if the conversation is not TALKING. To be called
 * after every step until it returns false. */
bool conversation_next(struct conversation *conversation, int64_t now_ms,
                       struct conversation_command *ret_command);

/* When conversation_tick(), followed by conversation_next(), is due. */
int64_t conversation_wake_ms(const struct conversation *conversation);

#endif
