/* One frame at the front of the input, and what may be in it; then addresses and networks as text. */
#include <string.h>

#include "proto/addr.h"
#include "proto/names.h"
#include "proto/network.h"
#include "proto/spop_data.h"
#include "proto/spop_frame.h"
#include "tests/fuzz/fuzz.h"

#define FRAME_MAX 4096

static void read_messages(struct span payload)
{
    struct spop_message message;
    struct span name;
    struct spop_value value;

    while (spop_message_read(&payload, &message) == 1)
        for (unsigned i = 0; i < message.arg_count; i++)
            if (!spop_kv_read(&payload, &name, &value))
                return;
}

/* What is read is written again, and read as the same. */
static void check_integer(struct span bytes)
{
    uint8_t space[16];
    struct sink sink = sink_of(space, sizeof(space));
    uint64_t value;
    uint64_t again;

    if (!spop_integer_read(&bytes, &value))
        return;
    spop_integer_write(&sink, value);
    struct span written = span_of(space, (size_t)(sink.at - space));
    CHECK(spop_integer_read(&written, &again) && again == value && written.len == 0);
}

static void check_texts(struct span text)
{
    struct addr addr;
    struct addr again;
    struct network network;
    struct network same;

    if (addr_parse(text, &addr)) {
        char out[ADDR_TEXT_MAX];
        CHECK(addr_parse(span_of_text(addr_format(&addr, out)), &again));
        CHECK(addr_equals(&addr, &again));
    }
    if (network_parse(text, &network) == NETWORK_OK) {
        char out[NETWORK_TEXT_MAX];
        CHECK(network_parse(span_of_text(network_format(&network, out)), &same) == NETWORK_OK);
        CHECK(same.bits == network.bits && addr_equals(&same.first, &network.first));
        CHECK(network_has(&network, &network.first));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spop_frame frame;
    struct spop_hello hello;
    struct spop_disconnect disconnect;
    int taken = spop_frame_parse(data, size, FRAME_MAX, &frame);

    CHECK(taken <= (int)size);
    if (taken > 0) {
        CHECK(frame.payload.len == 0 ||
              (frame.payload.data >= data && frame.payload.data + frame.payload.len <= data + taken));
        /* Whatever it is taken for: the same each time. */
        CHECK(spop_hello_decode(frame.payload, &hello) == spop_hello_decode(frame.payload, &hello));
        CHECK(spop_disconnect_decode(frame.payload, &disconnect) ==
              spop_disconnect_decode(frame.payload, &disconnect));
        read_messages(frame.payload);
    }
    check_integer(span_of(data, size));
    check_texts(span_of(data, size));
    names_forget();
    return 0;
}
