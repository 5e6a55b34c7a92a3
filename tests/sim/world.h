/*
 * A world in virtual time (integer ms): Sentinels with views, a network between them and the agents, and
 * agents that are made of the real modules of spoa/core. One script runs in it at a time. All randomness
 * comes from generators that the seed starts, so a seed tells everything that happens.
 *
 *   script.c         what goes wrong, and when
 *   script_config.c  in which world; script_files.c: what is in the agents' files
 *   sentinel_model.c what a Sentinel answers and publishes
 *   node_model.c     Redis nodes, and the probes of them
 *   network.c        links, delays, cuts; the order of messages on a link is kept, as TCP keeps it
 *   set_model.c      what one file brings to life, with real modules: plays the I/O layer around them
 *   agent_model.c    the agent's process: a set that answers, timers, HAProxy's session
 *   reload_model.c   its reloads: a next set beside the first, and the change-over, service by service
 *   cutter_model.c   its cuts of sessions: plays the I/O layer around the real rounds and visits
 *   haproxy_model.c  HAProxy's sessions and its runtime API; script_haproxy.c: what goes wrong with them
 *   asker.c          HAProxy: NOTIFY frames in, ACK frames out (ack.c); parked.c: those that wait
 *   ghost.c          remembers the truth; ghost_checks.c checks every answer against it
 *   ghost_handover.c the referee of reloads (I9); ghost_cuts.c: of cuts (I8)
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
#include "tests/sim/ghost_state.h"
#include "tests/sim/haproxy_state.h"
#include "tests/sim/limits.h"
#include "tests/sim/rng.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_START_MS 1000000
#define SIM_CONNECT_TIMEOUT_MS 500
#define SIM_EARLY_FENCE_MAX_MS 3000
/* As the Sentinels tell it: each of three another time. */
#define SIM_DOWN_AFTER_MS 4500
#define SIM_DOWN_AFTER_STEP_MS 500
#define SIM_NO_SPARE SIM_SENTINELS_MAX

/* What a Sentinel would answer for a service: the number of an address, or one of these. */
enum sim_view {
    VIEW_NIL = -1, /* it knows no such master */
    VIEW_ERROR = -2,
    VIEW_EMPTY_HOST = -3,
    VIEW_PORT_ZERO = -4,
    VIEW_NONSENSE = -5,
    VIEW_DOWN = -6,   /* the process is not there */
    VIEW_DENIED = -7, /* an error: whoever asks has the wrong password */
};
#define VIEW_WORST VIEW_NONSENSE

/* What a configuration file says. */
struct sim_file {
    unsigned voters; /* n: entries */
    uint8_t
        entries[SIM_SENTINELS_MAX]; /* their addresses: entry i is where Sentinel entries[i] was at first */
    unsigned threshold;
    bool has_service[SIM_SERVICES_MAX];
    uint8_t map[SIM_SERVERS]; /* the order of the servers */
    bool has_wrong_password;
    bool has_api; /* HAProxy's runtime API is in it */
    int64_t poll_ms;
    int64_t reply_timeout_ms;
    int64_t vote_life_ms;
    int64_t park_ms; /* or PARK_AUTO */
    struct policy_config policy;
};

struct sim_config {
    /*
     * Of another source the "Sentinels" are nodes: with `replication` of one service, and number i is at
     * address i.
     */
    enum voter_source source;
    unsigned sentinels;
    unsigned services;
    unsigned agents;
    int64_t end_ms;
    bool subscribe;
    bool password;
    bool allow_any_address;
    bool shared_routes;   /* entries may reach the same Sentinel */
    unsigned spare;       /* the Sentinel that not every file has; SIM_NO_SPARE: all have all */
    struct sim_file file; /* with which the agents start */
};

/* How a Sentinel writes the address of a node. */
enum sim_form {
    SIM_FORM_PLAIN,
    SIM_FORM_MAPPED, /* ::ffff:a.b.c.d */
    SIM_FORM_ALIAS,  /* by another address, where the map has the node */
};

struct sim_sentinel {
    bool up;
    bool is_silent; /* while not up: its host is gone, nothing is refused */
    bool refuses_subscribe;
    bool refuses_myid;
    enum sim_form form;
    unsigned identity; /* its MYID */
    int64_t frozen_until_ms;
    int64_t denied_until_ms;   /* it answers every command with an error: the agent's password is wrong */
    int64_t isolated_until_ms; /* from other Sentinels */
    int8_t views[SIM_SERVICES_MAX];
    bool is_down[SIM_SERVICES_MAX]; /* it says o_down of the one that it names */
    bool sees_no_majority;          /* CKQUORUM says NOQUORUM, or cluster_state is fail */
    /* Since then it hears nothing of the master, or of the other Sentinels; 0: it hears them. */
    int64_t master_lost_ms[SIM_SERVICES_MAX];
    int64_t peers_lost_ms;
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

/* One connection of a set, for one of a voter's conversations. */
struct sim_link {
    uint8_t set;
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

/* Beside enum node_role: nobody is there, or the host is not. UNKNOWN stands for one that refuses the probe. */
#define SIM_NODE_DOWN 10
#define SIM_NODE_GONE 11

/* A set's ROLE probe for one service, with its connection. It may move to another set. */
struct sim_probe {
    struct role_probe probe;
    struct sim_set *set; /* that it is of */
    uint8_t number;      /* among all */
    bool is_open;
    bool is_proven;     /* the node has told what it is, over this link */
    bool is_dead;       /* what is sent on it vanishes */
    bool is_silent;     /* the node was, and was not heard since */
    unsigned unheard;   /* PINGs that were sent since the node was heard on this link */
    int64_t unheard_ms; /* the second of them */
    uint8_t address;    /* that it leads to */
    uint32_t generation;
    int64_t delay_ms;   /* up to that, one way */
    int64_t last_ms[2]; /* arrival of the latest message, at the node and at the agent */
};

/* Of a Redis Cluster: the service's slot, the first of so many. */
#define SIM_SLOTS 4096

/* Aims the probe of a service of a set. */
struct sim_aim {
    struct service_observer observer;
    struct world *world;
    struct sim_set *set;
    unsigned service;
};

/* An observer of a service that is answered for: see ghost_watch(). */
struct sim_watch {
    struct service_observer observer;
    struct world *world;
    const struct sim_set *set;
    unsigned service;
};

/*
 * What a configuration file brings to life: services, voters, probes, links of its own. Most agents have one.
 */
struct sim_set {
    bool is_there;
    uint8_t number; /* among all */
    uint8_t agent;
    struct sim_file file;
    struct sentinel_settings sentinel_settings;
    struct node_settings node_settings;
    struct service_settings service_settings[SIM_SERVICES_MAX];
    struct service_server servers[SIM_SERVICES_MAX][SIM_SERVERS];
    struct addr aliases[SIM_SERVICES_MAX][SIM_SERVERS];
    struct service *services[SIM_SERVICES_MAX]; /* NULL: not in the file */
    struct service *listed[SIM_SERVICES_MAX];   /* those that are, as the group has them */
    unsigned listed_count;
    uint8_t identities[SIM_SENTINELS_MAX]; /* of the group's voters */
    struct voter_group *group;
    union {
        struct sentinel_voter voters[SIM_SENTINELS_MAX];
        struct node_voter node_voters[SIM_SENTINELS_MAX];
    };
    struct addr node_addresses[SIM_SENTINELS_MAX];
    struct role_probe_settings probe_settings;
    struct sim_probe *probes[SIM_SERVICES_MAX];
    bool keeps[SIM_SERVICES_MAX]; /* it is to take the probe of the running set, and does not use its own */
    struct sim_aim aims[SIM_SERVICES_MAX];
    struct sim_watch watches[SIM_SERVICES_MAX];
    struct sim_cutter cutter;
};

/* A question that HAProxy has no answer to yet. */
struct sim_waiting {
    uint64_t stream_id;
    uint64_t frame_id;
    int64_t since_ms; /* by the agent's clock */
    int64_t deadline_ms;
    uint8_t service;
    bool is_orphan; /* its service is not in the file any more */
};

struct sim_agent {
    struct metrics metrics;
    struct sim_set *running; /* its services are answered for */
    struct sim_set *next;    /* waits to take its place; NULL: none does */
    struct sim_set *retired; /* was replaced, and ends soon; NULL: it has ended */
    int64_t deadline_ms;     /* `next` has failed from then on, and goes on trying */
    /* `next` takes over, one service after the other, and has these. NULL: it does not yet. */
    struct service_table *next_table;
    bool has_moved[SIM_SERVICES_MAX];
    unsigned cursor;  /* where the next look for a service that moves begins */
    int64_t force_ms; /* what has not moved by then moves, whatever it lacks */
    bool has_wanted;  /* meanwhile it was told to read `wanted` */
    struct sim_file wanted;
    int64_t retire_ms; /* `retired` may end */
    uint32_t reloads;  /* dates what is planned for them */
    struct service_table *table;
    struct service_table *retired_table;
    struct parking *parking;
    struct spop_session session;
    struct sim_waiting waiting[SIM_WAITING_MAX];
    unsigned waiting_count;
    int64_t clock_ms; /* its clock is ahead of the world's by this */
    bool draining;
    uint8_t routes[SIM_SENTINELS_MAX]; /* address -> Sentinel */
    struct sim_path paths[SIM_SENTINELS_MAX];
    int64_t stalled_until_ms; /* neither timers nor replies are taken */
    int64_t timer_lag_ms;     /* timers are late by up to this */
    int64_t wake_ms;
    unsigned wakes_in_place; /* timers that ran at one and the same moment */
    int64_t last_wake_ms;
    uint64_t stream_id;
    enum service_state seen_state[SIM_SERVICES_MAX];
    enum service_state seen_ruled[SIM_SERVICES_MAX];
    uint64_t seen_generation[SIM_SERVICES_MAX];
    bool seen_fenced[SIM_SERVICES_MAX];
    struct sim_haproxy haproxy;
    struct sim_api api;
};

struct world {
    struct sim_config config;
    struct rng rng;
    struct rng haproxy_rng; /* of all about sessions, so that it changes nothing else */
    uint64_t seed;
    int64_t now_ms;
    struct event_queue queue;
    struct sim_sentinel sentinels[SIM_SENTINELS_MAX];
    struct sim_link links[SIM_LINKS_MAX];
    struct sim_set sets[SIM_SETS_MAX];
    struct sim_probe probes[SIM_SETS_MAX * SIM_SERVICES_MAX]; /* of the sets */
    struct sim_agent agents[SIM_AGENTS_MAX];
    int8_t nodes[SIM_SERVICES_MAX][SIM_ADDRESSES]; /* enum node_role, SIM_NODE_DOWN or SIM_NODE_GONE */
    int64_t node_stopped_until_ms[SIM_SERVICES_MAX][SIM_ADDRESSES]; /* its process: its kernel goes on */
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
