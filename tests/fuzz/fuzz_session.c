/*
 * A session and all that may happen to it. The input is a list of events: a byte that says which, then, for
 * bytes from the peer, their number (two bytes) and themselves; for time, how much.
 */
#include <string.h>

#include "proto/spop_frame.h"
#include "spoa/core/base/progress.h"
#include "spoa/core/haproxy/spop_session.h"
#include "tests/fuzz/fuzz_world.h"

#define IN_MAX ((size_t)80 * 1024)
#define OUT_MAX ((size_t)64 * 1024)

enum event {
    EVENT_BYTES,
    EVENT_TIME,
    EVENT_MASTER_1,
    EVENT_MASTER_2,
    EVENT_NOBODY,
    EVENT_HURRY,
    EVENT_DRAIN,
    EVENTS,
};

static struct world world;
static struct spop_session session;
static bool draining;
static uint8_t in[IN_MAX]; /* what the session did not take yet */
static size_t in_len;
static uint8_t out[OUT_MAX];
static uint64_t answered; /* ACKs seen */

/* Whole frames only, of the kinds that an agent sends, an ACK for each answer that was counted. */
static void check_output(size_t len)
{
    const uint8_t *at = out;
    struct spop_frame frame;

    while (len > 0) {
        int taken = spop_frame_parse(at, len, SPOP_SESSION_FRAME_MAX, &frame);
        CHECK(taken > 0);
        CHECK(frame.type == SPOP_AGENT_HELLO || frame.type == SPOP_ACK ||
              frame.type == SPOP_AGENT_DISCONNECT);
        CHECK(frame.type != SPOP_ACK || frame.payload.len > 0);
        answered += frame.type == SPOP_ACK;
        at += taken;
        len -= (size_t)taken;
    }
    CHECK(answered == world.metrics.notifies_total);
}

static void feed(void)
{
    struct sink sink = sink_of(out, OUT_MAX);
    bool was_closed = session.phase == SPOP_SESSION_CLOSED;
    size_t taken = spop_session_feed(&session, span_of(in, in_len), world.now_ms, &sink);

    CHECK(taken <= in_len && !sink.full);
    CHECK(!was_closed || sink.at == out);
    memmove(in, in + taken, in_len - taken);
    in_len -= taken;
    if (session.phase == SPOP_SESSION_CLOSED)
        in_len = 0;
    CHECK(in_len < SPOP_SESSION_FRAME_MAX + SPOP_LEN_BYTES || sink_room(&sink) < SPOP_SESSION_REPLY_MAX);
    check_output((size_t)(sink.at - out));
}

static void release(void)
{
    struct sink sink = sink_of(out, OUT_MAX);

    if (session.phase == SPOP_SESSION_CLOSED)
        return;
    while (parking_take_woken(world.parking) != NULL)
        ;
    spop_session_release(&session, world.now_ms, &sink);
    CHECK(!sink.full);
    check_output((size_t)(sink.at - out));
}

static void pass_time(unsigned ms)
{
    world.now_ms += ms;
    voter_group_tick(world.group, world.now_ms, PROGRESS_UNLIMITED);
    parking_tick(world.parking, world.now_ms);
    release();
}

static size_t take_bytes(const uint8_t *data, size_t size)
{
    if (size < 2)
        return size;
    size_t len = (size_t)data[0] << 8 | data[1];
    if (len > size - 2)
        len = size - 2;
    if (len > IN_MAX - in_len)
        len = IN_MAX - in_len;
    memcpy(in + in_len, data + 2, len);
    in_len += len;
    feed();
    return len + 2;
}

static size_t take_event(enum event event, const uint8_t *data, size_t size)
{
    switch (event) {
    case EVENT_BYTES:
        return take_bytes(data, size);
    case EVENT_TIME:
        pass_time(size > 0 ? data[0] * 16U : 1U);
        return size > 0 ? 1 : 0;
    case EVENT_MASTER_1:
    case EVENT_MASTER_2:
        world_vote(&world, &world.servers[event - EVENT_MASTER_1]);
        release();
        return 0;
    case EVENT_NOBODY:
        world_vote(&world, NULL);
        return 0;
    case EVENT_HURRY:
        parking_hurry(&session.parked);
        release();
        return 0;
    case EVENT_DRAIN:
        draining = true;
        return 0;
    case EVENTS:
        break;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_make(&world);
    in_len = 0;
    answered = 0;
    draining = false;
    spop_session_init(&session, world.table, &world.metrics, &draining);
    while (size > 0) {
        enum event event = (enum event)(data[0] % EVENTS);
        size_t taken = take_event(event, data + 1, size - 1);
        CHECK(parking_count(world.parking) <= WORLD_PARK_MAX);
        data += 1 + taken;
        size -= 1 + taken;
    }
    spop_session_finish(&session, world.now_ms);
    CHECK(parking_count(world.parking) == 0);
    world_end(&world);
    return 0;
}
