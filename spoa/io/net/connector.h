/*
 * Connects to a peer that has an address or a name. A name is looked up for every attempt, and its addresses
 * are tried as address_race.h says. The agent and the commands of a terminal connect with this.
 */
#ifndef SPOA_IO_NET_CONNECTOR_H
#define SPOA_IO_NET_CONNECTOR_H

#include <ev.h>
#include <stdint.h>

#include "proto/addr.h"
#include "proto/must_check.h"

struct connector;
struct resolver;

/* How an attempt ended. */
struct connector_result {
    int fd;             /* connected, does not block, and is the caller's; -1: it failed */
    int code;           /* an errno if it failed; 0: there was no address */
    const char *reason; /* the same as text; valid during the call */
};

/* The functions are not called from connector_start(), nor after connector_cancel(). */
struct connector_options {
    /* An address of the peer's name is known: connecting begins. Not called for a peer without a name. */
    void (*found)(void *context);
    /* The attempt has ended. The connector may be started again from here, or destroyed. */
    void (*done)(void *context, const struct connector_result *result);
    void *context;
    /* The peer's silence is noticed without keep-alive. With thousands of them the kernel would look at many at once. */
    bool is_asked_often;
};

/* Borrows `loop` and `resolver`, and copies the options. NULL if memory is short. */
MUST_CHECK struct connector *connector_create(struct ev_loop *loop, struct resolver *resolver,
                                              const struct connector_options *options);
/* Closes what is open. NULL is fine. */
void connector_destroy(struct connector *connector);

/* Begins an attempt. The one before must have ended. `limit_ms`: the caller gives up when connecting takes
 * longer. The peer is copied. */
void connector_start(struct connector *connector, const struct addr *peer, uint32_t limit_ms);

/* Ends the attempt, if there is one. */
void connector_cancel(struct connector *connector);

/* Reports that the last connection works: its address is tried first from now on. Without this report
 * the next attempt begins with another address, if the name has one. */
void connector_keep(struct connector *connector);

#endif
