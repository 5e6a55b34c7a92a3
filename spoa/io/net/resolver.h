/* Host names to addresses through c-ares in the libev loop: nothing here ever blocks. */
#ifndef SPOA_IO_NET_RESOLVER_H
#define SPOA_IO_NET_RESOLVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proto/must_check.h"

struct resolver;
struct resolver_query;

/* At most this many addresses are handed over for one name. */
#define RESOLVER_ADDRESSES_MAX 16

/* Valid during the call that it is handed to. */
struct resolver_answer {
    const struct sockaddr_storage *addresses;
    size_t count; /* 0: the look-up failed */
    const char *reason;
    bool is_denied; /* it failed because there is no such name, or it has no address; else nobody could say */
};

/* Not called after resolver_cancel(). */
typedef void (*resolver_done_fn)(void *context, const struct resolver_answer *answer);

/* One for the process. NULL where c-ares cannot be started. */
MUST_CHECK struct resolver *resolver_create(struct ev_loop *loop);
/* All queries must have ended or been cancelled; NULL is fine. */
void resolver_destroy(struct resolver *resolver);

/*
 * Looks `host` up (A and AAAA, /etc/hosts first); the port is put into the addresses. `done` may be called
 * before this returns, and then NULL is returned, as it is where memory is short (after `done` with count 0).
 */
struct resolver_query *resolver_lookup(struct resolver *resolver, const char *host, unsigned short port,
                                       resolver_done_fn done, void *context);

/* `done` will not be called any more. */
void resolver_cancel(struct resolver_query *query);

#endif
