/* What HAProxy 2.6, 3.0 and 3.2 said of themselves and of their sessions, and what nobody says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/haproxy_sessions.h"
#include "spoa/core/haproxy/haproxy_version.h"
#include "spoa/core/haproxy/runtime_reply.h"

/* The sessions that were read: "ID BACKEND/SERVER STATE;" each. */
static char seen[2048];

static void note(void *context, const char *line)
{
    static const char *const states[] = {"connecting", "established", "ending"};
    size_t len = strlen(seen);
    struct haproxy_session session;

    (void)context;
    if (haproxy_session_read(line, &session))
        (void)snprintf(seen + len, sizeof(seen) - len, "%.*s %.*s/%.*s %s;", (int)session.id_len, session.id,
                       (int)session.backend_len, session.backend, (int)session.server_len, session.server,
                       states[session.state]);
}

static const char *read_pieces(const char *text, size_t piece)
{
    struct reply_lines lines;

    seen[0] = '\0';
    reply_lines_init(&lines, note, NULL);
    for (size_t at = 0; at < strlen(text); at += piece)
        reply_lines_take(&lines, text + at, strlen(text + at) < piece ? strlen(text + at) : piece);
    return seen;
}

#define OWN_LINE                                                                                             \
    "0x7f8bba27ac00: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s "      \
    "calls=1 "                                                                                               \
    "rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,ax=] rp[f=80008000h,i=0,an=00h,ax=] "                        \
    "scf=[8,0h,fd=23,rex=10s,wex=] "                                                                         \
    "scb=[8,1h,fd=-1,rex=,wex=] exp=10s rc=0 c_exp=\n"

static void test_sessions_of_several_versions(void **state)
{
    static const char reply[] =
        /* 2.6 */
        "0x7f1e3403f450: proto=tcpv4 src=10.77.4.2:40158 fe=fe_redis be=be_redis srv=R1 ts=00 epoch=0 age=0s "
        "calls=1 "
        "rate=1 cpu=0 lat=0 rq[f=c08002h,i=0,an=00h,rx=10s,wx=,ax=] rp[f=80008000h,i=0,an=00h,rx=,wx=,ax=] "
        "scf=[8,0h,fd=12] scb=[8,118h,fd=13] exp=10s rc=0 c_exp=\n"
        /* 3.0, connecting, and the one that asks */
        "0x7f8bba27a000: proto=unix_stream src=unix:1 fe=f be=b srv=R1 ts=00 epoch=0 age=0s calls=1 rate=0 "
        "cpu=0 lat=0 "
        "rq[f=808000h,i=0,an=00h,ax=] rp[f=80000000h,i=0,an=00h,ax=] scf=[8,200h,fd=14,rex=,wex=] "
        "scb=[5,1h,fd=19,rex=,wex=] exp=0s rc=0 c_exp=0s\n" OWN_LINE "\n";
    static const char expected[] = "0x7f1e3403f450 be_redis/R1 established;"
                                   "0x7f8bba27a000 b/R1 connecting;";

    (void)state;
    for (size_t piece = 1; piece < 700; piece += 13)
        assert_string_equal(read_pieces(reply, piece), expected);
}

static void test_what_is_no_session(void **state)
{
    static char long_line[5000];

    (void)state;
    assert_string_equal(read_pieces("Permission denied\n\n", 7), "");
    assert_string_equal(read_pieces("0x1: be=b srv=R1\n0x2: be=b scb=[8,\n0x3: srv=R1 scb=[8,\n", 7), "");
    assert_string_equal(read_pieces("0x1: be=b srv=R1 scb=[8,1h", 7), ""); /* no end of the line */
    assert_string_equal(read_pieces("0x1: fe=f be=b srv=R1 scb=[88,1h\n", 7), "0x1 b/R1 ending;");
    assert_string_equal(read_pieces("0x1: fe=f be=b srv=R1 scb=[9,1h\n", 7), "0x1 b/R1 ending;");
    /* An id goes into a command. */
    assert_string_equal(read_pieces("0y1: fe=f be=b srv=R1 scb=[8,1h\n", 7), "");
    assert_string_equal(
        read_pieces("0x1;show info: fe=f be=b srv=R1 scb=[8,1h\n0x: fe=f be=b srv=R1 scb=[8,1h\n", 7), "");
    /* Nothing is written behind the line, and the next one is read. */
    memset(long_line, 'x', sizeof(long_line) - 1);
    memcpy(long_line + 4000, "\n0x9: fe=f be=b srv=R1 scb=[8,1h\n",
           strlen("\n0x9: fe=f be=b srv=R1 scb=[8,1h\n"));
    assert_string_equal(read_pieces(long_line, 1000), "0x9 b/R1 established;");
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nRelease_date: x\n"),
                     206);
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: 3.2-dev10-1\n"), 302);
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: 3.0.11"), 300);
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: \n"), 0);
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: 3.0.00000000000000000000\n"), 0);
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: 3.0.00000000000\n"), 300);
    assert_int_equal(haproxy_info_version("Name: HAProxy\nVersion: 3.0.000000000000\n"), 0);
    assert_int_equal(haproxy_info_version("Name: HAProxy\n"), 0);
    assert_int_equal(haproxy_info_version("-ERR unknown command\n"), 0);
    assert_int_equal(haproxy_info_version(""), 0);
}

static void test_versions_as_options(void **state)
{
    static const struct {
        const char *text;
        unsigned version;
    } cases[] = {
        {"2.6", 206}, {"3.1-dev", 301}, {"99.99", 9999}, {"2.99.1", 299}, {"100.1", 0}, {"2.100", 0},
        {"2.6x", 0},  {"2.6x1", 0},     {"3", 0},        {"3,2", 0},      {"2.", 0},    {".6", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (haproxy_version(cases[i].text) != cases[i].version)
            fail_msg("'%s' is %u", cases[i].text, haproxy_version(cases[i].text));
}

static void test_which_ones_hang(void **state)
{
    (void)state;
    assert_true(haproxy_hangs(0)); /* not known */
    assert_false(haproxy_hangs(206));
    assert_true(haproxy_hangs(207));
    assert_true(haproxy_hangs(208));
    assert_true(haproxy_hangs(300));
    assert_true(haproxy_hangs(301));
    assert_false(haproxy_hangs(302));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_of_several_versions),
        cmocka_unit_test(test_what_is_no_session),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_versions_as_options),
        cmocka_unit_test(test_which_ones_hang),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
