/*
 * One connection from HAProxy as a sans-I/O object: bytes in, bytes out, no allocation. The first frame must
 * be HAPROXY-HELLO. After it, each NOTIFY is answered with an ACK from the service table. If no node is
 * named, the answer may wait (parking.h). A peer that breaks the protocol gets AGENT-DISCONNECT with the
 * status code that says how (SPOE.txt section 3.2).
 */
#ifndef SPOA_CORE_HAPROXY_SPOP_SESSION_H
#define SPOA_CORE_HAPROXY_SPOP_SESSION_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "proto/spop_frame.h"
#include "proto/spop_status.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/service_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest frame that we accept and announce, in bytes without LEN. A larger limit has no use, because
 * our frames are small. It would even harm: from HAProxy 3.1 on a health check fails if the agent's limit
 * exceeds tune.bufsize - 4. */
#define SPOP_SESSION_FRAME_MAX 4096

/* The most bytes that one reply needs. With less room spop_session_feed() takes no frame. */
#define SPOP_SESSION_REPLY_MAX 512

enum spop_session_phase {
    SPOP_SESSION_HELLO,   /* HAPROXY-HELLO must come first */
    SPOP_SESSION_ACTIVE,  /* NOTIFYs are answered */
    SPOP_SESSION_CHECKED, /* a health check was answered; the peer will close */
    SPOP_SESSION_CLOSED,  /* AGENT-DISCONNECT is written: send it, then close */
};

struct spop_session {
    enum spop_session_phase phase;
    uint32_t max_frame_size; /* ours until HELLO, then the smaller of ours and HAProxy's */
    enum spop_status status; /* with CLOSED: what AGENT-DISCONNECT said */
    struct service_table *table;
    struct metrics *metrics;
    const bool *draining; /* the agent is stopping: health checks are refused, and nothing is parked */
    bool is_guest;        /* there are too many connections: only a health check is answered */
    bool is_refused;      /* it was a guest, and no health check */
    struct parking_client parked;
};

/* Borrows all arguments. */
void spop_session_init(struct spop_session *session, struct service_table *table, struct metrics *metrics,
                       const bool *draining);

/*
 * Goes on with a session that another process has begun: HELLO is over, with this frame size. False where it
 * cannot be one.
 */
MUST_CHECK bool spop_session_resume(struct spop_session *session, uint32_t max_frame_size);

/*
 * Takes whole frames from the front of `in` and appends the replies to `out`. Returns how many bytes it took.
 * The rest of `in` is the beginning of a frame, with two exceptions: `out` has less room than
 * SPOP_SESSION_REPLY_MAX (send `out` and go on), or the phase is CLOSED (drop the rest).
 */
MUST_CHECK size_t spop_session_feed(struct spop_session *session, struct span in, int64_t now_ms,
                                    struct sink *out);

/* Appends the answers to parked streams that are due, while `out` has room for SPOP_SESSION_REPLY_MAX
 * bytes. */
void spop_session_release(struct spop_session *session, int64_t now_ms, struct sink *out);

/* Forgets all parked streams, because the connection is gone. */
void spop_session_finish(struct spop_session *session, int64_t now_ms);

/* Ends the session from our side with AGENT-DISCONNECT; `out` has room for a reply. */
void spop_session_close(struct spop_session *session, enum spop_status status, struct sink *out);

#endif
