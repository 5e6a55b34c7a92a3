#include "spoa/core/status/http_routes.h"

#include <string.h>

#include "proto/span.h"
#include "spoa/core/base/json.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/status/explain.h"
#include "spoa/core/status/prometheus.h"
#include "spoa/core/status/status.h"
#include "spoa/core/status/status_json.h"
#include "spoa/core/status/status_text.h"
#include "spoa/core/voters/voter_group.h"

#define NO_SUCH_SERVICE "no such service\n"

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

static void respond_text(struct http_answer *answer, unsigned code, const char *text)
{
    answer->code = code;
    answer->type = TYPE_TEXT;
    text_add(&answer->body, text);
}

static void respond_page(const struct status *status, const struct http_request *request,
                         struct http_answer *answer)
{
    (void)status;
    (void)request;
    answer->type = TYPE_HTML;
    text_add(&answer->body, status_page);
}

static void respond_metrics(const struct status *status, const struct http_request *request,
                            struct http_answer *answer)
{
    bool is_openmetrics =
        request->accept != NULL && strstr(request->accept, "application/openmetrics-text") != NULL;

    (void)status;
    answer->type = is_openmetrics ? TYPE_OPENMETRICS : TYPE_PROMETHEUS;
    answer->page = is_openmetrics ? HTTP_PAGE_OPENMETRICS : HTTP_PAGE_METRICS;
}

/* An answer at all shows that the loop turns. */
static void respond_health(const struct status *status, const struct http_request *request,
                           struct http_answer *answer)
{
    (void)status;
    (void)request;
    respond_text(answer, HTTP_OK, "ok\n");
}

static void respond_ready(const struct status *status, const struct http_request *request,
                          struct http_answer *answer)
{
    const char *service = NULL;
    const char *reason = status_unready(status, &service);
    struct json json = json_of(&answer->body);

    (void)request;
    answer->code = reason == NULL ? HTTP_OK : HTTP_UNAVAILABLE;
    json_begin_object(&json, NULL);
    json_bool(&json, "ready", reason == NULL);
    json_string(&json, "service", service);
    json_string(&json, "reason", reason);
    json_end(&json);
    text_add(&answer->body, "\n");
}

static void respond_status(const struct status *status, const struct http_request *request,
                           struct http_answer *answer)
{
    (void)status;
    (void)request;
    answer->page = HTTP_PAGE_STATUS;
}

static void respond_text_status(const struct status *status, const struct http_request *request,
                                struct http_answer *answer)
{
    (void)status;
    (void)request;
    answer->type = TYPE_TEXT;
    answer->page = HTTP_PAGE_STATUS_TEXT;
}

static void respond_explanation(const struct status *status, const struct http_request *request,
                                struct http_answer *answer)
{
    (void)status;
    (void)request;
    answer->type = TYPE_TEXT;
    answer->page = HTTP_PAGE_EXPLANATION;
}

/* ---- one service ---- */

/* `*ret_group` becomes its group. */
static const struct service *find_service(const struct status *status, struct span name,
                                          const struct voter_group **ret_group)
{
    for (size_t i = 0; i < status->group_count; i++)
        for (size_t k = 0; k < voter_group_service_count(status->groups[i]); k++) {
            const struct service *service = voter_group_service(status->groups[i], k);
            *ret_group = status->groups[i];
            if (span_equals_text(name, service_settings(service)->name))
                return service;
        }
    return NULL;
}

static void explain_one(const struct status *status, struct span name, struct http_answer *answer)
{
    const struct voter_group *group = NULL;
    const struct service *service = find_service(status, name, &group);

    if (service == NULL) {
        respond_text(answer, HTTP_NOT_FOUND, NO_SUCH_SERVICE);
        return;
    }
    answer->type = TYPE_TEXT;
    explain_service(status, group, service, &answer->body);
}

/* Whether this node is named for the role. If `server` is empty: whether any node is. */
static bool is_named(const struct service *service, enum service_role role, struct span server)
{
    const struct service_decision *decision = service_decision(service);
    const struct service_settings *settings = service_settings(service);

    if (!service_has_name(service, role))
        return false;
    if (server.len == 0)
        return true;
    for (size_t i = 0; role == SERVICE_ROLE_REPLICA && decision->replicas != 0 && i < settings->server_count;
         i++)
        if ((decision->replicas >> i & 1) != 0 && span_equals_text(server, settings->servers[i].name))
            return true;
    return (role == SERVICE_ROLE_MASTER || decision->replicas == 0) && decision->server != NULL &&
           span_equals_text(server, decision->server);
}

/* Finds the service of "SERVICE" or "SERVICE/SERVER". The name of a service may have a '/', that of a server has none. */
static const struct service *find_named(const struct status *status, struct span path,
                                        struct span *ret_server)
{
    const struct voter_group *group = NULL;
    const struct service *service = find_service(status, path, &group);
    size_t slash = path.len;

    *ret_server = span_of("", 0);
    while (slash > 0 && path.data[slash - 1] != '/')
        slash--;
    if (service != NULL || slash == 0)
        return service;
    *ret_server = span_of(path.data + slash, path.len - slash);
    return find_service(status, span_of(path.data, slash - 1), &group);
}

/*
 * Whether nobody can be named now, and nothing says that the sessions to this server are at the wrong node. For the master's
 * role that is so for the server named last, and for all where none was named yet.
 */
static bool is_left_open(const struct service *service, enum service_role role, struct span server,
                         bool has_master)
{
    const struct service_decision *decision = service_decision(service);
    const char *last = service_last_server(service);

    if (has_master || decision->is_fenced || decision->state == SERVICE_NOT_MASTER ||
        decision->state == SERVICE_UNKNOWN_ADDRESS)
        return false;
    return server.len > 0 && (role == SERVICE_ROLE_REPLICA || last == NULL || span_equals_text(server, last));
}

/* 503 closes sessions where a balancer shuts those to a server that is down. 404 does not with HAProxy's `http-check
 * disable-on-404`: it makes no new ones, and keeps the old ones. */
static unsigned role_code(const struct service *service, enum service_role role, struct span server,
                          int64_t now_ms)
{
    const struct service_decision *decision = service_decision(service);
    bool is_valid = now_ms < decision->review_ms;

    if (is_valid && is_named(service, role, server))
        return HTTP_OK;
    return is_left_open(service, role, server, is_valid && service_state_names(decision->state))
               ? HTTP_NOT_FOUND
               : HTTP_UNAVAILABLE;
}

static void respond_role(const struct status *status, struct span rest, enum service_role role,
                         struct http_answer *answer)
{
    struct span server;
    const struct service *service = find_named(status, rest, &server);
    struct json json = json_of(&answer->body);

    if (service == NULL) {
        respond_text(answer, HTTP_NOT_FOUND, NO_SUCH_SERVICE);
        return;
    }
    const struct service_decision *decision = service_decision(service);
    answer->code = role_code(service, role, server, status->now_ms);
    json_begin_object(&json, NULL);
    json_string(&json, "service", service_settings(service)->name);
    json_string(&json, "state", service_state_text(decision->state));
    json_string(&json, "master", decision->server);
    json_number(&json, "generation", (int64_t)decision->generation);
    json_end(&json);
    text_add(&answer->body, "\n");
}

/* ---- routes ---- */

static const struct {
    const char *path;
    void (*respond)(const struct status *status, const struct http_request *request,
                    struct http_answer *answer);
    bool is_for_all; /* a health check */
} routes[] = {
    {"/healthz", respond_health, true},
    {"/readyz", respond_ready, true},
    {"/", respond_page, false},
    {"/metrics", respond_metrics, false},
    {"/status.txt", respond_text_status, false},
    {"/status", respond_status, false},
    {"/explain.txt", respond_explanation, false},
};

static bool is_for_all(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
        if (routes[i].is_for_all && strcmp(path, routes[i].path) == 0)
            return true;
    return false;
}

/* Takes the same time, wherever they differ: the time must not tell how much of a guess is right. */
static bool is_same_secret(const char *given, const char *secret)
{
    size_t given_len = strlen(given);
    size_t len = strlen(secret);
    unsigned difference = given_len != len;

    for (size_t i = 0; i < given_len; i++)
        difference |= (unsigned char)given[i] ^ (unsigned char)secret[i < len ? i : len];
    return difference == 0;
}

/* Whether the header is "Bearer TOKEN". */
static bool has_token(const struct http_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = request->authorization;

    if (request->token == NULL)
        return true;
    return header != NULL && strncasecmp(header, scheme, strlen(scheme)) == 0 &&
           is_same_secret(header + strlen(scheme), request->token);
}

static bool takes_prefix(const char *path, const char *prefix, struct span *ret_rest)
{
    size_t len = strlen(prefix);

    if (strncmp(path, prefix, len) != 0)
        return false;
    *ret_rest = span_of_text(path + len);
    return true;
}

static void respond_path(const struct status *status, const struct http_request *request,
                         struct http_answer *answer)
{
    struct span rest;

    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
        if (strcmp(request->path, routes[i].path) == 0) {
            routes[i].respond(status, request, answer);
            return;
        }
    if (takes_prefix(request->path, "/master/", &rest))
        respond_role(status, rest, SERVICE_ROLE_MASTER, answer);
    else if (takes_prefix(request->path, "/replica/", &rest))
        respond_role(status, rest, SERVICE_ROLE_REPLICA, answer);
    else if (takes_prefix(request->path, "/explain/", &rest))
        explain_one(status, rest, answer);
    else
        respond_text(answer, HTTP_NOT_FOUND, "not found\n");
}

bool http_page_write(enum http_page page, const struct status *status, struct page_cursor *cursor,
                     struct text *out)
{
    switch (page) {
    case HTTP_PAGE_METRICS:
    case HTTP_PAGE_OPENMETRICS:
        return prometheus_write(status, page == HTTP_PAGE_OPENMETRICS, cursor, out);
    case HTTP_PAGE_STATUS:
        return status_json_write(status, cursor, out);
    case HTTP_PAGE_STATUS_TEXT:
        return status_text_write(status, cursor, out);
    case HTTP_PAGE_EXPLANATION:
        return explain_write(status, cursor, out);
    case HTTP_PAGE_NONE:
    case HTTP_PAGE_COUNT:
        break;
    }
    return false;
}

bool http_is_allowed(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
}

void http_respond(const struct status *status, const struct http_request *request,
                  struct http_answer *ret_answer)
{
    bool is_guarded = !is_for_all(request->path);

    *ret_answer = (struct http_answer){.code = HTTP_OK, .type = TYPE_JSON};
    if (!http_is_allowed(request->method)) {
        respond_text(ret_answer, HTTP_METHOD_NOT_ALLOWED, "method not allowed\n");
        ret_answer->is_methods_allowed = true;
    } else if (is_guarded && request->is_limited) {
        respond_text(ret_answer, HTTP_FORBIDDEN,
                     "'allow' does not have this address: it may only ask for /healthz and /readyz\n");
    } else if (is_guarded && !has_token(request)) {
        respond_text(
            ret_answer, HTTP_UNAUTHORIZED,
            "a token is asked for: 'Authorization: Bearer' and what is in the 'token-file' of 'http'\n");
        ret_answer->is_token_wanted = true;
    } else if (strcmp(request->method, "OPTIONS") == 0) {
        respond_text(ret_answer, HTTP_OK, "");
        ret_answer->is_methods_allowed = true;
    } else {
        respond_path(status, request, ret_answer);
    }
    if (!ret_answer->body.has_failed)
        return;
    text_finish(&ret_answer->body);
    *ret_answer = (struct http_answer){.code = HTTP_FAILED, .type = TYPE_TEXT};
}
