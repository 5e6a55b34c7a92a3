/*
 * What `check` finds: a list of causes, as data. Each cause is one finding, however many it concerns: a further subject of
 * the same cause joins the finding that is there. Pure.
 */
#ifndef SPOA_CORE_BASE_FINDINGS_H
#define SPOA_CORE_BASE_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

struct json;
struct text;

/*
 * Every code: its name in text and JSON, which does not change, and how bad it is. ERROR: clients are refused, or may
 * reach the wrong server. WARNING: it hurts at a failover, or something else that was asked for does not work.
 */
#define FINDING_CODES(X)                                                                                     \
    /* the configuration */                                                                                  \
    X(BAD_CONFIGURATION, "bad-configuration", ERROR)                                                         \
    X(NO_MEMORY, "no-memory", ERROR)                                                                         \
    /* Sentinels, and nodes that vote */                                                                     \
    X(VOTER_UNREACHABLE, "voter-unreachable", ERROR)                                                         \
    X(VOTER_PASSWORD, "voter-password", ERROR)                                                               \
    X(VOTER_RIGHTS, "voter-rights", ERROR)                                                                   \
    X(VOTER_REFUSES, "voter-refuses", WARNING)                                                               \
    X(NOT_A_SENTINEL, "not-a-sentinel", ERROR)                                                               \
    X(NO_IDENTITY, "no-identity", ERROR)                                                                     \
    X(SAME_IDENTITY, "same-identity", ERROR)                                                                 \
    X(UNLISTED_SENTINEL, "unlisted-sentinel", WARNING)                                                       \
    X(SENTINEL_COUNT, "sentinel-count", WARNING)                                                             \
    X(SENTINEL_QUORUM, "sentinel-quorum", ERROR)                                                             \
    X(SENTINEL_MAJORITY, "sentinel-majority", ERROR)                                                         \
    /* what they say of a service */                                                                         \
    X(UNKNOWN_MONITOR, "unknown-monitor", ERROR)                                                             \
    X(NO_VOTE, "no-vote", ERROR)                                                                             \
    X(NO_MAJORITY, "no-majority", ERROR)                                                                     \
    X(UNMAPPED_MASTER, "unmapped-master", ERROR)                                                             \
    X(UNMAPPED_REPLICA, "unmapped-replica", WARNING)                                                         \
    X(UNMAPPED_LEADER, "unmapped-leader", WARNING)                                                           \
    X(LOOPBACK_ADDRESS, "loopback-address", ERROR)                                                           \
    X(SILENT_MASTER, "silent-master", ERROR)                                                                 \
    X(SHORT_PARK, "short-park", WARNING)                                                                     \
    X(LONG_VOTE_LIFE, "long-vote-life", WARNING)                                                             \
    X(IDLE_DOWN_AFTER, "idle-down-after", WARNING)                                                           \
    /* Redis nodes */                                                                                        \
    X(NODE_UNREACHABLE, "node-unreachable", WARNING)                                                         \
    X(NODE_PASSWORD, "node-password", ERROR)                                                                 \
    X(NODE_RIGHTS, "node-rights", WARNING)                                                                   \
    X(NOT_A_NODE, "not-a-node", ERROR)                                                                       \
    X(NO_ROLE, "no-role", WARNING)                                                                           \
    X(NOT_A_MASTER, "not-a-master", ERROR)                                                                   \
    X(SECOND_MASTER, "second-master", ERROR)                                                                 \
    X(NO_LAG, "no-lag", WARNING)                                                                             \
    X(UNBOUNDED_LOSS, "unbounded-loss", WARNING)                                                             \
    /* HAProxy's runtime API, and sockets */                                                                 \
    X(API_UNREACHABLE, "api-unreachable", WARNING)                                                           \
    X(API_NO_HAPROXY, "api-no-haproxy", WARNING)                                                             \
    X(API_LEVEL, "api-level", WARNING)                                                                       \
    X(API_RIGHTS, "api-rights", WARNING)                                                                     \
    X(API_SOCKET, "api-socket", WARNING)                                                                     \
    X(LISTEN_RIGHTS, "listen-rights", ERROR)                                                                 \
    X(GONE_CLIENTS_UNSEEN, "gone-clients-unseen", WARNING)                                                   \
    /* HAProxy's files */                                                                                    \
    X(UNREADABLE_FILE, "unreadable-file", ERROR)                                                             \
    X(NO_FILTER, "no-filter", ERROR)                                                                         \
    X(UNKNOWN_ENGINE, "unknown-engine", ERROR)                                                               \
    X(NO_MESSAGE, "no-message", ERROR)                                                                       \
    X(NO_EVENT, "no-event", ERROR)                                                                           \
    X(UNKNOWN_ROLE, "unknown-role", ERROR)                                                                   \
    X(NO_SERVICE, "no-service", ERROR)                                                                       \
    X(UNKNOWN_SERVICE, "unknown-service", ERROR)                                                             \
    X(PROCESSING_TIMEOUT, "processing-timeout", WARNING)                                                     \
    X(PIPELINING, "pipelining", ERROR)                                                                       \
    X(VAR_PREFIX, "var-prefix", ERROR)                                                                       \
    X(NO_REJECT, "no-reject", ERROR)                                                                         \
    X(EARLY_ACCEPT, "early-accept", ERROR)                                                                   \
    X(NO_BACKEND, "no-backend", ERROR)                                                                       \
    X(UNKNOWN_BACKEND, "unknown-backend", ERROR)                                                             \
    X(SHARED_NAME, "shared-name", WARNING)                                                                   \
    X(NO_USE_SERVER, "no-use-server", ERROR)                                                                 \
    X(WRONG_USE_SERVER, "wrong-use-server", ERROR)                                                           \
    X(MISSING_SERVER, "missing-server", ERROR)                                                               \
    X(EXTRA_SERVER, "extra-server", WARNING)                                                                 \
    X(SERVER_ADDRESS, "server-address", ERROR)                                                               \
    X(SERVER_WEIGHT, "server-weight", ERROR)                                                                 \
    X(RETRIES, "retries", ERROR)                                                                             \
    X(REDISPATCH, "redispatch", ERROR)                                                                       \
    X(PERSIST, "persist", ERROR)                                                                             \
    X(LONG_QUEUE, "long-queue", ERROR)                                                                       \
    X(AGENT_BACKEND, "agent-backend", ERROR)                                                                 \
    X(AGENT_SERVER, "agent-server", ERROR)                                                                   \
    X(WRONG_MODE, "wrong-mode", ERROR)                                                                       \
    X(HANGING_CLIENTS, "hanging-clients", WARNING)

#define FINDING_ENUM(id, name, severity) FINDING_##id,
enum finding_code { FINDING_CODES(FINDING_ENUM) FINDING_CODE_COUNT };
#undef FINDING_ENUM

const char *finding_code_name(enum finding_code code);

/* A line of a file; of the whole file where it is 0. */
struct finding_place {
    const char *file; /* NULL: no file has the cause */
    unsigned line;
};

struct finding {
    enum finding_code code;
    char *file; /* or NULL */
    unsigned line;
    char **subjects; /* whom it concerns: services, Sentinels, servers ... */
    size_t subject_count;
    char *message;
    char *fix; /* what to write or do; NULL: the message says it */
};

/* All zero is an empty list. */
struct findings {
    struct finding *list;
    size_t count;
    bool out_of_memory; /* some are missing */
};

void findings_finish(struct findings *findings);

/*
 * Adds a finding about `subject`, which may be NULL. If the last text is the same as that of an earlier finding with this
 * code, this place and this fix, the subject joins that one. `fix` may be NULL. All texts are copied.
 */
void findings_add(struct findings *findings, enum finding_code code, struct finding_place place,
                  const char *subject, const char *fix, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Whether there is a finding with this code. With a `subject`, one that concerns it. */
bool findings_have(const struct findings *findings, enum finding_code code, const char *subject);

/* Writes the subjects: "S1, S2 and S3". */
void finding_add_subjects(const struct finding *finding, struct text *out);

/* Writes the list as the array `key`. */
void findings_write_json(const struct findings *findings, struct json *json, const char *key);

/* Writes a paragraph for each, and then how many there are. */
void findings_write_text(const struct findings *findings, struct text *out);

#endif
