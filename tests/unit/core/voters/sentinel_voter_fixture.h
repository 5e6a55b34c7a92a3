/* Voters of one group over some services, and scripted Sentinels at the level of commands and replies. */
#ifndef TESTS_UNIT_CORE_VOTERS_SENTINEL_VOTER_FIXTURE_H
#define TESTS_UNIT_CORE_VOTERS_SENTINEL_VOTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "spoa/core/base/progress.h"
#include "spoa/core/voters/sentinel_voter.h"
#include "tests/lib/log_capture.h"

#define VOTERS 3
#define SERVICES_MAX 130
#define START_MS 3000000
#define POLL_MS 1000
#define REPLY_TIMEOUT_MS 500
#define SENT_MAX 600
#define MYID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MYID_B "BBBBBBBBBB0123456789bbbbbbbbbbbbbbbbbbbb"
#define MYID_C "cccccccccccccccccccccccccccccccccccccccc"
#define MYID_D "dddddddddddddddddddddddddddddddddddddddd"

/* How a Sentinel answers, and what it was asked. */
struct fake {
    struct reply auth;
    struct reply setname;
    struct reply myid;
    struct reply master;
    struct reply pair[2]; /* of `master` */
    struct reply facts;   /* to SENTINEL MASTER */
    struct reply witness; /* to CKQUORUM */
    struct reply peers;   /* to SENTINELS */
    struct reply replicas;
    unsigned facts_asked;
    unsigned witness_asked;
    unsigned peers_asked;
    unsigned replicas_asked;
    char sent[SENT_MAX][96];
    unsigned sent_count;
    unsigned answered;
};

struct fixture {
    uint8_t identities[VOTERS];
    struct sentinel_settings settings;
    struct service_server servers[2];
    struct service_settings service_settings[SERVICES_MAX];
    char names[SERVICES_MAX][16];
    struct service *services[SERVICES_MAX];
    unsigned service_count;
    struct metrics metrics;
    struct voter_group *group;
    struct sentinel_voter voters[VOTERS];
    struct fake fakes[VOTERS];
    int64_t now_ms;
};

static struct fixture f;

static inline struct reply text_reply(const char *text)
{
    return (struct reply){.kind = REPLY_TEXT, .text = span_of_text(text)};
}

static inline struct reply error_reply(const char *text)
{
    return (struct reply){.kind = REPLY_ERROR, .text = span_of_text(text)};
}

/* From now on the Sentinel names that address. */
static inline void name_master(unsigned voter, const char *host, const char *port)
{
    struct fake *fake = &f.fakes[voter];

    fake->pair[0] = text_reply(host);
    fake->pair[1] = text_reply(port);
    fake->master = (struct reply){.kind = REPLY_ARRAY, .elements = fake->pair, .count = 2};
}

static inline void make_service(unsigned index)
{
    snprintf(f.names[index], sizeof(f.names[index]), "m%u", index);
    f.service_settings[index] = (struct service_settings){
        .name = f.names[index],
        .monitor = f.names[index],
        .servers = f.servers,
        .server_count = 2,
        .quorum = {.identities = f.identities,
                   .voters = VOTERS,
                   .threshold = 2,
                   .reply_timeout_ms = REPLY_TIMEOUT_MS,
                   .vote_life_ms = 2000,
                   .hold_ms = QUORUM_HOLD_MS,
                   .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS},
    };
    f.services[index] = service_create(&f.service_settings[index], f.now_ms);
    assert_non_null(f.services[index]);
}

/* The voters of the services as these are now. */
static inline void make_group(void)
{
    static const char *const names[VOTERS] = {"s0", "s1", "s2"};
    struct voter_group_options options = {
        .name = "",
        .voter_count = VOTERS,
        .voter_names = names,
        .services = f.services,
        .service_count = f.service_count,
        .identities = f.identities,
        .metrics = &f.metrics,
    };

    voter_group_destroy(f.group);
    f.group = voter_group_create(&options, f.now_ms);
    assert_non_null(f.group);
    for (unsigned i = 0; i < VOTERS; i++)
        sentinel_voter_init(&f.voters[i], &f.settings, f.group, i, names[i], &f.metrics, i + 1, f.now_ms);
}

/* Three Sentinels of one mind: 127.0.0.1:7001, which is R1. */
static inline void build(unsigned service_count)
{
    static const char *const myids[VOTERS] = {MYID_A, MYID_B, MYID_C};

    memset(&f, 0, sizeof(f));
    f.now_ms = START_MS;
    f.service_count = service_count;
    f.servers[0].name = "R1";
    f.servers[1].name = "R2";
    assert_true(addr_parse(span_of_text("127.0.0.1:7001"), &f.servers[0].addr));
    assert_true(addr_parse(span_of_text("127.0.0.1:7002"), &f.servers[1].addr));
    for (unsigned i = 0; i < service_count; i++)
        make_service(i);
    f.settings = (struct sentinel_settings){
        .poll_ms = POLL_MS,
        .query = peer_times(500, POLL_MS, REPLY_TIMEOUT_MS),
        .hints = peer_times_of_listener(500, REPLY_TIMEOUT_MS),
    };
    make_group();
    for (unsigned i = 0; i < VOTERS; i++) {
        f.fakes[i].auth = f.fakes[i].setname = text_reply("OK");
        f.fakes[i].myid = text_reply(myids[i]);
        f.fakes[i].facts = f.fakes[i].witness = f.fakes[i].peers = f.fakes[i].replicas =
            (struct reply){.kind = REPLY_NIL};
        name_master(i, "127.0.0.1", "7001");
    }
    log_capture_begin(LOG_LEVEL_DEBUG);
}

static inline int set_up(void **state)
{
    (void)state;
    build(1);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    voter_group_destroy(f.group);
    for (unsigned i = 0; i < f.service_count; i++)
        service_destroy(f.services[i]);
    return 0;
}

static inline const struct service_decision *decision(void)
{
    return service_decision(f.services[0]);
}

/* Makes a command a line of text. */
static inline void write_down(const struct conversation_command *command, char text[96])
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < command->count && len < 95; i++) {
        int wrote = snprintf(text + len, 96 - len, "%s%.*s", i > 0 ? " " : "", (int)command->args[i].len,
                             (const char *)command->args[i].data);
        len += (size_t)wrote;
    }
}

/*
 * Takes all commands that the voter has to say now; returns how many beside SENTINEL MASTER, CKQUORUM,
 * SENTINELS and REPLICAS, which come last and are counted apart.
 */
static inline unsigned collect(unsigned voter)
{
    struct conversation_command command;
    struct fake *fake = &f.fakes[voter];
    unsigned count = 0;

    while (conversation_next(&f.voters[voter].query, f.now_ms, &command)) {
        assert_true(fake->sent_count < SENT_MAX);
        const char *sent = fake->sent[fake->sent_count++];
        write_down(&command, fake->sent[fake->sent_count - 1]);
        bool is_facts = strncmp(sent, "SENTINEL MASTER ", 16) == 0;
        bool is_witness = strncmp(sent, "SENTINEL CKQUORUM ", 18) == 0;
        bool is_replicas = strncmp(sent, "SENTINEL REPLICAS ", 18) == 0;
        fake->facts_asked += is_facts;
        fake->witness_asked += is_witness;
        bool is_peers = strncmp(sent, "SENTINEL SENTINELS ", 19) == 0;
        fake->peers_asked += is_peers;
        fake->replicas_asked += is_replicas;
        count += !is_facts && !is_witness && !is_peers && !is_replicas;
    }
    return count;
}

/* Forgets what was sent and answered, so that sent[0] is what comes next. */
static inline void forget_sent(unsigned voter)
{
    f.fakes[voter].sent_count = 0;
    f.fakes[voter].answered = 0;
}

/* Answers all that was collected, in order. */
static inline void answer(unsigned voter)
{
    struct fake *fake = &f.fakes[voter];

    for (; fake->answered < fake->sent_count; fake->answered++) {
        const char *command = fake->sent[fake->answered];
        const struct reply *reply = &fake->master;
        if (strncmp(command, "AUTH ", 5) == 0)
            reply = &fake->auth;
        else if (strncmp(command, "CLIENT ", 7) == 0)
            reply = &fake->setname;
        else if (strcmp(command, "SENTINEL MYID") == 0)
            reply = &fake->myid;
        else if (strncmp(command, "SENTINEL MASTER ", 16) == 0)
            reply = &fake->facts;
        else if (strncmp(command, "SENTINEL CKQUORUM ", 18) == 0)
            reply = &fake->witness;
        else if (strncmp(command, "SENTINEL SENTINELS ", 19) == 0)
            reply = &fake->peers;
        else if (strncmp(command, "SENTINEL REPLICAS ", 18) == 0)
            reply = &fake->replicas;
        assert_int_equal(conversation_reply(&f.voters[voter].query, reply, f.now_ms), CONVERSATION_NOTHING);
    }
    forget_sent(voter);
}

static inline void connect_voter(unsigned voter)
{
    struct conversation *query = &f.voters[voter].query;

    if (query->wake_ms > f.now_ms)
        f.now_ms = query->wake_ms;
    assert_int_equal(conversation_tick(query, f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(query, f.now_ms);
    forget_sent(voter);
}

/* Connects and goes through greeting and first poll. */
static inline void greet(unsigned voter)
{
    connect_voter(voter);
    collect(voter);
    answer(voter);
}

/*
 * All greet and have answered all that follows from it: the first vote is news, so all are asked once more.
 */
static inline void greet_all(void)
{
    for (unsigned i = 0; i < VOTERS; i++)
        greet(i);
    for (unsigned i = 0; i < VOTERS; i++) {
        collect(i);
        answer(i);
    }
    f.now_ms +=
        QUORUM_SUSPECT_INTERVAL_MS; /* the votes of the others were news too, too soon after the first */
    voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
    for (unsigned i = 0; i < VOTERS; i++) {
        collect(i);
        answer(i);
        assert_int_equal(collect(i), 0);
    }
    assert_int_equal(decision()->state, SERVICE_OK);
}

/* Lets time go on to the voter's next poll, which is sent and answered. */
static inline void poll_once(unsigned voter)
{
    f.now_ms = f.voters[voter].next_poll_ms;
    assert_true(collect(voter) > 0);
    answer(voter);
}

/* Lets time go on until the voter's link has lasted for one poll. */
static inline void prove(unsigned voter)
{
    int64_t proof_ms = f.voters[voter].query_peer.connected_ms + POLL_MS;

    while (!f.voters[voter].query_peer.is_proved) {
        int64_t wake_ms = conversation_wake_ms(&f.voters[voter].query);
        assert_true(wake_ms <= proof_ms);
        f.now_ms = wake_ms > f.now_ms ? wake_ms : f.now_ms;
        collect(voter);
        answer(voter);
    }
}

#define VOTER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
