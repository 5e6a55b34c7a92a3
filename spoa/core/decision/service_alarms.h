/* When the alarms of a service hold (alarms.h). Called by the service itself. */
#ifndef SPOA_CORE_DECISION_SERVICE_ALARMS_H
#define SPOA_CORE_DECISION_SERVICE_ALARMS_H

#include "spoa/core/decision/service.h"

/* After a decision. */
void service_alarms_review(struct alarms *alarms, const struct service_settings *settings,
                           const struct service_decision *decision, const struct quorum_result *quorum,
                           int64_t now_ms);

/* After a decision: `addr` is the loopback address that a Sentinel on another host names, or NULL. */
void service_alarms_loopback(struct alarms *alarms, const struct service_settings *settings,
                             const struct addr *addr, int64_t now_ms);

/* A Sentinel told its replicas; `evidence` has the addresses among them that `map` lacks. */
void service_alarms_strangers(struct alarms *alarms, const struct service_settings *settings,
                              const struct server_map *map, const struct evidence *evidence,
                              const struct quorum *quorum, int64_t now_ms);

/*
 * The master told how far its replicas are. `server` is a replica that it did not list, -1 for none.
 * `unlisted` is an address in its list that the map lacks, or NULL.
 */
void service_alarms_offsets(struct alarms *alarms, const struct service_settings *settings, int server,
                            const struct addr *unlisted, int64_t now_ms);

/*
 * It became known whether the clients that ask for this role can be seen. If they can, that is logged as
 * well.
 */
void service_alarms_sight(struct alarms *alarms, const struct service_settings *settings,
                          enum service_role role, enum service_sight sight, int64_t now_ms);

/* HAProxy gives clients up that ask for this role, after so long, in ms. SERVICE_NOT_GIVEN_UP: it does not. */
void service_alarms_given_up(struct alarms *alarms, const struct service_settings *settings,
                             enum service_role role, int64_t after_ms, int64_t now_ms);

/*
 * A reload: what was seen of HAProxy's time limit is true of the next configuration, too. It ends where nobody can ask
 * for that role any more.
 */
void service_alarms_inherit(struct alarms *alarms, const struct service_settings *settings,
                            const struct alarms *former, int64_t now_ms);

/*
 * A Sentinel told its settings; `evidence` has them. The settings of Sentinels that are not heard any more do
 * not count.
 */
void service_alarms_facts(struct alarms *alarms, const struct service_settings *settings,
                          const struct evidence *evidence, const struct quorum *quorum, int64_t now_ms);

/*
 * Above this down-after-milliseconds, something else must bound what clients lose when the master is cut off
 * from the Sentinels.
 */
#define SERVICE_ALARMS_LOSS_MS 10000

/*
 * A Sentinel told its settings, or the master told whether it takes writes while no replica follows it
 * (`takes_lone_writes`; false also where it is not known).
 */
void service_alarms_loss(struct alarms *alarms, const struct service_settings *settings,
                         const struct evidence *evidence, const struct quorum *quorum, bool takes_lone_writes,
                         int64_t now_ms);

/*
 * The master refuses to say what it is: `words` are its own. NULL if it said what it is, or if it is another master
 * than before.
 */
void service_alarms_refusal(struct alarms *alarms, const struct service_settings *settings,
                            const struct span *words, bool wants_password, int64_t now_ms);

#endif
