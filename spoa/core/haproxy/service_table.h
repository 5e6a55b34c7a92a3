/* The services by the name that HAProxy asks for, and the answer to a NOTIFY's question. */
#ifndef SPOA_CORE_HAPROXY_SERVICE_TABLE_H
#define SPOA_CORE_HAPROXY_SERVICE_TABLE_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/question.h"

#include <stdbool.h>
#include <stdint.h>

struct service_table;

/* `parking` is borrowed; NULL: all is answered at once. NULL where memory is short. */
MUST_CHECK struct service_table *service_table_create(struct parking *parking);

struct parking *service_table_parking(const struct service_table *table);
void service_table_destroy(struct service_table *table); /* NULL is fine; the services are not destroyed */

/* Adds a service, which is borrowed, under its settings' name. False where memory is short. The names must differ (the
 * configuration sees to it). */
MUST_CHECK bool service_table_add(struct service_table *table, struct service *service);

/* What was answered for the service of this name; NULL where there is none. */
const struct answer_counters *service_table_counters(const struct service_table *table, const char *service);

/*
 * The service that is asked for, as its queue of parked streams. Where none is asked for and just one is there it is
 * that one. NULL for a name or a role that we do not know, and for a replica where the service has them disabled.
 */
struct parking_queue *service_table_find(struct service_table *table,
                                         const struct service_question *question);

/* The same for the question that the payload of a NOTIFY asks, and on whose behalf. False where that is malformed. Allocates
 * nothing. */
MUST_CHECK bool service_table_resolve(struct service_table *table, struct span payload,
                                      struct parking_queue **ret_queue, struct client *ret_client);

/*
 * The actions of an ACK, valid until the next call that takes the table or a service; `*ret_named` tells
 * whether they name a node. NULL is answered with the state "unknown-service". Allocates nothing.
 */
struct span service_table_answer(struct service_table *table, const struct parking_queue *queue,
                                 int64_t now_ms, bool *ret_named);

/*
 * Answers from the services of `next` from now on, and hands the streams that wait over to them; `next` has those that
 * were here before then, and must stay until service_table_is_idle(): what waits for a service that is gone is due at once.
 */
void service_table_change_over(struct service_table *table, struct service_table *next);

/* Whether no stream waits for a service of this table. */
bool service_table_is_idle(const struct service_table *table);

/* Whether no service is starting any more. */
bool service_table_is_ready(const struct service_table *table);

#endif
