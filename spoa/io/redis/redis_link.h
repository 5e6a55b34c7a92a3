/*
 * One connection to a peer that speaks Redis' protocol: the socket and the timer. A
 * conversation (core/redis/conversation.h) drives it. hiredis' redisReader parses the replies. hiredis'
 * asynchronous API is not used: it aborts the process on a reply that nobody asked for, differs between 0.14
 * and 1.x, and blocks in getaddrinfo.
 */
#ifndef SPOA_IO_REDIS_REDIS_LINK_H
#define SPOA_IO_REDIS_REDIS_LINK_H

#include <ev.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/core/redis/conversation.h"

struct redis_link;
struct resolver;
struct tls;

/* Called after every step of the conversation, so that the owner can let other links speak. */
typedef void (*redis_link_stepped_fn)(void *context);

/* The struct is copied. What it points to is borrowed and must outlive the link. */
struct redis_link_options {
    const struct addr *peer;
    const struct tls *tls; /* NULL: no TLS */
    struct conversation *conversation;
    size_t everyday; /* for reply_parser_create() */
    /* One of thousands that are asked often: it leaves work to later turns of the loop, see loop_stalls.h. */
    bool is_patient;
    redis_link_stepped_fn stepped;
    void *context;
};

/*
 * Starts at once and connects when the conversation says so, see connector.h. With TLS the conversation is
 * told that it is connected after the handshake, so one time limit covers both. NULL if memory is short.
 */
MUST_CHECK struct redis_link *redis_link_create(struct ev_loop *loop, struct resolver *resolver,
                                                const struct redis_link_options *options);

/* Closes the connection and frees the link. Tells neither the peer nor the conversation. NULL is fine.
 * Must not be called from `stepped`. */
void redis_link_destroy(struct redis_link *link);

/*
 * Another one owns the link: `stepped` and `context` are called from now on, and later connections use `tls`, which wants
 * the same as the former one. The connection stays, with what is under way.
 */
void redis_link_move(struct redis_link *link, const struct tls *tls, redis_link_stepped_fn stepped,
                     void *context);

/* Closes the connection, or stops the attempt. The conversation is not told: the owner starts it again. Must not be called from `stepped`. */
void redis_link_reset(struct redis_link *link);

/* Sends what the conversation has to say, in one write if the socket takes it, and sets the timer. May be
 * called from `stepped`. */
void redis_link_pump(struct redis_link *link);

#endif
