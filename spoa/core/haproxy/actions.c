#include "spoa/core/haproxy/actions.h"

#include <assert.h>

#include "proto/spop_frame.h"

static void set_var(struct sink *sink, const char *name, struct spop_value value)
{
    spop_set_var_write(sink, SPOP_SCOPE_TXN, name, &value);
}

/* `addr` is for set-dst, which takes only numeric addresses. It stays unset if Sentinel announces a host
 * name. */
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

static const char *name_variable(const struct actions *actions)
{
    return actions->is_replica ? "replica" : "master";
}

static void set_name(struct sink *sink, const struct actions *actions)
{
    if (actions->server != NULL)
        set_var(sink, name_variable(actions), spop_text(span_of_text(actions->server)));
    else
        spop_unset_var_write(sink, SPOP_SCOPE_TXN, name_variable(actions));
    set_address(sink, actions->addr);
    set_var(sink, "votes", spop_int64(actions->votes));
    set_var(sink, "generation", spop_int64((int64_t)actions->generation));
}

static void unset_name(struct sink *sink, const struct actions *actions)
{
    const char *const names[] = {name_variable(actions), "addr", "port", "votes", "generation"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        spop_unset_var_write(sink, SPOP_SCOPE_TXN, names[i]);
}

size_t actions_encode(const struct actions *actions, uint8_t out[ACTIONS_MAX])
{
    struct sink sink = sink_of(out, ACTIONS_MAX);

    set_var(&sink, "state", spop_text(span_of_text(actions->state)));
    if (actions->addr != NULL)
        set_name(&sink, actions);
    else
        unset_name(&sink, actions);
    assert(!sink.full);
    return (size_t)(sink.at - out);
}
