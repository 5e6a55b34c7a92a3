#include "tests/sim/agent_model.h"

#include <stddef.h>
#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "tests/sim/asker.h"
#include "tests/sim/ghost.h"
#include "tests/sim/network.h"
#include "tests/sim/node_model.h"
#include "tests/sim/replies.h"
#include "tests/sim/sentinel_model.h"

/* SUBSCRIBE names ten channels and is answered for each of them. */
#define CHANNELS 10
/* Timers may run so often at one moment; more means that something is due for ever. */
#define WAKES_IN_PLACE_MAX 20

static const char *const service_names[] = {"s0", "s1", "s2"};
static const char *const monitor_names[] = {"m0", "m1", "m2"};
static const char *const voter_names[] = {"e0", "e1", "e2", "e3", "e4"};

int64_t agent_now_ms(const struct world *world, unsigned agent)
{
    return world->now_ms + world->agents[agent].clock_ms;
}

/* ---- the links, as io/redis_link.c ---- */

static struct conversation *conversation_of(struct world *world, const struct sim_link *link)
{
    struct sim_agent *self = &world->agents[link->agent];
    struct sentinel_voter *voter = &self->voters[link->voter];

    if (world->config.source != VOTER_SOURCE_SENTINEL)
        return &self->node_voters[link->voter].conversation;
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
    struct conversation *conversation = conversation_of(world, link);
    struct conversation_command command;
    struct event requests = {.kind = EVENT_REQUESTS, .sent_ms = agent_now_ms(world, link->agent)};

    if (conversation->phase != CONVERSATION_TALKING)
        return;
    while (conversation_next(conversation, agent_now_ms(world, link->agent), &command)) {
        struct event_item item = {0};
        if (!command_read(&command, &item))
            ghost_violation(world, "command", "the agent sent a command that no Sentinel understands");
        requests.items[requests.count++] = item;
        if (requests.count == EVENT_ITEMS_MAX)
            flush(world, link, &requests);
    }
    flush(world, link, &requests);
}

/* ---- after every step, as io/voter_links.c ---- */

static unsigned kinds(const struct world *world)
{
    return world->config.subscribe ? 2 : 1;
}

static int64_t earliest_wake_ms(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    int64_t wake_ms = voter_group_wake_ms(self->group);

    for (unsigned i = 0; i < world->config.sentinels; i++) {
        for (unsigned k = 0; k < kinds(world); k++) {
            int64_t link_ms =
                conversation_wake_ms(conversation_of(world, network_link(world, agent, i, k == 1)));
            if (link_ms < wake_ms)
                wake_ms = link_ms;
        }
    }
    for (unsigned i = 0; i < world->config.services; i++) {
        int64_t probe_ms = conversation_wake_ms(&self->probes[i].probe.conversation);
        if (probe_ms < wake_ms)
            wake_ms = probe_ms;
    }
    return wake_ms;
}

/* The moment of a change is the one at which a wrong answer is likely: ask then. */
static void ask_after_changes(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < world->config.services; i++) {
        const struct service_decision *decision = service_decision(self->services[i]);
        if (decision->state == self->seen_state[i] && decision->generation == self->seen_generation[i] &&
            decision->is_fenced == self->seen_fenced[i])
            continue;
        if (decision->is_fenced && !self->seen_fenced[i])
            ghost_fenced(world, agent, i);
        self->seen_fenced[i] = decision->is_fenced;
        self->seen_state[i] = decision->state;
        self->seen_generation[i] = decision->generation;
        world_trace(world, "agent %u service %u: %s, votes %u, generation %llu", agent, i,
                    service_state_text(decision->state), decision->votes,
                    (unsigned long long)decision->generation);
        asker_ask(world, agent, i);
    }
}

void agent_settle(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    for (unsigned i = 0; i < world->config.sentinels; i++)
        for (unsigned k = 0; k < kinds(world); k++)
            pump(world, network_link(world, agent, i, k == 1));
    for (unsigned i = 0; i < world->config.services; i++)
        node_pump(world, agent, i);
    ask_after_changes(world, agent);
    int64_t wake_ms = earliest_wake_ms(world, agent);
    if (wake_ms < INT64_MAX)
        wake_ms = wake_ms < agent_now_ms(world, agent) ? world->now_ms : wake_ms - self->clock_ms;
    if (wake_ms < INT64_MAX && self->timer_lag_ms > 0)
        wake_ms += rng_between(&world->rng, 0, self->timer_lag_ms);
    self->wake_ms = wake_ms;
}

static void tick(struct world *world, struct sim_link *link)
{
    obey(world, link, conversation_tick(conversation_of(world, link), agent_now_ms(world, link->agent)));
}

static void tick_probe(struct world *world, unsigned agent, unsigned service)
{
    struct conversation *conversation = &world->agents[agent].probes[service].probe.conversation;
    enum conversation_action action = conversation_tick(conversation, agent_now_ms(world, agent));

    if (action == CONVERSATION_CONNECT)
        node_connect(world, agent, service);
    else if (action == CONVERSATION_DISCONNECT)
        node_close(world, agent, service);
}

void agent_step_clock(struct world *world, unsigned agent, int64_t by_ms)
{
    world->agents[agent].clock_ms += by_ms;
    world->agents[agent].wake_ms = world->now_ms;
}

void agent_wake(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    if (self->stalled_until_ms > world->now_ms) {
        self->wake_ms = self->stalled_until_ms;
        return;
    }
    self->wakes_in_place = self->last_wake_ms == world->now_ms ? self->wakes_in_place + 1 : 0;
    self->last_wake_ms = world->now_ms;
    if (self->wakes_in_place > WAKES_IN_PLACE_MAX) {
        ghost_violation(world, "timers", "agent %u wakes up without an end", agent);
        return;
    }
    for (unsigned i = 0; i < world->config.sentinels; i++)
        for (unsigned k = 0; k < kinds(world); k++)
            tick(world, network_link(world, agent, i, k == 1));
    for (unsigned i = 0; i < world->config.services; i++)
        tick_probe(world, agent, i);
    voter_group_tick(self->group, agent_now_ms(world, agent));
    agent_settle(world, agent);
}

void agent_connected(struct world *world, struct sim_link *link)
{
    struct conversation *conversation = conversation_of(world, link);

    if (conversation->phase != CONVERSATION_CONNECTING)
        return;
    conversation_connected(conversation, agent_now_ms(world, link->agent));
    agent_settle(world, link->agent);
}

void agent_lost(struct world *world, struct sim_link *link)
{
    conversation_lost(conversation_of(world, link), "reset", CONVERSATION_END_CLOSED,
                      agent_now_ms(world, link->agent));
    network_close(world, link);
    agent_settle(world, link->agent);
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
    struct conversation *conversation = conversation_of(world, link);
    unsigned times = item->kind == REPLY_ITEM_SUBSCRIBED ? CHANNELS : 1;

    reply_build(&built, item, world->sentinels[link->sentinel].mapped_text);
    hear_views(world, link, item, event->sent_ms);
    ghost_told(world, link, item, event->sent_ms);
    bool is_identity = item->kind == REPLY_ITEM_MYID || item->kind == REPLY_ITEM_RUN_ID;
    if (is_identity)
        link->is_ready = !link->is_dead;
    /* Votes begin to come in, those of a Sentinel without identity too: they can raise a suspicion. */
    if (is_identity || (item->kind == REPLY_ITEM_REFUSED && !link->is_refused))
        ghost_disturbed(world, link->agent);
    link->is_refused = link->is_refused || item->kind == REPLY_ITEM_REFUSED;
    for (unsigned i = 0; i < times; i++) {
        enum conversation_action action =
            conversation_reply(conversation, &built.reply, agent_now_ms(world, link->agent));
        obey(world, link, action);
        if (action != CONVERSATION_NOTHING)
            return false;
    }
    ask_after_changes(world, link->agent);
    return true;
}

void agent_receive(struct world *world, struct sim_link *link, const struct event *event)
{
    for (unsigned i = 0; i < event->count; i++)
        if (!take_item(world, link, event, &event->items[i]))
            break;
    agent_settle(world, link->agent);
}

void agent_receive_stale(struct world *world, struct sim_link *link, const struct event *event)
{
    struct built_reply built;
    struct conversation *conversation = conversation_of(world, link);

    if (conversation->phase == CONVERSATION_TALKING)
        return;
    reply_build(&built, &event->items[0], false);
    if (conversation_reply(conversation, &built.reply, agent_now_ms(world, link->agent)) !=
        CONVERSATION_NOTHING)
        ghost_violation(world, "stale", "a closed conversation took a reply");
    ask_after_changes(world, link->agent);
}

/* ---- the process ---- */

static const struct service_server *server_map(unsigned service)
{
    static struct service_server servers[SIM_SERVICES_MAX][SIM_SERVERS];
    static const char *const names[] = {"R1", "R2", "R3"};

    for (unsigned i = 0; i < SIM_SERVERS && servers[service][i].name == NULL; i++) {
        struct built_reply built;
        struct event_item item = {.kind = REPLY_ITEM_VIEW, .service = (uint8_t)service, .value = (int8_t)i};
        reply_build(&built, &item, false);
        servers[service][i].name = names[i];
        if (!addr_from_parts(built.elements[0].text, built.elements[1].text, &servers[service][i].addr))
            abort();
    }
    return servers[service];
}

static void start_service(struct world *world, unsigned agent, unsigned index)
{
    struct sim_agent *self = &world->agents[agent];
    const struct sim_config *config = &world->config;

    self->service_settings[index] = (struct service_settings){
        .name = service_names[index],
        .monitor = monitor_names[index],
        .slot = index * SIM_SLOTS,
        .servers = server_map(index),
        .server_count = SIM_SERVERS,
        .allow_any_address = config->allow_any_address,
        .quorum =
            {
                .identities = self->identities,
                .voters = config->sentinels,
                .threshold = config->threshold,
                .reply_timeout_ms = config->reply_timeout_ms,
                .vote_life_ms = config->vote_life_ms,
                .hold_ms = QUORUM_HOLD_MS,
                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS,
            },
        .policy = config->policy,
    };
    self->services[index] = service_create(&self->service_settings[index], agent_now_ms(world, agent));
    self->seen_state[index] = SERVICE_STARTING;
    self->seen_generation[index] = 0;
    self->seen_fenced[index] = false;
}

static void start_voter(struct world *world, unsigned agent, unsigned index)
{
    struct sim_agent *self = &world->agents[agent];

    if (world->config.source == VOTER_SOURCE_SENTINEL) {
        sentinel_voter_init(&self->voters[index], &self->sentinel_settings, self->group, index,
                            voter_names[index], &self->metrics, rng_next(&world->rng),
                            agent_now_ms(world, agent));
        return;
    }
    struct built_reply built;
    const struct event_item own = {.kind = REPLY_ITEM_VIEW, .value = (int8_t)index};
    reply_build(&built, &own, false);
    if (!addr_from_parts(built.elements[0].text, built.elements[1].text, &self->node_addresses[index]))
        abort();
    node_voter_init(&self->node_voters[index], &self->node_settings, self->group, index,
                    &self->node_addresses[index], voter_names[index], &self->metrics, rng_next(&world->rng),
                    agent_now_ms(world, agent));
}

static void start_voters(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    uint32_t poll_ms = (uint32_t)world->config.poll_ms;
    uint32_t reply_timeout_ms = (uint32_t)world->config.reply_timeout_ms;

    self->sentinel_settings = (struct sentinel_settings){
        .credentials = {.username = world->config.password ? "haproxy" : NULL,
                        .password = world->config.password ? "secret" : NULL},
        .poll_ms = poll_ms,
        .query = peer_times(SIM_CONNECT_TIMEOUT_MS, poll_ms, reply_timeout_ms),
        .hints = peer_times_of_listener(SIM_CONNECT_TIMEOUT_MS, reply_timeout_ms),
    };
    self->node_settings = (struct node_settings){
        .source = world->config.source,
        .credentials = self->sentinel_settings.credentials,
        .poll_ms = poll_ms,
        .conversation = self->sentinel_settings.query,
    };
    for (unsigned i = 0; i < world->config.sentinels; i++)
        start_voter(world, agent, i);
}

/* As io/role_links.c. */
static void aim_probe(struct service_observer *self, const struct service *service,
                      const struct service_change *change)
{
    struct sim_probe *probe = container_of(self, struct sim_probe, observer);

    (void)service;
    if (change->after->addr != NULL)
        role_probe_aim(&probe->probe, change->after->addr, change->now_ms);
}

static void start_probes(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];
    uint32_t poll_ms = (uint32_t)world->config.poll_ms;

    self->probe_settings = (struct role_probe_settings){
        .credentials = {.password = world->config.password ? "secret" : NULL},
        .interval_ms = poll_ms,
        .conversation = peer_times(SIM_CONNECT_TIMEOUT_MS, poll_ms, (uint32_t)world->config.reply_timeout_ms),
    };
    for (unsigned i = 0; i < world->config.services; i++) {
        struct sim_probe *probe = &self->probes[i];
        role_probe_init(&probe->probe, &self->probe_settings, self->group, i, &self->metrics,
                        rng_next(&world->rng));
        probe->is_open = false;
        probe->generation++;
        probe->observer.changed = aim_probe;
        if (world->config.policy.role_check != ROLE_CHECK_OFF)
            service_observe(self->services[i], &probe->observer);
    }
}

void agent_start(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    self->table = service_table_create(NULL);
    for (unsigned i = 0; i < world->config.services; i++)
        start_service(world, agent, i);
    struct voter_group_options options = {
        .name = "",
        .source = world->config.source,
        .voter_count = world->config.sentinels,
        .voter_names = voter_names,
        .services = self->services,
        .service_count = world->config.services,
        .identities = self->identities,
        .metrics = &self->metrics,
    };
    self->group = voter_group_create(&options, agent_now_ms(world, agent));
    start_voters(world, agent);
    start_probes(world, agent);
    for (unsigned i = 0; i < world->config.services; i++)
        if (!service_table_add(self->table, self->services[i]))
            abort();
    self->draining = false;
    spop_session_init(&self->session, self->table, &self->metrics, &self->draining);
    self->stalled_until_ms = 0;
    self->wake_ms = world->now_ms;
    self->last_wake_ms = 0;
    ghost_agent_started(world, agent);
    asker_greet(world, agent);
}

void agent_stop(struct world *world, unsigned agent)
{
    struct sim_agent *self = &world->agents[agent];

    network_forget(world, agent);
    service_table_destroy(self->table);
    voter_group_destroy(self->group);
    for (unsigned i = 0; i < world->config.services; i++)
        service_destroy(self->services[i]);
}
