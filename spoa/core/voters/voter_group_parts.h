/* The parts of a group of voters, for voter_group.c and voter_questions.c. */
#ifndef SPOA_CORE_VOTERS_VOTER_GROUP_PARTS_H
#define SPOA_CORE_VOTERS_VOTER_GROUP_PARTS_H

#include "spoa/core/voters/marks.h"
#include "spoa/core/voters/voter_group.h"

struct voter {
    const char *name;
    char identity[VOTER_IDENTITY_LEN + 1]; /* empty: not known */
    bool collides;                         /* a voter before it has the same identity, and that was logged */
    bool is_refusing;
    char words[CONVERSATION_WORDS_MAX]; /* with which it refuses us; "" if it does not */
    size_t words_subject;               /* what it refuses */
    char fault[CONVERSATION_WORDS_MAX]; /* why it has no vote; "" if it has answered since */
    int64_t fault_ms;                   /* since when */
    unsigned parts_polled;              /* tells which part is next, and which services are asked for facts */
    int64_t part_ms;                    /* when the last one was due; 0: none since it was connected */
    bool is_asked_all;                  /* since it was connected: the first poll has nothing to add */
    bool has_said;                      /* since it was forgotten last */
    struct marks marks[VOTER_QUESTIONS];
};

/* A service and the name by which the voters know it. */
struct monitored {
    const char *monitor;
    size_t service;
};

struct voter_group {
    struct voter_group_options options;
    int64_t wake_ms;
    size_t looked_at;     /* so many services, in a tick that is not through */
    int64_t watch_ms;     /* when the watched services are asked about; QUORUM_NEVER if there are none */
    struct marks watched; /* services that are asked about before the next poll */
    int64_t *watched_ms;  /* of each service, when that happened last */
    /* Of the services: all, those whose replicas are asked for with the facts, and those that a witness may help. */
    struct marks every;
    struct marks replicated;
    struct marks witnessed;
    size_t word_count;           /* of each of the marks */
    uint64_t *words;             /* all marks, in one piece */
    struct monitored *monitored; /* sorted by monitor: events name a monitor, and there may be thousands */
    struct alarms alarms;
    struct voter voters[];
};

/* Marks a question for all voters. */
void voter_group_ask_voters(struct voter_group *group, enum voter_question question, size_t service);

/* Marks what a watchful service wants to know. */
void voter_group_ask_watchful(struct voter_group *group, size_t service, int64_t now_ms);

/* The same for all watched services, if it is time. */
void voter_group_ask_watched(struct voter_group *group, int64_t now_ms);

#endif
