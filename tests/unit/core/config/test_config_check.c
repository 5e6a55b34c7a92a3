/* What is checked of the whole configuration, and the order of the messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/core/config/config_fixture.h"

/* Names of 200 bytes are taken, of 201 not. */
static void test_name_length(void **state)
{
    char name[CONFIG_NAME_MAX + 2];
    char text[1024];

    (void)state;
    for (int over = 0; over < 2; over++) {
        memset(name, 'n', sizeof(name));
        name[CONFIG_NAME_MAX + over] = '\0';
        snprintf(text, sizeof(text), SENTINELS "[service %s]\nserver = R1 h:1\n", name);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.errors.count > 0, over);
        end(&loaded);
        snprintf(text, sizeof(text), GOOD "monitor = %s\n", name);
        loaded = load(text);
        assert_int_equal(loaded.errors.count, over);
        if (over)
            assert_string_equal(loaded.errors.texts[0], "t.conf:5: 'monitor' is longer than 200 characters");
        end(&loaded);
    }
}

static void test_server_names(void **state)
{
    char name[102] = {0};
    char text[512];

    (void)state;
    for (int over = 0; over < 2; over++) {
        memset(name, 'n', 100u + (unsigned)over);
        snprintf(text, sizeof(text), SENTINELS "[service m]\nserver = %s h:1\n", name);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.errors.count, over);
        end(&loaded);
    }
    check_error(GOOD "server = R/2 h:1\n",
                "t.conf:5: 'R/2' cannot be a server's name in HAProxy: at most 100 of A-Z a-z 0-9 - _ . :");
}

static void test_map(void **state)
{
    (void)state;
    check_error(SENTINELS "[service m]\n",
                "t.conf:5: [service m] has no 'server' (and no 'allow-any-address = yes')");
    check_error(GOOD "server = R1 10.0.0.2:6379\n", "t.conf:5: two servers of [service m] are called 'R1'");
    /* Two texts of one address. */
    check_error(GOOD "server = R2 [::ffff:10.0.0.1]:6379\n",
                "t.conf:5: servers 'R1' and 'R2' of [service m] have one address, 10.0.0.1:6379");
    struct loaded loaded = load_good(GOOD "server = R2 10.0.0.1:6380\n");
    end(&loaded);
    check_error(GOOD "server = R2 10.0.0.2:6379 alias=10.0.0.1:6379\n",
                "t.conf:5: servers 'R1' and 'R2' of [service m] have one address, 10.0.0.1:6379");
    check_error(SENTINELS "[service m]\nserver = R1 h:1 alias=x:1\nserver = R2 h:2 alias=X.:1\n",
                "t.conf:5: servers 'R1' and 'R2' of [service m] have one address, x.:1");
    check_error(SENTINELS "[service m]\nserver = R1 h:1 alias=x:1\nserver = R2 x:1\n",
                "t.conf:5: servers 'R1' and 'R2' of [service m] have one address, x:1");
    check_error(SENTINELS "[service m]\nserver = R1 h:1 alias=H:1\n",
                "t.conf:5: server 'R1' of [service m] has the address h:1 twice");
    check_error(SENTINELS "[service m]\nserver = R1 h:1 alias=x:1 weight=2 alias=x:1\n",
                "t.conf:5: server 'R1' of [service m] has the address x:1 twice");
}

static void test_group(void **state)
{
    (void)state;
    check_error("[sentinels]\n" SERVICE, "t.conf:1: [sentinels] has no 'address'");
    check_error(SENTINELS "address = S1.:26379\n" SERVICE,
                "t.conf:1: Sentinel s1.:26379 is listed twice in one group: it has one vote");
    check_error(SENTINELS "username = u\n" SERVICE,
                "t.conf:1: 'username' needs a 'password' or a 'password-file'");
    check_error(SENTINELS "password = p\npassword-file = /f\n" SERVICE,
                "t.conf:1: 'password' and 'password-file' exclude each other");
    check_error(
        SENTINELS "poll = 0\n" SERVICE,
        "t.conf:5: bad value '0' for 'poll': it takes a duration such as 500ms, 3s or 2m, 1 ms or more");
    check_error(
        SENTINELS "vote-life = 1500ms\n" SERVICE,
        "t.conf:1: 'vote-life' (1500 ms) must be longer than 'poll' + 'reply-timeout' (1500 ms): votes "
        "would expire before they are renewed");
    struct loaded loaded = load_good(SENTINELS "vote-life = 1501ms\n" SERVICE);
    end(&loaded);
    check_error(GOOD "sentinels = x\n", "t.conf:5: [service m]: there is no section [sentinels x]");
    check_error("[sentinels x]\naddress = a:1\n" SERVICE,
                "t.conf:3: [service m]: there is no section [sentinels]");
}

static void test_group_size(void **state)
{
    (void)state;
    for (unsigned count = 63; count <= 64; count++) {
        char text[4096] = "[sentinels]\n";
        for (unsigned i = 0; i < count; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "address = s%u:26379\n", i);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), SERVICE);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.errors.count, count - 63);
        if (count > 63)
            assert_string_equal(loaded.errors.texts[0], "t.conf:1: more than 63 Sentinels in one group");
        else
            assert_int_equal(loaded.config->services[0].quorum, 32);
        end(&loaded);
    }
}

static void test_quorum(void **state)
{
    (void)state;
    check_error(GOOD "quorum = 1\n", "t.conf:5: quorum 1 of [service m]: with 3 Sentinels it can be 2 to 3");
    check_error(GOOD "quorum = 4\n", "t.conf:5: quorum 4 of [service m]: with 3 Sentinels it can be 2 to 3");
    for (unsigned quorum = 2; quorum <= 3; quorum++) {
        char text[512];
        snprintf(text, sizeof(text), GOOD "quorum = %u\n", quorum);
        struct loaded loaded = load_good(text);
        assert_int_equal(loaded.config->services[0].quorum, quorum);
        end(&loaded);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    check_errors("", (const char *const[]){"t.conf: no section [sentinels]: nobody can name a master",
                                           "t.conf: no section [service NAME]: there is nothing to answer",
                                           NULL});
}

/* Where memory was short, what is missing is no mistake of the file. */
static void test_no_memory_hides_the_rest(void **state)
{
    struct loaded loaded = begin();

    (void)state;
    loaded.errors.out_of_memory = true;
    config_finish(loaded.config, FILE_NAME, &loaded.errors);
    assert_int_equal(loaded.errors.count, 0);
    end(&loaded);
}

/* Those of the whole are found last, and stand at their lines all the same. */
static void test_errors_are_sorted(void **state)
{
    (void)state;
    check_errors("[service m]\nquorum = x\n[sentinels]\naddress = a:1\naddress = a:1\npol = 1s\n[service "
                 "n]\nserver = R1 h:1\n"
                 "sentinels = x\nquorun = 1\n",
                 (const char *const[]){
                     "t.conf:1: [service m] has no 'server' (and no 'allow-any-address = yes')",
                     "t.conf:2: bad value 'x' for 'quorum': it takes a number, 1 or more",
                     "t.conf:3: Sentinel a:1 is listed twice in one group: it has one vote",
                     "t.conf:6: unknown key 'pol' in [sentinels], did you mean 'poll'?",
                     "t.conf:7: [service n]: there is no section [sentinels x]",
                     "t.conf:10: unknown key 'quorun' in [service n], did you mean 'quorum'?", NULL});
}

static void test_errors_of_one_line_keep_their_order(void **state)
{
    struct config_errors errors = {.texts = NULL};
    static const struct {
        unsigned line;
        const char *text;
    } added[] = {{0, "w"}, {3, "a"}, {3, "b"}, {1, "c"}, {3, "d"}, {0, "x"}, {2, "e\x1b[1m"}};

    (void)state;
    for (size_t i = 0; i < sizeof(added) / sizeof(*added); i++)
        config_error(&errors, &(struct config_place){.file = "f", .line = added[i].line}, "%s",
                     added[i].text);
    check_texts(&errors, (const char *const[]){"f:1: c", "f:2: e?[1m", "f:3: a", "f:3: b", "f:3: d", "f: w",
                                               "f: x", NULL});
    config_errors_finish(&errors);
    config_errors_finish(&errors); /* finished ones are empty */
    assert_int_equal(errors.count, 0);
}

static void test_warnings(void **state)
{
    struct loaded loaded =
        load_good("[sentinels]\naddress = a:1\naddress = b:1\n[sentinels x]\naddress = a:1\n"
                  "[service m]\nserver = R1 h:1\n");

    (void)state;
    check_texts(
        &loaded.config->warnings,
        (const char *const[]){"t.conf:1: an even number of Sentinels (2) bears no more failures than 1",
                              "t.conf:4: one Sentinel only: nothing is named while it is down",
                              "t.conf:4: no service refers to [sentinels x]", NULL});
    end(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_length),
        cmocka_unit_test(test_server_names),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_group_size),
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_no_memory_hides_the_rest),
        cmocka_unit_test(test_errors_are_sorted),
        cmocka_unit_test(test_errors_of_one_line_keep_their_order),
        cmocka_unit_test(test_warnings),
    };

    return cmocka_run_group_tests_name("config_check", tests, NULL, NULL);
}
