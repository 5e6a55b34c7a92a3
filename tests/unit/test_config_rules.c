/* What does not go together in a configuration, and what is unwise: one rule a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/config_fixture.h"

struct rule {
    const char *text;
    const char *says; /* a part of the message */
};

#define AGENT(lines) "[agent]\n" lines "\n" GOOD
#define GROUP(lines) SENTINELS lines "\n" SERVICE
#define OF_SERVICE(lines) GOOD lines "\n"

static bool contains(char *const *texts, size_t count, const char *part)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(texts[i], part) != NULL)
            return true;
    return false;
}

static void test_errors(void **state)
{
    static const struct rule rules[] = {
        {AGENT("max-connections = 0"), "t.conf:2: bad value '0' for 'max-connections'"},
        {AGENT("group = redis"), "t.conf: 'group' needs 'user'"},
        {AGENT("allow = 10.0.0.1/8"), "t.conf:2: bad value '10.0.0.1/8' for 'allow': it takes IP/BITS or IP"},
        {AGENT("allow = redis.example.org"), "it takes IP/BITS or IP"},
        {GROUP("tls-ca = /ca.pem"), "'tls-ca' and its like do nothing without 'tls = yes'"},
        {GROUP("tls = no\ntls-server-name = x"), "nothing without 'tls = yes'"},
        {GROUP("tls = yes\ntls-cert = /c.pem"), "'tls-cert' and 'tls-key' need each other"},
        {GROUP("tls = yes\ntls-key = /k.pem"), "'tls-cert' and 'tls-key' need each other"},
        {GROUP("tls = yes\naddress = unix:/s.sock"), "there is no TLS to a UNIX socket"},
        {OF_SERVICE("tls-key = /k.pem"), "nothing without 'tls = yes'"},
        {OF_SERVICE("check-pulse = 50ms"), "'check-pulse' must be 100 ms or more"},
        {OF_SERVICE("early-fence = yes\nearly-fence-max = 0"), "'early-fence-max' must be over 0"},
        {OF_SERVICE("max-lag = 1mb\nrole-check = off\nreplicas = yes"), "'max-lag' needs 'role-check'"},
        {OF_SERVICE("max-lag = 1s\nreplicas = yes"),
         "'max-lag' must be three times 'poll' (1000 ms) or more"},
        {SENTINELS "[service m]\nallow-any-address = yes\nreplicas = yes\n",
         "'replicas' needs a 'server' for each"},
        {"[haproxy]\nruntime-api = /a.sock\n" GOOD, "[service m] needs a 'backend'"},
        {OF_SERVICE("backend = a/b"), "'a/b' cannot be a backend's name in HAProxy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct loaded loaded = load(rules[i].text);
        if (!contains(loaded.errors.texts, loaded.errors.count, rules[i].says))
            fail_msg("not said: %s", rules[i].says);
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
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct loaded loaded = load_good(rules[i].text);
        if (!contains(loaded.config->warnings.texts, loaded.config->warnings.count, rules[i].says))
            fail_msg("not said: %s", rules[i].says);
        end(&loaded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_warnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
