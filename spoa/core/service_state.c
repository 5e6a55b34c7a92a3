#include "spoa/core/service_state.h"

#include "spoa/core/service.h"

const char *service_state_text(enum service_state state)
{
    static const char *const texts[] = {
#define X(name, text) [SERVICE_##name] = (text),
        SERVICE_STATES(X)
#undef X
    };
    return texts[state];
}

const char *service_reason_text(enum service_reason reason)
{
    static const char *const texts[] = {
#define X(name, text) [SERVICE_BECAUSE_##name] = (text),
        SERVICE_REASONS(X)
#undef X
    };
    return texts[reason];
}

const char *service_sight_text(enum service_sight sight)
{
    static const char *const texts[] = {
        [SERVICE_SIGHT_UNKNOWN] = "unknown",
        [SERVICE_SIGHT_SEEN] = "seen",
        [SERVICE_SIGHT_NOT_GIVEN] = "HAProxy does not send src, src_port, dst and dst_port",
        [SERVICE_SIGHT_ABSENT] = "no such connection in this network namespace",
        [SERVICE_SIGHT_IMPOSSIBLE] = "the kernel does not say",
    };
    return texts[sight];
}
