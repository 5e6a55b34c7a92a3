/* A node that votes: what it is asked and when, whose word counts, what is made of one that cannot vote. */
#include "spoa/core/voters/node_voter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static void build_with(enum voter_source source, struct policy_config policy)
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

static void build(enum voter_source source, bool when_alone)
{
    build_with(source, (struct policy_config){.witness = when_alone});
}

static int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(f.group);
    for (unsigned i = 0; i < 2; i++)
        service_destroy(f.services[i]);
    return 0;
}

static void connect_node(unsigned node)
{
    assert_int_equal(conversation_tick(&f.voters[node].conversation, f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(&f.voters[node].conversation, f.now_ms);
}

/* All that is to be sent to it now, into f.sent. */
static void collect(unsigned node)
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

static void give(unsigned node, const struct reply *reply)
{
    assert_int_equal(conversation_reply(&f.voters[node].conversation, reply, f.now_ms), CONVERSATION_NOTHING);
}

static void give_text(unsigned node, const char *text)
{
    const struct reply reply = {.kind = REPLY_TEXT, .text = span_of_text(text)};

    give(node, &reply);
}

static void give_error(unsigned node, const char *text)
{
    const struct reply reply = {.kind = REPLY_ERROR, .text = span_of_text(text)};

    give(node, &reply);
}

static void split_addr(const struct addr *addr, char host[ADDR_TEXT_MAX], struct reply ret_pair[2])
{
    char text[ADDR_TEXT_MAX];

    (void)snprintf(host, ADDR_TEXT_MAX, "%s", addr_format(addr, text));
    *strrchr(host, ':') = '\0';
    ret_pair[0] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text(host)};
    ret_pair[1] = (struct reply){.kind = REPLY_INTEGER, .number = addr->port};
}

static void give_role(unsigned node)
{
    bool is_master = node == f.masters[0];
    char host[ADDR_TEXT_MAX];
    struct reply elements[3] = {{.kind = REPLY_TEXT, .text = span_of_text(is_master ? "master" : "slave")}};

    split_addr(&f.servers[f.masters[0]].addr, host, &elements[1]); /* of a master, other things stand there */
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = elements, .count = 3};
    give(node, &reply);
}

static void give_link(unsigned node)
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

static void give_slots(unsigned node)
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
static void answer(unsigned node)
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

static void meet_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        connect_node(i);
        collect(i);
        answer(i);
    }
}

/* A poll of one node later. */
static void poll_node(unsigned node)
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

static enum service_state state_of(unsigned service)
{
    (void)named(service);
    return service_decision(f.services[service])->state;
}

static void test_replication(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    connect_node(0);
    collect(0);
    assert_string_equal(f.sent, "AUTH secret\nCLIENT SETNAME sentinel-spoa\nINFO server\nROLE\n");
    answer(0);
    assert_null(named(0)); /* one of three */
    connect_node(1);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n0");
    assert_string_equal(named(1), "n0");
    assert_int_equal(log_capture_count("node-up"), 0);
    poll_node(1);
    assert_string_equal(f.sent, "ROLE\n");
    assert_int_equal(log_capture_count("node-up"), 1); /* its link has lasted for a poll */
    assert_string_equal(log_capture_last("node-up"),
                        "info node-up node=n1 id=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
}

static void test_cluster(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    connect_node(0);
    collect(0);
    assert_string_equal(
        f.sent, "AUTH secret\nCLIENT SETNAME sentinel-spoa\nCLUSTER MYID\nCLUSTER INFO\nCLUSTER SLOTS\n");
    answer(0);
    assert_null(named(0));
    connect_node(1);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n0");
    assert_string_equal(named(1), "n1");
    poll_node(0);
    assert_string_equal(f.sent, "CLUSTER INFO\nCLUSTER SLOTS\n");
}

static bool has_alarm(unsigned service)
{
    return alarms_is_raised(service_alarms(f.services[service]), ALARM_UNMAPPED_NODE);
}

/* All nodes are asked once more. */
static void ask_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        poll_node(i);
        answer(i);
    }
}

/* A replica that the map lacks is told before the cluster promotes it. */
static void test_replica_that_the_map_lacks(void **state)
{
    struct addr alias;

    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    ask_all();
    assert_false(has_alarm(0));
    f.replica = "redis-3";
    ask_all();
    assert_true(has_alarm(0));
    assert_false(has_alarm(1));
    assert_non_null(strstr(log_capture_last("alarm"), "'alias=redis-3:7009' behind its server"));
    assert_true(addr_parse(span_of_text("redis-3:7009"), &alias));
    f.servers[2].aliases = &alias;
    f.servers[2].alias_count = 1;
    ask_all();
    assert_false(has_alarm(0));
}

/* It reaches no majority of the masters: what it knows is what was. */
static void test_a_cluster_that_is_down(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    assert_string_equal(named(0), "n0");
    f.state = "fail";
    for (unsigned i = 0; i < NODES; i++) {
        (void)conversation_tick(&f.voters[i].conversation, f.now_ms + POLL);
        f.now_ms += i == 0 ? POLL : 0;
        collect(i);
        answer(i);
    }
    f.now_ms += 2000;
    assert_null(named(0));
    assert_int_equal(log_capture_count("node-without-vote"), NODES);
    assert_string_equal(log_capture_last("node-without-vote"),
                        "warning node-without-vote node=n2 reply=cluster_state is not ok");
    f.state = "ok";
    poll_node(0);
    answer(0);
    (void)conversation_tick(&f.voters[1].conversation, f.now_ms);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n0");
}

/* Somebody names another: all are asked at once, and the majority's word counts. */
static void test_a_dissent(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    meet_all();
    f.masters[0] = 1;
    poll_node(1);
    answer(1);
    assert_true(voter_group_wants(f.group, 0) && voter_group_wants(f.group, 2));
    f.masters[0] = 0;
    collect(0);
    answer(0); /* still takes itself for the master */
    f.masters[0] = 1;
    collect(2);
    answer(2);
    collect(1);
    answer(1);
    assert_string_equal(named(0), "n1");
}

/*
 * Without the right to say who it is it has no vote and is asked again with each poll. Each fault is told
 * once.
 */
static void test_no_identity(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    meet_all();
    conversation_lost(&f.voters[0].conversation, "reset", CONVERSATION_END_CLOSED, f.now_ms);
    f.now_ms += 5000;
    connect_node(0);
    collect(0);
    f.refuses = true;
    answer(0);
    assert_string_equal(voter_group_identity(f.group, 0), "");
    assert_int_equal(log_capture_count("node-auth-failed"), 1);
    assert_int_equal(log_capture_count("node-without-identity"), 1);
    poll_node(0);
    assert_string_equal(f.sent, "AUTH secret\nCLIENT SETNAME sentinel-spoa\nINFO server\nROLE\n");
    answer(0);
    poll_node(0);
    f.refuses = false;
    answer(0);
    assert_string_equal(voter_group_identity(f.group, 0), ids[0]);
    assert_int_equal(log_capture_count("node-auth-failed"), 1);
    assert_int_equal(log_capture_count("node-without-identity"), 1);
    /* It worked in between: the same fault is told again. */
    f.refuses = true;
    conversation_lost(&f.voters[0].conversation, "reset", CONVERSATION_END_CLOSED, f.now_ms);
    f.now_ms += 5000;
    connect_node(0);
    collect(0);
    answer(0);
    assert_int_equal(log_capture_count("node-auth-failed"), 2);
    assert_int_equal(log_capture_count("node-without-identity"), 2);
}

/* A node that answers and closes is backed off, as one that is down. The log has one line about it. */
static void test_a_node_that_answers_and_closes(void **state)
{
    unsigned connections = 0;
    struct conversation *conversation = &f.voters[0].conversation;

    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    log_capture_begin(LOG_LEVEL_INFO);
    for (; connections < 100 && conversation->wake_ms < START + 60000; connections++) {
        f.now_ms = conversation->wake_ms;
        connect_node(0);
        collect(0);
        answer(0);
        conversation_lost(conversation, "closed", CONVERSATION_END_CLOSED, f.now_ms);
    }
    assert_in_range(connections, 30, 65); /* 2 s apart at most */
    assert_int_equal(log_capture_count("node-down"), 1);
    assert_int_equal(log_capture_count(NULL), 1);
}

/*
 * `when-alone`: one that says that it is the master is believed where nobody else is in reach, one that
 * follows is not.
 */
static void test_alone(void **state)
{
    (void)state;
    build(VOTER_SOURCE_REPLICATION, true);
    meet_all();
    assert_int_equal(state_of(0), SERVICE_OK);
    f.now_ms += 1500;
    poll_node(1);
    answer(1);
    f.now_ms += 400;
    assert_int_not_equal(state_of(0), SERVICE_WITNESSED); /* n1 follows n0, which nobody has heard */
    assert_null(named(0));
    f.masters[0] = 1;
    poll_node(1);
    answer(1);
    f.now_ms += QUORUM_HOLD_MS + 1; /* the others were asked, and do not answer */
    assert_int_equal(state_of(0), SERVICE_WITNESSED);
    assert_string_equal(named(0), "n1");
}

static void test_refused(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    meet_all();
    poll_node(0);
    give_error(0, "ERR This instance has cluster support disabled");
    give_error(0, "ERR This instance has cluster support disabled");
    assert_string_equal(
        log_capture_last("node-without-vote"),
        "warning node-without-vote node=n0 reply=ERR This instance has cluster support disabled");
    conversation_lost(&f.voters[0].conversation, "connection reset", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(log_capture_count("node-down"), 1);
    assert_int_equal(f.metrics.link_failures_total, 1);
}

/* NULL is the host that was asked. "?" is no vote, and told once. */
static void test_hidden_hosts(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    for (unsigned i = 0; i < NODES; i++) /* one host */
        assert_true(addr_from_parts(span_of_text("10.0.0.1"), span_of_text(i == 0 ? "7001" : "7009"),
                                    &f.servers[i].addr));
    f.hides_hosts = true;
    meet_all();
    assert_string_equal(named(0), "n0");
    assert_null(named(1));
    for (unsigned i = 0; i < NODES; i++) {
        (void)conversation_tick(&f.voters[i].conversation, f.now_ms + POLL);
        f.now_ms += i == 0 ? POLL : 0;
        collect(i);
        answer(i);
    }
    assert_int_equal(log_capture_count("node-bad-address"), NODES);
    assert_non_null(
        strstr(log_capture_last("node-bad-address"), "node=n2 monitor=b meaning=it does not know the host"));
    assert_int_equal(log_capture_count("node-without-vote"), 0);
}

/* Whether a range of the next reply is kept. */
static bool is_kept(int64_t first, int64_t last)
{
    const struct reply pair[2] = {{.kind = REPLY_NIL}, {.kind = REPLY_INTEGER, .number = 7001}};
    const struct reply range[3] = {{.kind = REPLY_INTEGER, .number = first},
                                   {.kind = REPLY_INTEGER, .number = last},
                                   {.kind = REPLY_ARRAY, .elements = pair, .count = 2}};
    const struct reply element = {.kind = REPLY_ARRAY, .elements = range, .count = 3};

    return conversation_keeps(&f.voters[0].conversation, &element);
}

/* Only the ranges of our services are needed, and only of this reply. */
static void test_what_is_kept(void **state)
{
    (void)state;
    build(VOTER_SOURCE_CLUSTER, false);
    assert_true(conversation_is_choosy(&f.voters[0].conversation));
    connect_node(0);
    assert_true(is_kept(1, 8999)); /* nothing was asked */
    collect(0);
    assert_true(is_kept(1, 8999)); /* the reply to AUTH */
    for (unsigned i = 0; i < 2; i++)
        give_text(0, "OK");
    give_text(0, ids[0]);
    give_text(0, "cluster_state:ok\r\n");
    assert_false(is_kept(1, 8999));
    assert_true(is_kept(1, 9000));
    assert_true(is_kept(0, 0));
}

/* Dragonfly has no run_id, and KeyDB's active replicas no master: both are told what they lack. */
static void test_nodes_that_cannot_vote(void **state)
{
    const struct reply active[] = {{.kind = REPLY_TEXT, .text = span_of_text("active-replica")},
                                   {.kind = REPLY_TEXT, .text = span_of_text("10.0.0.2")},
                                   {.kind = REPLY_INTEGER, .number = 7002}};
    const struct reply role = {.kind = REPLY_ARRAY, .elements = active, .count = 3};

    (void)state;
    build(VOTER_SOURCE_REPLICATION, false);
    connect_node(0);
    collect(0);
    for (unsigned i = 0; i < 2; i++)
        give_text(0, "OK");
    give_text(0, "# Server\r\nredis_version:7.4.0\r\ndragonfly_version:df-v1.31.0\r\n");
    give(0, &role);
    assert_string_equal(log_capture_last("node-without-identity"),
                        "warning node-without-identity node=n0 reply=INFO has no run_id, as with Dragonfly");
    assert_non_null(strstr(log_capture_last("node-without-vote"), "node=n0 reply=it takes writes although"));
}

static enum service_reason reason_of(unsigned service)
{
    (void)named(service);
    return service_decision(f.services[service])->reason;
}

/* With each vote a node says how long it has not heard its master. The master hears itself. */
static void test_a_master_that_is_silent(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    connect_node(0);
    collect(0);
    assert_string_equal(f.sent,
                        "AUTH secret\nCLIENT SETNAME sentinel-spoa\nINFO server\nROLE\nINFO replication\n");
    f.silent_s = 60;
    answer(0);
    for (unsigned i = 1; i < NODES; i++) {
        assert_int_not_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
        connect_node(i);
        collect(i);
        answer(i);
    }
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
    assert_int_equal(service_silence_ms(f.services[0], 0, f.now_ms), 0);
    assert_int_equal(service_silence_ms(f.services[1], 2, f.now_ms), 59000);
    assert_null(named(1));
    /* Nobody waits for the next poll now. */
    f.silent_s = 1;
    f.now_ms += VOTER_WATCH_MS;
    voter_group_tick(f.group, f.now_ms);
    collect(1);
    assert_string_equal(f.sent, "ROLE\nINFO replication\n");
    answer(1);
    assert_string_equal(named(0), "n0");
    assert_string_equal(named(1), "n0");
}

/* In health a difference of two whole seconds happens, and is no silence. */
static void test_a_master_that_is_heard(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    f.silent_s = 2;
    meet_all();
    assert_string_equal(named(0), "n0");
    f.silent_s = 3;
    ask_all();
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
}

/* The vote of a node that refuses INFO replication counts. It is told once. */
static void test_a_link_that_is_not_told(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    f.silent_s = 60;
    f.refuses_link = true;
    meet_all();
    ask_all();
    assert_string_equal(named(0), "n0");
    assert_int_equal(log_capture_count("node-facts-refused"), NODES);
    assert_string_equal(log_capture_last("node-facts-refused"),
                        "warning node-facts-refused node=n2 reply=NOPERM no INFO for you");
    f.refuses_link = false;
    ask_all();
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
    f.refuses_link = true;
    poll_node(0);
    answer(0);
    assert_int_equal(log_capture_count("node-facts-refused"), NODES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_replication, tear_down),
        cmocka_unit_test_teardown(test_cluster, tear_down),
        cmocka_unit_test_teardown(test_replica_that_the_map_lacks, tear_down),
        cmocka_unit_test_teardown(test_a_cluster_that_is_down, tear_down),
        cmocka_unit_test_teardown(test_a_dissent, tear_down),
        cmocka_unit_test_teardown(test_no_identity, tear_down),
        cmocka_unit_test_teardown(test_a_node_that_answers_and_closes, tear_down),
        cmocka_unit_test_teardown(test_alone, tear_down),
        cmocka_unit_test_teardown(test_refused, tear_down),
        cmocka_unit_test_teardown(test_hidden_hosts, tear_down),
        cmocka_unit_test_teardown(test_what_is_kept, tear_down),
        cmocka_unit_test_teardown(test_nodes_that_cannot_vote, tear_down),
        cmocka_unit_test_teardown(test_a_master_that_is_silent, tear_down),
        cmocka_unit_test_teardown(test_a_master_that_is_heard, tear_down),
        cmocka_unit_test_teardown(test_a_link_that_is_not_told, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
