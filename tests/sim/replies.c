#include "tests/sim/replies.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sentinel_model.h"

__attribute__((format(printf, 3, 4))) static void add_text(struct built_reply *built, size_t element,
                                                           const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(built->texts[element], REPLY_TEXT_MAX, format, arguments);
    va_end(arguments);
    built->elements[element] =
        (struct reply){.kind = REPLY_TEXT, .text = span_of_text(built->texts[element])};
}

/* The last byte of both addresses is the number. */
static void write_host(char text[REPLY_TEXT_MAX], unsigned service, int8_t address, enum sim_form form)
{
    bool is_alias = form == SIM_FORM_ALIAS && address < SIM_SERVERS;

    (void)snprintf(text, REPLY_TEXT_MAX, "%s10.%d.%u.%d", form == SIM_FORM_MAPPED ? "::ffff:" : "",
                   is_alias ? 2 : 1, service, address + 1);
}

static void make_array(struct built_reply *built, size_t count)
{
    built->reply = (struct reply){.kind = REPLY_ARRAY, .elements = built->elements, .count = count};
}

static void make_text(struct built_reply *built, enum reply_kind kind, const char *text)
{
    built->reply = (struct reply){.kind = kind, .text = span_of_text(text)};
}

static void build_view(struct built_reply *built, const struct event_item *item, enum sim_form form)
{
    char host[REPLY_TEXT_MAX];

    switch (item->value) {
    case VIEW_NIL:
        built->reply = (struct reply){.kind = REPLY_NIL};
        return;
    case VIEW_ERROR:
        make_text(built, REPLY_ERROR, "LOADING the dataset is in memory soon");
        return;
    case VIEW_DENIED:
        make_text(built, REPLY_ERROR, "NOAUTH Authentication required.");
        return;
    case VIEW_NONSENSE:
        built->reply = (struct reply){.kind = REPLY_INTEGER, .number = 1};
        return;
    case VIEW_EMPTY_HOST:
        add_text(built, 0, "%s", "");
        add_text(built, 1, "%d", SIM_PORT);
        break;
    case VIEW_PORT_ZERO:
        add_text(built, 0, "10.1.%d.1", item->service);
        add_text(built, 1, "%d", 0);
        break;
    default:
        write_host(host, item->service, item->value, form);
        add_text(built, 0, "%s", host);
        add_text(built, 1, "%d", SIM_PORT + item->value);
        break;
    }
    make_array(built, 2);
}

/* The forms of payloads: sentinel.c of Redis, sentinelEvent(). */
static void build_hint(struct built_reply *built, const struct event_item *item)
{
    int service = item->service;
    int to = item->value;
    int from = item->kind == REPLY_ITEM_HINT_TRY ? to : (to + 1) % SIM_SERVERS;
    const char *channel = "";
    char *payload = built->texts[2];

    add_text(built, 2, "master m%d 10.1.%d.%d %d", service, service, from + 1, SIM_PORT + from);
    switch ((enum reply_item_kind)item->kind) {
    case REPLY_ITEM_HINT_SWITCH:
        channel = "+switch-master";
        (void)snprintf(payload, REPLY_TEXT_MAX, "m%d 10.1.%d.%d %d 10.1.%d.%d %d", service, service, from + 1,
                       SIM_PORT + from, service, to + 1, SIM_PORT + to);
        break;
    case REPLY_ITEM_HINT_PROMOTED:
        channel = "+promoted-slave";
        (void)snprintf(payload, REPLY_TEXT_MAX, "slave 10.1.%d.%d:%d 10.1.%d.%d %d @ m%d 10.1.%d.%d %d",
                       service, to + 1, SIM_PORT + to, service, to + 1, SIM_PORT + to, service, service,
                       from + 1, SIM_PORT + from);
        break;
    case REPLY_ITEM_HINT_UPDATE_FROM:
        channel = "+config-update-from";
        (void)snprintf(payload, REPLY_TEXT_MAX, "sentinel %040x 10.0.0.1 26379 @ m%d 10.1.%d.%d %d", 1u,
                       service, service, from + 1, SIM_PORT + from);
        break;
    case REPLY_ITEM_HINT_TRY:
        channel = "+try-failover";
        break;
    case REPLY_ITEM_HINT_RECONF:
        channel = "+failover-state-reconf-slaves";
        break;
    default:
        channel = "+odown";
        break;
    }
    add_text(built, 0, "message");
    add_text(built, 1, "%s", channel);
    built->elements[2].text = span_of_text(payload);
    make_array(built, 3);
}

/* Host and port as ROLE and CLUSTER SLOTS have them: texts from `text` on, the port a number. */
static void build_node(struct built_reply *built, unsigned text, unsigned service, int8_t view,
                       enum sim_form form, struct reply pair[2])
{
    char *host = built->texts[text];

    write_host(host, service, view, form);
    pair[0] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text(view == VIEW_EMPTY_HOST ? "?" : host)};
    pair[1] = (struct reply){.kind = REPLY_INTEGER, .number = view == VIEW_PORT_ZERO ? 0 : SIM_PORT + view};
    if (view < 0 && view != VIEW_EMPTY_HOST && view != VIEW_PORT_ZERO)
        pair[0] = (struct reply){.kind = REPLY_INTEGER};
}

static void build_role(struct built_reply *built, const struct event_item *item, enum sim_form form)
{
    add_text(built, 0, "%s", item->kind == REPLY_ITEM_MASTER ? "master" : "slave");
    build_node(built, 1, 0, item->value, form, &built->elements[1]);
    make_array(built, 3);
}

static void build_link(struct built_reply *built, const struct event_item *item, enum sim_form form)
{
    bool is_down = item->kind == REPLY_ITEM_LINK_DOWN;
    int seconds = item->age_ms / 1000;
    char host[REPLY_TEXT_MAX];

    write_host(host, 0, item->value, form);
    (void)snprintf(built->info, sizeof(built->info),
                   "# Replication\r\nrole:%s\r\nmaster_host:%s\r\nmaster_port:%d\r\nmaster_link_status:%s\r\n"
                   "master_last_io_seconds_ago:%d\r\nmaster_sync_in_progress:0\r\n"
                   "master_link_down_since_seconds:%d\r\n",
                   item->kind == REPLY_ITEM_LINK_MASTER ? "master" : "slave", host, SIM_PORT + item->value,
                   is_down ? "down" : "up", is_down ? -1 : seconds, seconds);
    make_text(built, REPLY_TEXT, built->info);
}

static void build_slots(struct built_reply *built, const struct event_item *item, enum sim_form form)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SIM_SERVICES_MAX; i++) {
        if (item->views[i] == VIEW_NIL)
            continue; /* nobody has these slots */
        struct reply *range = built->inner[count];
        struct reply *pair = &built->elements[SIM_SERVICES_MAX + 2 * count];
        build_node(built, count, i, item->views[i], form, pair);
        range[0] = (struct reply){.kind = REPLY_INTEGER, .number = i * SIM_SLOTS};
        range[1] = (struct reply){.kind = REPLY_INTEGER, .number = (i + 1) * SIM_SLOTS - 1};
        range[2] = (struct reply){.kind = REPLY_ARRAY, .elements = pair, .count = 2};
        built->elements[count] = (struct reply){.kind = REPLY_ARRAY, .elements = range, .count = 3};
        count++;
    }
    make_array(built, count);
}

static void build_facts(struct built_reply *built, const struct event_item *item)
{
    bool is_down = item->kind == REPLY_ITEM_FACTS_DOWN;

    add_text(built, 0, "name");
    add_text(built, 1, "m%d", item->service);
    add_text(built, 2, "ip");
    add_text(built, 3, "10.1.%d.%d", item->service, item->value + 1);
    add_text(built, 4, "port");
    add_text(built, 5, "%d", SIM_PORT + item->value);
    add_text(built, 6, "flags");
    add_text(built, 7, "%s", is_down ? "s_down,o_down,master" : "master");
    add_text(built, 8, "down-after-milliseconds");
    add_text(built, 9, "%d", item->down_after_ms);
    add_text(built, 10, "last-ok-ping-reply");
    add_text(built, 11, "%d", item->age_ms);
    add_text(built, 12, "last-ping-sent");
    add_text(built, 13, "%d", item->age_ms);
    make_array(built, 14);
}

/* As many others as any majority needs, all of one age. */
static void build_peers(struct built_reply *built, const struct event_item *item)
{
    for (unsigned i = 0; i < SIM_SENTINELS_MAX - 1; i++) {
        struct reply *fields = built->parts[i];
        add_text(built, 2 * i, "%040x", 0xfff0 + i);
        add_text(built, 2 * i + 1, "%d", item->age_ms);
        fields[0] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text("runid")};
        fields[1] = built->elements[2 * i];
        fields[2] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text("last-ok-ping-reply")};
        fields[3] = built->elements[2 * i + 1];
    }
    for (unsigned i = 0; i < SIM_SENTINELS_MAX - 1; i++)
        built->elements[i] = (struct reply){.kind = REPLY_ARRAY, .elements = built->parts[i], .count = 4};
    make_array(built, SIM_SENTINELS_MAX - 1);
}

static void build_replicas(struct built_reply *built, const struct event_item *item)
{
    struct reply *replica = &built->inner[0][0];

    add_text(built, 0, "ip");
    add_text(built, 1, "10.1.%d.%d", item->service, item->value + 1);
    add_text(built, 2, "port");
    add_text(built, 3, "%d", SIM_PORT + item->value);
    add_text(built, 4, "flags");
    add_text(built, 5, "slave");
    add_text(built, 6, "master-host");
    add_text(built, 7, "10.1.%d.1", item->service);
    add_text(built, 8, "master-port");
    add_text(built, 9, "%d", SIM_PORT);
    *replica = (struct reply){.kind = REPLY_ARRAY, .elements = built->elements, .count = 10};
    built->reply = (struct reply){.kind = REPLY_ARRAY, .elements = replica, .count = 1};
}

static void build_run_id(struct built_reply *built, const struct event_item *item)
{
    (void)snprintf(built->texts[0], REPLY_TEXT_MAX, "# Server\r\nrun_id:%040x\r\n", (unsigned)item->value);
    make_text(built, REPLY_TEXT, built->texts[0]);
}

void reply_build_subscribed(struct built_reply *built)
{
    add_text(built, 0, "subscribe");
    add_text(built, 1, "+switch-master");
    built->elements[2] = (struct reply){.kind = REPLY_INTEGER, .number = 1};
    make_array(built, 3);
}

/* What only nodes say. False if it is nothing of that. */
static bool build_of_node(struct built_reply *built, const struct event_item *item, enum sim_form form)
{
    switch ((enum reply_item_kind)item->kind) {
    case REPLY_ITEM_RUN_ID:
        build_run_id(built, item);
        break;
    case REPLY_ITEM_ROLE:
    case REPLY_ITEM_MASTER:
        build_role(built, item, form);
        break;
    case REPLY_ITEM_LINK:
    case REPLY_ITEM_LINK_DOWN:
    case REPLY_ITEM_LINK_MASTER:
        build_link(built, item, form);
        break;
    case REPLY_ITEM_CLUSTER_INFO:
        make_text(built, REPLY_TEXT, item->value == 1 ? "cluster_state:ok\r\n" : "cluster_state:fail\r\n");
        break;
    case REPLY_ITEM_SLOTS:
        build_slots(built, item, form);
        break;
    default:
        return false;
    }
    return true;
}

void reply_build(struct built_reply *built, const struct event_item *item, enum sim_form form)
{
    switch ((enum reply_item_kind)item->kind) {
    case REPLY_ITEM_OK:
        make_text(built, REPLY_TEXT, "OK");
        break;
    case REPLY_ITEM_AUTH_UNNEEDED:
        make_text(built, REPLY_ERROR, "ERR Client sent AUTH, but no password is set");
        break;
    case REPLY_ITEM_MYID:
        (void)snprintf(built->texts[0], REPLY_TEXT_MAX, "%040x", (unsigned)item->value);
        make_text(built, REPLY_TEXT, built->texts[0]);
        break;
    case REPLY_ITEM_REFUSED:
        make_text(built, REPLY_ERROR,
                  item->value == VIEW_DENIED ? "NOAUTH Authentication required."
                                             : "NOPERM this user has no permissions to run that command");
        break;
    case REPLY_ITEM_VIEW:
        build_view(built, item, form);
        break;
    case REPLY_ITEM_FACTS:
    case REPLY_ITEM_FACTS_DOWN:
        build_facts(built, item);
        break;
    case REPLY_ITEM_WITNESS:
        if (item->value == 1)
            make_text(built, REPLY_TEXT,
                      "OK 3 usable Sentinels. Quorum and failover authorization can be reached");
        else
            make_text(built, REPLY_ERROR, "NOQUORUM 1 usable Sentinels. Not enough available Sentinels");
        break;
    case REPLY_ITEM_REPLICAS:
        build_replicas(built, item);
        break;
    case REPLY_ITEM_PEERS:
        build_peers(built, item);
        break;
    case REPLY_ITEM_SUBSCRIBED:
        reply_build_subscribed(built);
        break;
    default:
        if (!build_of_node(built, item, form))
            build_hint(built, item);
        break;
    }
}

struct addr reply_address(unsigned service, int8_t address, enum sim_form form)
{
    const struct event_item item = {.kind = REPLY_ITEM_VIEW, .service = (uint8_t)service, .value = address};
    struct built_reply built;
    struct addr addr;

    reply_build(&built, &item, form);
    if (!addr_from_parts(built.elements[0].text, built.elements[1].text, &addr))
        abort();
    return addr;
}

int8_t reply_number(const struct addr *addr)
{
    return (int8_t)(addr->ip[3] - 1);
}

static bool command_is(const struct conversation_command *command, size_t argument, const char *text)
{
    return command->count > argument && span_equals_text(command->args[argument], text);
}

/* A command about one service. */
static bool read_question(const struct conversation_command *command, struct event_item *ret_item)
{
    static const struct {
        const char *word;
        enum command_kind kind;
    } questions[] = {
        {"GET-MASTER-ADDR-BY-NAME", COMMAND_GET_MASTER},
        {"MASTER", COMMAND_FACTS},
        {"CKQUORUM", COMMAND_WITNESS},
        {"REPLICAS", COMMAND_REPLICAS},
        {"SENTINELS", COMMAND_PEERS},
    };

    if (!command_is(command, 0, "SENTINEL") || command->count != 3 || command->args[2].len != 2 ||
        command->args[2].data[0] != 'm')
        return false;
    ret_item->service = (uint8_t)(command->args[2].data[1] - '0');
    for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++)
        if (command_is(command, 1, questions[i].word)) {
            ret_item->kind = (uint8_t)questions[i].kind;
            return ret_item->service < SIM_SERVICES_MAX;
        }
    return false;
}

/* A command to a node. */
static bool read_node_command(const struct conversation_command *command, struct event_item *ret_item)
{
    if (command_is(command, 0, "INFO") && command_is(command, 1, "server"))
        ret_item->kind = COMMAND_RUN_ID;
    else if (command_is(command, 0, "INFO") && command_is(command, 1, "replication"))
        ret_item->kind = COMMAND_LINK;
    else if (command_is(command, 0, "ROLE"))
        ret_item->kind = COMMAND_ROLE;
    else if (command_is(command, 0, "CLUSTER") && command_is(command, 1, "MYID"))
        ret_item->kind = COMMAND_MYID;
    else if (command_is(command, 0, "CLUSTER") && command_is(command, 1, "INFO"))
        ret_item->kind = COMMAND_CLUSTER_INFO;
    else if (command_is(command, 0, "CLUSTER") && command_is(command, 1, "SLOTS"))
        ret_item->kind = COMMAND_SLOTS;
    else
        return false;
    return true;
}

bool command_read(const struct conversation_command *command, struct event_item *ret_item)
{
    if (command_is(command, 0, "AUTH") && command_is(command, 1, "haproxy") && command->count == 3)
        ret_item->kind = COMMAND_AUTH;
    else if (command_is(command, 0, "CLIENT") && command_is(command, 1, "SETNAME") && command->count == 3)
        ret_item->kind = COMMAND_SETNAME;
    else if (command_is(command, 0, "SENTINEL") && command_is(command, 1, "MYID") && command->count == 2)
        ret_item->kind = COMMAND_MYID;
    else if (command_is(command, 0, "SUBSCRIBE") && command->count > 1)
        ret_item->kind = COMMAND_SUBSCRIBE;
    else
        return read_node_command(command, ret_item) || read_question(command, ret_item);
    return true;
}
