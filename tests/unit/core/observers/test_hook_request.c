/* What a program is told at a switch. */
#include "spoa/core/observers/hook_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"

static struct service_settings settings = {
    .name = "m",
    .monitor = "m",
    .quorum = {.voters = 1, .threshold = 1, .reply_timeout_ms = 500, .vote_life_ms = 2000},
};
static struct hook_request request;

static bool fill(const char *command, const struct service_change *change)
{
    struct service *service = service_create(&settings, 0);

    assert_non_null(service);
    bool is_filled = hook_request_fill(&request, command, service, change);
    service_destroy(service);
    return is_filled;
}

static void check_list(char *const *list, const char *const *expected)
{
    for (; *expected != NULL; expected++, list++) {
        assert_non_null(*list);
        assert_string_equal(*list, *expected);
    }
    assert_null(*list);
}

/* What the program reads from its standard input. */
static void check_input(const char *expected)
{
    assert_int_equal(request.input_len, strlen(expected));
    assert_memory_equal(request.input, expected, strlen(expected));
}

static void test_a_switch(void **state)
{
    static const char *const args[] = {"/bin/x",        "one", "$two", "m", "[2001:db8::1]:6379",
                                       "10.0.0.2:6380", NULL};
    static const char *const variables[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SENTINEL_SPOA_SERVICE=m",
        "SENTINEL_SPOA_OLD_ADDR=[2001:db8::1]:6379",
        "SENTINEL_SPOA_OLD_SERVER=R1",
        "SENTINEL_SPOA_NEW_ADDR=10.0.0.2:6380",
        "SENTINEL_SPOA_NEW_SERVER=R2",
        "SENTINEL_SPOA_GENERATION=7",
        "SENTINEL_SPOA_VOTES=3",
        NULL};
    struct addr from;
    struct addr to;

    (void)state;
    assert_true(addr_parse(span_of_text("[2001:db8::1]:6379"), &from));
    assert_true(addr_parse(span_of_text("10.0.0.2:6380"), &to));
    const struct service_decision after = {.addr = &to, .server = "R2", .votes = 3, .generation = 7};
    const struct service_change change = {
        .after = &after, .switched = true, .replaced = &from, .replaced_server = "R1"};
    assert_true(fill("/bin/x one  $two", &change));
    check_list(request.argv, args);
    check_list(request.envp, variables);
    check_input("{\"service\":\"m\",\"old\":{\"address\":\"[2001:db8::1]:6379\",\"server\":\"R1\"},"
                "\"new\":{\"address\":\"10.0.0.2:6380\",\"server\":\"R2\"},\"generation\":7,\"votes\":3}\n");
}

static void test_the_first_master(void **state)
{
    static const char *const args[] = {"/bin/x", "m", "-", "10.0.0.2:6380", NULL};
    struct addr to;

    (void)state;
    assert_true(addr_parse(span_of_text("10.0.0.2:6380"), &to));
    const struct service_decision after = {.addr = &to, .generation = 1};
    const struct service_change change = {.after = &after, .switched = true};
    assert_true(fill("/bin/x", &change));
    check_list(request.argv, args);
    assert_string_equal(request.envp[3], "SENTINEL_SPOA_OLD_SERVER=-");
    assert_string_equal(request.envp[5], "SENTINEL_SPOA_NEW_SERVER=-");
    check_input("{\"service\":\"m\",\"old\":{\"address\":null,\"server\":null},"
                "\"new\":{\"address\":\"10.0.0.2:6380\",\"server\":null},\"generation\":1,\"votes\":0}\n");
}

/* Where nobody is named, the program is told so. */
static void test_nobody(void **state)
{
    static const char *const args[] = {"/bin/x", "m", "-", "-", NULL};
    const struct service_decision after = {.generation = 1};
    const struct service_change change = {.after = &after};

    (void)state;
    assert_true(fill("/bin/x", &change));
    check_list(request.argv, args);
    assert_string_equal(request.envp[4], "SENTINEL_SPOA_NEW_ADDR=-");
    check_input("{\"service\":\"m\",\"old\":{\"address\":null,\"server\":null},"
                "\"new\":{\"address\":null,\"server\":null},\"generation\":1,\"votes\":0}\n");
}

/* A command of so many words. */
static void write_words(unsigned count, char words[4 * HOOK_ARGS_MAX])
{
    words[0] = '/';
    for (unsigned i = 0; i < count; i++) {
        words[2 * i + 1] = 'w';
        words[2 * i + 2] = i + 1 < count ? ' ' : '\0';
    }
}

static void test_too_much(void **state)
{
    const struct service_decision after = {.generation = 1};
    const struct service_change change = {.after = &after};
    char words[4 * HOOK_ARGS_MAX];
    char text[HOOK_TEXT_MAX + 8];

    (void)state;
    write_words(HOOK_ARGS_MAX - 3, words);
    assert_true(hook_command_is_good(words));
    assert_true(fill(words, &change));
    assert_null(request.argv[HOOK_ARGS_MAX]);
    write_words(HOOK_ARGS_MAX - 2, words);
    assert_false(hook_command_is_good(words));
    assert_false(fill(words, &change));
    memset(text, 'x', sizeof(text));
    text[0] = '/';
    text[sizeof(text) - 1] = '\0';
    assert_false(fill(text, &change));
}

static void fill_text(char *text, size_t len)
{
    memset(text, 'x', len);
    text[len] = '\0';
}

/* The longest command that the configuration takes has room beside the longest names and addresses. */
static void test_the_longest_command(void **state)
{
    char command[HOOK_COMMAND_MAX + 2] = "/";
    char server[SERVER_NAME_MAX + 1];
    char name[CONFIG_NAME_MAX + 1];
    char host[ADDR_HOST_MAX + 1];
    const struct addr addr = {.kind = ADDR_NAME, .port = 65535, .name = host};
    const struct service_decision after = {
        .addr = &addr, .server = server, .votes = UINT_MAX, .generation = UINT64_MAX};
    const struct service_change change = {
        .after = &after, .switched = true, .replaced = &addr, .replaced_server = server};

    (void)state;
    fill_text(command + 1, HOOK_COMMAND_MAX - 1);
    fill_text(server, SERVER_NAME_MAX);
    fill_text(name, CONFIG_NAME_MAX);
    fill_text(host, ADDR_HOST_MAX);
    settings.name = name;
    assert_true(hook_command_is_good(command));
    assert_true(fill(command, &change));
    fill_text(command + 1, HOOK_COMMAND_MAX);
    assert_false(hook_command_is_good(command));
    settings.name = "m";
}

static void test_what_can_be_run(void **state)
{
    (void)state;
    assert_true(hook_command_is_good("/bin/x"));
    assert_false(hook_command_is_good("x"));
    assert_false(hook_command_is_good("./x"));
    assert_false(hook_command_is_good(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_switch),        cmocka_unit_test(test_the_first_master),
        cmocka_unit_test(test_too_much),        cmocka_unit_test(test_the_longest_command),
        cmocka_unit_test(test_what_can_be_run), cmocka_unit_test(test_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
