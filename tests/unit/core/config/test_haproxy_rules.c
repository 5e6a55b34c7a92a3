/* Each rule over HAProxy's files: a good set of files and one edit gives this one finding. Every shipped set gives none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/config/haproxy_conf.h"
#include "spoa/core/config/haproxy_route.h"
#include "tests/unit/core/config/haproxy_rules_fixture.h"

/* ---- what is shipped ---- */

static void test_recipes(void **state)
{
    static const char *const folders[] = {
        "active-backup", "agent-check",
        "any-address",   "cluster",
        "keepalived",    "many-services",
        "http-health",   "read-write-split",
        "remote-agent",  "replication",
        "runtime-api",   "twemproxy",
        "two-agents",    "",
    };
    char folder[64];

    (void)state;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        (void)snprintf(folder, sizeof(folder), "haproxy-conf/%s", folders[i]);
        if (strcmp(folders[i], "http-health") == 0) {
            read_text("haproxy-conf/http-health/haproxy.cfg", files.text[HAPROXY]);
            read_text("haproxy-conf/http-health/sentinel-spoa.conf", files.text[AGENT]);
        } else {
            read_recipe(folder, &files);
        }
        check_none(folder, &files);
    }
}

static void test_containers(void **state)
{
    (void)state;
    read_recipe("docker/k8s/sidecar", &files);
    check_none("docker/k8s/sidecar", &files);
    read_text("docker/compose/agent/sentinel-spoa.conf", files.text[AGENT]);
    read_text("docker/compose/haproxy/haproxy.cfg", files.text[HAPROXY]);
    read_text("docker/compose/haproxy/spoe.conf", files.text[SPOE]);
    check_none("docker/compose", &files);
}

static void take_text(struct text *text, char out[FILE_SIZE])
{
    assert_false(text->has_failed);
    assert_true(text->len < FILE_SIZE);
    memcpy(out, text->data, text->len + 1);
    text_finish(text);
}

static void test_what_haproxy_conf_writes(void **state)
{
    static const char *const folders[] = {"runtime-api", "many-services", "read-write-split", "any-address",
                                          "agent-check", "cluster",       "active-backup"};
    static const unsigned versions[] = {206, 302};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders) * 2; i++) {
        const struct haproxy_conf_options options = {.version = versions[i % 2],
                                                     .spoe_path = HAPROXY_CONF_SPOE_PATH};
        struct text haproxy = {.data = NULL};
        struct text spoe = {.data = NULL};
        (void)snprintf(path, sizeof(path), "haproxy-conf/%s/sentinel-spoa.conf", folders[i / 2]);
        read_text(path, files.text[AGENT]);
        struct config *config = load(files.text[AGENT]);
        haproxy_conf_write(config, &options, &haproxy);
        haproxy_conf_write_spoe(config, options.version, &spoe);
        config_destroy(config);
        take_text(&haproxy, files.text[HAPROXY]);
        take_text(&spoe, files.text[SPOE]);
        check_none(path, &files);
    }
}

/* Byte for byte. The other recipes have lines that were written by hand. */
static void test_recipes_are_what_is_written(void **state)
{
    static const char *const folders[] = {"active-backup",    "agent-check", "any-address", "cluster",
                                          "read-write-split", "replication", "runtime-api"};
    const struct haproxy_conf_options options = {.version = 206, .spoe_path = HAPROXY_CONF_SPOE_PATH};
    char folder[64];

    (void)state;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        struct text haproxy = {.data = NULL};
        struct text spoe = {.data = NULL};
        (void)snprintf(folder, sizeof(folder), "haproxy-conf/%s", folders[i]);
        read_recipe(folder, &files);
        struct config *config = load(files.text[AGENT]);
        haproxy_conf_write(config, &options, &haproxy);
        haproxy_conf_write_spoe(config, options.version, &spoe);
        config_destroy(config);
        assert_string_equal(spoe.data, files.text[SPOE]);
        assert_string_equal(haproxy.data, files.text[HAPROXY]);
        text_finish(&haproxy);
        text_finish(&spoe);
    }
}

/* ---- one mistake, one finding ---- */

#define USE_SERVER "use-server %[var(txn.redis.master)] if { var(txn.redis.master) -m found }"
/* A backend behind the last line of a frontend. What follows is a frontend of its own. */
#define SORRY                                                                                                \
    "backend be_sorry\n    mode http\n    server sorry 10.0.0.99:80 check\n"                                 \
    "frontend other\n"
#define STATS "stats socket /run/haproxy/admin.sock"

static const struct mistake mistakes[] = {
    /* the engine */
    {SPOE, "timeout processing 10s", "timeout processing 3s", FINDING_PROCESSING_TIMEOUT, SPOE,
     "timeout processing", "mymaster", "timeout processing"},
    {SPOE, "    timeout processing 10s\n", "", FINDING_PROCESSING_TIMEOUT, SPOE, "spoe-agent", "mymaster",
     "timeout processing"},
    {SPOE, "str(mymaster)", "str(mymastre)", FINDING_UNKNOWN_SERVICE, SPOE, "args", "mymastre",
     "`str(mymaster)`"},
    {SPOE, "str(mymaster)", "str(\\\"my\\\\\\\"master\\\")", FINDING_UNKNOWN_SERVICE, SPOE, "args",
     "my\"master", "`str(mymaster)`"},
    {SPOE, "option pipelining", "no option pipelining", FINDING_PIPELINING, SPOE, "no option pipelining",
     "sentinel", "option pipelining"},
    {HAPROXY, "engine sentinel", "engine sentinal", FINDING_UNKNOWN_ENGINE, HAPROXY, "filter", "sentinal",
     "sentinel"},
    {SPOE, "use-backend be_sentinel_spoa", "use-backend be_sentinel_spoe", FINDING_AGENT_BACKEND, SPOE,
     "use-backend", "sentinel", "`use-backend be_sentinel_spoa`"},
    /* the frontend */
    {HAPROXY, "    filter spoe engine sentinel config /etc/haproxy/spoe.conf\n", "", FINDING_NO_FILTER,
     HAPROXY, "backend be_sentinel_spoa", "be_sentinel_spoa", "filter spoe"},
    {HAPROXY, REJECT, "", FINDING_NO_REJECT, HAPROXY, "filter", "fe_redis",
     "`tcp-request content reject unless { var(txn.redis.master) -m found }`"},
    {HAPROXY, REJECT, "    tcp-request content reject unless { var(txn.other.master) -m found }\n",
     FINDING_VAR_PREFIX, HAPROXY, "tcp-request content reject", "fe_redis", "`txn.redis.`"},
    {HAPROXY, REJECT, "    tcp-request content accept if { src 10.0.0.0/8 }\n" REJECT, FINDING_EARLY_ACCEPT,
     HAPROXY, "tcp-request content accept", "fe_redis", "move it below line"},
    {HAPROXY, "frontend fe_redis\n    mode tcp\n", "frontend fe_redis\n    mode http\n", FINDING_WRONG_MODE,
     HAPROXY, "mode http", "fe_redis", "`mode tcp`"},
    {HAPROXY, REJECT, "    tcp-request content reject if { var(txn.redis.master) -m found }\n",
     FINDING_NO_REJECT, HAPROXY, "tcp-request content reject", "fe_redis",
     "in place of this line write `tcp-request content reject unless { var(txn.redis.master) -m found }`"},
    {HAPROXY, REJECT,
     "    tcp-request content reject if { src 10.0.0.0/8 } !{ var(txn.redis.master) -m found }\n",
     FINDING_NO_REJECT, HAPROXY, "tcp-request content reject", "fe_redis", "reject unless"},
    {HAPROXY, REJECT,
     "    acl named var(txn.redis.master) -m found\n    acl named src 10.0.0.0/8\n    tcp-request content "
     "reject unless named\n",
     FINDING_NO_REJECT, HAPROXY, "tcp-request content reject", "fe_redis", "reject unless"},
    {HAPROXY, REJECT, "    tcp-request content reject unless { var(txn.redis.replica) -m found }\n",
     FINDING_NO_REJECT, HAPROXY, "tcp-request content reject", "fe_redis", "txn.redis.master"},
    {HAPROXY, REJECT, "    tcp-request content reject if { var(txn.redis.state) -m found }\n",
     FINDING_NO_REJECT, HAPROXY, "tcp-request content reject", "fe_redis", "txn.redis.master"},
    {HAPROXY, REJECT, "    tcp-request content accept if !{ var(txn.redis.master) -m found }\n" REJECT,
     FINDING_EARLY_ACCEPT, HAPROXY, "tcp-request content accept", "fe_redis", "move it below line"},
    {HAPROXY, REJECT, "    use_backend be_redis if { src 10.0.0.0/8 }\n", FINDING_NO_REJECT, HAPROXY,
     "filter", "fe_redis", "below this line"},
    {HAPROXY, REJECT, "    use_backend be_sorry if { src 10.0.0.0/8 }\n", FINDING_NO_REJECT, HAPROXY,
     "filter", "fe_redis", "below this line"},
    {HAPROXY, REJECT "    default_backend be_redis\n", REJECT, FINDING_NO_BACKEND, HAPROXY,
     "frontend fe_redis", "fe_redis", "`default_backend NAME`"},
    /* what HAProxy asks */
    {SPOE, "    event on-client-session if", "    #", FINDING_NO_EVENT, SPOE, "spoe-message", "find-master",
     "`event on-client-session`"},
    {SPOE, "on-client-session", "on-server-session", FINDING_NO_EVENT, SPOE, "event", "find-master",
     "`event on-client-session`"},
    {SPOE, "    messages find-master\n", "", FINDING_NO_MESSAGE, SPOE, "spoe-agent", "sentinel",
     "`messages NAME`"},
    {SPOE, "role=str(master)", "role=str(slave)", FINDING_UNKNOWN_ROLE, SPOE, "args", "slave",
     "`role=str(master)`"},
    {SPOE, "[sentinel]\n", "", FINDING_UNKNOWN_ENGINE, HAPROXY, "filter", "sentinel",
     "write `[sentinel]` above `spoe-agent`"},
    /* the backend */
    {HAPROXY, USE_SERVER, "use-server R1 if { var(txn.redis.master) -m found }", FINDING_WRONG_USE_SERVER,
     HAPROXY, "use-server R1", "be_redis", USE_SERVER},
    {HAPROXY, "    " USE_SERVER "\n", "    use-server R2 if { src 127.0.0.0/8 }\n    " USE_SERVER "\n",
     FINDING_WRONG_USE_SERVER, HAPROXY, "use-server R2", "be_redis", "above this line"},
    {HAPROXY, USE_SERVER, "use-server %[var(txn.redis.replica)] if { var(txn.redis.replica) -m found }",
     FINDING_NO_USE_SERVER, HAPROXY, "backend be_redis", "be_redis", USE_SERVER},
    {HAPROXY, USE_SERVER, "use-server R1 if { var(txn.redis.master) -m str R1 }", FINDING_NO_USE_SERVER,
     HAPROXY, "backend be_redis", "be_redis", USE_SERVER},
    {HAPROXY, USE_SERVER, "balance roundrobin", FINDING_NO_USE_SERVER, HAPROXY, "backend be_redis",
     "be_redis", USE_SERVER},
    {HAPROXY, USE_SERVER, "use-server %[var(txn.r.master)] if { var(txn.r.master) -m found }",
     FINDING_VAR_PREFIX, HAPROXY, "use-server", "be_redis", "`txn.redis.`"},
    {HAPROXY, "default-server weight 0 ", "default-server ", FINDING_SERVER_WEIGHT, HAPROXY,
     "backend be_redis", "be_redis/R1, be_redis/R2 and be_redis/R3", "`default-server weight 0`"},
    {HAPROXY, "default-server weight 0 ", "default-server weight 10 ", FINDING_SERVER_WEIGHT, HAPROXY,
     "default-server", "be_redis/R1, be_redis/R2 and be_redis/R3", "`default-server weight 0`"},
    {HAPROXY, "10.0.0.12:6379 tcp-ut", "10.0.0.12:6379 weight 1 tcp-ut", FINDING_SERVER_WEIGHT, HAPROXY,
     "server R2", "be_redis/R2", "`weight 0`"},
    {HAPROXY, "    server R2 10.0.0.12:6379 tcp-ut 3s\n", "", FINDING_MISSING_SERVER, HAPROXY,
     "backend be_redis", "be_redis/R2", "`server R2 10.0.0.12:6379 tcp-ut 3s`"},
    {HAPROXY, "    server R1 10.0.0.11:6379 tcp-ut 3s\n", "", FINDING_MISSING_SERVER, HAPROXY,
     "backend be_redis", "be_redis/R1", "`server R1 10.0.0.11:6379 tcp-ut 3s`"},
    {HAPROXY, "server R2 10.0.0.12", "server r2 10.0.0.12", FINDING_MISSING_SERVER, HAPROXY, "server r2",
     "be_redis/R2", "`server R2 10.0.0.12:6379`"},
    {HAPROXY, "    server R2 10", "    server R4 10.0.0.14:6379\n    server R2 10", FINDING_EXTRA_SERVER,
     HAPROXY, "server R4", "R4", "`server = R4 10.0.0.14:6379`"},
    {HAPROXY, "server R2 10.0.0.12", "server R2 10.0.0.22", FINDING_SERVER_ADDRESS, HAPROXY, "server R2",
     "R2", "`server R2 10.0.0.12:6379`"},
    {HAPROXY, "server R2 10.0.0.12:6379", "server R2 10.0.0.12:6380", FINDING_SERVER_ADDRESS, HAPROXY,
     "server R2", "R2", "`server R2 10.0.0.12:6379`"},
    {HAPROXY,
     "timeout server 1h\n    # Never another try, never another server, never one that is down: these lines "
     "are not optional.\n    retries 0\n",
     "timeout server 1h\n", FINDING_RETRIES, HAPROXY, "backend be_redis", "be_redis", "`retries 0`"},
    {HAPROXY, "    no option redispatch\n    no option persist\n", "    option redispatch 1\n",
     FINDING_REDISPATCH, HAPROXY, "option redispatch", "be_redis", "`no option redispatch`"},
    {HAPROXY, "no option persist", "option persist", FINDING_PERSIST, HAPROXY, "option persist", "be_redis",
     "`no option persist`"},
    {HAPROXY, "    timeout queue 500ms\n", "    timeout queue 5s\n    default-server maxconn 100\n",
     FINDING_LONG_QUEUE, HAPROXY, "timeout queue", "be_redis", "`timeout queue 500ms`"},
    {HAPROXY, "backend be_redis\n    mode tcp\n", "backend be_redis\n    mode http\n", FINDING_WRONG_MODE,
     HAPROXY, "mode http", "be_redis", "`mode tcp`"},
    {HAPROXY, "fe_redis", "be_redis", FINDING_SHARED_NAME, HAPROXY, "backend be_redis", "be_redis",
     "another name"},
    /* the agent */
    {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 127.0.0.1:9021", FINDING_AGENT_SERVER, HAPROXY,
     "server agent1", "be_sentinel_spoa", "`server agent1 127.0.0.1:9012`"},
    {AGENT, "listen = 127.0.0.1:9012", "listen = unix:/run/a.sock", FINDING_AGENT_SERVER, HAPROXY,
     "server agent1", "be_sentinel_spoa", "`server agent1 unix@/run/a.sock`"},
    {HAPROXY, "level admin", "level operator", FINDING_API_LEVEL, HAPROXY, STATS,
     "unix:/run/haproxy/admin.sock", "`level admin`"},
    {HAPROXY, " level admin", "", FINDING_API_LEVEL, HAPROXY, STATS, "unix:/run/haproxy/admin.sock",
     "`level admin`"},
    {HAPROXY, "admin.sock", "other.sock", FINDING_API_SOCKET, HAPROXY, "global",
     "unix:/run/haproxy/admin.sock",
     "`stats socket /run/haproxy/admin.sock user haproxy group haproxy mode 660 level admin`"},
    {AGENT, "backend = be_redis", "backend = be_rediss", FINDING_UNKNOWN_BACKEND, AGENT,
     "backend = be_rediss", "be_rediss", "write the name"},
    {AGENT, "[service mymaster]\n", "[service mymaster]\nbackend = be_redis\nbackend = be_rediss\n",
     FINDING_UNKNOWN_BACKEND, AGENT, "backend = be_redis", "be_rediss", "write the name"},
    {HAPROXY, "fall 2 rise 1\n    use-server",
     "fall 2 rise 1 on-marked-down shutdown-sessions\n    use-server", FINDING_HANGING_CLIENTS, HAPROXY,
     "default-server", "be_redis", "leave out"},
};

/* An address of HAProxy's own, as it may stand behind `bind` or `server`. */
static void test_addresses(void **state)
{
    static const struct {
        const char *word;
        const char *addr;
        bool port_only;
    } cases[] = {
        {":9012", "0.0.0.0:9012", true},      {"*:9012", "0.0.0.0:9012", true},
        {"ipv4@:9012", "0.0.0.0:9012", true}, {"10.0.0.1:9012", "10.0.0.1:9012", false},
        {"::1:9012", "[::1]:9012", false},    {"unix@/run/a", "unix:/run/a", false},
        {"/run/a", "unix:/run/a", false},     {"tcp6@[::1]:9012", "[::1]:9012", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr;
        bool port_only = !cases[i].port_only;
        assert_true(haproxy_read_address(cases[i].word, &addr, &port_only));
        assert_string_equal(addr_format(&addr, text), cases[i].addr);
        assert_int_equal(port_only, cases[i].port_only);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
        read_recipe("haproxy-conf/runtime-api", &files);
        check_mistake(&mistakes[i]);
    }
}

/* The first line that begins like this, and where its section begins. False if it is the first of its section, or none. */
static bool find_line(char *text, const char *begin, char **ret_section, char **ret_line)
{
    char *section = text;

    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        bool is_indented = strchr(" \t\n#[", *line) != NULL;
        if (!is_indented)
            section = strchr(line, '\n') + 1;
        *ret_section = section;
        *ret_line = line;
        if (is_indented && strncmp(line + strspn(line, " \t"), begin, strlen(begin)) == 0)
            return line != section;
    }
    return false;
}

/* Where they stand in their section does not matter. */
static void test_mistakes_in_the_first_line(void **state)
{
    char moved[512];
    char *section = NULL;
    char *line = NULL;
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
        const struct mistake *mistake = &mistakes[i];
        read_recipe("haproxy-conf/runtime-api", &files);
        edit(files.text[mistake->file], mistake->old, mistake->new);
        if (!find_line(files.text[mistake->where], mistake->line, &section, &line))
            continue;
        size_t len = strcspn(line, "\n");
        /* Above the `default-server` a server has no weight of it. */
        const char *weight =
            strncmp(mistake->line, "server ", 7) == 0 && mistake->code != FINDING_SERVER_WEIGHT ? " weight 0"
                                                                                                : "";
        (void)snprintf(moved, sizeof(moved), "%.*s%s\n", (int)len, line, weight);
        memmove(line, line + len + 1, strlen(line + len + 1) + 1);
        memmove(section + strlen(moved), section, strlen(section) + 1);
        memcpy(section, moved, strlen(moved));
        struct findings findings = check(&files, true);
        if (findings.count != 1 || findings.list[0].code != mistake->code)
            fail_msg("'%s' in the first line: %zu findings", mistake->line, findings.count);
        check_line(files.text[mistake->where], findings.list[0].line, mistake->line);
        findings_finish(&findings);
        count++;
    }
    assert_true(count > 30);
}

/* Other ways to write the same are no mistakes. */
static const struct {
    enum file file;
    const char *old;
    const char *new;
} other_ways[] = {
    {HAPROXY, REJECT, "    tcp-request content reject if !{ var(txn.redis.master) -m found }\n"},
    {HAPROXY, REJECT,
     "    acl named var(txn.redis.master) -m found\n    tcp-request content reject unless named\n"},
    {HAPROXY, REJECT, "    tcp-request content reject if !{ var(txn.redis.state) -m str ok }\n"},
    {HAPROXY, REJECT,
     "    tcp-request content accept if { var(txn.redis.master) -m found }\n    tcp-request content "
     "reject\n"},
    {HAPROXY, "backend be_redis\n", "backend be_redis\n" REJECT},
    {HAPROXY, REJECT, "    tcp-request content reject if ! { var(txn.redis.master) -m found } || FALSE\n"},
    {HAPROXY, REJECT, "    acl none src 10.0.0.0/8\n    tcp-request content reject if none\n" REJECT},
    {HAPROXY, REJECT,
     "    use_backend be_sorry unless { var(txn.redis.master) -m found }\n    default_backend "
     "be_redis\n" SORRY},
    {HAPROXY, REJECT "    default_backend be_redis\n",
     "    use_backend be_redis if { var(txn.redis.master) -m found }\n    default_backend "
     "be_sorry\n" SORRY},
    {HAPROXY, REJECT,
     REJECT "    use_backend be_sorry if { src 10.9.0.0/16 }\n    default_backend be_redis\n" SORRY},
    {HAPROXY, "frontend fe_redis\n", WEBSITE "frontend fe_redis\n"},
    {HAPROXY, USE_SERVER,
     "use-server R1 if { var(txn.redis.master) -m str R1 }\n    use-server R2 if { "
     "var(txn.redis.master) -m str R2 }\n    use-server R3 if { var(txn.redis.master) -m str R3 }"},
    {HAPROXY, USE_SERVER,
     "use-server %[var(txn.redis.replica)] if { var(txn.redis.replica) -m found }\n    " USE_SERVER},
    {HAPROXY, USE_SERVER, USE_SERVER "\n    use-server R1 if { src 10.0.0.0/8 }"},
    {SPOE, "on-client-session", "on-frontend-tcp-request"},
    {SPOE, "role=str(master) ", ""},
    {HAPROXY, "server R1 10.0.0.11:6379", "server R1 ipv4@10.0.0.11:6379"},
    {HAPROXY, "server R1 10.0.0.11:6379", "server R1 redis-1.example.org:6379"},
    {HAPROXY, "server R1 10.0.0.11:6379", "server R1 \"$REDIS:6379\""},
    {HAPROXY, "10.0.0.12:6379 tcp-ut", "10.0.0.12:6379 weight 0 tcp-ut"},
    {HAPROXY, "    timeout queue 500ms\n", "    default-server maxconn 100\n"}, /* `timeout connect` holds */
    {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 spoa.example.org:9012"},
    {HAPROXY, "server agent1 127.0.0.1:9012", "server agent1 10.9.9.9:1\n    server agent2 127.0.0.1:9012"},
    {HAPROXY, "stats socket /run", "stats socket unix@/run"},
    {HAPROXY, "defaults\n", "defaults\n    mode http\n"},
    {SPOE, "timeout processing 10s", "timeout processing 10000"},
    {SPOE, "service=str(mymaster) ", ""},
    {SPOE, "str(mymaster)", "src,map_ip(/etc/services)"},
    {SPOE, "option pipelining", "no option pipelining\n    option pipelining"},
    {AGENT, "runtime-api = /run/haproxy/admin.sock",
     "runtime-api = /run/other.sock\nruntime-api = /run/haproxy/admin.sock"},
};

static void test_other_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(other_ways) / sizeof(*other_ways); i++) {
        read_recipe("haproxy-conf/runtime-api", &files);
        edit(files.text[other_ways[i].file], other_ways[i].old, other_ways[i].new);
        check_none(other_ways[i].new, &files);
    }
}

/* Whether HAProxy's server R1 has an address of ours. */
static void check_address(const char *ours, const char *theirs, bool is_same)
{
    char server[128];

    read_recipe("haproxy-conf/runtime-api", &files);
    (void)snprintf(server, sizeof(server), "server = R1 %s", ours);
    edit(files.text[AGENT], "server = R1 10.0.0.11:6379", server);
    (void)snprintf(server, sizeof(server), "server R1 %s", theirs);
    edit(files.text[HAPROXY], "server R1 10.0.0.11:6379", server);
    struct findings findings = check(&files, true);
    if (findings.count != (is_same ? 0 : 1))
        fail_msg("%s, %s: %zu findings", ours, theirs, findings.count);
    if (!is_same)
        assert_int_equal(findings.list[0].code, FINDING_SERVER_ADDRESS);
    findings_finish(&findings);
}

/* A name with its domain and the same name without are one host. Any other two names are two. */
static void test_names_of_hosts(void **state)
{
    (void)state;
    check_address("redis-1:6379", "redis-1:6379", true);
    check_address("redis-1:6379", "redis-1.example.org:6379", true);
    check_address("redis-1.example.org:6379", "redis-1:6379", true);
    check_address("redis-1:6379", "redis-1:6380", false);
    check_address("redis-1:6379", "redis-1.example.org:6380", false);
    check_address("redis-1:6379", "redis-2:6379", false);
    check_address("redis-1:6379", "redis-10:6379", false);
    check_address("redis-1:6379", "valkey7.example.org:6379", false);
    check_address("valkey7.example.org:6379", "redis-1:6379", false);
    check_address("redis-1.example.org:6379", "redis-1.example.net:6379", false);
}

/* Any of a server's addresses will do. A name may stand for any address. */
static void test_aliases(void **state)
{
    static const char three[] = "10.0.0.11:6379 alias=10.0.0.21:6379 alias=10.0.0.31:6379";

    (void)state;
    check_address(three, "10.0.0.11:6379", true);
    check_address(three, "10.0.0.21:6379", true);
    check_address(three, "10.0.0.31:6379", true);
    check_address(three, "10.0.0.41:6379", false);
    check_address(three, "10.0.0.21:6380", false);
    check_address("10.0.0.11:6379 alias=redis-1:6379", "redis-1:6379", true);
    check_address("10.0.0.11:6379 alias=redis-1:6379", "10.0.0.99:6379", true);
    check_address("redis-1:6379 alias=10.0.0.11:6379", "10.0.0.99:6379", true);
}

/* ---- several services, replicas ---- */

static void test_services_of_variables(void **state)
{
    static const struct mistake wrong[] = {
        {HAPROXY, "set-var(sess.service) str(cache)", "set-var(sess.service) str(cahce)",
         FINDING_UNKNOWN_SERVICE, HAPROXY, "tcp-request session set-var", "cahce", "`str(cache)`"},
        {SPOE, "service=var(sess.service) ", "", FINDING_NO_SERVICE, SPOE, "args", "find-master",
         "service=str(NAME)"},
        {HAPROXY, "    server Q2 10.0.0.15:6379 tcp-ut 3s\n", "", FINDING_MISSING_SERVER, HAPROXY,
         "backend be_queue", "be_queue/Q2", "server Q2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        read_recipe("haproxy-conf/many-services", &files);
        check_mistake(&wrong[i]);
    }
}

static void test_replicas(void **state)
{
    const struct mistake wrong = {
        HAPROXY,
        "    tcp-request content reject unless { var(txn.redis.replica) -m found }\n",
        "",
        FINDING_NO_REJECT,
        HAPROXY,
        "filter spoe engine sentinel-replica",
        "fe_redis_read",
        "var(txn.redis.replica)"};

    (void)state;
    read_recipe("haproxy-conf/read-write-split", &files);
    check_mistake(&wrong);
}

/* Settings of `defaults` hold for the backends below. */
static void test_defaults(void **state)
{
    (void)state;
    read_recipe("haproxy-conf/runtime-api", &files);
    edit(files.text[HAPROXY], "    no option redispatch\n    no option persist\n", "    no option persist\n");
    edit(files.text[HAPROXY], "defaults\n", "defaults\n    option redispatch\n");
    struct findings findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.list[0].code, FINDING_REDISPATCH);
    check_line(files.text[HAPROXY], findings.list[0].line, "option redispatch");
    findings_finish(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_what_haproxy_conf_writes),
        cmocka_unit_test(test_recipes_are_what_is_written),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_mistakes_in_the_first_line),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_other_ways),
        cmocka_unit_test(test_names_of_hosts),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_services_of_variables),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
