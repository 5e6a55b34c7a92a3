/* The rules over HAProxy's files at their edges: a good set of files, a few edits, and what is found or is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/core/config/haproxy_rules_fixture.h"

#define EDITS 4

struct edge {
    struct {
        enum file file;
        const char *old;
        const char *new;
    } edits[EDITS];
    const char *codes; /* of the findings, with a blank between them; "" for none */
    const char *fix;   /* a part of what is to be done, where something is found; NULL: whatever it is */
};

static void check_edge(const char *recipe, const struct edge *edge)
{
    char codes[256] = "";

    read_recipe(recipe, &files);
    for (size_t i = 0; i < EDITS && edge->edits[i].old != NULL; i++)
        edit(files.text[edge->edits[i].file], edge->edits[i].old, edge->edits[i].new);
    struct findings findings = check(&files, true);
    for (size_t i = 0; i < findings.count; i++) {
        size_t len = strlen(codes);
        (void)snprintf(codes + len, sizeof(codes) - len, "%s%s", i > 0 ? " " : "",
                       finding_code_name(findings.list[i].code));
    }
    if (strcmp(codes, edge->codes) != 0)
        fail_msg("'%s': found '%s', not '%s'", edge->edits[0].new, codes, edge->codes);
    if (edge->fix != NULL && strstr(findings.list[0].fix, edge->fix) == NULL)
        fail_msg("'%s': no '%s' in '%s'", edge->edits[0].new, edge->fix, findings.list[0].fix);
    findings_finish(&findings);
}

#define CHECK_ALL(recipe, edges)                                                                             \
    for (size_t i = 0; i < sizeof(edges) / sizeof(*(edges)); i++)                                            \
    check_edge(recipe, &(edges)[i])

#define ONE "haproxy-conf/runtime-api"
#define MANY "haproxy-conf/many-services"

/* Where the agent listens, and by which address HAProxy reaches it. */
static void test_ways_to_the_agent(void **state)
{
#define WAY(listen, server, codes)                                                                           \
    {                                                                                                        \
        {{AGENT, "listen = 127.0.0.1:9012", "listen = " listen},                                             \
         {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 " server}},                                \
            codes, NULL                                                                                      \
    }
    static const struct edge edges[] = {
        WAY("0.0.0.0:9012", "10.1.1.1:9012", ""),
        WAY("0.0.0.0:9012", "10.1.1.1:9013", "agent-server"),
        WAY("[::]:9012", "10.1.1.1:9012", ""),
        WAY("10.1.1.1:9012", "0.0.0.0:9012", ""),
        WAY("10.1.1.1:9012", ":9012", ""),
        WAY("10.1.1.1:9012", "10.1.1.1:9012", ""),
        WAY("10.1.1.1:9012", "10.1.1.2:9012", "agent-server"),
        WAY("127.0.0.2:9012", "127.0.0.1:9012", ""),
        WAY("127.0.0.1:9012", "10.1.1.1:9012", "agent-server"),
        WAY("10.1.1.1:9012", "127.0.0.1:9012", "agent-server"),
        WAY("127.0.0.1:0", "127.0.0.1:5", ""),
        WAY("10.1.1.1:9012", "spoa.example.org:9012", ""),
        WAY("10.1.1.1:9012", "spoa.example.org:9013", "agent-server"),
        WAY("unix:/a.sock", "/a.sock", ""),
        WAY("unix:/a.sock", "/b.sock", "agent-server"),
        WAY("unix:/a.sock", "127.0.0.1:9012", "agent-server"),
        WAY("0.0.0.0:9012", "/a.sock", "agent-server"),
        WAY("10.1.1.1:1\nlisten = 10.1.1.1:2", "10.1.1.1:2", ""),
        /* what cannot be told */
        WAY("127.0.0.1:9012", "\"${AGENT}\"", ""),
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* How long HAProxy waits for the agent. */
static void test_times(void **state)
{
#define PROCESSING "timeout processing 10s"
    static const struct edge edges[] = {
        {{{SPOE, PROCESSING, "timeout processing 8001ms"}}, "", NULL},
        {{{SPOE, PROCESSING, "timeout processing 8s"}}, "processing-timeout", "`timeout processing 10s`"},
        {{{SPOE, PROCESSING, "timeout processing x"}}, "", NULL},
        {{{SPOE, PROCESSING, "timeout processing 2s"},
          {AGENT, "[service mymaster]\n", "[service mymaster]\npark = 2500ms\n"}},
         "processing-timeout",
         "`timeout processing 5s`"},
        {{{SPOE, PROCESSING, "timeout processing 2s"},
          {AGENT, "[service mymaster]\n", "[service mymaster]\npark = 3s\n"}},
         "processing-timeout",
         "`timeout processing 5s`"},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 500ms\n    default-server maxconn 1"}}, "", NULL},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 501ms\n    default-server maxconn 1"}},
         "long-queue",
         NULL},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 501ms\n    default-server maxconn 0"}}, "", NULL},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 0\n    default-server maxconn 1"}},
         "long-queue",
         NULL},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue x\n    default-server maxconn 1"}},
         "long-queue",
         NULL},
        {{{HAPROXY, "timeout connect 500ms", "timeout connect 5s"},
          {HAPROXY, "    timeout queue 500ms\n", "    default-server maxconn 1\n"}},
         "long-queue",
         "`timeout queue 500ms` in backend be_redis"},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 5s"},
          {HAPROXY, "server R3 10.0.0.13:6379", "server R3 10.0.0.13:6379 maxconn 1"}},
         "long-queue",
         NULL},
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 5s"}}, "", NULL},
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* Which runtime API is a socket of this HAProxy. */
static void test_sockets(void **state)
{
#define SOCKET(api, socket, codes, fix)                                                                      \
    {                                                                                                        \
        {{AGENT, "runtime-api = /run/haproxy/admin.sock", "runtime-api = " api},                             \
         {HAPROXY, "stats socket /run/haproxy/admin.sock user haproxy group haproxy mode 660 level admin",   \
          socket}},                                                                                          \
            codes, fix                                                                                       \
    }
    static const struct edge edges[] = {
        SOCKET("10.0.0.1:9999", "stats socket :9999 level admin", "", NULL),
        SOCKET("10.0.0.1:9999", "stats socket *:9999 level admin", "", NULL),
        SOCKET("10.0.0.1:9999", "stats socket 0.0.0.0:9999 level admin", "", NULL),
        SOCKET("10.0.0.1:9999", "stats socket ipv6@:::9999 level admin", "", NULL),
        SOCKET("10.0.0.1:9999", "stats socket 10.0.0.1:9999 level admin", "", NULL),
        SOCKET("10.0.0.1:9999", "stats socket 10.0.0.2:9999 level admin", "api-socket",
               "`stats socket 10.0.0.1:9999 level admin` in global"),
        SOCKET("10.0.0.1:9999", "stats socket :9998 level admin", "api-socket", NULL),
        SOCKET("/a", "stats socket :9998 level admin", "api-socket",
               "`stats socket /a user haproxy group haproxy mode 660 level admin` in global"),
        SOCKET("/a", "stats timeout /a level admin", "api-socket", NULL),
        SOCKET("/a", "stats socket /b\n    stats socket /a level admin", "", NULL),
        SOCKET("/a\nruntime-api = /b", "stats socket /a level admin\n    stats socket /b level user",
               "api-level", NULL),
        SOCKET("/a\nruntime-api = /b", "stats socket /b level admin", "", NULL),
        SOCKET("/a\nruntime-api = /b", "stats socket /c level admin", "api-socket", "`stats socket /a "),
        SOCKET("master:/a", "# none", "", NULL),
        SOCKET("/a\nruntime-api = master:/b", "# none", "", NULL),
        SOCKET("/a", "frontend x\n    stats socket /a level admin", "api-socket", NULL),
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* ---- what a message asks ---- */

#define ARGS "service=str(mymaster) role=str(master)"

static void test_questions(void **state)
{
    static const struct edge edges[] = {
        {{{SPOE, "messages find-master", "messages find-master second"},
          {SPOE, "{ stopping }",
           "{ stopping }\nspoe-message second\n    args service=str(x)\n    event on-client-session"}},
         "unknown-service",
         NULL},
        {{{SPOE, ARGS, "role=str(master) service=str(\\\"mymaster\\\")"}}, "", NULL},
        {{{SPOE, ARGS, "service=str(\\'mymaster\\')"}}, "", NULL},
        {{{SPOE, ARGS, "service=str(my\\\\master)"}}, "", NULL},
        {{{SPOE, ARGS, "service=str(my\\'\\\\\\'master)"}}, "unknown-service", NULL},
        {{{SPOE, ARGS, "service=str(\\'my\\\\master\\')"}}, "unknown-service", NULL},
        {{{SPOE, ARGS, "service=str()"}}, "unknown-service", "`str(mymaster)`"},
        {{{SPOE, ARGS, "service=str(m)"}}, "unknown-service", "a section [service m] in sentinel-spoa.conf"},
        {{{SPOE, ARGS, "service=str(mymaster"}}, "", NULL},
        {{{SPOE, ARGS, "service=xstr(x)"}}, "", NULL},
        {{{SPOE, ARGS, "service=str(x$y)"}}, "", NULL},
        {{{SPOE, ARGS, ARGS "\n    args port=dst_port"}}, "", NULL},
        {{{SPOE, ARGS, "x=1\n    args service=str(x)"}}, "unknown-service", NULL},
        {{{SPOE, ARGS, "service=str(mymaster) role=str(x)"}}, "unknown-role", "`role=str(master)`, or"},
        {{{SPOE, ARGS, "service=str(mymaster) role=str(replica)"},
          {HAPROXY, "txn.redis.master", "txn.redis.replica"}},
         "unknown-role",
         "write `replicas = yes` in [service mymaster] of sentinel-spoa.conf"},
        {{{SPOE, ARGS, "service=str(mymaster) role=var(txn.role)"}}, "", NULL},
        /* Of which service it is cannot be told: its servers are not looked at. */
        {{{SPOE, ARGS, "service=src"}, {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", ""}}, "", NULL},
        {{{SPOE, ARGS, "service=var(sess.x)"}, {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", ""}},
         "",
         NULL},
        {{{SPOE, ARGS, "src=src"}, {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", ""}},
         "missing-server",
         NULL},
        {{{SPOE, ARGS, "service=var(sess.x)"},
          {HAPROXY, "    mode tcp\n    timeout client",
           "    tcp-request session set-var(sess.x) str(mymaster)\n    timeout client"},
          {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", ""}},
         "missing-server",
         NULL},
        {{{SPOE, ARGS, "service=var(sess.x)"},
          {HAPROXY, "defaults\n", "defaults\n    tcp-request session set-var(sess.x) str(mymaster)\n"},
          {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", ""}},
         "missing-server",
         NULL},
        /* Two lines may give two services. */
        {{{SPOE, ARGS, "service=var(sess.x)"},
          {HAPROXY, "    mode tcp\n    timeout client",
           "    tcp-request session set-var(sess.x) str(mymaster) if { src 10.0.0.1 }\n"
           "    tcp-request session set-var(sess.x) str(mymaster)\n    timeout client"},
          {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", ""}},
         "",
         NULL},
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* Events that come before a server is chosen. */
static void test_events(void **state)
{
#define EVENT(event, codes)                                                                                  \
    {                                                                                                        \
        {{SPOE, "on-client-session", event}}, codes, NULL                                                    \
    }
    static const struct edge edges[] = {
        EVENT("on-frontend-tcp-request", ""),   EVENT("on-frontend-http-request", ""),
        EVENT("on-backend-tcp-request", ""),    EVENT("on-backend-http-request", ""),
        EVENT("on-tcp-response", "no-event"),   EVENT("on-http-response", "no-event"),
        EVENT("on-server-session", "no-event"),
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* Each of three frontends has it. */
#define THREE_TIMES(code) code " " code " " code

/* The name that is nearest to the written word is proposed, wherever it stands. */
static void test_what_is_meant(void **state)
{
    static const struct edge edges[] = {
        {{{HAPROXY, "set-var(sess.service) str(cache)", "set-var(sess.service) str(queu)"}},
         "unknown-service",
         "`str(queue)`"},
        {{{HAPROXY, "set-var(sess.service) str(cache)", "set-var(sess.service) str(cach)"}},
         "unknown-service",
         "`str(cache)`"},
        {{{SPOE, "use-backend be_sentinel_spoa", "use-backend be_queu"}},
         "agent-backend",
         "`use-backend be_queue`"},
        {{{SPOE, "use-backend be_sentinel_spoa", "use-backend be_cach"}},
         "agent-backend",
         "`use-backend be_cache`"},
        {{{SPOE, "use-backend be_sentinel_spoa", "use-backend be_sentinel_spo"}},
         "agent-backend",
         "`use-backend be_sentinel_spoa`"},
        {{{SPOE, "    use-backend be_sentinel_spoa\n", ""}}, "agent-backend", NULL},
        {{{HAPROXY, "engine sentinel", "engine s"}, {SPOE, "[sentinel]", "[xyz]\nspoe-agent x\n[s2]"}},
         THREE_TIMES("unknown-engine"),
         "`engine s2`"},
        {{{HAPROXY, "engine sentinel", "engine x"}, {SPOE, "[sentinel]", "[x1]\nspoe-agent x\n[s2]"}},
         THREE_TIMES("unknown-engine"),
         "`engine x1`"},
        {{{HAPROXY, "engine sentinel", "engine x"}, {SPOE, "[sentinel]", "[s]"}},
         THREE_TIMES("unknown-engine"),
         "`engine s`"},
    };

    (void)state;
    CHECK_ALL(MANY, edges);
}

/* Beside the filter of another program ours is the one that leads to the agent, or asks as ours does. */
static void test_whose_filter_it_is(void **state)
{
#define BESIDE                                                                                               \
    {                                                                                                        \
        HAPROXY, "frontend fe_redis\n", WEBSITE "frontend fe_redis\n"                                        \
    }
    static const struct edge edges[] = {
        {{{HAPROXY, "    option spop-check\n", "    option spop-check\n    mode http\n"}},
         "wrong-mode",
         NULL},
        /* Defaults have defaults. */
        {{{HAPROXY, "timeout queue 500ms", "timeout queue 5s"},
          {HAPROXY, "defaults\n", "defaults one\n    default-server maxconn 1\ndefaults two from one\n"}},
         "long-queue",
         NULL},
        /* HAProxy refuses a filter without a file by itself. */
        {{{HAPROXY, " config /etc/haproxy/spoe.conf", ""}}, "", NULL},
        {{BESIDE, {SPOE, ARGS, "src=src"}}, "", NULL},
        {{BESIDE,
          {SPOE, ARGS, "src=src"},
          {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 127.0.0.1:9013"}},
         "no-filter",
         NULL},
        {{BESIDE,
          {SPOE, ARGS, "role=str(master)"},
          {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 127.0.0.1:9013"}},
         "agent-server",
         NULL},
        {{BESIDE, {SPOE, ARGS, "service=str(mymaster)"}, {SPOE, "    use-backend be_sentinel_spoa\n", ""}},
         "agent-backend",
         NULL},
        {{BESIDE, {SPOE, ARGS, "src=src"}, {SPOE, "    use-backend be_sentinel_spoa\n", ""}},
         "no-filter",
         NULL},
        {{BESIDE,
          {SPOE, ARGS, "src=src"},
          {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 \"${AGENT}\""}},
         "no-filter",
         NULL},
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* ---- rules that refuse ---- */

static void test_rules_that_refuse(void **state)
{
#define RULE(rule, codes)                                                                                    \
    {                                                                                                        \
        {{HAPROXY, REJECT, "    " rule "\n"}}, codes, NULL                                                   \
    }
#define UNNAMED " unless { var(txn.redis.master) -m found }"
    static const struct edge edges[] = {
        RULE("tcp-request content silent-drop" UNNAMED, ""),
        RULE("http-request deny" UNNAMED, ""),
        RULE("http-request tarpit" UNNAMED, ""),
        RULE("http-request silent-drop" UNNAMED, ""),
        RULE("http-request reject" UNNAMED, ""),
        RULE("tcp-request session reject" UNNAMED, "no-reject"),
        RULE("tcp-request content track-sc0 src" UNNAMED, "no-reject"),
        RULE("http-request allow if { src 10.0.0.0/8 }\n" REJECT, "early-accept"),
        RULE("tcp-request content accept if { src 10.0.0.0/8 }\n    http-request allow\n" REJECT,
             "early-accept"),
        RULE("tcp-request content accept if { var(txn.redis.master) -m found }\n" REJECT, ""),
        RULE("tcp-request content reject if { src 10.0.0.0/8 }\n" REJECT, ""),
        RULE("tcp-request content reject", "no-reject"),
    };

    (void)state;
    CHECK_ALL(ONE, edges);
}

/* ---- where a line stands ---- */

#define FILTER "    filter spoe engine sentinel config /etc/haproxy/spoe.conf\n"
#define NAMED_SERVER "    use-server %[var(txn.redis.master)] if { var(txn.redis.master) -m found }\n"
#define R1 "    server R1 10.0.0.11:6379 tcp-ut 3s\n"
#define R2 "    server R2 10.0.0.12:6379 tcp-ut 3s\n"
#define R3 "    server R3 10.0.0.13:6379 tcp-ut 3s\n"
#define API "    stats socket /run/haproxy/admin.sock user haproxy group haproxy mode 660 level admin\n"

/* What is needed may stand in the first line of its section. */
static const struct edge first_lines[] = {
    {{{HAPROXY, FILTER, ""}, {HAPROXY, "frontend fe_redis\n", "frontend fe_redis\n" FILTER}}, "", NULL},
    {{{HAPROXY, API, ""}, {HAPROXY, "global\n", "global\n" API}}, "", NULL},
    {{{HAPROXY, NAMED_SERVER, ""}, {HAPROXY, "backend be_redis\n", "backend be_redis\n" NAMED_SERVER}},
     "",
     NULL},
    {{{HAPROXY, R1, ""},
      {HAPROXY, "backend be_redis\n", "backend be_redis\n    server R1 10.0.0.11:6379 weight 0\n"}},
     "",
     NULL},
    /* Its port is the only one that fits: so the others are wrong. */
    {{{HAPROXY, R1 R2 R3, "    server R2 10.0.0.12:1\n    server R3 10.0.0.13:1\n"},
      {HAPROXY, "backend be_redis\n", "backend be_redis\n    server R1 10.0.0.11:6379 weight 0\n"}},
     "server-address server-address",
     NULL},
    {{{HAPROXY, R1 R2 R3,
       "    server R1 10.0.0.11:1\n    server R2 10.0.0.12:1\n    server R3 10.0.0.13:1\n"}},
     "",
     NULL},
    {{{HAPROXY, R1 R2 R3, ""},
      {HAPROXY, "    retries 0\n", ""},
      {HAPROXY, "backend be_redis\n", "backend be_redis\n    server-template R 3 r:6379 weight 0\n"}},
     "retries",
     NULL},
    {{{HAPROXY, "timeout queue 500ms", "timeout queue 5s"},
      {HAPROXY, R1, ""},
      {HAPROXY, "backend be_redis\n", "backend be_redis\n    server R1 10.0.0.11:6379 weight 0 maxconn 1\n"}},
     "long-queue",
     NULL},
    /* The agent's server, and another beside it. */
    {{{HAPROXY, "    server agent1 127.0.0.1:9012\n", ""},
      {HAPROXY, "backend be_sentinel_spoa\n",
       "backend be_sentinel_spoa\n    server agent1 127.0.0.1:9012\n"}},
     "",
     NULL},
    /* A backend without a server of the map is one of Redis if it takes the name that the agent gives. */
    {{{HAPROXY, REJECT,
       REJECT
       "    use_backend b if { src 10.0.0.0/8 }\n    default_backend be_redis\nbackend b\n" NAMED_SERVER
       "    server x 10.9.9.9:1 weight 0\n    server-template R 3 r:6379 weight 0\nfrontend other\n"}},
     "retries extra-server",
     NULL},
    {{{HAPROXY, REJECT,
       REJECT
       "    use_backend b if { src 10.0.0.0/8 }\n    default_backend be_redis\nbackend b\n    mode http\n"
       "    server x 10.9.9.9:1\nfrontend other\n"}},
     "",
     NULL},
    /* One with a server of the map is, too. */
    {{{HAPROXY, REJECT,
       REJECT "    use_backend b if { src 10.0.0.0/8 }\n    default_backend be_redis\nbackend b\n"
              "    server x 10.0.0.12:6379 weight 0\n    retries 0\n    server-template R 3 r:6379 "
              "weight 0\nfrontend other\n"}},
     "no-use-server",
     NULL},
};

static void test_the_first_line(void **state)
{
    (void)state;
    CHECK_ALL(ONE, first_lines);
}

/* Files that begin with the frontend, or have a server alone. */
static void test_the_first_section(void **state)
{
    char *text = files.text[HAPROXY];

    (void)state;
    read_recipe(ONE, &files);
    char *begin = strstr(text, "frontend fe_redis");
    assert_non_null(begin);
    memmove(text, begin, strlen(begin) + 1);
    struct findings findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    assert_string_equal(finding_code_name(findings.list[0].code), "api-socket");
    assert_string_equal(findings.list[0].file, names[HAPROXY]);
    assert_int_equal(findings.list[0].line, 0);
    findings_finish(&findings);
    read_recipe("haproxy-conf", &files);
    (void)snprintf(text, FILE_SIZE, "listen redis_in\n    server one 10.0.0.11:6379\n");
    findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    assert_string_equal(finding_code_name(findings.list[0].code), "no-filter");
    assert_int_equal(findings.list[0].line, 1);
    findings_finish(&findings);
    (void)snprintf(text, FILE_SIZE, "listen redis_in\n    server one 10.0.0.11:6379 check port 9912\n");
    findings = check(&files, true);
    assert_int_equal(findings.count, 0); /* health checks ask the agent */
    findings_finish(&findings);
    (void)snprintf(text, FILE_SIZE, "listen redis_in\n    server one 10.0.0.11:6379 check port 9913\n");
    findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    findings_finish(&findings);
}

/* ---- what is said ---- */

/* The numbers and words in the messages are those of the files. */
static void test_messages(void **state)
{
    static const struct {
        enum file file;
        const char *old;
        const char *new;
        const char *message;
    } cases[] = {
        {HAPROXY, "server R2 10.0.0.12:6379", "server R2 10.0.0.99:6379",
         "its address is 10.0.0.99:6379 here, and 10.0.0.12:6379 in [service mymaster]: clients reach "
         "another node "
         "than the one that is named"},
        {HAPROXY, "    server R2 10", "    server R4 10.0.0.14:6379\n    server R2 10",
         "no 'server' of [service mymaster] has this name: it is never named"},
        {SPOE, PROCESSING, "timeout processing 3s",
         "`timeout processing` is 3000 ms, and 'park' 8000 ms: HAProxy refuses the clients that wait, before "
         "the "
         "agent names the new master"},
        {HAPROXY, "backend be_redis\n    mode tcp\n", "backend be_redis\n    mode http\n",
         "its mode is http"},
        {HAPROXY, "admin.sock", "other.sock",
         "'runtime-api' in sentinel-spoa.conf is no `stats socket` of this HAProxy: its sessions are not "
         "cut"},
        {HAPROXY, "engine sentinel", "engine sentinal", "there is no such engine in /etc/haproxy/spoe.conf"},
        {HAPROXY, REJECT, "    tcp-request content reject unless { var(txn.other.master) -m found }\n",
         "the variables of this engine begin with `txn.redis.`, those in this line do not: it never finds "
         "one"},
        {SPOE, "    event on-client-session if", "    #", "it has no `event`: HAProxy never sends it"},
        {SPOE, "on-client-session", "on-server-session",
         "this event never comes here, or comes after a server was chosen"},
        {SPOE, "    timeout processing 10s\n", "", "there is no `timeout processing`"},
        {SPOE, "role=str(master)", "role=str(x)", "the agent knows no such role: every client is refused"},
        {SPOE, "option var-prefix redis", "option pipelining", "`txn.sentinel.`"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        read_recipe(ONE, &files);
        edit(files.text[cases[i].file], cases[i].old, cases[i].new);
        struct findings findings = check(&files, true);
        assert_true(findings.count > 0);
        if (strstr(findings.list[0].message, cases[i].message) == NULL)
            fail_msg("no '%s' in '%s'", cases[i].message, findings.list[0].message);
        findings_finish(&findings);
    }
    read_recipe(ONE, &files);
    edit(files.text[HAPROXY], REJECT, "    http-request allow\n" REJECT);
    struct findings findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    check_line(files.text[HAPROXY], findings.list[0].line, "http-request allow");
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "before the one in line %u that refuses",
                   findings.list[0].line + 1);
    assert_non_null(strstr(findings.list[0].message, expected));
    findings_finish(&findings);
}

#define T(test) cmocka_unit_test(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_ways_to_the_agent),
        T(test_times),
        T(test_sockets),
        T(test_questions),
        T(test_events),
        T(test_what_is_meant),
        T(test_rules_that_refuse),
        T(test_whose_filter_it_is),
        T(test_the_first_line),
        T(test_the_first_section),
        T(test_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
