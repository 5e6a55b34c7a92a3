#include "spoa/core/voters/node_reply.h"

#include <string.h>

#include "spoa/core/redis/redis_id.h"
#include "spoa/core/redis/reply_addr.h"

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

/* ---- ROLE ---- */

struct span node_reply_role_word(const struct reply *reply)
{
    if (reply->kind != REPLY_ARRAY || reply->count == 0 || reply->elements[0].kind != REPLY_TEXT)
        return span_of("", 0);
    return reply->elements[0].text;
}

/* Dragonfly says "replica". */
enum node_role node_reply_role(const struct reply *reply)
{
    struct span word = node_reply_role_word(reply);

    if (span_equals_text(word, "master"))
        return NODE_ROLE_MASTER;
    return span_equals_text(word, "slave") || span_equals_text(word, "replica") ? NODE_ROLE_REPLICA
                                                                                : NODE_ROLE_UNKNOWN;
}

const char *node_reply_role_meaning(const struct reply *reply)
{
    struct span word = node_reply_role_word(reply);

    if (span_equals_text(word, "active-replica"))
        return "it takes writes although it follows another node (KeyDB's active-replica): no node is the "
               "master";
    if (span_equals_text(word, "sentinel"))
        return "it is a Sentinel, not a node";
    if (reply->kind == REPLY_ARRAY && reply->count > 0 && reply->elements[0].kind == REPLY_ARRAY)
        return "it follows several masters (KeyDB's multi-master): no node is the master";
    return "its reply to ROLE says neither master nor replica";
}

enum reply_reading node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_ARRAY);

    if (reading != REPLY_READ_OK)
        return reading;
    enum node_role role = node_reply_role(reply);
    bool is_self = role == NODE_ROLE_MASTER;
    if (is_self) {
        *ret_master = *self;
    } else {
        reading = role == NODE_ROLE_REPLICA && reply->count >= 3
                      ? reply_read_addr(&reply->elements[1], &reply->elements[2], ret_master)
                      : REPLY_READ_NONSENSE;
    }
    if (reading == REPLY_READ_OK)
        *ret_is_self = is_self;
    return reading;
}

/* ---- INFO replication ---- */

static bool says_master(struct span text)
{
    return span_equals_text(find_line(text, "role:"), "master");
}

enum reply_reading node_reply_read_min_replicas(const struct reply *reply, bool *ret_is_set)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_TEXT);

    if (reading != REPLY_READ_OK)
        return reading;
    if (!says_master(reply->text))
        return REPLY_READ_NONE;
    *ret_is_set = find_line(reply->text, "min_slaves_good_slaves:").len > 0;
    return REPLY_READ_OK;
}

/* `seconds` is the difference of two clock readings without their fractions: the time may be a second shorter. */
static uint32_t elapsed_ms(uint64_t seconds)
{
    return seconds > 0 ? (uint32_t)(seconds - 1) * 1000 : 0;
}

/* Where Redis does not know it writes -1, or before 7.0 the time of day. */
static enum reply_reading read_silence(struct span text, struct sentinel_facts *ret_facts)
{
    bool is_up = span_equals_text(find_line(text, "master_link_status:"), "up");
    const char *key = is_up ? "master_last_io_seconds_ago:" : "master_link_down_since_seconds:";
    uint64_t seconds = 0;

    if (span_equals_text(find_line(text, "master_sync_in_progress:"), "1"))
        is_up = true;
    else if (!span_read_number(find_line(text, key), UINT32_MAX / 1000, &seconds))
        return REPLY_READ_NONE;
    *ret_facts = (struct sentinel_facts){
        .is_link_down = !is_up,
        .silent_ms = elapsed_ms(seconds),
        .owed_ms = elapsed_ms(seconds),
    };
    return REPLY_READ_OK;
}

enum reply_reading node_reply_read_link(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, struct sentinel_facts *ret_facts)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_TEXT);
    struct addr master = *self;

    if (reading != REPLY_READ_OK)
        return reading;
    bool is_master = says_master(reply->text);
    if (!is_master && !addr_from_peer(find_line(reply->text, "master_host:"),
                                      find_line(reply->text, "master_port:"), &master))
        return REPLY_READ_BAD_ADDRESS;
    if (is_master)
        *ret_facts = (struct sentinel_facts){.is_link_down = false};
    else
        reading = read_silence(reply->text, ret_facts);
    if (reading == REPLY_READ_OK)
        *ret_master = master;
    return reading;
}

/* ---- CLUSTER SLOTS ---- */

static bool is_slot(const struct reply *reply)
{
    return reply->kind == REPLY_INTEGER && reply->number >= 0 && reply->number < NODE_REPLY_SLOTS;
}

/* Whether this is a range of slots: first slot, last slot, master, replicas. */
static bool is_range(const struct reply *reply)
{
    return reply->kind == REPLY_ARRAY && reply->count >= 3 && is_slot(&reply->elements[0]) &&
           is_slot(&reply->elements[1]) && reply->elements[2].kind == REPLY_ARRAY &&
           reply->elements[2].count >= 2;
}

bool node_reply_needs_range(const struct reply *range, const uint64_t slots[NODE_REPLY_SLOTS / 64])
{
    if (!is_range(range))
        return true;
    for (int64_t slot = range->elements[0].number; slot <= range->elements[1].number; slot++)
        if ((slots[slot / 64] >> slot % 64 & 1) != 0)
            return true;
    return false;
}

/*
 * Reads the address of an owner. With `cluster-preferred-endpoint-type unknown-endpoint` there is no host, and a
 * node that does not know its own address has an empty one: both mean the address that was asked.
 */
static enum reply_reading read_owner(const struct reply *node, const struct addr *self,
                                     struct addr *ret_owner)
{
    struct reply host = node->elements[0];
    char text[ADDR_IP_TEXT_MAX];
    struct span asked = span_of_text(self->kind == ADDR_UNIX ? "" : addr_host(self, text));

    if (host.kind == REPLY_NIL || (host.kind == REPLY_TEXT && host.text.len == 0))
        host = (struct reply){.kind = REPLY_TEXT, .text = asked};
    return reply_read_addr(&host, &node->elements[1], ret_owner);
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

enum reply_reading node_reply_read_owner(const struct reply *reply, unsigned slot, const struct addr *self,
                                         struct addr *ret_owner)
{
    const struct reply *range = NULL;
    enum reply_reading reading = find_range(reply, slot, &range);

    if (reading != REPLY_READ_OK)
        return reading;
    return read_owner(&range->elements[RANGE_MASTER], self, ret_owner);
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
    return reply_read_addr(&replica->elements[0], &replica->elements[1], ret_replica);
}
