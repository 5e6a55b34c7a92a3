#include "spoa/core/decision/outage.h"

void outage_begin(struct outage *outage, const struct addr *former, const struct service_waiting *waiting,
                  int64_t now_ms)
{
    *outage = (struct outage){
        .is_running = true,
        .t_begun_ms = now_ms,
        .t_down_ms = INT64_MIN,
        .waited = waiting->count,
        .has_former = former != NULL,
    };
    if (former != NULL)
        outage->former = *former;
}

static int weight(enum service_state state)
{
    return state == SERVICE_PENDING ? 0 : state == SERVICE_DOUBTED ? 1 : 2;
}

void outage_note_state(struct outage *outage, enum service_state state, enum service_reason reason,
                       enum doubt_cause doubt_cause, int64_t now_ms)
{
    bool is_question = state == SERVICE_PENDING && reason == SERVICE_BECAUSE_SUSPECTED;

    if (!outage->has_state || weight(state) > weight(outage->state)) {
        outage->has_state = true;
        outage->state = state;
        outage->reason = reason;
        outage->doubt_cause = doubt_cause;
    }
    if (state == SERVICE_DOWN && outage->t_down_ms == INT64_MIN)
        outage->t_down_ms = now_ms;
    outage->is_grave = outage->is_grave || !(service_state_names(state) || is_question);
}

const char *outage_reason_text(const struct outage *outage)
{
    return outage->state == SERVICE_DOUBTED ? doubt_cause_text(outage->doubt_cause)
                                            : service_reason_text(outage->reason);
}

void outage_note_wait(struct outage *outage, int64_t waited_ms)
{
    if (outage->is_running && waited_ms > outage->longest_wait_ms)
        outage->longest_wait_ms = waited_ms;
}

void outage_end(struct outage *outage, const struct service_waiting *waiting, struct outage_totals *totals,
                int64_t now_ms)
{
    outage->longest_wait_ms = outage_longest_wait_ms(outage, waiting, now_ms);
    outage->t_ended_ms = now_ms;
    outage->is_running = false;
    if (!outage_is_felt(outage))
        return;
    totals->count++;
    totals->ms += (uint64_t)(now_ms - outage->t_begun_ms);
}

bool outage_is_felt(const struct outage *outage)
{
    return outage->is_grave || outage->waited > 0 || outage->refused > 0;
}

int64_t outage_length_ms(const struct outage *outage, int64_t now_ms)
{
    return (outage->is_running ? now_ms : outage->t_ended_ms) - outage->t_begun_ms;
}

int64_t outage_longest_wait_ms(const struct outage *outage, const struct service_waiting *waiting,
                               int64_t now_ms)
{
    int64_t waits_ms = outage->is_running && waiting->count > 0 ? now_ms - waiting->oldest_ms : 0;

    return waits_ms > outage->longest_wait_ms ? waits_ms : outage->longest_wait_ms;
}
