/* SPOP 2.0 frames (SPOE.txt 3.2): decodes what HAProxy sends, encodes what an agent sends. */
#ifndef PROTO_SPOP_FRAME_H
#define PROTO_SPOP_FRAME_H

#include "proto/chunk.h"
#include "proto/must_check.h"
#include "proto/span.h"
#include "proto/spop_data.h"
#include "proto/spop_status.h"

#include <stdbool.h>
#include <stdint.h>

/* The version that we speak, and how all versions begin that include it. */
#define SPOP_MAJOR "2."
#define SPOP_VERSION SPOP_MAJOR "0"

/* LEN, the four bytes in front of every frame, does not count itself. */
#define SPOP_LEN_BYTES 4
/* The shortest legal frame: type, flags and two one-byte ids. HAProxy refuses a shorter frame, or hangs on
 * it. */
#define SPOP_FRAME_MIN 7
/* The longest header after LEN: type, flags, two ids of ten bytes. */
#define SPOP_HEADER_MAX 25
/* The smallest max-frame-size that HAProxy may announce. */
#define SPOP_FRAME_SIZE_MIN 256

enum spop_frame_type {
    SPOP_UNSET = 0,
    SPOP_HAPROXY_HELLO = 1,
    SPOP_HAPROXY_DISCONNECT = 2,
    SPOP_NOTIFY = 3,
    SPOP_AGENT_HELLO = 101,
    SPOP_AGENT_DISCONNECT = 102,
    SPOP_ACK = 103,
};

#define SPOP_FLAG_FIN 0x1u
#define SPOP_FLAG_ABORT 0x2u

enum spop_scope {
    SPOP_SCOPE_PROC = 0,
    SPOP_SCOPE_SESS = 1,
    SPOP_SCOPE_TXN = 2,
    SPOP_SCOPE_REQ = 3,
    SPOP_SCOPE_RES = 4,
};

/* One frame in the input. The payload is valid as long as the input. */
struct spop_frame {
    uint32_t type; /* enum spop_frame_type, or an unknown type */
    uint32_t flags;
    uint64_t stream_id; /* opaque; unique only on its connection */
    uint64_t frame_id;
    struct span payload;
};

/* HAPROXY-HELLO and what it offers (SPOE.txt 3.2.4). */
struct spop_hello {
    uint32_t max_frame_size; /* bytes, LEN excluded; at least SPOP_FRAME_SIZE_MIN */
    bool pipelining;
    bool healthcheck;
    struct span engine_id; /* empty in a health check */
};

/* HAPROXY-DISCONNECT (SPOE.txt 3.2.8). */
struct spop_disconnect {
    uint32_t status_code; /* as sent; may be a code that the specification does not have */
    struct span message;
};

/* The head of one message of a NOTIFY. */
struct spop_message {
    struct span name;
    unsigned arg_count;
};

/*
 * Finds the frame at the front of `in`. Returns the bytes that it takes, LEN included, or 0 if more bytes are
 * needed. Returns a negated enum spop_status if the input cannot become a frame: TOO_BIG (LEN over
 * `max_frame_size`), INVALID (LEN under SPOP_FRAME_MIN, or a malformed header). A wrong LEN is found as soon
 * as its four bytes are there. `max_frame_size` (bytes, LEN excluded) plus SPOP_LEN_BYTES must fit in an int.
 */
MUST_CHECK static inline int spop_frame_parse(const uint8_t *in, size_t len, uint32_t max_frame_size,
                                              struct spop_frame *ret_frame);

/*
 * Reads a HAPROXY-HELLO payload. Unknown keys are ignored; keys are compared whole. Returns NORMAL, or the
 * status to disconnect with: NO_VERSION, BAD_VERSION (no 2.x is offered), NO_MAX_FRAME_SIZE,
 * BAD_MAX_FRAME_SIZE (under SPOP_FRAME_SIZE_MIN or over 32 bits), NO_CAPABILITIES, INVALID (not a KV list, or
 * a value of a wrong type).
 */
MUST_CHECK enum spop_status spop_hello_decode(struct span payload, struct spop_hello *ret_hello);

/* Reads a HAPROXY-DISCONNECT payload. False if it is not a KV list with a status-code of 32 bits. */
MUST_CHECK bool spop_disconnect_decode(struct span payload, struct spop_disconnect *ret_disconnect);

/*
 * Takes the head of the next message off `cursor`, a NOTIFY payload, which may be empty. Returns 1 with the
 * message, 0 at the end, -1 if the payload is malformed. `cursor` then stands at the arguments. The caller
 * must call spop_kv_read() `arg_count` times before it asks for the next message.
 */
MUST_CHECK int spop_message_read(struct span *cursor, struct spop_message *ret_message);

/* Each encoder appends one whole frame, LEN included, FIN set. If the frame does not fit, it appends
 * nothing and sets sink->full. The caller must keep to the negotiated max-frame-size. */
void spop_agent_hello_write(struct sink *sink, uint32_t max_frame_size, bool pipelining);
void spop_agent_disconnect_write(struct sink *sink, enum spop_status status, const char *message);

/* Appends the ACK of the NOTIFY with these ids. `actions` comes from the action writers and must not be
 * empty: an empty ACK hangs HAProxy 3.1. */
static inline void spop_ack_write(struct sink *sink, uint64_t stream_id, uint64_t frame_id,
                                  struct span actions);

/* Actions (SPOE.txt 3.2.7). `name` is without the prefix, which HAProxy adds. It has [A-Za-z0-9_.] only. */
void spop_set_var_write(struct sink *sink, enum spop_scope scope, const char *name,
                        const struct spop_value *value);
void spop_unset_var_write(struct sink *sink, enum spop_scope scope, const char *name);

/* ---- For every client a NOTIFY is taken and an ACK is written: that is inline. ---- */

static inline uint32_t spop_u32_read(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* SPOE.txt 3.2: TYPE (1 byte), FLAGS (4 bytes), STREAM-ID and FRAME-ID (varints). */
MUST_CHECK __attribute__((always_inline)) static inline int
spop_frame_parse(const uint8_t *in, size_t len, uint32_t max_frame_size, struct spop_frame *ret_frame)
{
    struct spop_frame frame;

    if (len < SPOP_LEN_BYTES)
        return 0;
    uint32_t size = spop_u32_read(in);
    if (size > max_frame_size)
        return -SPOP_STATUS_TOO_BIG;
    if (size < SPOP_FRAME_MIN)
        return -SPOP_STATUS_INVALID;
    if (len - SPOP_LEN_BYTES < size)
        return 0;
    frame.type = in[SPOP_LEN_BYTES];
    frame.flags = spop_u32_read(in + SPOP_LEN_BYTES + 1);
    frame.payload = span_of(in + SPOP_LEN_BYTES + 5, size - 5);
    if (!spop_integer_read(&frame.payload, &frame.stream_id) ||
        !spop_integer_read(&frame.payload, &frame.frame_id))
        return -SPOP_STATUS_INVALID;
    *ret_frame = frame;
    return (int)(SPOP_LEN_BYTES + size);
}

/* Writes LEN at the front of a frame. */
static inline void spop_len_write(uint8_t *frame, uint32_t len)
{
    frame[0] = (uint8_t)(len >> 24);
    frame[1] = (uint8_t)(len >> 16);
    frame[2] = (uint8_t)(len >> 8);
    frame[3] = (uint8_t)len;
}

/* Writes an ACK at `frame`, where there must be room for SPOP_LEN_BYTES, SPOP_HEADER_MAX and the actions. Returns its
 * end. */
__attribute__((always_inline)) static inline uint8_t *spop_ack_put(uint8_t *frame, uint64_t stream_id,
                                                                   uint64_t frame_id, struct span actions)
{
    static const uint8_t head[] = {SPOP_ACK, 0, 0, 0, SPOP_FLAG_FIN};
    uint8_t *at = frame + SPOP_LEN_BYTES;

    memcpy(at, head, sizeof(head));
    at += sizeof(head);
    at += varint_encode(stream_id, at);
    at += varint_encode(frame_id, at);
    chunks_copy(at, actions.data, actions.len);
    at += actions.len;
    spop_len_write(frame, (uint32_t)((size_t)(at - frame) - SPOP_LEN_BYTES));
    return at;
}

/* Whether an ACK with `len` bytes of actions fits exactly. */
__attribute__((cold)) bool spop_ack_fits(const struct sink *sink, uint64_t stream_id, uint64_t frame_id,
                                         size_t len);

__attribute__((always_inline)) static inline void spop_ack_write(struct sink *sink, uint64_t stream_id,
                                                                 uint64_t frame_id, struct span actions)
{
    if (sink_room(sink) < SPOP_LEN_BYTES + SPOP_HEADER_MAX + actions.len &&
        !spop_ack_fits(sink, stream_id, frame_id, actions.len)) {
        sink->full = true;
        return;
    }
    sink->at = spop_ack_put(sink->at, stream_id, frame_id, actions);
}

#endif
