/* The configuration: what the keys set, what is not known, and a dump that reads as what it shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/decision/server_map.h"
#include "tests/unit/core/config/config_fixture.h"

static void test_defaults(void **state)
{
    struct loaded loaded = load_good(GOOD);
    const struct config *config = loaded.config;
    char text[ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(config->agent.listens.count, 1);
    assert_string_equal(addr_format(&config->agent.listens.list[0].addr, text), "127.0.0.1:9012");
    assert_int_equal(config->agent.listens.list[0].mode, -1);
    assert_int_equal(config->agent.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->agent.log_format, LOG_FORMAT_LOGFMT);
    assert_int_equal(config->agent.drain_timeout_ms, 5000);
    assert_int_equal(config->groups[0].poll_ms, 1000);
    assert_int_equal(config->groups[0].reply_timeout_ms, 500);
    assert_int_equal(config->groups[0].connect_timeout_ms, 500);
    assert_int_equal(config->groups[0].vote_life_ms, 2000);
    assert_true(config->groups[0].subscribe);
    assert_null(config->groups[0].credentials.username);
    assert_null(config->groups[0].credentials.password);
    assert_string_equal(config->services[0].monitor, "m");
    assert_int_equal(config->services[0].quorum, 2);
    assert_false(config->services[0].allow_any_address);
    assert_int_equal(config->warnings.count, 0);
    end(&loaded);
}

static void test_every_key(void **state)
{
    struct loaded loaded = load_good(FULL);
    const struct config *config = loaded.config;
    const struct config_listen *listen = &config->agent.listens.list[2];

    (void)state;
    assert_int_equal(config->agent.listens.list[0].addr.port, 0);
    assert_int_equal(config->agent.listens.list[0].addr.kind, ADDR_IPV4);
    assert_int_equal(listen->addr.kind, ADDR_UNIX);
    assert_int_equal(listen->mode, 0660);
    assert_string_equal(listen->owner, "haproxy");
    assert_string_equal(listen->group, "redis");
    assert_int_equal(config->agent.checks.list[0].addr.port, 9013);
    listen = &config->agent.listens.list[0];
    assert_true(listen->tls.is_on);
    assert_int_equal(listen->tls.line, 2);
    assert_string_equal(listen->tls.cert_file, "/etc/a$b.pem");
    assert_string_equal(listen->tls.key_file, "/etc/a.key");
    assert_string_equal(listen->tls.ca_file, "/etc/peers.pem");
    assert_false(config->agent.listens.list[1].tls.is_on);
    assert_string_equal(config->agent.web.list[0].token.password_file, "/etc/token");
    assert_int_equal(config->agent.web.list[0].token.password_file_line, 6);
    assert_int_equal(config->agent.listens.list[1].allowed.count, 2);
    assert_ptr_equal(config_allowed(&config->agent, &config->agent.listens.list[1]),
                     &config->agent.listens.list[1].allowed);
    assert_ptr_equal(config_allowed(&config->agent, &config->agent.listens.list[0]), &config->agent.allowed);
    assert_int_equal(config->services[0].check_mode, CHECK_MODE_MASTER);
    assert_int_equal(config->agent.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->agent.log_format, LOG_FORMAT_JSON);
    assert_int_equal(config->group_count, 3);
    assert_string_equal(config->groups[0].credentials.username, "haproxy");
    assert_string_equal(config->groups[0].credentials.password, "***");
    assert_false(config->groups[0].subscribe);
    assert_int_equal(config->groups[0].line, 29);
    assert_int_equal(config->groups[1].address_count, 3);
    assert_string_equal(config->groups[1].credentials.password_file, "/run/a secret");
    assert_int_equal(config->groups[1].credentials.password_file_line, 50);
    assert_int_equal(config->service_count, 3);
    assert_int_equal(config->services[0].group, 1);
    assert_int_equal(config->services[0].quorum, 3);
    assert_string_equal(config->services[0].monitor, "redis-1");
    assert_string_equal(config->services[0].servers[1].name, "R-2_x.y:z");
    assert_int_equal(config->services[0].servers[0].weight, 1);
    assert_int_equal(config->services[0].servers[1].weight, 10);
    assert_int_equal(config->services[0].servers[0].alias_count, 0);
    assert_int_equal(config->services[0].servers[1].alias_count, 2);
    char alias[ADDR_TEXT_MAX];
    assert_string_equal(addr_format(&config->services[0].servers[1].aliases[1], alias), "[2001:db8::2]:6379");
    assert_int_equal(config->services[0].max_lag.unit, LAG_BYTES);
    assert_int_equal(config->services[1].group, 0);
    assert_true(config->services[1].allow_any_address);
    end(&loaded);
}

struct files {
    size_t count;
    char text[1024];
};

static void note_file(void *context, const char *path)
{
    struct files *files = context;

    files->count++;
    (void)snprintf(files->text + strlen(files->text), sizeof(files->text) - strlen(files->text), "%s\n",
                   path);
}

/* Those that the sandbox must allow, and that autoreload watches. */
static void test_every_file(void **state)
{
    struct loaded loaded = load_good(FULL);
    struct files files = {.count = 0};

    (void)state;
    config_each_file(loaded.config, note_file, &files);
    assert_string_equal(files.text, "/etc/peers.pem\n/etc/a$b.pem\n/etc/a.key\n/etc/token\n/etc/ca.pem\n"
                                    "/etc/cert.pem\n/etc/key.pem\n/run/a secret\n/etc/ca.pem\n"
                                    "/etc/cert.pem\n/etc/key.pem\n/run/node secret\n");
    end(&loaded);
}

/* One line or several; a service's own in place of the common ones. */
static void test_backends(void **state)
{
    struct loaded loaded = load_good("[haproxy]\nbackend = b1  b2\nbackend = b3\n" GOOD
                                     "[service own]\nserver = R1 10.0.0.9:6379\nbackend = b4\n");
    const struct config *config = loaded.config;
    const struct config_names *common = config_service_backends(config, &config->services[0]);
    const struct config_names *own = config_service_backends(config, &config->services[1]);

    (void)state;
    assert_int_equal(common->count, 3);
    assert_string_equal(common->list[0], "b1");
    assert_string_equal(common->list[1], "b2");
    assert_string_equal(common->list[2], "b3");
    assert_int_equal(own->count, 1);
    assert_string_equal(own->list[0], "b4");
    end(&loaded);
}

static void test_dump_reads_as_it_was(void **state)
{
    struct loaded loaded = load_good(FULL);
    char *text = dump(loaded.config);

    (void)state;
    assert_string_equal(text, FULL);
    free(text);
    end(&loaded);
}

static void test_dump_fills_in_defaults(void **state)
{
    struct loaded first = load_good(GOOD);
    char *text = dump(first.config);
    struct loaded second = load_good(text);
    char *again = dump(second.config);

    (void)state;
    assert_non_null(strstr(text, "listen = 127.0.0.1:9012\n"));
    assert_non_null(strstr(text, "quorum = 2\n"));
    assert_string_equal(text, again);
    free(text);
    free(again);
    end(&first);
    end(&second);
}

static void test_password_is_never_shown(void **state)
{
    struct loaded loaded = load_good(GOOD);
    struct config_place place = {.file = FILE_NAME, .line = 7};

    (void)state;
    /* One that came from the environment may be what no line can give. */
    config_section(loaded.config, &place, "sentinels second", &loaded.errors);
    config_set(loaded.config, &place, "password", "s3cret ;${x", &loaded.errors);
    assert_int_equal(loaded.errors.count, 0);
    assert_string_equal(loaded.config->groups[1].credentials.password, "s3cret ;${x");
    char *text = dump(loaded.config);
    assert_null(strstr(text, "s3cret"));
    assert_non_null(strstr(text, "password = ***\n"));
    free(text);
    end(&loaded);
    check_error(SENTINELS "password = \n" SERVICE,
                "t.conf:5: bad value '***' for 'password': it takes a text");
}

/* The password that a password-file held is that key's, not a key of its own. */
static void test_dump_of_password_file(void **state)
{
    struct loaded loaded = load_good("[sentinels]\npassword-file = /f\naddress = s1:1\n" SERVICE);

    (void)state;
    loaded.config->groups[0].credentials.password = strdup("s3cret");
    char *text = dump(loaded.config);
    assert_null(strstr(text, "password = "));
    assert_non_null(strstr(text, "password-file = /f\n"));
    free(text);
    end(&loaded);
}

static void test_unknown_words(void **state)
{
    (void)state;
    check_error(GOOD "quorun = 2\n", "t.conf:7: unknown key 'quorun' in [service m], did you mean 'quorum'?");
    check_error(GOOD "colour = red\n", "t.conf:7: unknown key 'colour' in [service m]");
    check_error("[agent]\nlog_level = info\n" GOOD,
                "t.conf:2: unknown key 'log_level' in [agent], did you mean 'log-level'?");
    check_error(SENTINELS "pol = 1s\n" SERVICE,
                "t.conf:5: unknown key 'pol' in [sentinels], did you mean 'poll'?");
    /* Three letters may be wrong; with four it is another word. */
    check_error("[agent]\ndrain-time = 1s\n" GOOD,
                "t.conf:2: unknown key 'drain-time' in [agent], did you mean 'drain-timeout'?");
    check_error("[agent]\ndrain-tim = 1s\n" GOOD, "t.conf:2: unknown key 'drain-tim' in [agent]");
    /* A key of another section is not known here. */
    check_error("[agent]\nquorum = 2\n" GOOD, "t.conf:2: unknown key 'quorum' in [agent]");
    /* The keys of a section that is unknown are passed over. */
    check_error(GOOD "[servise x]\nno = such\n",
                "t.conf:7: unknown section [servise x], did you mean [service x]?");
    check_error(GOOD "[metrics]\n", "t.conf:7: unknown section [metrics]: there are [agent], [haproxy], "
                                    "[sentinels], [nodes NAME] and [service NAME]");
    check_error("listen = 127.0.0.1:1\n" GOOD, "t.conf:1: key 'listen' stands before any section");
}

static void test_sections(void **state)
{
    (void)state;
    check_error("[agent x]\n" GOOD, "t.conf:1: [agent] has no name");
    check_error(GOOD "[service]\n", "t.conf:7: [service NAME] needs a name");
    check_error(GOOD "[service a b]\n", "t.conf:7: bad section name 'a b': at most 200 printable characters "
                                        "without blanks");
    check_error(GOOD SERVICE, "t.conf:7: a section [service m] is there already");
    check_error(GOOD SENTINELS, "t.conf:7: a section [sentinels] is there already");
    check_error("[sentinels x]\naddress = a:1\n[sentinels x]\naddress = a:1\n" GOOD,
                "t.conf:3: a section [sentinels x] is there already");
}

static void test_given_twice(void **state)
{
    (void)state;
    check_error(GOOD "monitor = a\nmonitor = b\n", "t.conf:8: 'monitor' is given twice in [service m]");
    check_error("[agent]\nlog-level = info\n[agent]\nlog-level = debug\n" GOOD,
                "t.conf:4: 'log-level' is given twice in [agent]");
    /* The same key of two services is no repetition. */
    struct loaded loaded = load_good(GOOD "monitor = a\n[service n]\nserver = R1 h:1\nmonitor = b\n");
    end(&loaded);
}

/* What the environment may hold and no line of a file: a dump would read as something else. */
static void test_values_that_no_line_can_hold(void **state)
{
    static const char *const bad[] = {"a\nquorum = 3", "a ;b",   ";b",    " a",
                                      "a\tb",          "a\177b", "\"a\"", "'a b'"};
    static const char *const good[] = {"a;b",     "a#b", "#b",       "a b", "$a",
                                       "${HOME}", "{a}", "\xc3\xa4", "\"a", "a'b'"};
    struct config_place place = {.file = FILE_NAME, .line = 7};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct loaded loaded = load_good(GOOD);
        free(loaded.config->services[0].monitor);
        loaded.config->services[0].monitor = NULL;
        config_set(loaded.config, &place, "monitor", bad[i], &loaded.errors);
        assert_int_equal(loaded.errors.count, 1);
        assert_null(strpbrk(loaded.errors.texts[0], "\n\t\177"));
        assert_non_null(
            strstr(loaded.errors.texts[0], "no control characters, ';' behind a blank or quotes around it"));
        assert_null(loaded.config->services[0].monitor);
        end(&loaded);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct loaded loaded = load_good(GOOD);
        config_set(loaded.config, &place, "monitor", good[i], &loaded.errors);
        assert_int_equal(loaded.errors.count, 0);
        assert_string_equal(loaded.config->services[0].monitor, good[i]);
        end(&loaded);
    }
}

static void test_destroy_of_nothing(void **state)
{
    (void)state;
    config_destroy(NULL);
}

/* Those that want the same share a context: whoever differs in one thing must not. */
static void test_the_same_tls(void **state)
{
    char texts[] = {'a', 0, 'b', 0, 'c', 0, 'd', 0, 'x', 0};
    char *other = &texts[8];
    const struct config_tls one = {.is_on = true,
                                   .ca_file = &texts[0],
                                   .cert_file = &texts[2],
                                   .key_file = &texts[4],
                                   .server_name = &texts[6]};
    struct config_tls others[] = {one, one, one, one, one};

    (void)state;
    others[0].ca_file = other;
    others[1].cert_file = other;
    others[2].key_file = other;
    others[3].server_name = other;
    others[4].server_name = NULL;
    assert_true(config_same_tls(&one, &one));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_false(config_same_tls(&one, &others[i]));
        assert_false(config_same_tls(&others[i], &one));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_every_file),
        cmocka_unit_test(test_the_same_tls),
        cmocka_unit_test(test_backends),
        cmocka_unit_test(test_dump_reads_as_it_was),
        cmocka_unit_test(test_dump_fills_in_defaults),
        cmocka_unit_test(test_password_is_never_shown),
        cmocka_unit_test(test_dump_of_password_file),
        cmocka_unit_test(test_unknown_words),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_given_twice),
        cmocka_unit_test(test_values_that_no_line_can_hold),
        cmocka_unit_test(test_destroy_of_nothing),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
