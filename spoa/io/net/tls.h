/*
 * TLS to Redis and Sentinel, and for those who connect to us: OpenSSL over our own sockets. Whom we call must
 * have a certificate for its name, with a chain that is good. A build without OpenSSL has
 * spoa/io/net/tls_none.c in its place; there nothing can be created.
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
/* The most that one record holds. A read of this size leaves no bytes in OpenSSL, where the loop would not
 * see them. */
#define TLS_RECORD_MAX ((size_t)16 * 1024)

/* Certificates and keys in memory, as the files were when it was created. */
struct tls;
/* One connection. */
struct tls_stream;

/* "OpenSSL 3.0.2 ...", or "not built". */
const char *tls_version(void);

/* Reads the files of `settings`, which is borrowed. Returns NULL with a text in `error` on failure. */
MUST_CHECK struct tls *tls_create(const struct config_tls *settings, char error[TLS_ERROR_MAX]);
/*
 * The same for those who connect to us. The settings must have a certificate. With a `ca_file` the peer must
 * have one as well, which an authority in that file has signed.
 */
MUST_CHECK struct tls *tls_create_server(const struct config_tls *settings, char error[TLS_ERROR_MAX]);
void tls_destroy(struct tls *tls); /* NULL is fine; its streams may go on */

/*
 * Makes a stream over `fd`, which is connected to `peer` and stays the caller's. The peer must have a
 * certificate for the server name of the settings, or, if they have none, for `peer`. NULL if memory is
 * short.
 */
MUST_CHECK struct tls_stream *tls_stream_create(const struct tls *tls, int fd, const struct addr *peer);
/*
 * Makes a stream over `fd`, which was accepted and stays the caller's. `tls` is from tls_create_server(). The
 * first read does the handshake. NULL if memory is short.
 */
MUST_CHECK struct tls_stream *tls_stream_accept(const struct tls *tls, int fd);
void tls_stream_destroy(struct tls_stream *stream); /* NULL is fine; the peer is not told */

/*
 * 1: done. 0: call again when the socket can be read, or written (see tls_stream_wants_write()). -1: failed.
 */
MUST_CHECK int tls_stream_handshake(struct tls_stream *stream);

/*
 * Like recv() and send(). EAGAIN: wait for the socket. EPROTO: see tls_stream_error(). A write stops early
 * only where the socket takes no more.
 */
MUST_CHECK ssize_t tls_stream_read(struct tls_stream *stream, void *bytes, size_t size);
MUST_CHECK ssize_t tls_stream_write(struct tls_stream *stream, const void *bytes, size_t len);

/* Whether the last call must be repeated when the socket can be written, or read. */
bool tls_stream_wants_write(const struct tls_stream *stream);
bool tls_stream_wants_read(const struct tls_stream *stream);

/* Whether the handshake is over. */
bool tls_stream_is_open(const struct tls_stream *stream);

/* Whether a part of a record has come, and the rest has not. */
bool tls_stream_has_part(const struct tls_stream *stream);

/* Tells the peer that nothing more comes from us, if the socket takes it. */
void tls_stream_end(struct tls_stream *stream);

/* Why the handshake failed, or the reason of EPROTO. Valid until the next call. */
const char *tls_stream_error(const struct tls_stream *stream);

#endif
