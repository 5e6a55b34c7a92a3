/*
 * What a Sentinel may send: the bytes behind the first one, which says on which of the two conversations. They are parsed at
 * once and byte by byte, which must come to the same; the voter takes the replies.
 */
#include <string.h>

#include "spoa/core/sentinel_voter.h"
#include "spoa/io/reply_parser.h"
#include "tests/fuzz/fuzz_world.h"

static struct world world;

static struct conversation *begin(struct sentinel_voter *voter, const struct sentinel_settings *settings,
                                  bool hints)
{
    sentinel_voter_init(voter, settings, world.group, 0, "s0", &world.metrics, 1, world.now_ms);
    struct conversation *conversation = hints ? &voter->hints : &voter->query;
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

/* The number of replies; to the voter where there is a conversation. */
static unsigned parse(struct span bytes, size_t step, struct conversation *conversation)
{
    struct reply_parser *parser = reply_parser_create();
    enum reply_parser_result result = REPLY_PARSER_NEEDS_MORE;
    const struct reply *reply = NULL;
    unsigned count = 0;

    CHECK(parser != NULL);
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
            if (conversation_reply(conversation, reply, world.now_ms) == CONVERSATION_DISCONNECT)
                conversation = NULL;
            check_decision();
        }
    }
    reply_parser_destroy(parser);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sentinel_settings settings = {
        .poll_ms = 1000,
        .early = true,
        .query = sentinel_query_settings(500, 1000, 500),
        .hints = sentinel_hints_settings(500, 500),
    };
    struct sentinel_voter voter;

    if (size == 0)
        return 0;
    world_make(&world);
    struct conversation *conversation = begin(&voter, &settings, (data[0] & 1) != 0);
    struct span bytes = span_of(data + 1, size - 1);
    unsigned count = parse(bytes, bytes.len > 0 ? bytes.len : 1, conversation);
    CHECK(parse(bytes, 1, NULL) == count);
    world_end(&world);
    return 0;
}
