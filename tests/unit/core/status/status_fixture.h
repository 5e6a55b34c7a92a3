/* One service with one voter, and the pages that the agent would show of it. */
#ifndef TESTS_UNIT_CORE_STATUS_STATUS_FIXTURE_H
#define TESTS_UNIT_CORE_STATUS_STATUS_FIXTURE_H

#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/lib/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define START 100000
#define LIFE 2000
#define DAY_MS ((int64_t)20000 * 86400000) /* of START, in Unix time */
#define IDENTITY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct service_server servers[2];
static struct service_settings settings;
static struct service *service;
static uint8_t identities[1];
static struct voter_group *group;
static struct service_table *table;
static struct metrics metrics;
static struct history history;
static struct runtime_health api;

static const char *name = "m"; /* of the service */
static bool has_replicas;      /* the service names them, or else the master */

static inline int set_up(void **state)
{
    static const char *const names[] = {"s0"};

    (void)state;
    servers[0].name = "R1";
    servers[1].name = "R2";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    assert_true(addr_parse(span_of_text("10.0.0.2:6379"), &servers[1].addr));
    settings = (struct service_settings){
        .name = name,
        .monitor = "m",
        .servers = servers,
        .server_count = 2,
        .park_ms = 2500,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = LIFE},
        .replicas = {.is_enabled = has_replicas, .fall_back = has_replicas},
    };
    service = service_create(&settings, START);
    const struct voter_group_options options = {.name = "",
                                                .voter_count = 1,
                                                .voter_names = names,
                                                .services = &service,
                                                .service_count = 1,
                                                .identities = identities,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    assert_non_null(group);
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &servers[0].addr, .t_sent_ms = START};
    voter_group_identify(group, 0, span_of_text(IDENTITY), START);
    (void)voter_group_step(group, 0, &ballot, START);
    table = service_table_create(NULL);
    assert_true(service_table_add(table, service));
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    service_table_destroy(table);
    voter_group_destroy(group);
    service_destroy(service);
    return 0;
}

static bool is_limited;          /* the client that asks */
static bool is_stopping;         /* the agent */
static const char *reload_error; /* NULL: the last reload was good */
static const char *token;
static const char *authorization;

/* The code of a GET at that time; what was answered goes to `text`, if it is wanted. */
static inline unsigned get_text(const char *path, int64_t now_ms, char *text, size_t size)
{
    const struct voter_group *const groups[] = {group};
    const struct status status = {.version = "",
                                  .revision = "",
                                  .metrics = &metrics,
                                  .history = &history,
                                  .table = table,
                                  .unknown = service_table_unknown(table),
                                  .groups = groups,
                                  .group_count = 1,
                                  .apis = &api,
                                  .api_count = 1,
                                  .is_stopping = is_stopping,
                                  .is_reload_good = reload_error == NULL,
                                  .reload_error = reload_error,
                                  .now_unix_ms = now_ms - START + DAY_MS,
                                  .now_ms = now_ms};
    const struct http_request request = {.method = "GET",
                                         .path = path,
                                         .is_limited = is_limited,
                                         .token = token,
                                         .authorization = authorization};
    struct http_answer answer;

    struct page_cursor cursor = {.section = 0};

    http_respond(&status, &request, &answer);
    while (answer.page != HTTP_PAGE_NONE && http_page_write(answer.page, &status, &cursor, &answer.body))
        continue;
    if (text != NULL)
        snprintf(text, size, "%s", answer.body.data != NULL ? answer.body.data : "");
    text_finish(&answer.body);
    assert_true(answer.is_token_wanted == (answer.code == HTTP_UNAUTHORIZED));
    return answer.code;
}

static inline unsigned get(const char *path, int64_t now_ms)
{
    return get_text(path, now_ms, NULL, 0);
}

static inline void say_master(const char *addr_text, int64_t now_ms)
{
    struct addr addr;
    assert_true(addr_parse(span_of_text(addr_text), &addr));
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = now_ms};

    (void)voter_group_step(group, 0, &ballot, now_ms);
}

static inline const char *find(const char *text, const char *words)
{
    const char *found = strstr(text, words);

    if (found == NULL)
        print_message("'%s' is missing in:\n%s", words, text);
    assert_non_null(found);
    return found;
}

#endif
