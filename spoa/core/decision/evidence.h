/*
 * What is known beside the votes: what each node says of itself (ROLE), what each voter knows of the master
 * (how long it is silent, o_down), and each Sentinel of its fellows (CKQUORUM, SENTINELS). Evidence names no
 * master. It can keep a node from being named. Where the operator chose `witness`, what a Sentinel knows of
 * the others can stand in for a majority that is out of reach.
 * Each piece is dated and expires as a vote does. Pure.
 */
#ifndef SPOA_CORE_DECISION_EVIDENCE_H
#define SPOA_CORE_DECISION_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/succession.h"

/*
 * What Sentinel needs, once it holds a master to be down, to agree on a leader and to promote a replica, ms.
 */
#define EVIDENCE_FAILOVER_MS 2000

/* What SENTINEL MASTER says of a service, or a node's INFO replication; 0 where it was not said. */
struct sentinel_facts {
    /* A node's link to its master is down, for `silent_ms`. It may have been silent before. */
    bool is_link_down;
    bool is_o_down;
    bool is_failing_over; /* it is replacing this master, or about to */
    uint32_t down_after_ms;
    uint32_t silent_ms; /* how long ago the master last answered a PING of this Sentinel */
    uint32_t owed_ms;   /* how long it has owed the answer to a PING, or is not connected; 0: it is not so */
    uint32_t other_sentinels;
    uint32_t quorum; /* Sentinel's own, for o_down; never 0. A node has none */
};

/* Addresses that one Sentinel told last and that the map lacks, as candidates. QUORUM_NO_CANDIDATE: none. */
struct sentinel_strangers {
    int32_t node;     /* among its replicas: a node that it may promote */
    int32_t leader;   /* among its replicas: the node that the server `follower` was told to follow */
    int32_t follower; /* with `leader` */
};

/* What one voter said last. */
struct sentinel_report {
    int64_t facts_sent_ms;   /* INT64_MIN: never */
    int64_t witness_sent_ms; /* INT64_MIN: never */
    int64_t peers_sent_ms;   /* INT64_MIN: never */
    bool sees_majority;      /* CKQUORUM said OK then */
    /*
     * Within this time, ms, it had heard a majority of the configured Sentinels, and a majority of all the
     * Sentinels that it knows. It counts itself. UINT32_MAX if it knew of too few.
     */
    uint32_t peers_age_ms;
    int32_t candidate; /* whom `facts` is about */
    struct sentinel_facts facts;
    struct sentinel_strangers strangers;
    bool names_loopback; /* it is on another host than we, and its master has a loopback address */
};

enum node_role {
    NODE_ROLE_UNKNOWN,
    NODE_ROLE_MASTER,
    NODE_ROLE_REPLICA,
    NODE_ROLE_LOADING, /* refuses commands: LOADING, MASTERDOWN */
};

/* What a node said of itself. */
struct node_report {
    int64_t t_sent_ms; /* INT64_MIN: never */
    int32_t candidate;
    enum node_role role;
};

struct evidence {
    struct sentinel_report *sentinels; /* one per voter */
    /*
     * One per server of the map, and one for all addresses outside it: after A, B, A within F it is still
     * known what A said.
     */
    struct node_report *nodes;
    size_t servers;                     /* of the map; candidates below that are servers */
    const struct quorum_config *config; /* borrowed: identities, and the life of a report */
};

/* `sentinels` has room for config->voters, `nodes` for servers + 1. Both stay the caller's. */
void evidence_init(struct evidence *evidence, struct sentinel_report *sentinels, struct node_report *nodes,
                   size_t servers, const struct quorum_config *config);

/* Drops what `voter` said: it turned out to be another Sentinel than before. */
void evidence_forget(struct evidence *evidence, unsigned voter);

/*
 * Each drops a report that was asked for earlier than the newest. While a node's link to its master is down it
 * hears nothing, so its silence goes on from the report before. It begins now if the node followed another
 * master then. Redis does neither: it counts from the moment at which the link went down, whosever link it was.
 */
void evidence_note_facts(struct evidence *evidence, unsigned voter, int32_t candidate,
                         const struct sentinel_facts *facts, int64_t t_sent_ms);
void evidence_note_witness(struct evidence *evidence, unsigned voter, bool sees_majority, int64_t t_sent_ms);
void evidence_note_peers(struct evidence *evidence, unsigned voter, uint32_t age_ms, int64_t t_sent_ms);
void evidence_note_role(struct evidence *evidence, const struct node_report *report);

/* Takes over what is newer in `former`, the evidence of the same service under another configuration. */
void evidence_inherit(struct evidence *evidence, const struct evidence *former,
                      const struct succession *succession);

/* How many identities say that `candidate` is down. `*ret_expiry_ms` becomes the time at
 * which the first of these reports expires, where that is before what it was. */
unsigned evidence_count_down(const struct evidence *evidence, int32_t candidate, int64_t now_ms,
                             int64_t *ret_expiry_ms);

/*
 * How many identities say that they have not heard `candidate` for `limit_ms` or longer; the expiry as above.
 * There is a PING a second. So a node that stops for a moment has not been heard for up to a second longer
 * than that. It must also have owed an answer for nearly as long.
 */
#define EVIDENCE_OWED_SLACK_MS 250
unsigned evidence_count_silent(const struct evidence *evidence, int32_t candidate, int64_t limit_ms,
                               int64_t now_ms, int64_t *ret_expiry_ms);

/* For how long `voter` says that it has not heard `candidate`, ms; -1 if it said nothing lately. */
int64_t evidence_silence_ms(const struct evidence *evidence, unsigned voter, int32_t candidate,
                            int64_t now_ms);

/* Whether `voter` is one of those that evidence_count_down(), or evidence_count_silent(), counts. */
bool evidence_is_down(const struct evidence *evidence, unsigned voter, int32_t candidate, int64_t now_ms);
bool evidence_is_silent(const struct evidence *evidence, unsigned voter, int32_t candidate, int64_t limit_ms,
                        int64_t now_ms);

/*
 * Whether a voter of known identity says that it sees a majority; the expiry as above. Unless `limit_ms` is 0,
 * it must also have heard a majority within that time. CKQUORUM goes on saying OK for the whole of Sentinel's
 * down-after-milliseconds.
 */
bool evidence_is_witness(const struct evidence *evidence, unsigned voter, int64_t limit_ms, int64_t now_ms,
                         int64_t *ret_expiry_ms);

/* What `candidate` says of itself, UNKNOWN where it said nothing lately; the expiry as above. */
enum node_role evidence_role(const struct evidence *evidence, int32_t candidate, int64_t now_ms,
                             int64_t *ret_expiry_ms);

/* What `candidate` said of itself last, however long ago that is; NULL: it never did. */
const struct node_report *evidence_node(const struct evidence *evidence, int32_t candidate);

/* The longest down-after-milliseconds that a Sentinel has told that is heard still; 0 if there is none. */
uint32_t evidence_longest_down_after_ms(const struct evidence *evidence, const struct quorum *quorum,
                                        int64_t now_ms);

/* Whether some report is about `candidate`, expired or not. */
bool evidence_is_about(const struct evidence *evidence, int32_t candidate);

#endif
