#include "spoa/io/effects/runtime_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/socket_addr.h"

#define TIMEOUT_S 2.0

struct runtime_call {
    ev_io io;
    ev_timer timeout;
    struct ev_loop *loop;
    runtime_call_say *say;
    runtime_call_read *on_read;
    runtime_call_ended *on_ended;
    void *context;
    size_t sent;
    size_t len; /* 0: the line is not there yet */
    char line[RUNTIME_LINE_MAX];
};

void runtime_call_cancel(struct runtime_call *call)
{
    if (call == NULL)
        return;
    ev_io_stop(call->loop, &call->io);
    ev_timer_stop(call->loop, &call->timeout);
    close(call->io.fd);
    free(call);
}

static void end_call(struct runtime_call *call, const char *reason)
{
    runtime_call_ended *on_ended = call->on_ended;
    void *context = call->context;

    runtime_call_cancel(call);
    on_ended(context, reason);
}

static void read_reply(struct runtime_call *call)
{
    char bytes[16384];
    ssize_t got = read(call->io.fd, bytes, sizeof(bytes));

    if (got > 0)
        call->on_read(call->context, bytes, (size_t)got);
    else if (got == 0)
        end_call(call, NULL);
    else if (errno != EAGAIN && errno != EINTR)
        end_call(call, strerror(errno));
}

static void write_line(struct runtime_call *call)
{
    if (call->len == 0)
        call->len = call->say(call->context, call->line);
    if (call->len == 0) {
        end_call(call, NULL);
        return;
    }
    ssize_t sent = send(call->io.fd, call->line + call->sent, call->len - call->sent, MSG_NOSIGNAL);

    if (sent == -1) {
        if (errno != EAGAIN && errno != EINTR)
            end_call(call, strerror(errno));
        return;
    }
    call->sent += (size_t)sent;
    if (call->sent < call->len)
        return;
    ev_io_stop(call->loop, &call->io);
    ev_io_set(&call->io, call->io.fd, EV_READ);
    ev_io_start(call->loop, &call->io);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct runtime_call *call = container_of(io, struct runtime_call, io);

    (void)loop;
    if ((events & EV_WRITE) != 0)
        write_line(call);
    else
        read_reply(call);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    end_call(container_of(timer, struct runtime_call, timeout), "timeout");
}

/* -1 with errno where it cannot even be tried. */
static int connect_api(const struct addr *api)
{
    struct sockaddr_storage address;
    socklen_t len = 0;

    if (!socket_addr_from(api, &address, &len)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, len) == -1 && errno != EINPROGRESS && errno != EINTR) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

struct runtime_call *runtime_call_begin(struct ev_loop *loop, const struct addr *api, runtime_call_say *say,
                                        runtime_call_read *on_read, runtime_call_ended *on_ended,
                                        void *context)
{
    struct runtime_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    int fd = connect_api(api);
    if (fd == -1) {
        int code = errno;
        free(call);
        errno = code;
        return NULL;
    }
    call->loop = loop;
    call->say = say;
    call->on_read = on_read;
    call->on_ended = on_ended;
    call->context = context;
    ev_io_init(&call->io, on_io, fd, EV_WRITE);
    ev_io_start(loop, &call->io);
    ev_timer_init(&call->timeout, on_timeout, TIMEOUT_S, 0.0);
    ev_now_update(loop);
    ev_timer_start(loop, &call->timeout);
    return call;
}
