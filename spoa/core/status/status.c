#include "spoa/core/status/status.h"

#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/voters/voter_group.h"

const char *status_unready(const struct status *status, const char **ret_service)
{
    *ret_service = NULL;
    if (status->is_stopping)
        return "stopping";
    for (size_t i = 0; i < status->group_count; i++)
        for (size_t k = 0; k < voter_group_service_count(status->groups[i]); k++) {
            const struct service *service = voter_group_service(status->groups[i], k);
            const struct service_decision *decision = service_decision(service);
            if (service_state_names(decision->state) && status->now_ms < decision->review_ms)
                continue;
            *ret_service = service_settings(service)->name;
            return service_state_text(decision->state);
        }
    return NULL;
}
