/* Which kind of refusal an error is. */
#include "spoa/core/redis/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_kinds(void **state)
{
    static const struct {
        const char *text;
        enum refusal refusal;
    } cases[] = {
        {"NOAUTH Authentication required.", REFUSAL_PASSWORD},
        {"WRONGPASS invalid username-password pair or user is disabled.", REFUSAL_PASSWORD},
        {"ERR invalid password", REFUSAL_PASSWORD},
        {"NOPERM User u has no permissions to run the 'role' command", REFUSAL_RIGHT},
        {"ERR unknown command 'ROLE', with args beginning with: ", REFUSAL_COMMAND},
        {"ERR unknown subcommand 'REPLICAS'. Try SENTINEL HELP.", REFUSAL_COMMAND},
        {"ERR Unknown sentinel subcommand 'REPLICAS'", REFUSAL_COMMAND},
        {"DENIED Redis is running in protected mode because ...", REFUSAL_PROTECTED},
        {"ERR max number of clients reached", REFUSAL_FULL},
        {"ERR max number of clients + cluster connections reached", REFUSAL_FULL},
        {"LOADING Redis is loading the dataset in memory", REFUSAL_LOADING},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
         REFUSAL_MASTER_DOWN},
        {"BUSY Redis is busy running a script.", REFUSAL_BUSY},
        {"BUSY", REFUSAL_BUSY},
        {"NOREPLICAS Not enough good replicas to write.", REFUSAL_NO_REPLICAS},
        {"XBUSY", REFUSAL_OTHER},
        {"BUS", REFUSAL_OTHER},
        {"XOAUTH Authentication required.", REFUSAL_OTHER},
        {"BUSYKEY Target key name already exists.", REFUSAL_OTHER},
        {"ERR Client sent AUTH, but no password is set", REFUSAL_OTHER},
        {"", REFUSAL_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text(cases[i].text)};
        const struct reply text = {.kind = REPLY_TEXT, .text = span_of_text(cases[i].text)};
        assert_int_equal(refusal_of(&error), cases[i].refusal);
        assert_int_equal(refusal_of(&text), REFUSAL_NONE);
    }
}

/* The text ends where it says so, whatever stands behind it. */
static void test_text_in_a_buffer(void **state)
{
    static const char buffer[] = "BUSYKEY";
    const struct span words = {(const uint8_t *)buffer, strlen("BUSY")};

    (void)state;
    assert_int_equal(refusal_of_words(words), REFUSAL_BUSY);
}

static void test_what_follows(void **state)
{
    (void)state;
    for (enum refusal refusal = REFUSAL_PASSWORD; refusal < REFUSALS; refusal++) {
        assert_true(strlen(refusal_meaning(refusal)) > 0);
        assert_int_equal(refusal_closes(refusal), refusal == REFUSAL_PROTECTED || refusal == REFUSAL_FULL);
    }
    assert_string_equal(refusal_meaning(REFUSAL_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_text_in_a_buffer),
        cmocka_unit_test(test_what_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
