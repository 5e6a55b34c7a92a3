/* Whom the agent names and why, in sentences: for each state, what is the reason and what to do. */
#include "spoa/core/status/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/text.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/lib/events.h"

#define START 100000
#define LIFE 2000
#define VOTERS 3

static const char *const voter_names[VOTERS] = {"s0:26379", "s1:26379", "s2:26379"};
static const char *const ids[VOTERS] = {
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "cccccccccccccccccccccccccccccccccccccccc",
};
static struct service_server servers[3];
static struct service_settings settings;
static struct service *service;
static uint8_t identities[VOTERS];
static struct voter_group *group;
static struct metrics metrics;
static struct text out;
static enum voter_source source;

static int set_up(void **state)
{
    (void)state;
    servers[0].name = "R1";
    servers[1].name = "R2";
    servers[2].name = "R3";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    assert_true(addr_parse(span_of_text("10.0.0.2:6379"), &servers[1].addr));
    assert_true(addr_parse(span_of_text("10.0.0.3:6379"), &servers[2].addr));
    settings = (struct service_settings){
        .name = "m",
        .monitor = "theirs",
        .servers = servers,
        .server_count = 3,
        .park_ms = 7000,
        .quorum = {.identities = identities,
                   .voters = VOTERS,
                   .threshold = 2,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = LIFE,
                   .hold_ms = QUORUM_HOLD_MS},
    };
    service = service_create(&settings, START);
    const struct voter_group_options options = {.name = "",
                                                .source = source,
                                                .voter_count = VOTERS,
                                                .voter_names = voter_names,
                                                .services = &service,
                                                .service_count = 1,
                                                .identities = identities,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    assert_non_null(group);
    for (unsigned i = 0; i < VOTERS; i++)
        voter_group_identify(group, i, span_of_text(ids[i]), START);
    return 0;
}

static int set_up_nodes(void **state)
{
    source = VOTER_SOURCE_REPLICATION;
    int result = set_up(state);
    source = VOTER_SOURCE_SENTINEL;
    return result;
}

static int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(group);
    service_destroy(service);
    text_finish(&out);
    return 0;
}

/* ---- what happens ---- */

static void say(unsigned voter, enum quorum_ballot ballot, const char *addr_text, int64_t now_ms)
{
    struct addr addr = {.kind = ADDR_NONE};
    const struct service_event event = {.kind = SERVICE_SAID_MASTER,
                                        .voter = voter,
                                        .ballot = ballot,
                                        .addr = ballot == QUORUM_NAMES ? &addr : NULL,
                                        .t_sent_ms = now_ms};

    if (addr_text != NULL)
        assert_true(addr_parse(span_of_text(addr_text), &addr));
    (void)voter_group_step(group, 0, &event, now_ms);
}

/* All Sentinels. */
static void name_all(const char *addr, int64_t now_ms)
{
    for (unsigned i = 0; i < VOTERS; i++)
        say(i, QUORUM_NAMES, addr, now_ms);
}

static void note_word(int server, enum node_saying saying, const char *words, int64_t now_ms)
{
    const struct service_event event = {.kind = SERVICE_NODE_WORD,
                                        .addr = &servers[server].addr,
                                        .saying = saying,
                                        .words = span_of_text(words)};

    (void)voter_group_step(group, 0, &event, now_ms);
}

static void tell_down_after(uint32_t down_after_ms, int64_t now_ms)
{
    const struct sentinel_facts facts = {.down_after_ms = down_after_ms};

    for (unsigned i = 0; i < VOTERS; i++)
        step_facts(service, i, &servers[0].addr, &facts, now_ms);
}

static void explain(int64_t now_ms)
{
    const struct voter_group *const groups[] = {group};
    const struct status status = {.groups = groups, .group_count = 1, .now_ms = now_ms};
    struct page_cursor cursor = {.section = 0};

    text_finish(&out);
    while (explain_write(&status, &cursor, &out))
        continue;
}

static void assert_says(const char *text)
{
    if (out.data == NULL || strstr(out.data, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, out.data != NULL ? out.data : "");
}

static void assert_silent_about(const char *text)
{
    if (out.data != NULL && strstr(out.data, text) != NULL)
        fail_msg("'%s' is in:\n%s", text, out.data);
}

/* ---- the tests ---- */

static void test_all_is_well(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    tell_down_after(5000, START);
    note_word(0, NODE_SAYS_MASTER, "", START);
    note_word(1, NODE_LISTED, "", START);
    note_word(2, NODE_SAYS_REPLICA, "10.0.0.1:6379", START);
    explain(START + 400);
    assert_string_equal(out.data,
                        "m: R1 (10.0.0.1:6379) is the master.\n"
                        "    3 of 3 Sentinels name it, 2 are needed. The oldest of these votes is 0.4 s old "
                        "and counts for 1.6 s "
                        "more. R1 itself says that it is a master.\n"
                        "    New connections are sent there.\n"
                        "    If one of these Sentinels died now: 2 of 3 would be left, which is enough.\n"
                        "    If one more Sentinel died: nobody would be named.\n"
                        "    If R1 died now: the agent notices a broken connection at once, and silence "
                        "within about 2 s. The "
                        "Sentinels agree that it is down after 5.0 s (down-after-milliseconds), and need "
                        "about a second more. New "
                        "clients wait up to 7.0 s ('park'). Then R2 or R3 can be promoted.\n");
}

static void test_no_sentinel_to_spare(void **state)
{
    (void)state;
    settings.policy.keep_ms = 30000;
    say(0, QUORUM_NAMES, "10.0.0.1:6379", START);
    say(2, QUORUM_NAMES, "10.0.0.1:6379", START);
    explain(START);
    assert_says("    2 of 3 Sentinels name it, 2 are needed.");
    assert_says("    The Sentinel s1:26379 has said nothing yet.\n");
    assert_says("    If one of these Sentinels died now: nobody would be named, as soon as 'keep' (30.0 s) "
                "is over.\n");
    assert_silent_about("one more");
}

/* As many as can be missed. */
static void test_sentinels_to_spare(void **state)
{
    (void)state;
    settings.quorum.threshold = 1;
    name_all("10.0.0.1:6379", START);
    explain(START);
    assert_says("    3 of 3 Sentinels name it, 1 is needed.");
    assert_says("    If one of these Sentinels died now: 2 of 3 would be left, which is enough.\n"
                "    If 2 died: the same. If one more Sentinel died: nobody would be named.\n");
}

/* Rounded, and never below 0. */
static void test_times(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, " 0.0 s old and counts for 2.0 s"},   {49, " 0.0 s old and counts for 2.0 s"},
                 {50, " 0.1 s old and counts for 2.0 s"},  {149, " 0.1 s old and counts for 1.9 s"},
                 {951, " 1.0 s old and counts for 1.0 s"}, {1999, " 2.0 s old and counts for 0.0 s"},
                 {2100, " 2.1 s old and counts for 0.0 s"}};

    (void)state;
    name_all("10.0.0.1:6379", START);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        explain(START + cases[i].ms);
        assert_says(cases[i].text);
    }
}

/* A vote that is as old as it may be is none. */
static void test_a_vote_that_has_expired(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    say(1, QUORUM_NAMES, "10.0.0.1:6379", START + 100);
    say(2, QUORUM_NAMES, "10.0.0.1:6379", START + 100);
    explain(START + LIFE - 1);
    assert_silent_about("    The Sentinel");
    explain(START + LIFE);
    assert_says("    The Sentinel s0:26379 named R1 (10.0.0.1:6379) 2.0 s ago.\n");
    assert_silent_about("s1:26379");
}

/* Its votes are gone: nothing is said of their age. */
static void test_a_master_that_is_kept(void **state)
{
    (void)state;
    settings.policy.keep_ms = 60000;
    settings.policy.keep_when = KEEP_WHEN_UNREACHABLE;
    name_all("10.0.0.1:6379", START);
    service_review(service, START + LIFE);
    explain(START + LIFE);
    assert_says("m: R1 (10.0.0.1:6379) is the master.\n    0 of 3 Sentinels name it, 2 are needed.");
    assert_says("Too few answer. The last master is named for a while ('keep').\n");
    assert_says("    New connections are sent there.\n");
    assert_silent_about("The oldest");
    assert_silent_about("If one of these");
    say(0, QUORUM_NAMES, "10.0.0.1:6379", START + LIFE + 10);
    explain(START + LIFE + 10);
    assert_says("    1 of 3 Sentinels names it, 2 are needed.");
    assert_silent_about("The oldest");
}

/* What each node says of itself, and who could be the next master. */
static void test_words_of_nodes(void **state)
{
    const struct service_waiting waiting = {.count = 1, .oldest_ms = START};

    (void)state;
    name_all("10.0.0.1:6379", START);
    note_word(0, NODE_SAYS_LOADING, "", START);
    note_word(2, NODE_SAYS_REPLICA, "", START);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &waiting);
    explain(START);
    assert_says(" R1 itself says that it is loading its data.\n");
    assert_says(" Then R3 can be promoted.\n");
    assert_says(" 1 waits now, the oldest for 0.0 s.\n");
    note_word(0, NODE_REFUSES, "NOAUTH.", START);
    note_word(1, NODE_LISTED, "", START);
    explain(START);
    assert_says(" R1 refuses to say what it is: NOAUTH.\n");
    assert_says(" Then R2 or R3 can be promoted.\n");
    note_word(0, NODE_SAYS_REPLICA, "", START);
    explain(START);
    assert_says(" R1 itself says that it is a replica.\n");
    assert_says(" Then R1, R2 or R3 can be promoted.\n");
    assert_says("the agent notices a broken connection at once");
}

/* That others list it as a replica is no word of its own. */
static void test_a_master_that_is_listed(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    note_word(0, NODE_LISTED, "", START);
    explain(START);
    assert_says(" 0.0 s old and counts for 2.0 s more.\n");
    assert_says(" Then R1 can be promoted.\n");
}

/* Its own word is not known, and nobody follows it. */
static void test_nothing_is_known_of_the_nodes(void **state)
{
    (void)state;
    settings.park_ms = 0;
    name_all("10.0.0.1:6379", START);
    explain(START);
    assert_silent_about("itself says");
    assert_says("the agent does not notice it by itself ('role-check').");
    assert_says("after their down-after-milliseconds, which they have not told yet.");
    assert_says("New clients are refused at once ('park' is 0).");
    assert_silent_about("wait up to");
    assert_says("knows of no replica that can be promoted.\n");
}

static void test_it_starts(void **state)
{
    (void)state;
    explain(START);
    assert_says("m: there is no master to send clients to (starting).\n");
    assert_says("the agent has just started");
    assert_silent_about("died");
}

/* Why each of them has no vote stands there. */
static void test_no_majority(void **state)
{
    const struct conversation_loss loss = {.reason = "Connection refused", .end = CONVERSATION_END_REFUSED};
    const struct service_waiting waiting = {.count = 2, .oldest_ms = START + LIFE};

    (void)state;
    name_all("10.0.0.1:6379", START);
    voter_group_lost(group, 1, &loss, START + 100);
    voter_group_lost(group, 2, &loss, START + 100);
    say(0, QUORUM_NAMES, "10.0.0.1:6379", START + LIFE);
    service_review(service, START + LIFE);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &waiting);
    explain(START + LIFE + 500);
    assert_says("m: there is no master to send clients to (no-quorum).\n");
    assert_says(
        "    The Sentinel s1:26379 named R1 (10.0.0.1:6379) 2.5 s ago. It is missing for 2.4 s: Connection "
        "refused.\n");
    assert_says("    Nobody is named: too few answer");
    assert_says("    What to do: ");
    assert_says("    New connections wait up to 7.0 s ('park'). 2 wait now, the oldest for 0.5 s.\n");
    assert_silent_about("died");
}

static void test_they_do_not_know_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        say(i, QUORUM_UNKNOWN_NAME, NULL, START);
    service_review(service, START + 10);
    explain(START + 10);
    assert_says("    The Sentinel s0:26379 knew no master called 'theirs' 0.0 s ago.\n");
    assert_says("Compare 'monitor' of the service with SENTINEL MASTERS.");
}

static void test_they_refuse_us(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    for (unsigned i = 0; i < VOTERS; i++) {
        step_voter(service, SERVICE_VOTER_REFUSES_US, i, true, START + 1);
        voter_group_note_words(group, i, 0, span_of_text("NOAUTH Authentication required."), START + LIFE);
        say(i, QUORUM_INVALID, NULL, START + LIFE);
    }
    service_review(service, START + LIFE);
    explain(START + LIFE + 1000);
    assert_says(
        "answered with an error 1.0 s ago. It refuses us for 1.0 s: NOAUTH Authentication required.\n");
    assert_says("correct the password, or their ACL.");
}

static void test_a_doubt(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    note_word(0, NODE_UNREACHABLE, "Connection refused", START);
    (void)step_link(service, SERVICE_LINK_CLOSED, &servers[0].addr, 0, START + 10);
    explain(START + 20);
    assert_says("m: R1 (10.0.0.1:6379) is the master.\n");
    assert_says(" R1 cannot be asked: Connection refused.\n");
    assert_says("    The agent's own link to R1 broke: R1 may be dead.\n");
    assert_says("    New connections wait up to 7.0 s ('park').\n");
    assert_says("If one more Sentinel died");
    assert_silent_about("If R1 died"); /* it may be dead */
}

static void test_a_veto(void **state)
{
    (void)state;
    settings.policy.role_check = ROLE_CHECK_VETO;
    name_all("10.0.0.2:6379", START);
    note_word(1, NODE_SAYS_REPLICA, "10.0.0.1:6379", START);
    step_role(service, &servers[1].addr, NODE_ROLE_REPLICA, START);
    explain(START + 10);
    assert_says("(not-master).\n");
    assert_says(" R2 itself says that it is a replica.\n");
    assert_says("A majority names R2, but R2 says that it is a replica.\n");
}

static void test_an_unknown_address(void **state)
{
    (void)state;
    name_all("10.0.0.9:6379", START);
    explain(START + 10);
    assert_says("A majority names 10.0.0.9:6379, which no 'server' of the service has.\n");
    assert_says("'alias=HOST:PORT'");
}

/* What the last server said of itself is not what this master says, which is none of the servers. */
static void test_any_address(void **state)
{
    (void)state;
    settings.allow_any_address = true;
    step_role(service, &servers[2].addr, NODE_ROLE_MASTER, START);
    name_all("10.0.0.9:6379", START);
    explain(START + 10);
    assert_says("10.0.0.9:6379");
    assert_silent_about("itself says");
    assert_silent_about("cannot be asked");
}

/* A Sentinel that names another one is told with the one that it names. */
static void test_dissent(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    say(1, QUORUM_NAMES, "10.0.0.2:6379", START + 200);
    explain(START + 210);
    assert_says("(pending).\n");
    assert_says("Somebody has just named another master.");
    say(0, QUORUM_NAMES, "10.0.0.1:6379", START + 220);
    say(2, QUORUM_NAMES, "10.0.0.1:6379", START + 220);
    explain(START + 1200);
    assert_says("m: R1 (10.0.0.1:6379) is the master.\n");
    assert_says("    The Sentinel s1:26379 named R2 (10.0.0.2:6379) 1.0 s ago.\n");
}

static void test_nodes_vote(void **state)
{
    (void)state;
    name_all("10.0.0.1:6379", START);
    explain(START);
    assert_says("    3 of 3 nodes name it");
    assert_says("If one of these nodes died now");
    assert_says("Somebody must promote another node");
    assert_silent_about("Sentinel");
}

/* Not a word of Sentinels in any state of a group of nodes. */
static void test_nodes_in_trouble(void **state)
{
    (void)state;
    settings.policy.role_check = ROLE_CHECK_VETO;
    for (unsigned i = 0; i < VOTERS; i++)
        say(i, QUORUM_UNKNOWN_NAME, NULL, START);
    service_review(service, START + 10);
    explain(START + 10);
    assert_says("What to do: Ask a node who the master is");
    assert_silent_about("entinel");
    name_all("10.0.0.2:6379", START + 20);
    step_role(service, &servers[1].addr, NODE_ROLE_REPLICA, START + 20);
    explain(START + 30);
    assert_says("(not-master).\n");
    assert_silent_about("entinel");
    step_role(service, &servers[1].addr, NODE_ROLE_MASTER, START + 40);
    const struct sentinel_facts facts = {.is_o_down = true};
    for (unsigned i = 0; i < VOTERS; i++)
        step_facts(service, i, &servers[1].addr, &facts, START + 40);
    explain(START + 50);
    assert_says("(down).\n");
    assert_says("A majority holds R2 to be down.\n");
    assert_says("What to do: Promote another node, or bring R2 back.");
    assert_silent_about("entinel");
    for (unsigned i = 0; i < VOTERS; i++)
        say(i, QUORUM_NAMES,
            i == 0   ? "10.0.0.1:6379"
            : i == 1 ? "10.0.0.2:6379"
                     : "10.0.0.3:6379",
            START + 60);
    service_review(service, START + 60 + LIFE - 1);
    explain(START + 60 + LIFE - 1);
    assert_says("too few name the same master.");
    assert_silent_about("entinel");
}

/* The service's own limit acts before that of the Sentinels. */
static void test_its_own_down_after(void **state)
{
    (void)state;
    settings.policy.down_after_ms = 1500;
    name_all("10.0.0.1:6379", START);
    tell_down_after(5000, START);
    explain(START);
    assert_says(" It is named no more when a majority of the Sentinels has not heard it for 1.5 s "
                "('down-after'). The Sentinels agree that it is down after 5.0 s");
}

/* A node that says nothing of itself says not that it is a replica. */
static void test_an_unconfirmed_master(void **state)
{
    (void)state;
    settings.policy.role_check = ROLE_CHECK_REQUIRE;
    settings.policy.confirm_ms = 1000;
    name_all("10.0.0.1:6379", START);
    service_review(service, START + 1000);
    explain(START + 1000);
    assert_says("(not-master).\n");
    assert_says("A majority names R1, but R1 does not say that it is a master.\n");
    assert_silent_about("replica.");
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_all_is_well),
        T(test_no_sentinel_to_spare),
        T(test_sentinels_to_spare),
        T(test_times),
        T(test_a_vote_that_has_expired),
        T(test_a_master_that_is_kept),
        T(test_words_of_nodes),
        T(test_a_master_that_is_listed),
        T(test_nothing_is_known_of_the_nodes),
        T(test_it_starts),
        T(test_no_majority),
        T(test_they_do_not_know_it),
        T(test_they_refuse_us),
        T(test_a_doubt),
        T(test_a_veto),
        T(test_an_unknown_address),
        T(test_any_address),
        T(test_dissent),
        cmocka_unit_test_setup_teardown(test_nodes_vote, set_up_nodes, tear_down),
        cmocka_unit_test_setup_teardown(test_nodes_in_trouble, set_up_nodes, tear_down),
        T(test_its_own_down_after),
        T(test_an_unconfirmed_master),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
