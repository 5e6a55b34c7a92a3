/*
 * The configuration: what the keys mean, read one at a time, checked as a whole. Pure: files, environment and
 * secrets are io/config_file.h. One table of keywords serves reading, --dump-config and the test of the manual.
 */
#ifndef SPOA_CORE_CONFIG_CONFIG_H
#define SPOA_CORE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/core/base/log.h"
#include "spoa/core/config/config_errors.h"
#include "spoa/core/decision/choices.h"
#include "spoa/core/haproxy/check_mode.h"
#include "spoa/core/voters/voter_source.h"

struct network;
struct service_server;

#define CONFIG_NAME_MAX 200
#define CONFIG_ACCOUNT_MAX 64

/* One address to accept connections on. */
struct config_listen {
    struct addr addr;               /* numeric or UNIX; port 0: the kernel chooses */
    int mode;                       /* of a UNIX socket; -1: as the umask says */
    char owner[CONFIG_ACCOUNT_MAX]; /* of a UNIX socket; "": as it comes */
    char group[CONFIG_ACCOUNT_MAX];
};

struct config_listens {
    struct config_listen *list;
    size_t count;
};

/* Networks, for `allow`. */
struct config_networks {
    struct network *list;
    size_t count;
};

struct config_agent {
    struct config_listens listens;   /* for SPOP */
    struct config_listens checks;    /* for agent-checks */
    struct config_listens web;       /* for HTTP */
    struct config_listens takeovers; /* for an agent that takes our place */
    enum log_level log_level;
    enum log_format log_format;
    char *syslog;                   /* the path of its socket; NULL: the log goes to stderr */
    struct config_networks allowed; /* whose TCP connections are taken; empty: anybody's */
    unsigned connections_max;       /* for SPOP */
    unsigned idle_timeout_ms;       /* of these; 0: none */
    unsigned drain_timeout_ms;
    unsigned park_max;
    char *user; /* to become after the start; NULL: none */
    char *group;
    bool sandbox;
    bool autoreload;
};

/* What AUTH takes, for Sentinels or for nodes. */
struct config_credentials {
    char *username; /* or NULL */
    char *password; /* or NULL */
    char *password_file;
    unsigned password_file_line;
};

/* How Sentinels or nodes are talked to. */
struct config_tls {
    bool is_on;
    char *ca_file;     /* NULL: the system's */
    char *cert_file;   /* ours, with its chain; NULL: none */
    char *key_file;    /* of it */
    char *server_name; /* that the peer's certificate must have; NULL: the peer's own */
    unsigned line;     /* of one of its keys; 0: none is given */
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
};

/* HAProxys whose sessions are cut. */
struct config_haproxy {
    struct addr *runtime_apis; /* numeric or UNIX */
    size_t runtime_api_count;
    char *backend; /* or NULL */
};

enum replica_fallback {
    REPLICA_FALLBACK_NONE,
    REPLICA_FALLBACK_MASTER,
};

/* What to do where fewer nodes than a majority are in reach, and one of these says that it is the master. */
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
    unsigned line;
    char *monitor;                  /* what Sentinel calls it; NULL: the service's name */
    char *sentinels;                /* the group's name; NULL: the unnamed one */
    char *nodes;                    /* the name of a group of nodes in its place, or NULL */
    size_t group;                   /* its index; set by config_finish() */
    struct service_server *servers; /* the names are its own */
    size_t server_count;
    struct config_slot slot;
    enum when_alone when_alone;
    unsigned quorum; /* votes needed; 0 until config_finish() puts the majority */
    bool allow_any_address;
    struct config_credentials credentials; /* of the nodes */
    struct config_tls tls;                 /* of the nodes */
    enum role_check role_check;
    bool witness;
    unsigned keep_ms;
    enum keep_when keep_when;
    unsigned debounce_ms;
    unsigned fence_ms;
    bool early_fence;
    unsigned early_fence_max_ms;
    unsigned park_ms;
    enum gone_clients gone_clients;
    enum check_mode check_mode;
    unsigned check_delay_ms;
    unsigned check_pulse_ms;
    bool replicas;
    struct lag_limit max_lag;
    enum replica_fallback replica_fallback;
    char *on_switch; /* a program and its arguments, or NULL */
    unsigned on_switch_timeout_ms;
    char *backend; /* HAProxy's; NULL: that of [haproxy] */
};

struct config {
    struct config_agent agent;
    struct config_haproxy haproxy;
    struct config_voters *groups;
    size_t group_count;
    struct config_service *services;
    size_t service_count;
    struct config_errors warnings; /* what is unwise, and yet can be run */
    struct config_cursor *cursor;  /* of reading; private */
};

/* NULL where memory is short. */
MUST_CHECK struct config *config_create(void);
void config_destroy(struct config *config); /* NULL is fine */

/* Begins the section of a line "[TEXT]", without the brackets: "agent", "sentinels", "service NAME" ... An
 * unknown one is an error, and its keys are passed over. */
void config_section(struct config *config, const struct config_place *place, const char *text,
                    struct config_errors *errors);

/* A key of the section begun last. */
void config_set(struct config *config, const struct config_place *place, const char *key, const char *value,
                struct config_errors *errors);

/* Checks the whole and fills in what depends on it; adds to config->warnings. `file` is for messages. */
void config_finish(struct config *config, const char *file, struct config_errors *errors);

/* Writes a complete file with all defaults; passwords are shown as ***. */
void config_dump(const struct config *config, FILE *out);

/* Calls `each` with the path of every file that the configuration names: passwords, certificates, keys. */
void config_each_file(const struct config *config, void (*each)(void *context, const char *path),
                      void *context);

/* What the group's section is called: "sentinels" or "nodes". */
const char *config_voters_word(const struct config_voters *group);

/* What the service's nodes are to be told, and how: its own, or, where the nodes themselves vote, that of their group. */
const struct config_credentials *config_node_credentials(const struct config_service *service,
                                                         const struct config_voters *group);
const struct config_tls *config_node_tls(const struct config_service *service,
                                         const struct config_voters *group);

/* Of two texts of a configuration, which may be NULL. */
bool config_same_text(const char *a, const char *b);

/* What a changed value asks for. */
enum config_reload {
    CONFIG_RELOAD_LIVE,    /* can be taken over by an agent that runs */
    CONFIG_RELOAD_RESTART, /* the agent must be started again */
};

/* The keywords, for the manual: calls `each` for all of them. */
struct config_keyword_info {
    const char *section;
    const char *key;
    const char *form;   /* what a value looks like */
    const char *preset; /* the default, NULL: none */
    const char *help;
    bool repeatable;
    enum config_reload reload;
};
void config_each_keyword(void (*each)(void *context, const struct config_keyword_info *info), void *context);

#endif
