/*
 * The answers of a service: written again after a change, replicas by turns, and counted across a change of
 * configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/answer.h"
#include "tests/lib/events.h"

#define START 100000
#define F 2000
#define SERVERS 4

static struct service_server servers[SERVERS];
static struct service_settings settings;
static uint8_t identities[1];
static struct service *service;
static struct answer answer;
static size_t master; /* the server that was named last */

/* Counts what the observers of the service are told of first answers. */
static unsigned first_answers;

static void count_first(struct service_observer *self, const struct service *one,
                        const struct service_change *change)
{
    (void)self;
    (void)one;
    first_answers += change->is_first_answer;
}

static struct service_observer counter = {.changed = count_first};

static int set_up(void **state)
{
    static const char *const names[SERVERS] = {"R0", "R1", "R2", "R3"};
    static const char *const addresses[SERVERS] = {"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379",
                                                   "10.0.0.4:6379"};

    (void)state;
    for (size_t i = 0; i < SERVERS; i++) {
        servers[i] = (struct service_server){.name = names[i], .weight = 1};
        assert_true(addr_parse(span_of_text(addresses[i]), &servers[i].addr));
    }
    identities[0] = 0;
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = servers,
        .server_count = SERVERS,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = F},
        .replicas = {.is_enabled = true},
    };
    first_answers = 0;
    service = service_create(&settings, START);
    assert_true(answer_init(&answer, service));
    service_observe(service, &counter);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    answer_finish(&answer);
    service_destroy(service);
    return 0;
}

static void name(size_t server, int64_t now_ms)
{
    const struct service_event vote = {.kind = SERVICE_SAID_MASTER,
                                       .t_sent_ms = now_ms,
                                       .addr = &servers[server].addr,
                                       .ballot = QUORUM_NAMES};

    master = server;
    (void)service_step(service, &vote, now_ms);
}

static void say_up(uint64_t up, int64_t now_ms)
{
    const struct service_event view = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = now_ms, .addr = &servers[master].addr, .servers = up};

    (void)service_step(service, &view, now_ms);
}

/* Whether the actions for this role hold `text`. */
static bool says(enum service_role role, const char *text, int64_t now_ms)
{
    struct span actions = answer_actions(answer_give(&answer, role, now_ms));

    return memmem(actions.data, actions.len, text, strlen(text)) != NULL;
}

/* A client that cannot wait any longer gets the name all the same, and hears of the doubt. */
static void test_a_doubt_is_told_with_the_name(void **state)
{
    (void)state;
    settings.park_ms = 500;
    name(0, START);
    (void)step_link(service, SERVICE_LINK_CLOSED, &servers[0].addr, 0, START + 10);
    assert_true(says(SERVICE_ROLE_MASTER, "doubted", START + 10));
    assert_true(says(SERVICE_ROLE_MASTER, "R0", START + 10));
    answer_note(&answer, SERVICE_ROLE_MASTER, true, START + 10);
    assert_int_equal(answer.counters.masters[SERVICE_DOUBTED], 1);
    assert_true(says(SERVICE_ROLE_MASTER, "doubted", START + 509));
    assert_false(says(SERVICE_ROLE_MASTER, "doubted", START + 510)); /* nobody has reviewed it */
    assert_int_equal(service_decision(service)->generation, 1);
}

/* `addr` has only numeric addresses. What it was before is taken back where the master has a name. */
static void test_the_address_of_a_name(void **state)
{
    (void)state;
    assert_true(addr_parse(span_of_text("redis-1:6380"), &servers[1].addr));
    name(1, START);
    assert_true(says(SERVICE_ROLE_MASTER, "R1", START));
    assert_true(says(SERVICE_ROLE_MASTER,
                     "\x04"
                     "addr",
                     START));
    assert_true(says(SERVICE_ROLE_MASTER, "\x04port", START));
}

static void test_follows_the_decision(void **state)
{
    (void)state;
    assert_true(says(SERVICE_ROLE_MASTER, "starting", START));
    name(0, START);
    assert_true(says(SERVICE_ROLE_MASTER, "R0", START));
    assert_true(says(SERVICE_ROLE_MASTER, "R0", START + F - 1));
    /* The vote has run out, and no timer has said so. */
    assert_true(says(SERVICE_ROLE_MASTER, "no-quorum", START + F));
    assert_false(says(SERVICE_ROLE_MASTER, "R0", START + F));
    name(1, START + F + 1);
    assert_true(says(SERVICE_ROLE_MASTER, "R1", START + F + 1));
    assert_true(says(SERVICE_ROLE_MASTER, "\x05votes\x04\x01", START + F + 1));
    assert_true(says(SERVICE_ROLE_MASTER,
                     "\x0a"
                     "generation\x04\x02",
                     START + F + 1));
}

/* The next `count` replicas that are named, as the last digits of their names. */
static const char *turns(uint64_t set, size_t count)
{
    static char digits[32];

    assert_true(count < sizeof(digits));
    say_up(set, START);
    for (size_t i = 0; i < count; i++) {
        struct span actions = answer_actions(answer_give(&answer, SERVICE_ROLE_REPLICA, START));
        const char *at = memmem(actions.data, actions.len, "\x02R", 2);
        assert_non_null(at);
        digits[i] = at[2];
    }
    digits[count] = '\0';
    return digits;
}

static void test_turns(void **state)
{
    (void)state;
    name(0, START);
    assert_string_equal(turns(0xE, 6), "123123");
    assert_string_equal(turns(0x4, 2), "22");
    servers[1].weight = 2;
    assert_string_equal(turns(0x6, 9), "121121121");
    servers[1].weight = 256;
    const char *many = turns(0x6, 30);
    assert_null(strchr(many, '3'));
    assert_non_null(strchr(many, '1'));
}

/* The first server of the map has its turn, too. */
static void test_turns_of_the_first(void **state)
{
    (void)state;
    name(3, START);
    assert_string_equal(turns(0x7, 6), "012012");
}

static void test_the_first_answer_is_told_once(void **state)
{
    (void)state;
    name(0, START);
    answer_note(&answer, SERVICE_ROLE_REPLICA, true, START);
    answer_note(&answer, SERVICE_ROLE_MASTER, false, START);
    assert_int_equal(first_answers, 0);
    answer_note(&answer, SERVICE_ROLE_MASTER, true, START);
    answer_note(&answer, SERVICE_ROLE_MASTER, true, START);
    assert_int_equal(first_answers, 1);
    name(1, START + 1);
    answer_note(&answer, SERVICE_ROLE_MASTER, true, START + 1);
    assert_int_equal(first_answers, 2);
}

static bool has_at_hand(int64_t now_ms)
{
    const struct answer_words *words = answer_at_hand(&answer, now_ms);

    assert_true(words == NULL || words == answer_give(&answer, SERVICE_ROLE_MASTER, now_ms));
    return words != NULL;
}

/* What needs no work: written, not expired, and open to new connections. */
static void test_at_hand(void **state)
{
    (void)state;
    settings.park_ms = 500;
    name(0, START);
    assert_false(has_at_hand(START)); /* not written yet */
    assert_true(says(SERVICE_ROLE_MASTER, "R0", START));
    assert_true(has_at_hand(START + F - 1));
    assert_false(has_at_hand(START + F));
    answer_note_at_hand(&answer, 7, START);
    answer_note_at_hand(&answer, 2, START);
    assert_int_equal(answer.counters.masters[SERVICE_OK], 9);
    assert_int_equal(first_answers, 1);
    assert_true(says(SERVICE_ROLE_MASTER, "R0", START));
    assert_true(has_at_hand(START));
    name(1, START + 1);
    assert_false(has_at_hand(START + 1));
    assert_true(says(SERVICE_ROLE_MASTER, "R1", START + 1));
    assert_true(has_at_hand(START + 1));
    (void)step_link(service, SERVICE_LINK_CLOSED, &servers[1].addr, 0, START + 10);
    assert_true(says(SERVICE_ROLE_MASTER, "doubted", START + 10));
    assert_false(has_at_hand(START + 10)); /* a client may have to wait */
}

/*
 * A reload: the next configuration goes on counting where the former one stopped, with all that it counted
 * until then.
 */
static void test_counters_never_fall(void **state)
{
    struct service *next = service_create(&settings, START);
    struct answer successor;

    (void)state;
    assert_true(answer_init(&successor, next));
    name(0, START);
    for (unsigned i = 0; i < 3; i++)
        answer_note(&answer, SERVICE_ROLE_MASTER, true, START);
    answer_note(&answer, SERVICE_ROLE_REPLICA, true, START);
    answer_note(&answer, SERVICE_ROLE_REPLICA, false, START);
    answer_inherit(&successor, &answer);
    assert_int_equal(successor.counters.masters[SERVICE_OK], 3);
    assert_int_equal(successor.counters.replicas_named, 1);
    assert_int_equal(successor.counters.replicas_unnamed, 1);
    assert_false(successor.is_first_due); /* the first answer went out before */
    answer_finish(&successor);
    service_destroy(next);
}

/* A reload between a switch and its first answer: whichever of them comes first, it is still to be told. */
static void test_the_first_answer_after_a_reload(void **state)
{
    struct service *next = service_create(&settings, START);
    struct answer successor;

    (void)state;
    assert_true(answer_init(&successor, next));
    assert_false(successor.is_first_due);
    name(0, START);
    assert_true(answer.is_first_due);
    answer_inherit(&successor, &answer);
    assert_true(successor.is_first_due);
    answer_note(&answer, SERVICE_ROLE_MASTER, true, START);
    assert_false(answer.is_first_due);
    answer_inherit(&successor, &answer);
    assert_true(successor.is_first_due);
    answer_finish(&successor);
    service_destroy(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_address_of_a_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_follows_the_decision, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_doubt_is_told_with_the_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_turns_of_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_answer_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_hand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_answer_after_a_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counters_never_fall, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
