/* The command line: which options go together, and what each is read as. */
#include "spoa/cli/options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/log.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/haproxy/haproxy_version.h"

#define WORDS_MAX 160
#define WHERE "command line: "
#define NO_REHEARSAL WHERE "--through and --yes are of the command 'rehearse'"
#define NO_JSON WHERE "--json is of the commands 'status' and 'check'"
#define NO_COMMAND WHERE "--takeover, -t and --dump-config go with no command"
#define NO_SPOE WHERE "--spoe and --for are of the command 'haproxy-conf'"
#define BAD_PID(text) WHERE "bad value '" text "' for '--pid': it takes the number of a process"
#define BAD_FOR(text) WHERE "bad value '" text "' for '--for': a version of HAProxy, 2.6 or later"
#define BAD_SERVER(text) WHERE "bad value '" text "' for '--server': it takes NAME=ADDR"
#define EARLY(text) WHERE "'" text "' needs a --service before it"

static struct config *config;
static struct config_errors errors;
static struct options options;
static char line[4096];
static char *words[WORDS_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    config = config_create();
    return config != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_destroy(config);
    config_errors_finish(&errors);
    return 0;
}

/* Reads a command line whose words have a blank between them. What an earlier one has set is forgotten. */
static bool parse(const char *text)
{
    int count = 1;

    (void)tear_down(NULL);
    assert_int_equal(set_up(NULL), 0);
    optind = 0; /* getopt_long() forgets the words of before */
    assert_true(strlen(text) < sizeof(line));
    memcpy(line, text, strlen(text) + 1);
    words[0] = (char[]){"sentinel-spoa"};
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    words[count] = NULL;
    memset(&options, 0x55, sizeof(options));
    return options_parse(count, words, &options, config, &errors);
}

/* It is wrong, for this reason alone; and what was asked for is not told. */
static void is_wrong(const char *text, const char *reason)
{
    struct options untouched;

    assert_false(parse(text));
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.texts[0], reason);
    memset(&untouched, 0x55, sizeof(untouched));
    assert_memory_equal(&options, &untouched, sizeof(options));
}

static void is_right(const char *text)
{
    if (!parse(text))
        fail_msg("'%s': %s", text, errors.texts[0]);
}

static void nothing_at_all(void **state)
{
    (void)state;
    is_right("");
    assert_string_equal(options.file, "/etc/sentinel-spoa.conf");
    assert_true(options.is_default_file);
    assert_int_equal(options.command, COMMAND_RUN);
    assert_false(options.check || options.dump || options.version || options.help || options.takeover);
    assert_false(options.json || options.watch || options.spoe || options.yes || options.has_keys);
    assert_null(options.probe);
    assert_null(options.service);
    assert_null(options.through);
    assert_int_equal(options.haproxy, 0);
    assert_int_equal(options.haproxy_file_count, 0);
    assert_int_equal(options.pid, 0);
    assert_int_equal(config->service_count, 0);
}

/* Each sets what it is about, and nothing else. */
static void each_alone(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
    } flags[] = {
        {"-t", offsetof(struct options, check)},
        {"--test", offsetof(struct options, check)},
        {"--dump-config", offsetof(struct options, dump)},
        {"-V", offsetof(struct options, version)},
        {"--version", offsetof(struct options, version)},
        {"-h", offsetof(struct options, help)},
        {"--help", offsetof(struct options, help)},
        {"--takeover", offsetof(struct options, takeover)},
        {"status --json", offsetof(struct options, json)},
        {"check --json", offsetof(struct options, json)},
        {"status --watch", offsetof(struct options, watch)},
        {"haproxy-conf --spoe", offsetof(struct options, spoe)},
        {"rehearse m --through x --yes", offsetof(struct options, yes)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        is_right(flags[i].text);
        int set = options.check + options.dump + options.version + options.help + options.takeover +
                  options.json + options.watch + options.spoe + options.yes;
        assert_int_equal(set, 1);
        assert_true(*((const char *)&options + flags[i].offset) == 1);
        assert_string_equal(options.file, "/etc/sentinel-spoa.conf");
    }
    is_right("--healthcheck");
    assert_string_equal(options.probe, "/healthz");
    is_right("--readycheck");
    assert_string_equal(options.probe, "/readyz");
    is_right("-f x.conf");
    assert_string_equal(options.file, "x.conf");
    assert_false(options.is_default_file);
    is_right("--file y.conf -t");
    assert_string_equal(options.file, "y.conf");
}

static void commands(void **state)
{
    static const char *const names[] = {
        [COMMAND_STATUS] = "status", [COMMAND_EXPLAIN] = "explain",           [COMMAND_RELOAD] = "reload",
        [COMMAND_CHECK] = "check",   [COMMAND_HAPROXY_CONF] = "haproxy-conf",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (names[i] == NULL)
            continue;
        is_right(names[i]);
        assert_int_equal(options.command, i);
        assert_null(options.service);
        assert_int_equal(options.haproxy, i == COMMAND_HAPROXY_CONF ? HAPROXY_OLDEST : 0);
    }
    is_right("explain m");
    assert_string_equal(options.service, "m");
    is_right("rehearse m --through 127.0.0.1:6379");
    assert_int_equal(options.command, COMMAND_REHEARSE);
    assert_string_equal(options.service, "m");
    assert_string_equal(options.through, "127.0.0.1:6379");
    assert_false(options.yes);
    is_wrong("other", WHERE "unexpected argument 'other'");
    is_wrong("status m", WHERE "unexpected argument 'm'");
    is_wrong("reload m", WHERE "unexpected argument 'm'");
    is_wrong("explain m n", WHERE "unexpected argument 'n'");
    is_wrong("rehearse m n --through x", WHERE "unexpected argument 'n'");
}

static void what_goes_with_which_command(void **state)
{
    (void)state;
    is_wrong("explain --json", NO_JSON);
    is_wrong("--json", NO_JSON);
    is_wrong("check --watch", WHERE "--watch is of the command 'status'");
    is_wrong("--watch", WHERE "--watch is of the command 'status'");
    is_wrong("status --pid 7", WHERE "--pid is of the command 'reload'");
    is_wrong("--pid 7", WHERE "--pid is of the command 'reload'");
    is_wrong("status --haproxy x", WHERE "--haproxy is of the command 'check'");
    is_wrong("status --spoe", NO_SPOE);
    is_wrong("--for 3.0", NO_SPOE);
    is_wrong("status --takeover", NO_COMMAND);
    is_wrong("-t check", NO_COMMAND);
    is_wrong("--dump-config reload", NO_COMMAND);
    is_wrong("status --yes", NO_REHEARSAL);
    is_wrong("--through x", NO_REHEARSAL);
    is_wrong("haproxy-conf --through x --spoe", NO_REHEARSAL);
    is_wrong("rehearse --through x", WHERE "'rehearse' needs the name of a service");
    is_wrong("rehearse m",
             WHERE "'rehearse' needs --through ADDR: where HAProxy listens for clients of the service");
}

static void values(void **state)
{
    (void)state;
    is_right("reload --pid 1");
    assert_int_equal(options.pid, 1);
    is_right("reload --pid 2147483647");
    assert_int_equal(options.pid, 2147483647);
    is_wrong("reload --pid 0", BAD_PID("0"));
    is_wrong("reload --pid -1", BAD_PID("-1"));
    is_wrong("reload --pid 2147483648", BAD_PID("2147483648"));
    is_wrong("reload --pid 7x", BAD_PID("7x"));
    is_wrong("reload --pid x", BAD_PID("x"));
    is_right("haproxy-conf --for 3.2");
    assert_int_equal(options.haproxy, 302);
    is_right("haproxy-conf --for 2.6");
    assert_int_equal(options.haproxy, HAPROXY_OLDEST);
    is_wrong("haproxy-conf --for 2.5", BAD_FOR("2.5"));
    is_wrong("-f", WHERE "-f needs a value");
    is_wrong("--frob", WHERE "unknown option '--frob'");
    is_wrong("-x", WHERE "unknown option '-x'");
    is_wrong("-t\x7f", WHERE "unknown option '-?'");
}

static void files_of_haproxy(void **state)
{
    char text[2048] = "check";

    (void)state;
    for (int i = 0; i < HAPROXY_FILES_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " --haproxy f%d", i);
    is_right(text);
    assert_int_equal(options.haproxy_file_count, HAPROXY_FILES_MAX);
    assert_string_equal(options.haproxy_files[0], "f0");
    assert_string_equal(options.haproxy_files[HAPROXY_FILES_MAX - 1], "f63");
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " --haproxy more");
    is_wrong(text, WHERE "--haproxy is given more than 64 times: name their folder");
}

#define QUICK "--sentinel 10.0.0.9:26379 --service m --server R1=10.0.0.1:6379"

static void quick_start(void **state)
{
    (void)state;
    is_right(QUICK " --server R2=10.0.0.2:6379 --park 4s --listen 127.0.0.1:9100 --http 127.0.0.1:9200 "
                   "--log-level debug --sentinel 10.0.0.8:26379 --password-file /p "
                   "--service n --server Q=10.0.0.3:6379 --redis-password-file /q");
    assert_null(options.file);
    assert_false(options.is_default_file);
    assert_true(options.has_keys);
    assert_int_equal(config->agent.listens.count, 1);
    assert_int_equal(config->agent.listens.list[0].addr.port, 9100);
    assert_int_equal(config->agent.web.list[0].addr.port, 9200);
    assert_int_equal(config->agent.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->group_count, 1);
    assert_int_equal(config->groups[0].address_count, 2);
    assert_string_equal(config->groups[0].credentials.password_file, "/p");
    assert_int_equal(config->service_count, 2);
    assert_string_equal(config->services[0].name, "m");
    assert_int_equal(config->services[0].server_count, 2);
    assert_string_equal(config->services[0].servers[1].name, "R2");
    assert_int_equal(config->services[0].park_ms, 4000);
    assert_null(config->services[0].credentials.password_file);
    assert_int_equal(config->services[1].server_count, 1);
    assert_string_equal(config->services[1].credentials.password_file, "/q");
}

static void mistakes_of_a_quick_start(void **state)
{
    char text[1024];

    (void)state;
    is_wrong("-f x --service m", WHERE "-f and the options of a quick start exclude each other");
    is_wrong("--server R1=10.0.0.1:6379", EARLY("R1=10.0.0.1:6379"));
    is_wrong("--park 3s " QUICK, EARLY("3s"));
    is_wrong("--redis-password-file /p " QUICK, EARLY("/p"));
    is_wrong("--service m --server R1", BAD_SERVER("R1"));
    is_wrong("--service m --server R1:10.0.0.1:6379", BAD_SERVER("R1:10.0.0.1:6379"));
    /* One that is too long by a byte is not taken apart. The longest is, and its address is none. */
    for (int len = 512; len >= 511; len--) {
        char server[513];
        memset(server, 'x', (size_t)len);
        server[2] = '=';
        server[len] = '\0';
        (void)snprintf(text, sizeof(text), "--service m --server %s", server);
        assert_false(parse(text));
        assert_int_equal(strstr(errors.texts[0], "xx=") != NULL, len == 512);
    }
    /* The same of a service's name. */
    (void)snprintf(text, sizeof(text), "--service %0*d --server R1=10.0.0.1:6379", CONFIG_NAME_MAX + 24, 0);
    assert_false(parse(text));
    assert_string_equal(errors.texts[0], WHERE "the name of the service is too long");
    (void)snprintf(text, sizeof(text), "--service %0*d --server R1=10.0.0.1:6379", CONFIG_NAME_MAX + 23, 0);
    assert_false(parse(text));
    assert_null(strstr(errors.texts[0], "the name of the service is too long"));
}

/* A mistake of the command line, and what is behind it is not read. */
static void nothing_is_set_after_a_mistake(void **state)
{
    (void)state;
    is_wrong("--frob " QUICK, WHERE "unknown option '--frob'");
    assert_int_equal(config->service_count, 0);
    assert_int_equal(config->group_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(each_alone),
        cmocka_unit_test(commands),
        cmocka_unit_test(what_goes_with_which_command),
        cmocka_unit_test(values),
        cmocka_unit_test(files_of_haproxy),
        cmocka_unit_test(quick_start),
        cmocka_unit_test(mistakes_of_a_quick_start),
        cmocka_unit_test(nothing_is_set_after_a_mistake),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
