#include "spoa/io/net/resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "proto/addr.h"
#include "spoa/core/base/container_of.h"
#include "spoa/io/net/loop.h"

/* An answer that nobody waited for is kept for this time: longer than the longest wait between two attempts. */
#define KEPT_MS 6000
/* While something is looked up, the files are looked at this often. */
#define TICK_S 1.0

/* What the C library reads before it asks anybody. It reads them again when they change, but a look-up that
 * runs goes on with what it has read. */
static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"};
#define FILES (sizeof(files) / sizeof(*files))

struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

enum entry_state {
    ENTRY_RUNNING, /* or waiting for a thread */
    ENTRY_KEPT,    /* has an answer that nobody has heard */
    ENTRY_OLD,     /* must not be joined: it began before a file changed, or its answer is being told */
};

/* A look-up and who waits for it. */
struct entry {
    struct entry *next;
    struct resolver *resolver;
    struct lookup *lookup;
    enum entry_state state;
    int64_t kept_ms; /* since when it is kept */
    struct resolver_query *queries;
};

struct resolver {
    struct ev_loop *loop;
    ev_async finished;
    ev_timer tick; /* runs while there are entries */
    struct lookup_threads *threads;
    struct entry *entries;
    struct file_stamp stamps[FILES];
};

struct resolver_query {
    struct resolver_query *prev;
    struct resolver_query *next;
    struct entry *entry;
    resolver_done_fn done;
    void *context;
    uint16_t port;
};

/* ---- entries ---- */

static struct lookup *create_lookup(const struct resolver_options *options)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL)
        return NULL;
    (void)snprintf(lookup->name, sizeof(lookup->name), "%s%s", options->name->name,
                   options->name->is_absolute ? "." : "");
    lookup->family = options->family;
    lookup->is_slow = options->is_slow;
    return lookup;
}

static struct lookup *copy_lookup(const struct lookup *other)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL)
        return NULL;
    memcpy(lookup->name, other->name, sizeof(lookup->name));
    lookup->family = other->family;
    lookup->is_slow = other->is_slow;
    return lookup;
}

/* Begins the look-up, which is taken over. NULL if that is not possible. */
static struct entry *create_entry(struct resolver *resolver, struct lookup *lookup)
{
    struct entry *entry = lookup != NULL ? calloc(1, sizeof(*entry)) : NULL;

    if (entry == NULL) {
        free(lookup);
        return NULL;
    }
    entry->resolver = resolver;
    entry->lookup = lookup;
    lookup->owner = entry;
    if (!lookup_threads_add(resolver->threads, lookup)) {
        free(lookup);
        free(entry);
        return NULL;
    }
    LL_PREPEND(resolver->entries, entry);
    if (!ev_is_active(&resolver->tick)) {
        ev_timer_set(&resolver->tick, TICK_S, TICK_S);
        ev_timer_start(resolver->loop, &resolver->tick);
    }
    return entry;
}

static void unlist_entry(struct entry *entry)
{
    struct resolver *resolver = entry->resolver;

    LL_DELETE(resolver->entries, entry);
    if (resolver->entries == NULL)
        ev_timer_stop(resolver->loop, &resolver->tick);
    free(entry);
}

static void destroy_entry(struct entry *entry)
{
    free(entry->lookup);
    unlist_entry(entry);
}

static bool is_expired(const struct entry *entry)
{
    return entry->state == ENTRY_KEPT && entry->queries == NULL && clock_ms() - entry->kept_ms >= KEPT_MS;
}

static struct entry *find_entry(struct resolver *resolver, const struct lookup *lookup)
{
    struct entry *entry;

    LL_FOREACH (resolver->entries, entry) {
        if (entry->state != ENTRY_OLD && !is_expired(entry) && entry->lookup->family == lookup->family &&
            strcmp(entry->lookup->name, lookup->name) == 0)
            return entry;
    }
    return NULL;
}

/* ---- answers ---- */

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (address->ss_family == AF_INET) {
        memcpy(&ipv4, address, sizeof(ipv4));
        ipv4.sin_port = htons(port);
        memcpy(address, &ipv4, sizeof(ipv4));
    } else {
        memcpy(&ipv6, address, sizeof(ipv6));
        ipv6.sin6_port = htons(port);
        memcpy(address, &ipv6, sizeof(ipv6));
    }
}

static bool is_denial(int code)
{
    return code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY;
}

static void tell(struct resolver_query *query, const struct lookup *lookup)
{
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX];
    const struct resolver_answer answer = {
        .addresses = addresses,
        .count = lookup->count,
        .reason = gai_strerror(lookup->code),
        .is_denied = is_denial(lookup->code),
    };

    for (size_t i = 0; i < lookup->count; i++) {
        addresses[i] = lookup->addresses[i];
        set_port(&addresses[i], query->port);
    }
    query->done(query->context, &answer);
}

/* Ends the entry. What it calls may look names up and cancel queries, also those that are told next. */
static void tell_all(struct entry *entry)
{
    struct resolver_query *query;

    entry->state = ENTRY_OLD;
    while ((query = entry->queries) != NULL) {
        struct resolver_query told = *query;
        DL_DELETE(entry->queries, query);
        free(query);
        tell(&told, entry->lookup);
    }
    destroy_entry(entry);
}

static void take(struct lookup *lookup)
{
    struct entry *entry = lookup->owner;
    bool is_worth = lookup->code == 0 || is_denial(lookup->code);

    if (entry->queries == NULL && entry->state == ENTRY_RUNNING && is_worth) {
        entry->state = ENTRY_KEPT;
        entry->kept_ms = clock_ms();
    } else {
        tell_all(entry);
    }
}

/* The kept entry that somebody waits for again, or NULL. */
static struct entry *find_awaited(struct resolver *resolver)
{
    struct entry *entry;

    LL_FOREACH (resolver->entries, entry) {
        if (entry->state == ENTRY_KEPT && entry->queries != NULL)
            return entry;
    }
    return NULL;
}

static void on_finished(struct ev_loop *loop, ev_async *watcher, int events)
{
    struct resolver *resolver = container_of(watcher, struct resolver, finished);
    struct lookup *lookup;
    struct entry *entry;

    (void)loop;
    (void)events;
    while ((lookup = lookup_threads_take(resolver->threads)) != NULL)
        take(lookup);
    while ((entry = find_awaited(resolver)) != NULL)
        tell_all(entry);
}

/* In a thread. */
static void wake_loop(void *context)
{
    struct resolver *resolver = context;

    ev_async_send(resolver->loop, &resolver->finished);
}

/* ---- files that change ---- */

static bool read_stamps(struct file_stamp stamps[FILES])
{
    bool is_changed = false;

    for (size_t i = 0; i < FILES; i++) {
        struct file_stamp now = {.inode = 0};
        struct stat found;
        if (stat(files[i], &found) == 0) {
            now.device = found.st_dev;
            now.inode = found.st_ino;
            now.size = found.st_size;
            now.modified = found.st_mtim;
        }
        is_changed = is_changed || now.device != stamps[i].device || now.inode != stamps[i].inode ||
                     now.size != stamps[i].size || now.modified.tv_sec != stamps[i].modified.tv_sec ||
                     now.modified.tv_nsec != stamps[i].modified.tv_nsec;
        stamps[i] = now;
    }
    return is_changed;
}

/* Who waits for `entry` now waits for a new look-up. If there can be none, they go on waiting. */
static void begin_again(struct entry *entry)
{
    struct resolver_query *query;
    struct entry *newer = create_entry(entry->resolver, copy_lookup(entry->lookup));

    if (newer == NULL)
        return;
    DL_FOREACH (entry->queries, query) {
        query->entry = newer;
    }
    newer->queries = entry->queries;
    entry->queries = NULL;
    if (lookup_threads_remove(entry->resolver->threads, entry->lookup))
        destroy_entry(entry);
}

/* Begins again what runs with the old files, and forgets what it has found. */
static void look_at_files(struct resolver *resolver)
{
    struct entry *entry;
    struct entry *next;

    if (!read_stamps(resolver->stamps))
        return;
    /* New entries come first in the list, so they are not met here. */
    LL_FOREACH_SAFE (resolver->entries, entry, next) {
        if (entry->state == ENTRY_KEPT && entry->queries == NULL) {
            destroy_entry(entry);
        } else if (entry->state == ENTRY_RUNNING) {
            entry->state = ENTRY_OLD;
            if (entry->queries != NULL)
                begin_again(entry);
        }
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver *resolver = container_of(timer, struct resolver, tick);
    struct entry *entry;
    struct entry *next;

    (void)loop;
    (void)events;
    look_at_files(resolver);
    LL_FOREACH_SAFE (resolver->entries, entry, next) {
        if (is_expired(entry))
            destroy_entry(entry);
    }
}

/* ---- the interface ---- */

struct resolver *resolver_create(struct ev_loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL)
        return NULL;
    resolver->loop = loop;
    resolver->threads = lookup_threads_create(wake_loop, resolver);
    if (resolver->threads == NULL) {
        free(resolver);
        return NULL;
    }
    ev_timer_init(&resolver->tick, on_tick, 0.0, 0.0);
    ev_async_init(&resolver->finished, on_finished);
    ev_async_start(loop, &resolver->finished);
    /* It does not keep the loop running. */
    ev_unref(loop);
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    struct entry *entry;
    struct entry *next;

    if (resolver == NULL)
        return;
    /* Frees what the threads have. Only the kept look-ups are ours. */
    lookup_threads_destroy(resolver->threads);
    LL_FOREACH_SAFE (resolver->entries, entry, next) {
        if (entry->state == ENTRY_KEPT)
            destroy_entry(entry);
        else
            unlist_entry(entry);
    }
    ev_ref(resolver->loop);
    ev_async_stop(resolver->loop, &resolver->finished);
    free(resolver);
}

/* The entry to wait for: one that is there, or a new one. NULL if there can be none. */
static struct entry *join(struct resolver *resolver, const struct resolver_options *options)
{
    struct lookup *lookup = create_lookup(options);
    struct entry *entry = lookup != NULL ? find_entry(resolver, lookup) : NULL;

    if (entry == NULL)
        return create_entry(resolver, lookup);
    free(lookup);
    if (entry->state == ENTRY_KEPT)
        ev_async_send(resolver->loop, &resolver->finished);
    return entry;
}

struct resolver_query *resolver_lookup(struct resolver *resolver, const struct resolver_options *options)
{
    struct resolver_query *query = calloc(1, sizeof(*query));

    if (query == NULL)
        return NULL;
    look_at_files(resolver);
    query->entry = join(resolver, options);
    if (query->entry == NULL) {
        free(query);
        return NULL;
    }
    query->done = options->done;
    query->context = options->context;
    query->port = options->name->port;
    DL_APPEND(query->entry->queries, query);
    return query;
}

void resolver_cancel(struct resolver_query *query)
{
    if (query == NULL)
        return;
    struct entry *entry = query->entry;
    DL_DELETE(entry->queries, query);
    free(query);
    /* A look-up that nobody waits for need not begin. */
    if (entry->queries == NULL && entry->state == ENTRY_RUNNING &&
        lookup_threads_remove(entry->resolver->threads, entry->lookup))
        destroy_entry(entry);
}
