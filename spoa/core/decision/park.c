#include "spoa/core/decision/park.h"

#include "spoa/core/decision/evidence.h"

int64_t park_limit_ms(int64_t park_ms, int64_t down_after_ms)
{
    int64_t failover_ms = down_after_ms + EVIDENCE_FAILOVER_MS;

    if (park_ms != PARK_AUTO)
        return park_ms;
    return down_after_ms > 0 && failover_ms < PARK_AUTO_MAX_MS ? failover_ms : PARK_AUTO_MAX_MS;
}
