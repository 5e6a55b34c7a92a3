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

/* A rule that says its message twice, or another rule that joins in, is a mistake, too. */
static void check_says(char *const *texts, size_t count, const struct rule *rule)
{
    if (!contains(texts, count, rule->says))
        fail_msg("not said: %s", rule->says);
    if (count != 1)
        fail_msg("%zu messages beside: %s", count - 1, rule->says);
}

static const struct rule errors[] = {
    {AGENT("max-connections = 0"), "t.conf:2: bad value '0' for 'max-connections'"},
    {AGENT("group = redis"), "t.conf: 'group' needs 'user'"},
    {AGENT("takeover = 127.0.0.1:9014"), "t.conf: 'takeover' takes unix:/path only"},
    {AGENT("allow = 10.0.0.1/8"), "t.conf:2: bad value '10.0.0.1/8' for 'allow': it takes IP/BITS or IP"},
    {AGENT("allow = ::ffff:10.0.0.0/95"), "t.conf:2: bad value '::ffff:10.0.0.0/95' for 'allow': an "
                                          "IPv4-mapped network has 96 bits or more; write it as "
                                          "IPv4, such as 10.0.0.0/8"},
    {AGENT("allow = redis.example.org"), "it takes IP/BITS or IP"},
    {AGENT("listen = 127.0.0.1:1 alow=10.0.0.0/8"),
     "t.conf:2: bad value '127.0.0.1:1 alow=10.0.0.0/8' for 'listen': it takes IP:PORT or [IPv6]:PORT with "
     "allow=IP/BITS (several), tls-cert=FILE, tls-key=FILE, tls-client-ca=FILE and token-file=FILE, or "
     "unix:/path "
     "with mode=, owner= and group="},
    {AGENT("check = 127.0.0.1:1 allow="), "t.conf:2: bad value '127.0.0.1:1 allow=' for 'check'"},
    {AGENT("http = [::1]:1 allow=10.0.0.0/8 allow=10.0.0.1/8"), "allow=10.0.0.1/8' for 'http'"},
    {AGENT("http = [::1]:1 allow=::ffff:10.0.0.0/95"),
     "for 'http': an IPv4-mapped network has 96 bits or more; write it as IPv4, such as 10.0.0.0/8"},
    {AGENT("listen = unix:/l.sock allow=10.0.0.0/8"),
     "bad value 'unix:/l.sock allow=10.0.0.0/8' for 'listen'"},
    {AGENT("listen = 127.0.0.1:1 mode=600"), "bad value '127.0.0.1:1 mode=600' for 'listen'"},
    {AGENT("http = [::]:1 allow=10.0.0.0/8\nhttp = [::]:1"),
     "t.conf: 'http = [::]:1' is listed twice, each with other options"},
    {AGENT("check = 0.0.0.0:1 allow=10.0.0.0/8\ncheck = 0.0.0.0:1 allow=10.0.0.0/9"),
     "t.conf: 'check = 0.0.0.0:1' is listed twice, each with other options"},
    {AGENT("listen = [::]:1 tls-cert=/c tls-key=/k\nlisten = [::]:1"),
     "t.conf: 'listen = [::]:1' is listed twice, each with other options"},
    {AGENT("http = [::]:1 token-file=/a\nhttp = [::]:1 token-file=/b"),
     "t.conf: 'http = [::]:1' is listed twice, each with other options"},
    {AGENT("listen = unix:/x owner=a\nlisten = unix:/x owner=b"), "'listen = unix:/x' is listed twice"},
    {AGENT("listen = unix:/x group=a\nlisten = unix:/x group=b"), "'listen = unix:/x' is listed twice"},
    {AGENT("http = [::]:1 allow=10.0.0.0/8\nhttp = [::]:1 allow=11.0.0.0/8"), "[::]:1' is listed twice"},
    {AGENT("http = [::]:1 allow=10.0.0.0/8\nhttp = [::]:1 allow=10.0.0.0/8 allow=::1"), "is listed twice"},
    {AGENT("http = [::]:1 allow=::1 allow=::2\nhttp = [::]:1 allow=::1 allow=::3"), "is listed twice"},
    {AGENT("http = [::]:1 allow=::1\nhttp = [::]:2\nhttp = [::]:1 allow=::3"), "[::]:1' is listed twice"},
    {AGENT("listen = [::]:1 tls-cert=/c tls-key=/k\nlisten = [::]:1 tls-cert=/d tls-key=/k"), "listed twice"},
    {AGENT("listen = [::]:1 tls-cert=/c tls-key=/k\nlisten = [::]:1 tls-cert=/c tls-key=/l"), "listed twice"},
    {AGENT("listen = [::]:1 tls-cert=/c tls-key=/k\n"
           "listen = [::]:1 tls-cert=/c tls-key=/k tls-client-ca=/a"),
     "listed twice"},
    {AGENT("listen = [::]:1\nlisten = [::]:2 tls-cert=/c"),
     "t.conf:3: 'tls-cert=' and 'tls-key=' need each other"},
    {AGENT("listen = [::]:2 tls-key=/k"), "t.conf:2: 'tls-cert=' and 'tls-key=' need each other"},
    {AGENT("listen = [::]:2 tls-client-ca=/k"),
     "t.conf:2: 'tls-client-ca=' needs 'tls-cert=' and 'tls-key='"},
    {AGENT("listen = [::]:2 tls-cert=/c tls-cert=/c tls-key=/k"), "tls-key=/k' for 'listen': it takes"},
    {AGENT("listen = [::]:2 tls-cert= tls-key=/k"), "tls-key=/k' for 'listen': it takes"},
    {AGENT("listen = unix:/l.sock tls-cert=/c tls-key=/k"), "tls-key=/k' for 'listen': it takes"},
    {AGENT("check = [::]:2 tls-cert=/c tls-key=/k"),
     "t.conf:2: 'tls-cert=', 'tls-key=' and 'tls-client-ca=' are for 'listen' only"},
    {AGENT("http = [::]:2 tls-client-ca=/c"),
     "t.conf:2: 'tls-cert=', 'tls-key=' and 'tls-client-ca=' are for 'listen' only"},
    {AGENT("listen = [::]:2 token-file=/t"), "t.conf:2: 'token-file=' is for 'http' only"},
    {AGENT("check = [::]:2 token-file=/t"), "t.conf:2: 'token-file=' is for 'http' only"},
    {GROUP("tls-ca = /ca.pem"), "'tls-ca' and its like do nothing without 'tls = yes'"},
    {GROUP("tls = no\ntls-server-name = x"), "nothing without 'tls = yes'"},
    {GROUP("tls-server-name = x"), "'tls-ca' and its like do nothing without 'tls = yes'"},
    {GROUP("tls-cert = /c.pem\ntls-key = /k.pem"), "'tls-ca' and its like do nothing without 'tls = yes'"},
    {GROUP("tls = yes\ntls-cert = /c.pem"), "'tls-cert' and 'tls-key' need each other"},
    {GROUP("tls = yes\ntls-key = /k.pem"), "'tls-cert' and 'tls-key' need each other"},
    {GROUP("tls = yes\naddress = unix:/s.sock"), "there is no TLS to a UNIX socket"},
    {OF_SERVICE("tls-server-name = x"), "nothing without 'tls = yes'"},
    {NODES("source = replication\ntls = yes", "tls-ca = /ca.pem"), "nothing without 'tls = yes'"},
    {OF_SERVICE("check-pulse = 50ms"),
     "bad value '50ms' for 'check-pulse': it takes a duration such as 500ms, 3s or 2m, 100 ms or more"},
    {OF_SERVICE("down-after = 1499ms"), "bad value '1499ms' for 'down-after': it takes a duration such as "
                                        "500ms, 3s or 2m, 1500 ms or more, or 0"},
    {OF_SERVICE("early-fence-max = 0"),
     "bad value '0' for 'early-fence-max': it takes a duration such as 500ms, 3s or 2m, 1 ms or more"},
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
    {OF_SERVICE("on-switch-timeout = 0"), "bad value '0' for 'on-switch-timeout'"},
    {"[agent]\nlisten = unix:/x mode=600\nlisten = unix:/x mode=660\n" GOOD,
     "t.conf: 'listen = unix:/x' is listed twice, each with other options"},
    {"[agent]\nsyslog = "
     "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
     "89012345678901234567\n" GOOD,
     "'syslog' is longer than 107 bytes"},
    {"[nodes]\nsource = cluster\n" GOOD, "[nodes NAME] needs a name"},
    {NODES("source = replication\nsauce = 1", ""), "unknown key 'sauce' in [nodes n]"},
    {NODES("", ""), "'source' is replication or cluster in [nodes NAME]"},
    {GROUP("source = cluster") "slot = 0\n", "and nothing else in [sentinels]"},
    {"[nodes n]\nsource = replication\n" GOOD, "[nodes n] has no 'address', and no service refers to it"},
    {NODES("source = replication", "sentinels = x"), "'nodes' and 'sentinels' exclude each other"},
    {GOOD "nodes = x\n", "there is no section [nodes x]"},
    {"[nodes m]\nsource = replication\naddress = 10.0.0.1:1\n" SERVICE, "there is no section [sentinels]"},
    {NODES("source = cluster", ""), "'slot' and 'source = cluster' need each other"},
    {NODES("source = replication", "slot = 1"), "'slot' and 'source = cluster' need each other"},
    {NODES("source = replication", "slot = 16384"),
     "bad value '16384' for 'slot': it takes a number, 0 to 16383"},
    {NODES("source = cluster", "slot = 0\nwhen-alone = name"), "'when-alone' needs 'source = replication'"},
    {NODES("source = replication", "witness = yes"),
     "'witness', 'early-fence' and 'replicas' need Sentinels"},
    {NODES("source = replication", "early-fence = yes"),
     "'witness', 'early-fence' and 'replicas' need Sentinels"},
    {NODES("source = replication", "replicas = yes"),
     "'witness', 'early-fence' and 'replicas' need Sentinels"},
    {OF_SERVICE("when-alone = name"), "'when-alone' needs 'source = replication'"},
    {OF_SERVICE("slot = 0"), "'slot' and 'source = cluster' need each other"},
    {"[haproxy]\nbackend = b\nruntime-api = /a\nruntime-api = /b\nruntime-api = /a\n" GOOD,
     "'runtime-api' has unix:/a twice"},
    {"[haproxy]\nbackend = a/b\n" GOOD, "'a/b' cannot be a backend's name in HAProxy"},
    {OF_SERVICE("backend = a/b c"), "'a/b' cannot be a backend's name in HAProxy"},
    {GOOD SERVICE, "t.conf:7: a section [service m] is there already"},
    {GOOD SENTINELS, "t.conf:7: a section [sentinels] is there already"},
    {"[sentinels x]\naddress = a:1\n" GOOD "sentinels = x\n[nodes x]\nsource = replication\naddress = b:1\n",
     "a section [sentinels x] is there already"},
    {NODES("source = cluster", "slot = 0\ndown-after = 2s"),
     "'down-after' needs Sentinels or 'source = replication'"},
    {NODES("source = replication\naddress = 10.0.0.1:1\naddress = 10.0.0.1:1", ""),
     "node 10.0.0.1:1 is listed twice in one group"},
    {NODES("source = replication", "quorum = 1"), "quorum 1 of [service m]: with 2 nodes it can be 2 to 2"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct loaded loaded = load(errors[i].text);
        check_says(loaded.errors.texts, loaded.errors.count, &errors[i]);
        end(&loaded);
    }
}

/* As long, as many or as short as it may be. Nothing is said of these. */
static const char *const silent[] = {
    GROUP("vote-life = 5s"),
    NODES("source = replication\nvote-life = 6s", ""),
    NODES("source = cluster", "slot = 0"),
    GROUP("tls = yes\ntls-cert = /c.pem\ntls-key = /k.pem"),
    GROUP("tls = yes"),
    GROUP("username = u\npassword = p"),
    GROUP("username = u\npassword-file = /p"),
    "[agent]\ncheck = 127.0.0.1:9013\n" GOOD "early-fence = yes\nearly-fence-max = 3s\npark = 3s\n",
    OF_SERVICE("keep = 5s\nkeep-when = refused"),
    OF_SERVICE("on-switch = /bin/x a"),
    OF_SERVICE("max-lag = 3s\nreplicas = yes"),
    OF_SERVICE("max-lag = 1b\nreplicas = yes"),
    OF_SERVICE("backend = a b"),
    OF_SERVICE("monitor = x"),
    SENTINELS "[service m]\nallow-any-address = yes\n",
    "[haproxy]\nbackend = b\nruntime-api = /a\nruntime-api = master:/a\n" GOOD,
    "[haproxy]\nbackend = b\nruntime-api = /a\n" NODES("source = replication\naddress = 10.0.0.1:6379\n"
                                                       "address = 10.0.0.2:6379\naddress = 10.0.0.3:6379",
                                                       "server = R3 10.0.0.3:6379\ndown-after = 2s"),
    "[nodes n]\nsource = replication\naddress = 10.0.0.1:1\naddress = 10.0.0.2:1\n"
    "[service m]\nnodes = n\nallow-any-address = yes\n",
    "[nodes n]\nsource = replication\naddress = 10.0.0.1:1\naddress = 10.0.0.2:1\n"
    "[service m]\nnodes = n\nserver = R1 h:1 alias=10.0.0.2:1\nserver = R2 10.0.0.1:1\n",
    AGENT("check = 127.0.0.1:1"),
    AGENT("takeover = unix:/t.sock"),
    AGENT("user = a\ngroup = b"),
    AGENT("user = a"),
    AGENT("listen = unix:/x mode=600 owner=a group=b\nlisten = unix:/x mode=600 owner=a group=b"),
    AGENT("listen = [::]:1 allow=::1 tls-cert=/c tls-key=/k tls-client-ca=/a\n"
          "listen = [::]:1 allow=::1 tls-cert=/c tls-key=/k tls-client-ca=/a"),
    AGENT("http = [::]:1 token-file=/t\nhttp = [::]:1 token-file=/t"),
    AGENT("syslog = "
          "/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012"
          "3456789012345"),
    /* whom `allow` is for */
    AGENT("listen = 127.0.0.1:1\nallow = 10.0.0.0/8"),
    AGENT("listen = unix:/l.sock\ncheck = 127.0.0.1:1\nallow = 10.0.0.0/8"),
    AGENT("listen = unix:/l.sock\nhttp = 127.0.0.1:1\nallow = 10.0.0.0/8"),
    AGENT("listen = unix:/l.sock\nlisten = 127.0.0.1:1\nallow = 10.0.0.0/8"),
    AGENT("listen = 127.0.0.1:1 allow=::1\nlisten = 127.0.0.1:2\nallow = 10.0.0.0/8"),
    AGENT("listen = 127.0.0.1:1\nlisten = 127.0.0.1:2 allow=::1\nallow = 10.0.0.0/8"),
    AGENT("listen = 127.0.0.1:1 allow=::1\ncheck = 127.0.0.1:2\nallow = 10.0.0.0/8"),
    AGENT("listen = 127.0.0.1:1 allow=::1\nhttp = 127.0.0.1:2\nallow = 10.0.0.0/8"),
    /* one service of two is enough */
    AGENT("park-max = 5"),
    AGENT("park-max = 5") "park = 0\n[service n]\nserver = R1 10.0.0.1:6379\n",
    AGENT("park-max = 5") "[service n]\nserver = R1 10.0.0.1:6379\npark = 0\n",
    "[haproxy]\nbackend = x\n" GOOD,
    "[haproxy]\nbackend = x\n" GOOD "backend = y\n[service n]\nserver = R1 10.0.0.1:6379\n",
    "[haproxy]\nbackend = x\n" GOOD "[service n]\nserver = R1 10.0.0.1:6379\nbackend = y\n",
    AGENT("check = [::1]:1") "check-mode = master\n[service n]\nserver = R1 10.0.0.1:6379\n",
};

static void test_nothing_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++) {
        struct loaded loaded = load_good(silent[i]);
        if (loaded.config->warnings.count > 0)
            fail_msg("%s:\n%s", silent[i], loaded.config->warnings.texts[0]);
        end(&loaded);
    }
}

static void test_warnings(void **state)
{
    static const struct rule rules[] = {
        {GROUP("vote-life = 6s"),
         "'vote-life' is 6000 ms: an agent that is cut off names the old master for so long"},
        {AGENT("check = [::1]:1") "early-fence = yes\npark = 1s\n",
         "'park' (1000 ms) is shorter than 'early-fence-max' (3000 ms)"},
        {AGENT("check = [::1]:1") "early-fence = yes\nearly-fence-max = 9s\n",
         "'park' (8000 ms) is shorter than 'early-fence-max' (9000 ms)"},
        {OF_SERVICE("keep = 5s"), "'keep' names the last master without a majority for 5000 ms"},
        {OF_SERVICE("keep-when = refused"), "'keep-when' does nothing without 'keep'"},
        {OF_SERVICE("replica-fallback = master"), "'replica-fallback' does nothing without 'replicas = yes'"},
        {OF_SERVICE("on-switch = /bin/x \"a b\""),
         "'on-switch' is run without a shell: quotes do not hold words together"},
        {NODES("source = replication", "when-alone = name"),
         "'when-alone = name' believes a master that no majority names"},
        {"[agent]\ncheck = [::1]:1\n" NODES("source = replication", "down-after = 2s"),
         "'down-after' has no effect: it takes all nodes"},
        {NODES("source = replication\naddress = 10.0.0.1:6379\naddress = 10.0.0.9:6379", ""),
         "node 10.0.0.9:6379 votes on [service m], and no 'server' there has its address"},
        {"[nodes n]\nsource = replication\n[service m]\nnodes = n\nserver = R1 10.0.0.1:6379\n",
         "one node only: nothing is named while it is down"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct loaded loaded = load_good(rules[i].text);
        check_says(loaded.config->warnings.texts, loaded.config->warnings.count, &rules[i]);
        end(&loaded);
    }
}

#define CUTTER "without a 'runtime-api' in [haproxy] or a 'check' in [agent]"
#define API "[haproxy]\nruntime-api = /a.sock\nbackend = be\n"
#define CHECK "[agent]\ncheck = 127.0.0.1:9013\n"

/* A key that has no effect where it stands; and what gives it one, `prefix` or `suffix`. */
static const struct idle {
    const char *line;
    const char *says;
    const char *prefix;
    const char *suffix;
} idle[] = {
    {"fence = 5s", "'fence' cuts no sessions " CUTTER, API, ""},
    {"fence = 1ms", "'fence' cuts no sessions " CUTTER, CHECK, ""},
    {"down-after = 2s", "'down-after' cuts no sessions " CUTTER, API, ""},
    {"early-fence = yes", "'early-fence' cuts no sessions " CUTTER, CHECK, ""},
    {"early-fence-max = 1s", "'early-fence-max' does nothing without 'early-fence = yes'", CHECK,
     "early-fence = yes"},
    {"check-mode = master", "'check-mode' does nothing without a 'check' in [agent]", CHECK, ""},
    {"check-pulse = 1s", "'check-pulse' does nothing without a 'check' in [agent]", CHECK, ""},
    {"check-delay = 1ms", "'check-delay' does nothing without a 'check' in [agent]", CHECK, ""},
    {"max-lag = 5s", "'max-lag' does nothing without 'replicas = yes'", "", "replicas = yes"},
    {"server = R2 10.0.0.2:1 weight=0", "'weight=' does nothing without 'replicas = yes'", "",
     "replicas = yes"},
    {"on-switch-timeout = 1s", "'on-switch-timeout' does nothing without 'on-switch'", "",
     "on-switch = /bin/true"},
    {"on-switch-retry = 2s", "'on-switch-retry' does nothing without 'on-switch'", "",
     "on-switch = /bin/true"},
    {"password = x\nrole-check = off", "'password' does nothing without 'role-check'", NULL, NULL},
    {"password-file = /p\nrole-check = off", "'password' does nothing without 'role-check'", NULL, NULL},
    {"server = R2 10.0.0.2:1\nserver = R3 10.0.0.3:1 weight=2",
     "'weight=' does nothing without 'replicas = yes'", "", "replicas = yes"},
    {"down-after = 2s", "'down-after' cuts no sessions " CUTTER, CHECK, ""},
    {"early-fence = yes", "'early-fence' cuts no sessions " CUTTER, API, ""},
    {"replica-fallback = master", "'replica-fallback' does nothing without 'replicas = yes'", "",
     "replicas = yes"},
    {"keep-when = refused", "'keep-when' does nothing without 'keep'", "", "keep = 1ms"},
    {"gone-clients = serve\npark = 0", "'gone-clients' does nothing without 'park'", NULL, NULL},
    {"tls = yes\nrole-check = off", "'tls' does nothing without 'role-check'", NULL, NULL},
};

static void check_idle(const struct idle *key, bool has_effect)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s" GOOD "%s\n%s\n", has_effect ? key->prefix : "", key->line,
                   has_effect ? key->suffix : "");
    struct loaded loaded = load_good(text);
    if (contains(loaded.config->warnings.texts, loaded.config->warnings.count, key->says) == has_effect)
        fail_msg("%s:\n%s", has_effect ? "said" : "not said", key->says);
    assert_int_equal(loaded.config->warnings.count, !has_effect);
    /* A complete file with all defaults gets no other warning. */
    char *dumped = dump(loaded.config);
    struct loaded again = load(dumped);
    assert_int_equal(again.config->warnings.count, loaded.config->warnings.count);
    free(dumped);
    end(&again);
    end(&loaded);
}

static void test_idle_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(idle) / sizeof(*idle); i++) {
        check_idle(&idle[i], false);
        if (idle[i].prefix != NULL)
            check_idle(&idle[i], true);
    }
}

static void test_idle_elsewhere(void **state)
{
    static const struct rule rules[] = {
        {AGENT("check = unix:/c.sock"),
         "t.conf: 'check = unix:/c.sock': HAProxy's agent-checks connect by TCP only, write IP:PORT"},
        {AGENT("listen = unix:/l.sock\nallow = 10.0.0.0/8"),
         "t.conf: 'allow' does nothing without a TCP address"},
        {AGENT("listen = 127.0.0.1:1 allow=10.0.0.0/8\nlisten = unix:/l.sock\nallow = 10.0.0.0/8"),
         "t.conf: 'allow' does nothing: each TCP address has its own 'allow='"},
        {AGENT("park-max = 5") "park = 0\n",
         "t.conf: 'park-max' does nothing without a service that has 'park'"},
        {"[haproxy]\nbackend = x\n" GOOD "backend = y\n",
         "'backend' in [haproxy] does nothing: each service has its own"},
        {"[sentinels x]\naddress = a:1\naddress = b:1\naddress = c:1\n" GOOD,
         "t.conf:1: no service refers to [sentinels x]"},
        {"[nodes x]\nsource = replication\naddress = a:1\naddress = b:1\n" GOOD,
         "t.conf:1: no service refers to [nodes x]"},
        {NODES("source = replication\nsubscribe = no", ""),
         "t.conf:1: 'subscribe' does nothing without Sentinels"},
        {NODES("source = replication", "monitor = x"), "'monitor' does nothing without Sentinels"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct loaded loaded = load_good(rules[i].text);
        check_says(loaded.config->warnings.texts, loaded.config->warnings.count, &rules[i]);
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
                  "[service c]\nserver = A 10.0.0.1:1\n"
                  "[service d]\nnodes = n\nserver = A 10.0.0.1:1\ntls = no\n");
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
    assert_ptr_equal(config_node_tls(&config->services[3], nodes), &config->services[3].tls);
    assert_false(config->services[3].tls.is_on);
    /* The dump says the same: a `tls = no` that the file does not have would be another setting. */
    char *dumped = dump(config);
    struct loaded again = load(dumped);
    for (size_t i = 0; i < config->service_count; i++) {
        assert_int_equal(again.config->services[i].tls.is_inherited, config->services[i].tls.is_inherited);
        assert_int_equal(again.config->services[i].tls.is_on, config->services[i].tls.is_on);
    }
    free(dumped);
    end(&again);
    end(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_said),  cmocka_unit_test(test_gathered_voters),
        cmocka_unit_test(test_node_credentials), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_warnings),         cmocka_unit_test(test_idle_keys),
        cmocka_unit_test(test_idle_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
