#include "spoa/core/voters/sentinel_reply.h"

#include "spoa/core/redis/reply_addr.h"

enum reply_reading sentinel_reply_read_master(const struct reply *reply, struct addr *ret_addr)
{
    if (reply->kind == REPLY_NIL)
        return REPLY_READ_NONE;
    enum reply_reading reading = reply_read_kind(reply, REPLY_ARRAY);
    if (reading != REPLY_READ_OK)
        return reading;
    if (reply->count != 2)
        return REPLY_READ_NONSENSE;
    return reply_read_addr(&reply->elements[0], &reply->elements[1], ret_addr);
}

/* The value of a field; an empty text if there is none. Fields are found by name, because the state and
 * the version decide which fields there are. */
static const struct reply *find(const struct reply *reply, const char *name)
{
    static const struct reply nothing = {.kind = REPLY_TEXT};

    for (size_t i = 0; i + 1 < reply->count; i += 2)
        if (reply->elements[i].kind == REPLY_TEXT && span_equals_text(reply->elements[i].text, name))
            return &reply->elements[i + 1];
    return &nothing;
}

/* The text of a field. */
static struct span field(const struct reply *reply, const char *name)
{
    const struct reply *value = find(reply, name);

    return value->kind == REPLY_TEXT ? value->text : span_of("", 0);
}

/* An address that is two fields. */
static bool read_addr(const struct reply *reply, const char *host, const char *port, struct addr *ret_addr)
{
    return reply_read_addr(find(reply, host), find(reply, port), ret_addr) == REPLY_READ_OK;
}

/* A field that is a number; 0 if it is none, or one that does not fit. */
static uint32_t number_field(const struct reply *reply, const char *name)
{
    uint64_t number;

    return reply_read_number(find(reply, name), UINT32_MAX, &number) ? (uint32_t)number : 0;
}

/* Whether `word` is in a comma-separated list. */
static bool has_flag(struct span flags, const char *word)
{
    size_t start = 0;

    for (size_t i = 0; i <= flags.len; i++) {
        if (i < flags.len && flags.data[i] != ',')
            continue;
        if (span_equals_text(span_of(flags.data + start, i - start), word))
            return true;
        start = i + 1;
    }
    return false;
}

enum reply_reading sentinel_reply_read_facts(const struct reply *reply, struct addr *ret_addr,
                                             struct sentinel_facts *ret_facts)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_ARRAY);

    if (reading != REPLY_READ_OK)
        return reading;
    if (!read_addr(reply, "ip", "port", ret_addr))
        return REPLY_READ_BAD_ADDRESS;
    *ret_facts = (struct sentinel_facts){
        .is_o_down = has_flag(field(reply, "flags"), "o_down"),
        .is_failing_over = has_flag(field(reply, "flags"), "failover_in_progress"),
        .down_after_ms = number_field(reply, "down-after-milliseconds"),
        .other_sentinels = number_field(reply, "num-other-sentinels"),
        .quorum = number_field(reply, "quorum"),
    };
    return REPLY_READ_OK;
}

/* Valkey 8 calls it a primary. */
bool sentinel_reply_is_unknown_name(const struct reply *reply)
{
    return reply_is_error(reply, "ERR No such master") || reply_is_error(reply, "ERR No such primary");
}

/* A replica has further flags or another link status if it left its master, was only just made a replica,
 * or does not answer. It does not count as up then. */
enum reply_reading sentinel_reply_read_replica(const struct reply *element,
                                               struct sentinel_replica *ret_replica)
{
    enum reply_reading reading = reply_read_kind(element, REPLY_ARRAY);
    struct sentinel_replica replica;

    if (reading != REPLY_READ_OK)
        return reading;
    if (!read_addr(element, "ip", "port", &replica.addr) ||
        !read_addr(element, "master-host", "master-port", &replica.master))
        return REPLY_READ_BAD_ADDRESS;
    replica.is_up = span_equals_text(field(element, "flags"), "slave") &&
                    span_equals_text(field(element, "master-link-status"), "ok");
    *ret_replica = replica;
    return REPLY_READ_OK;
}
