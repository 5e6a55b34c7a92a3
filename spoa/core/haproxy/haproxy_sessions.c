#include "spoa/core/haproxy/haproxy_sessions.h"

#include <stdlib.h>
#include <string.h>

/* HAProxy's SC_ST_EST (include/haproxy/stconn-t.h): the state of a connector that is established. Lower:
 * on the way there. */
#define ESTABLISHED 8

struct word {
    const char *text;
    size_t len;
};

/* What stands behind `key` in the line, up to the next blank; .text is NULL where it is not there. */
static struct word find_value(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    if (at == NULL)
        return (struct word){NULL, 0};
    at += strlen(key);
    return (struct word){at, strcspn(at, " ")};
}

static enum haproxy_session_state judge_state(const char *number)
{
    unsigned long state = strtoul(number, NULL, 10);

    if (state == ESTABLISHED)
        return HAPROXY_SESSION_ESTABLISHED;
    return state < ESTABLISHED ? HAPROXY_SESSION_CONNECTING : HAPROXY_SESSION_ENDING;
}

/* "0x7f8bba27a000: proto=tcpv4 src=... fe=F be=B srv=S ... scb=[8,1h,fd=19,...] ..." */
bool haproxy_session_read(const char *line, struct haproxy_session *ret_session)
{
    size_t id_len = strncmp(line, "0x", 2) == 0 ? 2 + strspn(line + 2, "0123456789abcdef") : 0;
    struct word backend = find_value(line, " be=");
    struct word server = find_value(line, " srv=");
    struct word state = find_value(line, " scb=[");

    /* The id goes into a command: what is no number could be another command. */
    if (id_len <= 2 || line[id_len] != ':' || backend.text == NULL || server.text == NULL ||
        state.text == NULL || server.text[0] == '<')
        return false;
    *ret_session = (struct haproxy_session){
        .id = line,
        .id_len = id_len,
        .backend = backend.text,
        .backend_len = backend.len,
        .server = server.text,
        .server_len = server.len,
        .state = judge_state(state.text),
    };
    return true;
}
