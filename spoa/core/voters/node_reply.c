#include "spoa/core/voters/node_reply.h"

#include <stdio.h>
#include <string.h>

#include "spoa/core/redis/redis_id.h"

/* Digits of a port, and the end of the text. */
#define PORT_TEXT_MAX 8

/* The rest of the line that begins with `key`, in a text of such lines; an empty span where there is none. */
static struct span find_line(struct span text, const char *key)
{
    size_t key_len = strlen(key);
    const uint8_t *end = text.data + text.len;

    for (const uint8_t *line = text.data; line < end;) {
        const uint8_t *feed = memchr(line, '\n', (size_t)(end - line));
        const uint8_t *stop = feed != NULL ? feed : end;
        size_t len = (size_t)(stop - line);
        if (len >= key_len && memcmp(line, key, key_len) == 0) {
            if (stop[-1] == '\r' && len > key_len)
                len--;
            return span_of(line + key_len, len - key_len);
        }
        if (feed == NULL)
            break;
        line = feed + 1;
    }
    return span_of(NULL, 0);
}

struct span node_reply_run_id(const struct reply *reply)
{
    if (reply->kind != REPLY_TEXT)
        return span_of(NULL, 0);
    struct span id = find_line(reply->text, "run_id:");
    return redis_is_id(id) ? id : span_of(NULL, 0);
}

bool node_reply_is_cluster_up(const struct reply *reply)
{
    return reply->kind == REPLY_TEXT && span_equals_text(find_line(reply->text, "cluster_state:"), "ok");
}

/* Host and port as they stand in replies: a text and a number. */
static enum quorum_ballot read_addr(const struct reply *host, const struct reply *port, struct addr *ret_addr)
{
    char text[PORT_TEXT_MAX];

    if (host->kind != REPLY_TEXT || port->kind != REPLY_INTEGER || port->number < 1 ||
        port->number > UINT16_MAX)
        return QUORUM_INVALID;
    (void)snprintf(text, sizeof(text), "%u", (unsigned)port->number);
    return addr_from_parts(host->text, span_of_text(text), ret_addr) ? QUORUM_NAMES : QUORUM_INVALID;
}

enum quorum_ballot node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self)
{
    if (reply->kind != REPLY_ARRAY || reply->count < 3 || reply->elements[0].kind != REPLY_TEXT)
        return QUORUM_INVALID;
    *ret_is_self = span_equals_text(reply->elements[0].text, "master");
    if (*ret_is_self) {
        *ret_master = *self;
        return QUORUM_NAMES;
    }
    if (!span_equals_text(reply->elements[0].text, "slave"))
        return QUORUM_INVALID;
    return read_addr(&reply->elements[1], &reply->elements[2], ret_master);
}

enum quorum_ballot node_reply_find_owner(const struct reply *reply, unsigned slot, struct addr *ret_owner)
{
    if (reply->kind != REPLY_ARRAY)
        return QUORUM_INVALID;
    for (size_t i = 0; i < reply->count; i++) {
        /* First and last slot, the master, its replicas. */
        const struct reply *range = &reply->elements[i];
        if (range->kind != REPLY_ARRAY || range->count < 3 || range->elements[0].kind != REPLY_INTEGER ||
            range->elements[1].kind != REPLY_INTEGER || range->elements[2].kind != REPLY_ARRAY ||
            range->elements[2].count < 2)
            return QUORUM_INVALID;
        if (range->elements[0].number <= slot && slot <= range->elements[1].number)
            return read_addr(&range->elements[2].elements[0], &range->elements[2].elements[1], ret_owner);
    }
    return QUORUM_UNKNOWN_NAME;
}
