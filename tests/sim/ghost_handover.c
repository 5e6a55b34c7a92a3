/* What a change-over from one set to the next means for what the ghost knows of them. */
#include "tests/sim/ghost.h"

#include <string.h>

#include "tests/sim/replies.h"

void ghost_note_names(struct world *world, const struct sim_set *set)
{
    for (unsigned i = 0; i < world->config.services; i++) {
        const struct service_decision *decision = service_decision(set->services[i]);
        if (service_state_names(decision->state))
            world->ghost.sets[set->number].current[i] = reply_number(decision->addr);
    }
}

/* What was said later counts. */
static void merge_role(struct ghost_role *next, const struct ghost_role *former)
{
    if (former->sent_ms > next->sent_ms)
        *next = *former;
}

static void merge_facts(struct ghost_facts *next, const struct ghost_facts *former)
{
    int64_t witness_ms = former->witness_ms > next->witness_ms ? former->witness_ms : next->witness_ms;

    if (former->sent_ms > next->sent_ms)
        *next = *former;
    next->witness_ms = witness_ms;
}

static bool is_same_voter(const struct sim_set *next, unsigned voter, const struct sim_set *former,
                          unsigned former_voter)
{
    const char *identity = voter_group_identity(next->group, voter);

    return *identity != '\0' && strcmp(identity, voter_group_identity(former->group, former_voter)) == 0;
}

static void merge_service(struct world *world, const struct sim_set *former, const struct sim_set *next,
                          unsigned service)
{
    const struct ghost_set *told = &world->ghost.sets[former->number];
    struct ghost_set *ghost = &world->ghost.sets[next->number];

    for (unsigned i = 0; i <= SIM_SERVERS; i++)
        merge_role(&ghost->roles[service][i], &told->roles[service][i]);
    for (unsigned i = 0; i < next->file.voters; i++)
        for (unsigned k = 0; k < former->file.voters; k++)
            if (is_same_voter(next, i, former, k))
                merge_facts(&ghost->facts[service][i], &told->facts[service][k]);
    ghost->current[service] = told->current[service];
}

void ghost_changes_over(struct world *world, const struct sim_set *former, const struct sim_set *next)
{
    for (unsigned i = 0; i < world->config.services; i++)
        merge_service(world, former, next, i);
}
