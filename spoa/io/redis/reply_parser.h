/*
 * Turns the bytes of a peer that speaks Redis' protocol into replies. hiredis' redisReader parses, but we
 * build the replies. hiredis' own replies would allocate what an array's header promises (16 GiB for 14
 * bytes), and would contain RESP3 types that nobody asked for.
 */
#ifndef SPOA_IO_REDIS_REPLY_PARSER_H
#define SPOA_IO_REDIS_REPLY_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/redis/reply.h"

/*
 * The most bytes that one reply may take, on the wire and in memory. With a filter each element of an array may
 * take so many on the wire, and what is kept may in memory. So whoever uses a filter must limit the time.
 */
#define REPLY_PARSER_BYTES_MAX ((size_t)1024 * 1024)
/* How deep arrays may be nested. It is the limit of hiredis 0.14, used for later versions, too. */
#define REPLY_PARSER_DEPTH_MAX 8

struct reply_parser;

/*
 * Leaves out elements of replies that are arrays, one after another as they come. The reply then has the others
 * only. An element is valid during the call.
 */
struct reply_filter {
    bool (*keeps)(void *context, const struct reply *element);
    void *context;
};

enum reply_parser_result {
    REPLY_PARSER_NEEDS_MORE,
    REPLY_PARSER_REPLY,
    REPLY_PARSER_FAILED, /* final: not the protocol, a limit exceeded, or no memory */
};

/* For one connection. Parsing a reply of up to `everyday` bytes in memory costs no allocation. NULL
 * if memory is short. */
MUST_CHECK struct reply_parser *reply_parser_create(size_t everyday);
void reply_parser_destroy(struct reply_parser *parser); /* NULL is fine */

/* From the next reply on, leaves out what the filter does not keep. The filter is copied. */
void reply_parser_set_filter(struct reply_parser *parser, struct reply_filter filter);

/* Copies `bytes`. The caller must then call reply_parser_next() until it returns anything but REPLY. */
void reply_parser_feed(struct reply_parser *parser, struct span bytes);

/*
 * Sets `ret_reply` only if it returns REPLY. The reply is valid until the next call that changes the parser.
 */
MUST_CHECK enum reply_parser_result reply_parser_next(struct reply_parser *parser,
                                                      const struct reply **ret_reply);

/* Whether all bytes that were fed are parts of replies that were taken, so that another parser may go on. */
bool reply_parser_is_idle(const struct reply_parser *parser);

/* Why it failed, for the log. Valid until the parser is destroyed. */
const char *reply_parser_error(const struct reply_parser *parser);

#endif
