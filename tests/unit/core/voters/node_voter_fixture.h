/*
 * A group of three nodes that vote on two services: what they are asked, and what they answer.
 */
#ifndef TESTS_UNIT_CORE_VOTERS_NODE_VOTER_FIXTURE_H
#define TESTS_UNIT_CORE_VOTERS_NODE_VOTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/voters/node_voter.h"
#include "tests/lib/log_capture.h"

#define START 5000000
#define POLL 1000
#define NODES 3
#define SENT_MAX 512

static const char *const ids[NODES] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                       "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                       "cccccccccccccccccccccccccccccccccccccccc"};

/* Two services of one group: with `cluster` the shards of slots 0 and 9000. */
struct fixture {
    uint8_t identities[NODES];
    struct service_server servers[NODES];
    struct service_settings service_settings[2];
    struct service *services[2];
    struct metrics metrics;
    struct voter_group *group;
    struct node_settings settings;
    struct node_voter voters[NODES];
    bool refuses;        /* to say who it is, and the password */
    bool hides_hosts;    /* in CLUSTER SLOTS: NULL for the first shard, "?" for the second */
    const char *state;   /* in the reply to CLUSTER INFO */
    const char *replica; /* the host that the first shard has as a replica; NULL: none */
    unsigned silent_s;   /* master_last_io_seconds_ago of all replicas */
    bool refuses_link;   /* INFO replication */
    unsigned masters[2]; /* whom the nodes name for each service; with `replication` the first for both */
    int64_t now_ms;
    char sent[SENT_MAX]; /* commands, a line each */
};

static struct fixture f;

static inline void build_with(enum voter_source source, struct policy_config policy)
{
    static const char *const names[NODES] = {"n0", "n1", "n2"};
    static const char *const addresses[NODES] = {"10.0.0.1:7001", "10.0.0.2:7002", "10.0.0.3:7003"};

    memset(&f, 0, sizeof(f));
    f.now_ms = START;
    f.state = "ok";
    f.masters[1] = 1;
    for (unsigned i = 0; i < NODES; i++) {
        f.servers[i].name = names[i];
        assert_true(addr_parse(span_of_text(addresses[i]), &f.servers[i].addr));
    }
    for (unsigned i = 0; i < 2; i++) {
        f.service_settings[i] = (struct service_settings){
            .name = i == 0 ? "a" : "b",
            .monitor = i == 0 ? "a" : "b",
            .slot = i * 9000,
            .servers = f.servers,
            .server_count = NODES,
            .quorum = {.identities = f.identities,
                       .voters = NODES,
                       .threshold = 2,
                       .reply_timeout_ms = 500,
                       .vote_life_ms = 2000,
                       .hold_ms = 150,
                       .suspect_interval_ms = 50},
            .policy = policy,
        };
        f.services[i] = service_create(&f.service_settings[i], f.now_ms);
        assert_non_null(f.services[i]);
    }
    struct voter_group_options options = {.name = "g",
                                          .source = source,
                                          .voter_count = NODES,
                                          .voter_names = names,
                                          .services = f.services,
                                          .service_count = 2,
                                          .identities = f.identities,
                                          .metrics = &f.metrics};
    f.group = voter_group_create(&options, f.now_ms);
    assert_non_null(f.group);
    f.settings = (struct node_settings){
        .source = source,
        .credentials = {.password = "secret"},
        .poll_ms = POLL,
        .conversation = peer_times(500, POLL, 500),
    };
    for (unsigned i = 0; i < NODES; i++)
        node_voter_init(&f.voters[i], &f.settings, f.group, i, &f.servers[i].addr, names[i], &f.metrics, i,
                        f.now_ms);
    log_capture_begin(LOG_LEVEL_DEBUG);
}

static inline void build(enum voter_source source, bool when_alone)
{
    build_with(source, (struct policy_config){.witness = when_alone});
}

static inline int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(f.group);
    for (unsigned i = 0; i < 2; i++)
        service_destroy(f.services[i]);
    return 0;
}

static inline void connect_node(unsigned node)
{
    assert_int_equal(conversation_tick(&f.voters[node].conversation, f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(&f.voters[node].conversation, f.now_ms);
}

/* All that is to be sent to it now, into f.sent. */
static inline void collect(unsigned node)
{
    struct conversation_command command;
    size_t used = 0;

    f.sent[0] = '\0';
    while (conversation_next(&f.voters[node].conversation, f.now_ms, &command)) {
        for (size_t i = 0; i < command.count; i++)
            used += (size_t)snprintf(f.sent + used, sizeof(f.sent) - used, "%.*s%s", (int)command.args[i].len,
                                     (const char *)command.args[i].data, i + 1 < command.count ? " " : "\n");
        assert_true(used < sizeof(f.sent));
    }
}

static inline void give(unsigned node, const struct reply *reply)
{
    assert_int_equal(conversation_reply(&f.voters[node].conversation, reply, f.now_ms), CONVERSATION_NOTHING);
}

static inline void give_text(unsigned node, const char *text)
{
    const struct reply reply = {.kind = REPLY_TEXT, .text = span_of_text(text)};

    give(node, &reply);
}

static inline void give_error(unsigned node, const char *text)
{
    const struct reply reply = {.kind = REPLY_ERROR, .text = span_of_text(text)};

    give(node, &reply);
}

static inline void split_addr(const struct addr *addr, char host[ADDR_TEXT_MAX], struct reply ret_pair[2])
{
    char text[ADDR_TEXT_MAX];

    (void)snprintf(host, ADDR_TEXT_MAX, "%s", addr_format(addr, text));
    *strrchr(host, ':') = '\0';
    ret_pair[0] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text(host)};
    ret_pair[1] = (struct reply){.kind = REPLY_INTEGER, .number = addr->port};
}

static inline void give_role(unsigned node)
{
    bool is_master = node == f.masters[0];
    char host[ADDR_TEXT_MAX];
    struct reply elements[3] = {{.kind = REPLY_TEXT, .text = span_of_text(is_master ? "master" : "slave")}};

    split_addr(&f.servers[f.masters[0]].addr, host, &elements[1]); /* of a master, other things stand there */
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = elements, .count = 3};
    give(node, &reply);
}

static inline void give_link(unsigned node)
{
    char host[ADDR_TEXT_MAX];
    char words[ADDR_TEXT_MAX + 256];
    struct reply pair[2];

    split_addr(&f.servers[f.masters[0]].addr, host, pair);
    (void)snprintf(words, sizeof(words),
                   "# Replication\r\nrole:%s\r\nmaster_host:%s\r\nmaster_port:%d\r\n"
                   "master_link_status:up\r\nmaster_last_io_seconds_ago:%u\r\n",
                   node == f.masters[0] ? "master" : "slave", host, (int)pair[1].number, f.silent_s);
    if (f.refuses_link)
        give_error(node, "NOPERM no INFO for you");
    else
        give_text(node, words);
}

static inline void give_slots(unsigned node)
{
    char hosts[2][ADDR_TEXT_MAX];
    struct reply nodes[2][2];
    struct reply ranges[2][4];
    struct reply list[2];
    const struct reply nil = {.kind = REPLY_NIL};
    const struct reply replica[2] = {
        {.kind = REPLY_TEXT, .text = span_of_text(f.replica != NULL ? f.replica : "")},
        {.kind = REPLY_INTEGER, .number = 7009}};
    const struct reply unknown = {.kind = REPLY_TEXT, .text = span_of_text("?")};

    for (unsigned i = 0; i < 2; i++) {
        split_addr(&f.servers[f.masters[i]].addr, hosts[i], nodes[i]);
        if (f.hides_hosts)
            nodes[i][0] = i == 0 ? nil : unknown;
        ranges[i][0] = (struct reply){.kind = REPLY_INTEGER, .number = i * 8192};
        ranges[i][1] = (struct reply){.kind = REPLY_INTEGER, .number = i * 8192 + 8191};
        ranges[i][2] = (struct reply){.kind = REPLY_ARRAY, .elements = nodes[i], .count = 2};
        ranges[i][3] = (struct reply){.kind = REPLY_ARRAY, .elements = replica, .count = 2};
        list[i] = (struct reply){.kind = REPLY_ARRAY, .elements = ranges[i], .count = 3};
        list[i].count += i == 0 && f.replica != NULL;
    }
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = list, .count = 2};
    give(node, &reply);
}

/* Answers what was collected, line by line. */
static inline void answer(unsigned node)
{
    char sent[SENT_MAX];
    char text[128];
    char *rest = sent;

    memcpy(sent, f.sent, sizeof(sent));
    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0'; line = strsep(&rest, "\n")) {
        if (f.refuses && (strncmp(line, "AUTH", 4) == 0 || strcmp(line, "INFO server") == 0)) {
            give_error(node, "NOPERM this user has no permissions");
        } else if (strcmp(line, "INFO server") == 0) {
            (void)snprintf(text, sizeof(text), "# Server\r\nrun_id:%s\r\n", ids[node]);
            give_text(node, text);
        } else if (strcmp(line, "CLUSTER MYID") == 0) {
            give_text(node, ids[node]);
        } else if (strcmp(line, "CLUSTER INFO") == 0) {
            (void)snprintf(text, sizeof(text), "cluster_state:%s\r\n", f.state);
            give_text(node, text);
        } else if (strcmp(line, "CLUSTER SLOTS") == 0) {
            give_slots(node);
        } else if (strcmp(line, "ROLE") == 0) {
            give_role(node);
        } else if (strcmp(line, "INFO replication") == 0) {
            give_link(node);
        } else {
            give_text(node, "OK");
        }
    }
}

static inline void meet_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        connect_node(i);
        collect(i);
        answer(i);
    }
}

/* A poll of one node later. */
static inline void poll_node(unsigned node)
{
    f.now_ms += POLL;
    (void)conversation_tick(&f.voters[node].conversation, f.now_ms);
    collect(node);
}

static const char *named(unsigned service)
{
    service_review(f.services[service], f.now_ms);
    const struct service_decision *decision = service_decision(f.services[service]);

    return service_state_names(decision->state) ? decision->server : NULL;
}

static inline enum service_state state_of(unsigned service)
{
    (void)named(service);
    return service_decision(f.services[service])->state;
}

/* All nodes are asked once more. */
static inline void ask_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        poll_node(i);
        answer(i);
    }
}

#endif
