#include "tests/sim/ghost.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_LINES 16

struct change {
    int64_t since_ms;
    unsigned sentinel;
    unsigned service;
    int8_t view;
};

static int compare_changes(const void *a, const void *b)
{
    const struct change *first = a;
    const struct change *second = b;

    return (first->since_ms > second->since_ms) - (first->since_ms < second->since_ms);
}

static void print_changes(const struct world *world)
{
    static struct change changes[SIM_SENTINELS_MAX * SIM_SERVICES_MAX * GHOST_VIEWS_MAX];
    size_t count = 0;

    for (unsigned i = 0; i < world->config.sentinels; i++) {
        for (unsigned k = 0; k < world->config.services; k++) {
            const struct ghost_views *views = &world->ghost.views[i][k];
            unsigned kept = views->count < GHOST_VIEWS_MAX ? views->count : GHOST_VIEWS_MAX;
            for (unsigned m = 0; m < kept; m++)
                changes[count++] = (struct change){.since_ms = views->log[m].since_ms,
                                                   .sentinel = i,
                                                   .service = k,
                                                   .view = views->log[m].view};
        }
    }
    qsort(changes, count, sizeof(*changes), compare_changes);
    for (size_t i = count > REPORT_LINES ? count - REPORT_LINES : 0; i < count; i++)
        printf("  view at %lld: sentinel %u service %u: %d\n",
               (long long)(changes[i].since_ms - SIM_START_MS), changes[i].sentinel, changes[i].service,
               changes[i].view);
}

static void print_votes_of(const struct world *world, const struct sim_set *set, unsigned service)
{
    for (unsigned i = 0; i < set->file.voters; i++) {
        const struct ghost_vote *vote = &world->ghost.sets[set->number].votes[service][i];
        if (vote->sent_ms > 0)
            printf("  told agent %u service %u by entry %u (sentinel %u): %d, asked at %lld\n", set->agent,
                   service, i, vote->sentinel, vote->view, (long long)(vote->sent_ms - SIM_START_MS));
    }
}

static void print_votes(const struct world *world)
{
    for (unsigned i = 0; i < world->config.agents; i++)
        for (unsigned k = 0; k < world->config.services; k++)
            print_votes_of(world, world->agents[i].running, k);
}

__attribute__((format(printf, 3, 0))) static void report(struct world *world, const char *invariant,
                                                         const char *format, va_list arguments)
{
    const struct sim_file *file = &world->config.file;

    if (world->violated)
        return;
    world->violated = true;
    printf("sim: VIOLATION seed %llu at %lld ms: %s: ", (unsigned long long)world->seed,
           (long long)(world->now_ms - SIM_START_MS), invariant);
    (void)vprintf(format, arguments);
    printf("\n  %u sentinels, threshold %u, poll %lld, reply timeout %lld, vote life %lld\n",
           world->config.sentinels, file->threshold, (long long)file->poll_ms,
           (long long)file->reply_timeout_ms, (long long)file->vote_life_ms);
    print_changes(world);
    print_votes(world);
}

void ghost_violation(struct world *world, const char *invariant, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report(world, invariant, format, arguments);
    va_end(arguments);
}

void ghost_broken(struct world *world, const char *invariant, const char *format, ...)
{
    va_list arguments;

    if (world->only != NULL && strncmp(invariant, world->only, strlen(world->only)) != 0)
        return;
    va_start(arguments, format);
    report(world, invariant, format, arguments);
    va_end(arguments);
}
