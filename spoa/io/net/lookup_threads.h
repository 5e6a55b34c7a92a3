/*
 * Look-ups of names by getaddrinfo(), each in a thread of its own, because getaddrinfo() blocks and cannot be
 * cancelled. Only it answers as the host's other programs do: nsswitch.conf and its modules, /etc/hosts,
 * resolv.conf with its search list, read again after a change. There is no thread while there is no look-up.
 * Their number is bounded, and look-ups beyond it wait. A name that was slow before gets only half of the
 * threads, so that names that nobody answers do not delay the others.
 */
#ifndef SPOA_IO_NET_LOOKUP_THREADS_H
#define SPOA_IO_NET_LOOKUP_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proto/addr.h"
#include "proto/must_check.h"

#define LOOKUP_THREADS_MAX 64
#define LOOKUP_THREADS_SLOW_MAX 32
/* The most addresses that are kept of one look-up. */
#define LOOKUP_ADDRESSES_MAX 16

struct lookup_threads;

/* One look-up, from calloc(). The caller sets the members from `owner` to `is_slow`. */
struct lookup {
    struct lookup *prev;
    struct lookup *next;
    bool is_waiting; /* for a thread */
    void *owner;
    char name[ADDR_HOST_MAX + 2]; /* with its final dot, if it has one */
    int family;                   /* AF_UNSPEC: both, as other programs look names up */
    bool is_slow;                 /* this name was slow before */
    int code;                     /* of getaddrinfo() */
    size_t count;
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX]; /* without a port; none twice */
};

/* Called in a thread when a look-up has finished. Must be short and safe there, as ev_async_send() is. Not
 * called after lookup_threads_destroy(). */
typedef void (*lookup_finished_fn)(void *context);

/* NULL if memory is short. */
MUST_CHECK struct lookup_threads *lookup_threads_create(lookup_finished_fn finished, void *context);
/* Does not wait: a look-up that runs is dropped when it ends. Frees all look-ups. NULL is fine. */
void lookup_threads_destroy(struct lookup_threads *threads);

/* Begins a look-up, or lets it wait for a thread. Until it is taken or removed it must not be touched. False
 * if no thread can be started: then it is the caller's. */
MUST_CHECK bool lookup_threads_add(struct lookup_threads *threads, struct lookup *lookup);

/* If the look-up still waits for a thread, takes it back: true, and it is the caller's. */
MUST_CHECK bool lookup_threads_remove(struct lookup_threads *threads, struct lookup *lookup);

/* A look-up that has finished. It is the caller's from now on. NULL if there is none. */
struct lookup *lookup_threads_take(struct lookup_threads *threads);

#endif
