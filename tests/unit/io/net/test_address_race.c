/* Which address is tried when: no socket, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "spoa/io/net/address_race.h"

#define LIMIT_MS 500
#define BEGIN_MS 1000000

static struct address_memory memory;
static struct address_race race;

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_storage address;

    memset(&address, 0, sizeof(address));
    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
        memcpy(&address, &ipv4, sizeof(ipv4));
    else if (inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1)
        memcpy(&address, &ipv6, sizeof(ipv6));
    return address;
}

static int begin(void **state)
{
    (void)state;
    memset(&memory, 0, sizeof(memory));
    address_race_begin(&race, &memory, LIMIT_MS, BEGIN_MS);
    return 0;
}

/* As if `text` had worked in the attempt before. */
static void begin_with_good(const char *text)
{
    memory.good = address_of(text);
    address_race_begin(&race, &memory, LIMIT_MS, BEGIN_MS);
}

/* `texts`: addresses with a blank between. */
static void found(enum address_source source, const char *texts)
{
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX];
    size_t count = 0;
    char copy[512];
    char *rest = copy;
    char *word;

    (void)snprintf(copy, sizeof(copy), "%s", texts);
    while ((word = strsep(&rest, " ")) != NULL)
        addresses[count++] = address_of(word);
    address_race_answer(&race, source, ADDRESS_FOUND, addresses, count);
}

static void ended(enum address_source source, enum address_state state)
{
    address_race_answer(&race, source, state, NULL, 0);
}

static enum address_action next_at(int64_t after_ms, const struct sockaddr_storage **address)
{
    return address_race_next(&race, BEGIN_MS + after_ms, address);
}

static void expect(int64_t after_ms, enum address_action action)
{
    const struct sockaddr_storage *address = NULL;

    assert_int_equal(next_at(after_ms, &address), action);
}

/* Waits, and has to be asked again after so many ms from the beginning; -1: never. */
static void expect_wait(int64_t after_ms, int64_t wake_ms)
{
    expect(after_ms, ADDRESS_WAIT);
    assert_true(race.wake_ms == (wake_ms == -1 ? INT64_MAX : BEGIN_MS + wake_ms));
}

static void expect_try(int64_t after_ms, const char *text)
{
    const struct sockaddr_storage expected = address_of(text);
    const struct sockaddr_storage *address = NULL;

    assert_int_equal(next_at(after_ms, &address), ADDRESS_TRY);
    assert_memory_equal(address, &expected, sizeof(expected));
}

static void quick_answer_asks_nobody_else(void **state)
{
    (void)state;
    expect_wait(0, 50);
    found(ADDRESS_BOTH, "10.0.0.1");
    expect_try(3, "10.0.0.1");
    expect_wait(3, -1);
    expect_wait(400, -1);
}

/* The order is the name service's, but the families take turns. */
static void families_take_turns(void **state)
{
    (void)state;
    found(ADDRESS_BOTH, "fd00::1 fd00::2 10.0.0.1 10.0.0.2");
    expect_try(0, "fd00::1");
    address_race_lost(&race);
    expect_try(0, "10.0.0.1");
    address_race_lost(&race);
    expect_try(0, "fd00::2");
    address_race_lost(&race);
    expect_try(0, "10.0.0.2");
    address_race_lost(&race);
    expect(0, ADDRESS_FAIL);
}

static void silent_address_delays_the_next_by_the_stagger(void **state)
{
    (void)state;
    found(ADDRESS_BOTH, "fd00::1 10.0.0.1");
    expect_try(10, "fd00::1");
    expect_wait(10, 260);
    expect_wait(259, 260);
    expect_try(260, "10.0.0.1");
    expect_wait(260, -1);
    /* One of two attempts that go on fails. */
    address_race_lost(&race);
    expect_wait(300, -1);
    address_race_lost(&race);
    expect(310, ADDRESS_FAIL);
}

/* The last one still has half of the limit. */
static void many_silent_addresses(void **state)
{
    (void)state;
    found(ADDRESS_BOTH, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6");
    expect_try(0, "10.0.0.1");
    expect_wait(0, 50);
    expect_try(50, "10.0.0.2");
    expect_try(100, "10.0.0.3");
    expect_try(150, "10.0.0.4");
    expect_try(200, "10.0.0.5");
    expect_try(250, "10.0.0.6");
}

/* A name server that ignores questions for one family. */
static void quick_family_is_used_while_the_other_is_silent(void **state)
{
    (void)state;
    expect_wait(0, 50);
    expect(50, ADDRESS_ASK_FAMILIES);
    expect_wait(50, -1);
    found(ADDRESS_IPV4, "10.0.0.1");
    expect_try(51, "10.0.0.1");
    expect_wait(51, -1);
    /* What is found later is tried, too. */
    found(ADDRESS_IPV6, "fd00::1");
    expect_wait(60, 301);
    expect_try(301, "fd00::1");
}

/* The peer refuses us while a look-up is still open. That is told soon, and not when the look-up ends. */
static void refusal_does_not_wait_for_a_look_up(void **state)
{
    (void)state;
    expect(50, ADDRESS_ASK_FAMILIES);
    found(ADDRESS_IPV4, "10.0.0.1");
    expect_try(51, "10.0.0.1");
    address_race_lost(&race);
    expect_wait(60, ADDRESS_RACE_PATIENCE_MS);
    expect(ADDRESS_RACE_PATIENCE_MS, ADDRESS_FAIL);
}

static void answer_of_both_stands_for_all(void **state)
{
    (void)state;
    expect(50, ADDRESS_ASK_FAMILIES);
    found(ADDRESS_IPV4, "10.0.0.1");
    found(ADDRESS_BOTH, "fd00::1 10.0.0.2");
    expect_try(60, "fd00::1");
    address_race_lost(&race);
    expect_try(60, "10.0.0.2");
    address_race_lost(&race);
    expect(60, ADDRESS_FAIL);
}

static void denial_of_both_ends_it(void **state)
{
    (void)state;
    expect(50, ADDRESS_ASK_FAMILIES);
    ended(ADDRESS_BOTH, ADDRESS_DENIED);
    expect(60, ADDRESS_FAIL);
}

/* Where the look-up of both fails, one family may have an answer. */
static void families_are_asked_after_a_failure(void **state)
{
    (void)state;
    ended(ADDRESS_BOTH, ADDRESS_FAILED);
    expect(1, ADDRESS_ASK_FAMILIES);
    ended(ADDRESS_IPV6, ADDRESS_FAILED);
    expect_wait(2, -1);
    found(ADDRESS_IPV4, "10.0.0.1");
    expect_try(3, "10.0.0.1");
}

static void nobody_knows(void **state)
{
    (void)state;
    ended(ADDRESS_BOTH, ADDRESS_FAILED);
    expect(1, ADDRESS_ASK_FAMILIES);
    ended(ADDRESS_IPV4, ADDRESS_DENIED);
    expect_wait(2, -1);
    ended(ADDRESS_IPV6, ADDRESS_FAILED);
    expect(2, ADDRESS_FAIL);
}

/* Of an address that a newer answer does not have nothing is left. */
static void answer_replaces_the_one_before(void **state)
{
    (void)state;
    begin_with_good("10.0.0.2");
    found(ADDRESS_BOTH, "10.0.0.1 10.0.0.2");
    found(ADDRESS_BOTH, "10.0.0.3");
    expect_try(0, "10.0.0.3");
    address_race_lost(&race);
    expect(0, ADDRESS_FAIL);
}

/* More addresses than there is room for: the first ones are used. */
static void answer_with_too_many_addresses(void **state)
{
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX + 1];
    char text[16];

    (void)state;
    for (size_t i = 0; i < LOOKUP_ADDRESSES_MAX + 1; i++) {
        (void)snprintf(text, sizeof(text), "10.0.0.%zu", i + 1);
        addresses[i] = address_of(text);
    }
    address_race_answer(&race, ADDRESS_BOTH, ADDRESS_FOUND, addresses, LOOKUP_ADDRESSES_MAX + 1);
    assert_int_equal(race.lists[ADDRESS_BOTH].count, LOOKUP_ADDRESSES_MAX);
    for (size_t i = 0; i < LOOKUP_ADDRESSES_MAX; i++) {
        (void)snprintf(text, sizeof(text), "10.0.0.%zu", i + 1);
        expect_try(0, text);
        address_race_lost(&race);
    }
    expect(0, ADDRESS_FAIL);
}

static void address_that_worked_comes_first(void **state)
{
    (void)state;
    begin_with_good("10.0.0.2");
    found(ADDRESS_BOTH, "fd00::1 10.0.0.1 10.0.0.2");
    expect_try(0, "10.0.0.2");
    expect_try(125, "fd00::1");
}

static void address_that_worked_is_used_without_an_answer(void **state)
{
    (void)state;
    begin_with_good("10.0.0.2");
    expect_wait(0, 50);
    expect(50, ADDRESS_ASK_FAMILIES);
    expect_wait(50, 200);
    expect_try(200, "10.0.0.2");
    /* Both answer after all. */
    found(ADDRESS_BOTH, "10.0.0.3");
    expect_wait(210, 450);
    expect_try(450, "10.0.0.3");
}

static void address_that_worked_where_nobody_can_say(void **state)
{
    (void)state;
    begin_with_good("10.0.0.2");
    ended(ADDRESS_BOTH, ADDRESS_FAILED);
    expect(1, ADDRESS_ASK_FAMILIES);
    ended(ADDRESS_IPV6, ADDRESS_FAILED);
    ended(ADDRESS_IPV4, ADDRESS_FAILED);
    expect_try(2, "10.0.0.2");
}

/* Somebody else may have the address now. */
static void not_the_address_of_a_name_that_is_gone(void **state)
{
    (void)state;
    begin_with_good("10.0.0.2");
    ended(ADDRESS_BOTH, ADDRESS_DENIED);
    expect(0, ADDRESS_FAIL);

    begin_with_good("10.0.0.2");
    expect(50, ADDRESS_ASK_FAMILIES);
    ended(ADDRESS_IPV4, ADDRESS_DENIED);
    expect_wait(60, -1);
    expect_wait(200, -1);
}

static void not_the_address_where_the_name_has_moved(void **state)
{
    (void)state;
    begin_with_good("10.0.0.2");
    found(ADDRESS_BOTH, "10.0.0.3");
    expect_try(0, "10.0.0.3");
    address_race_lost(&race);
    expect(1, ADDRESS_FAIL);
}

/* Connected to, but it did not work: the others have their turn. */
static void stumbles_move_on(void **state)
{
    (void)state;
    memory.stumbles = 1;
    begin_with_good("10.0.0.1");
    found(ADDRESS_BOTH, "10.0.0.1 10.0.0.2 10.0.0.3");
    expect_try(0, "10.0.0.2");

    memory.stumbles = 2;
    begin_with_good("10.0.0.1");
    found(ADDRESS_BOTH, "10.0.0.1 10.0.0.2 10.0.0.3");
    expect_try(0, "10.0.0.3");

    memory.stumbles = 3;
    begin_with_good("10.0.0.1");
    ended(ADDRESS_BOTH, ADDRESS_FAILED);
    expect(0, ADDRESS_ASK_FAMILIES);
    expect_try(200, "10.0.0.1");
}

static void tries_are_bounded(void **state)
{
    const struct sockaddr_storage *address = NULL;

    (void)state;
    begin_with_good("10.0.1.1");
    expect(50, ADDRESS_ASK_FAMILIES);
    found(ADDRESS_IPV4, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9");
    found(ADDRESS_IPV6, "fd00::1 fd00::2 fd00::3 fd00::4 fd00::5 fd00::6 fd00::7 fd00::8 fd00::9");
    for (size_t i = 0; i < ADDRESS_RACE_TRIES_MAX; i++) {
        assert_int_equal(next_at(60, &address), ADDRESS_TRY);
        address_race_lost(&race);
    }
    expect_wait(60, ADDRESS_RACE_PATIENCE_MS);
    ended(ADDRESS_BOTH, ADDRESS_FAILED);
    expect(60, ADDRESS_FAIL);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(quick_answer_asks_nobody_else),
        TEST(families_take_turns),
        TEST(silent_address_delays_the_next_by_the_stagger),
        TEST(many_silent_addresses),
        TEST(quick_family_is_used_while_the_other_is_silent),
        TEST(answer_of_both_stands_for_all),
        TEST(denial_of_both_ends_it),
        TEST(refusal_does_not_wait_for_a_look_up),
        TEST(families_are_asked_after_a_failure),
        TEST(nobody_knows),
        TEST(answer_replaces_the_one_before),
        TEST(answer_with_too_many_addresses),
        TEST(address_that_worked_comes_first),
        TEST(address_that_worked_is_used_without_an_answer),
        TEST(address_that_worked_where_nobody_can_say),
        TEST(not_the_address_of_a_name_that_is_gone),
        TEST(not_the_address_where_the_name_has_moved),
        TEST(stumbles_move_on),
        TEST(tries_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
