/*
 * The sessions that HAProxy lists on its runtime API: `show sess` (management guide, section 9.3). Pure:
 * text in, sessions out.
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

/* One session to a server. The texts are parts of the line and are not terminated. */
struct haproxy_session {
    const char *id; /* "0x7f8bba27a000", as `shutdown session` takes it */
    size_t id_len;
    const char *backend;
    size_t backend_len;
    const char *server;
    size_t server_len;
    enum haproxy_session_state state;
};

/* Reads a line of the reply to `show sess`. False if it is not about a session to a server. */
bool haproxy_session_read(const char *line, struct haproxy_session *ret_session);

#endif
