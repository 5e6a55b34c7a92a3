#include "spoa/core/decision/service_state.h"

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
