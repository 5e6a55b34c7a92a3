#include "spoa/core/voters/node_reply.h"

#include <stdio.h>
#include <string.h>

#include "spoa/core/redis/redis_id.h"

/* Room for the digits of a port and a NUL. */
#define PORT_TEXT_MAX 8

/* The rest of the line of `text` that begins with `key`, without the line end; an empty span if there is
 * none. */
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

enum reply_reading node_reply_read_run_id(const struct reply *reply, struct span *ret_id)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_TEXT);

    if (reading != REPLY_READ_OK)
        return reading;
    struct span id = find_line(reply->text, "run_id:");
    if (!redis_is_id(id))
        return REPLY_READ_NONSENSE;
    *ret_id = id;
    return REPLY_READ_OK;
}

enum reply_reading node_reply_read_cluster_state(const struct reply *reply, bool *ret_is_up)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_TEXT);

    if (reading == REPLY_READ_OK)
        *ret_is_up = span_equals_text(find_line(reply->text, "cluster_state:"), "ok");
    return reading;
}

/* Reads host and port, which replies give as a text and a number. */
static enum reply_reading read_addr(const struct reply *host, const struct reply *port, struct addr *ret_addr)
{
    char text[PORT_TEXT_MAX];

    if (host->kind != REPLY_TEXT || port->kind != REPLY_INTEGER)
        return REPLY_READ_NONSENSE;
    if (port->number < 1 || port->number > UINT16_MAX)
        return REPLY_READ_BAD_ADDRESS;
    (void)snprintf(text, sizeof(text), "%u", (unsigned)port->number);
    return addr_from_parts(host->text, span_of_text(text), ret_addr) ? REPLY_READ_OK : REPLY_READ_BAD_ADDRESS;
}

enum reply_reading node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_ARRAY);

    if (reading != REPLY_READ_OK)
        return reading;
    if (reply->count < 3 || reply->elements[0].kind != REPLY_TEXT)
        return REPLY_READ_NONSENSE;
    bool is_self = span_equals_text(reply->elements[0].text, "master");
    if (is_self) {
        *ret_master = *self;
    } else {
        reading = span_equals_text(reply->elements[0].text, "slave")
                      ? read_addr(&reply->elements[1], &reply->elements[2], ret_master)
                      : REPLY_READ_NONSENSE;
    }
    if (reading == REPLY_READ_OK)
        *ret_is_self = is_self;
    return reading;
}

/* Whether this is a range of slots: first slot, last slot, master, replicas. */
static bool is_range(const struct reply *reply)
{
    return reply->kind == REPLY_ARRAY && reply->count >= 3 && reply->elements[0].kind == REPLY_INTEGER &&
           reply->elements[1].kind == REPLY_INTEGER && reply->elements[2].kind == REPLY_ARRAY &&
           reply->elements[2].count >= 2;
}

/* Where the nodes of a range begin: the master, then the replicas. */
#define RANGE_MASTER 2

/* The range that has the slot. */
static enum reply_reading find_range(const struct reply *reply, unsigned slot, const struct reply **ret_range)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_ARRAY);

    if (reading != REPLY_READ_OK)
        return reading;
    for (size_t i = 0; i < reply->count; i++) {
        const struct reply *range = &reply->elements[i];
        if (!is_range(range))
            return REPLY_READ_NONSENSE;
        *ret_range = range;
        if (range->elements[0].number <= slot && slot <= range->elements[1].number)
            return REPLY_READ_OK;
    }
    return REPLY_READ_NONE;
}

enum reply_reading node_reply_read_owner(const struct reply *reply, unsigned slot, struct addr *ret_owner)
{
    const struct reply *range = NULL;
    enum reply_reading reading = find_range(reply, slot, &range);

    if (reading != REPLY_READ_OK)
        return reading;
    const struct reply *master = &range->elements[RANGE_MASTER];
    return read_addr(&master->elements[0], &master->elements[1], ret_owner);
}

enum reply_reading node_reply_read_replica(const struct reply *reply, unsigned slot, size_t index,
                                           struct addr *ret_replica)
{
    const struct reply *range = NULL;
    enum reply_reading reading = find_range(reply, slot, &range);

    if (reading != REPLY_READ_OK)
        return reading;
    if (index >= range->count - RANGE_MASTER - 1)
        return REPLY_READ_NONE;
    const struct reply *replica = &range->elements[RANGE_MASTER + 1 + index];
    if (replica->kind != REPLY_ARRAY || replica->count < 2)
        return REPLY_READ_NONSENSE;
    return read_addr(&replica->elements[0], &replica->elements[1], ret_replica);
}
