#include "spoa/io/net/lookup_threads.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Address space for the modules of the name service; memory is used only as far as they go. */
#define STACK_SIZE ((size_t)512 * 1024)

/* All members are guarded by `mutex`. The last of the owner and the threads frees it. */
struct lookup_threads {
    pthread_mutex_t mutex;
    lookup_finished_fn finished;
    void *context;
    struct lookup *waiting;      /* for a thread, the oldest first */
    struct lookup *waiting_slow; /* likewise those that were slow before */
    struct lookup *done;
    unsigned count; /* of threads */
    unsigned slow;  /* of those that look up what was slow before */
    bool is_closed; /* the owner is gone */
};

static bool has_address(const struct lookup *lookup, const struct sockaddr_storage *address)
{
    for (size_t i = 0; i < lookup->count; i++)
        if (memcmp(&lookup->addresses[i], address, sizeof(*address)) == 0)
            return true;
    return false;
}

static void keep_addresses(struct lookup *lookup, const struct addrinfo *list)
{
    for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
        struct sockaddr_storage address;
        if (one->ai_family != AF_INET && one->ai_family != AF_INET6)
            continue;
        memset(&address, 0, sizeof(address));
        memcpy(&address, one->ai_addr, one->ai_addrlen);
        if (lookup->count < LOOKUP_ADDRESSES_MAX && !has_address(lookup, &address))
            lookup->addresses[lookup->count++] = address;
    }
}

/* Blocks. Without AI_ADDRCONFIG: a host with no address but the loopback's must find names, too. */
static void run(struct lookup *lookup)
{
    const struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    lookup->code = getaddrinfo(lookup->name, NULL, &hints, &list);
    if (lookup->code != 0)
        return;
    keep_addresses(lookup, list);
    freeaddrinfo(list);
    if (lookup->count == 0)
        lookup->code = EAI_NODATA;
}

static struct lookup *pop(struct lookup **list)
{
    struct lookup *first = *list;

    if (first != NULL)
        DL_DELETE(*list, first);
    return first;
}

/* The next that may run. `mutex` is held. */
static struct lookup *begin_next(struct lookup_threads *threads)
{
    struct lookup *next = threads->is_closed ? NULL : pop(&threads->waiting);

    if (next == NULL && !threads->is_closed && threads->slow < LOOKUP_THREADS_SLOW_MAX) {
        next = pop(&threads->waiting_slow);
        threads->slow += next != NULL;
    }
    if (next != NULL)
        next->is_waiting = false;
    return next;
}

/* `mutex` is held. */
static void end(struct lookup_threads *threads, struct lookup *lookup)
{
    threads->slow -= lookup->is_slow;
    if (threads->is_closed) {
        free(lookup);
        return;
    }
    DL_APPEND(threads->done, lookup);
    threads->finished(threads->context);
}

static void free_threads(struct lookup_threads *threads)
{
    (void)pthread_mutex_destroy(&threads->mutex);
    free(threads);
}

/* A thread: looks up what waits, until nothing does. */
static void *work(void *context)
{
    struct lookup_threads *threads = context;
    struct lookup *lookup;

    (void)pthread_mutex_lock(&threads->mutex);
    while ((lookup = begin_next(threads)) != NULL) {
        (void)pthread_mutex_unlock(&threads->mutex);
        run(lookup);
        (void)pthread_mutex_lock(&threads->mutex);
        end(threads, lookup);
    }
    bool is_last = --threads->count == 0 && threads->is_closed;
    (void)pthread_mutex_unlock(&threads->mutex);
    if (is_last)
        free_threads(threads);
    return NULL;
}

/* The thread gets no signal: signals are for the loop. */
static bool start_thread(struct lookup_threads *threads)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    if (pthread_attr_init(&attributes) != 0)
        return false;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started = pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0 &&
                      pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
                      pthread_create(&thread, &attributes, work, threads) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return is_started;
}

struct lookup_threads *lookup_threads_create(lookup_finished_fn finished, void *context)
{
    struct lookup_threads *threads = calloc(1, sizeof(*threads));

    if (threads == NULL)
        return NULL;
    threads->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    threads->finished = finished;
    threads->context = context;
    return threads;
}

static void free_list(struct lookup **list)
{
    struct lookup *lookup;

    while ((lookup = pop(list)) != NULL)
        free(lookup);
}

void lookup_threads_destroy(struct lookup_threads *threads)
{
    if (threads == NULL)
        return;
    (void)pthread_mutex_lock(&threads->mutex);
    free_list(&threads->waiting);
    free_list(&threads->waiting_slow);
    free_list(&threads->done);
    threads->is_closed = true;
    bool is_last = threads->count == 0;
    (void)pthread_mutex_unlock(&threads->mutex);
    if (is_last)
        free_threads(threads);
}

static struct lookup **list_of(struct lookup_threads *threads, const struct lookup *lookup)
{
    return lookup->is_slow ? &threads->waiting_slow : &threads->waiting;
}

bool lookup_threads_add(struct lookup_threads *threads, struct lookup *lookup)
{
    (void)pthread_mutex_lock(&threads->mutex);
    bool may_begin =
        threads->count < LOOKUP_THREADS_MAX && (!lookup->is_slow || threads->slow < LOOKUP_THREADS_SLOW_MAX);
    if (may_begin && start_thread(threads))
        threads->count++;
    /* Without any thread it would wait for ever. */
    bool is_added = threads->count > 0;
    if (is_added) {
        struct lookup **list = list_of(threads, lookup);
        DL_APPEND(*list, lookup);
        lookup->is_waiting = true;
    }
    (void)pthread_mutex_unlock(&threads->mutex);
    return is_added;
}

bool lookup_threads_remove(struct lookup_threads *threads, struct lookup *lookup)
{
    (void)pthread_mutex_lock(&threads->mutex);
    bool is_removed = lookup->is_waiting;
    if (is_removed) {
        struct lookup **list = list_of(threads, lookup);
        DL_DELETE(*list, lookup);
        lookup->is_waiting = false;
    }
    (void)pthread_mutex_unlock(&threads->mutex);
    return is_removed;
}

struct lookup *lookup_threads_take(struct lookup_threads *threads)
{
    (void)pthread_mutex_lock(&threads->mutex);
    struct lookup *lookup = pop(&threads->done);
    (void)pthread_mutex_unlock(&threads->mutex);
    return lookup;
}
