/* The configuration: reads keys one at a time, then checks the whole. Pure: spoa/io/process/config_file.h
 * reads files and secrets. One table of keywords serves reading, --dump-config and the documentation. */
#ifndef SPOA_CORE_CONFIG_CONFIG_H
#define SPOA_CORE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/name_index.h"
#include "spoa/core/base/progress.h"
#include "spoa/core/config/config_errors.h"
#include "spoa/core/config/config_lines.h"
#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/park.h"
#include "spoa/core/haproxy/check_mode.h"
#include "spoa/core/voters/voter_source.h"

struct network;
struct service_server;

#define CONFIG_NAME_MAX 200
#define CONFIG_ACCOUNT_MAX 64

/* Networks, for `allow`. */
struct config_networks {
    struct network *list;
    size_t count;
};

/* For AUTH with Sentinels or nodes. As a token for HTTP it has no user. */
struct config_credentials {
    char *username; /* or NULL */
    char *password; /* or NULL */
    char *password_file;
    unsigned password_file_line;
};

/* TLS settings for Sentinels or nodes, or for those who connect to us. */
struct config_tls {
    bool is_on;
    bool is_inherited; /* of a service that gives none: its group of nodes decides; config_finish() sets it */
    unsigned line;     /* of `listen`, or of `tls`; 0: there is none */
    char *ca_file;   /* who may have signed the peer's; NULL: the system's, or no certificate is asked for */
    char *cert_file; /* ours, with its chain; NULL: none */
    char *key_file;  /* of that certificate */
    char *server_name; /* in the peer's certificate; NULL: the peer's host */
};

/* An address to accept connections on. */
struct config_listen {
    struct addr addr;               /* numeric or UNIX; port 0: the kernel chooses */
    int mode;                       /* of a UNIX socket; -1: the umask decides */
    char owner[CONFIG_ACCOUNT_MAX]; /* of a UNIX socket; "": not changed */
    char group[CONFIG_ACCOUNT_MAX];
    struct config_networks allowed; /* its own `allow=`; empty: see config_allowed() */
    struct config_tls tls;
    struct config_credentials token; /* that a client must send, for HTTP; its password is NULL: none */
};

struct config_listens {
    struct config_listen *list;
    size_t count;
};

struct config_agent {
    struct config_listens listens;   /* for SPOP */
    struct config_listens checks;    /* for agent-checks */
    struct config_listens web;       /* for HTTP */
    struct config_listens takeovers; /* for an agent that takes our place */
    enum log_level log_level;
    enum log_format log_format;
    char *syslog;                   /* path of its socket; NULL: log to stderr */
    struct config_networks allowed; /* may connect by TCP to addresses without their own; empty: all may */
    unsigned connections_max;       /* for SPOP */
    unsigned idle_timeout_ms;       /* of SPOP connections; 0: none */
    unsigned drain_timeout_ms;
    unsigned park_max;
    char *user; /* to change to after the start; NULL: none */
    char *group;
    bool sandbox;
    bool autoreload;
};

/* A group of voters: [sentinels], [sentinels NAME], [nodes NAME]. */
struct config_voters {
    char *name; /* "" for [sentinels] */
    unsigned line;
    bool is_nodes;
    enum voter_source source;
    struct addr *addresses;
    size_t address_count;
    struct config_credentials credentials;
    struct config_tls tls;
    unsigned poll_ms;
    unsigned reply_timeout_ms;
    unsigned connect_timeout_ms;
    unsigned vote_life_ms;
    bool subscribe;
    bool is_gathered; /* the addresses are those of the services that refer to it; config_finish() sets it */
    bool is_referred_to; /* by a service; config_finish() sets it */
};

struct config_names {
    char **list;
    size_t count;
};

struct config_runtime_api {
    struct addr addr; /* numeric or UNIX */
    bool is_master;   /* it is the CLI of a HAProxy's master */
};

/* The HAProxys whose sessions the agent cuts. */
struct config_haproxy {
    struct config_runtime_api *runtime_apis;
    size_t runtime_api_count;
    struct config_names backends;
};

enum replica_fallback {
    REPLICA_FALLBACK_NONE,
    REPLICA_FALLBACK_MASTER,
};

/* What to do if fewer nodes than a majority are in reach, and one of them says that it is the master. */
enum when_alone {
    WHEN_ALONE_REFUSE,
    WHEN_ALONE_NAME,
};

/* What to do with a parked client that has gone. */
enum gone_clients {
    GONE_CLIENTS_REFUSE,
    GONE_CLIENTS_SERVE,
};

/* A slot of a Redis Cluster. */
struct config_slot {
    bool is_given;
    unsigned number;
};

#define CONFIG_SLOTS 16384

struct config_service {
    char *name;
    char *monitor;                  /* its name in Sentinel; NULL: the service's name */
    char *sentinels;                /* the group's name; NULL: the group without a name */
    char *nodes;                    /* or the name of a group of nodes; else NULL */
    size_t group;                   /* the group's index; config_finish() sets it */
    struct service_server *servers; /* the service owns their names and aliases */
    size_t server_count;
    unsigned line;
    unsigned quorum; /* votes needed; 0: config_finish() sets the majority */
    struct config_slot slot;
    enum when_alone when_alone;
    /* There may be thousands of services: what is small stands together. */
    bool allow_any_address;
    bool witness;
    bool early_fence;
    bool replicas;
    struct config_credentials credentials; /* of the nodes */
    struct config_tls tls;                 /* of the nodes */
    enum role_check role_check;
    enum keep_when keep_when;
    unsigned keep_ms;
    unsigned debounce_ms;
    unsigned fence_ms;
    unsigned down_after_ms;
    unsigned early_fence_max_ms;
    enum gone_clients gone_clients;
    int64_t park_ms; /* or PARK_AUTO */
    enum check_mode check_mode;
    unsigned check_delay_ms;
    unsigned check_pulse_ms;
    enum replica_fallback replica_fallback;
    struct lag_limit max_lag;
    char *on_switch; /* a program and its arguments, or NULL */
    unsigned on_switch_timeout_ms;
    unsigned on_switch_retry_ms;  /* 0: never */
    struct config_names backends; /* HAProxy's; empty: those of [haproxy] */
};

struct config {
    struct config_agent agent;
    struct config_haproxy haproxy;
    struct config_voters *groups;
    size_t group_count;
    struct config_service *services;
    size_t service_count;
    struct config_errors warnings; /* unwise settings that do not prevent a start */
    struct config_lines lines;     /* where its sections and keys stand */
    struct config_cursor *cursor;  /* for reading; private */
    /* For config_finish(); private. */
    struct name_index group_names;
    struct name_index service_names;
    size_t checked;
};

/* NULL if memory is short. */
MUST_CHECK struct config *config_create(void);
void config_destroy(struct config *config); /* NULL is fine */

/* Frees services and groups, of which nobody makes use any more; each costs a unit. True while there are more. */
bool config_shed(struct config *config, size_t *io_budget);

/* Begins the section of a line "[TEXT]". `text` is without the brackets: "agent", "sentinels", "service
 * NAME" ... An unknown section is an error, and its keys are skipped. */
void config_section(struct config *config, const struct config_place *place, const char *text,
                    struct config_errors *errors);

/* Sets a key of the section that was begun last. */
void config_set(struct config *config, const struct config_place *place, const char *key, const char *value,
                struct config_errors *errors);

/* Checks the whole and fills in the values that depend on it. Adds to config->warnings. `file` is for
 * messages. */
void config_finish(struct config *config, const char *file, struct config_errors *errors);

/* The same in slices: each service costs two units. Never fails: `errors` has that memory is short. */
enum progress config_finish_some(struct config *config, const char *file, struct config_errors *errors,
                                 size_t *io_budget);

/* Writes a complete file with all defaults. Passwords are written as ***. */
void config_dump(const struct config *config, FILE *out);

/* Calls `each` with the path of every file that a password, certificate or key is read from. */
void config_each_file(const struct config *config, void (*each)(void *context, const char *path),
                      void *context);

/* The word of the group's section: "sentinels" or "nodes". */
const char *config_voters_word(const struct config_voters *group);

/* The credentials and the TLS settings for the service's nodes: the service's own. If it gives none (`tls = no` is one) and
 * its nodes vote, those of the group. */
const struct config_credentials *config_node_credentials(const struct config_service *service,
                                                         const struct config_voters *group);
const struct config_tls *config_node_tls(const struct config_service *service,
                                         const struct config_voters *group);

/* The networks that may connect to the address: its own or, where it has none, those of [agent]. Empty: all may. */
const struct config_networks *config_allowed(const struct config_agent *agent,
                                             const struct config_listen *listen);

/* Whether they name the same files and the same peer. */
bool config_same_tls(const struct config_tls *one, const struct config_tls *other);

/* Whether they are the same, in the same order. */
bool config_same_networks(const struct config_networks *one, const struct config_networks *other);

/* HAProxy's backends of the service: its own, or, where it has none, those of [haproxy]. */
const struct config_names *config_service_backends(const struct config *config,
                                                   const struct config_service *service);

/* The server of the map that has this address, as its own or as an alias; NULL if none has. */
const struct service_server *config_service_find_server(const struct config_service *service,
                                                        const struct addr *addr);

/* Whether two texts are equal. They may be NULL. */
bool config_same_text(const char *a, const char *b);

#endif
