/* What a node said of itself last, for the status. */
#include "spoa/core/decision/node_word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START 1000
#define LIFE 2000

static struct node_word kept;

static void say(enum node_saying saying, const char *words, int64_t now_ms)
{
    node_word_note(&kept, saying, span_of_text(words), LIFE, now_ms);
}

static void expect(enum node_saying saying, const char *words, int64_t since_ms, int64_t t_ms)
{
    assert_string_equal(node_saying_text(kept.saying), node_saying_text(saying));
    assert_string_equal(node_word_text(&kept), words);
    assert_int_equal(kept.since_ms, since_ms);
    assert_int_equal(kept.t_ms, t_ms);
}

static int set_up(void **state)
{
    (void)state;
    kept = (struct node_word){.saying = NODE_NOT_ASKED};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_word_finish(&kept);
    return 0;
}

static void test_since_when_it_is_the_same(void **state)
{
    (void)state;
    say(NODE_SAYS_REPLICA, "10.0.0.1:6379", START);
    say(NODE_SAYS_REPLICA, "10.0.0.1:6379", START + 100);
    expect(NODE_SAYS_REPLICA, "10.0.0.1:6379", START, START + 100);
    say(NODE_SAYS_REPLICA, "10.0.0.2:6379", START + 200);
    expect(NODE_SAYS_REPLICA, "10.0.0.2:6379", START + 200, START + 200);
    say(NODE_SAYS_MASTER, "", START + 300);
    expect(NODE_SAYS_MASTER, "", START + 300, START + 300);
}

/* The master's list says less than the node itself, and more than an old word. */
static void test_a_list_counts_where_the_node_is_not_asked(void **state)
{
    (void)state;
    say(NODE_LISTED, "", START);
    expect(NODE_LISTED, "", START, START);
    say(NODE_UNREACHABLE, "Connection refused", START + 100);
    say(NODE_LISTED, "", START + 100 + LIFE - 1);
    expect(NODE_UNREACHABLE, "Connection refused", START + 100, START + 100);
    say(NODE_LISTED, "", START + 100 + LIFE);
    expect(NODE_LISTED, "", START + 100 + LIFE, START + 100 + LIFE);
    say(NODE_LISTED, "", START + 200 + LIFE);
    expect(NODE_LISTED, "", START + 100 + LIFE, START + 200 + LIFE);
}

static void test_words_are_bounded(void **state)
{
    char words[2 * NODE_WORD_MAX];

    (void)state;
    say(NODE_REFUSES, "NOPERM\r\n\xff", START);
    assert_string_equal(node_word_text(&kept), "NOPERM???");
    memset(words, 'x', sizeof(words));
    words[sizeof(words) - 1] = '\0';
    say(NODE_REFUSES, words, START);
    assert_int_equal(strlen(node_word_text(&kept)), NODE_WORD_MAX - 1);
}

static void test_a_copy_has_its_own_words(void **state)
{
    struct node_word copy = {.saying = NODE_NOT_ASKED};

    (void)state;
    say(NODE_REFUSES, "NOPERM", START);
    node_word_copy(&copy, &kept);
    say(NODE_SAYS_MASTER, "", START + 1);
    assert_string_equal(node_word_text(&copy), "NOPERM");
    assert_int_equal(copy.saying, NODE_REFUSES);
    assert_int_equal(copy.since_ms, START);
    node_word_copy(&copy, &kept);
    assert_string_equal(node_word_text(&copy), "");
    assert_null(copy.own_words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_since_when_it_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_list_counts_where_the_node_is_not_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_words_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_copy_has_its_own_words, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("node_word", tests, NULL, NULL);
}
