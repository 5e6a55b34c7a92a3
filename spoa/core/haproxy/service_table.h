/* Finds the services by the name that HAProxy asks for, and answers the question of a NOTIFY. */
#ifndef SPOA_CORE_HAPROXY_SERVICE_TABLE_H
#define SPOA_CORE_HAPROXY_SERVICE_TABLE_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/base/progress.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/question.h"
#include "spoa/core/haproxy/unknown_service.h"

#include <stdbool.h>
#include <stdint.h>

struct question_slot;
struct spop_frame;
struct service_table;

/* `parking` is borrowed; if it is NULL, every question is answered at once. Returns NULL if memory is
 * short. */
MUST_CHECK struct service_table *service_table_create(struct parking *parking);

struct parking *service_table_parking(const struct service_table *table);
void service_table_destroy(struct service_table *table); /* NULL is fine; the services are not destroyed */

/* Adds a service under the name in its settings. The service is borrowed. The names must differ; the
 * configuration ensures that. False if memory is short. */
MUST_CHECK bool service_table_add(struct service_table *table, struct service *service);

/* The counts of answers for the service of this name; NULL if there is no such service. */
const struct answer_counters *service_table_counters(const struct service_table *table, const char *service);

/*
 * The service and role that are asked for, as their queue of parked streams. If no service is asked for and
 * there is just one, that one is meant. NULL if the name or the role is not known, or if a replica is asked
 * for and the service has replicas disabled.
 */
struct parking_queue *service_table_find(struct service_table *table,
                                         const struct service_question *question);

/* The same for the payload of a NOTIFY that is known from before. NULL if it is not. */
struct parking_queue *service_table_recall(struct service_table *table, struct span payload);

/* The question that was recalled or kept last, for question_is_same(); NULL: there is none. */
const struct question_slot *service_table_latest(const struct service_table *table);

/* Whether questions about several services come by turns: then service_table_recall_all() is faster. */
bool service_table_is_mixed(const struct service_table *table);

/* The most questions that service_table_recall_all() takes. */
#define SERVICE_TABLE_AHEAD_MAX 32

/*
 * service_table_recall() for the payloads of many NOTIFYs at once. It also begins to fetch from memory what their answers
 * need: with thousands of services no cache has it, and answers one by one would wait for one part after the
 * other. The queues stay valid until a change-over.
 */
void service_table_recall_all(struct service_table *table, const struct spop_frame *frames, size_t count,
                              struct parking_queue **ret_queues);

/* The same for any payload, which is then known. False if it is malformed. Allocates nothing. */
MUST_CHECK bool service_table_resolve(struct service_table *table, struct span payload,
                                      struct parking_queue **ret_queue);

/* What to answer; see answer_give(). If `queue` is NULL, the state is "unknown-service". Allocates nothing. */
const struct answer_words *service_table_answer(const struct service_table *table,
                                                const struct parking_queue *queue, int64_t now_ms);

/*
 * service_table_resolve() has found no queue for this payload: HAProxy asks for what is not configured. That is an
 * alarm (unknown_service.h). Allocates nothing.
 */
void service_table_note_unknown(struct service_table *table, struct span payload, int64_t now_ms);

/* Clears that alarm when nobody has asked for long enough. To be called every now and then. */
void service_table_tick(struct service_table *table, int64_t now_ms);

/* What HAProxy asks for and is not configured. */
const struct unknown_service *service_table_unknown(const struct service_table *table);

/*
 * A change-over, service by service. From service_table_begin() to service_table_end() `table` answers from a service of
 * `next` where that has moved, and from its own elsewhere.
 */
void service_table_begin(struct service_table *table, struct service_table *next);

/* From now on the service of this name is the one of `next`, which has it, and the parked streams move to it. */
void service_table_move(struct service_table *table, const char *service, int64_t now_ms);

/*
 * Swaps the services of the two tables; all of `next` have moved. A stream whose service is gone is due at once. `next`
 * has the former services then, and must stay until service_table_is_idle().
 */
void service_table_end(struct service_table *table, int64_t now_ms);

/* All of that at once. */
void service_table_change_over(struct service_table *table, struct service_table *next, int64_t now_ms);

/*
 * Frees entries of a table that answers nothing any more, and whose services change no more; each costs a unit. True
 * while there are more. NULL is fine.
 */
bool service_table_shed(struct service_table *table, size_t *io_budget);

/*
 * Whether no stream waits for a service of this table, which answers nothing any more. A look at a service costs a unit.
 * It begins where the last call ended: what nobody waits for, nobody will wait for. False, too, if the budget is used up.
 */
bool service_table_is_idle(struct service_table *table, size_t *io_budget);

/* Whether no service is starting any more. */
bool service_table_is_ready(const struct service_table *table);

#endif
