#include "spoa/core/haproxy/answer.h"

#include <assert.h>

#include "proto/spop_frame.h"

static void set_var(struct sink *sink, const char *name, struct spop_value value)
{
    spop_set_var_write(sink, SPOP_SCOPE_TXN, name, &value);
}

/* `addr` is for set-dst, which takes numeric addresses only; a name that Sentinel announces has no `addr`. */
static void set_address(struct sink *sink, const struct addr *addr)
{
    struct spop_value value = {.type = SPOP_NULL};

    if (addr->kind == ADDR_IPV4) {
        value.type = SPOP_IPV4;
        memcpy(value.ipv4, addr->ip, sizeof(value.ipv4));
    } else if (addr->kind == ADDR_IPV6) {
        value.type = SPOP_IPV6;
        memcpy(value.ipv6, addr->ip, sizeof(value.ipv6));
    }
    if (value.type == SPOP_NULL)
        spop_unset_var_write(sink, SPOP_SCOPE_TXN, "addr");
    else
        set_var(sink, "addr", value);
    set_var(sink, "port", spop_int64(addr->port));
}

static const char *name_variable(const struct answer *answer)
{
    return answer->is_replica ? "replica" : "master";
}

static void set_name(struct sink *sink, const struct answer *answer)
{
    if (answer->server != NULL)
        set_var(sink, name_variable(answer), spop_text(span_of_text(answer->server)));
    else
        spop_unset_var_write(sink, SPOP_SCOPE_TXN, name_variable(answer));
    set_address(sink, answer->addr);
    set_var(sink, "votes", spop_int64(answer->votes));
    set_var(sink, "generation", spop_int64((int64_t)answer->generation));
}

static void unset_name(struct sink *sink, const struct answer *answer)
{
    const char *const names[] = {name_variable(answer), "addr", "port", "votes", "generation"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        spop_unset_var_write(sink, SPOP_SCOPE_TXN, names[i]);
}

size_t answer_encode(const struct answer *answer, uint8_t out[ANSWER_MAX])
{
    struct sink sink = sink_of(out, ANSWER_MAX);

    set_var(&sink, "state", spop_text(span_of_text(answer->state)));
    if (answer->addr != NULL)
        set_name(&sink, answer);
    else
        unset_name(&sink, answer);
    assert(!sink.full);
    return (size_t)(sink.at - out);
}
