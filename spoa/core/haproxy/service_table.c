#include "spoa/core/haproxy/service_table.h"

#include <stdlib.h>
#include <string.h>

/* A table that cannot grow stays as it was. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "proto/spop_frame.h"
#include "spoa/core/base/words.h"
#include "spoa/core/haproxy/answer.h"
#include "spoa/core/haproxy/question_cache.h"

#define CACHE_LINE 64

struct table_entry {
    /* In a change-over. */
    bool is_over;      /* its successor answers */
    bool is_successor; /* it answers although its table does not yet */
    /* The streams that ask for the master. An answer needs the end of this, and the beginning of what
     * follows: two lines of the cache. */
    struct parking_queue masters;
    struct answer answer;
    bool has_replicas;
    void *memory;      /* of the entry, which begins with a line of the cache */
    UT_hash_handle hh; /* by the service's name */
    /* The streams that ask for a replica: with `has_replicas` one queue, else none. */
    struct parking_queue replicas[];
};

/* With pointers of 32 bits it is all smaller, and lies elsewhere. */
#if UINTPTR_MAX > UINT32_MAX
_Static_assert(offsetof(struct table_entry, masters.sight_ms) % CACHE_LINE == 0,
               "an answer begins with a line");
_Static_assert(offsetof(struct table_entry, answer.master.actions) % CACHE_LINE < CACHE_LINE - 16 &&
                   offsetof(struct table_entry, answer.master.actions) / CACHE_LINE ==
                       offsetof(struct table_entry, masters.sight_ms) / CACHE_LINE,
               "its actions begin in the same one");
#endif

static struct table_entry *create_entry(bool has_replicas)
{
    struct table_entry *entry = NULL;
    void *memory = calloc(1, sizeof(*entry) + has_replicas * sizeof(*entry->replicas) + CACHE_LINE);

    if (memory == NULL)
        return NULL;
    entry = (struct table_entry *)(void *)((uint8_t *)memory + (CACHE_LINE - (uintptr_t)memory % CACHE_LINE));
    entry->memory = memory;
    return entry;
}

static void destroy_entry(struct table_entry *entry)
{
    answer_finish(&entry->answer);
    free(entry->memory);
}

struct service_table {
    struct table_entry *entries;
    struct table_entry *ended; /* a list of entries that must still be freed */
    /* Of service_table_is_idle(): somebody may wait for it or for a later one. */
    struct table_entry *unchecked;
    bool is_checked;                 /* `unchecked` is set */
    struct question_cache questions; /* about `entries` */
    struct parking *parking;
    struct service_table *next; /* in a change-over */
    size_t staying;             /* entries that have not moved in it */
    bool has_clients;           /* questions with a client's address have come */
    bool is_mixed;              /* questions about several services come by turns */
    struct unknown_service unknown_service;
    struct answer_words unknown; /* for an unknown service */
};

struct service_table *service_table_create(struct parking *parking)
{
    struct service_table *table = calloc(1, sizeof(*table));
    struct actions unknown = {.state = "unknown-service"};

    if (table == NULL)
        return NULL;
    table->parking = parking;
    table->unknown.len = (uint16_t)actions_encode(&unknown, table->unknown.actions);
    return table;
}

struct parking *service_table_parking(const struct service_table *table)
{
    return table->parking;
}

void service_table_destroy(struct service_table *table)
{
    if (table == NULL)
        return;
    size_t budget = PROGRESS_UNLIMITED;
    (void)service_table_shed(table, &budget);
    question_cache_finish(&table->questions);
    free(table);
}

bool service_table_shed(struct service_table *table, size_t *io_budget)
{
    struct table_entry *entry;

    if (table != NULL && table->entries != NULL) {
        table->ended = table->entries;
        HASH_CLEAR(hh, table->entries);
    }
    while (table != NULL && (entry = table->ended) != NULL) {
        if (!progress_spend(io_budget))
            return true;
        table->ended = entry->hh.next;
        destroy_entry(entry);
    }
    return false;
}

bool service_table_add(struct service_table *table, struct service *service)
{
    const char *name = service_settings(service)->name;
    bool has_replicas = service_settings(service)->replicas.is_enabled;
    struct table_entry *entry = create_entry(has_replicas);
    unsigned before = HASH_COUNT(table->entries);

    if (entry == NULL)
        return false;
    if (!answer_init(&entry->answer, service)) {
        free(entry->memory);
        return false;
    }
    /* Without room in the cache, questions are only answered more slowly. */
    (void)question_cache_reserve(&table->questions, before + 1);
    HASH_ADD_KEYPTR(hh, table->entries, name, strlen(name), entry);
    if (HASH_COUNT(table->entries) == before) {
        destroy_entry(entry);
        return false;
    }
    parking_queue_init(&entry->masters, table->parking, &entry->answer, SERVICE_ROLE_MASTER);
    entry->has_replicas = has_replicas;
    if (has_replicas)
        parking_queue_init(entry->replicas, table->parking, &entry->answer, SERVICE_ROLE_REPLICA);
    return true;
}

static struct table_entry *find_own(const struct service_table *table, struct span name)
{
    struct table_entry *entry = NULL;

    if (name.data == NULL)
        return HASH_COUNT(table->entries) == 1 ? table->entries : NULL;
    HASH_FIND(hh, table->entries, name.data, name.len, entry);
    return entry;
}

static struct table_entry *find_entry(const struct service_table *table, struct span name)
{
    struct table_entry *entry = find_own(table, name);

    if (table->next == NULL || (entry != NULL && !entry->is_over))
        return entry;
    struct table_entry *successor = find_own(table->next, name);
    return successor != NULL && successor->is_successor ? successor : NULL;
}

/* NULL if the service has replicas disabled. */
static struct parking_queue *replica_queue(struct table_entry *entry)
{
    return entry->has_replicas ? entry->replicas : NULL;
}

struct parking_queue *service_table_find(struct service_table *table, const struct service_question *question)
{
    struct table_entry *entry = find_entry(table, question->service);

    if (entry == NULL)
        return NULL;
    if (question->role.data == NULL || span_equals_text(question->role, "master"))
        return &entry->masters;
    return span_equals_text(question->role, "replica") ? replica_queue(entry) : NULL;
}

/* ---- what is not configured ---- */

/* The service whose name is most like this one; NULL where none is similar. */
static const char *find_nearest(const void *context, const char *name)
{
    const struct service_table *table = context;
    const char *nearest = NULL;
    unsigned best = WORDS_FAR;

    for (const struct table_entry *entry = table->entries; entry != NULL; entry = entry->hh.next) {
        const char *known = service_settings(entry->masters.service)->name;
        unsigned distance = words_distance(name, known);
        if (distance >= best || distance > strlen(known) / 2)
            continue;
        best = distance;
        nearest = known;
    }
    return nearest;
}

void service_table_note_unknown(struct service_table *table, struct span payload, int64_t now_ms)
{
    struct service_question question;

    if (!question_read(payload, &question))
        return;
    const struct table_entry *entry = find_entry(table, question.service);
    const char *service = entry != NULL ? service_settings(entry->masters.service)->name : NULL;
    unknown_service_note(&table->unknown_service, &question, service, find_nearest, table, now_ms);
}

void service_table_tick(struct service_table *table, int64_t now_ms)
{
    unknown_service_tick(&table->unknown_service, now_ms);
}

const struct unknown_service *service_table_unknown(const struct service_table *table)
{
    return &table->unknown_service;
}

/* The services are others than before: what was not configured may be by now. */
static void review_unknown(struct service_table *table, int64_t now_ms)
{
    struct service_question question;

    if (unknown_service_question(&table->unknown_service, &question) &&
        service_table_find(table, &question) != NULL)
        unknown_service_end(&table->unknown_service, now_ms);
}

const struct answer_counters *service_table_counters(const struct service_table *table, const char *service)
{
    const struct table_entry *entry = find_entry(table, span_of_text(service));

    return entry != NULL ? &entry->answer.counters : NULL;
}

static struct span without(struct span payload, size_t len)
{
    return span_of(payload.data + len, payload.len - len);
}

/* The length of what a payload has in common with others, before a client in the usual form; else that of all of it. */
static size_t common_len(const struct service_table *table, struct span payload)
{
    if (!table->has_clients)
        return payload.len;
    /* Where the client begins is a guess here. That does no harm: a beginning that is known is followed by a client. */
    if (payload.len > CLIENT_IPV4_LEN && client_is_usual_ipv4(payload.data + payload.len - CLIENT_IPV4_LEN))
        return payload.len - CLIENT_IPV4_LEN;
    size_t len = question_common_len(payload);
    return len < payload.len && client_is_usual(without(payload, len)) ? len : payload.len;
}

/* The part of a payload by which the cache knows it. */
static struct span key_of(const struct service_table *table, struct span payload,
                          enum question_part *ret_part)
{
    size_t len = common_len(table, payload);

    *ret_part = len < payload.len ? QUESTION_COMMON : QUESTION_WHOLE;
    return span_of(payload.data, len);
}

/* A function of its own, so that the rest of service_table_recall() is small enough to be inlined. */
__attribute__((noinline)) static struct parking_queue *search(struct service_table *table,
                                                              struct span payload)
{
    enum question_part part;
    struct span key = key_of(table, payload, &part);
    const struct question_slot *former = table->questions.latest;
    struct parking_queue *queue = question_cache_find(&table->questions, key, part);

    table->is_mixed = table->questions.latest != former;
    return queue;
}

struct parking_queue *service_table_recall(struct service_table *table, struct span payload)
{
    const struct question_slot *latest = table->questions.latest;

    if (latest == NULL || !question_is_same(latest, payload))
        return search(table, payload);
    table->is_mixed = false;
    return latest->queue;
}

const struct question_slot *service_table_latest(const struct service_table *table)
{
    return table->questions.latest;
}

bool service_table_is_mixed(const struct service_table *table)
{
    return table->is_mixed;
}

void service_table_recall_all(struct service_table *table, const struct spop_frame *frames, size_t count,
                              struct parking_queue **ret_queues)
{
    enum question_part parts[SERVICE_TABLE_AHEAD_MAX];
    struct span keys[SERVICE_TABLE_AHEAD_MAX];
    struct question_slot *slots[SERVICE_TABLE_AHEAD_MAX];

    for (size_t i = 0; i < count; i++) {
        keys[i] = key_of(table, frames[i].payload, &parts[i]);
        slots[i] = question_cache_fetch(&table->questions, keys[i]);
    }
    for (size_t i = 0; i < count; i++) {
        ret_queues[i] = question_cache_find_in(&table->questions, slots[i], keys[i], parts[i]);
        if (ret_queues[i] != NULL)
            parking_queue_fetch(ret_queues[i]);
    }
    if (count > 1)
        table->is_mixed = false;
    for (size_t i = 0; i < count; i++) {
        table->is_mixed = table->is_mixed || ret_queues[i] != ret_queues[0];
        if (ret_queues[i] != NULL)
            answer_fetch(ret_queues[i]->answer);
    }
}

static void remember(struct service_table *table, struct span payload, enum client_kind kind,
                     struct parking_queue *queue)
{
    size_t len = question_common_len(payload);

    if (kind == CLIENT_NOT_GIVEN) {
        question_cache_add(&table->questions, payload, QUESTION_WHOLE, queue);
    } else if (len < payload.len && client_is_usual(without(payload, len))) {
        question_cache_add(&table->questions, span_of(payload.data, len), QUESTION_COMMON, queue);
        table->has_clients = true;
    }
}

bool service_table_resolve(struct service_table *table, struct span payload, struct parking_queue **ret_queue)
{
    struct service_question question;

    if (!question_read(payload, &question))
        return false;
    *ret_queue = service_table_find(table, &question);
    /* Not in a change-over: the service may move. */
    if (*ret_queue != NULL && table->next == NULL)
        remember(table, payload, question.client.kind, *ret_queue);
    return true;
}

const struct answer_words *service_table_answer(const struct service_table *table,
                                                const struct parking_queue *queue, int64_t now_ms)
{
    return queue != NULL ? answer_give(queue->answer, queue->role, now_ms) : &table->unknown;
}

/* `from` is NULL if nobody asked for that, `to` if nobody asks for it any more. */
static void hand_over(struct parking_queue *from, struct parking_queue *to, struct span unknown,
                      int64_t now_ms)
{
    if (from == NULL)
        return;
    if (to != NULL)
        parking_queue_move(from, to, now_ms);
    else
        parking_queue_close(from, unknown);
}

void service_table_begin(struct service_table *table, struct service_table *next)
{
    table->next = next;
    table->staying = HASH_COUNT(table->entries);
    question_cache_finish(&table->questions);
}

void service_table_move(struct service_table *table, const char *service, int64_t now_ms)
{
    const struct span unknown = answer_actions(&table->next->unknown);
    struct table_entry *former = find_own(table, span_of_text(service));
    struct table_entry *successor = find_own(table->next, span_of_text(service));

    successor->is_successor = true;
    if (former == NULL)
        return;
    if (!former->is_over)
        table->staying--;
    former->is_over = true;
    answer_inherit(&successor->answer, &former->answer);
    hand_over(&former->masters, &successor->masters, unknown, now_ms);
    hand_over(replica_queue(former), replica_queue(successor), unknown, now_ms);
}

/* What stays is gone: `next` does not have it. Mostly there is nothing, and thousands of entries are not looked at. */
static void close_what_stays(struct service_table *table, int64_t now_ms)
{
    const struct span unknown = answer_actions(&table->next->unknown);

    for (struct table_entry *entry = table->entries; entry != NULL && table->staying > 0;
         entry = entry->hh.next) {
        if (entry->is_over)
            continue;
        table->staying--;
        hand_over(&entry->masters, NULL, unknown, now_ms);
        hand_over(replica_queue(entry), NULL, unknown, now_ms);
    }
}

void service_table_end(struct service_table *table, int64_t now_ms)
{
    struct service_table *next = table->next;
    struct table_entry *former = table->entries;

    close_what_stays(table, now_ms);
    table->next = NULL;
    table->entries = next->entries;
    next->entries = former;
    table->is_checked = next->is_checked = false;
    table->questions = next->questions;
    next->questions = (struct question_cache){.slots = NULL};
    review_unknown(table, now_ms);
}

void service_table_change_over(struct service_table *table, struct service_table *next, int64_t now_ms)
{
    service_table_begin(table, next);
    for (const struct table_entry *entry = next->entries; entry != NULL; entry = entry->hh.next)
        service_table_move(table, service_settings(entry->masters.service)->name, now_ms);
    service_table_end(table, now_ms);
}

static bool is_awaited(const struct table_entry *entry)
{
    return entry->masters.streams != NULL || (entry->has_replicas && entry->replicas->streams != NULL);
}

bool service_table_is_idle(struct service_table *table, size_t *io_budget)
{
    if (!table->is_checked)
        table->unchecked = table->entries;
    table->is_checked = true;
    while (table->unchecked != NULL && !is_awaited(table->unchecked) && progress_spend(io_budget))
        table->unchecked = table->unchecked->hh.next;
    return table->unchecked == NULL;
}

bool service_table_is_ready(const struct service_table *table)
{
    for (const struct table_entry *entry = table->entries; entry != NULL; entry = entry->hh.next)
        if (service_decision(entry->masters.service)->state == SERVICE_STARTING)
            return false;
    return true;
}
