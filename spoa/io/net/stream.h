/* A connection that was accepted: bytes in, bytes out, plain or with TLS. Its owner has the watchers. */
#ifndef SPOA_IO_NET_STREAM_H
#define SPOA_IO_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/base/events.h"

struct tls;
struct tls_stream;

struct stream {
    int fd;
    struct tls_stream *tls; /* NULL: plain */
};

/*
 * Takes over `fd`, which does not block. `tls` is from tls_create_server() and may end before the stream;
 * NULL: plain. False if memory is short: then `fd` is still the caller's.
 */
MUST_CHECK bool stream_open(struct stream *stream, int fd, const struct tls *tls);

/* Closes the socket. The peer of a TLS stream is not told: see stream_end(). */
void stream_close(struct stream *stream);

/*
 * Like recv() and send(). EAGAIN: wait for the socket, see stream_awaits_room(). EPROTO: the peer breaks the
 * rules of TLS, or is not let in; see stream_log_failure(). The first read with TLS does the handshake. With TLS a
 * write that the socket did not take must be repeated with the same bytes; more may follow them.
 */
MUST_CHECK ssize_t stream_read(struct stream *stream, void *bytes, size_t size);
MUST_CHECK ssize_t stream_write(struct stream *stream, struct span bytes);

/*
 * What the stream needs before it can go on: true if the socket must take bytes, false if bytes must come.
 * `has_output`: output waits, and the last call was a write.
 */
bool stream_awaits_room(const struct stream *stream, bool has_output);

bool stream_is_secure(const struct stream *stream);

/* Whether bytes can be exchanged: false until a TLS handshake is over. */
bool stream_is_ready(const struct stream *stream);

/*
 * Whether a part of something has come, of which the rest has not: it cannot be read yet. Plain streams have
 * no parts.
 */
bool stream_has_part(const struct stream *stream);

/* Whether bytes have come that were not read. */
bool stream_has_unread(const struct stream *stream);

/* Tells the peer that nothing more comes from us. Reading goes on. */
void stream_end(struct stream *stream);

/* Logs `event` with the peer and the reason of EPROTO: it speaks no TLS, does not trust us, or we do not trust it. */
void stream_log_failure(const struct stream *stream, enum log_event_kind event);

#endif
