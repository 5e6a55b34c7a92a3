/* What does not go together in a configuration, and what is unwise: one rule a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/decision/server_map.h"
#include "tests/unit/core/config/config_fixture.h"

struct rule {
    const char *text;
    const char *says; /* a part of the message */
};

#define AGENT(lines) "[agent]\n" lines "\n" GOOD
/* Two nodes, which a service refers to; lines of the group and of the service. */
#define NODES(group, service)                                                                                \
    "[nodes n]\n" group                                                                                      \
    "\n[service m]\nnodes = n\nserver = R1 10.0.0.1:6379\nserver = R2 10.0.0.2:6379\n" service "\n"
#define GROUP(lines) SENTINELS lines "\n" SERVICE
#define OF_SERVICE(lines) GOOD lines "\n"

static bool contains(char *const *texts, size_t count, const char *part)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(texts[i], part) != NULL)
            return true;
    return false;
}

static const struct rule errors[] = {
    {AGENT("max-connections = 0"), "t.conf:2: bad value '0' for 'max-connections'"},
    {AGENT("group = redis"), "t.conf: 'group' needs 'user'"},
    {AGENT("takeover = 127.0.0.1:9014"), "t.conf: 'takeover' takes unix:/path only"},
    {AGENT("allow = 10.0.0.1/8"), "t.conf:2: bad value '10.0.0.1/8' for 'allow': it takes IP/BITS or IP"},
    {AGENT("allow = redis.example.org"), "it takes IP/BITS or IP"},
    {GROUP("tls-ca = /ca.pem"), "'tls-ca' and its like do nothing without 'tls = yes'"},
    {GROUP("tls = no\ntls-server-name = x"), "nothing without 'tls = yes'"},
    {GROUP("tls = yes\ntls-cert = /c.pem"), "'tls-cert' and 'tls-key' need each other"},
    {GROUP("tls = yes\ntls-key = /k.pem"), "'tls-cert' and 'tls-key' need each other"},
    {GROUP("tls = yes\naddress = unix:/s.sock"), "there is no TLS to a UNIX socket"},
    {OF_SERVICE("tls-key = /k.pem"), "nothing without 'tls = yes'"},
    {OF_SERVICE("check-pulse = 50ms"), "'check-pulse' must be 100 ms or more"},
    {OF_SERVICE("down-after = 1499ms"), "'down-after' must be 1500 ms or more"},
    {OF_SERVICE("early-fence = yes\nearly-fence-max = 0"), "'early-fence-max' must be over 0"},
    {OF_SERVICE("max-lag = 1mb\nrole-check = off\nreplicas = yes"), "'max-lag' needs 'role-check'"},
    {OF_SERVICE("max-lag = 1s\nreplicas = yes"), "'max-lag' must be three times 'poll' (1000 ms) or more"},
    {SENTINELS "[service m]\nallow-any-address = yes\nreplicas = yes\n",
     "'replicas' needs a 'server' for each"},
    {"[haproxy]\nruntime-api = /a.sock\n" GOOD, "[service m] needs a 'backend'"},
    {"[haproxy]\nruntime-api = master:host:1\n" GOOD, "bad value 'master:host:1' for 'runtime-api'"},
    {"[haproxy]\nbackend = b\nruntime-api = /a.sock\nruntime-api = unix:/a.sock\n" GOOD,
     "'runtime-api' has unix:/a.sock twice"},
    {"[haproxy]\nruntime-api = master:\n" GOOD, "bad value 'master:' for 'runtime-api'"},
    {OF_SERVICE("backend = a/b"), "'a/b' cannot be a backend's name in HAProxy"},
    {OF_SERVICE("backend = a b;c"), "'b;c' cannot be a backend's name in HAProxy"},
    {OF_SERVICE("backend = "), "bad value '' for 'backend': it takes one name or several"},
    {OF_SERVICE("on-switch = hook.sh"), "'on-switch' needs the whole path of a program"},
    {OF_SERVICE("on-switch-timeout = 0"), "'on-switch-timeout' must be over 0"},
    {"[nodes]\nsource = cluster\n" GOOD, "[nodes NAME] needs a name"},
    {NODES("source = replication\nsauce = 1", ""), "unknown key 'sauce' in [nodes n]"},
    {NODES("", ""), "'source' is replication or cluster in [nodes NAME]"},
    {GROUP("source = cluster"), "and nothing else in [sentinels]"},
    {"[nodes n]\nsource = replication\n" GOOD, "[nodes n] has no 'address', and no service refers to it"},
    {NODES("source = replication", "sentinels = x"), "'nodes' and 'sentinels' exclude each other"},
    {GOOD "nodes = x\n", "there is no section [nodes x]"},
    {"[nodes m]\nsource = replication\naddress = 10.0.0.1:1\n" SERVICE, "there is no section [sentinels]"},
    {NODES("source = cluster", ""), "'slot' and 'source = cluster' need each other"},
    {NODES("source = replication", "slot = 1"), "'slot' and 'source = cluster' need each other"},
    {NODES("source = cluster", "slot = 16384"),
     "bad value '16384' for 'slot': it takes a number, 0 to 16383"},
    {NODES("source = cluster", "slot = 0\nwhen-alone = name"), "'when-alone' needs 'source = replication'"},
    {NODES("source = replication", "witness = yes"),
     "'witness', 'down-after', 'early-fence' and 'replicas' need Sentinels"},
    {NODES("source = replication", "down-after = 2s"), "'down-after'"},
    {NODES("source = replication\naddress = 10.0.0.1:1\naddress = 10.0.0.1:1", ""),
     "node 10.0.0.1:1 is listed twice in one group"},
    {NODES("source = replication", "quorum = 1"), "quorum 1 of [service m]: with 2 nodes it can be 2 to 2"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct loaded loaded = load(errors[i].text);
        if (!contains(loaded.errors.texts, loaded.errors.count, errors[i].says))
            fail_msg("not said: %s", errors[i].says);
        end(&loaded);
    }
}

static void test_warnings(void **state)
{
    static const struct rule rules[] = {
        {GROUP("vote-life = 6s"),
         "'vote-life' is 6000 ms: an agent that is cut off names the old master for so long"},
        {OF_SERVICE("early-fence = yes\npark = 1s"),
         "'park' (1000 ms) is shorter than 'early-fence-max' (3000 ms)"},
        {OF_SERVICE("keep = 5s"), "'keep' names the last master without a majority for 5000 ms"},
        {OF_SERVICE("keep-when = refused"), "'keep-when' does nothing without 'keep'"},
        {OF_SERVICE("replica-fallback = master"), "do nothing without 'replicas = yes'"},
        {NODES("source = replication", "when-alone = name"),
         "'when-alone = name' believes a master that no majority names"},
        {NODES("source = replication\naddress = 10.0.0.1:6379\naddress = 10.0.0.9:6379", ""),
         "node 10.0.0.9:6379 votes on [service m], and no 'server' there has its address"},
        {"[nodes n]\nsource = replication\n[service m]\nnodes = n\nserver = R1 10.0.0.1:6379\n",
         "one node only: nothing is named while it is down"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct loaded loaded = load_good(rules[i].text);
        if (!contains(loaded.config->warnings.texts, loaded.config->warnings.count, rules[i].says))
            fail_msg("not said: %s", rules[i].says);
        end(&loaded);
    }
}

/* [nodes NAME] without an address has the servers of the services that refer to it, each once. */
static void test_gathered_voters(void **state)
{
    struct loaded loaded =
        load_good("[nodes n]\nsource = cluster\n"
                  "[nodes other]\nsource = replication\naddress = 10.0.0.9:1\n"
                  "[service a]\nnodes = n\nslot = 0\nserver = A 10.0.0.1:1\nserver = B 10.0.0.2:1\n"
                  "[service b]\nnodes = n\nslot = 1\nserver = B 10.0.0.2:1\nserver = C 10.0.0.3:1\n"
                  "[service c]\nnodes = other\nserver = D 10.0.0.4:1\n");
    const struct config *config = loaded.config;

    (void)state;
    assert_int_equal(config->groups[0].address_count, 3);
    assert_int_equal(config->groups[1].address_count, 1);
    assert_int_equal(config->services[0].quorum, 2);
    assert_int_equal(config->services[1].quorum, 2);
    assert_int_equal(config->services[2].quorum, 1);
    assert_int_equal(config->services[2].group, 1);
    assert_true(addr_equals(&config->groups[0].addresses[2], &config->services[1].servers[1].addr));
    end(&loaded);
}

/*
 * Nodes that vote are asked for their ROLE as they are asked for their votes, unless the service says
 * otherwise.
 */
static void test_node_credentials(void **state)
{
    struct loaded loaded =
        load_good("[nodes n]\nsource = replication\npassword = x\ntls = yes\n"
                  "[service a]\nnodes = n\nserver = A 10.0.0.1:1\n"
                  "[service b]\nnodes = n\nserver = A 10.0.0.1:1\npassword = y\ntls = yes\n" SENTINELS
                  "[service c]\nserver = A 10.0.0.1:1\n");
    const struct config *config = loaded.config;
    const struct config_voters *nodes = &config->groups[0];

    (void)state;
    assert_ptr_equal(config_node_credentials(&config->services[0], nodes), &nodes->credentials);
    assert_ptr_equal(config_node_tls(&config->services[0], nodes), &nodes->tls);
    assert_ptr_equal(config_node_credentials(&config->services[1], nodes), &config->services[1].credentials);
    assert_ptr_equal(config_node_tls(&config->services[1], nodes), &config->services[1].tls);
    assert_ptr_equal(config_node_credentials(&config->services[2], &config->groups[1]),
                     &config->services[2].credentials);
    assert_ptr_equal(config_node_tls(&config->services[2], &config->groups[1]), &config->services[2].tls);
    end(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gathered_voters),
        cmocka_unit_test(test_node_credentials),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_warnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
