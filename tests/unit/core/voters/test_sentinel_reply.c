/* What SENTINEL GET-MASTER-ADDR-BY-NAME, MASTER, SENTINELS and REPLICAS say, in good and bad form. */
#include "spoa/core/voters/sentinel_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define FIELDS_MAX 20

static struct reply elements[FIELDS_MAX];

/* An array of these texts, ended by NULL. */
static struct reply array_of(const char *const *texts)
{
    size_t count = 0;

    for (; texts[count] != NULL; count++)
        elements[count] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text(texts[count])};
    return (struct reply){.kind = REPLY_ARRAY, .elements = elements, .count = count};
}

#define MAP(...) array_of((const char *const[]){__VA_ARGS__, NULL})
#define ADDRESS "ip", "10.0.0.1", "port", "6379"

static bool read(struct reply reply, struct sentinel_facts *facts)
{
    struct addr addr;

    return sentinel_reply_read_facts(&reply, &addr, facts) == REPLY_READ_OK;
}

static void test_master_in_good_health(void **state)
{
    struct reply reply =
        MAP("name", "mymaster", ADDRESS, "flags", "master", "config-epoch", "3", "num-other-sentinels", "2",
            "quorum", "2", "down-after-milliseconds", "30000", "last-ok-ping-reply", "1059");
    struct sentinel_facts facts;
    struct addr addr;
    char text[ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(sentinel_reply_read_facts(&reply, &addr, &facts), REPLY_READ_OK);
    assert_string_equal(addr_format(&addr, text), "10.0.0.1:6379");
    assert_false(facts.is_o_down);
    assert_int_equal(facts.down_after_ms, 30000);
    assert_int_equal(facts.silent_ms, 1059);
    assert_int_equal(facts.other_sentinels, 2);
    assert_int_equal(facts.quorum, 2);
}

static void test_flags(void **state)
{
    static const struct {
        const char *flags;
        bool is_o_down;
    } cases[] = {
        {"o_down", true},
        {"master,o_down", true},
        {"s_down,o_down,master,disconnected", true},
        {"s_down,master", false},
        {"no_down", false},
        {"o_downs", false},
        {"s_down,o_dow", false},
        {"", false},
        {",", false},
        {"master,,o_down,", true},
        {"O_DOWN", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sentinel_facts facts;
        assert_true(read(MAP(ADDRESS, "flags", cases[i].flags), &facts));
        assert_int_equal(facts.is_o_down, cases[i].is_o_down);
    }
}

/* ---- SENTINEL SENTINELS ---- */

#define OWN_ID "0000000000000000000000000000000000000000"
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PEER_FIELDS 4

/* `count` entries of run ID and age, a text each. */
static uint32_t read_peers(const char *const texts[][2], size_t count, unsigned others)
{
    struct reply fields[8][PEER_FIELDS];
    struct reply entries[8];
    uint32_t age_ms = 77;

    for (size_t i = 0; i < count; i++) {
        const char *const words[PEER_FIELDS] = {"runid", texts[i][0], "last-ok-ping-reply", texts[i][1]};
        for (size_t k = 0; k < PEER_FIELDS; k++)
            fields[i][k] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text(words[k])};
        entries[i] = (struct reply){.kind = REPLY_ARRAY, .elements = fields[i], .count = PEER_FIELDS};
    }
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = entries, .count = count};
    assert_int_equal(sentinel_reply_read_peers(&reply, OWN_ID, others, &age_ms), REPLY_READ_OK);
    return age_ms;
}

static void test_peers(void **state)
{
    static const char *const two[][2] = {{ID_A, "900"}, {ID_B, "30000"}};
    static const char *const other_order[][2] = {{ID_B, "30000"}, {ID_A, "900"}};
    static const char *const twice[][2] = {{ID_A, "900"}, {ID_A, "100"}, {ID_A, "500"}, {OWN_ID, "0"}};
    static const char *const nonsense[][2] = {{ID_A, ""}, {"", "1"}, {"x", "2"}, {ID_B, "-3"}};

    (void)state;
    assert_int_equal(read_peers(two, 0, 0), 0);
    assert_int_equal(read_peers(two, 2, 0), 900); /* it knows of more than are configured */
    assert_int_equal(read_peers(two, 2, 1), 900);
    assert_int_equal(read_peers(other_order, 2, 1), 900);
    assert_int_equal(read_peers(two, 2, 2), 30000);
    assert_int_equal(read_peers(two, 2, 3), UINT32_MAX);
    assert_int_equal(read_peers(twice, 2, 1), 100);
    assert_int_equal(read_peers(twice, 4, 2), UINT32_MAX);
    assert_int_equal(read_peers(nonsense, 4, 1), UINT32_MAX);
    assert_int_equal(read_peers(two, 0, 1), UINT32_MAX);
}

/* With itself those that it hears are a majority of all that it knows. */
static void test_a_majority_of_peers(void **state)
{
    static const char *const four[][2] = {{"1111111111111111111111111111111111111111", "100"},
                                          {"2222222222222222222222222222222222222222", "200"},
                                          {"3333333333333333333333333333333333333333", "300"},
                                          {"4444444444444444444444444444444444444444", "400"}};
    static const uint32_t ages_ms[] = {0, 100, 100, 200, 200};

    (void)state;
    for (size_t count = 0; count <= 4; count++)
        assert_int_equal(read_peers(four, count, 0), ages_ms[count]);
    for (unsigned others = 2; others <= 4; others++) /* where more are configured, more count */
        assert_int_equal(read_peers(four, 4, others), 100 * others);
    assert_int_equal(read_peers(four, 4, 1), 200);
}

/* Each counts once, in whatever order and however often they are listed. */
static void test_peers_that_are_listed_again(void **state)
{
    static const char *const again[][2] = {{"1111111111111111111111111111111111111111", "100"},
                                           {"2222222222222222222222222222222222222222", "200"},
                                           {"3333333333333333333333333333333333333333", "300"},
                                           {"1111111111111111111111111111111111111111", "50"},
                                           {"2222222222222222222222222222222222222222", "10"},
                                           {"3333333333333333333333333333333333333333", "400"}};

    (void)state;
    assert_int_equal(read_peers(again, 6, 3), 300);
    assert_int_equal(read_peers(again, 6, 4), UINT32_MAX);
}

/* A list that is too long loses those that were not heard for long. */
static void test_many_peers(void **state)
{
    enum { COUNT = QUORUM_VOTERS_MAX + 40 };
    static struct reply fields[COUNT][PEER_FIELDS];
    static struct reply entries[COUNT];
    static char ids[COUNT][41];
    static char ages[COUNT][8];
    const struct reply reply = {.kind = REPLY_ARRAY, .elements = entries, .count = COUNT};
    uint32_t age_ms;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%040x", i + 1);
        snprintf(ages[i], sizeof(ages[i]), "%u", COUNT - i);
        const char *const words[PEER_FIELDS] = {"runid", ids[i], "last-ok-ping-reply", ages[i]};
        for (size_t k = 0; k < PEER_FIELDS; k++)
            fields[i][k] = (struct reply){.kind = REPLY_TEXT, .text = span_of_text(words[k])};
        entries[i] = (struct reply){.kind = REPLY_ARRAY, .elements = fields[i], .count = PEER_FIELDS};
    }
    for (unsigned others = COUNT / 2 + 1; others <= QUORUM_VOTERS_MAX; others++) {
        assert_int_equal(sentinel_reply_read_peers(&reply, OWN_ID, others, &age_ms), REPLY_READ_OK);
        assert_int_equal(age_ms, others);
    }
}

static void test_what_the_master_owes(void **state)
{
    struct sentinel_facts facts;

    (void)state;
    assert_true(
        read(MAP(ADDRESS, "flags", "master", "last-ping-sent", "0", "last-ok-ping-reply", "900"), &facts));
    assert_int_equal(facts.owed_ms, 0);
    assert_true(
        read(MAP(ADDRESS, "flags", "master", "last-ping-sent", "700", "last-ok-ping-reply", "1600"), &facts));
    assert_int_equal(facts.owed_ms, 700);
    assert_int_equal(facts.silent_ms, 1600);
    assert_true(read(
        MAP(ADDRESS, "flags", "master,disconnected", "last-ping-sent", "0", "last-ok-ping-reply", "1600"),
        &facts));
    assert_int_equal(facts.owed_ms, 1600);
}

/* What is not there, or no number, is 0. */
static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint32_t number;
    } cases[] = {{"0", 0},          {"4294967295", UINT32_MAX},
                 {"4294967296", 0}, {"99999999999999999999999", 0},
                 {"-1", 0},         {"1x", 0},
                 {"", 0},           {"007", 7}};
    struct sentinel_facts facts;

    (void)state;
    assert_true(read(MAP(ADDRESS), &facts));
    assert_int_equal(facts.quorum, 0);
    assert_int_equal(facts.down_after_ms, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(read(MAP(ADDRESS, "quorum", cases[i].text), &facts));
        assert_int_equal(facts.quorum, cases[i].number);
    }
}

#define MASTER "master-host", "10.0.0.9", "master-port", "6380"

static void test_replicas(void **state)
{
    static const struct {
        const char *flags;
        const char *link;
        const char *priority;
        bool is_up;
        bool is_eligible;
    } cases[] = {
        {"slave", "ok", "100", true, true},
        {"slave", "ok", "", true, true},
        {"slave", "ok", "0", true, false},
        {"slave", "err", "1", false, true},
        {"slave", "", "100", false, true},
        {"s_down,slave", "ok", "100", false, false},
        {"slave,disconnected", "ok", "100", false, false},
        {"o_down,slave", "ok", "100", false, false},
        {"slave,master_down", "ok", "100", false, true},
        {"slave,reconf_inprog", "ok", "100", false, true},
        {"master", "ok", "100", false, true},
        {"", "ok", "100", false, true},
    };
    struct sentinel_replica replica;
    char text[ADDR_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct reply element = MAP(ADDRESS, "flags", cases[i].flags, MASTER, "master-link-status",
                                   cases[i].link, "slave-priority", cases[i].priority);
        assert_int_equal(sentinel_reply_read_replica(&element, &replica), REPLY_READ_OK);
        assert_string_equal(addr_format(&replica.addr, text), "10.0.0.1:6379");
        assert_string_equal(addr_format(&replica.master, text), "10.0.0.9:6380");
        assert_int_equal(replica.is_up, cases[i].is_up);
        assert_int_equal(replica.is_eligible, cases[i].is_eligible);
    }
    struct reply without_master = MAP(ADDRESS, "flags", "slave", "master-host", "?", "master-port", "0");
    assert_int_equal(sentinel_reply_read_replica(&without_master, &replica), REPLY_READ_BAD_ADDRESS);
    struct reply without_address = MAP(MASTER, "flags", "slave");
    assert_int_equal(sentinel_reply_read_replica(&without_address, &replica), REPLY_READ_BAD_ADDRESS);
    const struct reply text_instead = {.kind = REPLY_TEXT, .text = span_of_text("slave")};
    assert_int_equal(sentinel_reply_read_replica(&text_instead, &replica), REPLY_READ_NONSENSE);
}

static void test_other_shapes(void **state)
{
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("ERR No such master")};
    const struct reply nil = {.kind = REPLY_NIL};
    struct sentinel_facts facts = {.quorum = 77};

    (void)state;
    assert_false(read(error, &facts));
    assert_false(read(nil, &facts));
    assert_int_equal(sentinel_reply_read_peers(&error, OWN_ID, 1, &facts.quorum), REPLY_READ_ERROR);
    assert_false(read(MAP("ip", "10.0.0.1"), &facts));
    assert_false(read(MAP("ip", "10.0.0.1", "port"), &facts)); /* without its value */
    assert_false(read(MAP("ip", "", "port", "6379"), &facts));
    assert_false(read(MAP("ip", "10.0.0.1", "port", "0"), &facts));
    assert_false(read(MAP("x", "ip", "10.0.0.1", "port", "6379"), &facts)); /* names are values here */
    struct reply broken = MAP(ADDRESS);
    elements[1].kind = REPLY_INTEGER; /* the host */
    assert_false(read(broken, &facts));
    assert_int_equal(facts.quorum, 77);
}

/* ---- GET-MASTER-ADDR-BY-NAME ---- */

static void check_master(struct reply reply, enum reply_reading expected)
{
    struct addr addr = {.port = 77};

    assert_int_equal(sentinel_reply_read_master(&reply, &addr), expected);
    assert_int_equal(addr.port, expected == REPLY_READ_OK ? 6379 : 77);
}

static void test_name_of_the_master(void **state)
{
    const struct reply nil = {.kind = REPLY_NIL};
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("NOAUTH")};
    const struct reply integer = {.kind = REPLY_INTEGER, .number = 6379};

    (void)state;
    check_master(MAP("10.0.0.1", "6379"), REPLY_READ_OK);
    check_master(nil, REPLY_READ_NONE);
    check_master(error, REPLY_READ_ERROR);
    check_master(integer, REPLY_READ_NONSENSE);
    check_master(MAP("10.0.0.1"), REPLY_READ_NONSENSE);
    check_master(MAP("10.0.0.1", "6379", "x"), REPLY_READ_NONSENSE);
    check_master(MAP("", "6379"), REPLY_READ_BAD_ADDRESS);
    check_master(MAP("10.0.0.1", "0"), REPLY_READ_BAD_ADDRESS);
    struct reply reply = MAP("10.0.0.1", "6379");
    elements[1] = (struct reply){.kind = REPLY_NIL};
    check_master(reply, REPLY_READ_NONSENSE);
    elements[1] = integer; /* some servers send it as a number */
    check_master(reply, REPLY_READ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_master_in_good_health),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_what_the_master_owes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_a_majority_of_peers),
        cmocka_unit_test(test_peers_that_are_listed_again),
        cmocka_unit_test(test_many_peers),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_other_shapes),
        cmocka_unit_test(test_name_of_the_master),
    };

    return cmocka_run_group_tests_name("sentinel_reply", tests, NULL, NULL);
}
