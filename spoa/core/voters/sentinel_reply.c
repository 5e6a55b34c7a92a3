#include "spoa/core/voters/sentinel_reply.h"

#include "spoa/core/redis/redis_id.h"
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
    uint32_t silent_ms = number_field(reply, "last-ok-ping-reply");
    uint32_t owed_ms = number_field(reply, "last-ping-sent");
    /* A link that is down owes nothing. Sentinel itself counts from the last answer then. */
    if (owed_ms == 0 && has_flag(field(reply, "flags"), "disconnected"))
        owed_ms = silent_ms;
    *ret_facts = (struct sentinel_facts){
        .is_o_down = has_flag(field(reply, "flags"), "o_down"),
        .is_failing_over = has_flag(field(reply, "flags"), "failover_in_progress"),
        .down_after_ms = number_field(reply, "down-after-milliseconds"),
        .silent_ms = silent_ms,
        .owed_ms = owed_ms,
        .other_sentinels = number_field(reply, "num-other-sentinels"),
        .quorum = number_field(reply, "quorum"),
    };
    return REPLY_READ_OK;
}

/* sentinelSelectSlave() of Redis: it is in reach, and its priority is not 0. */
static bool is_eligible(const struct reply *element)
{
    struct span flags = field(element, "flags");

    return !has_flag(flags, "s_down") && !has_flag(flags, "o_down") && !has_flag(flags, "disconnected") &&
           !span_equals_text(field(element, "slave-priority"), "0");
}

/* Valkey 8 calls it a primary. */
bool sentinel_reply_is_unknown_name(const struct reply *reply)
{
    return reply_is_error(reply, "ERR No such master") || reply_is_error(reply, "ERR No such primary");
}

/* Fellow Sentinels, the one that was heard last first. */
struct peers {
    struct span ids[QUORUM_VOTERS_MAX];
    uint32_t ages_ms[QUORUM_VOTERS_MAX];
    size_t count;
};

static void remove_peer(struct peers *peers, size_t place)
{
    peers->count--;
    for (size_t i = place; i < peers->count; i++) {
        peers->ids[i] = peers->ids[i + 1];
        peers->ages_ms[i] = peers->ages_ms[i + 1];
    }
}

/* Of two entries with one run ID the younger counts. If there is no room, the oldest is left out. */
static void add_peer(struct peers *peers, struct span id, uint32_t age_ms)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (!span_equals(peers->ids[i], id))
            continue;
        if (peers->ages_ms[i] <= age_ms)
            return;
        remove_peer(peers, i);
    }
    if (peers->count == QUORUM_VOTERS_MAX) {
        if (peers->ages_ms[peers->count - 1] <= age_ms)
            return;
        peers->count--;
    }
    size_t place = peers->count++;
    for (; place > 0 && peers->ages_ms[place - 1] > age_ms; place--) {
        peers->ids[place] = peers->ids[place - 1];
        peers->ages_ms[place] = peers->ages_ms[place - 1];
    }
    peers->ids[place] = id;
    peers->ages_ms[place] = age_ms;
}

enum reply_reading sentinel_reply_read_peers(const struct reply *reply, const char *identity, unsigned others,
                                             uint32_t *ret_age_ms)
{
    enum reply_reading reading = reply_read_kind(reply, REPLY_ARRAY);
    struct peers peers = {.count = 0};
    uint64_t age_ms;

    if (reading != REPLY_READ_OK)
        return reading;
    for (size_t i = 0; i < reply->count; i++) {
        struct span id = field(&reply->elements[i], "runid");
        if (redis_is_id(id) && !span_equals_text(id, identity) &&
            reply_read_number(find(&reply->elements[i], "last-ok-ping-reply"), UINT32_MAX, &age_ms))
            add_peer(&peers, id, (uint32_t)age_ms);
    }
    /* With itself these are a majority of all. */
    if (others < (reply->count + 1) / 2)
        others = (unsigned)(reply->count + 1) / 2;
    *ret_age_ms = UINT32_MAX;
    if (others <= peers.count)
        *ret_age_ms = others == 0 ? 0 : peers.ages_ms[others - 1];
    return REPLY_READ_OK;
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
    replica.is_eligible = is_eligible(element);
    *ret_replica = replica;
    return REPLY_READ_OK;
}
