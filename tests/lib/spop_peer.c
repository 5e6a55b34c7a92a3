#include "tests/lib/spop_peer.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/* Larger than anything that an agent may send. */
#define REPLY_FRAME_MAX 16380

/* Here and not by assert(): the values are used in it only where NDEBUG is not set. */
static void require(bool condition)
{
    if (!condition)
        abort();
}

uint8_t *spop_peer_begin(struct sink *out, uint8_t type, uint32_t flags, uint64_t stream_id,
                         uint64_t frame_id)
{
    uint8_t *begin = out->at;
    const uint8_t fixed[9] = {0,
                              0,
                              0,
                              0,
                              type,
                              (uint8_t)(flags >> 24),
                              (uint8_t)(flags >> 16),
                              (uint8_t)(flags >> 8),
                              (uint8_t)flags};

    sink_put(out, fixed, sizeof(fixed));
    spop_integer_write(out, stream_id);
    spop_integer_write(out, frame_id);
    return begin;
}

void spop_peer_end(const struct sink *out, uint8_t *begin)
{
    size_t len = (size_t)(out->at - begin) - SPOP_LEN_BYTES;

    require(!out->full);
    begin[0] = (uint8_t)(len >> 24);
    begin[1] = (uint8_t)(len >> 16);
    begin[2] = (uint8_t)(len >> 8);
    begin[3] = (uint8_t)len;
}

void spop_peer_frame(struct sink *out, uint8_t type, uint64_t stream_id, uint64_t frame_id,
                     struct span payload)
{
    uint8_t *begin = spop_peer_begin(out, type, SPOP_FLAG_FIN, stream_id, frame_id);

    sink_put(out, payload.data, payload.len);
    spop_peer_end(out, begin);
}

static void put_text(struct sink *out, const char *name, const char *text)
{
    struct spop_value value = spop_text(span_of_text(text));

    spop_kv_write(out, name, &value);
}

void spop_peer_hello(struct sink *out, uint32_t max_frame_size, bool healthcheck)
{
    uint8_t *begin = spop_peer_begin(out, SPOP_HAPROXY_HELLO, SPOP_FLAG_FIN, 0, 0);
    struct spop_value size = spop_uint32(max_frame_size);
    struct spop_value yes = {.type = SPOP_BOOL, .boolean = true};

    put_text(out, "supported-versions", "2.0");
    spop_kv_write(out, "max-frame-size", &size);
    put_text(out, "capabilities", healthcheck ? "" : "pipelining");
    if (healthcheck)
        spop_kv_write(out, "healthcheck", &yes);
    else
        put_text(out, "engine-id", "9f3b6fd6-6f0a-4f2f-8a1e-2a6f0f4d1c11");
    spop_peer_end(out, begin);
}

void spop_peer_message(struct sink *out, const char *name, uint8_t arg_count)
{
    spop_name_write(out, span_of_text(name));
    sink_put_byte(out, arg_count);
}

void spop_peer_notify(struct sink *out, uint64_t stream_id, uint64_t frame_id, const char *service,
                      const char *role)
{
    uint8_t *begin = spop_peer_begin(out, SPOP_NOTIFY, SPOP_FLAG_FIN, stream_id, frame_id);

    spop_peer_message(out, "lookup", (uint8_t)((service != NULL) + (role != NULL)));
    if (service != NULL)
        put_text(out, "service", service);
    if (role != NULL)
        put_text(out, "role", role);
    spop_peer_end(out, begin);
}

void spop_peer_disconnect(struct sink *out, uint32_t status_code)
{
    uint8_t *begin = spop_peer_begin(out, SPOP_HAPROXY_DISCONNECT, SPOP_FLAG_FIN, 0, 0);
    struct spop_value code = spop_uint32(status_code);

    spop_kv_write(out, "status-code", &code);
    put_text(out, "message", "a timeout occurred");
    spop_peer_end(out, begin);
}

bool spop_peer_reply(struct span *bytes, struct spop_frame *ret_frame)
{
    int size = spop_frame_parse(bytes->data, bytes->len, REPLY_FRAME_MAX, ret_frame);

    require(size >= 0);
    if (size == 0)
        return false;
    require(ret_frame->flags == SPOP_FLAG_FIN);
    *bytes = span_of(bytes->data + size, bytes->len - (size_t)size);
    return true;
}

int spop_peer_status(const struct spop_frame *frame)
{
    struct spop_disconnect disconnect;

    if (frame->type != SPOP_AGENT_DISCONNECT)
        return -1;
    require(frame->stream_id == 0 && frame->frame_id == 0);
    require(spop_disconnect_decode(frame->payload, &disconnect) && disconnect.message.len > 0);
    return (int)disconnect.status_code;
}

int spop_peer_variable(const struct spop_frame *frame, const char *name, struct spop_value *ret_value)
{
    struct span cursor = frame->payload;
    int found = -1;

    require(frame->type == SPOP_ACK && cursor.len > 0);
    while (cursor.len > 0) {
        struct span head;
        struct span who;
        struct spop_value value = {.type = SPOP_NULL};
        require(span_take(&cursor, 3, &head) && spop_name_read(&cursor, &who));
        bool is_set = head.data[0] == 1 && head.data[1] == 3;
        require(head.data[2] == SPOP_SCOPE_TXN && (is_set || (head.data[0] == 2 && head.data[1] == 2)));
        if (is_set)
            require(spop_value_read(&cursor, &value) && value.type != SPOP_NULL);
        if (!span_equals_text(who, name))
            continue;
        found = is_set;
        if (is_set && ret_value != NULL)
            *ret_value = value;
    }
    return found;
}

bool spop_peer_says(const struct spop_frame *frame, const char *name, const char *text)
{
    struct spop_value value;

    return spop_peer_variable(frame, name, &value) == 1 && value.type == SPOP_STRING &&
           span_equals_text(value.text, text);
}
