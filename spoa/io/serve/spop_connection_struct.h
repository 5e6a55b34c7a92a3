/* What a connection from HAProxy is made of. For spop_connection.c and spop_kept.c only. */
#ifndef SPOA_IO_SERVE_SPOP_CONNECTION_STRUCT_H
#define SPOA_IO_SERVE_SPOP_CONNECTION_STRUCT_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "spoa/core/haproxy/spop_session.h"
#include "spoa/io/net/buffer.h"
#include "spoa/io/net/stream.h"

struct spop_context;

struct spop_connection {
    struct stream stream;
    ev_io readable;
    ev_io writable;
    /* One timer for all deadlines: for HELLO, for writing, for lingering, for the rest of a frame, for the
     * next frame. */
    ev_timer deadline;
    ev_tstamp watch_until; /* when it fires, for the last two; else 0 */
    ev_tstamp t_heard;     /* when the last input came */
    ev_tstamp t_partial;   /* when an incomplete frame began; 0: none */
    int64_t opened_ms;     /* by clock_ms() */
    struct spop_session session;
    struct spop_context *context;
    struct spop_connection *next;
    struct spop_connection *prev;
    /* The beginning of a frame. Up to SPOP_IN_SIZE while `out` is not empty. */
    struct buffer in;
    /* Output that the socket did not take. Nothing is read until it is sent. */
    struct buffer out;
    bool lingering; /* our side is shut down, input is dropped */
};

#endif
