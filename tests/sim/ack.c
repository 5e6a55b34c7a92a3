#include "tests/sim/ack.h"

#include "proto/spop_data.h"
#include "spoa/core/decision/service_state.h"
#include "tests/sim/limits.h"
#include "tests/sim/replies.h"

#define ACTION_SET_VAR 1
#define ACTION_UNSET_VAR 2

enum variable {
    VARIABLE_STATE,
    VARIABLE_MASTER,
    VARIABLE_ADDR,
    VARIABLE_PORT,
    VARIABLE_VOTES,
    VARIABLE_GENERATION,
    VARIABLES,
};

struct variables {
    bool mentioned[VARIABLES];
    bool is_set[VARIABLES];
    struct spop_value values[VARIABLES];
};

/* Reads one action; false where it is malformed, of an unknown variable, or mentions one twice. */
static bool read_action(struct span *cursor, struct variables *variables)
{
    static const char *const names[VARIABLES] = {"state", "master", "addr", "port", "votes", "generation"};
    struct span head;
    struct span name;
    unsigned which = 0;

    if (!span_take(cursor, 3, &head) || !spop_name_read(cursor, &name) || head.data[2] != SPOP_SCOPE_TXN)
        return false;
    while (which < VARIABLES && !span_equals_text(name, names[which]))
        which++;
    if (which == VARIABLES || variables->mentioned[which])
        return false;
    variables->mentioned[which] = true;
    variables->is_set[which] = head.data[0] == ACTION_SET_VAR;
    if (variables->is_set[which])
        return head.data[1] == 3 && spop_value_read(cursor, &variables->values[which]);
    return head.data[0] == ACTION_UNSET_VAR && head.data[1] == 2;
}

static int read_state(const struct variables *variables)
{
    struct span text = variables->values[VARIABLE_STATE].text;

    if (!variables->is_set[VARIABLE_STATE] || variables->values[VARIABLE_STATE].type != SPOP_STRING)
        return SIM_STATE_NONSENSE;
    if (span_equals_text(text, "unknown-service"))
        return SIM_STATE_UNKNOWN_SERVICE;
    for (int state = SERVICE_STARTING; state <= SERVICE_UNKNOWN_ADDRESS; state++)
        if (span_equals_text(text, service_state_text((enum service_state)state)))
            return state;
    return SIM_STATE_NONSENSE;
}

/* Fills in the name; false where the variables do not fit each other. */
static bool read_name(const struct variables *variables, unsigned service, struct sim_answer *answer)
{
    const struct spop_value *values = variables->values;
    const uint8_t *ip = values[VARIABLE_ADDR].ipv4;
    char server[] = "R1";

    if (values[VARIABLE_ADDR].type != SPOP_IPV4 || values[VARIABLE_PORT].type != SPOP_INT64 ||
        values[VARIABLE_VOTES].type != SPOP_INT64 || values[VARIABLE_GENERATION].type != SPOP_INT64)
        return false;
    if (ip[0] != 10 || (ip[1] != 1 && ip[1] != 2) || ip[2] != service || ip[3] == 0 || ip[3] > SIM_ADDRESSES)
        return false;
    answer->address = (int8_t)(ip[3] - 1);
    answer->votes = values[VARIABLE_VOTES].integer;
    answer->generation = values[VARIABLE_GENERATION].integer;
    answer->has_master = variables->is_set[VARIABLE_MASTER];
    server[1] = (char)('0' + ip[3]);
    return values[VARIABLE_PORT].integer == SIM_PORT + answer->address &&
           (!answer->has_master || (values[VARIABLE_MASTER].type == SPOP_STRING &&
                                    span_equals_text(values[VARIABLE_MASTER].text, server)));
}

bool ack_read(struct span actions, unsigned service, struct sim_answer *answer)
{
    struct variables variables = {.mentioned = {false}};

    *answer = (struct sim_answer){.state = SIM_STATE_NONSENSE, .address = -1};
    for (unsigned i = 0; i < VARIABLES; i++)
        if (!read_action(&actions, &variables))
            return false;
    answer->state = read_state(&variables);
    if (actions.len > 0 || answer->state == SIM_STATE_NONSENSE)
        return false;
    if (service_state_names((enum service_state)answer->state))
        return read_name(&variables, service, answer);
    for (unsigned i = VARIABLE_MASTER; i < VARIABLES; i++)
        if (variables.is_set[i])
            return false;
    return true;
}
