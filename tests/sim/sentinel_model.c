#include "tests/sim/sentinel_model.h"

#include "tests/sim/ghost.h"
#include "tests/sim/network.h"

void sentinel_start_all(struct world *world)
{
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        struct sim_sentinel *sentinel = &world->sentinels[i];
        *sentinel = (struct sim_sentinel){
            .up = true,
            .identity = world->identities++,
            .refuses_subscribe = rng_chance(&world->rng, 10),
            .refuses_myid = rng_chance(&world->rng, 2),
            .form = rng_chance(&world->rng, 5) ? SIM_FORM_MAPPED
                    : i % 3 == 1               ? SIM_FORM_ALIAS
                                               : SIM_FORM_PLAIN,
        };
        /* A cloned configuration file: two Sentinels with one MYID. */
        if (i > 0 && rng_chance(&world->rng, 1))
            sentinel->identity = world->sentinels[i - 1].identity;
        for (unsigned k = 0; k < world->config.services; k++)
            ghost_view(world, i, k, 0, false);
    }
}

/* A link that is silent goes down after this time. */
#define REPL_TIMEOUT_MS 2500
/* In health a master's PING reaches its replicas that often. */
#define REPL_PING_MS 1100

/* Both clock readings are cut to whole seconds, so an age may be shown longer than it is. */
static void answer_link(const struct world *world, unsigned number, struct event_item *item)
{
    const struct sim_sentinel *sentinel = &world->sentinels[number];
    int64_t lost_ms = sentinel->master_lost_ms[0];
    int64_t since_ms = lost_ms == 0 ? world->now_ms - world->now_ms % REPL_PING_MS : lost_ms;

    item->value = sentinel->views[0];
    item->kind = REPLY_ITEM_LINK;
    if (lost_ms != 0 && world->now_ms - lost_ms >= REPL_TIMEOUT_MS) {
        item->kind = REPLY_ITEM_LINK_DOWN;
        since_ms = lost_ms + REPL_TIMEOUT_MS;
    }
    item->age_ms = (int32_t)(world->now_ms / 1000 - since_ms / 1000) * 1000;
    if (item->value == (int8_t)number)
        item->kind = REPLY_ITEM_LINK_MASTER;
    else if (item->value < 0)
        item->kind = REPLY_ITEM_REFUSED;
}

/* What is asked of nodes only. */
static void answer_node_command(const struct world *world, unsigned number, const struct event_item *command,
                                struct event_item *item)
{
    const struct sim_sentinel *sentinel = &world->sentinels[number];

    switch ((enum command_kind)command->kind) {
    case COMMAND_RUN_ID:
        item->kind = sentinel->refuses_myid ? REPLY_ITEM_REFUSED : REPLY_ITEM_RUN_ID;
        item->value = (int8_t)sentinel->identity;
        break;
    case COMMAND_ROLE:
        item->value = sentinel->views[0];
        item->kind = item->value == (int8_t)number ? REPLY_ITEM_MASTER : REPLY_ITEM_ROLE;
        break;
    case COMMAND_LINK:
        answer_link(world, number, item);
        break;
    case COMMAND_CLUSTER_INFO:
        item->kind = REPLY_ITEM_CLUSTER_INFO;
        item->value = !sentinel->sees_no_majority;
        break;
    default:
        item->kind = REPLY_ITEM_SLOTS;
        item->value = !sentinel->sees_no_majority;
        for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
            item->views[i] = sentinel->views[i];
        break;
    }
}

/* In health there is a PING a second. */
static int32_t age_of(const struct world *world, int64_t lost_ms)
{
    int32_t healthy_ms = (int32_t)(world->now_ms % 1000);

    return lost_ms == 0 ? healthy_ms : (int32_t)(world->now_ms - lost_ms);
}

/* `denial`: VIEW_DENIED or VIEW_ERROR where that is all that the agent is told, else 0. */
static struct event_item answer_command(const struct world *world, unsigned number, int8_t denial,
                                        const struct event_item *command)
{
    const struct sim_sentinel *sentinel = &world->sentinels[number];
    struct event_item item = {.kind = REPLY_ITEM_OK, .service = command->service};

    if (denial != 0) {
        item.kind = command->kind == COMMAND_GET_MASTER ? REPLY_ITEM_VIEW : REPLY_ITEM_REFUSED;
        item.value = denial;
        return item;
    }
    switch ((enum command_kind)command->kind) {
    case COMMAND_AUTH:
        item.kind = world->config.password ? REPLY_ITEM_OK : REPLY_ITEM_AUTH_UNNEEDED;
        break;
    case COMMAND_SETNAME:
        break;
    case COMMAND_MYID:
        item.kind = sentinel->refuses_myid ? REPLY_ITEM_REFUSED : REPLY_ITEM_MYID;
        item.value = (int8_t)sentinel->identity;
        break;
    case COMMAND_GET_MASTER:
        item.kind = REPLY_ITEM_VIEW;
        item.value = sentinel->views[command->service];
        break;
    case COMMAND_FACTS:
        item.kind = sentinel->is_down[command->service] ? REPLY_ITEM_FACTS_DOWN : REPLY_ITEM_FACTS;
        item.value = sentinel->views[command->service];
        item.age_ms = age_of(world, sentinel->master_lost_ms[command->service]);
        item.down_after_ms = SIM_DOWN_AFTER_MS + SIM_DOWN_AFTER_STEP_MS * (int32_t)(number % 3);
        if (item.value < 0)
            item.kind = REPLY_ITEM_REFUSED;
        break;
    case COMMAND_WITNESS:
        item.kind = REPLY_ITEM_WITNESS;
        item.value = !sentinel->sees_no_majority;
        break;
    case COMMAND_REPLICAS:
        item.kind = REPLY_ITEM_REPLICAS;
        item.value = SIM_SERVERS; /* which the map lacks */
        break;
    case COMMAND_PEERS:
        item.kind = REPLY_ITEM_PEERS;
        item.age_ms = age_of(world, sentinel->peers_lost_ms);
        break;
    case COMMAND_SUBSCRIBE:
        item.kind = sentinel->refuses_subscribe ? REPLY_ITEM_REFUSED : REPLY_ITEM_SUBSCRIBED;
        break;
    case COMMAND_RUN_ID:
    case COMMAND_ROLE:
    case COMMAND_LINK:
    case COMMAND_CLUSTER_INFO:
    case COMMAND_SLOTS:
        answer_node_command(world, number, command, &item);
        break;
    }
    return item;
}

void sentinel_receive(struct world *world, struct sim_link *link, const struct event *event)
{
    const struct sim_sentinel *sentinel = &world->sentinels[link->sentinel];
    struct event replies = {.kind = EVENT_REPLIES, .sent_ms = event->sent_ms, .count = event->count};

    int8_t denial = 0;

    if (sentinel->denied_until_ms > world->now_ms)
        denial = VIEW_ERROR;
    if (world->sets[link->set].file.has_wrong_password)
        denial = VIEW_DENIED;
    if (!sentinel->up)
        return;
    for (unsigned i = 0; i < event->count; i++) {
        replies.items[i] = answer_command(world, link->sentinel, denial, &event->items[i]);
        if (replies.items[i].kind == REPLY_ITEM_SUBSCRIBED) {
            link->is_ready = true;
            ghost_disturbed(world, link);
        }
    }
    network_send(world, link, TO_AGENT, &replies);
}

void sentinel_publish(struct world *world, unsigned sentinel, unsigned service, enum reply_item_kind hint,
                      int8_t address)
{
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        struct sim_link *link = &world->links[i];
        bool is_early = world->sets[link->set].file.policy.early_fence;
        if (!link->is_hints || !link->is_open || !link->is_ready || link->sentinel != sentinel ||
            (hint == REPLY_ITEM_HINT_TRY && !is_early))
            continue;
        struct event event = {.kind = EVENT_REPLIES, .sent_ms = world->now_ms, .count = 1};
        event.items[0] =
            (struct event_item){.kind = (uint8_t)hint, .service = (uint8_t)service, .value = address};
        network_send(world, link, TO_AGENT, &event);
    }
}

static void publish_change(struct world *world, unsigned sentinel, unsigned service, int8_t address)
{
    if (address < 0)
        address = 0;
    sentinel_publish(world, sentinel, service, REPLY_ITEM_HINT_UPDATE_FROM, address);
    sentinel_publish(world, sentinel, service, REPLY_ITEM_HINT_SWITCH, address);
}

void sentinel_set_view(struct world *world, unsigned sentinel, unsigned service, int8_t view, bool published)
{
    struct sim_sentinel *self = &world->sentinels[sentinel];

    if (self->views[service] == view || self->frozen_until_ms > world->now_ms)
        return;
    self->views[service] = view;
    if (!self->up)
        return;
    if (published)
        publish_change(world, sentinel, service, view);
    ghost_view(world, sentinel, service, view, published);
    world_trace(world, "sentinel %u service %u: view %d%s", sentinel, service, view,
                published ? ", published" : "");
}

/* The forced hello leaves with the next timer tick; one that is lost is repeated after 2 s. */
static int64_t hello_delay_ms(struct rng *rng)
{
    return rng_chance(rng, 85) ? rng_between(rng, 50, 110) : rng_between(rng, 110, 2100);
}

void sentinel_failover(struct world *world, unsigned leader, unsigned service, int8_t address, bool new_epoch)
{
    struct sim_sentinel *self = &world->sentinels[leader];

    if (!self->up || self->frozen_until_ms > world->now_ms)
        return;
    if (new_epoch)
        world->epoch++;
    self->epochs[service] = world->epoch;
    world_trace(world, "failover of service %u to %d by sentinel %u, epoch %u", service, address, leader,
                world->epoch);
    sentinel_publish(world, leader, service, REPLY_ITEM_HINT_PROMOTED, address);
    sentinel_publish(world, leader, service, REPLY_ITEM_HINT_RECONF, address);
    if (self->views[service] != address) {
        self->views[service] = address;
        ghost_view(world, leader, service, address, true);
    }
    struct event hello = {.kind = EVENT_ADOPT, .generation = world->epoch, .count = 1};
    hello.items[0] = (struct event_item){.service = (uint8_t)service, .value = address};
    for (unsigned i = 0; i < world->config.sentinels; i++) {
        hello.target = (uint8_t)i;
        hello.at_ms = world->now_ms + hello_delay_ms(&world->rng);
        if (i != leader)
            event_queue_push(&world->queue, &hello);
    }
    struct event late = {.kind = EVENT_PUBLISH, .target = (uint8_t)leader, .items[0] = hello.items[0]};
    late.at_ms = world->now_ms + rng_between(&world->rng, 1050, 1160);
    event_queue_push(&world->queue, &late);
}

void sentinel_publish_late(struct world *world, const struct event *event)
{
    if (world->sentinels[event->target].up)
        sentinel_publish(world, event->target, event->items[0].service, REPLY_ITEM_HINT_SWITCH,
                         event->items[0].value);
}

/* A greater config-epoch wins, an equal one does not: two forced failovers leave the Sentinels divided. */
void sentinel_adopt(struct world *world, struct event *event)
{
    struct sim_sentinel *self = &world->sentinels[event->target];
    unsigned service = event->items[0].service;
    int64_t busy_until_ms =
        self->frozen_until_ms > self->isolated_until_ms ? self->frozen_until_ms : self->isolated_until_ms;

    if (!self->up || busy_until_ms > world->now_ms) {
        int64_t from_ms = self->up ? busy_until_ms : world->now_ms;
        event_queue_put_off(&world->queue, event, from_ms + rng_between(&world->rng, 1, 2000));
        return;
    }
    if (event->generation <= self->epochs[service])
        return;
    self->epochs[service] = event->generation;
    sentinel_set_view(world, event->target, service, event->items[0].value, true);
}

/* All links that lead to it break. */
static void break_links(struct world *world, unsigned sentinel, bool silently)
{
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++)
        if (world->links[i].is_open && world->links[i].sentinel == sentinel)
            network_break(world, &world->links[i], silently);
}

void sentinel_stop(struct world *world, unsigned sentinel, bool silently)
{
    struct sim_sentinel *self = &world->sentinels[sentinel];

    if (!self->up)
        return;
    world_trace(world, "sentinel %u: down%s", sentinel, silently ? ", silently" : "");
    break_links(world, sentinel, silently);
    self->up = false;
    self->is_silent = silently;
    self->frozen_until_ms = 0;
    for (unsigned i = 0; i < world->config.services; i++)
        ghost_view(world, sentinel, i, VIEW_DOWN, false);
    ghost_shaken(world, world->now_ms);
}

/* A Sentinel that has come up hears a peer's hello, at once or after its period of 2 s. */
static void await_hello(struct world *world, unsigned sentinel, unsigned service)
{
    const struct sim_sentinel *newest = &world->sentinels[sentinel];

    for (unsigned i = 0; i < world->config.sentinels; i++)
        if (world->sentinels[i].up && world->sentinels[i].epochs[service] > newest->epochs[service])
            newest = &world->sentinels[i];
    struct event hello = {
        .kind = EVENT_ADOPT,
        .at_ms = world->now_ms + rng_between(&world->rng, 30, 2000),
        .target = (uint8_t)sentinel,
        .generation = newest->epochs[service],
        .items[0] = {.service = (uint8_t)service, .value = newest->views[service]},
    };
    if (newest != &world->sentinels[sentinel] && newest->views[service] >= 0)
        event_queue_push(&world->queue, &hello);
}

void sentinel_start(struct world *world, unsigned sentinel, bool pristine)
{
    struct sim_sentinel *self = &world->sentinels[sentinel];

    if (self->up)
        return;
    /* Where two entries reach one Sentinel and it gets a new MYID between their questions, the rule cannot
     * tell it from two. Not a state that this world gets into. */
    pristine = pristine && !world->config.shared_routes;
    world_trace(world, "sentinel %u: up%s", sentinel, pristine ? ", pristine" : "");
    self->up = true;
    if (pristine)
        self->identity = world->identities++;
    for (unsigned i = 0; i < world->config.services; i++) {
        if (pristine) {
            self->views[i] = 0;
            self->epochs[i] = 0;
        }
        ghost_view(world, sentinel, i, self->views[i], false);
        await_hello(world, sentinel, i);
    }
    ghost_shaken(world, world->now_ms);
}
