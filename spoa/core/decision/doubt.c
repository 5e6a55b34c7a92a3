#include "spoa/core/decision/doubt.h"

#include "spoa/core/decision/evidence.h"
#include "spoa/core/decision/quorum.h"

void doubt_init(struct doubt *doubt)
{
    *doubt = (struct doubt){.candidate = QUORUM_NO_CANDIDATE};
}

void doubt_begin(struct doubt *doubt, int32_t candidate, enum doubt_cause cause, int64_t park_ms,
                 int64_t now_ms)
{
    if (cause == DOUBT_SILENT && doubt_is_about(doubt, candidate, now_ms))
        return;
    *doubt = (struct doubt){
        .candidate = candidate, .cause = cause, .since_ms = now_ms, .until_ms = now_ms + park_ms};
}

bool doubt_confirm(struct doubt *doubt, int32_t candidate, int64_t until_ms, int64_t park_ms,
                   uint32_t down_after_ms, int64_t now_ms)
{
    int64_t longest_ms = (down_after_ms > 0 ? down_after_ms : park_ms) + EVIDENCE_FAILOVER_MS;

    if (!doubt_is_about(doubt, candidate, now_ms))
        return false;
    if (longest_ms < park_ms)
        longest_ms = park_ms;
    if (until_ms > doubt->since_ms + longest_ms)
        until_ms = doubt->since_ms + longest_ms;
    if (until_ms > doubt->until_ms)
        doubt->until_ms = until_ms;
    return true;
}

void doubt_inherit(struct doubt *doubt, const struct doubt *former, const struct succession *succession,
                   int64_t until_ms, int64_t now_ms)
{
    if (!doubt_is_about(former, former->candidate, now_ms))
        return;
    if (doubt_is_about(doubt, doubt->candidate, now_ms) && doubt->since_ms > former->since_ms)
        return;
    *doubt = *former;
    doubt->candidate = succession->candidate(succession->context, former->candidate);
    if (until_ms > doubt->until_ms)
        doubt->until_ms = until_ms;
}

void doubt_end(struct doubt *doubt, int32_t candidate)
{
    if (doubt->candidate == candidate)
        doubt->candidate = QUORUM_NO_CANDIDATE;
}

bool doubt_is_about(const struct doubt *doubt, int32_t candidate, int64_t now_ms)
{
    return candidate != QUORUM_NO_CANDIDATE && candidate == doubt->candidate && now_ms < doubt->until_ms;
}

const char *doubt_cause_text(enum doubt_cause cause)
{
    return cause == DOUBT_SILENT ? "silent" : "closed";
}
