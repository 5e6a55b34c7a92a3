#include "spoa/core/base/container_of.h"
#include "spoa/core/decision/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/spop_frame.h"
#include "spoa/core/haproxy/answer.h"
#include "tests/lib/events.h"

enum { T = 500, F = 2000, VOTERS = 3, SERVERS = 2 };
#define START 100000

static const uint8_t identities[VOTERS] = {0, 1, 2};

/* A service with two servers and an observer that remembers. */
struct fixture {
    struct service_server servers[SERVERS];
    struct service_settings settings;
    struct service *service;
    struct answer answer; /* of the service */
    struct service_observer observer;
    unsigned changes;
    unsigned switches;
    char replaced[ADDR_TEXT_MAX]; /* of the last switch */
    const char *replaced_server;
};

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

static void remember(struct service_observer *self, const struct service *service,
                     const struct service_change *change)
{
    struct fixture *f = container_of(self, struct fixture, observer);

    assert_ptr_equal(service, f->service);
    assert_ptr_equal(change->after, service_decision(service));
    f->changes++;
    if (!change->switched)
        return;
    f->switches++;
    f->replaced_server = change->replaced_server;
    if (change->replaced != NULL)
        addr_format(change->replaced, f->replaced);
    else
        f->replaced[0] = '\0';
}

static void begin(struct fixture *f, bool allow_any)
{
    *f = (struct fixture){
        .servers = {{.name = "R1", .addr = addr_of("10.0.0.1:6379")},
                    {.name = "R2", .addr = addr_of("10.0.0.2:6379")}},
        .settings = {.name = "mymaster",
                     .monitor = "mymaster",
                     .server_count = SERVERS,
                     .allow_any_address = allow_any,
                     .quorum = {.identities = identities,
                                .voters = VOTERS,
                                .threshold = 2,
                                .reply_timeout_ms = T,
                                .vote_life_ms = F,
                                .hold_ms = QUORUM_HOLD_MS,
                                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS}},
        .observer = {.changed = remember},
    };
    f->settings.servers = f->servers;
    f->service = service_create(&f->settings, START);
    assert_non_null(f->service);
    service_observe(f->service, &f->observer);
    assert_true(answer_init(&f->answer, f->service));
}

static void end(struct fixture *f)
{
    service_destroy(f->service);
    service_destroy(NULL);
}

static bool vote(struct fixture *f, unsigned voter, const char *address, int64_t at_ms)
{
    struct addr addr = addr_of(address);
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = at_ms};

    assert_true(step_as(f->service, voter, &ballot, at_ms));
    return service_take_ask_all(f->service);
}

/* All three name `address`, as they would after a suspicion. */
static void agree(struct fixture *f, const char *address, int64_t at_ms)
{
    for (unsigned i = 0; i < VOTERS; i++)
        vote(f, i, address, at_ms);
}

/* The variable `wanted` in the answer: false where it is not set. */
static bool answered(struct fixture *f, const char *wanted, int64_t now_ms, struct spop_value *ret_value)
{
    struct span actions = answer_actions(answer_give(&f->answer, SERVICE_ROLE_MASTER, now_ms));
    bool is_set = false;

    assert_true(actions.len > 0);
    while (actions.len > 0) {
        struct span head = span_of_text("?");
        struct span name = head;
        struct spop_value value = spop_text(head);
        assert_true(span_take(&actions, 3, &head));
        assert_true(spop_name_read(&actions, &name));
        if (head.data[0] == 1)
            assert_true(spop_value_read(&actions, &value));
        if (head.data[0] == 1 && span_equals_text(name, wanted)) {
            *ret_value = value;
            is_set = true;
        }
    }
    return is_set;
}

static void assert_state(struct fixture *f, int64_t now_ms, const char *state, const char *master)
{
    struct spop_value value = spop_text(span_of_text("?"));

    assert_true(answered(f, "state", now_ms, &value));
    assert_true(span_equals_text(value.text, state));
    bool is_named = answered(f, "master", now_ms, &value);
    assert_int_equal(is_named, master != NULL);
    if (master != NULL)
        assert_true(span_equals_text(value.text, master));
}

static void test_starts_without_a_name(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    assert_state(&f, START, "starting", NULL);
    assert_state(&f, START + F, "no-quorum", NULL);
    end(&f);
}

static void test_names_what_the_majority_names(void **state)
{
    struct fixture f;
    struct spop_value value;

    (void)state;
    begin(&f, false);
    assert_true(vote(&f, 0, "10.0.0.1:6379", START + 100)); /* asks all: nobody was named before */
    assert_state(&f, START + 100, "starting", NULL);
    vote(&f, 1, "10.0.0.1:6379", START + 100);
    assert_state(&f, START + 100, "ok", "R1");
    assert_true(answered(&f, "addr", START + 100, &value));
    assert_memory_equal(value.ipv4, "\x0a\x00\x00\x01", 4);
    assert_true(answered(&f, "port", START + 100, &value) && value.integer == 6379);
    assert_true(answered(&f, "votes", START + 100, &value) && value.integer == 2);
    assert_true(answered(&f, "generation", START + 100, &value) && value.integer == 1);
    vote(&f, 2, "10.0.0.1:6379", START + 100);
    assert_true(answered(&f, "votes", START + 100, &value) && value.integer == 3);
    end(&f);
}

/* However late the timers are: nothing reviews here but the answer itself. */
static void test_never_answers_from_expired_votes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    agree(&f, "10.0.0.1:6379", START);
    assert_state(&f, START + F - 1, "ok", "R1");
    assert_state(&f, START + F, "no-quorum", NULL);
    assert_int_equal(service_decision(f.service)->reason, QUORUM_UNREACHABLE);
    agree(&f, "10.0.0.1:6379", START + F + 5);
    assert_state(&f, START + F + 5, "ok", "R1");
    assert_int_equal(service_decision(f.service)->generation, 1); /* the same master: no switch */
    end(&f);
}

static void test_switch_and_back(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    agree(&f, "10.0.0.1:6379", START);
    assert_int_equal(f.switches, 1);
    assert_string_equal(f.replaced, "");
    assert_true(vote(&f, 0, "10.0.0.2:6379", START + 100));
    assert_state(&f, START + 100, "pending", NULL);
    vote(&f, 1, "10.0.0.2:6379", START + 101);
    assert_state(&f, START + 101, "ok", "R2");
    assert_int_equal(f.switches, 2);
    assert_string_equal(f.replaced, "10.0.0.1:6379");
    assert_string_equal(f.replaced_server, "R1");
    agree(&f, "10.0.0.1:6379", START + 1000);
    assert_int_equal(f.switches, 3);
    assert_string_equal(f.replaced, "10.0.0.2:6379");
    assert_int_equal(service_decision(f.service)->generation, 3);
    end(&f);
}

static void test_observers_hear_of_changes_only(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    agree(&f, "10.0.0.1:6379", START);
    unsigned changes = f.changes;
    for (int64_t t = START + 1; t < START + 50; t++)
        agree(&f, "10.0.0.1:6379", t);
    assert_int_equal(f.changes, changes);
    end(&f);
}

static void test_outside_the_map(void **state)
{
    struct fixture f;
    struct spop_value value;

    (void)state;
    begin(&f, false);
    agree(&f, "10.9.9.9:6379", START);
    assert_state(&f, START, "unknown-address", NULL);
    assert_false(answered(&f, "addr", START, &value));
    assert_int_equal(f.switches, 0);
    end(&f);
    begin(&f, true);
    agree(&f, "10.9.9.9:6379", START);
    assert_state(&f, START, "ok", NULL);
    assert_true(answered(&f, "addr", START, &value));
    assert_memory_equal(value.ipv4, "\x0a\x09\x09\x09", 4);
    agree(&f, "redis-7.example:6379", START + 200);
    assert_state(&f, START + 200, "unknown-address", NULL); /* a name cannot be set-dst's */
    agree(&f, "0.0.0.0:6379", START + 400);
    assert_state(&f, START + 400, "unknown-address", NULL);
    agree(&f, "[::]:6379", START + 600);
    assert_state(&f, START + 600, "unknown-address", NULL);
    end(&f);
}

static void test_late_ballots_and_forgotten_voters(void **state)
{
    struct fixture f;
    struct addr addr = addr_of("10.0.0.2:6379");
    const struct service_event late = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = START};

    (void)state;
    begin(&f, false);
    assert_false(step_as(f.service, 0, &late, START + T + 1));
    assert_false(service_take_ask_all(f.service));
    vote(&f, 0, "10.0.0.1:6379", START + 600);
    vote(&f, 1, "10.0.0.1:6379", START + 600);
    assert_state(&f, START + 600, "ok", "R1");
    step_voter(f.service, SERVICE_VOTER_FORGOTTEN, 1, true, START + 601);
    assert_int_not_equal(service_decision(f.service)->state, SERVICE_OK);
    end(&f);
}

/* One Sentinel names the node by its name, another by its address: that is a majority. */
static void test_votes_by_several_addresses(void **state)
{
    const struct addr aliases[] = {addr_of("redis-2:6379"), addr_of("[fd00::2]:6379")};
    struct spop_value value = {.type = SPOP_NULL};
    struct fixture f;

    (void)state;
    begin(&f, false);
    f.servers[1].aliases = aliases;
    f.servers[1].alias_count = 2;
    vote(&f, 0, "redis-2:6379", START);
    vote(&f, 1, "[FD00:0::2]:6379", START);
    vote(&f, 2, "10.0.0.2:6379", START);
    assert_state(&f, START, "ok", "R2");
    assert_int_equal(service_decision(f.service)->votes, 3);
    assert_true(answered(&f, "addr", START, &value));
    assert_int_equal(value.type, SPOP_IPV4); /* the main address */
    assert_int_equal(f.switches, 1);
    agree(&f, "redis-2:6379", START + 100);
    assert_int_equal(f.switches, 1);
    end(&f);
}

static void test_same_node(void **state)
{
    const struct addr alias = addr_of("redis-2:6379");
    const struct addr main_addr = addr_of("10.0.0.2:6379");
    const struct addr other = addr_of("10.0.0.1:6379");
    const struct addr stranger = addr_of("10.0.0.9:6379");
    const struct addr another = addr_of("10.0.0.8:6379");
    struct fixture f;

    (void)state;
    begin(&f, false);
    assert_false(service_is_same_node(f.service, &alias, &main_addr));
    f.servers[1].aliases = &alias;
    f.servers[1].alias_count = 1;
    assert_true(service_is_same_node(f.service, &alias, &main_addr));
    assert_false(service_is_same_node(f.service, &alias, &other));
    assert_false(service_is_same_node(f.service, &stranger, &another));
    assert_true(service_is_same_node(f.service, &stranger, &stranger));
    end(&f);
}

/* ---- loopback addresses ---- */

static bool has_alarm(const struct fixture *f, enum alarm_kind kind)
{
    return alarms_is_raised(service_alarms(f->service), kind);
}

static void vote_from(struct fixture *f, unsigned voter, bool is_remote, const char *address, int64_t at_ms)
{
    struct addr addr = addr_of(address);
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &addr,
                                         .is_remote = is_remote,
                                         .t_sent_ms = at_ms};

    assert_true(step_as(f->service, voter, &ballot, at_ms));
}

static void test_loopback_of_another_host(void **state)
{
    const struct addr alias = addr_of("localhost:6379");
    struct fixture f;

    (void)state;
    begin(&f, false);
    vote_from(&f, 0, true, "10.0.0.1:6379", START);
    vote_from(&f, 1, false, "127.0.0.1:6379", START);
    assert_false(has_alarm(&f, ALARM_LOOPBACK)); /* a Sentinel beside us may mean our own host */
    vote_from(&f, 1, true, "127.0.0.1:6379", START + 1);
    assert_true(has_alarm(&f, ALARM_LOOPBACK));
    vote_from(&f, 1, true, "10.0.0.1:6379", START + 2);
    assert_false(has_alarm(&f, ALARM_LOOPBACK));
    /* The map says what is meant. */
    f.servers[0].aliases = &alias;
    f.servers[0].alias_count = 1;
    vote_from(&f, 1, true, "localhost:6379", START + 3);
    assert_false(has_alarm(&f, ALARM_LOOPBACK));
    /* Also where the map repeats what Sentinel says. */
    f.servers[0].addr = addr_of("[::1]:6379");
    vote_from(&f, 1, true, "localhost:6379", START + 4);
    assert_true(has_alarm(&f, ALARM_LOOPBACK));
    service_review(f.service, START + 4 + F); /* the Sentinel is not heard any more */
    assert_false(has_alarm(&f, ALARM_LOOPBACK));
    end(&f);
}

/*
 * Places for addresses outside the map are used again and again; the answer must always be what a plain count
 * of the last words says. Votes here never expire and HOLD is 0, so that the count is all there is.
 */
static void test_strangers_are_never_mixed_up(void **state)
{
    uint64_t random = 88172645463325252u;
    struct fixture f;
    unsigned said[VOTERS] = {0};

    (void)state;
    begin(&f, true);
    f.settings.quorum.hold_ms = 0;
    f.settings.quorum.vote_life_ms = INT64_MAX / 4;
    service_destroy(f.service);
    f.service = service_create(&f.settings, START);
    agree(&f, "10.7.0.0:6379", START);
    for (int64_t t = START + 1; t < START + 20000; t++) {
        char text[ADDR_TEXT_MAX];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        unsigned voter = (unsigned)(random % VOTERS);
        said[voter] = (unsigned)(random / VOTERS % 12);
        snprintf(text, sizeof(text), "10.7.0.%u:6379", said[voter]);
        vote(&f, voter, text, t);
        unsigned winner = said[0] == said[1] || said[0] == said[2] ? said[0] : said[1];
        bool is_won = said[0] == said[1] || said[0] == said[2] || said[1] == said[2];
        const struct service_decision *decision = service_decision(f.service);
        assert_int_equal(decision->state == SERVICE_OK, is_won);
        snprintf(text, sizeof(text), "10.7.0.%u:6379", winner);
        struct addr expected = addr_of(text);
        if (is_won)
            assert_true(addr_equals(decision->addr, &expected));
    }
    end(&f);
}

/* What an answer finds out allocates nothing: the status has the detail of an alarm with the next review. */
static void test_an_alarm_that_an_answer_raises(void **state)
{
    struct addr outside = addr_of("10.0.0.9:6379");
    const struct service_event older = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &outside, .t_sent_ms = START + 999};
    struct spop_value value;
    struct fixture f;

    (void)state;
    begin(&f, false);
    agree(&f, "10.0.0.1:6379", START);
    vote(&f, 0, "10.0.0.9:6379", START + 1000);
    assert_true(step_as(f.service, 1, &older, START + 1001)); /* it waits until the suspicion is over */
    assert_false(alarms_is_raised(service_alarms(f.service), ALARM_UNKNOWN_ADDRESS));
    /* The suspicion is over, and no timer has said so. */
    assert_true(answered(&f, "state", START + 1000 + QUORUM_HOLD_MS, &value));
    assert_true(alarms_is_raised(service_alarms(f.service), ALARM_UNKNOWN_ADDRESS));
    assert_null(alarms_detail(service_alarms(f.service), ALARM_UNKNOWN_ADDRESS));
    service_review(f.service, START + 1001 + QUORUM_HOLD_MS);
    assert_non_null(strstr(alarms_detail(service_alarms(f.service), ALARM_UNKNOWN_ADDRESS), "10.0.0.9:6379"));
    end(&f);
}

/* What a node outside the map says has one place, whichever of them it is, and nothing else is written over. */
static void test_roles_of_strangers(void **state)
{
    static const struct node_word nothing;
    struct fixture f;

    (void)state;
    begin(&f, true);
    vote(&f, 0, "10.0.0.8:6379", START);
    vote(&f, 1, "10.0.0.9:6379", START);
    vote(&f, 2, "10.0.0.9:6379", START);
    struct addr last = addr_of("10.0.0.9:6379");
    const struct service_event role = {
        .kind = SERVICE_SAID_ROLE, .t_sent_ms = START + 1, .addr = &last, .role = NODE_ROLE_MASTER};
    assert_true(step_as(f.service, 0, &role, START + 1));
    assert_state(&f, START + 1, "ok", NULL);
    for (size_t i = 0; i < SERVERS; i++)
        assert_memory_equal(service_node_word(f.service, i), &nothing, sizeof(nothing));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_without_a_name),
        cmocka_unit_test(test_names_what_the_majority_names),
        cmocka_unit_test(test_an_alarm_that_an_answer_raises),
        cmocka_unit_test(test_never_answers_from_expired_votes),
        cmocka_unit_test(test_switch_and_back),
        cmocka_unit_test(test_observers_hear_of_changes_only),
        cmocka_unit_test(test_outside_the_map),
        cmocka_unit_test(test_late_ballots_and_forgotten_voters),
        cmocka_unit_test(test_votes_by_several_addresses),
        cmocka_unit_test(test_same_node),
        cmocka_unit_test(test_loopback_of_another_host),
        cmocka_unit_test(test_strangers_are_never_mixed_up),
        cmocka_unit_test(test_roles_of_strangers),
    };

    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
