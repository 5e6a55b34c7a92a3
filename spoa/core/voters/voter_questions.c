/* What the voters of a group are asked, and when. */
#include <string.h>

#include "spoa/core/voters/poll_parts.h"
#include "spoa/core/voters/voter_group_parts.h"

void voter_group_ask_voters(struct voter_group *group, enum voter_question question, size_t service)
{
    for (unsigned i = 0; i < group->options.voter_count; i++)
        marks_add(&group->voters[i].marks[question], service);
}

static unsigned part_count(const struct voter_group *group, uint32_t poll_ms)
{
    return group->options.source == VOTER_SOURCE_SENTINEL
               ? poll_parts_count(group->options.service_count, poll_ms)
               : 1;
}

int64_t voter_group_next_poll_ms(const struct voter_group *group, unsigned voter, uint32_t poll_ms,
                                 int64_t now_ms)
{
    int64_t offset_ms = voter * (int64_t)poll_ms / group->options.voter_count;
    int64_t step_ms = poll_ms / part_count(group, poll_ms);

    return now_ms + step_ms - (now_ms - offset_ms) % step_ms;
}

bool voter_group_begins_poll(const struct voter_group *group, unsigned voter, uint32_t poll_ms)
{
    return group->voters[voter].parts_polled % part_count(group, poll_ms) == 0;
}

static void ask_for_witness(struct voter_group *group, unsigned voter, size_t i)
{
    const struct service *service = group->options.services[i];

    if (service_wants_witness(service))
        marks_add(&group->voters[voter].marks[VOTER_ASK_WITNESS], i);
    if (service_wants_peers(service))
        marks_add(&group->voters[voter].marks[VOTER_ASK_PEERS], i);
}

/*
 * A sentry is one of n - Q + 1 voters, so that each Q of them have one. Which they are differs from service to
 * service, so that all voters have their share of the work.
 */
static bool is_sentry(const struct voter_group *group, unsigned voter, size_t service)
{
    const struct quorum_config *quorum = &service_settings(group->options.services[service])->quorum;

    return (voter + service) % quorum->voters <= quorum->voters - quorum->threshold;
}

static void poll_service(struct voter_group *group, unsigned voter, size_t i, bool is_its_turn,
                         int64_t now_ms)
{
    struct marks *marks = group->voters[voter].marks;
    const struct service *service = group->options.services[i];

    marks_add(&marks[VOTER_ASK_MASTER], i);
    if (is_its_turn || service_wants_facts(service, voter, is_sentry(group, voter, i), now_ms))
        marks_add(&marks[VOTER_ASK_FACTS], i);
    ask_for_witness(group, voter, i);
    if (service_wants_replicas(service, is_its_turn))
        marks_add(&marks[VOTER_ASK_REPLICAS], i);
}

static void poll_part(struct voter_group *group, unsigned voter, unsigned parts, int64_t now_ms)
{
    unsigned polled = group->voters[voter].parts_polled++;
    unsigned turns = polled / parts % VOTER_FACTS_POLLS;
    struct poll_part part = poll_part_of(0, group->options.service_count, polled % parts, parts);
    struct poll_part turn = poll_part_of(part.begin, part.end, turns, VOTER_FACTS_POLLS);

    for (size_t i = part.begin; i < part.end; i++)
        poll_service(group, voter, i, i >= turn.begin && i < turn.end, now_ms);
}

void voter_group_poll(struct voter_group *group, unsigned voter, uint32_t poll_ms, int64_t now_ms)
{
    struct voter *who = &group->voters[voter];
    unsigned parts = part_count(group, poll_ms);
    int64_t step_ms = poll_ms / parts;
    int64_t part_ms = voter_group_next_poll_ms(group, voter, poll_ms, now_ms) - step_ms;
    int64_t due = (part_ms - who->part_ms) / step_ms;

    if (who->part_ms == 0)
        due = who->is_asked_all ? 0 : parts;
    who->part_ms = part_ms;
    for (int64_t i = 0; i < due && i < parts; i++)
        poll_part(group, voter, parts, now_ms);
}

static void ask(struct voter_group *group, unsigned voter, size_t service)
{
    struct marks *marks = group->voters[voter].marks;

    marks_add(&marks[VOTER_ASK_MASTER], service);
    marks_add(&marks[VOTER_ASK_FACTS], service);
    if (service_wants_replicas(group->options.services[service], true))
        marks_add(&marks[VOTER_ASK_REPLICAS], service);
}

/* Looks at the services themselves only where it must: there may be thousands. */
void voter_group_ask_all(struct voter_group *group, unsigned voter)
{
    struct marks *marks = group->voters[voter].marks;

    group->voters[voter].is_asked_all = true;
    marks_add_all(&marks[VOTER_ASK_MASTER], &group->every, group->word_count);
    marks_add_all(&marks[VOTER_ASK_FACTS], &group->every, group->word_count);
    marks_add_all(&marks[VOTER_ASK_REPLICAS], &group->replicated, group->word_count);
    for (size_t i = 0; i < group->options.service_count && group->witnessed.count > 0; i++)
        if (marks_has(&group->witnessed, i))
            ask_for_witness(group, voter, i);
}

/* Compares a name from an event with one of ours, like strcmp(). */
static int compare_monitor(struct span monitor, const char *ours)
{
    size_t len = strlen(ours);
    int order = memcmp(monitor.data, ours, monitor.len < len ? monitor.len : len);

    return order != 0 ? order : (monitor.len > len) - (monitor.len < len);
}

/* The services that the voters know as `monitor`: `*ret_count` entries of `monitored`, from the returned
 * one on. */
static const struct monitored *find_monitored(const struct voter_group *group, struct span monitor,
                                              size_t *ret_count)
{
    size_t low = 0;
    size_t high = group->options.service_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_monitor(monitor, group->monitored[middle].monitor) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (high < group->options.service_count &&
           compare_monitor(monitor, group->monitored[high].monitor) == 0)
        high++;
    *ret_count = high - low;
    return &group->monitored[low];
}

void voter_group_ask(struct voter_group *group, unsigned voter, struct span monitor)
{
    size_t count = 0;

    if (monitor.len == 0) {
        voter_group_ask_all(group, voter);
        return;
    }
    const struct monitored *monitored = find_monitored(group, monitor, &count);
    for (size_t i = 0; i < count; i++)
        ask(group, voter, monitored[i].service);
}

void voter_group_expect_failover(struct voter_group *group, struct span monitor, const struct addr *addr,
                                 int64_t now_ms)
{
    const struct service_event event = {.kind = SERVICE_FAILOVER_BEGINS, .addr = addr};
    size_t count = 0;
    const struct monitored *monitored = find_monitored(group, monitor, &count);

    for (size_t i = 0; i < count; i++)
        (void)voter_group_step(group, monitored[i].service, &event, now_ms);
}

bool voter_group_wants(const struct voter_group *group, unsigned voter)
{
    for (unsigned i = 0; i < VOTER_QUESTIONS; i++)
        if (group->voters[voter].marks[i].count > 0)
            return true;
    return false;
}

bool voter_group_next(struct voter_group *group, unsigned voter, enum voter_question *ret_question,
                      size_t *ret_service)
{
    struct marks *marks = group->voters[voter].marks;

    for (enum voter_question i = VOTER_ASK_MASTER; i < VOTER_QUESTIONS; i++) {
        if (marks[i].count == 0)
            continue;
        *ret_question = i;
        *ret_service = marks_take(&marks[i]);
        return true;
    }
    return false;
}

void voter_group_ask_watchful(struct voter_group *group, size_t service, int64_t now_ms)
{
    group->watched_ms[service] = now_ms;
    voter_group_ask_voters(group, VOTER_ASK_FACTS, service);
    if (service_wants_peers(group->options.services[service]))
        voter_group_ask_voters(group, VOTER_ASK_PEERS, service);
}

void voter_group_ask_watched(struct voter_group *group, int64_t now_ms)
{
    if (now_ms < group->watch_ms)
        return;
    group->watch_ms = QUORUM_NEVER;
    while (group->watched.count > 0)
        voter_group_ask_watchful(group, marks_take(&group->watched), now_ms);
}
