/* SPOP 2.0 frames (SPOE.txt section 3.2): what HAProxy sends, decoded; what an agent sends, encoded. */
#ifndef PROTO_SPOP_FRAME_H
#define PROTO_SPOP_FRAME_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "proto/spop_data.h"
#include "proto/spop_status.h"

#include <stdbool.h>
#include <stdint.h>

#define SPOP_VERSION "2.0"

/* LEN, the four bytes in front of every frame, does not count itself. */
#define SPOP_LEN_BYTES 4
/* The shortest legal frame: type, flags and two one-byte ids. HAProxy refuses a shorter one, or hangs on it. */
#define SPOP_FRAME_MIN 7
/* The longest header behind LEN: type, flags, two ids of ten bytes. */
#define SPOP_HEADER_MAX 25
/* The least max-frame-size that HAProxy may announce. */
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
    uint8_t type; /* enum spop_frame_type, or a type that we do not know */
    uint32_t flags;
    uint64_t stream_id; /* opaque, unique on its connection only */
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
    uint32_t status_code; /* as sent: may be a code that the specification does not list */
    struct span message;
};

/* The head of one message of a NOTIFY. */
struct spop_message {
    struct span name;
    unsigned arg_count;
};

/*
 * Finds the frame at the front of `in`. Returns the bytes that it takes, LEN included; 0 where more bytes are
 * needed; a negated enum spop_status where the input cannot become a frame: TOO_BIG (LEN over
 * `max_frame_size`), INVALID (LEN under SPOP_FRAME_MIN, a malformed header). TOO_BIG and a LEN that is too
 * small are known from the first four bytes. `max_frame_size` (bytes, LEN excluded) must leave room for
 * SPOP_LEN_BYTES in an int.
 */
MUST_CHECK int spop_frame_parse(const uint8_t *in, size_t len, uint32_t max_frame_size,
                                struct spop_frame *ret_frame);

/*
 * Reads a HAPROXY-HELLO payload. Unknown keys are ignored; keys are compared whole. NORMAL, or the status to
 * disconnect with: NO_VERSION, BAD_VERSION (no 2.0 among them), NO_MAX_FRAME_SIZE, BAD_MAX_FRAME_SIZE (under
 * SPOP_FRAME_SIZE_MIN or over 32 bits), NO_CAPABILITIES, INVALID (not a KV list, a value of a wrong type).
 */
MUST_CHECK enum spop_status spop_hello_decode(struct span payload, struct spop_hello *ret_hello);

/* Reads a HAPROXY-DISCONNECT payload. False where it is not a KV list with a status-code of 32 bits. */
MUST_CHECK bool spop_disconnect_decode(struct span payload, struct spop_disconnect *ret_disconnect);

/*
 * Takes the head of the next message off `cursor` (a NOTIFY payload, possibly empty). Returns 1 with the
 * message, 0 at the end, -1 where the payload is malformed. `cursor` is left at its arguments, which the caller
 * must take off by `arg_count` calls of spop_kv_read() before it asks for the next message.
 */
MUST_CHECK int spop_message_read(struct span *cursor, struct spop_message *ret_message);

/*
 * Encoders append one whole frame, LEN included, FIN set; all or nothing: a frame that does not fit leaves the
 * sink where it was, but full. The caller keeps to the negotiated max-frame-size.
 */
void spop_agent_hello_write(struct sink *sink, uint32_t max_frame_size, bool pipelining);
void spop_agent_disconnect_write(struct sink *sink, enum spop_status status, const char *message);

/* An ACK of the NOTIFY with these ids. `actions` is what the action writers made and must not be empty: an
 * empty ACK hangs HAProxy 3.1. */
void spop_ack_write(struct sink *sink, uint64_t stream_id, uint64_t frame_id, struct span actions);

/* Actions (SPOE.txt 3.2.7). `name` goes without the prefix, which HAProxy adds; [A-Za-z0-9_.] only. */
void spop_set_var_write(struct sink *sink, enum spop_scope scope, const char *name,
                        const struct spop_value *value);
void spop_unset_var_write(struct sink *sink, enum spop_scope scope, const char *name);

#endif
