#include "spoa/core/voters/sentinel_reply.h"

#include "spoa/core/redis/redis_id.h"

bool sentinel_reply_is_identity(const struct reply *reply)
{
    return reply->kind == REPLY_TEXT && redis_is_id(reply->text);
}

/* The value of a field, looked up by its name: which fields there are depends on the state and the version. */
static struct span field(const struct reply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->count; i += 2)
        if (reply->elements[i].kind == REPLY_TEXT && reply->elements[i + 1].kind == REPLY_TEXT &&
            span_equals_text(reply->elements[i].text, name))
            return reply->elements[i + 1].text;
    return span_of("", 0);
}

/* 0 where it is no number, or one that does not fit. */
static uint32_t number_of(struct span text)
{
    uint64_t number;

    return span_read_number(text, UINT32_MAX, &number) ? (uint32_t)number : 0;
}

/* Whether `word` is in a list that is separated by commas. */
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

bool sentinel_reply_read_facts(const struct reply *reply, struct addr *ret_addr,
                               struct sentinel_facts *ret_facts)
{
    struct addr addr;

    if (reply->kind != REPLY_ARRAY || !addr_from_parts(field(reply, "ip"), field(reply, "port"), &addr))
        return false;
    *ret_addr = addr;
    *ret_facts = (struct sentinel_facts){
        .is_o_down = has_flag(field(reply, "flags"), "o_down"),
        .is_failing_over = has_flag(field(reply, "flags"), "failover_in_progress"),
        .down_after_ms = number_of(field(reply, "down-after-milliseconds")),
        .other_sentinels = number_of(field(reply, "num-other-sentinels")),
        .quorum = number_of(field(reply, "quorum")),
    };
    return true;
}

/* A replica that left the link to its master, was just made one or is not heard has further flags or another status. */
bool sentinel_reply_read_replica(const struct reply *element, struct sentinel_replica *ret_replica)
{
    if (element->kind != REPLY_ARRAY ||
        !addr_from_parts(field(element, "ip"), field(element, "port"), &ret_replica->addr) ||
        !addr_from_parts(field(element, "master-host"), field(element, "master-port"), &ret_replica->master))
        return false;
    ret_replica->is_up = span_equals_text(field(element, "flags"), "slave") &&
                         span_equals_text(field(element, "master-link-status"), "ok");
    return true;
}
