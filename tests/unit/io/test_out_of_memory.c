/*
 * The n-th allocation fails, for every n: what then cannot be done is refused, nothing crashes, and nothing
 * is lost (the build with AddressSanitizer counts). Allocations are those of our own code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/agent.h"
#include "spoa/core/base/findings.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/haproxy_conf.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/deployment.h"
#include "spoa/io/redis/reply_parser.h"
#include "tests/fuzz/fuzz_world.h"
#include "tests/lib/spop_peer.h"
#include "tests/unit/core/config/config_fixture.h"
#include "tests/unit/io/agent_fixture.h"
#include "tests/unit/io/allocation_fixture.h"

#define TURNS 50

/* ---- scenarios ---- */

/* NULL where memory was short, which is all that can go wrong. */
static struct config *make_config(const char *text)
{
    struct config *config = config_create();
    struct config_errors errors = {.texts = NULL};
    struct config_reader reader;

    if (config == NULL)
        return NULL;
    config_reader_init(&reader, config, FILE_NAME, no_variable, &errors);
    config_reader_feed(&reader, text, strlen(text));
    config_reader_end(&reader);
    config_finish(config, FILE_NAME, &errors);
    bool is_good = errors.count == 0 && !errors.out_of_memory;
    assert_true(is_good || has_failed);
    config_errors_finish(&errors);
    if (is_good)
        return config;
    config_destroy(config);
    return NULL;
}

/* A configuration that is taken is the same as where no memory was short. */
static bool has_all(const char *text)
{
    struct config *config = make_config(text);
    unsigned long kept = countdown;

    countdown = 0;
    if (config != NULL) {
        struct config *whole = make_config(text);
        char *seen = dump(config);
        char *wanted = dump(whole);
        assert_string_equal(seen, wanted);
        free(seen);
        free(wanted);
        config_destroy(whole);
    }
    config_destroy(config);
    countdown = kept;
    return config != NULL;
}

static bool configuration(void)
{
    return has_all(FULL);
}

static bool configuration_of_defaults(void)
{
    return has_all(GOOD);
}

static bool configuration_of_nodes(void)
{
    return has_all("[nodes n]\nsource = replication\n[service m]\nnodes = n\n"
                   "server = R1 10.0.0.1:1\nserver = R2 10.0.0.2:1\nserver = R3 10.0.0.3:1\n");
}

/* All of them are told, or that memory is short. */
static bool errors_of_a_configuration(void)
{
    static const char text[] = "[nonsense]\n[agent]\nlistne = x\n[sentinels]\naddress = s1:1\n"
                               "[service m]\nserver = R1 a:1\n[service m]\nserver = R1 a:1\n";
    struct config *config = config_create();
    struct config_errors errors = {.texts = NULL};
    struct config_reader reader;

    if (config == NULL)
        return false;
    config_reader_init(&reader, config, FILE_NAME, no_variable, &errors);
    config_reader_feed(&reader, text, strlen(text));
    config_reader_end(&reader);
    config_finish(config, FILE_NAME, &errors);
    assert_true(errors.count == 3 || errors.out_of_memory);
    bool is_good = !errors.out_of_memory;
    config_errors_finish(&errors);
    config_destroy(config);
    return is_good;
}

static bool replies(void)
{
    static const char bytes[] = "*2\r\n$3\r\none\r\n*2\r\n$3\r\ntwo\r\n:3\r\n-ERR no\r\n*-1\r\n";
    struct reply_parser *parser = reply_parser_create(1024);
    const struct reply *reply = NULL;
    unsigned count = 0;

    if (parser == NULL)
        return false;
    reply_parser_feed(parser, span_of_text(bytes));
    while (reply_parser_next(parser, &reply) == REPLY_PARSER_REPLY)
        count++;
    reply_parser_destroy(parser);
    return count == 3;
}

/* The parser has room for those of every day. They need no memory. */
static void test_everyday_replies(void **state)
{
    static const char bytes[] = "*2\r\n$3\r\none\r\n*2\r\n$3\r\ntwo\r\n:3\r\n";
    struct reply_parser *parser = reply_parser_create(1024);
    const struct reply *reply = NULL;

    (void)state;
    assert_non_null(parser);
    countdown = 1;
    has_failed = false;
    for (unsigned i = 0; i < 3; i++) {
        reply_parser_feed(parser, span_of_text(bytes));
        assert_int_equal(reply_parser_next(parser, &reply), REPLY_PARSER_REPLY);
        assert_int_equal(reply_parser_next(parser, &reply), REPLY_PARSER_NEEDS_MORE);
    }
    countdown = 0;
    assert_false(has_failed);
    reply_parser_destroy(parser);
}

/* A world is made without a failure; its pages then fail. */
static bool pages(void)
{
    static const char *const paths[] = {"/",          "/metrics", "/status",  "/status.txt", "/explain.txt",
                                        "/explain/m", "/readyz",  "/master/m"};
    static const struct history history;
    unsigned long kept = countdown;
    struct world world;
    bool is_good = true;

    countdown = 0;
    world_make(&world);
    world_vote(&world, &world.servers[0]);
    const struct voter_group *groups[] = {world.group};
    struct status status = {.version = "1",
                            .revision = "r",
                            .metrics = &world.metrics,
                            .history = &history,
                            .groups = groups,
                            .table = world.table,
                            .unknown = service_table_unknown(world.table),
                            .group_count = 1,
                            .now_ms = world.now_ms,
                            .now_unix_ms = world.now_ms};
    countdown = kept;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct http_request request = {.method = "GET", .path = paths[i]};
        struct http_answer answer;
        struct page_cursor cursor = {.section = 0};
        http_respond(&status, &request, &answer);
        while (answer.page != HTTP_PAGE_NONE && http_page_write(answer.page, &status, &cursor, &answer.body))
            continue;
        if (answer.body.has_failed)
            answer.code = HTTP_FAILED;
        assert_true(answer.code != HTTP_FAILED || has_failed);
        is_good = is_good && answer.code != HTTP_FAILED;
        text_finish(&answer.body);
    }
    kept = countdown;
    countdown = 0;
    world_end(&world);
    countdown = kept;
    return is_good;
}

static char folder[32];
static char agent_text[512];
static const struct agent_build build = {.version = "1", .revision = "r"};

/* HELLO and a question. */
static int connect_peer(void)
{
    uint8_t space[1024];
    struct sink out = sink_of(space, sizeof(space));

    spop_peer_hello(&out, 16380, false);
    spop_peer_notify(&out, 1, 1, "m", "master");
    return connect_and_send(folder, "spop", space, (size_t)(out.at - space));
}

static int connect_scraper(void)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

    return connect_and_send(folder, "http", request, sizeof(request) - 1);
}

/* All that the program is: started, asked, reloaded, asked, stopped. */
static bool whole_agent(void)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct config *config = make_config(agent_text);
    struct agent *agent = config != NULL ? agent_create(loop, config, &build, -1) : NULL;
    struct config *other = NULL;

    assert_non_null(loop);
    if (agent != NULL) {
        int fd = connect_peer();
        int web_fd = connect_scraper();
        for (int i = 0; i < TURNS; i++)
            ev_run(loop, EVRUN_NOWAIT);
        other = make_config(agent_text);
        if (other != NULL)
            agent_reload(agent, other);
        for (int i = 0; i < TURNS; i++)
            ev_run(loop, EVRUN_NOWAIT);
        close(fd);
        close(web_fd);
        agent_stop(agent);
    }
    agent_destroy(agent);
    ev_loop_destroy(loop);
    return agent != NULL && other != NULL;
}

/* ---- tests ---- */

static void test_configuration(void **state)
{
    (void)state;
    fail_each(configuration);
    fail_each(configuration_of_defaults);
    fail_each(configuration_of_nodes);
    fail_each(errors_of_a_configuration);
}

static void test_replies(void **state)
{
    (void)state;
    fail_each(replies);
}

static void test_pages(void **state)
{
    (void)state;
    fail_each(pages);
}

static void test_agent(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(agent_text, sizeof(agent_text),
                   "[agent]\nlisten = unix:%s/spop\ncheck = 127.0.0.1:0\nhttp = unix:%s/http\n"
                   "[haproxy]\nruntime-api = /nowhere\nbackend = b\n"
                   "[sentinels]\naddress = 127.0.0.1:1\n"
                   "[service m]\nserver = R1 127.0.0.1:2 alias=[::1]:2 alias=r1:2\nreplicas = yes\n",
                   folder, folder);
    fail_each(whole_agent);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- an agent that says that it is good has all its parts ---- */

/* What a change-over needs, and more. */
#define CHANGE_OVER_MS 30

static struct ev_loop *main_loop;

/* Of the service m; or of m and n with other replicas. Each has a program to run, which is not there. */
static struct config *make_services(size_t count)
{
    char text[2048];
    size_t len =
        (size_t)snprintf(text, sizeof(text),
                         "[agent]\nlisten = unix:%s/spop\nhttp = unix:%s/http\ncheck = unix:%s/check\n"
                         "log-level = error\n[haproxy]\nruntime-api = %s/api\nbackend = b\n"
                         "[sentinels]\naddress = unix:%s/sentinel\nsubscribe = no\n",
                         folder, folder, folder, folder, folder);

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "[service %c]\nserver = R1 127.0.0.1:1\n%s"
                                "on-switch = /nowhere/program\non-switch-retry = 0\n",
                                "mn"[i],
                                count == 1 ? "server = R2 127.0.0.1:2\n"
                                           : "server = R3 127.0.0.1:3\nserver = R4 127.0.0.1:4\n");
    return make_config(text);
}

static const char *ask(const char *name, const char *question)
{
    return ask_agent(main_loop, folder, name, question);
}

/* The number behind `key` in the metrics. */
static unsigned long metric(const char *key)
{
    const char *at = strstr(ask("http", "GET /metrics HTTP/1.0\r\n\r\n"), key);

    assert_non_null(at);
    return strtoul(at + strlen(key), NULL, 10);
}

static void wait_metric(const char *key, unsigned long number)
{
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;

    while (metric(key) != number && clock_ms() < deadline_ms)
        ev_run(main_loop, EVRUN_ONCE);
    assert_int_equal(metric(key), number);
}

static bool says(const char *name, const char *question, const char *text)
{
    return strstr(ask(name, question), text) != NULL;
}

#define FIRST_MASTERS "\nredis_spoa_hook_failures_total "

/* The first `count` services are answered, checked, cut, and run their programs; others are not known. */
static void expect_services(size_t count)
{
    static const char *const checks[] = {"m R1\n", "n R1\n"};
    static const char *const requests[] = {"GET /master/m HTTP/1.0\r\n\r\n",
                                           "GET /master/n HTTP/1.0\r\n\r\n"};
    char owed[32];

    wait_metric(FIRST_MASTERS, count);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(says("check", checks[i], "unknown service"), i >= count);
        assert_int_equal(says("http", requests[i], " 200 "), i < count);
    }
    /* R2 of m is still owed; of both services R3 and R4, which are new. */
    (void)snprintf(owed, sizeof(owed), "\"owed\":%d,", count == 1 ? 1 : 5);
    assert_true(says("http", "GET /status HTTP/1.0\r\n\r\n", owed));
}

static bool is_last_reload_good(void)
{
    return says("http", "GET /status HTTP/1.0\r\n\r\n", "\"last-reload-good\":true");
}

/* With the memory that there is. */
static void reload(struct agent *agent, size_t services)
{
    unsigned long before = metric("\nredis_spoa_reloads_total ");

    agent_reload(agent, make_services(services));
    wait_metric("\nredis_spoa_reloads_total ", before + 1);
    assert_true(is_last_reload_good());
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

/* An agent that starts is whole, and its services are found again by a reload. */
static bool start_of_an_agent(void)
{
    unsigned long kept = countdown;

    countdown = 0;
    struct config *config = make_services(1);
    countdown = kept;
    struct agent *agent = agent_create(main_loop, config, &build, -1);
    countdown = 0;
    if (agent != NULL) {
        expect_services(1);
        reload(agent, 1);
        expect_services(1);
    }
    agent_destroy(agent);
    return agent != NULL;
}

/* A file that has taken over has all its parts; else the file before has them. */
static bool change_over(void)
{
    unsigned long kept = countdown;

    countdown = 0;
    struct agent *agent = agent_create(main_loop, make_services(1), &build, -1);
    assert_non_null(agent);
    expect_services(1);
    agent_reload(agent, make_services(2));
    int64_t end_ms = clock_ms() + CHANGE_OVER_MS;
    countdown = kept;
    while (clock_ms() < end_ms)
        ev_run(main_loop, EVRUN_ONCE);
    countdown = 0;
    while (metric("\nredis_spoa_reloads_total ") + metric("\nredis_spoa_reload_failures_total ") == 0 &&
           clock_ms() < end_ms + ANSWER_DEADLINE_MS)
        ev_run(main_loop, EVRUN_ONCE);
    bool is_good = is_last_reload_good();
    assert_true(is_good || has_failed);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    expect_services(is_good ? 2 : 1);
    agent_destroy(agent);
    return is_good;
}

static void test_whole_or_not_at_all(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(folder));
    main_loop = ev_default_loop(EVFLAG_AUTO);
    assert_non_null(main_loop);
    sentinel_start(main_loop, folder, "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n");
    fail_each(start_of_an_agent);
    fail_each(change_over);
    sentinel_stop();
    ev_loop_destroy(main_loop);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- a deployment has all its parts, or says that it has not ---- */

/* Two groups and three services, with TLS of two kinds. With three Sentinels there is no alarm, whose words may be lost. */
#define DEPLOYMENT                                                                                           \
    "[sentinels]\naddress = 127.0.0.1:1\naddress = 127.0.0.1:2\naddress = 127.0.0.1:3\ntls = "               \
    "yes\ntls-server-name = a\n"                                                                             \
    "[sentinels other]\naddress = unix:/a\naddress = unix:/b\naddress = unix:/c\n"                           \
    "[service m]\nserver = R1 127.0.0.1:1\n"                                                                 \
    "[service n]\nserver = R1 127.0.0.1:1\nreplicas = yes\n"                                                 \
    "[service o]\nsentinels = other\nserver = R1 127.0.0.1:1\ntls = yes\ntls-server-name = b\n"

static struct deployment_options deployment_options;

/* Whatever could not be allocated for it, nothing is left out silently. */
static bool build_of_a_deployment(void)
{
    unsigned long kept = countdown;
    size_t budget = PROGRESS_UNLIMITED;

    countdown = 0;
    deployment_options.config = make_config(DEPLOYMENT);
    countdown = kept;
    struct deployment *deployment = deployment_create(&deployment_options);
    bool is_good = deployment != NULL && deployment_build(deployment, &budget) == PROGRESS_DONE;
    countdown = 0;
    assert_int_equal(is_good, !has_failed);
    deployment_destroy(deployment);
    return is_good;
}

static void test_deployment(void **state)
{
    static struct metrics metrics;
    static struct history history;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    (void)state;
    assert_non_null(loop);
    deployment_options = (struct deployment_options){
        .loop = loop, .resolver = resolver_create(loop), .metrics = &metrics, .history = &history};
    assert_non_null(deployment_options.resolver);
    fail_each(build_of_a_deployment);
    resolver_destroy(deployment_options.resolver);
    ev_loop_destroy(loop);
}

#define HAPROXY                                                                                              \
    "global\n    setenv RETRIES 0\ndefaults\n    retries \"${RETRIES}\"\n"                                   \
    "frontend f\n    filter spoe engine e config spoe.conf\n"                                                \
    "    default_backend b\nbackend b\n    server R3 10.0.0.2:6379\n    server R1 10.0.0.9:6379\n"           \
    "backend a\n    server a 10.0.0.3:1\n"
#define SPOE(service)                                                                                        \
    "[e]\nspoe-agent e\n    messages m\n    use-backend a\n    timeout processing 1s\n"                      \
    "spoe-message m\n    args service=str(" service ")\n"

static const char *spoe_text;
static char *judged; /* what is found where no memory is short */

/* HAProxy's files are read and judged: all is found, or it is told that memory is short. */
static bool judge_files(void)
{
    struct config *config =
        make_config(GOOD "server = R2 10.0.0.2:6379\n[haproxy]\nruntime-api = /nowhere\nbackend = b\n");
    struct haproxy_file haproxy = {.sections = NULL};
    struct haproxy_file spoe = {.sections = NULL};
    struct findings findings = {.list = NULL};
    struct text out = {.data = NULL};

    if (config == NULL)
        return false;
    haproxy_file_read(&haproxy, "h.cfg", "h.cfg", HAPROXY, strlen(HAPROXY), no_variable);
    haproxy_file_read(&spoe, "spoe.conf", "spoe.conf", spoe_text, strlen(spoe_text), no_variable);
    const struct haproxy_rules rules = {
        .config = config,
        .config_file = FILE_NAME,
        .haproxy = &haproxy,
        .spoe = &spoe,
        .hangs = true,
        .findings = &findings,
    };
    haproxy_rules_check(&rules);
    findings_write_text(&findings, &out);
    bool is_good = !findings.out_of_memory && !out.has_failed;
    assert_true(is_good || has_failed);
    if (judged == NULL)
        judged = __real_strdup(out.data);
    else if (is_good)
        assert_string_equal(out.data, judged);
    text_finish(&out);
    findings_finish(&findings);
    haproxy_file_finish(&haproxy);
    haproxy_file_finish(&spoe);
    config_destroy(config);
    return is_good;
}

/* HAProxy's files are written whole, or it is told that memory is short. */
static bool write_files(void)
{
    static const struct haproxy_conf_options options = {.version = 206, .spoe_path = HAPROXY_CONF_SPOE_PATH};
    struct config *config = make_config("[sentinels]\naddress = s1:1\n[service m]\nserver = R1 a:1\n"
                                        "[service n]\nserver = R1 a:1\nreplicas = yes\n");
    struct text haproxy = {.data = NULL};
    struct text spoe = {.data = NULL};

    if (config == NULL)
        return false;
    haproxy_conf_write(config, &options, &haproxy);
    haproxy_conf_write_spoe(config, options.version, &spoe);
    bool is_good = !haproxy.has_failed && !spoe.has_failed;
    assert_true(is_good || has_failed);
    if (is_good) {
        assert_non_null(strstr(haproxy.data, "\nbackend be_n_read\n"));
        assert_non_null(strstr(haproxy.data, "\nfrontend fe_m\n"));
        assert_null(strstr(haproxy.data, "(null)"));
        assert_null(strstr(spoe.data, "(null)"));
    }
    text_finish(&haproxy);
    text_finish(&spoe);
    config_destroy(config);
    return is_good;
}

static void judge_files_of(const char *text)
{
    spoe_text = text;
    assert_true(judge_files());
    assert_non_null(strstr(judged, "spoe.conf"));
    fail_each(judge_files);
    free(judged);
    judged = NULL;
}

static void test_judging_files(void **state)
{
    (void)state;
    judge_files_of(SPOE("x"));
    judge_files_of(SPOE("m"));
    fail_each(write_files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judging_files),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_everyday_replies),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_whole_or_not_at_all),
        cmocka_unit_test(test_deployment),
    };

    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
