/* Turns host names into addresses, through c-ares in the libev loop. Nothing here blocks. */
#ifndef SPOA_IO_NET_RESOLVER_H
#define SPOA_IO_NET_RESOLVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proto/must_check.h"

struct resolver;
struct resolver_query;

/* The most addresses that are returned for one name. */
#define RESOLVER_ADDRESSES_MAX 16

/* Valid only during the call of resolver_done_fn. */
struct resolver_answer {
    const struct sockaddr_storage *addresses;
    size_t count; /* 0: the look-up failed */
    const char *reason;
    /* The name does not exist or has no address. False if the look-up failed otherwise: then nobody could
     * tell. */
    bool is_denied;
};

/* Not called after resolver_cancel(). */
typedef void (*resolver_done_fn)(void *context, const struct resolver_answer *answer);

/* Create one per process. NULL if memory is short or c-ares does not start. */
MUST_CHECK struct resolver *resolver_create(struct ev_loop *loop);
/* All queries must have ended or been cancelled. NULL is fine. */
void resolver_destroy(struct resolver *resolver);

/* Looks `host` up (A and AAAA, /etc/hosts first) and puts the port into the addresses. `done` may be
 * called before this returns; then it returns NULL. If memory is short, `done` is called with count 0. */
struct resolver_query *resolver_lookup(struct resolver *resolver, const char *host, unsigned short port,
                                       resolver_done_fn done, void *context);

/* Ends the query: `done` is not called any more. NULL is fine. */
void resolver_cancel(struct resolver_query *query);

#endif
