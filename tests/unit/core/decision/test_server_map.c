/* The addresses of the map, by which a node is known, and those outside it. */
#include "spoa/core/decision/server_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/decision/quorum.h"

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

/* R1 has three addresses, R2 one. */
static struct addr aliases[2];
static struct service_server servers[2];
static struct server_map map;

static int set_up(void **state)
{
    (void)state;
    aliases[0] = addr_of("[fd00::11]:6379");
    aliases[1] = addr_of("redis-1:6379");
    servers[0] = (struct service_server){
        .name = "R1", .addr = addr_of("10.0.0.11:6379"), .aliases = aliases, .alias_count = 2};
    servers[1] = (struct service_server){.name = "R2", .addr = addr_of("10.0.0.12:6379")};
    server_map_init(&map, servers, 2, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_map_finish(&map);
    return 0;
}

static int32_t lookup(const char *text)
{
    struct addr addr = addr_of(text);

    return server_map_lookup(&map, &addr);
}

static bool is_never_referred(const void *context, int32_t candidate)
{
    (void)context;
    (void)candidate;
    return false;
}

static void every_address_is_the_node(void **state)
{
    static const char *const r1[] = {"10.0.0.11:6379",  "[::ffff:10.0.0.11]:6379",
                                     "[fd00::11]:6379", "[FD00:0:0:0:0:0:0:11]:6379",
                                     "redis-1:6379",    "Redis-1.:6379"};

    (void)state;
    for (size_t i = 0; i < sizeof(r1) / sizeof(*r1); i++)
        assert_int_equal(lookup(r1[i]), 0);
    assert_int_equal(lookup("10.0.0.12:6379"), 1);
    assert_int_equal(lookup("redis-1:6380"), QUORUM_NO_CANDIDATE);
    assert_int_equal(lookup("redis-2:6379"), QUORUM_NO_CANDIDATE);
}

static void main_address_is_told(void **state)
{
    struct addr alias = addr_of("redis-1:6379");
    struct addr stranger = addr_of("10.0.0.13:6379");
    char text[ADDR_TEXT_MAX];

    (void)state;
    int32_t candidate = server_map_find(&map, &alias, is_never_referred, NULL);
    assert_int_equal(candidate, 0);
    assert_null(map.strangers);
    assert_string_equal(addr_format(server_map_addr(&map, candidate), text), "10.0.0.11:6379");
    candidate = server_map_find(&map, &stranger, is_never_referred, NULL);
    assert_int_equal(candidate, 2);
    assert_false(server_map_is_mapped(&map, candidate));
}

static void match_by_any_address(void **state)
{
    struct addr moved[] = {addr_of("10.0.0.99:6379")};
    const struct service_server other_servers[] = {
        {.name = "R9", .addr = addr_of("10.0.0.12:6379")},
        {.name = "R8", .addr = addr_of("redis-1:6379"), .aliases = moved, .alias_count = 1}};
    struct server_map other;
    struct addr stranger = addr_of("10.0.0.99:6379");

    (void)state;
    server_map_init(&other, other_servers, 2, 2);
    assert_int_equal(server_map_match(&other, &map, 0),
                     1); /* by the alias of one, the address of the other */
    assert_int_equal(server_map_match(&other, &map, 1), 0);
    assert_int_equal(server_map_match(&map, &other, 1), 0);
    assert_int_equal(server_map_match(&other, &map, QUORUM_NO_CANDIDATE), QUORUM_NO_CANDIDATE);
    /* One that only the other map has. */
    int32_t candidate = server_map_find(&map, &stranger, is_never_referred, NULL);
    assert_int_equal(server_map_match(&other, &map, candidate), 1);
    server_map_finish(&other);
}

static bool is_referred_from_first(const void *context, int32_t candidate)
{
    const int32_t *first = context;

    assert_true(candidate >= 2 && candidate < 4); /* the places that there are */
    return candidate != *first;
}

/* An address outside the map takes the first place that nobody refers to. Where there is none, it is not known. */
static void places_are_taken_again(void **state)
{
    struct addr one = addr_of("10.0.0.13:6379");
    struct addr two = addr_of("10.0.0.14:6379");
    int32_t free_place = 3;

    (void)state;
    assert_int_equal(server_map_lookup(&map, &one), QUORUM_NO_CANDIDATE);
    assert_int_equal(server_map_find(&map, &one, is_referred_from_first, &free_place), 3);
    assert_int_equal(server_map_find(&map, &one, is_never_referred, NULL), 3); /* it is known */
    free_place = 2;
    assert_int_equal(server_map_find(&map, &two, is_referred_from_first, &free_place), 2);
    assert_int_equal(lookup("10.0.0.13:6379"), 3);
    free_place = QUORUM_NO_CANDIDATE;
    one = addr_of("10.0.0.15:6379");
    assert_int_equal(server_map_find(&map, &one, is_referred_from_first, &free_place), QUORUM_NO_CANDIDATE);
    free_place = 3;
    assert_int_equal(server_map_find(&map, &one, is_referred_from_first, &free_place), 3);
    assert_int_equal(lookup("10.0.0.13:6379"), QUORUM_NO_CANDIDATE);
    assert_null(server_map_addr(&map, QUORUM_NO_CANDIDATE));
    assert_null(server_map_server(&map, 3));
    assert_null(server_map_server(&map, QUORUM_NO_CANDIDATE));
    assert_string_equal(server_map_server(&map, 0), "R1");
    assert_true(server_map_is_mapped(&map, 1));
    assert_false(server_map_is_mapped(&map, 2));
    assert_false(server_map_is_mapped(&map, QUORUM_NO_CANDIDATE));
}

#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAP_TEST(every_address_is_the_node),
        MAP_TEST(main_address_is_told),
        MAP_TEST(match_by_any_address),
        MAP_TEST(places_are_taken_again),
    };

    return cmocka_run_group_tests_name("server_map", tests, NULL, NULL);
}
