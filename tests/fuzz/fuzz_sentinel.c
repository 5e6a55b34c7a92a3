/*
 * What a voter may send, or a node that is asked for its role: the bytes behind the first one, which says which peer it
 * is and, of a Sentinel, on which of the two conversations. They are parsed at once and byte by byte, which must come to
 * the same; the voter or the probe takes the replies.
 */
#include <string.h>

#include "spoa/core/voters/node_voter.h"
#include "spoa/core/voters/role_probe.h"
#include "spoa/core/voters/sentinel_voter.h"
#include "spoa/io/redis/reply_parser.h"
#include "tests/fuzz/fuzz_world.h"

static struct world world;

/* By the first byte. */
enum channel {
    CHANNEL_QUERY,
    CHANNEL_HINTS,
    CHANNEL_REPLICATION,
    CHANNEL_CLUSTER,
    CHANNEL_PROBE,
    CHANNELS,
};

union voter {
    struct sentinel_voter sentinel;
    struct node_voter node;
    struct role_probe probe;
};

static const struct sentinel_settings *sentinel_settings(void)
{
    static struct sentinel_settings settings = {.poll_ms = 1000, .early = true};

    settings.query = peer_times(500, 1000, 500);
    settings.hints = peer_times_of_listener(500, 500);
    return &settings;
}

static const struct node_settings *node_settings(enum channel channel)
{
    static struct node_settings settings = {.poll_ms = 1000};

    settings.source = channel == CHANNEL_CLUSTER ? VOTER_SOURCE_CLUSTER : VOTER_SOURCE_REPLICATION;
    settings.conversation = peer_times(500, 1000, 500);
    return &settings;
}

/* The probe of R1, which is named and has replicas. */
static struct conversation *choose_probe(struct role_probe *probe)
{
    static struct role_probe_settings settings = {.interval_ms = 1, .reply_timeout_ms = 500};

    settings.conversation = peer_times(500, 1000, 500);
    world.settings.policy.role_check = ROLE_CHECK_VETO;
    world_vote(&world, &world.servers[0]);
    role_probe_init(probe, &settings, world.group, 0, &world.metrics, 1);
    role_probe_aim(probe, &world.servers[0].addr, world.now_ms);
    return &probe->conversation;
}

static struct conversation *choose(union voter *voter, enum channel channel)
{
    if (channel == CHANNEL_QUERY || channel == CHANNEL_HINTS) {
        sentinel_voter_init(&voter->sentinel, sentinel_settings(), world.group, 0, "s0", &world.metrics, 1,
                            world.now_ms);
        return channel == CHANNEL_HINTS ? &voter->sentinel.hints : &voter->sentinel.query;
    }
    if (channel == CHANNEL_PROBE)
        return choose_probe(&voter->probe);
    node_voter_init(&voter->node, node_settings(channel), world.group, 0, &world.servers[0].addr, "n0",
                    &world.metrics, 1, world.now_ms);
    return &voter->node.conversation;
}

static struct conversation *begin(union voter *voter, enum channel channel)
{
    struct conversation *conversation = choose(voter, channel);

    if (conversation->wake_ms > world.now_ms)
        world.now_ms = conversation->wake_ms;
    CHECK(conversation_tick(conversation, world.now_ms) == CONVERSATION_CONNECT);
    conversation_connected(conversation, world.now_ms);
    return conversation;
}

static void say(struct conversation *conversation)
{
    struct conversation_command command;

    while (conversation_next(conversation, world.now_ms, &command))
        CHECK(command.count > 0 && command.count <= CONVERSATION_ARGS_MAX);
}

/* Whoever is named is in the map. */
static void check_decision(void)
{
    const struct service_decision *decision = service_decision(world.service);

    if (decision->addr != NULL && decision->state == SERVICE_OK)
        CHECK(addr_equals(decision->addr, &world.servers[0].addr) ||
              addr_equals(decision->addr, &world.servers[1].addr));
}

static bool keeps(void *context, const struct reply *element)
{
    return conversation_keeps(context, element);
}

/* A copy of each array in memory of its own size: so the sanitizer sees who reads past its end. */
static void copy_elements(struct reply *reply)
{
    struct reply *elements = reply->count > 0 ? malloc(reply->count * sizeof(*elements)) : NULL;

    CHECK(elements != NULL || reply->count == 0);
    for (size_t i = 0; i < reply->count; i++) {
        elements[i] = reply->elements[i];
        copy_elements(&elements[i]);
    }
    reply->elements = elements;
}

static void free_elements(const struct reply *reply)
{
    for (size_t i = 0; i < reply->count; i++)
        free_elements(&reply->elements[i]);
    free((void *)reply->elements);
}

static enum conversation_action take(struct conversation *conversation, const struct reply *reply)
{
    struct reply copy = *reply;

    copy_elements(&copy);
    enum conversation_action action = conversation_reply(conversation, &copy, world.now_ms);
    free_elements(&copy);
    return action;
}

/* The number of replies; to the voter, and through its filter, where there is a conversation. */
static unsigned parse(struct span bytes, size_t step, struct conversation *conversation)
{
    struct reply_parser *parser = reply_parser_create(1024);
    enum reply_parser_result result = REPLY_PARSER_NEEDS_MORE;
    const struct reply *reply = NULL;
    unsigned count = 0;

    CHECK(parser != NULL);
    if (conversation != NULL && conversation_is_choosy(conversation))
        reply_parser_set_filter(parser, (struct reply_filter){.keeps = keeps, .context = conversation});
    while (bytes.len > 0 && result != REPLY_PARSER_FAILED) {
        size_t len = bytes.len < step ? bytes.len : step;
        reply_parser_feed(parser, span_of(bytes.data, len));
        bytes = span_of(bytes.data + len, bytes.len - len);
        while ((result = reply_parser_next(parser, &reply)) == REPLY_PARSER_REPLY) {
            count++;
            if (conversation == NULL)
                continue;
            say(conversation);
            world.now_ms++;
            if (take(conversation, reply) == CONVERSATION_DISCONNECT)
                conversation = NULL;
            check_decision();
        }
    }
    reply_parser_destroy(parser);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union voter voter;

    if (size == 0)
        return 0;
    world_make(&world);
    struct conversation *conversation = begin(&voter, (enum channel)(data[0] % CHANNELS));
    struct span bytes = span_of(data + 1, size - 1);
    unsigned count = parse(bytes, bytes.len > 0 ? bytes.len : 1, conversation);
    CHECK(parse(bytes, 1, NULL) == count);
    world_end(&world);
    return 0;
}
