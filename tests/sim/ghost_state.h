/* What the ghost remembers (ghost.h says what for), and what its checks have counted. */
#ifndef TESTS_SIM_GHOST_STATE_H
#define TESTS_SIM_GHOST_STATE_H

#include "spoa/core/voters/voter_source.h"
#include "tests/sim/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* More changes than a Sentinel makes within the life of a vote. */
#define GHOST_VIEWS_MAX 128
/* Longer ago than anything looks at. */
#define GHOST_NEVER (INT64_MIN / 2)

/* A Sentinel's view of a service over time, the latest at (count - 1) % GHOST_VIEWS_MAX. */
struct ghost_views {
    unsigned count;
    struct {
        int64_t since_ms;
        int8_t view;
    } log[GHOST_VIEWS_MAX];
};

/* The last reply in time that a set got from a voter. */
struct ghost_vote {
    int64_t sent_ms;
    uint8_t sentinel;
    int8_t view;
    bool may_be_dropped; /* by the agent: the voter told its MYID since, or that it would not */
};

/*
 * What else it got from a voter: the last replies to SENTINEL MASTER, or INFO replication, and to CKQUORUM where
 * that said OK.
 */
struct ghost_facts {
    int64_t sent_ms;
    int64_t witness_ms;
    int64_t peers_ms; /* a majority was heard then, by the clock of the agent */
    int32_t age_ms;   /* how long ago the master was heard */
    uint8_t sentinel;
    int8_t address;
    bool is_down;
    bool is_link_down;   /* the age goes on from the report before */
    bool may_be_dropped; /* by the agent, as a vote */
};

/* What a probe heard last. */
struct ghost_role {
    int64_t sent_ms;
    uint8_t address;
    int8_t role;
};

/* Our link to a node worked, and broke or fell silent; nothing was heard of it since. */
struct ghost_doubt {
    int64_t since_ms;
    int64_t until_ms;
    int8_t address; /* -1: of none */
};

/* A Sentinel said that it is about to replace the master that was named. */
struct ghost_leaving {
    int64_t since_ms;
    int64_t heard_ms; /* the same, last; or a majority held the master to be down */
    int8_t address;   /* -1: of none, or not for the first time: it need not be believed */
};

/* What a set was told of all that it asks. */
struct ghost_set {
    struct ghost_vote votes[SIM_SERVICES_MAX][SIM_SENTINELS_MAX];
    struct ghost_facts facts[SIM_SERVICES_MAX][SIM_SENTINELS_MAX];
    int32_t longest_ms[SIM_SERVICES_MAX]; /* of all down-after-milliseconds that were told; 0: none */
    bool has_followed[SIM_SERVICES_MAX];  /* one that was heard has told it: `park = auto` is known */
    int64_t slow_ms[SIM_SENTINELS_MAX];   /* a reply of the voter came late then */
    /* What each server of the map said last, and what the last one outside it said. */
    struct ghost_role roles[SIM_SERVICES_MAX][SIM_SERVERS + 1];
    struct ghost_doubt doubts[SIM_SERVICES_MAX]; /* the latest: it must be waited for so long, */
    struct ghost_doubt spans[SIM_SERVICES_MAX];  /* and may be for so long, as the node refused us since */
    struct ghost_leaving leaving[SIM_SERVICES_MAX];
    int64_t dissent_ms[SIM_SERVICES_MAX]; /* a voter began to contradict the name that is given */
    int8_t current[SIM_SERVICES_MAX];     /* that name: the last that the set gave, or would have given */
    int64_t heard_ms[SIM_SERVICES_MAX];   /* its voters named a master: see note_heard() */
    bool must_name[SIM_SERVICES_MAX];     /* once it has taken over */
    int64_t created_ms;
    int64_t shaken_until_ms;    /* the world touched it or its ways */
    int64_t disturbed_until_ms; /* the same, and its links came and went */
};

/* What the observers of a service were told last. */
struct ghost_told {
    uint64_t generation;   /* the switches that they were told of */
    uint64_t first_answer; /* the one of which a client was told, as the first one */
    int8_t address;        /* -1: no master yet */
    bool is_fenced;
    bool is_silenced; /* by `down-after`, and nobody was named since */
    bool is_cut;      /* a fence since it was named last: its sessions are cut */
};

/* What the agent said, and what its observers were told, whichever set it was by. */
struct ghost_agent {
    int64_t kept_ms[SIM_SERVICES_MAX];  /* since when the state is `kept`; 0: it is not */
    int64_t named_ms[SIM_SERVICES_MAX]; /* an answer named somebody, last */
    int8_t last_named[SIM_SERVICES_MAX];
    uint64_t last_generation[SIM_SERVICES_MAX];
    uint64_t answers[SIM_SERVICES_MAX];
    struct ghost_told told[SIM_SERVICES_MAX];
};

struct ghost {
    struct ghost_views views[SIM_SENTINELS_MAX][SIM_SERVICES_MAX];
    struct ghost_set sets[SIM_SETS_MAX];
    struct ghost_agent agents[SIM_AGENTS_MAX];
    int64_t changed_ms[SIM_SERVICES_MAX];      /* some view of the service, last */
    int64_t silent_ms[SIM_SERVICES_MAX];       /* the same, with nothing published */
    int64_t node_changed_ms[SIM_SERVICES_MAX]; /* some node, or what Sentinels say of it beside their views */
};

/* What the checks saw over all scripts: a check that never had anything to check is no check. */
struct sim_counts {
    uint64_t answers;
    uint64_t named;
    uint64_t named_by[VOTER_SOURCE_CLUSTER + 1]; /* by source */
    uint64_t compared;                           /* I2: two agents named different masters */
    uint64_t steady;                             /* I3: a majority was steady for F */
    uint64_t barred;                             /* barrier: named shortly after a dissent */
    uint64_t owed;                               /* I7: a name was due by polling */
    uint64_t owed_soon;                          /* I7: a name was due by a push */
    uint64_t owed_silences;                      /* I7: a silent master was due to be noticed */
    uint64_t owed_links;                         /* I7: a link was due */
    uint64_t vetoes;                             /* I6: a probe said that the majority's master is none */
    uint64_t downs;                              /* a majority said that it is down */
    uint64_t witnessed;
    uint64_t kept;
    uint64_t fenced;
    uint64_t leaving;           /* of them because a failover was expected */
    uint64_t silenced;          /* of them because the master was silent */
    uint64_t parked;            /* questions that were not answered at once */
    uint64_t released;          /* of them, answered before the agent ended */
    uint64_t doubted;           /* a link to a node broke, or fell silent, that might be named */
    uint64_t silences;          /* of them, fell silent */
    uint64_t distrusted;        /* questions that had to wait for that */
    uint64_t outages;           /* steps after which a service had one */
    uint64_t told_doubts;       /* answers with the state "doubted" */
    uint64_t reloads;           /* sets that were built beside another */
    uint64_t change_overs;      /* of them took over */
    uint64_t kept_probes;       /* moved with them */
    uint64_t reloads_meanwhile; /* asked for while services moved */
    uint64_t moved_by_force;    /* services that were not ready, and moved when the time was over */
    uint64_t mixed;             /* answers while some services had moved and others had not */
    uint64_t mixed_switches;    /* the same, switches of services that had moved */
    uint64_t sessions;          /* of clients */
    uint64_t rounds;            /* of calls to HAProxys, to cut sessions */
    uint64_t moved;             /* of them, those that a change-over found under way */
    uint64_t shut;              /* sessions that were cut */
    uint64_t shut_old;          /* of them, by a process that a reload had replaced */
    uint64_t shut_late;         /* of them, long after they were owed */
};

#endif
