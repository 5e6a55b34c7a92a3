/* Which page answers which HTTP path. Pure: spoa/io/serve/http_server.h speaks HTTP itself. */
#ifndef SPOA_CORE_STATUS_HTTP_ROUTES_H
#define SPOA_CORE_STATUS_HTTP_ROUTES_H

#include <stdbool.h>

#include "proto/must_check.h"
#include "spoa/core/base/text.h"

struct page_cursor;
struct status;

#define HTTP_OK 200
#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404
#define HTTP_METHOD_NOT_ALLOWED 405
#define HTTP_FAILED 500
#define HTTP_UNAVAILABLE 503

/* The allowed methods. HEAD is answered as GET, without the body. */
#define HTTP_ALLOW "GET, HEAD, OPTIONS"

struct http_request {
    const char *method;
    const char *path;          /* without the query */
    const char *accept;        /* the header, or NULL */
    bool is_limited;           /* may only ask for health checks */
    const char *token;         /* that is asked for, but not for health checks; NULL: none */
    const char *authorization; /* the header, or NULL */
};

/* The pages that grow with the configuration: each is written in pieces, and one text is for all who wait for it. */
enum http_page {
    HTTP_PAGE_NONE,
    HTTP_PAGE_METRICS,
    HTTP_PAGE_OPENMETRICS,
    HTTP_PAGE_STATUS,
    HTTP_PAGE_STATUS_TEXT,
    HTTP_PAGE_EXPLANATION,
    HTTP_PAGE_COUNT,
};

struct http_answer {
    unsigned code;
    const char *type;        /* of the content */
    enum http_page page;     /* what the body is; NONE: `body` has it */
    struct text body;        /* the caller must call text_finish() */
    bool is_methods_allowed; /* the answer needs the header Allow */
    bool is_token_wanted;    /* the answer needs the header WWW-Authenticate: Bearer */
};

/* Whether the method is answered. Others get 405, whatever the path. */
bool http_is_allowed(const char *method);

/*
 * Answers /, /metrics, /healthz, /readyz, /status, /status.txt, /explain.txt, /explain/SERVICE,
 * /master/SERVICE[/SERVER] and /replica/SERVICE[/SERVER]. The last two are 200 if the service has a master (a replica), or, with a
 * server's name, if that server is named. They are 404 if there is no such service, or, with a server's name, if nobody
 * can be named and nothing says that the sessions to this server are at the wrong node. Else they are 503. If the peer
 * `is_limited`, /healthz and /readyz are answered, and all else is 403. Without the token these two are answered, and
 * all else is 401.
 */
void http_respond(const struct status *status, const struct http_request *request,
                  struct http_answer *ret_answer);

/* Appends the next piece of a page. False where it was the last one. */
MUST_CHECK bool http_page_write(enum http_page page, const struct status *status, struct page_cursor *cursor,
                                struct text *out);

/* The status page. The build makes it from status_page.html. */
extern const char status_page[];

#endif
