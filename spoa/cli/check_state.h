/* What `check` has asked and heard, for its parts: check_voters.c, check_services.c, check_apis.c, check_files.c find
 * what does not fit, check_output.c shows the rest. Private to `check`. */
#ifndef SPOA_CLI_CHECK_STATE_H
#define SPOA_CLI_CHECK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/cli/check_votes.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/base/findings.h"

struct config;
struct config_runtime_api;
struct config_service;
struct config_voters;
struct service_server;

/* Room for the missing rights of one user, and for what is to be written. */
#define CHECK_RIGHTS_MAX 256
#define CHECK_FIX_MAX 1024

/* A voter. */
struct checked_voter {
    const struct addr *addr;
    char name[ADDR_TEXT_MAX];
    char myid[CHECK_ID_LEN + 1]; /* "" if it did not tell */
    struct redis_client *client;
    bool is_lost;                  /* why it has no vote is found: it is asked no more */
    bool is_misplaced;             /* it is no Sentinel, or another entry is the same one */
    char rights[CHECK_RIGHTS_MAX]; /* that it lacks, each with a blank before it */
};

struct checked_group {
    const struct config_voters *group;
    size_t index;
    struct checked_voter *voters; /* as many as addresses */
};

struct checked_vote {
    bool is_given;
    bool counts; /* its voter has an identity */
    struct addr addr;
    char flags[64]; /* of SENTINEL MASTER */
};

struct checked_node {
    const struct service_server *server;
    struct redis_client *client;
    char role[32]; /* "" if it did not tell */
};

struct checked_service {
    const struct config_service *service;
    size_t index;
    struct checked_group *group;
    struct checked_vote *votes; /* by voter */
    struct checked_node *nodes; /* by server */
    const struct addr *master;  /* whom a majority names, or NULL */
    uint32_t down_after_ms;     /* the longest that a Sentinel told; 0: none did */
};

/* A HAProxy, and the worker of it that is asked. */
struct checked_api {
    const struct config_runtime_api *api;
    char name[ADDR_TEXT_MAX];
    bool is_asked;    /* it has answered every time */
    unsigned pid;     /* 0: it is asked itself, not by way of its master */
    unsigned version; /* 0: not known */
};

struct check {
    const struct config *config;
    const char *file; /* of the configuration */
    struct findings findings;
    struct redis_target *targets; /* the voters, then the nodes */
    size_t target_count;
    struct checked_group *groups;
    struct checked_service *services;
    struct checked_api *apis;
    char user[64]; /* whom the agent is taken to run as; "": that did not matter */
};

/* The place of a key, or of its section if it is not given; `section` and `index` as config_lines.h has them. */
struct finding_place check_place(const struct check *check, const char *section, size_t index,
                                 const char *key, size_t nth);

/* The same of the section of these voters. */
struct finding_place check_group_place(const struct check *check, const struct checked_group *group,
                                       const char *key);

/* check_voters.c: asks every voter who it is. */
void check_voters(struct check *check);
/* Adds what the voters may not do. The services must have been asked. */
void check_rights(struct check *check);
/* Whether the reply is an error, which is then found: for want of a right, it is noted for check_rights(). That a Sentinel
 * knows no master of that name does not count. `command` and `right` are what was asked, and what it takes. */
struct reply;
bool check_is_refused(struct check *check, const struct checked_group *group, struct checked_voter *voter,
                      const struct reply *reply, const char *command, const char *right);

/* check_services.c: asks for votes, settings, roles. */
void check_services(struct check *check);

/* check_apis.c. HAProxy's files come between the two: what they show is not told again. */
void check_ask_apis(struct check *check);
void check_apis(struct check *check);

/* check_files.c: reads HAProxy's files. */
void check_files(struct check *check, const char *const *paths, size_t count);

/* check_sockets.c: who may connect to whose UNIX socket. `haproxy` has HAProxy's files; it may be empty. */
struct haproxy_file;
void check_sockets(struct check *check, const struct haproxy_file *haproxy);

/* check_output.c: who says what, and then the findings; on standard output. */
void check_write_text(const struct check *check);
void check_write_json(const struct check *check);

#endif
