/* The referee of reloads: what a change-over from one set to the next may change, and what it must not. */
#include "tests/sim/ghost.h"

#include <string.h>

#include "spoa/core/base/container_of.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/replies.h"

/* ---- what is known ---- */

/*
 * How many voters have named this address since then; `at_most`: what may be dropped, or shares a vote,
 * counts too.
 */
static unsigned count_naming(const struct sim_set *set, const struct ghost_vote *votes, int8_t address,
                             int64_t since_ms, bool at_most)
{
    unsigned naming = 0;

    for (unsigned i = 0; i < set->file.voters; i++) {
        bool is_sure = !votes[i].may_be_dropped && ghost_has_voice(set, i);
        naming += votes[i].view == address && votes[i].sent_ms > since_ms && (is_sure || at_most);
    }
    return naming;
}

/*
 * Notes once that its voters named a master: of the set that answers, all of them since the next one is there,
 * for sure; of the next one a majority, perhaps.
 */
static void note_heard(struct world *world, const struct sim_set *set, unsigned service)
{
    const struct sim_set *next = world->agents[set->agent].next;
    int64_t *heard_ms = &world->ghost.sets[set->number].heard_ms[service];
    int64_t since_ms = set == next ? GHOST_NEVER : world->ghost.sets[next->number].created_ms;
    unsigned enough = set == next ? set->file.threshold : set->file.voters;

    if (*heard_ms > since_ms ||
        (set != next && service_decision(set->services[service])->ruled != SERVICE_OK))
        return;
    for (int8_t i = 0; i < SIM_ADDRESSES; i++)
        if (count_naming(set, world->ghost.sets[set->number].votes[service], i, since_ms, set == next) >=
            enough)
            *heard_ms = agent_now_ms(world, set->agent);
}

void ghost_note_names(struct world *world, const struct sim_set *set)
{
    struct ghost_set *ghost = &world->ghost.sets[set->number];

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        if (set->services[i] == NULL)
            continue;
        const struct service_decision *decision = service_decision(set->services[i]);
        if (service_state_names(decision->state) && reply_number(decision->addr) != ghost->current[i]) {
            ghost->current[i] = reply_number(decision->addr);
            ghost->leaving[i].address = -1;
        }
        if (decision->state == SERVICE_DOWN)
            ghost->leaving[i].heard_ms = agent_now_ms(world, set->agent);
        if (world->agents[set->agent].next != NULL)
            note_heard(world, set, i);
    }
}

/* What was said later counts. */
static void merge_role(struct ghost_role *next, const struct ghost_role *former)
{
    if (former->sent_ms > next->sent_ms)
        *next = *former;
}

/* Where entries of the former file reach one Sentinel, the agent takes over what one of them was told. */
static void merge_facts(struct ghost_facts *next, const struct ghost_facts *former, bool is_sole,
                        int64_t life_ms)
{
    int64_t witness_ms = former->witness_ms > next->witness_ms ? former->witness_ms : next->witness_ms;
    int64_t peers_ms = former->peers_ms > next->peers_ms ? former->peers_ms : next->peers_ms;

    if (former->sent_ms > next->sent_ms)
        *next = *former;
    else
        ghost_go_on(former, life_ms, next);
    next->witness_ms = witness_ms;
    next->peers_ms = peers_ms;
    next->may_be_dropped = next->may_be_dropped || !is_sole;
}

static bool is_same_voter(const struct sim_set *next, unsigned voter, const struct sim_set *former,
                          unsigned former_voter)
{
    const char *identity = voter_group_identity(next->group, voter);

    return *identity != '\0' && strcmp(identity, voter_group_identity(former->group, former_voter)) == 0;
}

/* The later doubt counts, where its node was not heard since. */
static void merge_doubt(struct ghost_doubt *next, const struct ghost_doubt *former,
                        const struct ghost_role *roles)
{
    if (former->address == -1)
        return;
    const struct ghost_role *role = &roles[former->address < SIM_SERVERS ? former->address : SIM_SERVERS];
    bool is_heard = role->address == (uint8_t)former->address && role->sent_ms >= former->since_ms;
    if (!is_heard && (next->address == -1 || former->since_ms > next->since_ms))
        *next = *former;
}

/* The same doubt may hold a while longer, so that an attempt to connect can confirm it. It ends with the next answer
 * only, although the next set may have heard the node. */
static void merge_span(struct ghost_doubt *next, const struct ghost_doubt *former, int64_t confirm_ms,
                       int64_t now_ms)
{
    bool is_newer = next->address != -1 && now_ms < next->until_ms && next->since_ms > former->since_ms;

    if (former->address == -1 || now_ms >= former->until_ms || is_newer)
        return;
    *next = *former;
    if (now_ms + confirm_ms > next->until_ms)
        next->until_ms = now_ms + confirm_ms;
}

/* What the former one was told counts, and begins earlier. */
static void merge_leaving(struct ghost_leaving *next, const struct ghost_leaving *former)
{
    int64_t heard_ms = next->heard_ms > former->heard_ms ? next->heard_ms : former->heard_ms;

    if (former->heard_ms != GHOST_NEVER)
        *next = *former;
    next->heard_ms = heard_ms;
}

void ghost_shares_roles(struct world *world, const struct sim_set *former, const struct sim_set *next,
                        unsigned service)
{
    for (unsigned i = 0; i <= SIM_SERVERS; i++)
        merge_role(&world->ghost.sets[next->number].roles[service][i],
                   &world->ghost.sets[former->number].roles[service][i]);
}

static void merge_service(struct world *world, const struct sim_set *former, const struct sim_set *next,
                          unsigned service)
{
    const struct ghost_set *told = &world->ghost.sets[former->number];
    struct ghost_set *ghost = &world->ghost.sets[next->number];

    ghost_shares_roles(world, former, next, service);
    for (unsigned i = 0; i < next->file.voters; i++)
        for (unsigned k = 0; k < former->file.voters; k++)
            if (is_same_voter(next, i, former, k))
                merge_facts(&ghost->facts[service][i], &told->facts[service][k], ghost_has_voice(former, k),
                            next->file.vote_life_ms);
    if (told->longest_ms[service] > ghost->longest_ms[service])
        ghost->longest_ms[service] = told->longest_ms[service];
    ghost->has_followed[service] = ghost->has_followed[service] || told->has_followed[service];
    merge_doubt(&ghost->doubts[service], &told->doubts[service], ghost->roles[service]);
    merge_span(&ghost->spans[service], &told->spans[service], next->file.policy.confirm_ms,
               agent_now_ms(world, next->agent));
    merge_leaving(&ghost->leaving[service], &told->leaving[service]);
    ghost->current[service] = told->current[service];
}

/* ---- who takes over ---- */

/* What is kept is named from memory, which is handed over. */
static bool has_master(const struct service *service)
{
    enum service_state ruled = service_decision(service)->ruled;

    return service_state_names(ruled) && ruled != SERVICE_KEPT;
}

/* Whether the next one was told what the node is that the former one was told of: it may be another by now. */
static bool is_probed(const struct world *world, const struct sim_set *former, const struct sim_set *next,
                      unsigned service)
{
    const struct addr *node = service_decision(former->services[service])->addr;
    const struct addr *next_node = service_decision(next->services[service])->addr;

    return node == NULL || next_node == NULL || reply_number(node) != reply_number(next_node) ||
           ghost_role_of(world, former, service, reply_number(node)) == NULL ||
           ghost_role_of(world, next, service, reply_number(node)) != NULL;
}

/* What should keep the next set from taking over, or NULL. */
static const char *lack_of(const struct world *world, const struct sim_set *former,
                           const struct sim_set *next, unsigned service)
{
    const struct ghost_set *ghost = &world->ghost.sets[next->number];
    enum service_state state = service_decision(next->services[service])->state;

    if (state == SERVICE_STARTING)
        return "it is starting";
    if (former->services[service] == NULL)
        return NULL;
    if (has_master(former->services[service]) && !service_state_names(state))
        return "it would name nobody";
    if (ghost->heard_ms[service] == GHOST_NEVER &&
        world->ghost.sets[former->number].heard_ms[service] > ghost->created_ms)
        return "its voters have never named anybody";
    return is_probed(world, former, next, service) ? NULL : "its probe has not heard the node";
}

static void check_ready(struct world *world, const struct sim_set *former, const struct sim_set *next,
                        unsigned service)
{
    const char *lack = lack_of(world, former, next, service);

    if (lack != NULL)
        ghost_broken(world, "ready", "agent %u service %u is taken over, and %s", next->agent, service, lack);
}

/*
 * Whether the master that the former set names is to be named by the next one, too: what is kept only by a file
 * that keeps as long.
 */
static bool must_name(const struct world *world, const struct sim_set *former, const struct sim_set *next,
                      unsigned service)
{
    const struct service_decision *before = service_decision(former->services[service]);
    const struct policy_config *policy = &former->file.policy;
    const struct policy_config *next_policy = &next->file.policy;

    if (agent_now_ms(world, former->agent) >= before->review_ms)
        return false;
    if (before->ruled == SERVICE_KEPT)
        return next_policy->keep_ms >= policy->keep_ms && next_policy->keep_when == policy->keep_when;
    return service_state_names(before->state) &&
           service_decision(next->services[service])->ruled == SERVICE_OK;
}

void ghost_moves(struct world *world, const struct sim_set *former, const struct sim_set *next,
                 unsigned service, bool by_force)
{
    struct ghost_set *ghost = &world->ghost.sets[next->number];
    bool is_new = former->services[service] == NULL;

    if (!by_force)
        check_ready(world, former, next, service);
    ghost->must_name[service] = !by_force && !is_new && must_name(world, former, next, service);
    if (is_new)
        ghost->current[service] = -1;
    else
        merge_service(world, former, next, service);
}

/* What both sets know together may speak against the master. */
static bool is_withheld(const struct service_decision *decision)
{
    return decision->state == SERVICE_NOT_MASTER || decision->state == SERVICE_DOWN ||
           decision->reason == SERVICE_BECAUSE_FAILOVER;
}

void ghost_has_moved(struct world *world, const struct sim_set *next, unsigned service)
{
    const struct service_decision *decision = service_decision(next->services[service]);

    if (world->ghost.sets[next->number].must_name[service] && !service_state_names(decision->state) &&
        !is_withheld(decision))
        ghost_broken(world, "ready", "agent %u service %u: the change-over has lost the master", next->agent,
                     service);
}

/* ---- what is told ---- */

static void note_switch(struct sim_watch *watch, struct ghost_told *told, const struct service_change *change)
{
    int8_t replaced = -1;

    if (change->replaced != NULL)
        replaced = reply_number(change->replaced);
    if (change->after->generation != told->generation + 1 || replaced != told->address)
        ghost_broken(watch->world, "told",
                     "agent %u service %u: switch %llu from %d is told, after switch %llu to %d",
                     watch->set->agent, watch->service, (unsigned long long)change->after->generation,
                     replaced, (unsigned long long)told->generation, told->address);
    told->generation = change->after->generation;
    told->address = reply_number(change->after->addr);
    watch->world->ghost.sets[watch->set->number].leaving[watch->service].address = -1;
    if (watch->set->file.policy.role_check == ROLE_CHECK_REQUIRE &&
        ghost_role_of(watch->world, watch->set, watch->service, told->address) == NULL)
        ghost_broken(watch->world, "I6 veto", "agent %u service %u: %d has not said what it is",
                     watch->set->agent, watch->service, told->address);
}

/* The fence of a silent master does not end before somebody is named. */
static void check_silenced(struct sim_watch *watch, struct ghost_told *told,
                           const struct service_decision *after)
{
    if (service_state_names(after->state) || watch->set->file.policy.down_after_ms == 0)
        told->is_silenced = false;
    if (told->is_silenced && !after->is_fenced)
        ghost_broken(watch->world, "fence", "agent %u service %u: the fence of a silent master has ended",
                     watch->set->agent, watch->service);
    if (after->reason == SERVICE_BECAUSE_SILENT && after->is_fenced &&
        reply_number(after->addr) == told->address)
        told->is_silenced = true;
}

/* A service that is not in the file any more may go on telling; one that has moved must not. */
static bool may_tell(const struct sim_watch *watch)
{
    const struct sim_set *set = agent_set_of(watch->world, watch->set->agent, watch->service);

    if (set != watch->set && set->services[watch->service] != NULL)
        ghost_broken(watch->world, "told", "agent %u service %u: it has moved, and its former self tells",
                     watch->set->agent, watch->service);
    return set == watch->set;
}

static void hear_change(struct service_observer *self, const struct service *service,
                        const struct service_change *change)
{
    struct sim_watch *watch = container_of(self, struct sim_watch, observer);
    struct ghost_told *told = &watch->world->ghost.agents[watch->set->agent].told[watch->service];

    (void)service;
    if (!may_tell(watch))
        return;
    check_silenced(watch, told, change->after);
    told->is_fenced = change->after->is_fenced;
    watch->world->counts.mixed_switches +=
        change->switched && watch->world->agents[watch->set->agent].next_table != NULL;
    if (change->switched)
        note_switch(watch, told, change);
    ghost_note_cuts(watch->world, watch->set->agent, watch->service, change);
    if (!change->is_first_answer)
        return;
    if (told->first_answer == change->after->generation)
        ghost_broken(watch->world, "told", "agent %u service %u: a first answer is told twice",
                     watch->set->agent, watch->service);
    told->first_answer = change->after->generation;
}

void ghost_watch(struct world *world, struct sim_set *set)
{
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        struct sim_watch *watch = &set->watches[i];
        if (set->services[i] == NULL)
            continue;
        *watch = (struct sim_watch){
            .observer = {.changed = hear_change}, .world = world, .set = set, .service = i};
        service_observe(set->services[i], &watch->observer);
    }
}

void ghost_check_told(struct world *world, unsigned agent, unsigned service)
{
    const struct service *one = agent_service(world, agent, service);
    const struct ghost_told *told = &world->ghost.agents[agent].told[service];

    if (service_decision(one)->is_fenced != told->is_fenced)
        ghost_broken(world, "told", "agent %u service %u: its observers do not know whether it is fenced",
                     agent, service);
}

void ghost_check_counters(struct world *world, unsigned agent)
{
    const struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        const struct service *service = agent_service(world, agent, i);
        if (service == NULL)
            continue;
        const char *name = service_settings(service)->name;
        const struct answer_counters *counters = service_table_counters(self->table, name);
        uint64_t answers = 0;
        for (unsigned k = 0; counters != NULL && k < SERVICE_STATE_COUNT; k++)
            answers += counters->masters[k];
        if (answers != world->ghost.agents[agent].answers[i])
            ghost_broken(world, "counters", "agent %u service %u has counted %llu of %llu answers", agent, i,
                         (unsigned long long)answers,
                         (unsigned long long)world->ghost.agents[agent].answers[i]);
    }
}
