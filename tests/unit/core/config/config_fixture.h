/* A configuration out of a text, without a file; what it says of it; and one that has every key. */
#ifndef TESTS_UNIT_CORE_CONFIG_CONFIG_FIXTURE_H
#define TESTS_UNIT_CORE_CONFIG_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"

#define FILE_NAME "t.conf"
#define ERRORS_MAX 16

#define SENTINELS "[sentinels]\naddress = s1:26379\naddress = s2:26379\naddress = s3:26379\n"
#define SERVICE "[service m]\nserver = R1 10.0.0.1:6379\n"
#define GOOD SENTINELS SERVICE

/* Every keyword there is, as --dump-config writes it. */
#define FULL                                                                                                 \
    "[agent]\n"                                                                                              \
    "listen = 127.0.0.1:0 tls-cert=/etc/a$$b.pem tls-key=/etc/a.key tls-client-ca=/etc/peers.pem\n"          \
    "listen = [::1]:9100 allow=10.0.0.0/8 allow=2001:db8::1/128\n"                                           \
    "listen = unix:/run/spop.sock mode=660 owner=haproxy group=redis\n"                                      \
    "check = 127.0.0.1:9013 allow=127.0.0.1/32\n"                                                            \
    "http = 127.0.0.1:9912 allow=0.0.0.0/0 token-file=/etc/token\n"                                          \
    "takeover = unix:/run/sentinel-spoa/takeover.sock mode=600\n"                                            \
    "allow = 10.0.0.0/8\n"                                                                                   \
    "allow = 2001:db8::1/128\n"                                                                              \
    "max-connections = 500\n"                                                                                \
    "idle-timeout = 60000ms\n"                                                                               \
    "log-level = debug\n"                                                                                    \
    "log-format = json\n"                                                                                    \
    "syslog = /dev/log\n"                                                                                    \
    "drain-timeout = 120000ms\n"                                                                             \
    "park-max = 20000\n"                                                                                     \
    "user = redis\n"                                                                                         \
    "group = haproxy\n"                                                                                      \
    "sandbox = no\n"                                                                                         \
    "autoreload = yes\n"                                                                                     \
    "\n"                                                                                                     \
    "[haproxy]\n"                                                                                            \
    "runtime-api = unix:/run/haproxy/admin.sock\n"                                                           \
    "runtime-api = 10.0.0.5:9999\n"                                                                          \
    "runtime-api = master:unix:/run/haproxy-master.sock\n"                                                   \
    "runtime-api = master:[::1]:9998\n"                                                                      \
    "backend = bk_redis\n"                                                                                   \
    "\n"                                                                                                     \
    "[sentinels]\n"                                                                                          \
    "source = sentinel\n"                                                                                    \
    "address = 10.0.0.1:26379\n"                                                                             \
    "username = haproxy\n"                                                                                   \
    "password = ***\n"                                                                                       \
    "tls = yes\n"                                                                                            \
    "tls-ca = /etc/ca.pem\n"                                                                                 \
    "tls-cert = /etc/cert.pem\n"                                                                             \
    "tls-key = /etc/key.pem\n"                                                                               \
    "tls-server-name = redis.example.org\n"                                                                  \
    "poll = 2000ms\n"                                                                                        \
    "reply-timeout = 250ms\n"                                                                                \
    "connect-timeout = 300ms\n"                                                                              \
    "vote-life = 3000ms\n"                                                                                   \
    "subscribe = no\n"                                                                                       \
    "\n"                                                                                                     \
    "[sentinels second]\n"                                                                                   \
    "source = sentinel\n"                                                                                    \
    "address = s1.example.org:26379\n"                                                                       \
    "address = s2.example.org:26379\n"                                                                       \
    "address = [2001:db8::3]:26379\n"                                                                        \
    "password-file = /run/a secret\n"                                                                        \
    "tls = no\n"                                                                                             \
    "poll = 1000ms\n"                                                                                        \
    "reply-timeout = 500ms\n"                                                                                \
    "connect-timeout = 500ms\n"                                                                              \
    "vote-life = 2000ms\n"                                                                                   \
    "subscribe = yes\n"                                                                                      \
    "\n"                                                                                                     \
    "[nodes third]\n"                                                                                        \
    "source = cluster\n"                                                                                     \
    "address = 10.0.0.1:7001\n"                                                                              \
    "address = 10.0.0.2:7001\n"                                                                              \
    "address = 10.0.0.3:7001\n"                                                                              \
    "tls = no\n"                                                                                             \
    "poll = 1000ms\n"                                                                                        \
    "reply-timeout = 500ms\n"                                                                                \
    "connect-timeout = 500ms\n"                                                                              \
    "vote-life = 2000ms\n"                                                                                   \
    "subscribe = yes\n"                                                                                      \
    "\n"                                                                                                     \
    "[service a]\n"                                                                                          \
    "monitor = redis-1\n"                                                                                    \
    "sentinels = second\n"                                                                                   \
    "when-alone = refuse\n"                                                                                  \
    "server = R1 10.0.0.1:6379\n"                                                                            \
    "server = R-2_x.y:z redis-2.example.org:6379 alias=10.0.0.2:6379 alias=[2001:db8::2]:6379 weight=10\n"   \
    "quorum = 3\n"                                                                                           \
    "allow-any-address = no\n"                                                                               \
    "backend = bk_a\n"                                                                                       \
    "backend = bk_b\n"                                                                                       \
    "check-mode = master\n"                                                                                  \
    "check-pulse = 3000ms\n"                                                                                 \
    "check-delay = 250ms\n"                                                                                  \
    "replicas = yes\n"                                                                                       \
    "max-lag = 1048576b\n"                                                                                   \
    "replica-fallback = master\n"                                                                            \
    "park = 2000ms\n"                                                                                        \
    "gone-clients = serve\n"                                                                                 \
    "role-check = require\n"                                                                                 \
    "username = probe\n"                                                                                     \
    "password = ***\n"                                                                                       \
    "tls = yes\n"                                                                                            \
    "tls-ca = /etc/ca.pem\n"                                                                                 \
    "tls-cert = /etc/cert.pem\n"                                                                             \
    "tls-key = /etc/key.pem\n"                                                                               \
    "tls-server-name = redis.example.org\n"                                                                  \
    "debounce = 500ms\n"                                                                                     \
    "witness = yes\n"                                                                                        \
    "keep = 30000ms\n"                                                                                       \
    "keep-when = refused\n"                                                                                  \
    "fence = 4000ms\n"                                                                                       \
    "down-after = 1500ms\n"                                                                                  \
    "early-fence = yes\n"                                                                                    \
    "early-fence-max = 1000ms\n"                                                                             \
    "on-switch = /bin/true one two\n"                                                                        \
    "on-switch-timeout = 10000ms\n"                                                                          \
    "on-switch-retry = 2000ms\n"                                                                             \
    "\n"                                                                                                     \
    "[service b]\n"                                                                                          \
    "monitor = b\n"                                                                                          \
    "when-alone = refuse\n"                                                                                  \
    "quorum = 1\n"                                                                                           \
    "allow-any-address = yes\n"                                                                              \
    "check-mode = pulse\n"                                                                                   \
    "check-pulse = 5000ms\n"                                                                                 \
    "check-delay = 0ms\n"                                                                                    \
    "replicas = no\n"                                                                                        \
    "max-lag = 0\n"                                                                                          \
    "replica-fallback = none\n"                                                                              \
    "park = 0ms\n"                                                                                           \
    "gone-clients = refuse\n"                                                                                \
    "role-check = off\n"                                                                                     \
    "password-file = /run/node secret\n"                                                                     \
    "tls = no\n"                                                                                             \
    "debounce = 1000ms\n"                                                                                    \
    "witness = no\n"                                                                                         \
    "keep = 0ms\n"                                                                                           \
    "keep-when = unreachable\n"                                                                              \
    "fence = 0ms\n"                                                                                          \
    "down-after = 0ms\n"                                                                                     \
    "early-fence = no\n"                                                                                     \
    "early-fence-max = 3000ms\n"                                                                             \
    "on-switch-timeout = 30000ms\n"                                                                          \
    "on-switch-retry = 1000ms\n"                                                                             \
    "\n"                                                                                                     \
    "[service c]\n"                                                                                          \
    "monitor = c\n"                                                                                          \
    "nodes = third\n"                                                                                        \
    "slot = 16383\n"                                                                                         \
    "when-alone = refuse\n"                                                                                  \
    "server = N1 10.0.0.1:7001\n"                                                                            \
    "quorum = 2\n"                                                                                           \
    "allow-any-address = no\n"                                                                               \
    "check-mode = pulse\n"                                                                                   \
    "check-pulse = 5000ms\n"                                                                                 \
    "check-delay = 0ms\n"                                                                                    \
    "replicas = no\n"                                                                                        \
    "max-lag = 0\n"                                                                                          \
    "replica-fallback = none\n"                                                                              \
    "park = auto\n"                                                                                          \
    "gone-clients = refuse\n"                                                                                \
    "role-check = veto\n"                                                                                    \
    "tls = no\n"                                                                                             \
    "debounce = 1000ms\n"                                                                                    \
    "witness = no\n"                                                                                         \
    "keep = 0ms\n"                                                                                           \
    "keep-when = unreachable\n"                                                                              \
    "fence = 0ms\n"                                                                                          \
    "down-after = 0ms\n"                                                                                     \
    "early-fence = no\n"                                                                                     \
    "early-fence-max = 3000ms\n"                                                                             \
    "on-switch-timeout = 30000ms\n"                                                                          \
    "on-switch-retry = 1000ms\n"                                                                             \
    "\n"

struct loaded {
    struct config *config;
    struct config_errors errors;
};

static inline struct loaded begin(void)
{
    struct loaded loaded = {.config = config_create()};

    assert_non_null(loaded.config);
    return loaded;
}

static inline void end(struct loaded *loaded)
{
    config_errors_finish(&loaded->errors);
    config_destroy(loaded->config);
}

/* These tests have an empty environment. */
static inline char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

/* To be ended by end(). */
static inline struct loaded load(const char *text)
{
    struct loaded loaded = begin();
    struct config_reader reader;

    config_reader_init(&reader, loaded.config, FILE_NAME, no_variable, &loaded.errors);
    config_reader_feed(&reader, text, strlen(text));
    config_reader_end(&reader);
    config_finish(loaded.config, FILE_NAME, &loaded.errors);
    return loaded;
}

static inline struct loaded load_good(const char *text)
{
    struct loaded loaded = load(text);

    if (loaded.errors.count > 0)
        fail_msg("%s", loaded.errors.texts[0]);
    assert_false(loaded.errors.out_of_memory);
    return loaded;
}

static inline void check_texts(const struct config_errors *errors, const char *const *expected)
{
    size_t count = 0;

    while (count < ERRORS_MAX && expected[count] != NULL)
        count++;
    for (size_t i = 0; i < count && i < errors->count; i++)
        assert_string_equal(errors->texts[i], expected[i]);
    if (errors->count > count)
        fail_msg("not expected: %s", errors->texts[count]);
    assert_int_equal(errors->count, count);
    assert_false(errors->out_of_memory);
}

static inline void check_errors(const char *text, const char *const *expected)
{
    struct loaded loaded = load(text);

    check_texts(&loaded.errors, expected);
    end(&loaded);
}

static inline void check_error(const char *text, const char *expected)
{
    check_errors(text, (const char *const[]){expected, NULL});
}

/* To be freed. */
static inline char *dump(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);

    assert_non_null(stream);
    config_dump(config, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

#endif
