/*
 * TLS to Redis and Sentinel: OpenSSL over sockets of ours. The peer's chain and its name are always verified. A build
 * without OpenSSL has io/tls_none.c in its place: there tls_create() fails.
 */
#ifndef SPOA_IO_NET_TLS_H
#define SPOA_IO_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/must_check.h"

struct addr;
struct config_tls;

#define TLS_ERROR_MAX 256
/* What one record holds at the most: a read of so much leaves nothing in OpenSSL, where the loop would not see it. */
#define TLS_RECORD_MAX ((size_t)16 * 1024)

/* Certificates and keys in memory: as the files were when it was made. */
struct tls;
/* One connection. */
struct tls_stream;

/* "OpenSSL 3.0.2 ...", or "not built". */
const char *tls_version(void);

/* Reads the files of `settings`, which are borrowed. NULL with a text in `error` where that cannot be done. */
MUST_CHECK struct tls *tls_create(const struct config_tls *settings, char error[TLS_ERROR_MAX]);
void tls_destroy(struct tls *tls); /* NULL is fine; streams may go on */

/*
 * For `fd`, which is connected to `peer` and stays the caller's. The peer must have a certificate for `peer`, or for the
 * server name of the settings. NULL where memory is short.
 */
MUST_CHECK struct tls_stream *tls_stream_create(const struct tls *tls, int fd, const struct addr *peer);
void tls_stream_destroy(struct tls_stream *stream); /* NULL is fine; without a word to the peer */

/* 1: done. 0: to be called again when the socket can be read, or written (tls_stream_wants_write()). -1: failed. */
MUST_CHECK int tls_stream_handshake(struct tls_stream *stream);

/* As recv() and send(): EAGAIN where the socket has to be waited for; EPROTO: see tls_stream_error(). */
MUST_CHECK ssize_t tls_stream_read(struct tls_stream *stream, void *bytes, size_t size);
MUST_CHECK ssize_t tls_stream_write(struct tls_stream *stream, const void *bytes, size_t len);

/* What has no end before the socket can be written. */
bool tls_stream_wants_write(const struct tls_stream *stream);

/* Why the handshake failed, or the error EPROTO; valid until the next call. */
const char *tls_stream_error(const struct tls_stream *stream);

#endif
