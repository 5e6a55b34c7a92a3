/*
 * One connection to a Redis-protocol peer, driven by a conversation (core/conversation.h): the socket, the
 * timer, the name look-up. The replies are parsed by hiredis' redisReader. Its asynchronous API is not used: it
 * aborts the process on a reply that nobody asked for, differs between 0.14 and 1.x, and blocks in getaddrinfo.
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

/* Called after every step of the conversation, so that the owner can let others speak too. */
typedef void (*redis_link_stepped_fn)(void *context);

/* All is borrowed and must outlive the link, but for the struct itself. */
struct redis_link_options {
    const struct addr *peer;
    const struct tls *tls; /* NULL: in plain */
    struct conversation *conversation;
    size_t everyday; /* for reply_parser_create() */
    redis_link_stepped_fn stepped;
    void *context;
};

/*
 * Starts at once: connects when the conversation says so, with a numeric or UNIX address directly, with a name
 * through `resolver` anew on every attempt (all its addresses are tried by turns, one an attempt; where no name server answers, the last one that worked). With TLS the
 * conversation is told that it is connected once the handshake is done: the time limit is one for both. NULL where memory
 * is short.
 */
MUST_CHECK struct redis_link *redis_link_create(struct ev_loop *loop, struct resolver *resolver,
                                                const struct redis_link_options *options);

/* Closes the connection without a word and frees; NULL is fine. Not from within `stepped`. */
void redis_link_destroy(struct redis_link *link);

/* The conversation may have something to say now: sends it, all in one write where the socket takes it, and
 * sets the timer anew. Safe to call from `stepped`. */
void redis_link_pump(struct redis_link *link);

#endif
