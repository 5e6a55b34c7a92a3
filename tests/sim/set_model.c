#include "tests/sim/set_model.h"

#include <stddef.h>
#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/cutter_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/network.h"
#include "tests/sim/node_model.h"
#include "tests/sim/replies.h"
#include "tests/sim/sentinel_model.h"

/* SUBSCRIBE names ten channels and is answered for each of them. */
#define CHANNELS 10

static const char *const service_names[] = {"s0", "s1", "s2"};
static const char *const monitor_names[] = {"m0", "m1", "m2"};
static const char *const voter_names[] = {"e0", "e1", "e2", "e3", "e4"};

static int64_t now_ms_of(const struct world *world, const struct sim_set *set)
{
    return agent_now_ms(world, set->agent);
}

static struct sim_set *set_of(struct world *world, const struct sim_link *link)
{
    return &world->sets[link->set];
}

/* ---- the links, as io/redis_link.c ---- */

static struct conversation *conversation_of(struct world *world, const struct sim_link *link)
{
    struct sim_set *set = set_of(world, link);
    struct sentinel_voter *voter = &set->voters[link->voter];

    if (world->config.source != VOTER_SOURCE_SENTINEL)
        return &set->node_voters[link->voter].conversation;
    return link->is_hints ? &voter->hints : &voter->query;
}

static void obey(struct world *world, struct sim_link *link, enum conversation_action action)
{
    if (action == CONVERSATION_CONNECT)
        network_connect(world, link);
    else if (action == CONVERSATION_DISCONNECT)
        network_close(world, link);
}

static void flush(struct world *world, struct sim_link *link, struct event *requests)
{
    if (requests->count > 0)
        network_send(world, link, TO_SENTINEL, requests);
    requests->count = 0;
}

/* Sends all that there is to be sent, one write for up to EVENT_ITEMS_MAX commands. */
static void pump(struct world *world, struct sim_link *link)
{
    int64_t now_ms = now_ms_of(world, set_of(world, link));
    struct conversation *conversation = conversation_of(world, link);
    struct conversation_command command;
    struct event requests = {.kind = EVENT_REQUESTS, .sent_ms = now_ms};

    if (conversation->phase != CONVERSATION_TALKING)
        return;
    while (conversation_next(conversation, now_ms, &command)) {
        struct event_item item = {0};
        if (!command_read(&command, &item))
            ghost_violation(world, "command", "the agent sent a command that no Sentinel understands");
        requests.items[requests.count++] = item;
        if (requests.count == EVENT_ITEMS_MAX)
            flush(world, link, &requests);
    }
    flush(world, link, &requests);
}

/* ---- all links, as io/voter_links.c ---- */

static unsigned kinds(const struct world *world)
{
    return world->config.subscribe ? 2 : 1;
}

void set_pump(struct world *world, struct sim_set *set)
{
    for (unsigned i = 0; i < set->file.voters; i++)
        for (unsigned k = 0; k < kinds(world); k++)
            pump(world, network_link(world, set, i, k == 1));
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (set->services[i] != NULL)
            node_pump(world, set, i);
}

static void tick(struct world *world, struct sim_set *set, struct sim_link *link)
{
    obey(world, link, conversation_tick(conversation_of(world, link), now_ms_of(world, set)));
}

static void tick_probe(struct world *world, struct sim_set *set, unsigned service)
{
    struct conversation *conversation = &set->probes[service]->probe.conversation;

    node_note_silence(world, set, service);
    enum conversation_action action = conversation_tick(conversation, now_ms_of(world, set));
    if (action == CONVERSATION_CONNECT)
        node_connect(world, set, service);
    else if (action == CONVERSATION_DISCONNECT)
        node_close(set, service);
}

void set_tick(struct world *world, struct sim_set *set)
{
    for (unsigned i = 0; i < set->file.voters; i++)
        for (unsigned k = 0; k < kinds(world); k++)
            tick(world, set, network_link(world, set, i, k == 1));
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (set->services[i] != NULL)
            tick_probe(world, set, i);
    voter_group_tick(set->group, now_ms_of(world, set), 1); /* one service a turn */
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

int64_t set_wake_ms(struct world *world, struct sim_set *set)
{
    int64_t wake_ms = voter_group_wake_ms(set->group);

    for (unsigned i = 0; i < set->file.voters; i++)
        for (unsigned k = 0; k < kinds(world); k++)
            wake_ms = earlier(
                wake_ms, conversation_wake_ms(conversation_of(world, network_link(world, set, i, k == 1))));
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        if (set->services[i] != NULL)
            wake_ms = earlier(wake_ms, conversation_wake_ms(&set->probes[i]->probe.conversation));
    return wake_ms;
}

void set_hold_observers(struct sim_set *set)
{
    for (unsigned i = 0; i < set->listed_count; i++)
        service_hold_observers(set->listed[i]);
}

/* In the group. */
static size_t place_of(const struct sim_set *set, unsigned service)
{
    size_t place = 0;

    for (unsigned i = 0; i < service; i++)
        place += set->services[i] != NULL;
    return place;
}

/* After a change-over a probe, be it kept or not, asks the node that its service is about. */
static void check_aim(struct world *world, const struct sim_set *set, unsigned service)
{
    const struct addr *addr = service_decision(set->services[service])->addr;
    const struct role_probe *probe = &set->probes[service]->probe;

    if (addr != NULL && service_may_name(set->services[service], addr) &&
        !(probe->is_aimed && addr_equals(&probe->target, addr)))
        ghost_broken(world, "probe", "agent %u service %u: its probe does not ask node %d", set->agent,
                     service, reply_number(addr));
}

void set_catch_up(struct world *world, struct sim_set *set, unsigned service)
{
    if (set->file.policy.role_check != ROLE_CHECK_OFF) {
        role_probe_catch_up(&set->probes[service]->probe, service_decision(set->services[service]),
                            now_ms_of(world, set));
        check_aim(world, set, service);
    }
    voter_group_catch_up(set->group, place_of(set, service));
}

/* ---- what comes ---- */

void set_connected(struct world *world, struct sim_link *link)
{
    struct conversation *conversation = conversation_of(world, link);

    if (conversation->phase == CONVERSATION_CONNECTING)
        conversation_connected(conversation, now_ms_of(world, set_of(world, link)));
}

void set_lost(struct world *world, struct sim_link *link)
{
    conversation_lost(conversation_of(world, link), "reset", CONVERSATION_END_CLOSED,
                      now_ms_of(world, set_of(world, link)));
    network_close(world, link);
}

/* What a node says of a cluster that is down is no vote. */
static void hear_views(struct world *world, const struct sim_link *link, const struct event_item *item,
                       int64_t sent_ms)
{
    bool is_one =
        item->kind == REPLY_ITEM_VIEW || item->kind == REPLY_ITEM_ROLE || item->kind == REPLY_ITEM_MASTER;

    if (is_one)
        ghost_heard(world, link, item->service, item->value, sent_ms);
    for (unsigned i = 0; item->kind == REPLY_ITEM_SLOTS && i < world->config.services; i++)
        ghost_heard(world, link, i, item->value == 1 ? item->views[i] : VIEW_ERROR, sent_ms);
}

/* Hands one reply over; true where the connection stays. */
static bool take_item(struct world *world, struct sim_link *link, const struct event *event,
                      const struct event_item *item)
{
    struct built_reply built;
    struct sim_set *set = set_of(world, link);
    struct conversation *conversation = conversation_of(world, link);
    unsigned times = item->kind == REPLY_ITEM_SUBSCRIBED ? CHANNELS : 1;

    reply_build(&built, item, world->sentinels[link->sentinel].form);
    hear_views(world, link, item, event->sent_ms);
    ghost_told(world, link, item, event->sent_ms);
    if (item->kind == REPLY_ITEM_HINT_TRY)
        ghost_expect_failover(world, set, item->service, item->value);
    bool is_identity = item->kind == REPLY_ITEM_MYID || item->kind == REPLY_ITEM_RUN_ID;
    if (is_identity)
        link->is_ready = !link->is_dead;
    /* Votes begin to come in, those of a Sentinel without identity too: they can raise a suspicion. */
    if (is_identity || (item->kind == REPLY_ITEM_REFUSED && !link->is_refused))
        ghost_disturbed(world, link);
    link->is_refused = link->is_refused || item->kind == REPLY_ITEM_REFUSED;
    for (unsigned i = 0; i < times; i++) {
        enum conversation_action action =
            conversation_reply(conversation, &built.reply, now_ms_of(world, set));
        obey(world, link, action);
        if (action != CONVERSATION_NOTHING)
            return false;
    }
    agent_note_changes(world, set->agent);
    return true;
}

void set_receive(struct world *world, struct sim_link *link, const struct event *event)
{
    for (unsigned i = 0; i < event->count; i++)
        if (!take_item(world, link, event, &event->items[i]))
            break;
}

void set_receive_stale(struct world *world, struct sim_link *link, const struct event *event)
{
    struct built_reply built;
    struct sim_set *set = set_of(world, link);

    if (!set->is_there || conversation_of(world, link)->phase == CONVERSATION_TALKING)
        return;
    reply_build(&built, &event->items[0], SIM_FORM_PLAIN);
    if (conversation_reply(conversation_of(world, link), &built.reply, now_ms_of(world, set)) !=
        CONVERSATION_NOTHING)
        ghost_violation(world, "stale", "a closed conversation took a reply");
    agent_note_changes(world, set->agent);
}

/* ---- from birth to death ---- */

static void start_map(struct sim_set *set, unsigned service)
{
    static const char *const names[] = {"R1", "R2", "R3"};
    /* A reload may make an alias the main address. */
    bool is_swapped = set->number % 2 == 1;

    for (unsigned i = 0; i < SIM_SERVERS; i++) {
        unsigned number = set->file.map[i];
        set->aliases[service][i] =
            reply_address(service, (int8_t)number, is_swapped ? SIM_FORM_PLAIN : SIM_FORM_ALIAS);
        set->servers[service][i] = (struct service_server){
            .name = names[number],
            .addr = reply_address(service, (int8_t)number, is_swapped ? SIM_FORM_ALIAS : SIM_FORM_PLAIN),
            .aliases = &set->aliases[service][i],
            .alias_count = 1,
            .weight = 1};
    }
}

static void start_service(struct world *world, struct sim_set *set, unsigned index)
{
    start_map(set, index);
    set->service_settings[index] = (struct service_settings){
        .name = service_names[index],
        .monitor = monitor_names[index],
        .slot = index * SIM_SLOTS,
        .servers = set->servers[index],
        .server_count = SIM_SERVERS,
        .allow_any_address = world->config.allow_any_address,
        .park_ms = set->file.park_ms,
        .quorum =
            {
                .identities = set->identities,
                .voters = set->file.voters,
                .threshold = set->file.threshold,
                .reply_timeout_ms = set->file.reply_timeout_ms,
                .vote_life_ms = set->file.vote_life_ms,
                .hold_ms = QUORUM_HOLD_MS,
                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS,
            },
        .policy = set->file.policy,
    };
    set->services[index] = service_create(&set->service_settings[index], now_ms_of(world, set));
    if (set->services[index] == NULL)
        abort();
    set->listed[set->listed_count++] = set->services[index];
}

static void start_services(struct world *world, struct sim_set *set)
{
    set->listed_count = 0;
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        set->services[i] = NULL;
        if (set->file.has_service[i])
            start_service(world, set, i);
    }
}

static const char *password_of(const struct world *world, const struct sim_set *set)
{
    if (set->file.has_wrong_password)
        return "wrong";
    return world->config.password ? "secret" : NULL;
}

static void start_voter(struct world *world, struct sim_set *set, unsigned index)
{
    struct metrics *metrics = &world->agents[set->agent].metrics;
    uint64_t seed = rng_next(&world->rng);

    if (world->config.source == VOTER_SOURCE_SENTINEL) {
        sentinel_voter_init(&set->voters[index], &set->sentinel_settings, set->group, index,
                            voter_names[index], metrics, seed, now_ms_of(world, set));
        return;
    }
    set->node_addresses[index] = reply_address(0, (int8_t)set->file.entries[index], SIM_FORM_PLAIN);
    node_voter_init(&set->node_voters[index], &set->node_settings, set->group, index,
                    &set->node_addresses[index], voter_names[index], metrics, seed, now_ms_of(world, set));
}

static void start_voters(struct world *world, struct sim_set *set)
{
    uint32_t poll_ms = (uint32_t)set->file.poll_ms;
    uint32_t reply_timeout_ms = (uint32_t)set->file.reply_timeout_ms;
    struct voter_group_options options = {
        .name = "",
        .source = world->config.source,
        .voter_count = set->file.voters,
        .voter_names = voter_names,
        .services = set->listed,
        .service_count = set->listed_count,
        .identities = set->identities,
        .metrics = &world->agents[set->agent].metrics,
    };

    set->group = voter_group_create(&options, now_ms_of(world, set));
    if (set->group == NULL)
        abort();
    set->sentinel_settings = (struct sentinel_settings){
        .credentials = {.username = "haproxy", .password = password_of(world, set)},
        .poll_ms = poll_ms,
        .early = set->file.policy.early_fence,
        .query = peer_times(SIM_CONNECT_TIMEOUT_MS, poll_ms, reply_timeout_ms),
        .hints = peer_times_of_listener(SIM_CONNECT_TIMEOUT_MS, reply_timeout_ms),
    };
    set->node_settings = (struct node_settings){
        .source = world->config.source,
        .credentials = set->sentinel_settings.credentials,
        .poll_ms = poll_ms,
        .conversation = set->sentinel_settings.query,
    };
    for (unsigned i = 0; i < set->file.voters; i++)
        start_voter(world, set, i);
}

/* ---- probes, as io/role_links.c ---- */

static bool serves(const struct world *world, const struct sim_set *set, unsigned service)
{
    const struct sim_set *running = world->agents[set->agent].running;

    return role_probe_serves(&running->probes[service]->probe, set->services[service]);
}

static void follow(const struct world *world, struct sim_set *set, unsigned service, const struct addr *addr)
{
    set->keeps[service] = set->keeps[service] && serves(world, set, service);
    if (!set->keeps[service])
        role_probe_aim(&set->probes[service]->probe, addr, now_ms_of(world, set));
}

static void aim_probe(struct service_observer *self, const struct service *service,
                      const struct service_change *change)
{
    struct sim_aim *aim = container_of(self, struct sim_aim, observer);

    (void)service;
    if (change->after->addr != NULL)
        follow(aim->world, aim->set, aim->service, change->after->addr);
}

void set_look(struct world *world, struct sim_set *set, unsigned service)
{
    const struct sim_set *running = world->agents[set->agent].running;

    if (!set->keeps[service])
        return;
    if (!serves(world, set, service)) {
        follow(world, set, service, service_decision(set->services[service])->addr);
        return;
    }
    role_probe_tell(&running->probes[service]->probe, set->group, place_of(set, service),
                    now_ms_of(world, set));
    ghost_shares_roles(world, running, set, service);
}

static void init_probe(struct world *world, struct sim_set *set, unsigned service)
{
    struct sim_probe *probe = set->probes[service];

    role_probe_init(&probe->probe, &set->probe_settings, set->group, place_of(set, service),
                    &world->agents[set->agent].metrics, rng_next(&world->rng));
    probe->is_open = false;
    probe->generation++;
}

void set_take_probe(struct world *world, struct sim_set *set, struct sim_set *former, unsigned service)
{
    struct sim_probe *kept = set->keeps[service] ? former->probes[service] : NULL;

    if (kept == NULL)
        return;
    former->probes[service] = set->probes[service];
    former->probes[service]->set = former;
    set->probes[service] = kept;
    kept->set = set;
    set->keeps[service] = false;
    world->counts.kept_probes++;
    if (!role_probe_move(&kept->probe, &set->probe_settings, set->group, place_of(set, service)))
        init_probe(world, set, service);
}

/* Whether the probe of the former service would ask in the same way. */
static bool can_keep(const struct sim_set *set, const struct sim_set *former, unsigned service)
{
    return former != NULL && former->services[service] != NULL &&
           former->file.policy.role_check != ROLE_CHECK_OFF &&
           role_probe_is_alike(&set->probe_settings, &former->probe_settings);
}

static void start_probes(struct world *world, struct sim_set *set, const struct sim_set *former)
{
    uint32_t poll_ms = (uint32_t)set->file.poll_ms;

    set->probe_settings = (struct role_probe_settings){
        .credentials = {.password = password_of(world, set)},
        .interval_ms = poll_ms,
        .reply_timeout_ms = (uint32_t)set->file.reply_timeout_ms,
        .conversation = peer_times(SIM_CONNECT_TIMEOUT_MS, poll_ms, (uint32_t)set->file.reply_timeout_ms),
    };
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        if (set->probes[i] == NULL)
            set->probes[i] = &world->probes[set->number * SIM_SERVICES_MAX + i];
        set->probes[i]->number = (uint8_t)(set->probes[i] - world->probes);
        set->probes[i]->set = set;
        set->keeps[i] = false;
        if (set->services[i] == NULL)
            continue;
        init_probe(world, set, i);
        if (set->file.policy.role_check == ROLE_CHECK_OFF)
            continue;
        set->keeps[i] = can_keep(set, former, i);
        set->aims[i] =
            (struct sim_aim){.observer = {.changed = aim_probe}, .world = world, .set = set, .service = i};
        service_observe(set->services[i], &set->aims[i].observer);
    }
}

struct sim_set *set_create(struct world *world, unsigned agent, const struct sim_file *file,
                           const struct sim_set *former)
{
    struct sim_set *set = &world->sets[agent * SIM_SETS];

    while (set->is_there)
        set++;
    set->is_there = true;
    set->number = (uint8_t)(set - world->sets);
    set->agent = (uint8_t)agent;
    set->file = *file;
    start_services(world, set);
    start_voters(world, set);
    start_probes(world, set, former);
    ghost_set_created(world, set);
    return set;
}

void set_destroy(struct world *world, struct sim_set *set)
{
    if (set == NULL)
        return;
    network_forget(world, set);
    cutter_destroy(set);
    voter_group_destroy(set->group);
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        node_close(set, i);
        service_destroy(set->services[i]);
    }
    set->is_there = false;
}
