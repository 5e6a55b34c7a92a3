/* Replaces tls.c in a build without OpenSSL. Nothing can be created, so there is never a stream. */
#include <errno.h>
#include <stdio.h>

#include "spoa/io/net/tls.h"

const char *tls_version(void)
{
    return "not built";
}

struct tls *tls_create(const struct config_tls *settings, char error[TLS_ERROR_MAX])
{
    (void)settings;
    (void)snprintf(error, TLS_ERROR_MAX, "this build has no TLS: OpenSSL was missing");
    return NULL;
}

struct tls *tls_create_server(const struct config_tls *settings, char error[TLS_ERROR_MAX])
{
    return tls_create(settings, error);
}

void tls_destroy(struct tls *tls)
{
    (void)tls;
}

struct tls_stream *tls_stream_create(const struct tls *tls, int fd, const struct addr *peer)
{
    (void)tls;
    (void)fd;
    (void)peer;
    return NULL;
}

struct tls_stream *tls_stream_accept(const struct tls *tls, int fd)
{
    (void)tls;
    (void)fd;
    return NULL;
}

void tls_stream_destroy(struct tls_stream *stream)
{
    (void)stream;
}

int tls_stream_handshake(struct tls_stream *stream)
{
    (void)stream;
    return -1;
}

ssize_t tls_stream_read(struct tls_stream *stream, void *bytes, size_t size)
{
    (void)stream;
    (void)bytes;
    (void)size;
    errno = EPROTO;
    return -1;
}

ssize_t tls_stream_write(struct tls_stream *stream, const void *bytes, size_t len)
{
    (void)stream;
    (void)bytes;
    (void)len;
    errno = EPROTO;
    return -1;
}

bool tls_stream_wants_write(const struct tls_stream *stream)
{
    (void)stream;
    return false;
}

bool tls_stream_wants_read(const struct tls_stream *stream)
{
    (void)stream;
    return false;
}

bool tls_stream_is_open(const struct tls_stream *stream)
{
    (void)stream;
    return false;
}

bool tls_stream_has_part(const struct tls_stream *stream)
{
    (void)stream;
    return false;
}

void tls_stream_end(struct tls_stream *stream)
{
    (void)stream;
}

const char *tls_stream_error(const struct tls_stream *stream)
{
    (void)stream;
    return tls_version();
}
