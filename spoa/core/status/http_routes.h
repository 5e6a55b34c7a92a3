/* What is answered over HTTP: pages by path. Pure; HTTP itself is spoken by spoa/io/serve/http_server.h. */
#ifndef SPOA_CORE_STATUS_HTTP_ROUTES_H
#define SPOA_CORE_STATUS_HTTP_ROUTES_H

#include <stdbool.h>

#include "spoa/core/base/text.h"

struct status;

#define HTTP_OK 200
#define HTTP_NOT_FOUND 404
#define HTTP_METHOD_NOT_ALLOWED 405
#define HTTP_FAILED 500
#define HTTP_UNAVAILABLE 503

/* The methods that are answered; HEAD as GET, without the body. */
#define HTTP_ALLOW "GET, HEAD, OPTIONS"

struct http_request {
    const char *method;
    const char *path;   /* without the query */
    const char *accept; /* the header, or NULL */
};

struct http_answer {
    unsigned code;
    const char *type;        /* of the content */
    struct text body;        /* the caller's, to be finished */
    bool is_methods_allowed; /* the header Allow is wanted */
};

/*
 * /  /metrics  /healthz  /readyz  /status  /status.txt  /master/SERVICE[/SERVER]  /replica/SERVICE[/SERVER]. The last two are 200 where
 * there is a master (a replica) or, with a server's name, where that server is it; else 503.
 */
void http_respond(const struct status *status, const struct http_request *request,
                  struct http_answer *ret_answer);

/* The status page, made out of status_page.html by the build. */
extern const char status_page[];

#endif
