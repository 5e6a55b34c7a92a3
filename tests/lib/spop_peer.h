/* What HAProxy sends, made by hand, and what it reads out of an agent's replies. */
#ifndef TESTS_LIB_SPOP_PEER_H
#define TESTS_LIB_SPOP_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/spop_frame.h"

/* A frame of any kind: begin, write the payload to `out`, end. `out` must have room. */
uint8_t *spop_peer_begin(struct sink *out, uint8_t type, uint32_t flags, uint64_t stream_id,
                         uint64_t frame_id);
void spop_peer_end(const struct sink *out, uint8_t *begin);

/* One frame with FIN and the payload given. */
void spop_peer_frame(struct sink *out, uint8_t type, uint64_t stream_id, uint64_t frame_id,
                     struct span payload);

/* HAPROXY-HELLO as HAProxy 3.1 says it, with this max-frame-size; as a health check, or as a connection for
 * NOTIFYs. */
void spop_peer_hello(struct sink *out, uint32_t max_frame_size, bool healthcheck);

/* A NOTIFY with one message "lookup"; NULL leaves the argument out. */
void spop_peer_notify(struct sink *out, uint64_t stream_id, uint64_t frame_id, const char *service,
                      const char *role);

/* Head of a message; arguments follow by spop_kv_write(). */
void spop_peer_message(struct sink *out, const char *name, uint8_t arg_count);

void spop_peer_disconnect(struct sink *out, uint32_t status_code);

/*
 * Takes a reply off the front of `bytes`; false where it is not whole. Fails an assertion where it is
 * invalid.
 */
bool spop_peer_reply(struct span *bytes, struct spop_frame *ret_frame);

/* The status code of AGENT-DISCONNECT; -1 where the frame is none. */
int spop_peer_status(const struct spop_frame *frame);

/*
 * What an ACK makes of the variable: 1 and the value where it is set, 0 where it is unset, -1 where the ACK
 * does not speak of it. Fails an assertion where the actions are malformed or not in scope txn.
 */
int spop_peer_variable(const struct spop_frame *frame, const char *name, struct spop_value *ret_value);

/* Whether the variable is set to that text. */
bool spop_peer_says(const struct spop_frame *frame, const char *name, const char *text);

#endif
