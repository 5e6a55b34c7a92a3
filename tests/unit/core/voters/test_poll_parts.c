/* Many services: a Sentinel's poll has parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/voters/poll_parts.h"
#include "spoa/core/voters/voter_group.h"

enum { POLL = 1000, PARTS = 4, SERVICES = PARTS * POLL_PART_SERVICES };
#define START 100000

static struct metrics metrics;
static uint8_t identities[2];
static struct service_settings settings;
static struct service *services[SERVICES];
static struct voter_group *group;
static unsigned asked[SERVICES];

static void create(enum voter_source source, size_t count)
{
    static const char *const names[] = {"a", "b"};
    const struct voter_group_options options = {
        .name = "",
        .source = source,
        .voter_count = 2,
        .voter_names = names,
        .services = services,
        .service_count = count,
        .identities = identities,
        .metrics = &metrics,
    };

    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .allow_any_address = true,
        .quorum = {.identities = identities, .voters = 2, .threshold = 2, .vote_life_ms = 2000},
    };
    for (size_t i = 0; i < count; i++)
        services[i] = service_create(&settings, START);
    group = voter_group_create(&options, START);
    assert_non_null(group);
    memset(asked, 0, sizeof(asked));
}

static int teardown(void **state)
{
    (void)state;
    voter_group_destroy(group);
    for (size_t i = 0; i < SERVICES; i++) {
        service_destroy(services[i]);
        services[i] = NULL;
    }
    return 0;
}

/* Polls voter 0. Returns how many votes it is asked for, and adds the questions about facts to `facts`. */
static unsigned poll(int64_t now_ms, unsigned *facts)
{
    enum voter_question question;
    size_t service;
    unsigned votes = 0;

    voter_group_poll(group, 0, POLL, now_ms);
    while (voter_group_next(group, 0, &question, &service)) {
        asked[service] += question == VOTER_ASK_MASTER;
        votes += question == VOTER_ASK_MASTER;
        *facts += question == VOTER_ASK_FACTS;
    }
    return votes;
}

static void check_asked(unsigned times)
{
    for (size_t i = 0; i < SERVICES; i++)
        assert_int_equal(asked[i], times);
}

/* Once connected it is asked for all votes at once, then for each of them once in the time of a poll. Facts are asked
 * for once in VOTER_FACTS_POLLS polls. */
static void test_parts(void **state)
{
    int64_t now_ms = START;
    unsigned facts = 0;
    unsigned calls = 0;

    (void)state;
    create(VOTER_SOURCE_SENTINEL, SERVICES);
    voter_group_connected(group, 0, now_ms);
    assert_int_equal(poll(now_ms, &facts), SERVICES);
    facts = 0;
    for (; calls < VOTER_FACTS_POLLS * PARTS; calls++) {
        int64_t next_ms = voter_group_next_poll_ms(group, 0, POLL, now_ms);
        assert_in_range(next_ms - now_ms, 1, POLL / PARTS);
        now_ms = next_ms;
        assert_int_equal(voter_group_begins_poll(group, 0, POLL), calls % PARTS == 0);
        assert_int_equal(poll(now_ms, &facts), SERVICES / PARTS);
        if (calls % PARTS == PARTS - 1)
            check_asked(2 + calls / PARTS);
    }
    assert_in_range(now_ms, START + (VOTER_FACTS_POLLS - 1) * POLL, START + VOTER_FACTS_POLLS * POLL);
    assert_int_equal(facts, SERVICES);
}

/* What became due while the loop was held up is asked, and nothing twice. After a new connection all is. */
static void test_a_late_poll(void **state)
{
    unsigned facts = 0;

    (void)state;
    create(VOTER_SOURCE_SENTINEL, SERVICES);
    (void)poll(START, &facts);
    assert_int_equal(poll(START + POLL / PARTS * 3, &facts), SERVICES / PARTS * 3);
    assert_int_equal(poll(START + POLL * 9, &facts), SERVICES);
    assert_int_equal(poll(START + POLL * 9 + POLL / PARTS, &facts), SERVICES / PARTS);
    voter_group_connected(group, 0, START + POLL * 9 + POLL / PARTS + 1);
    assert_int_equal(poll(START + POLL * 9 + POLL / PARTS + 1, &facts), SERVICES);
}

/* Few services are asked about at once. A node answers for all of them with one reply. */
static void test_whole(void **state)
{
    unsigned facts = 0;

    (void)state;
    create(VOTER_SOURCE_SENTINEL, 2 * POLL_PART_SERVICES - 1);
    assert_int_equal(poll(START, &facts), 2 * POLL_PART_SERVICES - 1);
    assert_int_equal(poll(START + POLL, &facts), 2 * POLL_PART_SERVICES - 1);
    assert_int_equal(voter_group_next_poll_ms(group, 0, POLL, START), START + POLL);
    (void)teardown(NULL);
    create(VOTER_SOURCE_REPLICATION, SERVICES);
    assert_int_equal(poll(START, &facts), SERVICES);
    assert_int_equal(poll(START + POLL, &facts), SERVICES);
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(poll_parts_count(0, 1000), 1);
    assert_int_equal(poll_parts_count(10000000, 1000), POLL_PARTS_MAX);
    assert_int_equal(poll_parts_count(10000000, 100), 100 / POLL_PART_MS);
    assert_int_equal(poll_parts_count(10000000, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_parts, teardown),
        cmocka_unit_test_teardown(test_a_late_poll, teardown),
        cmocka_unit_test_teardown(test_whole, teardown),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests_name("poll_parts", tests, NULL, NULL);
}
