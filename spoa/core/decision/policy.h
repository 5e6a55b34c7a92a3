/*
 * From the quorum's result and the evidence to a ruling, by the rules that the operator chose. By default
 * only a node that a majority names can be named. Pure; all times in ms.
 */
#ifndef SPOA_CORE_DECISION_POLICY_H
#define SPOA_CORE_DECISION_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/decision/succession.h"

struct policy_config {
    enum role_check role_check;
    enum keep_when keep_when;
    bool witness;     /* if a majority is out of reach, a voter that sees one may stand in for it */
    bool early_fence; /* a master that is about to be replaced is not named, and its sessions are cut */
    int64_t keep_ms;  /* how long the last master is named after too few voters are in reach; 0: not at all */
    /*
     * After this time without a name existing sessions are to be cut; 0: never. With `down_after_ms` it begins
     * when a majority, or a witness, was there for the last time, and not when that has run out.
     */
    int64_t fence_ms;
    int64_t debounce_ms;        /* a loss that is shorter is `pending` */
    int64_t early_fence_max_ms; /* the longest time of that */
    int64_t down_after_ms;      /* a master that a majority has not heard for this long is down; 0: off */
    int64_t witness_age_ms; /* within this time a witness must have heard a majority; 0: CKQUORUM will do */
    int64_t confirm_ms; /* with ROLE_CHECK_REQUIRE: the time in which a new master must say that it is one */
};

#define POLICY_NEVER INT64_MIN

/* What the policy remembers. */
struct policy {
    const struct policy_config *config; /* borrowed */
    int64_t t_lost_ms;                  /* reachability was lost; POLICY_NEVER while it is there */
    int64_t t_unnamed_ms;               /* naming ended for want of a majority; POLICY_NEVER else */
    int64_t t_unconfirmed_ms;           /* since when `unconfirmed` is waited for */
    int64_t t_leaving_ms;               /* since when `leaving` is about to be replaced */
    int64_t t_backed_ms; /* a majority or a witness backed the name for the last time; POLICY_NEVER */
    int32_t unconfirmed; /* a winner that has not said that it is a master */
    int32_t leaving;     /* the candidate named last, or QUORUM_NO_CANDIDATE */
    int32_t silenced;    /* the candidate named last: silent, and nobody was named since; or none */
    bool may_keep;       /* the last that a majority said was a master that could be named */
};

/* What it judges by. */
struct policy_facts {
    const struct quorum_result *quorum;
    unsigned threshold;
    const struct evidence *evidence;
    bool (*is_nameable)(const void *context, int32_t candidate); /* by the server map */
    const void *context;
    int32_t current;   /* the candidate named last, or QUORUM_NO_CANDIDATE */
    bool is_witnessed; /* a voter that names quorum->sole sees a majority; with `witness` only */
    int64_t witness_expiry_ms;
    int64_t reply_timeout_ms; /* of the voters */
};

struct policy_ruling {
    enum service_state state;
    enum service_reason reason;
    int32_t candidate; /* whom the state is about: named, vetoed or down; or QUORUM_NO_CANDIDATE */
    bool is_fenced;    /* existing sessions are to be cut */
    int64_t review_ms; /* from this time on the ruling no longer stands */
};

/* `config` is borrowed. */
void policy_init(struct policy *policy, const struct policy_config *config);

/*
 * Takes over what `former`, of the same service under another configuration, remembers. An expected failover
 * that only `policy` was told of stays.
 */
void policy_inherit(struct policy *policy, const struct policy *former, const struct succession *succession);

/*
 * The candidate named last is about to be replaced: a Sentinel says that a failover has begun, or a majority
 * says that the master is down. Does nothing unless `early_fence` is set. If nobody else is named within
 * early_fence_max_ms, the candidate is named again. After that the word is not believed for EARLY_FENCE_REST
 * times as long, so that one Sentinel cannot keep a master from being named.
 */
#define EARLY_FENCE_REST 10
void policy_note_failover(struct policy *policy, int32_t candidate, int64_t now_ms);

struct policy_ruling policy_rule(struct policy *policy, const struct policy_facts *facts, int64_t now_ms);

#endif
