#include "proto/spop_status.h"

const char *spop_status_text(enum spop_status status)
{
    switch (status) {
#define X(name, code, text)                                                                                  \
    case SPOP_STATUS_##name:                                                                                 \
        return (text);
        SPOP_STATUS_MAP(X)
#undef X
    }
    return spop_status_text(SPOP_STATUS_UNKNOWN);
}
