/* What is answered over HTTP: pages by path. Pure; the protocol itself is io/http_server.h. */
#ifndef SPOA_CORE_STATUS_HTTP_ROUTES_H
#define SPOA_CORE_STATUS_HTTP_ROUTES_H

#include "spoa/core/base/text.h"
#include "spoa/core/status/status.h"

#define WEB_OK 200
#define WEB_NOT_FOUND 404
#define WEB_METHOD_NOT_ALLOWED 405
#define WEB_FAILED 500
#define WEB_UNAVAILABLE 503

/* The methods that are answered; HEAD as GET, without the body. */
#define WEB_ALLOW "GET, HEAD, OPTIONS"

struct web_request {
    const char *method;
    const char *path;   /* without the query */
    const char *accept; /* the header, or NULL */
};

struct web_answer {
    unsigned code;
    const char *type;        /* of the content */
    struct page page;        /* the caller's, to be finished */
    bool is_methods_allowed; /* the header Allow is wanted */
};

/*
 * /  /metrics  /healthz  /readyz  /status  /status.txt  /master/SERVICE[/SERVER]  /replica/SERVICE[/SERVER]. The last two are 200 where
 * there is a master (a replica) or, with a server's name, where that server is it; else 503.
 */
void web_respond(const struct status *status, const struct web_request *request,
                 struct web_answer *ret_answer);

/* The status page, made out of status_page.html by the build. */
extern const char web_status_page[];

#endif
