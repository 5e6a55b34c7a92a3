#include "spoa/core/decision/outage.h"

void outage_begin(struct outage *outage, const struct addr *former, const struct service_waiting *waiting,
                  int64_t now_ms)
{
    *outage = (struct outage){
        .is_running = true,
        .reason = NULL,
        .t_begun_ms = now_ms,
        .t_down_ms = INT64_MIN,
        .waited = waiting->count,
        .has_former = former != NULL,
    };
    if (former != NULL)
        outage->former = *former;
}

void outage_note_state(struct outage *outage, enum service_state state, enum service_reason ruled_reason,
                       const char *reason, int64_t now_ms)
{
    bool is_question = state == SERVICE_PENDING && ruled_reason == SERVICE_BECAUSE_SUSPECTED;

    if (outage->reason == NULL || (outage->state == SERVICE_PENDING && !outage->is_grave)) {
        outage->state = state;
        outage->reason = reason;
    }
    if (state == SERVICE_DOWN && outage->t_down_ms == INT64_MIN)
        outage->t_down_ms = now_ms;
    outage->is_grave = outage->is_grave || !(service_state_names(state) || is_question);
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
