#include "spoa/io/net/stream.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/core/base/log.h"
#include "spoa/io/net/socket_addr.h"
#include "spoa/io/net/tls.h"

bool stream_open(struct stream *stream, int fd, const struct tls *tls)
{
    struct stream opened = {.fd = fd};

    if (tls != NULL) {
        opened.tls = tls_stream_accept(tls, fd);
        if (opened.tls == NULL)
            return false;
    }
    *stream = opened;
    return true;
}

void stream_close(struct stream *stream)
{
    tls_stream_destroy(stream->tls);
    stream->tls = NULL;
    close(stream->fd);
    stream->fd = -1;
}

ssize_t stream_read(struct stream *stream, void *bytes, size_t size)
{
    return stream->tls != NULL ? tls_stream_read(stream->tls, bytes, size) : recv(stream->fd, bytes, size, 0);
}

ssize_t stream_write(struct stream *stream, struct span bytes)
{
    return stream->tls != NULL ? tls_stream_write(stream->tls, bytes.data, bytes.len)
                               : send(stream->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
}

bool stream_awaits_room(const struct stream *stream, bool has_output)
{
    if (stream->tls == NULL)
        return has_output;
    return has_output ? !tls_stream_wants_read(stream->tls) : tls_stream_wants_write(stream->tls);
}

bool stream_is_secure(const struct stream *stream)
{
    return stream->tls != NULL;
}

bool stream_is_ready(const struct stream *stream)
{
    return stream->tls == NULL || tls_stream_is_open(stream->tls);
}

bool stream_has_part(const struct stream *stream)
{
    return stream->tls != NULL && tls_stream_has_part(stream->tls);
}

bool stream_has_unread(const struct stream *stream)
{
    int unread = 0;

    return stream_has_part(stream) || (ioctl(stream->fd, FIONREAD, &unread) == 0 && unread > 0);
}

void stream_end(struct stream *stream)
{
    if (stream->tls != NULL)
        tls_stream_end(stream->tls);
    shutdown(stream->fd, SHUT_WR);
}

void stream_log_failure(const struct stream *stream, enum log_event_kind event)
{
    struct addr peer = {.kind = ADDR_NONE};
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    char text[ADDR_TEXT_MAX];

    if (getpeername(stream->fd, (struct sockaddr *)&storage, &len) == 0)
        (void)socket_addr_to(&storage, &peer);
    log_event(event, log_text("peer", addr_format(&peer, text)),
              log_text("reason", tls_stream_error(stream->tls)));
}
