#include "spoa/core/voter_group.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/log.h"

#define WORD_BITS 64

struct voter {
    const char *name;
    char identity[VOTER_IDENTITY_LEN + 1]; /* empty: not known */
    bool collides;                         /* told once in the log */
    size_t asked;                          /* marks set in `ask` */
    size_t first_word;                     /* of `ask`: all before it are 0 */
    uint64_t *ask;                         /* one bit per service: to be asked */
};

struct voter_group {
    unsigned voter_count;
    size_t service_count;
    struct service *const *services;
    struct metrics *metrics;
    int64_t wake_ms;
    uint64_t *marks; /* all voters' `ask` in one piece */
    uint8_t identities[QUORUM_VOTERS_MAX];
    struct voter voters[];
};

struct voter_group *voter_group_create(unsigned voter_count, const char *const *voter_names,
                                       struct service *const *services, size_t service_count,
                                       struct metrics *metrics)
{
    struct voter_group *group = calloc(1, sizeof(*group) + voter_count * sizeof(struct voter));
    size_t words = (service_count + WORD_BITS - 1) / WORD_BITS;

    if (group == NULL)
        return NULL;
    group->voter_count = voter_count;
    group->service_count = service_count;
    group->services = services;
    group->metrics = metrics;
    group->wake_ms = INT64_MIN;
    group->marks = calloc(voter_count * words + 1, sizeof(*group->marks));
    if (group->marks == NULL) {
        free(group);
        return NULL;
    }
    memset(group->identities, QUORUM_NO_IDENTITY, sizeof(group->identities));
    for (unsigned i = 0; i < voter_count; i++) {
        group->voters[i].name = voter_names[i];
        group->voters[i].ask = group->marks + i * words;
    }
    return group;
}

void voter_group_destroy(struct voter_group *group)
{
    if (group == NULL)
        return;
    free(group->marks);
    free(group);
}

unsigned voter_group_voter_count(const struct voter_group *group)
{
    return group->voter_count;
}

const uint8_t *voter_group_identities(const struct voter_group *group)
{
    return group->identities;
}

const char *voter_group_identity(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].identity;
}

const char *voter_group_monitor(const struct voter_group *group, size_t service)
{
    return service_settings(group->services[service])->monitor;
}

/* The earliest time at which some decision runs out; it may lie too early, which costs a look. */
static void note_review(struct voter_group *group, const struct service *service)
{
    int64_t review_ms = service_decision(service)->review_ms;

    if (review_ms < group->wake_ms)
        group->wake_ms = review_ms;
}

/* Voters with one identity share a number: the index of the first of them. */
static void number_identities(struct voter_group *group)
{
    for (unsigned i = 0; i < group->voter_count; i++) {
        struct voter *voter = &group->voters[i];
        group->identities[i] = QUORUM_NO_IDENTITY;
        if (voter->identity[0] == '\0')
            continue;
        unsigned first = 0;
        while (strcmp(group->voters[first].identity, voter->identity) != 0)
            first++;
        group->identities[i] = (uint8_t)first;
        bool collides = first != i;
        if (collides && !voter->collides)
            log_event(LOG_LEVEL_WARNING, "same-sentinel", log_text("sentinel", voter->name),
                      log_text("same-as", group->voters[first].name), log_text("myid", voter->identity));
        voter->collides = collides;
    }
}

static void store_identity(struct voter *voter, struct span identity)
{
    memset(voter->identity, 0, sizeof(voter->identity));
    if (identity.len == VOTER_IDENTITY_LEN)
        memcpy(voter->identity, identity.data, identity.len);
}

void voter_group_identify(struct voter_group *group, unsigned voter, struct span identity, int64_t now_ms)
{
    struct voter *who = &group->voters[voter];
    bool was_known = who->identity[0] != '\0';

    if (was_known && span_equals_text(identity, who->identity))
        return;
    store_identity(who, identity);
    number_identities(group);
    for (size_t i = 0; i < group->service_count; i++) {
        /* What it said under its former identity must not count for the new one. */
        if (was_known)
            service_forget(group->services[i], voter, group->identities, now_ms);
        else
            service_review(group->services[i], group->identities, now_ms);
        note_review(group, group->services[i]);
    }
}

void voter_group_connected(struct voter_group *group, unsigned voter, int64_t now_ms)
{
    if (group->voters[voter].identity[0] != '\0')
        return;
    for (size_t i = 0; i < group->service_count; i++) {
        service_forget(group->services[i], voter, group->identities, now_ms);
        note_review(group, group->services[i]);
    }
}

static void mark(struct voter *voter, size_t service)
{
    uint64_t *word = &voter->ask[service / WORD_BITS];
    uint64_t bit = (uint64_t)1 << (service % WORD_BITS);

    voter->asked += (*word & bit) == 0;
    *word |= bit;
    if (service / WORD_BITS < voter->first_word)
        voter->first_word = service / WORD_BITS;
}

enum quorum_receipt voter_group_vote(struct voter_group *group, unsigned voter, size_t service,
                                     const struct service_ballot *ballot, int64_t now_ms)
{
    bool ask_all = false;
    enum quorum_receipt receipt =
        service_vote(group->services[service], voter, ballot, group->identities, now_ms, &ask_all);

    if (receipt == QUORUM_DROPPED) {
        group->metrics->votes_dropped_total++;
        return receipt;
    }
    group->metrics->votes_total++;
    note_review(group, group->services[service]);
    if (!ask_all)
        return receipt;
    group->metrics->suspicions_total++;
    for (unsigned i = 0; i < group->voter_count; i++)
        mark(&group->voters[i], service);
    return receipt;
}

void voter_group_ask_all(struct voter_group *group, unsigned voter)
{
    for (size_t i = 0; i < group->service_count; i++)
        mark(&group->voters[voter], i);
}

void voter_group_ask(struct voter_group *group, unsigned voter, struct span monitor)
{
    for (size_t i = 0; i < group->service_count; i++)
        if (span_equals_text(monitor, voter_group_monitor(group, i)))
            mark(&group->voters[voter], i);
}

bool voter_group_wants(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].asked > 0;
}

bool voter_group_next(struct voter_group *group, unsigned voter, size_t *ret_service)
{
    struct voter *who = &group->voters[voter];

    if (who->asked == 0)
        return false;
    while (who->ask[who->first_word] == 0)
        who->first_word++;
    uint64_t *word = &who->ask[who->first_word];
    *ret_service = who->first_word * WORD_BITS + (unsigned)__builtin_ctzll(*word);
    *word &= *word - 1;
    who->asked--;
    return true;
}

int64_t voter_group_wake_ms(const struct voter_group *group)
{
    return group->wake_ms;
}

void voter_group_tick(struct voter_group *group, int64_t now_ms)
{
    if (now_ms < group->wake_ms)
        return;
    group->wake_ms = QUORUM_NEVER;
    for (size_t i = 0; i < group->service_count; i++) {
        if (now_ms >= service_decision(group->services[i])->review_ms)
            service_review(group->services[i], group->identities, now_ms);
        note_review(group, group->services[i]);
    }
}
