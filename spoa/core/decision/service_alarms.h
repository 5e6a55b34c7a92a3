/* When the alarms of a service hold (alarms.h). Called by the service itself. */
#ifndef SPOA_CORE_DECISION_SERVICE_ALARMS_H
#define SPOA_CORE_DECISION_SERVICE_ALARMS_H

#include "spoa/core/decision/service.h"

/* After a decision. */
void service_alarms_review(struct alarms *alarms, const struct service_settings *settings,
                           const struct service_decision *decision, const struct quorum_result *quorum,
                           int64_t now_ms);

/*
 * It became known whether the clients that ask for this role can be seen. If they can, that is logged as
 * well.
 */
void service_alarms_sight(struct alarms *alarms, const struct service_settings *settings,
                          enum service_role role, enum service_sight sight, int64_t now_ms);

/*
 * A Sentinel told its settings; `evidence` has them. The settings of Sentinels that are not heard any more do
 * not count.
 */
void service_alarms_facts(struct alarms *alarms, const struct service_settings *settings,
                          const struct evidence *evidence, const struct quorum *quorum, int64_t now_ms);

#endif
