/* When the alarms of a service hold (alarms.h). Called by the service itself. */
#ifndef SPOA_CORE_DECISION_SERVICE_ALARMS_H
#define SPOA_CORE_DECISION_SERVICE_ALARMS_H

#include "spoa/core/decision/service.h"

/* After a decision. */
void service_alarms_review(struct alarms *alarms, const struct service_settings *settings,
                           const struct service_decision *decision, const struct quorum_result *quorum,
                           int64_t now_ms);

/* It became known whether those who ask for this role can be seen. Logged as well where they can. */
void service_alarms_sight(struct alarms *alarms, const struct service_settings *settings,
                          enum service_role role, enum service_sight sight, int64_t now_ms);

/* A Sentinel told its settings, which are in `evidence` by now. Those of Sentinels that are not heard any more do not count. */
void service_alarms_facts(struct alarms *alarms, const struct service_settings *settings,
                          const struct evidence *evidence, const struct quorum *quorum, int64_t now_ms);

#endif
