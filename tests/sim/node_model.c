#include "tests/sim/node_model.h"

#include <string.h>

#include "tests/sim/agent_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/replies.h"

/* What an item of an event is; `value` of replies: the role that the node had. */
enum node_item {
    NODE_ITEM_CONNECT,
    NODE_ITEM_LOST,
    NODE_ITEM_AUTH,
    NODE_ITEM_SETNAME,
    NODE_ITEM_PING,
    NODE_ITEM_ROLE,
    NODE_ITEM_INFO,
};

void node_start_all(struct world *world)
{
    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++)
        for (unsigned k = 0; k < SIM_ADDRESSES; k++)
            world->nodes[i][k] = NODE_ROLE_MASTER;
    memset(world->node_stopped_until_ms, 0, sizeof(world->node_stopped_until_ms));
}

void node_set_role(struct world *world, unsigned service, unsigned address, int role)
{
    world->nodes[service][address] = (int8_t)role;
    ghost_node_changed(world, service);
    world_trace(world, "node %u of service %u is %d", address, service, role);
}

void node_stop(struct world *world, unsigned service, unsigned address, int64_t until_ms)
{
    int64_t *stopped_until_ms = &world->node_stopped_until_ms[service][address];

    /* What was put off would else be overtaken. */
    if (until_ms > *stopped_until_ms)
        *stopped_until_ms = until_ms;
    ghost_node_changed(world, service);
    world_trace(world, "node %u of service %u is stopped until %lld", address, service,
                (long long)(until_ms - SIM_START_MS));
}

static void send_event(struct world *world, struct sim_set *set, unsigned service, struct event *event)
{
    struct sim_probe *probe = set->probes[service];
    int64_t at_ms = world->now_ms + rng_between(&world->rng, 0, probe->delay_ms);

    if (at_ms < probe->last_ms[event->kind == EVENT_PROBE])
        at_ms = probe->last_ms[event->kind == EVENT_PROBE];
    probe->last_ms[event->kind == EVENT_PROBE] = at_ms;
    event->at_ms = at_ms;
    event->target = probe->number;
    event->generation = probe->generation;
    event_queue_push(&world->queue, event);
}

void node_connect(struct world *world, struct sim_set *set, unsigned service)
{
    struct sim_probe *probe = set->probes[service];
    struct event event = {.kind = EVENT_NODE, .count = 1, .items = {{.kind = NODE_ITEM_CONNECT}}};

    if (!probe->probe.is_aimed) {
        ghost_violation(world, "probe", "agent %u service %u: a probe calls nobody", set->agent, service);
        return;
    }
    probe->generation++;
    probe->is_open = true;
    probe->is_proven = false;
    probe->is_dead = false;
    probe->unheard = 0;
    probe->address = (uint8_t)reply_number(&probe->probe.target);
    probe->delay_ms = rng_chance(&world->rng, 85) ? 2 : rng_between(&world->rng, 20, 700);
    probe->last_ms[0] = probe->last_ms[1] = 0;
    send_event(world, set, service, &event);
}

void node_close(struct sim_set *set, unsigned service)
{
    set->probes[service]->is_open = false;
}

static enum node_item read_command(const struct conversation_command *command)
{
    static const struct {
        const char *word;
        enum node_item item;
    } words[] = {{"AUTH", NODE_ITEM_AUTH},
                 {"CLIENT", NODE_ITEM_SETNAME},
                 {"PING", NODE_ITEM_PING},
                 {"INFO", NODE_ITEM_INFO}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (span_equals_text(command->args[0], words[i].word))
            return words[i].item;
    return NODE_ITEM_ROLE;
}

void node_pump(struct world *world, struct sim_set *set, unsigned service)
{
    struct sim_probe *probe = set->probes[service];
    struct conversation_command command;
    struct event event = {.kind = EVENT_NODE, .sent_ms = agent_now_ms(world, set->agent)};

    while (probe->is_open && conversation_next(&probe->probe.conversation, event.sent_ms, &command)) {
        enum node_item item = read_command(&command);
        if (item == NODE_ITEM_PING && ++probe->unheard == 2)
            probe->unheard_ms = event.sent_ms;
        event.items[event.count++].kind = (uint8_t)item;
    }
    if (event.count > 0)
        send_event(world, set, service, &event);
}

/* Two PINGs had no answer in time, on a link that has worked. */
void node_note_silence(struct world *world, struct sim_set *set, unsigned service)
{
    struct sim_probe *probe = set->probes[service];
    const struct conversation *conversation = &probe->probe.conversation;
    int64_t waited_ms = agent_now_ms(world, set->agent) - probe->unheard_ms;

    if (!probe->is_open || !probe->is_proven || probe->is_silent || probe->unheard < 2 ||
        waited_ms < set->file.reply_timeout_ms || conversation->restarts)
        return;
    probe->is_silent = true;
    world->counts.silences++;
    ghost_doubted(world, set, service, probe->address, DOUBT_SILENT);
}

/* Whether nothing comes of what reaches a node now, or not yet. */
static bool is_kept_from(struct world *world, const struct event *event, unsigned service,
                         struct sim_probe *probe)
{
    int64_t until_ms = world->node_stopped_until_ms[service][probe->address];
    struct event later = *event;

    /* TCP loses nothing in between. */
    if (world->nodes[service][probe->address] == SIM_NODE_GONE)
        probe->is_dead = true;
    if (probe->is_dead)
        return true;
    if (until_ms <= world->now_ms || world->nodes[service][probe->address] == SIM_NODE_DOWN ||
        event->items[0].kind == NODE_ITEM_CONNECT)
        return false;
    event_queue_put_off(&world->queue, &later, until_ms);
    return true;
}

/* The node answers with what it is now; one that is down refuses. */
void node_receive(struct world *world, const struct event *event)
{
    struct sim_probe *probe = &world->probes[event->target];
    struct sim_set *set = probe->set;
    unsigned service = event->target % SIM_SERVICES_MAX;
    struct event answer = *event;

    if (!probe->is_open || probe->generation != event->generation ||
        is_kept_from(world, event, service, probe))
        return;
    int8_t role = world->nodes[service][probe->address];
    if (set->file.has_wrong_password && role != SIM_NODE_DOWN)
        role = NODE_ROLE_UNKNOWN;
    answer.kind = EVENT_PROBE;
    if (role == SIM_NODE_DOWN) {
        answer.count = 1;
        answer.items[0].kind = NODE_ITEM_LOST;
    }
    for (unsigned i = 0; i < answer.count; i++)
        answer.items[i].value = role;
    send_event(world, set, service, &answer);
}

static void build_reply(const struct event_item *item, struct reply *reply, struct reply *element)
{
    *reply = (struct reply){.kind = REPLY_TEXT, .text = span_of_text("OK")};
    if (item->kind == NODE_ITEM_PING && item->value == NODE_ROLE_LOADING)
        *reply = (struct reply){.kind = REPLY_ERROR, .text = span_of_text("LOADING Redis is loading")};
    if (item->kind == NODE_ITEM_INFO && item->value == NODE_ROLE_MASTER)
        reply->text = span_of_text("role:master\r\nconnected_slaves:0\r\n");
    if (item->kind != NODE_ITEM_ROLE)
        return;
    if (item->value == NODE_ROLE_UNKNOWN) {
        *reply = (struct reply){.kind = REPLY_ERROR, .text = span_of_text("NOAUTH Authentication required.")};
        return;
    }
    *element = (struct reply){
        .kind = REPLY_TEXT,
        .text = span_of_text(item->value == NODE_ROLE_REPLICA ? "slave" : "master"),
    };
    *reply = (struct reply){.kind = REPLY_ARRAY, .elements = element, .count = 1};
}

/* True where the connection stays. */
static bool take_item(struct world *world, struct sim_set *set, unsigned service, const struct event *event,
                      const struct event_item *item)
{
    struct sim_probe *probe = set->probes[service];
    struct conversation *conversation = &probe->probe.conversation;
    struct reply reply;
    struct reply element;

    if (item->kind == NODE_ITEM_CONNECT) {
        conversation_connected(conversation, agent_now_ms(world, set->agent));
        return true;
    }
    if (item->kind == NODE_ITEM_LOST) {
        bool is_there = conversation->phase == CONVERSATION_TALKING;
        if (is_there && probe->is_proven && !conversation->restarts)
            ghost_doubted(world, set, service, probe->address, DOUBT_CLOSED);
        else if (!is_there && !conversation->restarts)
            ghost_refused(world, set, service, probe->address);
        conversation_lost(conversation, is_there ? "reset" : "refused",
                          is_there ? CONVERSATION_END_CLOSED : CONVERSATION_END_REFUSED,
                          agent_now_ms(world, set->agent));
        probe->is_open = false;
        return false;
    }
    probe->unheard = 0;
    probe->is_silent = false;
    /* One that is aimed at another node by now must not take it for that one's word. */
    if (item->kind == NODE_ITEM_ROLE && !conversation->restarts) {
        ghost_present(world, set, service, probe->address);
        probe->is_proven = probe->is_proven || item->value != NODE_ROLE_UNKNOWN;
        if (item->value != NODE_ROLE_UNKNOWN)
            ghost_role(world, set, service, probe->address, item->value, event->sent_ms);
    }
    build_reply(item, &reply, &element);
    if (conversation_reply(conversation, &reply, agent_now_ms(world, set->agent)) != CONVERSATION_NOTHING)
        ghost_violation(world, "probe", "a probe did not like the reply %u", item->kind);
    return true;
}

void node_reply(struct world *world, const struct event *event)
{
    const struct sim_probe *probe = &world->probes[event->target];
    struct sim_set *set = probe->set;
    unsigned service = event->target % SIM_SERVICES_MAX;

    if (!probe->is_open || probe->generation != event->generation)
        return;
    for (unsigned i = 0; i < event->count; i++)
        if (!take_item(world, set, service, event, &event->items[i]))
            break;
    agent_settle(world, set->agent);
}
