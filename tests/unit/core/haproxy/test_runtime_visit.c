/* Conversations with HAProxy: what it is asked and told, and what is made of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/runtime_visit.h"

#define START 100000
#define INFO_26 "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nRelease_date: x\n\n"
#define INFO_30 "Name: HAProxy\nVersion: 3.0.11\n\n"
#define OWN_LINE "0xff: proto=unix_stream fe=GLOBAL be=<NONE> srv=<none> scb=[8,1h,fd=-1]\n"
#define SESSION(id, server, state) id ": proto=tcpv4 fe=f be=be srv=" server " scb=[" #state ",1h,fd=2]\n"

static const char *const api_names[] = {"A"};
static char backend[] = "be";
static char *const backends[] = {backend};
static const struct service_server servers[] = {{.name = "R1"}, {.name = "R2"}, {.name = "R3"}};
static struct metrics metrics;

struct fixture {
    struct cut_debts *debts;
    struct cut_items items;
    struct runtime_visit *visit;
};

static struct fixture f;

/* The last of these servers is the master: the others are to be cut. */
static void begin_with(const struct service_server *list, size_t count,
                       const struct runtime_visit_options *how)
{
    const struct cut_service service = {
        .name = "m", .servers = list, .server_count = count, .backends = backends, .backend_count = 1};
    struct runtime_visit_options options = *how;

    f.debts = cut_debts_create(api_names, 1, &metrics);
    assert_non_null(f.debts);
    assert_true(cut_debts_add(f.debts, &service));
    cut_debts_name(f.debts, 0, list[count - 1].name, START);
    assert_true(options.is_trial ? cut_debts_list(f.debts, &f.items)
                                 : cut_debts_take(f.debts, 0, START, &f.items));
    options.debts = f.debts;
    options.items = &f.items;
    f.visit = runtime_visit_create(&options);
    assert_non_null(f.visit);
}

/* R3 is the master: be/R1 and be/R2 are to be cut. */
static void begin(const struct runtime_visit_options *how)
{
    begin_with(servers, 3, how);
}

static void end(void)
{
    runtime_visit_destroy(f.visit);
    cut_items_finish(&f.items);
    cut_debts_destroy(f.debts);
}

/* What is said next; "" where the visit is over. */
static const char *said(void)
{
    static char line[RUNTIME_LINE_MAX + 1];
    size_t len = runtime_visit_say(f.visit, line);

    line[len] = '\0';
    return line;
}

/* The next line is `line`, HAProxy says `reply`, in small pieces, and closes. */
static void answer(const char *line, const char *reply)
{
    bool goes_on = true;

    assert_string_equal(said(), line);
    for (size_t at = 0; goes_on && at < strlen(reply); at += 7)
        goes_on = runtime_visit_take(f.visit, reply + at, strlen(reply + at) < 7 ? strlen(reply + at) : 7);
    if (goes_on)
        runtime_visit_end_reply(f.visit, NULL);
}

/* It is over, with these outcomes for R1 and R2: 'c'onfirmed, 'i'ncomplete, 'f'ailed. */
static void expect_over(const char *outcomes, const char *complaint)
{
    assert_string_equal(said(), "");
    for (size_t i = 0; i < strlen(outcomes); i++)
        assert_int_equal("cif"[f.items.list[i].outcome], outcomes[i]);
    if (complaint == NULL)
        assert_null(runtime_visit_complaint(f.visit));
    else
        assert_string_equal(runtime_visit_complaint(f.visit), complaint);
    end();
}

static const struct runtime_visit_options plain = {.pid = 0};
static const struct runtime_visit_options trial = {.is_trial = true};
static const struct runtime_visit_options old_worker = {.pid = 4711, .is_old = true};

#define WHOLE "shutdown sessions server be/R1;shutdown sessions server be/R2\n"

static void test_cut(void **state)
{
    (void)state;
    begin(&plain);
    answer("show info\n", INFO_26);
    answer(WHOLE, "\n\n");
    expect_over("cc", NULL);
}

/* A reload while it lasts: the next configuration has another HAProxy before this one. */
static void test_moved(void **state)
{
    static const char *const next_names[] = {"B", "A"};
    const struct cut_service service = {
        .name = "m", .servers = servers, .server_count = 3, .backends = backends, .backend_count = 1};
    struct cut_debts *next = cut_debts_create(next_names, 2, &metrics);
    struct cut_items items;

    (void)state;
    assert_non_null(next);
    assert_true(cut_debts_add(next, &service));
    begin(&plain);
    assert_true(cut_debts_inherit(next, f.debts, START));
    cut_debts_adopt(next, &f.items);
    cut_debts_destroy(f.debts);
    f.debts = next;
    assert_false(cut_debts_is_owed(next, 0, f.items.list[0].place));
    items = f.items;
    f.items = (struct cut_items){.list = NULL};
    runtime_visit_move(f.visit, next, 1, &items);
    answer("show info\n", INFO_26);
    answer(WHOLE, "\n\n");
    f.items = items;
    expect_over("cc", NULL);
}

/* Items with numbers of two digits. */
static void test_many_servers(void **state)
{
    static const char replies[] = "\n\n\n\n\n\n\n\n\n\nNo such server.\n\n\n";
    static char names[13][3];
    struct service_server many[13] = {{.name = NULL}};

    (void)state;
    for (size_t i = 0; i < 13; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "R%c", (char)('a' + i));
        many[i].name = names[i];
    }
    begin_with(many, 13, &plain);
    answer("show info\n", INFO_26);
    assert_non_null(strstr(said(), ";shutdown sessions server be/Rk;shutdown sessions server be/Rl\n"));
    (void)runtime_visit_take(f.visit, replies, strlen(replies));
    runtime_visit_end_reply(f.visit, NULL);
    expect_over("ccccccccccfc", "be/Rk: No such server.");
}

/* A line may be filled to its last byte. What does not fit into it is said in the next one. */
static void test_a_full_line(void **state)
{
    static const char first[] = "@!4711 shutdown sessions server be/R1";
    enum { FITS = RUNTIME_LINE_MAX - 2 * (sizeof(first) - 1) - sizeof(";quit\n") + sizeof("R1") - 1 };
    static char name[FITS + 2];
    static char line[RUNTIME_LINE_MAX + 1];
    const struct service_server list[] = {{.name = "R1"}, {.name = name}, {.name = "R3"}};

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        memset(name, 'a', FITS + more);
        begin_with(list, 3, &old_worker);
        answer("@!4711 show info;quit\n", INFO_26);
        line[RUNTIME_LINE_MAX] = 'x';
        assert_int_equal(runtime_visit_say(f.visit, line),
                         more == 0 ? RUNTIME_LINE_MAX : strlen(first) + strlen(";quit\n"));
        assert_int_equal(line[RUNTIME_LINE_MAX], 'x');
        assert_memory_equal(line, first, strlen(first));
        end();
    }
}

/* Each server's answer is its own. */
static void test_unknown_server(void **state)
{
    (void)state;
    begin(&plain);
    answer("show info\n", INFO_26);
    answer(WHOLE, "No such server.\n\n\n");
    expect_over("fc", "be/R1: No such server.");
    begin(&plain);
    answer("show info\n", INFO_26);
    answer(WHOLE, "\nNo such backend.\n\n");
    expect_over("cf", "be/R2: No such backend.");
}

/* One that the configuration has no more may be unknown. */
static void test_stray(void **state)
{
    (void)state;
    begin(&plain);
    f.items.list[0].may_be_gone = true;
    answer("show info\n", INFO_26);
    answer(WHOLE, "No such server.\n\nNo such server.\n\n");
    expect_over("cf", "be/R2: No such server.");
}

static void test_rights(void **state)
{
    (void)state;
    begin(&plain);
    answer("show info\n", INFO_26);
    answer(WHOLE, "Permission denied\n\nPermission denied\n\n");
    expect_over("ff", "Permission denied");
    begin(&plain);
    answer("show info\n", "Permission denied\n\n");
    expect_over("ff", "Permission denied");
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", "Permission denied\n\n");
    expect_over("ff", "Permission denied");
}

/* What is no answer confirms nothing. */
static void test_cut_short(void **state)
{
    (void)state;
    begin(&plain);
    answer("show info\n", INFO_26);
    answer(WHOLE, "\n");
    expect_over("cf", "closed before all was answered");
    begin(&plain);
    answer("show info\n", "Name: HAProxy\nVersion: 2.6.12\n");
    expect_over("ff", "closed before all was answered");
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", SESSION("0x1", "R1", 8));
    expect_over("ff", "closed before all was answered");
    begin(&plain);
    assert_string_equal(said(), "show info\n");
    runtime_visit_end_reply(f.visit, "timeout");
    expect_over("ff", "timeout");
    begin(&plain);
    assert_string_equal(said(), "show info\n");
    runtime_visit_end_reply(f.visit, "?");
    expect_over("ff", "?");
}

static void test_no_haproxy(void **state)
{
    (void)state;
    begin(&plain);
    answer("show info\n", "-ERR unknown command 'show'\r\n\n");
    expect_over("ff", "this is no HAProxy: it says '-ERR unknown command 'show'\r'");
    begin(&plain);
    answer("show info\n", "\n");
    expect_over("ff", "this is no HAProxy: it says ''");
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", "Unknown command: 'show sess'\nhelp\n\n");
    expect_over("ff", "Unknown command: 'show sess'");
}

/* Where a session that connects would hang: who connects is left alone, who does not is shut by id. */
static void test_connecting(void **state)
{
    static const char sessions[] = SESSION("0xa1", "R1", 8) SESSION("0xa2", "R1", 5) SESSION("0xb1", "R2", 8)
        SESSION("0xc1", "R3", 8) SESSION("0xa5", "R1", 10) OWN_LINE "\n";

    (void)state;
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", sessions);
    answer("shutdown sessions server be/R2\n", "\n");
    answer("show sess\n", sessions);
    answer("shutdown session 0xa1\n", "\n");
    expect_over("ic", NULL);
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", SESSION("0xa1", "R1", 8) OWN_LINE "\n");
    answer(WHOLE, "\n\n");
    expect_over("cc", NULL);
}

/* A version that does not hang is not asked who is connecting. */
static void test_ended_by_itself(void **state)
{
    static const char sessions[] = SESSION("0xa1", "R1", 8) SESSION("0xa2", "R1", 5) OWN_LINE "\n";

    (void)state;
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", sessions);
    answer("shutdown sessions server be/R2\n", "\n");
    answer("show sess\n", sessions);
    answer("shutdown session 0xa1\n", "No such session (use 'show sess').\n\n");
    expect_over("ic", NULL);
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", sessions);
    answer("shutdown sessions server be/R2\n", "\n");
    answer("show sess\n", sessions);
    answer("shutdown session 0xa1\n", "Something else\n\n");
    expect_over("fc", "Something else");
}

/* A worker that a reload has replaced: by way of the master, one by one, those that connect as well. */
static void test_old_worker(void **state)
{
    (void)state;
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_26);
    answer("@!4711 shutdown sessions server be/R1;@!4711 shutdown sessions server be/R2;quit\n",
           "Proxy is disabled.\n\nNo such server.\n\n");
    answer("@!4711 show sess;quit\n",
           SESSION("0xa1", "R1", 8) SESSION("0xa2", "R1", 5) SESSION("0xb1", "R2", 8) OWN_LINE "\n");
    answer("@!4711 shutdown session 0xa1;@!4711 shutdown session 0xa2;quit\n", "\n\n");
    expect_over("cc", NULL);
    /* The same where a session that connects would hang. */
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_30);
    answer("@!4711 show sess;quit\n", OWN_LINE "\n");
    answer("@!4711 shutdown sessions server be/R1;@!4711 shutdown sessions server be/R2;quit\n",
           "Proxy is disabled.\n\nProxy is disabled.\n\n");
    answer("@!4711 show sess;quit\n", SESSION("0xa1", "R1", 8) SESSION("0xb2", "R2", 5) OWN_LINE "\n");
    answer("@!4711 shutdown session 0xa1;quit\n", "\n");
    expect_over("ci", NULL);
    /* Nobody is left. */
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_26);
    answer("@!4711 shutdown sessions server be/R1;@!4711 shutdown sessions server be/R2;quit\n",
           "Proxy is disabled.\n\nProxy is disabled.\n\n");
    answer("@!4711 show sess;quit\n", OWN_LINE "\n");
    expect_over("cc", NULL);
}

/* A worker that has ended has no sessions, whatever had been said before; its master need not close. */
static void test_ended_worker(void **state)
{
    static const char gone[] = "Can't find the target PID matching the prefix '@!4711'\n";

    (void)state;
    begin(&old_worker);
    assert_string_equal(said(), "@!4711 show info;quit\n");
    assert_false(runtime_visit_take(f.visit, gone, strlen(gone)));
    expect_over("cc", NULL);
    /* It ends while some of its sessions connect. */
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_30);
    answer("@!4711 show sess;quit\n", SESSION("0xa1", "R1", 5) OWN_LINE "\n");
    assert_string_equal(said(), "@!4711 shutdown sessions server be/R2;quit\n");
    assert_false(runtime_visit_take(f.visit, gone, strlen(gone)));
    expect_over("cc", NULL);
    struct runtime_visit_options tried = old_worker;
    tried.is_trial = true;
    begin(&tried);
    assert_string_equal(said(), "@!4711 show info;quit\n");
    assert_false(runtime_visit_take(f.visit, gone, strlen(gone)));
    expect_over("", "Can't find the target PID matching the prefix '@!4711'");
}

/* A server that is the master again is let alone, from then on. */
static void test_master_again(void **state)
{
    static const char sessions[] = SESSION("0xa1", "R1", 8) SESSION("0xa2", "R1", 5) OWN_LINE "\n";

    (void)state;
    begin(&plain);
    answer("show info\n", INFO_26);
    cut_debts_name(f.debts, 0, "R1", START + 1);
    answer("shutdown sessions server be/R2\n", "\n");
    expect_over("cc", NULL);
    begin(&plain);
    answer("show info\n", INFO_30);
    answer("show sess\n", sessions);
    answer("shutdown sessions server be/R2\n", "\n");
    cut_debts_name(f.debts, 0, "R1", START + 1);
    answer("show sess\n", sessions);
    expect_over("ic", NULL);
}

/* The same between two lines of one step: each command is looked at again before it is said. */
static void test_master_again_between_lines(void **state)
{
    static char names[2][RUNTIME_LINE_MAX / 2];
    struct service_server list[] = {{.name = names[0]}, {.name = names[1]}, {.name = "R3"}};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        memset(names[i], i == 0 ? 'a' : 'b', sizeof(names[i]) - 1);
    begin_with(list, 3, &plain);
    answer("show info\n", INFO_26);
    assert_non_null(strstr(said(), "be/aaa"));
    assert_true(runtime_visit_take(f.visit, "\n", 1));
    runtime_visit_end_reply(f.visit, NULL);
    cut_debts_name(f.debts, 0, names[1], START + 1);
    expect_over("c", NULL);
}

static void test_master_again_between_sessions(void **state)
{
    enum { SESSIONS = 600 };
    static char sessions[SESSIONS * 80];
    static char line[RUNTIME_LINE_MAX + 1];
    size_t len = 0;
    size_t told = 0;

    (void)state;
    for (size_t i = 0; i < SESSIONS; i++)
        len += (size_t)snprintf(sessions + len, sizeof(sessions) - len, SESSION("0xa%06zx", "%s", 8), i,
                                i % 2 == 0 ? "R1" : "R2");
    (void)snprintf(sessions + len, sizeof(sessions) - len, OWN_LINE "\n");
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_26);
    answer("@!4711 shutdown sessions server be/R1;@!4711 shutdown sessions server be/R2;quit\n",
           "Proxy is disabled.\n\nProxy is disabled.\n\n");
    answer("@!4711 show sess;quit\n", sessions);
    for (const char *next = said(); next[0] != '\0'; next = said(), told++) {
        (void)snprintf(line, sizeof(line), "%s", next);
        for (const char *at = line; (at = strstr(at, "shutdown session 0x")) != NULL; at++)
            (void)runtime_visit_take(f.visit, "\n", 1);
        runtime_visit_end_reply(f.visit, NULL);
        assert_non_null(strstr(line, "1;")); /* R2 has the odd ones */
        assert_true(told == 0 || strstr(line, "0;") == NULL);
        cut_debts_name(f.debts, 0, "R1", START + 1);
    }
    assert_true(told > 1);
    expect_over("cc", NULL);
}

/* More than a look has room for: it is looked again. */
static void test_thousands(void **state)
{
    enum { SESSIONS = 5000 };
    static char sessions[SESSIONS * 80];
    static char replies[SESSIONS * 2];
    size_t shut = 0;
    size_t looks = 0;

    (void)state;
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_26);
    answer("@!4711 shutdown sessions server be/R1;@!4711 shutdown sessions server be/R2;quit\n",
           "Proxy is disabled.\n\nProxy is disabled.\n\n");
    for (const char *line = said(); line[0] != '\0'; line = said()) {
        size_t len = 0;
        assert_true(strlen(line) < 8192);
        if (strcmp(line, "@!4711 show sess;quit\n") == 0) {
            looks++;
            for (size_t i = shut; i < SESSIONS; i++)
                len += (size_t)snprintf(sessions + len, sizeof(sessions) - len,
                                        SESSION("0x7f0000%06zx", "R1", 8), i);
            len += (size_t)snprintf(sessions + len, sizeof(sessions) - len, OWN_LINE "\n");
            (void)runtime_visit_take(f.visit, sessions, len);
        } else {
            for (const char *at = line; (at = strstr(at, "shutdown session 0x")) != NULL; at++) {
                replies[len++] = '\n';
                shut++;
            }
            (void)runtime_visit_take(f.visit, replies, len);
        }
        runtime_visit_end_reply(f.visit, NULL);
    }
    assert_int_equal(shut, SESSIONS);
    assert_true(looks > 1);
    expect_over("cc", NULL);
}

/* As many as it shuts, so many are new: it is not looked for ever. Each command takes 256 bytes here, and a look has room
 * for 257 of them: once there are 64 KiB, it is full. */
static void test_sessions_without_end(void **state)
{
    enum { A_LOOK = 257, ID_DIGITS = 256 - sizeof("0 shutdown session 0x;") + 1 };
    static char sessions[(A_LOOK + 1) * (ID_DIGITS + 100)];
    size_t len = 0;
    size_t shut = 0;
    size_t looks = 0;

    (void)state;
    for (int i = 0; i <= A_LOOK; i++)
        len += (size_t)snprintf(sessions + len, sizeof(sessions) - len, SESSION("0x%0*d", "R1", 8), ID_DIGITS,
                                i);
    (void)snprintf(sessions + len, sizeof(sessions) - len, OWN_LINE "\n");
    begin(&old_worker);
    answer("@!4711 show info;quit\n", INFO_26);
    answer("@!4711 shutdown sessions server be/R1;@!4711 shutdown sessions server be/R2;quit\n",
           "Proxy is disabled.\n\n\n");
    for (const char *line = said(); line[0] != '\0'; line = said()) {
        if (strcmp(line, "@!4711 show sess;quit\n") == 0) {
            looks++;
            (void)runtime_visit_take(f.visit, sessions, strlen(sessions));
        }
        for (const char *at = line; (at = strstr(at, "shutdown session 0x")) != NULL; at++, shut++)
            (void)runtime_visit_take(f.visit, "\n", 1);
        runtime_visit_end_reply(f.visit, NULL);
    }
    assert_int_equal(looks, 100);
    assert_int_equal(shut, 100 * A_LOOK);
    expect_over("ic", NULL);
}

/* ---- trials ---- */

#define TRY "shutdown sessions server -/-;get weight be/R1;get weight be/R2;get weight be/R3\n"

static void test_trial(void **state)
{
    (void)state;
    begin(&trial);
    answer("show info\n", INFO_30);
    answer(TRY, "No such backend.\n\n0 (initial 0)\n\n0 (initial 1)\n\n0 (initial 0)\n\n");
    expect_over("", NULL);
    begin(&trial);
    answer("show info\n", INFO_30);
    answer(TRY, "Permission denied\n\n0 (initial 0)\n\n0 (initial 0)\n\n0 (initial 0)\n\n");
    expect_over("", "Permission denied");
    begin(&trial);
    answer("show info\n", INFO_30);
    answer(TRY, "No such backend.\n\n0 (initial 0)\n\nNo such server.\n\n1 (initial 1)\n\n");
    expect_over("", "be/R2: No such server.");
    begin(&trial);
    answer("show info\n", INFO_30);
    answer(TRY, "No such backend.\n\n0 (initial 0)\n\n100 (initial 0)\n\nNo such server.\n\n");
    expect_over("", "be/R2 has weight 100: it must be 0");
    begin(&trial);
    answer("show info\n", "Name: Something\n\n");
    expect_over("", "this is no HAProxy: it says 'Name: Something'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_many_servers),
        cmocka_unit_test(test_a_full_line),
        cmocka_unit_test(test_unknown_server),
        cmocka_unit_test(test_stray),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_no_haproxy),
        cmocka_unit_test(test_connecting),
        cmocka_unit_test(test_ended_by_itself),
        cmocka_unit_test(test_old_worker),
        cmocka_unit_test(test_ended_worker),
        cmocka_unit_test(test_master_again),
        cmocka_unit_test(test_master_again_between_lines),
        cmocka_unit_test(test_master_again_between_sessions),
        cmocka_unit_test(test_thousands),
        cmocka_unit_test(test_sessions_without_end),
        cmocka_unit_test(test_trial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
