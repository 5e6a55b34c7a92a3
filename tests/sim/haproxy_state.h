/* The HAProxy beside an agent, its sessions, and the agent's calls to its runtime API. */
#ifndef TESTS_SIM_HAPROXY_STATE_H
#define TESTS_SIM_HAPROXY_STATE_H

#include "spoa/core/haproxy/cut_rounds.h"
#include "tests/sim/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* What its runtime API does. */
enum sim_api_state {
    SIM_API_ANSWERS,
    SIM_API_REFUSES, /* nobody is there */
    SIM_API_SILENT,  /* somebody is, and says nothing */
    SIM_API_DENIES,  /* our rights do not suffice */
    SIM_API_BREAKS,  /* it closes somewhere in its reply */
};

/* A session of a client to a server. */
struct sim_session {
    bool is_there;
    unsigned id; /* no other session has it, then or later */
    uint8_t worker;
    uint8_t service;
    uint8_t address;
    bool is_listed;         /* the agent could see it while it connected */
    bool hangs;             /* it was shut while it connected, and will never end */
    int64_t since_ms;       /* HAProxy has it; until then the client's answer is on its way */
    int64_t established_ms; /* it connects until then */
    int64_t owed_ms;        /* the agent named another, or fenced; GHOST_NEVER: it may stay */
};

/* A process. */
struct sim_worker {
    unsigned pid; /* 0: none */
    bool is_old;  /* a reload has replaced it */
};

struct sim_haproxy {
    bool is_there;  /* else the agents' files have no runtime API */
    bool is_master; /* the agent has the CLI of the master, and reaches all workers */
    const char *version;
    bool hangs;       /* this version never closes a session that is shut while it connects */
    int64_t delay_ms; /* a call takes up to that */
    enum sim_api_state api;
    int64_t well_since_ms; /* with SIM_API_ANSWERS */
    unsigned last_pid;
    unsigned last_id; /* of a session */
    unsigned current; /* the worker that takes new sessions */
    struct sim_worker workers[SIM_WORKERS_MAX];
    struct sim_session sessions[SIM_SESSIONS_MAX];
    unsigned next_session; /* the one that makes room where there is none */
};

/* The reply to a line of commands. */
struct sim_call {
    const char *failure; /* NULL: HAProxy closed the connection */
    int64_t delay_ms;
    size_t len;
    char bytes[SIM_REPLY_MAX];
};

/* A visit to one process. */
struct sim_stop {
    struct runtime_visit *visit; /* NULL: none */
    struct sim_call call;
};

/* The agent's calls; there is one round at a time. */
struct sim_api {
    bool is_busy;
    uint32_t generation; /* dates calls that are under way */
    unsigned open;       /* how many visits are not over */
    int64_t begun_ms;    /* the agent has it in its file since then */
    int64_t hung_until_ms;
    int64_t timer_ms; /* when the next round begins, by the world's clock; INT64_MAX: nothing is planned */
    uint32_t timer;   /* dates that plan */
    struct runtime_visit_options what;
    char complaint[RUNTIME_COMPLAINT_MAX];
    struct sim_stop stops[SIM_WORKERS_MAX];
};

/* What a set has to cut sessions; there are no rounds until it answers. */
struct sim_cutter {
    struct cut_rounds *rounds;
    struct runtime_health health;
    struct world *world;
    unsigned agent;
};

#endif
