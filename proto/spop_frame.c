#include "proto/spop_frame.h"

/* Action types and their argument counts (SPOE.txt 3.2.7). */
#define ACTION_SET_VAR 1
#define ACTION_SET_VAR_ARGS 3
#define ACTION_UNSET_VAR 2
#define ACTION_UNSET_VAR_ARGS 2

/* Takes the next item off a comma-separated list, without the blanks around it. */
static struct span next_item(struct span *list)
{
    size_t len = 0;

    while (len < list->len && list->data[len] != ',')
        len++;
    struct span item = span_of(list->data, len);
    size_t used = len < list->len ? len + 1 : len;
    *list = span_of(list->data + used, list->len - used);
    while (item.len > 0 && item.data[0] == ' ')
        item = span_of(item.data + 1, item.len - 1);
    while (item.len > 0 && item.data[item.len - 1] == ' ')
        item.len--;
    return item;
}

static bool lists(struct span list, const char *wanted)
{
    while (list.len > 0)
        if (span_equals_text(next_item(&list), wanted))
            return true;
    return false;
}

/* Takes a decimal number without leading zeros off the front of `cursor`, however long. False if there is none. */
static bool skip_number(struct span *cursor)
{
    size_t len = 0;

    while (len < cursor->len && cursor->data[len] >= '0' && cursor->data[len] <= '9')
        len++;
    if (len == 0 || (len > 1 && cursor->data[0] == '0'))
        return false;
    *cursor = span_of(cursor->data + len, cursor->len - len);
    return true;
}

/* Whether a peer of this version, "Major.Minor", speaks SPOP_VERSION: a later minor version of the same major one
 * does, too (SPOE.txt 3.2.4). */
static bool has_our_version(struct span item)
{
    struct span major;

    return span_take(&item, sizeof(SPOP_MAJOR) - 1, &major) && span_equals_text(major, SPOP_MAJOR) &&
           skip_number(&item) && item.len == 0;
}

static bool offers_our_version(struct span versions)
{
    while (versions.len > 0)
        if (has_our_version(next_item(&versions)))
            return true;
    return false;
}

static bool is_integer(const struct spop_value *value)
{
    return value->type >= SPOP_INT32 && value->type <= SPOP_UINT64;
}

/* The keys of HAPROXY-HELLO that were seen. */
struct hello_keys {
    /* In both spans `data` is NULL if the key was not seen. */
    struct span versions;
    struct span capabilities;
    int64_t max_frame_size; /* -1: not seen */
};

/* False if a known key has a value of a wrong type. */
static bool take_hello_key(struct span name, const struct spop_value *value, struct hello_keys *keys,
                           struct spop_hello *hello)
{
    bool is_text = value->type == SPOP_STRING;

    if (span_equals_text(name, "supported-versions")) {
        keys->versions = is_text ? value->text : keys->versions;
        return is_text;
    }
    if (span_equals_text(name, "capabilities")) {
        keys->capabilities = is_text ? value->text : keys->capabilities;
        return is_text;
    }
    if (span_equals_text(name, "max-frame-size")) {
        bool is_in_range = is_integer(value) && value->integer >= 0;
        keys->max_frame_size = is_in_range ? value->integer : INT64_MAX;
        return is_integer(value);
    }
    if (span_equals_text(name, "engine-id")) {
        hello->engine_id = is_text ? value->text : hello->engine_id;
        return is_text;
    }
    if (span_equals_text(name, "healthcheck")) {
        hello->healthcheck = value->type == SPOP_BOOL && value->boolean;
        return value->type == SPOP_BOOL;
    }
    return true;
}

static enum spop_status judge_hello(const struct hello_keys *keys)
{
    if (keys->versions.data == NULL)
        return SPOP_STATUS_NO_VERSION;
    if (!offers_our_version(keys->versions))
        return SPOP_STATUS_BAD_VERSION;
    if (keys->max_frame_size == -1)
        return SPOP_STATUS_NO_MAX_FRAME_SIZE;
    if (keys->max_frame_size < SPOP_FRAME_SIZE_MIN || keys->max_frame_size > UINT32_MAX)
        return SPOP_STATUS_BAD_MAX_FRAME_SIZE;
    if (keys->capabilities.data == NULL)
        return SPOP_STATUS_NO_CAPABILITIES;
    return SPOP_STATUS_NORMAL;
}

enum spop_status spop_hello_decode(struct span payload, struct spop_hello *ret_hello)
{
    struct hello_keys keys = {.max_frame_size = -1};
    struct spop_hello hello = {.max_frame_size = 0};

    while (payload.len > 0) {
        struct span name;
        struct spop_value value;
        if (!spop_kv_read(&payload, &name, &value) || !take_hello_key(name, &value, &keys, &hello))
            return SPOP_STATUS_INVALID;
    }
    enum spop_status status = judge_hello(&keys);
    if (status != SPOP_STATUS_NORMAL)
        return status;
    hello.max_frame_size = (uint32_t)keys.max_frame_size;
    hello.pipelining = lists(keys.capabilities, "pipelining");
    *ret_hello = hello;
    return SPOP_STATUS_NORMAL;
}

bool spop_disconnect_decode(struct span payload, struct spop_disconnect *ret_disconnect)
{
    struct spop_disconnect disconnect = {.status_code = 0};
    bool has_code = false;

    while (payload.len > 0) {
        struct span name;
        struct spop_value value;
        if (!spop_kv_read(&payload, &name, &value))
            return false;
        if (span_equals_text(name, "status-code")) {
            if (!is_integer(&value) || value.integer < 0 || value.integer > UINT32_MAX)
                return false;
            disconnect.status_code = (uint32_t)value.integer;
            has_code = true;
        } else if (span_equals_text(name, "message") && value.type == SPOP_STRING) {
            disconnect.message = value.text;
        }
    }
    if (has_code)
        *ret_disconnect = disconnect;
    return has_code;
}

int spop_message_read(struct span *cursor, struct spop_message *ret_message)
{
    struct span name;
    struct span count;

    if (cursor->len == 0)
        return 0;
    if (!spop_name_read(cursor, &name) || !span_take(cursor, 1, &count))
        return -1;
    *ret_message = (struct spop_message){.name = name, .arg_count = count.data[0]};
    return 1;
}

/* Begins a frame. finish_frame() fills in LEN when it is known. */
static struct sink begin_frame(const struct sink *sink, enum spop_frame_type type, uint64_t stream_id,
                               uint64_t frame_id)
{
    const uint8_t head[] = {0, 0, 0, 0, (uint8_t)type, 0, 0, 0, SPOP_FLAG_FIN};
    struct sink frame = *sink;

    sink_put(&frame, head, sizeof(head));
    spop_integer_write(&frame, stream_id);
    spop_integer_write(&frame, frame_id);
    return frame;
}

static void finish_frame(struct sink *sink, const struct sink *frame)
{
    if (frame->full) {
        sink->full = true;
        return;
    }
    spop_len_write(sink->at, (uint32_t)((size_t)(frame->at - sink->at) - SPOP_LEN_BYTES));
    sink->at = frame->at;
}

void spop_agent_hello_write(struct sink *sink, uint32_t max_frame_size, bool pipelining)
{
    struct sink frame = begin_frame(sink, SPOP_AGENT_HELLO, 0, 0);
    struct spop_value version = spop_text(span_of_text(SPOP_VERSION));
    struct spop_value size = spop_uint32(max_frame_size);
    struct spop_value capabilities = spop_text(span_of_text(pipelining ? "pipelining" : ""));

    /* No further key: HAProxy compares keys by prefix. */
    spop_kv_write(&frame, "version", &version);
    spop_kv_write(&frame, "max-frame-size", &size);
    spop_kv_write(&frame, "capabilities", &capabilities);
    finish_frame(sink, &frame);
}

void spop_agent_disconnect_write(struct sink *sink, enum spop_status status, const char *message)
{
    struct sink frame = begin_frame(sink, SPOP_AGENT_DISCONNECT, 0, 0);
    struct spop_value code = spop_uint32((uint32_t)status);
    struct spop_value text = spop_text(span_of_text(message));

    spop_kv_write(&frame, "status-code", &code);
    spop_kv_write(&frame, "message", &text);
    finish_frame(sink, &frame);
}

bool spop_ack_fits(const struct sink *sink, uint64_t stream_id, uint64_t frame_id, size_t len)
{
    size_t ids_len = varint_size(stream_id) + varint_size(frame_id);

    return SPOP_LEN_BYTES + SPOP_HEADER_MAX - 2 * VARINT_MAX_BYTES + ids_len + len <= sink_room(sink);
}

static void write_action_head(struct sink *sink, uint8_t action, uint8_t args, enum spop_scope scope,
                              const char *name)
{
    sink_put_byte(sink, action);
    sink_put_byte(sink, args);
    sink_put_byte(sink, (uint8_t)scope);
    spop_name_write(sink, span_of_text(name));
}

void spop_set_var_write(struct sink *sink, enum spop_scope scope, const char *name,
                        const struct spop_value *value)
{
    write_action_head(sink, ACTION_SET_VAR, ACTION_SET_VAR_ARGS, scope, name);
    spop_value_write(sink, value);
}

void spop_unset_var_write(struct sink *sink, enum spop_scope scope, const char *name)
{
    write_action_head(sink, ACTION_UNSET_VAR, ACTION_UNSET_VAR_ARGS, scope, name);
}
