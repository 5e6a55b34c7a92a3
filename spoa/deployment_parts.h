/* What a deployment consists of. For deployment.c and deployment_handover.c; nobody else includes this. */
#ifndef SPOA_DEPLOYMENT_PARTS_H
#define SPOA_DEPLOYMENT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What cannot be added is not there. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "spoa/core/observers/decision_log.h"
#include "spoa/deployment.h"
#include "spoa/io/effects/session_cutter.h"
#include "spoa/io/net/tls.h"

/* A service with all that hangs on it. */
struct deployment_service {
    struct service_settings settings;
    struct service *service;
    struct decision_log log;
    struct history_watch history;
    struct hook_watch hook;
    size_t place; /* in its group */
    bool is_handed_over;
    UT_hash_handle hh; /* by its name */
};

/* A group of Sentinels and the services that it monitors. */
struct deployment_group {
    struct service **services;
    struct role_probe_settings *probes; /* one per service */
    const struct tls **node_tls;        /* one per service */
    struct role_link **kept; /* one per service, of what is to be replaced; NULL: there is nothing */
    size_t service_count;
    bool early;        /* one of them has early-fence */
    bool is_inherited; /* it knows what its former self knew */
    struct voter_links *links;
    uint8_t identities[QUORUM_VOTERS_MAX]; /* of its voters */
    UT_hash_handle hh;                     /* by its name */
};

/* TLS as some sections want it, all in the same way. */
struct deployment_tls {
    struct config_tls settings; /* borrowed, but for the struct itself */
    struct tls *tls;
};

struct deployment {
    struct deployment_options options;
    struct deployment_service *services;
    struct deployment_service *by_name; /* a hash: a reload looks for each of them */
    size_t service_count;               /* how many of `services` exist */
    struct deployment_group *groups;
    struct deployment_group *groups_by_name;
    const struct voter_group **voters; /* of the groups */
    size_t group_count;                /* of those whose links are all there */
    struct deployment_tls *tls;
    size_t tls_count;
    struct session_cutter *cutter; /* NULL: no runtime API, or not active */
    struct agent_checks *checks;
    size_t prepared;    /* services that observers wait for */
    size_t cursor;      /* of the hand-over: where the next look begins */
    size_t handed_over; /* services */
    size_t unlinked;    /* groups that have ended */
};

/* NULL where `deployment`, which may be NULL, has no such service. */
struct deployment_service *deployment_find_service(const struct deployment *deployment, const char *name);

#endif
