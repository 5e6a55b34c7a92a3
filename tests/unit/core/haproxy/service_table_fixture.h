/* What the tests of the service table share: services of one voter, and questions as they come over the wire. */
#ifndef TESTS_UNIT_CORE_HAPROXY_SERVICE_TABLE_FIXTURE_H
#define TESTS_UNIT_CORE_HAPROXY_SERVICE_TABLE_FIXTURE_H

#include "spoa/core/haproxy/service_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/spop_frame.h"
#include "spoa/core/haproxy/actions.h"
#include "tests/lib/events.h"

#define START 100000

static const uint8_t identities[1] = {0};

static inline struct service_settings settings_of(const char *name)
{
    return (struct service_settings){.name = name,
                                     .monitor = name,
                                     .allow_any_address = true,
                                     .quorum = {.identities = identities,
                                                .voters = 1,
                                                .threshold = 1,
                                                .reply_timeout_ms = 500,
                                                .vote_life_ms = 2000,
                                                .hold_ms = QUORUM_HOLD_MS,
                                                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS}};
}

static inline void name_master(struct service *service)
{
    struct addr addr;
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = START};

    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &addr));
    (void)step_as(service, 0, &ballot, START);
}

/* As a session does: what is not known from before is read. */
static inline bool resolve(struct service_table *table, struct span payload, struct parking_queue **ret_queue)
{
    *ret_queue = service_table_recall(table, payload);
    return *ret_queue != NULL || service_table_resolve(table, payload, ret_queue);
}

/* Asks the question twice, as a NOTIFY. The table reads it the first time, and knows its bytes the second time. */
static inline void check_resolved(struct service_table *table, const struct service_question *question,
                                  const struct parking_queue *wanted)
{
    uint8_t space[100];
    struct sink payload = sink_of(space, sizeof(space));
    struct spop_value service = spop_text(question->service);
    struct spop_value role = spop_text(question->role);

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, (uint8_t)((question->service.data != NULL) + (question->role.data != NULL)));
    if (question->service.data != NULL)
        spop_kv_write(&payload, "service", &service);
    if (question->role.data != NULL)
        spop_kv_write(&payload, "role", &role);
    assert_false(payload.full);
    for (int i = 0; i < 2; i++) {
        struct parking_queue *queue = NULL;
        assert_true(resolve(table, span_of(space, (size_t)(payload.at - space)), &queue));
        assert_ptr_equal(queue, wanted);
    }
}

/* The state in the answer to a question; NULL: left out. */
static inline const char *ask(struct service_table *table, const char *service, const char *role)
{
    static char state[32];
    struct service_question question = {.service = {.data = NULL}};

    if (service != NULL)
        question.service = span_of_text(service);
    if (role != NULL)
        question.role = span_of_text(role);
    struct parking_queue *queue = service_table_find(table, &question);
    check_resolved(table, &question, queue);
    const struct answer_words *words = service_table_answer(table, queue, START);
    struct span actions = answer_actions(words);
    struct spop_value value = spop_text(span_of_text("?"));
    struct span head = value.text;
    struct span variable = value.text;
    assert_true(span_take(&actions, 3, &head) && spop_name_read(&actions, &variable));
    assert_true(span_equals_text(variable, "state") && spop_value_read(&actions, &value));
    snprintf(state, sizeof(state), "%.*s", (int)value.text.len, (const char *)value.text.data);
    assert_int_equal(words->is_named, strcmp(state, "ok") == 0);
    return state;
}

#endif
