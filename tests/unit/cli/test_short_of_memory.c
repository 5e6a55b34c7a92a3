/*
 * The n-th allocation of a command fails, for every n or many of them: it says so, and gives nothing that is not whole. Nothing crashes, and
 * nothing is lost (the build with AddressSanitizer counts).
 */
#include "tests/unit/io/allocation_fixture.h"

#include "tests/unit/cli/peer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "spoa/cli/blocking_socket.h"
#include "spoa/cli/check.h"
#include "spoa/cli/check_state.h"
#include "spoa/cli/commands.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/init.h"
#include "spoa/cli/init_survey.h"
#include "spoa/cli/options.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/draft.h"
#include "spoa/core/redis/reply.h"
#include "tests/unit/core/config/config_fixture.h"

/* More than a text has room for at first. */
#define PAGE_LEN 9000

int __wrap_asprintf(char **ret_text, const char *format, ...);

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list args;

    if (fails_now())
        return -1;
    va_start(args, format);
    int len = vasprintf(ret_text, format, args);
    va_end(args);
    return len;
}

/* ---- what a command prints ---- */

static int screen = -1; /* what it printed last */
static int kept_screens[2];

/* From now on what is printed goes to a file that is empty. */
static void begin_printing(void)
{
    fflush(stdout);
    assert_int_equal(ftruncate(screen, 0), 0);
    (void)lseek(screen, 0, SEEK_SET);
    for (int i = 0; i < 2; i++) {
        kept_screens[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        assert_int_not_equal(dup2(screen, i + 1), -1);
    }
}

/* What was printed since, whatever memory is short. */
static const char *end_printing(void)
{
    static char printed[32 * 1024];

    countdown = 0;
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        assert_int_not_equal(dup2(kept_screens[i], i + 1), -1);
        close(kept_screens[i]);
    }
    ssize_t len = pread(screen, printed, sizeof(printed) - 1, 0);
    assert_int_not_equal(len, -1);
    printed[len] = '\0';
    return printed;
}

/* ---- who is asked ---- */

/* The reply to a command that has the word. */
struct line {
    const char *word;
    char reply[512];
};

static struct line lines[8];
static char page[PAGE_LEN + 1];

static void serve_lines(int sock)
{
    char bytes[1024];
    ssize_t got;

    while ((got = recv(sock, bytes, sizeof(bytes) - 1, 0)) > 0) {
        const char *reply = "-ERR odd\r\n";
        bytes[got] = '\0';
        for (const struct line *line = lines; line->word != NULL; line++)
            if (strcasestr(bytes, line->word) != NULL) {
                reply = line->reply;
                break;
            }
        (void)send(sock, reply, strlen(reply), MSG_NOSIGNAL);
    }
}

static void serve_page(int sock)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
    char byte;

    (void)send(sock, head, strlen(head), MSG_NOSIGNAL | MSG_MORE);
    (void)send(sock, page, strlen(page), MSG_NOSIGNAL);
    (void)shutdown(sock, SHUT_WR);
    while (recv(sock, &byte, 1, 0) > 0)
        continue;
}

static void learn(size_t index, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void learn(size_t index, const char *word, const char *format, ...)
{
    va_list args;

    lines[index].word = word;
    lines[index + 1].word = NULL;
    va_start(args, format);
    (void)vsnprintf(lines[index].reply, sizeof(lines[index].reply), format, args);
    va_end(args);
}

static struct peer start_node(bool is_master, uint16_t master, char id)
{
    char run_id[41];

    memset(run_id, id, 40);
    run_id[40] = '\0';
    learn(0, "PING", "+PONG\r\n");
    if (is_master)
        learn(1, "ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    else
        learn(1, "ROLE", "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:%u\r\n$9\r\nconnected\r\n:0\r\n", master);
    learn(2, "INFO", "$49\r\nrun_id:%s\r\n\r\n", run_id);
    return peer_start(serve_lines);
}

#define FIELD "$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$5\r\n%05u\r\n"

/* It knows the master, a replica and a fellow, or only the master where these are 0. The fellow's identity ends with `other`. */
static struct peer start_sentinel(char id, uint16_t master, uint16_t replica, uint16_t fellow, char other)
{
    char myid[41];
    char others[41];

    memset(myid, id, 40);
    memset(others, other, 40);
    myid[40] = others[40] = '\0';
    learn(0, "PING", "+PONG\r\n");
    learn(1, "MYID", "$40\r\n%s\r\n", myid);
    learn(2, "MASTERS", "*1\r\n*6\r\n$4\r\nname\r\n$1\r\nm\r\n" FIELD, master);
    learn(3, "SENTINELS", "*0\r\n");
    learn(4, "REPLICAS", "*0\r\n");
    learn(5, "GET-MASTER", "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", master);
    if (fellow != 0)
        learn(3, "SENTINELS", "*1\r\n*6\r\n" FIELD "$5\r\nrunid\r\n$40\r\n%s\r\n", fellow, others);
    if (replica != 0)
        learn(4, "REPLICAS", "*1\r\n*4\r\n" FIELD, replica);
    lines[6].word = NULL;
    return peer_start(serve_lines);
}

static struct peer asked;

/* ---- scenarios ---- */

/* Each client is there, or says that memory is short, or that there is no reply. */
static bool clients(void)
{
    static const char *const words[] = {"PING", NULL};
    static const struct config_credentials none;
    static const struct config_tls no_tls;
    bool is_good = true;
    struct redis_target targets[2];

    for (size_t i = 0; i < 2; i++)
        targets[i] = (struct redis_target){
            .addr = &asked.addr, .credentials = &none, .tls = &no_tls, .patience_s = i == 0 ? 0 : 7};
    redis_client_open_all(targets, 2);
    for (size_t i = 0; i < 2; i++) {
        struct redis_client *client = &targets[i].client;
        const struct reply *reply = redis_client_ask(client, words);
        is_good = is_good && reply != NULL && span_equals_text(reply->text, "PONG");
        assert_true(reply != NULL || strcmp(client->error, strerror(ENOMEM)) == 0 ||
                    strcmp(client->error, "no reply") == 0 || strcmp(client->error, "out of memory") == 0);
        assert_true(reply != NULL || (client->parser == NULL && client->fd == -1));
        redis_client_close(client);
    }
    return is_good;
}

/* What cannot be begun has a reason. */
static bool sockets(void)
{
    struct blocking_target targets[] = {{.addr = &asked.addr, .fd = 7}, {.addr = &asked.addr, .fd = 7}};
    bool is_good = true;

    blocking_socket_connect_all(targets, 2);
    for (size_t i = 0; i < 2; i++) {
        is_good = is_good && targets[i].fd != -1;
        assert_int_equal(targets[i].code, targets[i].fd != -1 ? 0 : ENOMEM);
        if (targets[i].fd != -1)
            close(targets[i].fd);
    }
    return is_good;
}

static struct config_listen listen_page;

/* A page is whole, or there is none. */
static bool page_of_an_agent(void)
{
    struct text body;
    int code = http_client_get(&listen_page, "/", &body);

    if (code == -1)
        assert_int_equal(errno, ENOMEM);
    else
        assert_string_equal(body.data, page);
    text_finish(&body);
    return code == 200;
}

static struct config *config;

/* Exit code 0 comes with all that is to be printed, any other with a sentence. */
static bool prints_all(int code, const char *all, const char *sentence)
{
    const char *printed = end_printing();

    assert_true(code == EXIT_CODE_OK || code == EXIT_CODE_RUNTIME);
    assert_string_equal(printed, code == EXIT_CODE_OK ? all : sentence);
    return code == EXIT_CODE_OK;
}

static char no_answer[128];

static bool explain(void)
{
    begin_printing();
    int code = command_explain(config, "a/b");
    const char *printed = end_printing();

    assert_string_equal(printed, code == EXIT_CODE_OK                      ? page
                                 : strcmp(printed, "out of memory\n") == 0 ? "out of memory\n"
                                                                           : no_answer);
    return code == EXIT_CODE_OK;
}

static char *whole;

static bool files_for_haproxy(void)
{
    bool is_good = true;

    for (int i = 0; i < 2; i++) {
        unsigned long kept = countdown;
        countdown = 0;
        begin_printing();
        assert_int_equal(command_haproxy_conf(config, 206, i == 1), EXIT_CODE_OK);
        whole = strdup(end_printing());
        begin_printing();
        countdown = kept;
        int code = command_haproxy_conf(config, 206, i == 1);
        kept = countdown;
        is_good = prints_all(code, whole, "out of memory\n") && is_good;
        countdown = kept;
        free(whole);
    }
    return is_good;
}

/* What the check says is what it says else, or that memory is short. */
static bool haproxys_files(void)
{
    struct checked_api apis[1] = {{.version = 0}};
    struct check begun = {.config = config, .file = FILE_NAME, .apis = apis};
    const char *const paths[] = {"/proc/self/status", "/proc/self/nothing"};

    check_files(&begun, paths, 2);
    bool is_good = !begun.findings.out_of_memory;
    assert_true(is_good || has_failed);
    assert_true(!is_good || begun.findings.count >= 1);
    findings_finish(&begun.findings);
    return is_good;
}

/* What is there in part is not shown. */
static bool check(void)
{
    begin_printing();
    int code = check_run(config, FILE_NAME, NULL, 0, false);
    const char *printed = end_printing();

    assert_int_equal(code, EXIT_CODE_RUNTIME);
    assert_true(has_failed || strstr(printed, "no identity") == NULL);
    assert_true(strstr(printed, "finding") != NULL || strstr(printed, "emory") != NULL);
    return !has_failed;
}

/* The draft has all, or it is said that memory is short. */
static bool survey(void)
{
    struct config_credentials logins[2] = {{.username = NULL}, {.username = NULL}};
    struct draft draft = {.services = NULL};

    begin_printing();
    bool is_made = init_survey(&asked.addr, &logins[0], &logins[1], &draft);
    const char *printed = end_printing();
    bool is_good = is_made && !has_failed;
    if (is_made) {
        assert_int_equal(draft.service_count, 1);
        assert_int_equal(draft.services[0].nodes.count, 2);
        assert_true(draft.sentinels.count >= 2);
    } else {
        assert_non_null(strstr(printed, "\ninit: "));
        assert_true(strstr(printed, "emory") != NULL || strstr(printed, "no reply") != NULL ||
                    strstr(printed, "does not answer") != NULL);
    }
    draft_finish(&draft);
    return is_good;
}

static char folder[32];

static bool is_written(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return unlink(path) == 0;
}

/* All three files are written, or none, and then it is said why. */
static bool init(void)
{
    static char sentinel[ADDR_TEXT_MAX];
    char *const argv[] = {(char[]){"init"}, (char[]){"--sentinel"}, sentinel, (char[]){"-o"}, folder, NULL};

    (void)addr_format(&asked.addr, sentinel);
    begin_printing();
    int code = init_run(5, argv);
    const char *printed = end_printing();
    int written = is_written("sentinel-spoa.conf") + is_written("haproxy.cfg") + is_written("spoe.conf");
    assert_true(code == EXIT_CODE_OK || code == EXIT_CODE_RUNTIME || (code == EXIT_CODE_USAGE && has_failed));
    if (written != 3)
        assert_int_equal(written, 0);
    if (written == 0) {
        assert_int_not_equal(code, EXIT_CODE_OK);
        assert_non_null(strstr(printed, "init: "));
    } else {
        assert_non_null(strstr(printed, "\nNext, as root:\n"));
    }
    return written == 3 && !has_failed;
}

/* As fail_each(), of a scenario that takes long: after the first allocations only some fail. */
static void fail_many(bool (*scenario)(void))
{
    unsigned long n = 0;
    bool is_good;

    do {
        n += n < 60 ? 1 : 9;
        countdown = n;
        has_failed = false;
        is_good = scenario();
        countdown = 0;
        assert_true(n < 100000);
    } while (has_failed);
    assert_true(is_good);
}

/* ---- tests ---- */

static struct config *read_config(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct config *read_config(const char *format, ...)
{
    va_list args;

    struct config_errors errors = {.texts = NULL};
    struct config *made = config_create();
    struct config_reader reader;
    char text[512];

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    config_reader_init(&reader, made, FILE_NAME, no_variable, &errors);
    config_reader_feed(&reader, text, (size_t)len);
    config_reader_end(&reader);
    config_finish(made, FILE_NAME, &errors);
    assert_int_equal(errors.count, 0);
    return made;
}

static void redis(void **state)
{
    (void)state;
    asked = start_sentinel('a', 1, 0, 0, 'b');
    fail_each(sockets);
    fail_each(clients);
    config = read_config("[sentinels]\naddress = 127.0.0.1:%u\n[service m]\nserver = R1 127.0.0.1:1\n",
                         asked.addr.port);
    fail_each(check);
    config_destroy(config);
    peer_stop(&asked);
}

static void agent(void **state)
{
    struct peer peer = peer_start(serve_page);
    char where[ADDR_TEXT_MAX];

    (void)state;
    config = read_config("[agent]\nhttp = 127.0.0.1:%u\n" GOOD, peer.addr.port);
    listen_page = config->agent.web.list[0];
    (void)snprintf(no_answer, sizeof(no_answer), "no answer from %s: %s\n", addr_format(&peer.addr, where),
                   strerror(ENOMEM));
    fail_each(page_of_an_agent);
    fail_each(explain);
    fail_each(files_for_haproxy);
    fail_each(haproxys_files);
    config_destroy(config);
    peer_stop(&peer);
}

static void first_files(void **state)
{
    struct peer master = start_node(true, 0, 'c');
    struct peer replica = start_node(false, master.addr.port, 'd');
    struct peer fellow = start_sentinel('b', master.addr.port, 0, 1, 'a');

    (void)state;
    asked = start_sentinel('a', master.addr.port, replica.addr.port, fellow.addr.port, 'b');
    fail_each(survey);
    peer_stop(&asked);
    peer_stop(&fellow);
    peer_stop(&replica);
    asked = start_sentinel('a', master.addr.port, 0, 0, 'b');
    (void)snprintf(folder, sizeof(folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(folder));
    fail_many(init);
    assert_int_equal(rmdir(folder), 0);
    peer_stop(&asked);
    peer_stop(&master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(redis), cmocka_unit_test(agent),
                                       cmocka_unit_test(first_files)};

    screen = memfd_create("screen", MFD_CLOEXEC);
    memset(page, 'x', PAGE_LEN);
    return cmocka_run_group_tests_name("short_of_memory", tests, NULL, NULL);
}
