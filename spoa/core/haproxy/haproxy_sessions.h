/*
 * What HAProxy says on its runtime API about itself and its sessions: `show info` and `show sess` (management guide,
 * section 9.3). Pure: text in, facts out.
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

/* Of the first bytes of a reply to `show info`, in lines or in one: 300 for HAProxy 3.0. 0 where it is none of HAProxy's. */
unsigned haproxy_info_version(const char *info);

/*
 * Whether this HAProxy never closes a session that is still connecting when it is shut. Its client waits for good, and
 * the session stays when the client has gone. 2.6 closes it, and so does 3.2-dev10 and later (HAProxy's commit 51611a5b7).
 * 2.7 was not tried. A bug-fix release of 2.8, 3.0 or 3.1 may be mended as well. Nothing is lost by taking care of all these, nor of one
 * whose version is not known (0).
 */
bool haproxy_hangs(unsigned version);

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
