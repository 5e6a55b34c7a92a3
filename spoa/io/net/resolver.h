/*
 * Turns host names into addresses, as the host's other programs do (see lookup_threads.h). Nothing here blocks
 * the loop. A name is looked up once at a time: who asks meanwhile gets the same answer. An answer that nobody
 * waits for any more is kept for a short time for the next who asks. When /etc/resolv.conf, /etc/hosts or
 * /etc/nsswitch.conf changes, what runs is begun again.
 */
#ifndef SPOA_IO_NET_RESOLVER_H
#define SPOA_IO_NET_RESOLVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proto/must_check.h"
#include "spoa/io/net/lookup_threads.h"

struct addr;
struct resolver;
struct resolver_query;

/* Valid only during the call of resolver_done_fn. */
struct resolver_answer {
    const struct sockaddr_storage *addresses; /* in the order of the name service, with the port */
    size_t count;                             /* at most LOOKUP_ADDRESSES_MAX; 0: the look-up failed */
    const char *reason;                       /* if it failed; static */
    /* The name does not exist or has no address. False if the look-up failed otherwise: then nobody could
     * tell. */
    bool is_denied;
};

/* Not called before resolver_lookup() returns, nor after resolver_cancel(). */
typedef void (*resolver_done_fn)(void *context, const struct resolver_answer *answer);

struct resolver_options {
    const struct addr *name; /* its kind is ADDR_NAME; its port is put into the addresses */
    int family;              /* AF_UNSPEC (both), AF_INET or AF_INET6 */
    bool is_slow;            /* this look-up was slow before, see lookup_threads.h */
    resolver_done_fn done;
    void *context;
};

/* Create one per loop. NULL if memory is short. */
MUST_CHECK struct resolver *resolver_create(struct ev_loop *loop);
/* All queries must have ended or been cancelled. Does not wait for look-ups that run. NULL is fine. */
void resolver_destroy(struct resolver *resolver);

/* Looks a name up. Copies all that it needs. NULL if memory is short or no thread can be started: then `done`
 * is not called. */
MUST_CHECK struct resolver_query *resolver_lookup(struct resolver *resolver,
                                                  const struct resolver_options *options);

/* Ends the query: `done` is not called any more. NULL is fine. */
void resolver_cancel(struct resolver_query *query);

#endif
