/*
 * The sessions that HAProxy lists on its runtime API: `show sess` (management guide, section 9.3). Pure: text in,
 * sessions out.
 */
#ifndef SPOA_CORE_HAPROXY_HAPROXY_SESSIONS_H
#define SPOA_CORE_HAPROXY_HAPROXY_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

/* How far a session is. */
enum haproxy_session_state {
    HAPROXY_SESSION_CONNECTING, /* it waits for its server, in a queue or for a connection */
    HAPROXY_SESSION_ESTABLISHED,
    HAPROXY_SESSION_ENDING,
};

/* A longer line of `show sess` is read up to here; what is looked for stands in its first half. */
#define SESSION_LINE_MAX 1024

/* One session to a server. Texts are not terminated and are valid during the call only. */
struct haproxy_session {
    const char *id; /* "0x7f8bba27a000", as `shutdown session` takes it */
    size_t id_len;
    const char *backend;
    size_t backend_len;
    const char *server;
    size_t server_len;
    enum haproxy_session_state state;
};

/* Reads a reply to `show sess`, in pieces of any size. */
struct session_reader {
    void (*each)(void *context, const struct haproxy_session *session);
    void *context;
    size_t len;
    char line[SESSION_LINE_MAX];
};

void session_reader_init(struct session_reader *reader,
                         void (*each)(void *context, const struct haproxy_session *session), void *context);

/* Calls `each` for every session with a server that ends in these bytes. */
void session_reader_take(struct session_reader *reader, const char *bytes, size_t len);

#endif
