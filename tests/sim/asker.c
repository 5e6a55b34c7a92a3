#include "tests/sim/asker.h"

#include <string.h>

#include "proto/spop_data.h"
#include "proto/spop_frame.h"
#include "tests/sim/agent_model.h"
#include "tests/sim/ghost.h"
#include "tests/sim/haproxy_model.h"
#include "tests/sim/parked.h"

#define FRAME_MAX 512

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

/* What came of a frame. */
enum reaction {
    REPLIED, /* with exactly one whole frame */
    SILENT,
    BROKEN, /* with something else */
};

static enum reaction exchange(struct world *world, unsigned agent, struct span frame, uint8_t *out,
                              struct spop_frame *ret_reply)
{
    struct sink sink = sink_of(out, 2 * SPOP_SESSION_REPLY_MAX);
    size_t taken = spop_session_feed(&world->agents[agent].session, frame, agent_now_ms(world, agent), &sink);
    size_t len = (size_t)(sink.at - out);
    int size = spop_frame_parse(out, len, SPOP_SESSION_FRAME_MAX, ret_reply);

    if (taken != frame.len)
        return BROKEN;
    if (len == 0)
        return SILENT;
    return size > 0 && (size_t)size == len ? REPLIED : BROKEN;
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
    if (exchange(world, agent, frame_end(&frame), out, &reply) != REPLIED || reply.type != SPOP_AGENT_HELLO)
        ghost_violation(world, "session", "HAPROXY-HELLO was not answered with AGENT-HELLO");
}

/* ---- questions ---- */

/* Writes a NOTIFY; its ids are those of `waiting`. */
static struct span write_notify(struct frame *frame, struct span name, const struct sim_waiting *waiting)
{
    struct spop_value value = spop_text(name);

    frame_begin(frame, SPOP_NOTIFY, waiting->stream_id, waiting->frame_id);
    spop_name_write(&frame->sink, span_of_text("get-master"));
    sink_put_byte(&frame->sink, 1);
    spop_kv_write(&frame->sink, "service", &value);
    return frame_end(frame);
}

/* Whether a question about a service may be kept waiting now. */
static bool may_wait(const struct world *world, unsigned agent, unsigned service)
{
    const struct sim_agent *self = &world->agents[agent];

    return service < SIM_SERVICES_MAX && agent_service(world, agent, service) != NULL &&
           agent_set_of(world, agent, service)->file.park_ms != 0 && self->waiting_count < SIM_WAITING_MAX;
}

/* Asks for a service, SIM_SERVICES_MAX: one that is not there. True where an answer came at once. */
static bool ask(struct world *world, unsigned agent, struct span name, unsigned service,
                struct sim_answer *answer)
{
    struct frame frame;
    struct spop_frame reply;
    uint8_t out[2 * SPOP_SESSION_REPLY_MAX];
    bool is_patient = may_wait(world, agent, service);
    const struct sim_waiting waiting = {
        .stream_id = ++world->agents[agent].stream_id,
        .frame_id = rng_next(&world->rng) >> rng_below(&world->rng, 60),
        .service = (uint8_t)service,
    };
    enum reaction reaction = exchange(world, agent, write_notify(&frame, name, &waiting), out, &reply);

    world->counts.answers++;
    if (reaction == SILENT && is_patient) {
        parked_wait(world, agent, &waiting);
        return false;
    }
    if (reaction == REPLIED && reply.type == SPOP_ACK && reply.stream_id == waiting.stream_id &&
        reply.frame_id == waiting.frame_id && ack_read(reply.payload, service, answer)) {
        answer->cannot_wait = !is_patient;
        return true;
    }
    ghost_broken(world, "session", "agent %u answered a NOTIFY with something else than a sound ACK", agent);
    return false;
}

static void check_unknown(struct world *world, const struct sim_answer *answer)
{
    if (answer->state != SIM_STATE_UNKNOWN_SERVICE)
        ghost_violation(world, "session", "a service that is not there was answered with state %d",
                        answer->state);
}

void asker_take_answer(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer)
{
    ghost_check(world, agent, service, answer);
    haproxy_take_client(world, agent, service, answer->address);
}

static bool ask_service(struct world *world, unsigned agent, unsigned service, struct sim_answer *answer)
{
    static const char *const names[SIM_SERVICES_MAX] = {"s0", "s1", "s2"};

    if (!ask(world, agent, span_of_text(names[service]), service, answer))
        return false;
    if (agent_service(world, agent, service) != NULL)
        asker_take_answer(world, agent, service, answer);
    else
        check_unknown(world, answer);
    return true;
}

void asker_ask(struct world *world, unsigned agent, unsigned service)
{
    struct sim_answer answer;

    (void)ask_service(world, agent, service, &answer);
}

void asker_ask_all(struct world *world, unsigned service)
{
    struct sim_answer answers[SIM_AGENTS_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < world->config.agents; i++)
        count += ask_service(world, i, service, &answers[count]);
    for (unsigned i = 1; i < count; i++)
        ghost_compare(world, service, &answers[0], &answers[i]);
}

void asker_ask_unknown(struct world *world, unsigned agent)
{
    struct sim_answer answer;

    if (ask(world, agent, span_of_text("no-such-service"), SIM_SERVICES_MAX, &answer))
        check_unknown(world, &answer);
}
