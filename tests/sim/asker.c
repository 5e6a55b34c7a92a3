#include "tests/sim/asker.h"

#include <string.h>

#include "proto/spop_data.h"
#include "proto/spop_frame.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/replies.h"

#define FRAME_MAX 512
#define ACTION_SET_VAR 1
#define ACTION_UNSET_VAR 2

/* ---- frames as HAProxy writes them ---- */

struct frame {
    struct sink sink;
    uint8_t bytes[FRAME_MAX];
};

static void frame_begin(struct frame *frame, enum spop_frame_type type, uint64_t stream_id, uint64_t frame_id)
{
    static const uint8_t flags[] = {0, 0, 0, SPOP_FLAG_FIN};

    frame->sink = sink_of(frame->bytes, sizeof(frame->bytes));
    sink_put(&frame->sink, "\0\0\0", SPOP_LEN_BYTES);
    sink_put_byte(&frame->sink, (uint8_t)type);
    sink_put(&frame->sink, flags, sizeof(flags));
    spop_integer_write(&frame->sink, stream_id);
    spop_integer_write(&frame->sink, frame_id);
}

static struct span frame_end(struct frame *frame)
{
    size_t len = (size_t)(frame->sink.at - frame->bytes);
    size_t counted = len - SPOP_LEN_BYTES;

    frame->bytes[2] = (uint8_t)(counted >> 8);
    frame->bytes[3] = (uint8_t)counted;
    return span_of(frame->bytes, len);
}

/* Feeds a frame; true where the agent replied with exactly one whole frame of `type` with these ids. */
static bool exchange(struct world *world, unsigned agent, struct span frame, uint8_t *out,
                     struct spop_frame *ret_reply)
{
    struct sink sink = sink_of(out, 2 * SPOP_SESSION_REPLY_MAX);
    size_t taken = spop_session_feed(&world->agents[agent].session, frame, agent_now_ms(world, agent), &sink);
    size_t len = (size_t)(sink.at - out);
    int size = spop_frame_parse(out, len, SPOP_SESSION_FRAME_MAX, ret_reply);

    return taken == frame.len && size > 0 && (size_t)size == len;
}

void asker_greet(struct world *world, unsigned agent)
{
    struct frame frame;
    struct spop_frame reply;
    uint8_t out[2 * SPOP_SESSION_REPLY_MAX];
    struct spop_value version = spop_text(span_of_text(SPOP_VERSION));
    struct spop_value size = spop_uint32(16380);
    struct spop_value capabilities = spop_text(span_of_text("pipelining,async"));

    frame_begin(&frame, SPOP_HAPROXY_HELLO, 0, 0);
    spop_kv_write(&frame.sink, "supported-versions", &version);
    spop_kv_write(&frame.sink, "max-frame-size", &size);
    spop_kv_write(&frame.sink, "capabilities", &capabilities);
    if (!exchange(world, agent, frame_end(&frame), out, &reply) || reply.type != SPOP_AGENT_HELLO)
        ghost_violation(world, "session", "HAPROXY-HELLO was not answered with AGENT-HELLO");
}

/* ---- the answer ---- */

enum variable {
    VARIABLE_STATE,
    VARIABLE_MASTER,
    VARIABLE_ADDR,
    VARIABLE_PORT,
    VARIABLE_VOTES,
    VARIABLE_GENERATION,
    VARIABLES,
};

struct variables {
    bool mentioned[VARIABLES];
    bool is_set[VARIABLES];
    struct spop_value values[VARIABLES];
};

/* Reads one action; false where it is malformed, of an unknown variable, or mentions one twice. */
static bool read_action(struct span *cursor, struct variables *variables)
{
    static const char *const names[VARIABLES] = {"state", "master", "addr", "port", "votes", "generation"};
    struct span head;
    struct span name;
    unsigned which = 0;

    if (!span_take(cursor, 3, &head) || !spop_name_read(cursor, &name) || head.data[2] != SPOP_SCOPE_TXN)
        return false;
    while (which < VARIABLES && !span_equals_text(name, names[which]))
        which++;
    if (which == VARIABLES || variables->mentioned[which])
        return false;
    variables->mentioned[which] = true;
    variables->is_set[which] = head.data[0] == ACTION_SET_VAR;
    if (variables->is_set[which])
        return head.data[1] == 3 && spop_value_read(cursor, &variables->values[which]);
    return head.data[0] == ACTION_UNSET_VAR && head.data[1] == 2;
}

static int read_state(const struct variables *variables)
{
    struct span text = variables->values[VARIABLE_STATE].text;

    if (!variables->is_set[VARIABLE_STATE] || variables->values[VARIABLE_STATE].type != SPOP_STRING)
        return SIM_STATE_NONSENSE;
    if (span_equals_text(text, "unknown-service"))
        return SIM_STATE_UNKNOWN_SERVICE;
    for (int state = SERVICE_STARTING; state <= SERVICE_UNKNOWN_ADDRESS; state++)
        if (span_equals_text(text, service_state_text((enum service_state)state)))
            return state;
    return SIM_STATE_NONSENSE;
}

/* Fills in the name; false where the variables do not fit each other. */
static bool read_name(const struct variables *variables, unsigned service, struct sim_answer *answer)
{
    const struct spop_value *values = variables->values;
    const uint8_t *ip = values[VARIABLE_ADDR].ipv4;
    char server[] = "R1";

    if (values[VARIABLE_ADDR].type != SPOP_IPV4 || values[VARIABLE_PORT].type != SPOP_INT64 ||
        values[VARIABLE_VOTES].type != SPOP_INT64 || values[VARIABLE_GENERATION].type != SPOP_INT64)
        return false;
    if (ip[0] != 10 || ip[1] != 1 || ip[2] != service || ip[3] == 0 || ip[3] > SIM_ADDRESSES)
        return false;
    answer->address = (int8_t)(ip[3] - 1);
    answer->votes = values[VARIABLE_VOTES].integer;
    answer->generation = values[VARIABLE_GENERATION].integer;
    answer->has_master = variables->is_set[VARIABLE_MASTER];
    server[1] = (char)('0' + ip[3]);
    return values[VARIABLE_PORT].integer == SIM_PORT + answer->address &&
           (!answer->has_master || (values[VARIABLE_MASTER].type == SPOP_STRING &&
                                    span_equals_text(values[VARIABLE_MASTER].text, server)));
}

/* Reads the actions of an ACK. Every variable must be mentioned once, set or unset. */
static bool read_answer(struct span actions, unsigned service, struct sim_answer *answer)
{
    struct variables variables = {.mentioned = {false}};

    *answer = (struct sim_answer){.state = SIM_STATE_NONSENSE, .address = -1};
    for (unsigned i = 0; i < VARIABLES; i++)
        if (!read_action(&actions, &variables))
            return false;
    answer->state = read_state(&variables);
    if (actions.len > 0 || answer->state == SIM_STATE_NONSENSE)
        return false;
    if (service_state_names((enum service_state)answer->state))
        return read_name(&variables, service, answer);
    for (unsigned i = VARIABLE_MASTER; i < VARIABLES; i++)
        if (variables.is_set[i])
            return false;
    return true;
}

static bool ask(struct world *world, unsigned agent, struct span name, unsigned service,
                struct sim_answer *answer)
{
    struct frame frame;
    struct spop_frame reply;
    uint8_t out[2 * SPOP_SESSION_REPLY_MAX];
    uint64_t stream_id = ++world->agents[agent].stream_id;
    uint64_t frame_id = rng_next(&world->rng) >> rng_below(&world->rng, 60);
    struct spop_value value = spop_text(name);

    frame_begin(&frame, SPOP_NOTIFY, stream_id, frame_id);
    spop_name_write(&frame.sink, span_of_text("get-master"));
    sink_put_byte(&frame.sink, 1);
    spop_kv_write(&frame.sink, "service", &value);
    world->counts.answers++;
    if (exchange(world, agent, frame_end(&frame), out, &reply) && reply.type == SPOP_ACK &&
        reply.stream_id == stream_id && reply.frame_id == frame_id &&
        read_answer(reply.payload, service, answer))
        return true;
    ghost_violation(world, "session", "agent %u answered a NOTIFY with something else than a sound ACK",
                    agent);
    return false;
}

static void check_unknown(struct world *world, const struct sim_answer *answer)
{
    if (answer->state != SIM_STATE_UNKNOWN_SERVICE)
        ghost_violation(world, "session", "a service that is not there was answered with state %d",
                        answer->state);
}

static bool ask_service(struct world *world, unsigned agent, unsigned service, struct sim_answer *answer)
{
    static const char *const names[SIM_SERVICES_MAX] = {"s0", "s1", "s2"};

    if (!ask(world, agent, span_of_text(names[service]), service, answer))
        return false;
    if (world->agents[agent].running->services[service] != NULL)
        ghost_check(world, agent, service, answer);
    else
        check_unknown(world, answer);
    return !world->violated;
}

void asker_ask(struct world *world, unsigned agent, unsigned service)
{
    struct sim_answer answer;

    (void)ask_service(world, agent, service, &answer);
}

void asker_ask_all(struct world *world, unsigned service)
{
    struct sim_answer answers[SIM_AGENTS_MAX];

    for (unsigned i = 0; i < world->config.agents; i++)
        if (!ask_service(world, i, service, &answers[i]))
            return;
    for (unsigned i = 1; i < world->config.agents; i++)
        ghost_compare(world, service, &answers[0], &answers[i]);
}

void asker_ask_unknown(struct world *world, unsigned agent)
{
    struct sim_answer answer;

    if (ask(world, agent, span_of_text("no-such-service"), 0, &answer))
        check_unknown(world, &answer);
}
