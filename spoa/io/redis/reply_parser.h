/*
 * Bytes of a Redis-protocol peer to replies: hiredis' redisReader, with replies built by us. hiredis' own would
 * allocate what an array's header promises (16 GiB by 14 bytes) and hand out RESP3 types that nobody asked for.
 */
#ifndef SPOA_IO_REDIS_REPLY_PARSER_H
#define SPOA_IO_REDIS_REPLY_PARSER_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/redis/reply.h"

/* What one reply may take, on the wire and in memory. */
#define REPLY_PARSER_BYTES_MAX ((size_t)1024 * 1024)
/* Arrays within arrays; what hiredis 0.14 takes, made the same for later ones. */
#define REPLY_PARSER_DEPTH_MAX 8

struct reply_parser;

enum reply_parser_result {
    REPLY_PARSER_NEEDS_MORE,
    REPLY_PARSER_REPLY,
    REPLY_PARSER_FAILED, /* for ever: not the protocol, a limit exceeded, or no memory */
};

/* One a connection. A reply that takes no more than `everyday` bytes when it is parsed costs no allocation. NULL where
 * memory is short. */
MUST_CHECK struct reply_parser *reply_parser_create(size_t everyday);
void reply_parser_destroy(struct reply_parser *parser); /* NULL is fine */

/* Copies `bytes`. Then reply_parser_next() is to be called until it says something else than REPLY. */
void reply_parser_feed(struct reply_parser *parser, struct span bytes);

/* `ret_reply` is set with REPLY only, and valid until the next call that takes the parser. */
MUST_CHECK enum reply_parser_result reply_parser_next(struct reply_parser *parser,
                                                      const struct reply **ret_reply);

/* Why it failed, for the log; valid as long as the parser. */
const char *reply_parser_error(const struct reply_parser *parser);

#endif
