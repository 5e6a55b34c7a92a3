#include "tests/sim/ghost.h"

#include "tests/sim/agent_model.h"
#include "tests/sim/sentinel_model.h"

/* How soon a node that is in doubt is tried again, at the latest. */
#define RETRY_MS 250

/* ---- what happened ---- */

void ghost_view(struct world *world, unsigned sentinel, unsigned service, int8_t view, bool published)
{
    struct ghost *ghost = &world->ghost;
    struct ghost_views *views = &ghost->views[sentinel][service];
    unsigned place = views->count++ % GHOST_VIEWS_MAX;

    views->log[place].since_ms = world->now_ms;
    views->log[place].view = view;
    ghost->changed_ms[service] = world->now_ms;
    if (!published)
        ghost->silent_ms[service] = world->now_ms;
}

static void shake(struct ghost_set *set, int64_t until_ms)
{
    if (until_ms > set->shaken_until_ms)
        set->shaken_until_ms = until_ms;
    if (until_ms > set->disturbed_until_ms)
        set->disturbed_until_ms = until_ms;
}

void ghost_shaken_agent(struct world *world, unsigned agent, int64_t until_ms)
{
    for (unsigned i = 0; i < SIM_SETS; i++)
        shake(&world->ghost.sets[agent * SIM_SETS + i], until_ms);
}

void ghost_shaken(struct world *world, int64_t until_ms)
{
    for (unsigned i = 0; i < world->config.agents; i++)
        ghost_shaken_agent(world, i, until_ms);
}

void ghost_disturbed(struct world *world, const struct sim_link *link)
{
    struct ghost_set *set = &world->ghost.sets[link->set];

    if (world->now_ms > set->disturbed_until_ms)
        set->disturbed_until_ms = world->now_ms;
}

void ghost_set_created(struct world *world, const struct sim_set *set)
{
    struct ghost_set *ghost = &world->ghost.sets[set->number];

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        for (unsigned k = 0; k < SIM_SENTINELS_MAX; k++) {
            ghost->votes[i][k] = (struct ghost_vote){.sent_ms = GHOST_NEVER, .view = VIEW_NIL};
            ghost->facts[i][k] = (struct ghost_facts){.sent_ms = GHOST_NEVER, .witness_ms = GHOST_NEVER};
            ghost->slow_ms[k] = GHOST_NEVER;
        }
        for (unsigned k = 0; k <= SIM_SERVERS; k++)
            ghost->roles[i][k] = (struct ghost_role){.sent_ms = GHOST_NEVER};
        ghost->doubts[i] = (struct ghost_doubt){.address = -1};
        ghost->spans[i] = (struct ghost_doubt){.address = -1};
        ghost->leaving[i] = (struct ghost_leaving){.heard_ms = GHOST_NEVER, .address = -1};
        ghost->longest_ms[i] = 0;
        ghost->has_followed[i] = false;
        ghost->current[i] = -1;
        ghost->heard_ms[i] = GHOST_NEVER;
        ghost->must_name[i] = false;
        ghost->dissent_ms[i] = 0;
    }
    ghost->created_ms = agent_now_ms(world, set->agent);
    shake(ghost, world->now_ms);
}

void ghost_forget_service(struct world *world, unsigned agent, unsigned service)
{
    struct ghost_agent *ghost = &world->ghost.agents[agent];

    ghost->kept_ms[service] = 0;
    ghost->named_ms[service] = GHOST_NEVER;
    ghost->last_named[service] = -1;
    ghost->last_generation[service] = 0;
    ghost->answers[service] = 0;
    ghost->told[service] = (struct ghost_told){.address = -1};
}

void ghost_heard(struct world *world, const struct sim_link *link, unsigned service, int8_t view,
                 int64_t sent_ms)
{
    const struct sim_set *set = &world->sets[link->set];
    struct ghost_set *ghost = &world->ghost.sets[link->set];
    struct ghost_vote *vote = &ghost->votes[service][link->voter];

    world_trace(world, "set %u service %u: entry %u (sentinel %u) says %d, asked at %lld", link->set, service,
                link->voter, link->sentinel, view, (long long)(sent_ms - SIM_START_MS));
    int64_t now_ms = agent_now_ms(world, set->agent);
    if (now_ms - sent_ms > set->file.reply_timeout_ms)
        return;
    bool is_news = vote->view != view || now_ms - vote->sent_ms >= set->file.vote_life_ms;
    if (is_news && view >= 0 && view != ghost->current[service])
        ghost->dissent_ms[service] = now_ms;
    *vote = (struct ghost_vote){.sent_ms = sent_ms, .sentinel = link->sentinel, .view = view};
}

void ghost_go_on(const struct ghost_facts *before, int64_t life_ms, struct ghost_facts *facts)
{
    if (!facts->is_link_down || before->sent_ms == GHOST_NEVER || facts->sent_ms - before->sent_ms >= life_ms)
        return;
    int32_t age_ms = 0;
    if (before->address == facts->address)
        age_ms = before->age_ms + (int32_t)(facts->sent_ms - before->sent_ms);
    /* Or it begins with this report. */
    if (!before->may_be_dropped || age_ms > facts->age_ms)
        facts->age_ms = age_ms;
    facts->may_be_dropped = facts->may_be_dropped || before->may_be_dropped;
}

/* Of the whole seconds that a node shows the last one may not be over. One that was busy before says nothing. */
static void told_of_link(const struct world *world, const struct sim_link *link,
                         const struct event_item *item, int64_t sent_ms, struct ghost_facts *facts)
{
    const struct ghost_facts before = *facts;

    if (sent_ms <= world->ghost.sets[link->set].slow_ms[link->voter])
        return;
    world_trace(world, "set %u: node %u says that %d was heard %d s ago%s", link->set, link->sentinel,
                item->value, item->age_ms / 1000,
                item->kind == REPLY_ITEM_LINK_DOWN ? ", or the link is down for that long" : "");
    facts->sent_ms = sent_ms;
    facts->sentinel = link->sentinel;
    facts->address = item->value;
    facts->is_link_down = item->kind == REPLY_ITEM_LINK_DOWN;
    facts->may_be_dropped = false;
    facts->age_ms = item->kind == REPLY_ITEM_LINK_MASTER || item->age_ms == 0 ? 0 : item->age_ms - 1000;
    ghost_go_on(&before, world->sets[link->set].file.vote_life_ms, facts);
}

static void note_down_after(struct world *world, const struct sim_link *link, const struct event_item *item)
{
    const struct sim_set *set = &world->sets[link->set];
    struct ghost_set *ghost = &world->ghost.sets[link->set];
    const struct ghost_vote *vote = &ghost->votes[item->service][link->voter];
    bool is_heard =
        vote->view >= 0 && agent_now_ms(world, set->agent) - vote->sent_ms < set->file.vote_life_ms;

    if (item->down_after_ms > ghost->longest_ms[item->service])
        ghost->longest_ms[item->service] = item->down_after_ms;
    ghost->has_followed[item->service] = ghost->has_followed[item->service] || is_heard;
}

void ghost_check_park(struct world *world, const struct sim_set *set, unsigned service, int64_t park_ms)
{
    const struct ghost_set *ghost = &world->ghost.sets[set->number];
    bool follows = park_ms >= GHOST_PARK_MS && park_ms <= ghost->longest_ms[service] + 2000;

    if (!follows && (ghost->has_followed[service] || park_ms != PARK_AUTO_MAX_MS))
        ghost_broken(world, "parked", "agent %u service %u: auto is %lld ms", set->agent, service,
                     (long long)park_ms);
}

void ghost_told(struct world *world, const struct sim_link *link, const struct event_item *item,
                int64_t sent_ms)
{
    struct ghost_set *ghost = &world->ghost.sets[link->set];
    struct ghost_facts *facts = &ghost->facts[item->service][link->voter];
    int64_t now_ms = agent_now_ms(world, world->sets[link->set].agent);

    if (now_ms - sent_ms > world->sets[link->set].file.reply_timeout_ms)
        ghost->slow_ms[link->voter] = now_ms;
    switch ((enum reply_item_kind)item->kind) {
    case REPLY_ITEM_FACTS:
    case REPLY_ITEM_FACTS_DOWN:
        world_trace(world, "set %u service %u: entry %u (sentinel %u) says that %d is %s", link->set,
                    item->service, link->voter, link->sentinel, item->value,
                    item->kind == REPLY_ITEM_FACTS_DOWN ? "down" : "not down");
        facts->sent_ms = sent_ms;
        facts->sentinel = link->sentinel;
        facts->address = item->value;
        facts->is_down = item->kind == REPLY_ITEM_FACTS_DOWN;
        facts->age_ms = item->age_ms;
        facts->may_be_dropped = false;
        note_down_after(world, link, item);
        break;
    case REPLY_ITEM_LINK:
    case REPLY_ITEM_LINK_DOWN:
    case REPLY_ITEM_LINK_MASTER:
        told_of_link(world, link, item, sent_ms, facts);
        break;
    case REPLY_ITEM_WITNESS:
        world_trace(world, "set %u service %u: entry %u (sentinel %u) sees %s majority, asked at %lld",
                    link->set, item->service, link->voter, link->sentinel, item->value == 1 ? "a" : "no",
                    (long long)(sent_ms - SIM_START_MS));
        facts->witness_ms = item->value == 1 ? sent_ms : GHOST_NEVER;
        break;
    case REPLY_ITEM_PEERS:
        world_trace(world, "set %u service %u: entry %u (sentinel %u) heard the others %d ms ago", link->set,
                    item->service, link->voter, link->sentinel, item->age_ms);
        facts->peers_ms = sent_ms - item->age_ms;
        break;
    case REPLY_ITEM_MYID:
    case REPLY_ITEM_RUN_ID:
    case REPLY_ITEM_REFUSED:
        /*
         * It may be another than before: then the agent drops what it was told, and may have done so already.
         */
        for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
            ghost->facts[i][link->voter].may_be_dropped = true;
            ghost->votes[i][link->voter].may_be_dropped = true;
        }
        break;
    default:
        break;
    }
}

void ghost_role(struct world *world, const struct sim_set *set, unsigned service, uint8_t address,
                int8_t role, int64_t sent_ms)
{
    world_trace(world, "set %u service %u: node %u says that it is %d", set->number, service, address, role);
    struct ghost_role *told =
        &world->ghost.sets[set->number].roles[service][address < SIM_SERVERS ? address : SIM_SERVERS];
    if (address != told->address || sent_ms >= told->sent_ms)
        *told = (struct ghost_role){.sent_ms = sent_ms, .address = address, .role = role};
}

void ghost_present(struct world *world, const struct sim_set *set, unsigned service, uint8_t address)
{
    struct ghost_set *ghost = &world->ghost.sets[set->number];

    if (ghost->doubts[service].address == (int8_t)address)
        ghost->doubts[service].address = -1;
    if (ghost->spans[service].address == (int8_t)address)
        ghost->spans[service].address = -1;
}

const struct ghost_role *ghost_role_of(const struct world *world, const struct sim_set *set, unsigned service,
                                       int8_t address)
{
    const struct ghost_role *role =
        &world->ghost.sets[set->number].roles[service][address < SIM_SERVERS ? address : SIM_SERVERS];
    bool is_fresh = agent_now_ms(world, set->agent) - role->sent_ms < set->file.vote_life_ms;

    return is_fresh && role->address == (uint8_t)address ? role : NULL;
}

static bool is_running(const struct ghost_doubt *doubt, uint8_t address, int64_t now_ms)
{
    return doubt->address == (int8_t)address && now_ms < doubt->until_ms;
}

void ghost_doubted(struct world *world, const struct sim_set *set, unsigned service, uint8_t address,
                   enum doubt_cause cause)
{
    struct ghost_set *ghost = &world->ghost.sets[set->number];
    int64_t now_ms = agent_now_ms(world, set->agent);
    /* `auto` is longer if no Sentinel has told yet what it depends on. */
    bool is_auto = set->file.park_ms == PARK_AUTO;
    int64_t least_ms = is_auto ? GHOST_PARK_MS : set->file.park_ms;
    int64_t most_ms = is_auto ? PARK_AUTO_MAX_MS : set->file.park_ms;

    world_trace(world, "set %u service %u: the link to node %u is %s", set->number, service, address,
                doubt_cause_text(cause));
    world->counts.doubted++;
    if (cause == DOUBT_SILENT && is_running(&ghost->spans[service], address, now_ms))
        return;
    ghost->doubts[service] =
        (struct ghost_doubt){.since_ms = now_ms, .until_ms = now_ms + least_ms, .address = (int8_t)address};
    ghost->spans[service] =
        (struct ghost_doubt){.since_ms = now_ms, .until_ms = now_ms + most_ms, .address = (int8_t)address};
}

void ghost_refused(struct world *world, const struct sim_set *set, unsigned service, uint8_t address)
{
    struct ghost_doubt *span = &world->ghost.sets[set->number].spans[service];
    int64_t now_ms = agent_now_ms(world, set->agent);
    int64_t until_ms = now_ms + RETRY_MS + SIM_CONNECT_TIMEOUT_MS;

    if (is_running(span, address, now_ms) && until_ms > span->until_ms)
        span->until_ms = until_ms;
}

void ghost_expect_failover(struct world *world, const struct sim_set *set, unsigned service, int8_t address)
{
    struct ghost_set *ghost = &world->ghost.sets[set->number];
    struct ghost_leaving *leaving = &ghost->leaving[service];
    int64_t now_ms = agent_now_ms(world, set->agent);

    if (address != ghost->current[service])
        return;
    world_trace(world, "set %u service %u: %d is about to be replaced", set->number, service, address);
    if (leaving->heard_ms == GHOST_NEVER)
        *leaving = (struct ghost_leaving){.since_ms = now_ms, .address = address};
    leaving->heard_ms = now_ms;
}

void ghost_node_changed(struct world *world, unsigned service)
{
    world->ghost.node_changed_ms[service] = world->now_ms;
}

void ghost_note_state(struct world *world, unsigned agent, unsigned service, int state)
{
    int64_t *kept_ms = &world->ghost.agents[agent].kept_ms[service];

    if (state != SERVICE_KEPT)
        *kept_ms = 0;
    else if (*kept_ms == 0)
        *kept_ms = agent_now_ms(world, agent);
}

void ghost_fenced(struct world *world, unsigned agent, unsigned service)
{
    const struct sim_set *set = agent_set_of(world, agent, service);
    const struct ghost_leaving *leaving = &world->ghost.sets[set->number].leaving[service];
    int64_t fence_ms = set->file.policy.fence_ms;

    world->counts.fenced++;
    if (ghost_may_be_silent(world, set, service, world->ghost.agents[agent].told[service].address)) {
        world->counts.silenced++;
        return;
    }
    /* It counts from the last answer of a majority then, and gives a witness time to answer. */
    if (set->file.policy.down_after_ms > 0 && fence_ms > set->file.reply_timeout_ms)
        fence_ms = set->file.reply_timeout_ms;
    if (set->file.policy.early_fence &&
        agent_now_ms(world, agent) - leaving->heard_ms < set->file.policy.early_fence_max_ms)
        world->counts.leaving++;
    else if (fence_ms == 0 ||
             agent_now_ms(world, agent) - world->ghost.agents[agent].named_ms[service] < fence_ms)
        ghost_broken(world, "fence", "agent %u service %u is fenced too soon", agent, service);
}
