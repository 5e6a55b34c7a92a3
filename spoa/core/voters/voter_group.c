#include "spoa/core/voters/voter_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/log.h"
#include "spoa/core/base/printable.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/voters/voter_group_parts.h"

/* ---- the group ---- */

static int by_monitor(const void *a, const void *b)
{
    const struct monitored *left = a;
    const struct monitored *right = b;

    return strcmp(left->monitor, right->monitor);
}

static void list_service(struct voter_group *group, size_t i)
{
    const struct service *service = group->options.services[i];
    const struct service_settings *settings = service_settings(service);

    group->monitored[i] = (struct monitored){.monitor = settings->monitor, .service = i};
    marks_add(&group->every, i);
    if (service_wants_replicas(service, true))
        marks_add(&group->replicated, i);
    if (settings->policy.witness)
        marks_add(&group->witnessed, i);
}

static bool create_lists(struct voter_group *group)
{
    const struct voter_group_options *options = &group->options;
    size_t words = (options->service_count + MARKS_WORD_BITS - 1) / MARKS_WORD_BITS;
    struct marks *const of_group[] = {&group->watched, &group->every, &group->replicated, &group->witnessed};
    size_t of_group_count = sizeof(of_group) / sizeof(*of_group);
    size_t of_voters = (size_t)VOTER_QUESTIONS * options->voter_count;

    group->word_count = words;
    group->words = calloc(words * (of_voters + of_group_count) + 1, sizeof(*group->words));
    group->monitored = calloc(options->service_count + 1, sizeof(*group->monitored));
    group->watched_ms = calloc(options->service_count + 1, sizeof(*group->watched_ms));
    if (group->words == NULL || group->monitored == NULL || group->watched_ms == NULL)
        return false;
    for (unsigned i = 0; i < options->voter_count; i++) {
        group->voters[i].name = options->voter_names[i];
        for (unsigned k = 0; k < VOTER_QUESTIONS; k++)
            group->voters[i].marks[k].words = group->words + ((size_t)i * VOTER_QUESTIONS + k) * words;
    }
    for (size_t i = 0; i < of_group_count; i++)
        of_group[i]->words = group->words + (of_voters + i) * words;
    for (size_t i = 0; i < options->service_count; i++)
        list_service(group, i);
    qsort(group->monitored, options->service_count, sizeof(*group->monitored), by_monitor);
    return true;
}

static void note_alarm(struct voter_group *group, enum alarm_kind kind, bool holds, const char *detail,
                       int64_t now_ms)
{
    struct alarm_subject subject = {.key = "sentinels", .name = group->options.name};

    alarms_note(&group->alarms, kind, holds, &subject, detail, now_ms);
}

struct voter_group *voter_group_create(const struct voter_group_options *options, int64_t now_ms)
{
    unsigned voters = options->voter_count;
    struct voter_group *group = calloc(1, sizeof(*group) + voters * sizeof(struct voter));
    char text[32];

    if (group == NULL)
        return NULL;
    group->options = *options;
    group->wake_ms = INT64_MIN;
    group->watch_ms = QUORUM_NEVER;
    memset(options->identities, QUORUM_NO_IDENTITY, voters);
    if (!create_lists(group)) {
        voter_group_destroy(group);
        return NULL;
    }
    (void)snprintf(text, sizeof(text), "%u configured", voters);
    bool is_unwise = options->source == VOTER_SOURCE_SENTINEL && (voters % 2 == 0 || voters == 1);
    note_alarm(group, ALARM_VOTER_COUNT, is_unwise, text, now_ms);
    return group;
}

void voter_group_destroy(struct voter_group *group)
{
    if (group == NULL)
        return;
    free(group->words);
    free(group->monitored);
    free(group->watched_ms);
    alarms_finish(&group->alarms);
    free(group);
}

unsigned voter_group_voter_count(const struct voter_group *group)
{
    return group->options.voter_count;
}

const char *voter_group_name(const struct voter_group *group)
{
    return group->options.name;
}

enum voter_source voter_group_source(const struct voter_group *group)
{
    return group->options.source;
}

const char *voter_group_voter_name(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].name;
}

bool voter_group_is_heard(const struct voter_group *group, unsigned voter, int64_t now_ms)
{
    for (size_t i = 0; i < group->options.service_count && group->voters[voter].words[0] == '\0'; i++) {
        struct vote vote = service_vote(group->options.services[i], voter);
        int64_t life_ms = service_settings(group->options.services[i])->quorum.vote_life_ms;
        if (vote.ballot != QUORUM_SILENT && now_ms - vote.t_sent_ms < life_ms)
            return true;
    }
    return false;
}

size_t voter_group_service_count(const struct voter_group *group)
{
    return group->options.service_count;
}

const struct service *voter_group_service(const struct voter_group *group, size_t service)
{
    return group->options.services[service];
}

const char *voter_group_monitor(const struct voter_group *group, size_t service)
{
    return service_settings(group->options.services[service])->monitor;
}

const char *voter_group_identity(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].identity;
}

const struct alarms *voter_group_alarms(const struct voter_group *group)
{
    return &group->alarms;
}

/* To be called after each evaluation of the service. A voter may have disagreed, so that all voters must
 * be asked, and the next review may be due earlier. `wake_ms` may be too early, which only costs a look. */
static void follow_up(struct voter_group *group, size_t service)
{
    struct service *one = group->options.services[service];
    int64_t review_ms = service_decision(one)->review_ms;

    if (review_ms < group->wake_ms)
        group->wake_ms = review_ms;
    if (service_take_ask_witness(one)) {
        /* Facts first: a voter that does not hear the master is no witness. */
        voter_group_ask_voters(group, VOTER_ASK_FACTS, service);
        voter_group_ask_voters(group, VOTER_ASK_WITNESS, service);
        if (service_wants_peers(one))
            voter_group_ask_voters(group, VOTER_ASK_PEERS, service);
    }
    if (!service_take_ask_all(one))
        return;
    group->options.metrics->suspicions_total++;
    voter_group_ask_voters(group, VOTER_ASK_MASTER, service);
}

/* What `voter` said may be a reason to ask all voters: at once, and then again soon. */
static void watch(struct voter_group *group, size_t service, unsigned voter, int64_t now_ms)
{
    if (!service_is_watchful(group->options.services[service], voter, now_ms))
        return;
    bool is_pending = marks_has(&group->watched, service);
    if (!is_pending && now_ms - group->watched_ms[service] >= VOTER_WATCH_MS) {
        voter_group_ask_watchful(group, service, now_ms);
        return;
    }
    marks_add(&group->watched, service);
    if (group->watch_ms == QUORUM_NEVER)
        group->watch_ms = now_ms + VOTER_WATCH_MS;
    if (group->watch_ms < group->wake_ms)
        group->wake_ms = group->watch_ms;
}

/* Keeps why the voter has no vote. Empty: it has one. */
static void note_fault(struct voter *voter, struct span words, int64_t now_ms)
{
    char fault[sizeof(voter->fault)];

    printable_copy(words, fault, sizeof(fault));
    if (strcmp(fault, voter->fault) == 0)
        return;
    printable_copy(words, voter->fault, sizeof(voter->fault));
    voter->fault_ms = now_ms;
}

bool voter_group_step(struct voter_group *group, size_t service, const struct service_event *event,
                      int64_t now_ms)
{
    struct metrics *metrics = group->options.metrics;
    bool is_of_use = service_step(group->options.services[service], event, now_ms);

    if (service_is_said_by_voter(event->kind))
        group->voters[event->voter].has_said = true;
    if (event->kind == SERVICE_SAID_MASTER && is_of_use) {
        metrics->votes_total++;
        note_fault(&group->voters[event->voter], span_of_text(group->voters[event->voter].words), now_ms);
    } else if (event->kind == SERVICE_SAID_MASTER) {
        metrics->votes_dropped_total++;
    }
    follow_up(group, service);
    if (event->kind == SERVICE_SAID_FACTS || event->kind == SERVICE_SAID_PEERS)
        watch(group, service, event->voter, now_ms);
    return is_of_use;
}

void voter_group_catch_up(struct voter_group *group, size_t service)
{
    follow_up(group, service);
}

static void step_all(struct voter_group *group, const struct service_event *event, int64_t now_ms)
{
    for (size_t i = 0; i < group->options.service_count; i++)
        (void)voter_group_step(group, i, event, now_ms);
}

/* What the voter said before does not count. */
static void forget(struct voter_group *group, unsigned voter, int64_t now_ms)
{
    step_all(group, &(struct service_event){.kind = SERVICE_VOTER_FORGOTTEN, .voter = voter}, now_ms);
    group->voters[voter].has_said = false;
}

/* ---- who is who ---- */

/* Voters with one identity share a number: the index of the first of them. */
static void number_identities(struct voter_group *group, int64_t now_ms)
{
    bool any_collides = false;

    for (unsigned i = 0; i < group->options.voter_count; i++) {
        struct voter *voter = &group->voters[i];
        group->options.identities[i] = QUORUM_NO_IDENTITY;
        if (voter->identity[0] == '\0')
            continue;
        unsigned first = 0;
        while (strcmp(group->voters[first].identity, voter->identity) != 0)
            first++;
        group->options.identities[i] = (uint8_t)first;
        bool collides = first != i;
        if (collides && !voter->collides)
            log_event(EVENT_SAME_SENTINEL, log_text("sentinel", voter->name),
                      log_text("same-as", group->voters[first].name), log_text("myid", voter->identity));
        voter->collides = collides;
        any_collides = any_collides || collides;
    }
    note_alarm(group, ALARM_SAME_SENTINEL, any_collides, NULL, now_ms);
}

void voter_group_match(const struct voter_group *group, const struct voter_group *former, int *ret_voters)
{
    for (unsigned i = 0; i < group->options.voter_count; i++) {
        ret_voters[i] = -1;
        for (unsigned k = 0; k < former->options.voter_count && group->voters[i].identity[0] != '\0'; k++)
            if (strcmp(group->voters[i].identity, former->voters[k].identity) == 0)
                ret_voters[i] = (int)k;
    }
}

void voter_group_inherit(struct voter_group *group, const struct voter_group *former)
{
    for (unsigned i = 0; i < group->options.voter_count; i++)
        for (unsigned k = 0; k < former->options.voter_count; k++) {
            struct voter *one = &group->voters[i];
            const struct voter *old = &former->voters[k];
            bool goes_on = one->fault[0] == '\0' ? !one->identity[0] : strcmp(one->fault, old->fault) == 0;
            if (!goes_on || strcmp(one->name, old->name) != 0)
                continue;
            memcpy(one->fault, old->fault, sizeof(one->fault));
            one->fault_ms = old->fault_ms;
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
    number_identities(group, now_ms);
    /* What the voter said under its former identity must not count for the new one. */
    if (was_known) {
        forget(group, voter, now_ms);
        return;
    }
    for (size_t i = 0; i < group->options.service_count && who->has_said; i++) {
        service_review(group->options.services[i], now_ms);
        follow_up(group, i);
    }
}

/* Notes whether the host of the voter refuses us: it refused or closed our last connection. */
static void note_refusing(struct voter_group *group, unsigned voter, bool is_refusing, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_VOTER_REFUSES,
        .voter = voter,
        .is_so = is_refusing,
    };

    if (group->voters[voter].is_refusing != is_refusing)
        step_all(group, &event, now_ms);
    group->voters[voter].is_refusing = is_refusing;
}

void voter_group_connected(struct voter_group *group, unsigned voter, int64_t now_ms)
{
    note_refusing(group, voter, false, now_ms);
    group->voters[voter].part_ms = 0;
    group->voters[voter].is_asked_all = false;
    /* Thousands of services need not be told where nothing was said. A handover tells only of voters that are known. */
    if (group->voters[voter].identity[0] == '\0' && group->voters[voter].has_said)
        forget(group, voter, now_ms);
}

void voter_group_lost(struct voter_group *group, unsigned voter, const struct conversation_loss *loss,
                      int64_t now_ms)
{
    bool is_sent_away = loss->end == CONVERSATION_END_SENT_AWAY;
    size_t subject = is_sent_away ? VOTER_SUBJECT_IDENTITY : group->voters[voter].words_subject;

    note_refusing(group, voter, loss->end == CONVERSATION_END_CLOSED || loss->end == CONVERSATION_END_REFUSED,
                  now_ms);
    /* After an error it is we who end the connection: the error is the reason. */
    if (group->voters[voter].words[0] == '\0')
        note_fault(&group->voters[voter], span_of_text(loss->reason), now_ms);
    voter_group_note_words(group, voter, subject, span_of_text(is_sent_away ? loss->reason : ""), now_ms);
}

static void review_passwords(struct voter_group *group, int64_t now_ms)
{
    char text[ADDR_TEXT_MAX + CONVERSATION_WORDS_MAX];
    bool holds = false;

    for (unsigned i = 0; i < group->options.voter_count && !holds; i++) {
        const struct voter *voter = &group->voters[i];
        holds = refusal_of_words(span_of_text(voter->words)) == REFUSAL_PASSWORD;
        if (holds)
            (void)snprintf(text, sizeof(text), "%s: %s", voter->name, voter->words);
    }
    note_alarm(group, ALARM_SENTINEL_PASSWORD, holds, holds ? text : NULL, now_ms);
}

void voter_group_note_words(struct voter_group *group, unsigned voter, size_t subject, struct span words,
                            int64_t now_ms)
{
    struct voter *who = &group->voters[voter];
    bool refused_us = who->words[0] != '\0';
    const struct service_event event = {
        .kind = SERVICE_VOTER_REFUSES_US,
        .voter = voter,
        .is_so = words.len > 0,
    };

    if (words.len == 0 && (!refused_us || who->words_subject != subject))
        return;
    printable_copy(words, who->words, sizeof(who->words));
    who->words_subject = subject;
    if (words.len > 0)
        note_fault(who, words, now_ms);
    review_passwords(group, now_ms);
    if (refused_us != event.is_so)
        step_all(group, &event, now_ms);
}

const char *voter_group_fault(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].fault;
}

int64_t voter_group_fault_since_ms(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].fault_ms;
}

const char *voter_group_words(const struct voter_group *group, unsigned voter)
{
    return group->voters[voter].words;
}

/* ---- time ---- */

int64_t voter_group_wake_ms(const struct voter_group *group)
{
    return group->looked_at > 0 ? 0 : group->wake_ms;
}

/* Returns what it cost. */
static size_t look_at(struct voter_group *group, size_t service, int64_t now_ms)
{
    struct service *one = group->options.services[service];
    bool is_due = now_ms >= service_decision(one)->review_ms;

    if (is_due)
        service_review(one, now_ms);
    follow_up(group, service);
    return is_due ? VOTER_REVIEW_COST : 1;
}

void voter_group_tick(struct voter_group *group, int64_t now_ms, size_t budget)
{
    if (now_ms < voter_group_wake_ms(group))
        return;
    voter_group_ask_watched(group, now_ms);
    /* Each look may make it earlier, and each event until the last one. */
    if (group->looked_at == 0)
        group->wake_ms = group->watch_ms;
    while (group->looked_at < group->options.service_count && budget > 0) {
        size_t cost = look_at(group, group->looked_at++, now_ms);
        budget -= cost < budget ? cost : budget;
    }
    if (group->looked_at == group->options.service_count)
        group->looked_at = 0;
}
