/*
 * A world in virtual time (integer ms): Sentinels with views, a network between them and the agents, and
 * agents that are made of the real modules of spoa/core. One script runs in it at a time. All randomness
 * comes from one generator, so a seed tells everything that happens.
 *
 *   script.c         what goes wrong, and when; script_config.c: in which configuration
 *   sentinel_model.c what a Sentinel answers and publishes
 *   node_model.c     Redis nodes, and the probes of them
 *   network.c        links, delays, cuts; the order of messages on a link is kept, as TCP keeps it
 *   agent_model.c    the agent: plays the part of the I/O layer around the real modules
 *   asker.c          HAProxy: NOTIFY frames in, ACK frames out
 *   ghost.c          remembers the truth; the invariants are checked against it at every answer
 *   progress.c       what is due by now (I7)
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/haproxy/spop_session.h"
#include "spoa/core/voters/node_voter.h"
#include "spoa/core/voters/role_probe.h"
#include "spoa/core/voters/sentinel_voter.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/rng.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_SENTINELS_MAX 5
#define SIM_SERVICES_MAX 3
#define SIM_AGENTS_MAX 2
/* Addresses of a service: the servers of its map, and one outside. */
#define SIM_SERVERS 3
#define SIM_ADDRESSES (SIM_SERVERS + 1)
#define SIM_LINKS_MAX (SIM_AGENTS_MAX * SIM_SENTINELS_MAX * 2)
#define SIM_START_MS 1000000
#define SIM_CONNECT_TIMEOUT_MS 500

/* What a Sentinel would answer for a service: the number of an address, or one of these. */
enum sim_view {
    VIEW_NIL = -1, /* it knows no such master */
    VIEW_ERROR = -2,
    VIEW_EMPTY_HOST = -3,
    VIEW_PORT_ZERO = -4,
    VIEW_NONSENSE = -5,
    VIEW_DOWN = -6, /* the process is not there */
};
#define VIEW_WORST VIEW_NONSENSE

struct sim_config {
    /* Of another source the "Sentinels" are nodes: with `replication` of one service, and number i is at address i. */
    enum voter_source source;
    unsigned sentinels; /* also n: every agent is configured with as many entries */
    unsigned services;
    unsigned agents;
    unsigned threshold;
    int64_t poll_ms;
    int64_t reply_timeout_ms;
    int64_t vote_life_ms;
    int64_t end_ms;
    bool subscribe;
    bool password;
    bool allow_any_address;
    bool shared_routes; /* entries may reach the same Sentinel */
    struct policy_config policy;
};

struct sim_sentinel {
    bool up;
    bool is_silent; /* while not up: its host is gone, nothing is refused */
    bool refuses_subscribe;
    bool refuses_myid;
    bool mapped_text;  /* writes addresses as ::ffff:a.b.c.d */
    unsigned identity; /* its MYID */
    int64_t frozen_until_ms;
    int64_t denied_until_ms;   /* it answers every command with an error: the agent's password is wrong */
    int64_t isolated_until_ms; /* from other Sentinels */
    int8_t views[SIM_SERVICES_MAX];
    bool is_down[SIM_SERVICES_MAX]; /* it says o_down of the one that it names */
    bool sees_no_majority;          /* CKQUORUM says NOQUORUM, or cluster_state is fail */
    uint32_t epochs[SIM_SERVICES_MAX];
};

/* Between an agent and a Sentinel, both ways. */
struct sim_path {
    int64_t min_ms; /* one way */
    int64_t spread_ms;
    int64_t cut_until_ms[2]; /* by enum sim_direction */
};

enum sim_direction {
    TO_SENTINEL,
    TO_AGENT,
};

/* One connection of an agent, for one of a voter's conversations. */
struct sim_link {
    uint8_t agent;
    uint8_t voter;
    bool is_hints;
    bool is_open;     /* the agent has it, or attempts to */
    bool is_dead;     /* what is sent on it vanishes */
    bool is_refused;  /* something was, so far */
    bool is_ready;    /* the MYID was told, or the subscription made */
    uint8_t sentinel; /* that it leads to */
    uint32_t generation;
    int64_t last_ms[2];       /* arrival of the latest message, by direction */
    int64_t not_before_ms[2]; /* nothing arrives before: messages were held up */
};

/* Beside enum node_role: nobody is there. UNKNOWN stands for one that refuses the probe. */
#define SIM_NODE_DOWN 10

/* An agent's ROLE probe for one service. */
struct sim_probe {
    struct role_probe probe;
    struct service_observer observer;
    bool is_open;
    uint8_t address; /* that it leads to */
    uint32_t generation;
    int64_t delay_ms;   /* up to that, one way */
    int64_t last_ms[2]; /* arrival of the latest message, at the node and at the agent */
};

/* Of a Redis Cluster: the service's slot, the first of so many. */
#define SIM_SLOTS 4096

struct sim_agent {
    struct metrics metrics;
    struct sentinel_settings sentinel_settings;
    struct node_settings node_settings;
    struct service_settings service_settings[SIM_SERVICES_MAX];
    struct service *services[SIM_SERVICES_MAX];
    uint8_t identities[SIM_SENTINELS_MAX]; /* of the group's voters */
    struct voter_group *group;
    union {
        struct sentinel_voter voters[SIM_SENTINELS_MAX];
        struct node_voter node_voters[SIM_SENTINELS_MAX];
    };
    struct addr node_addresses[SIM_SENTINELS_MAX];
    struct service_table *table;
    struct spop_session session;
    struct role_probe_settings probe_settings;
    struct sim_probe probes[SIM_SERVICES_MAX];
    int64_t clock_ms; /* its clock is ahead of the world's by this */
    bool draining;
    uint8_t routes[SIM_SENTINELS_MAX]; /* voter -> Sentinel */
    struct sim_path paths[SIM_SENTINELS_MAX];
    int64_t stalled_until_ms; /* neither timers nor replies are taken */
    int64_t timer_lag_ms;     /* timers are late by up to this */
    int64_t wake_ms;
    unsigned wakes_in_place; /* timers that ran at one and the same moment */
    int64_t last_wake_ms;
    uint64_t stream_id;
    enum service_state seen_state[SIM_SERVICES_MAX];
    uint64_t seen_generation[SIM_SERVICES_MAX];
    bool seen_fenced[SIM_SERVICES_MAX];
};

/* More changes than a Sentinel makes within the life of a vote. */
#define GHOST_VIEWS_MAX 128

/* A Sentinel's view of a service over time, the latest at (count - 1) % GHOST_VIEWS_MAX. */
struct ghost_views {
    unsigned count;
    struct {
        int64_t since_ms;
        int8_t view;
    } log[GHOST_VIEWS_MAX];
};

/* The last reply in time that an agent got from a voter. */
struct ghost_vote {
    int64_t sent_ms;
    uint8_t sentinel;
    int8_t view;
    bool may_be_dropped; /* by the agent: the voter told its MYID since, or that it would not */
};

/* What else it got from a voter: the last replies to SENTINEL MASTER, and to CKQUORUM where that said OK. */
struct ghost_facts {
    int64_t sent_ms;
    int64_t witness_ms;
    uint8_t sentinel;
    int8_t address;
    bool is_down;
};

/* What a probe heard last. */
struct ghost_role {
    int64_t sent_ms;
    uint8_t address;
    int8_t role;
};

struct ghost_agent {
    struct ghost_vote votes[SIM_SERVICES_MAX][SIM_SENTINELS_MAX];
    struct ghost_facts facts[SIM_SERVICES_MAX][SIM_SENTINELS_MAX];
    /* What each server of the map said last, and what the last one outside it said. */
    struct ghost_role roles[SIM_SERVICES_MAX][SIM_SERVERS + 1];
    int64_t kept_ms[SIM_SERVICES_MAX];    /* since when the answers say `kept`; 0: they do not */
    int64_t named_ms[SIM_SERVICES_MAX];   /* an answer named somebody, last */
    int64_t shaken_until_ms;              /* the world touched it or its ways */
    int64_t disturbed_until_ms;           /* the same, and its links came and went */
    int64_t dissent_ms[SIM_SERVICES_MAX]; /* a voter began to contradict the name that is given */
    int8_t last_named[SIM_SERVICES_MAX];
    uint64_t last_generation[SIM_SERVICES_MAX];
};

struct ghost {
    struct ghost_views views[SIM_SENTINELS_MAX][SIM_SERVICES_MAX];
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
    uint64_t owed_links;                         /* I7: a link was due */
    uint64_t vetoes;                             /* I6: a probe said that the majority's master is none */
    uint64_t downs;                              /* a majority said that it is down */
    uint64_t witnessed;
    uint64_t kept;
    uint64_t fenced;
};

struct world {
    struct sim_config config;
    struct rng rng;
    uint64_t seed;
    int64_t now_ms;
    struct event_queue queue;
    struct sim_sentinel sentinels[SIM_SENTINELS_MAX];
    struct sim_link links[SIM_LINKS_MAX];
    struct sim_agent agents[SIM_AGENTS_MAX];
    int8_t nodes[SIM_SERVICES_MAX][SIM_ADDRESSES]; /* enum node_role, or SIM_NODE_DOWN */
    struct ghost ghost;
    uint32_t epoch; /* the newest of all */
    unsigned identities;
    struct sim_counts counts;
    bool verbose;
    const char *only; /* the invariant that is checked; NULL: all */
    bool violated;
};

/* Makes the world of `seed` and runs its script. False where an invariant was violated, which was printed. */
bool world_run(struct world *world, uint64_t seed);

/* A line of what happens, where asked for by --verbose. */
__attribute__((format(printf, 2, 3))) void world_trace(const struct world *world, const char *format, ...);

#endif
