/* The configuration at its edges: lines of keys, work in slices, how long and how many things may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/config/config_keywords.h"
#include "spoa/core/config/config_lines.h"
#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/replicas.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/haproxy/check_mode.h"
#include "tests/unit/core/config/config_fixture.h"

static void test_lines(void **state)
{
    struct config_lines lines = {.list = NULL};

    (void)state;
    assert_true(config_lines_note(&lines, "agent", 0, "", 1));
    assert_true(config_lines_note(&lines, "agent", 0, "allow", 2));
    assert_true(config_lines_note(&lines, "service", 0, "", 3));
    assert_true(config_lines_note(&lines, "service", 0, "server", 4));
    assert_true(config_lines_note(&lines, "service", 0, "server", 5));
    assert_true(config_lines_note(&lines, "service", 1, "", 6));
    assert_true(config_lines_note(&lines, "service", 1, "server", 7));
    assert_int_equal(config_lines_find(&lines, "agent", 0, "allow", 0), 2);
    assert_int_equal(config_lines_find(&lines, "agent", 0, "allow", 1), 1);
    assert_int_equal(config_lines_find(&lines, "agent", 0, "server", 0), 1);
    assert_int_equal(config_lines_find(&lines, "service", 0, "server", 0), 4);
    assert_int_equal(config_lines_find(&lines, "service", 0, "server", 1), 5);
    assert_int_equal(config_lines_find(&lines, "service", 0, "server", 2), 3);
    assert_int_equal(config_lines_find(&lines, "service", 1, "server", 0), 7);
    assert_int_equal(config_lines_find(&lines, "service", 2, "server", 0), 0);
    assert_int_equal(config_lines_find(&lines, "haproxy", 0, "server", 0), 0);
    assert_true(config_lines_have(&lines, "service", 1, "server"));
    assert_true(config_lines_have(&lines, "agent", 0, "allow"));
    assert_false(config_lines_have(&lines, "agent", 0, "server"));
    assert_false(config_lines_have(&lines, "agent", 1, "allow"));
    assert_int_equal(lines.text_count, 5); /* each once */
    config_lines_finish(&lines);
    assert_int_equal(lines.count + lines.text_count, 0);
}

/* The lines of a file that was read. */
static void test_lines_of_keys(void **state)
{
    struct loaded loaded =
        load_good("[agent]\nlisten = 127.0.0.1:1\nhttp = [::]:1 token-file=/t\n" SENTINELS
                  "password-file = /p\n" SERVICE
                  "[service n]\nserver = R1 10.0.0.1:6379\npassword-file = /q\ntls = yes\n");
    const struct config *config = loaded.config;

    (void)state;
    assert_int_equal(config->agent.listens.list[0].tls.line, 2);
    assert_int_equal(config->agent.listens.list[0].token.password_file_line, 2);
    assert_int_equal(config->agent.web.list[0].token.password_file_line, 3);
    assert_int_equal(config->groups[0].credentials.password_file_line, 8);
    assert_int_equal(config->services[0].credentials.password_file_line, 0);
    assert_int_equal(config->services[1].credentials.password_file_line, 13);
    assert_int_equal(config->services[0].tls.line, 0);
    assert_int_equal(config->services[1].tls.line, 14);
    assert_int_equal(config_lines_find(&config->lines, "agent", 0, "http", 0), 3);
    assert_int_equal(config_lines_find(&config->lines, "sentinels", 0, "address", 2), 7);
    assert_int_equal(config_lines_find(&config->lines, "service", 1, "", 0), 11);
    end(&loaded);
}

/* An address that could not be read has no line to note. */
static void test_line_of_a_bad_address(void **state)
{
    struct loaded loaded = load("[agent]\nlisten = x\nlisten = 127.0.0.1:1 tls-cert=/c\nlisten = y\n" GOOD);

    (void)state;
    check_texts(&loaded.errors, (const char *const[]){loaded.errors.texts[0],
                                                      "t.conf:3: 'tls-cert=' and 'tls-key=' need each other",
                                                      loaded.errors.texts[2], NULL});
    assert_int_equal(loaded.config->agent.listens.list[0].tls.line, 3);
    end(&loaded);
}

/* Each slice does one unit; the last one is followed by the end. */
static void test_slices(void **state)
{
    static const char text[] =
        SENTINELS SERVICE "[service n]\nserver = R1 10.0.0.1:6379\nkeep-when = refused\n";
    struct loaded loaded = begin();
    struct config_reader reader;
    unsigned slices = 0;
    size_t budget = 1;

    (void)state;
    config_reader_init(&reader, loaded.config, FILE_NAME, no_variable, &loaded.errors);
    config_reader_feed(&reader, text, strlen(text));
    config_reader_end(&reader);
    for (; config_finish_some(loaded.config, FILE_NAME, &loaded.errors, &budget) == PROGRESS_MORE; slices++) {
        assert_int_equal(budget, 0);
        assert_int_equal(loaded.config->services[0].quorum, slices >= 1 ? 2 : 0);
        assert_int_equal(loaded.config->services[1].quorum, slices >= 2 ? 2 : 0);
        budget = 1;
    }
    assert_int_equal(slices, 5); /* the whole, twice two services; the rest is the last */
    assert_int_equal(loaded.errors.count, 0);
    check_texts(&loaded.config->warnings,
                (const char *const[]){"t.conf:7: 'keep-when' does nothing without 'keep'", NULL});
    for (size_t left = 3; left > 0; left--) {
        budget = 1;
        assert_int_equal(loaded.config->service_count + loaded.config->group_count, left);
        assert_int_equal(config_shed(loaded.config, &budget), left > 1);
    }
    budget = 0;
    assert_false(config_shed(loaded.config, &budget));
    end(&loaded);
}

/* ---- how long, how many ---- */

static void test_backend_names(void **state)
{
    char name[102] = {0};
    char text[512];

    (void)state;
    for (int over = 0; over < 2; over++) {
        memset(name, 'n', 100u + (unsigned)over);
        snprintf(text, sizeof(text), GOOD "backend = %s\n", name);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.errors.count, over);
        end(&loaded);
    }
}

static void test_most_servers(void **state)
{
    (void)state;
    for (unsigned count = REPLICAS_MAX; count <= REPLICAS_MAX + 1; count++) {
        char text[4096] = SENTINELS "[service m]\n";
        for (unsigned i = 0; i < count; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "server = R%u 10.0.1.%u:6379\n", i, i);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.errors.count, count > REPLICAS_MAX);
        if (count > REPLICAS_MAX)
            assert_string_equal(loaded.errors.texts[0], "t.conf:5: [service m] has more than 64 servers");
        end(&loaded);
    }
}

/* A path that would not fit, and the kernel's port behind a text that would not. */
static void test_long_addresses(void **state)
{
    struct config_haproxy haproxy = {.runtime_apis = NULL};
    struct config_listens listens = {.list = NULL};
    char value[2 * ADDR_TEXT_MAX];

    (void)state;
    memset(value, 'x', sizeof(value));
    value[0] = '/';
    value[sizeof(value) - 1] = '\0';
    assert_int_equal(config_type_runtime_apis.read(&haproxy, value), CONFIG_READ_BAD);
    assert_int_equal(config_type_runtime_apis.read(&haproxy, "host:1"), CONFIG_READ_BAD);
    for (size_t len = ADDR_TEXT_MAX - 1; len <= ADDR_TEXT_MAX + 1; len++) {
        memset(value, '1', len);
        memcpy(value + len - 2, ":0", 3);
        assert_int_equal(config_type_listens.read(&listens, value), CONFIG_READ_BAD);
    }
}

/* What is shown of a message ends somewhere. */
static void test_long_message(void **state)
{
    struct config_errors errors = {.texts = NULL};
    struct config_place place = {.file = "f", .line = 1};
    char text[2048];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    config_error(&errors, &place, "%s\n", text);
    assert_int_equal(strlen(errors.texts[0]), strlen("f:1: ") + 511);
    config_errors_finish(&errors);
}

static void test_names_of_sections(void **state)
{
    struct config_place place = {.file = FILE_NAME, .line = 9};

    (void)state;
    check_error(GOOD "[service a[b]\n",
                "t.conf:7: bad section name 'a[b': at most 200 printable characters without blanks");
    check_error(
        GOOD "[service \"n\"]\n",
        "t.conf:7: the name in [service \"n\"] is in quotes: they would be part of it, leave them out");
    check_error(GOOD "[nodes 'n']\n",
                "t.conf:7: the name in [nodes 'n'] is in quotes: they would be part of it, leave them out");
    check_error(GOOD "[a-name-that-is-far-longer m]\n",
                "t.conf:7: unknown section [a-name-that-is-far-longer m]: there are [agent], [haproxy], "
                "[sentinels], [nodes NAME] and [service NAME]");
    check_error(GOOD "[node n]\n",
                "t.conf:7: unknown section [node n]: there are [agent], [haproxy], [sentinels], [nodes NAME] "
                "and [service NAME]");
    check_error("[haproxy x]\n" GOOD, "t.conf:1: [haproxy] has no name");
    check_error("[nodes]\n" GOOD, "t.conf:1: [nodes NAME] needs a name");
    check_error(GOOD
                "[sentinels x]\naddress = a:1\ncolour = red\n[service n]\nserver = A a:1\nsentinels = x\n",
                "t.conf:9: unknown key 'colour' in [sentinels x]");
    check_error(GOOD "[sentinels x]\naddress = a:1\npoll = 1s\npoll = 1s\n[service n]\nserver = A a:1\n"
                     "sentinels = x\n",
                "t.conf:10: 'poll' is given twice in [sentinels x]");
    check_error("[sentinels]\naddress = unix:/s\ntls = yes\n" SERVICE,
                "t.conf:1: there is no TLS to a UNIX socket");
    struct loaded loaded = load_good(GOOD);
    config_section(loaded.config, &place, "service a]b", &loaded.errors);
    check_texts(
        &loaded.errors,
        (const char *const[]){
            "t.conf:9: bad section name 'a]b': at most 200 printable characters without blanks", NULL});
    end(&loaded);
}

/* A name of one character is no empty one, and a 0 is not what is left out. */
static void test_dump_of_short_names(void **state)
{
    static const char head[] = "[agent]\nlisten = unix:/s mode=0 owner=o group=g\n";
    struct loaded loaded = load_good("[agent]\nlisten = unix:/s mode=0 owner=o group=g\n"
                                     "[sentinels x]\naddress = a:1\n[service m]\nsentinels = x\n"
                                     "server = R1 10.0.0.1:6379 weight=256\nserver = R2 10.0.0.2:1 weight=0\n"
                                     "max-lag = 5s\nreplicas = yes\n");
    char *text = dump(loaded.config);

    (void)state;
    assert_memory_equal(text, head, strlen(head));
    assert_non_null(strstr(text, "\n[sentinels x]\n"));
    assert_non_null(
        strstr(text, "\nserver = R1 10.0.0.1:6379 weight=256\nserver = R2 10.0.0.2:1 weight=0\n"));
    assert_non_null(strstr(text, "\nmax-lag = 5000ms\n"));
    free(text);
    end(&loaded);
}

/* Each key of TLS by itself asks for `tls = yes`. */
static void test_half_of_tls(void **state)
{
    static const char *const lines[] = {"tls-cert = /c", "tls-key = /c"};
    char text[512];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text), SENTINELS "%s\n" SERVICE, lines[i]);
        check_errors(text,
                     (const char *const[]){"t.conf:1: 'tls-ca' and its like do nothing without 'tls = yes'",
                                           "t.conf:1: 'tls-cert' and 'tls-key' need each other", NULL});
    }
    check_errors(
        "[agent]\ncheck = [::]:2 tls-cert=/c\nhttp = [::]:2 tls-key=/c\nlisten = [::]:1 tls-cert=/c "
        "tls-client-ca=/a\n"
        "check = [::]:3 tls-client-ca=/a token-file=/t\n" GOOD,
        (const char *const[]){"t.conf:2: 'tls-cert=', 'tls-key=' and 'tls-client-ca=' are for 'listen' only",
                              "t.conf:3: 'tls-cert=', 'tls-key=' and 'tls-client-ca=' are for 'listen' only",
                              "t.conf:4: 'tls-cert=' and 'tls-key=' need each other",
                              "t.conf:5: 'tls-cert=', 'tls-key=' and 'tls-client-ca=' are for 'listen' only",
                              "t.conf:5: 'token-file=' is for 'http' only", NULL});
    check_error(
        "[agent]\nhttp = [::1]:1 allow=10.0.0.0/8 allow=::ffff:10.0.0.0/95\n" GOOD,
        "t.conf:2: bad value '[::1]:1 allow=10.0.0.0/8 allow=::ffff:10.0.0.0/95' for 'http': an IPv4-mapped "
        "network has 96 bits or more; write it as IPv4, such as 10.0.0.0/8");
}

/* A section that is refused has no keys. */
static void test_sections_that_are_refused(void **state)
{
    struct loaded loaded =
        load("[agent x]\nlog-level = debug\n" GOOD "[service]\nserver = A a:1\n[nodes]\npoll = 2s\n");

    (void)state;
    assert_int_equal(loaded.errors.count, 3);
    assert_int_equal(loaded.config->agent.log_level, LOG_LEVEL_INFO);
    assert_int_equal(loaded.config->service_count, 1);
    assert_int_equal(loaded.config->group_count, 1);
    end(&loaded);
}

/* ---- values ---- */

/* Each word is read as its number, and written as it was. */
static void check_words(const struct config_type *type, const char *const *words, int first)
{
    for (int i = 0; words[i] != NULL; i++) {
        char *text = NULL;
        size_t len = 0;
        char expected[64];
        int number = -1;
        FILE *out = open_memstream(&text, &len);
        assert_non_null(out);
        assert_int_equal(type->read(&number, words[i]), CONFIG_READ_OK);
        assert_int_equal(number, first + i);
        type->write(&number, "key", out);
        assert_int_equal(fclose(out), 0);
        (void)snprintf(expected, sizeof(expected), "key = %s\n", words[i]);
        assert_string_equal(text, expected);
        free(text);
        assert_int_equal(type->read(&number, "other"), CONFIG_READ_BAD);
        assert_int_equal(number, first + i);
    }
}

static void test_words(void **state)
{
    (void)state;
    check_words(&config_type_level, (const char *const[]){"error", "warning", "info", "debug", NULL},
                LOG_LEVEL_ERROR);
    check_words(&config_type_format, (const char *const[]){"logfmt", "json", NULL}, LOG_FORMAT_LOGFMT);
    check_words(&config_type_role_check, (const char *const[]){"off", "veto", "require", NULL},
                ROLE_CHECK_OFF);
    check_words(&config_type_source, (const char *const[]){"sentinel", "replication", "cluster", NULL},
                VOTER_SOURCE_SENTINEL);
    check_words(&config_type_when_alone, (const char *const[]){"refuse", "name", NULL}, WHEN_ALONE_REFUSE);
}

/* Blanks around the sign are not needed. */
static void test_keys_without_blanks(void **state)
{
    struct loaded loaded =
        load_good(SENTINELS "[service m]\nserver=R1 10.0.0.1:6379\nquorum=3\nmonitor\t=\tx\n");

    (void)state;
    assert_int_equal(loaded.config->services[0].quorum, 3);
    assert_string_equal(loaded.config->services[0].monitor, "x");
    end(&loaded);
    check_error(GOOD "monitor=\n", "t.conf:7: bad value '' for 'monitor': it takes a text");
}

/* The later text takes the place of the former. One character is a text. */
static void test_texts(void **state)
{
    char *text = NULL;

    (void)state;
    assert_int_equal(config_type_text.read(&text, "first"), CONFIG_READ_OK);
    assert_int_equal(config_type_text.read(&text, "s"), CONFIG_READ_OK);
    assert_string_equal(text, "s");
    assert_int_equal(config_type_text.read(&text, ""), CONFIG_READ_BAD);
    assert_string_equal(text, "s");
    free(text);
}

static void test_slots(void **state)
{
    struct config_slot slot = {.number = 1};

    (void)state;
    assert_int_equal(config_type_slot.read(&slot, "16384"), CONFIG_READ_BAD);
    assert_int_equal(config_type_slot.read(&slot, ""), CONFIG_READ_BAD);
    assert_int_equal(config_type_slot.read(&slot, "5x"), CONFIG_READ_BAD);
    assert_false(slot.is_given);
    assert_int_equal(config_type_slot.read(&slot, "0"), CONFIG_READ_OK);
    assert_true(slot.is_given);
    assert_int_equal(slot.number, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_of_keys),
        cmocka_unit_test(test_line_of_a_bad_address),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_backend_names),
        cmocka_unit_test(test_most_servers),
        cmocka_unit_test(test_long_addresses),
        cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_names_of_sections),
        cmocka_unit_test(test_dump_of_short_names),
        cmocka_unit_test(test_half_of_tls),
        cmocka_unit_test(test_sections_that_are_refused),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_keys_without_blanks),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
