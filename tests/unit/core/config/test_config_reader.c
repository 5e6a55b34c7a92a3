/* The lines of a configuration file: comments, ${ENV}, quotes; nothing is passed over in silence. */
#include "spoa/core/decision/server_map.h"
#include "tests/unit/core/config/config_fixture.h"

/* Feeds `len` bytes in pieces of this size. To be ended by end(). */
static struct loaded load_pieces(const char *text, size_t len, size_t piece, config_variable_fn variable)
{
    struct loaded loaded = begin();
    struct config_reader reader;

    config_reader_init(&reader, loaded.config, FILE_NAME, variable, &loaded.errors);
    for (size_t at = 0; at < len; at += piece)
        config_reader_feed(&reader, text + at, len - at < piece ? len - at : piece);
    config_reader_end(&reader);
    config_finish(loaded.config, FILE_NAME, &loaded.errors);
    assert_false(loaded.errors.out_of_memory);
    return loaded;
}

/* However the text is cut, the errors are the same. */
static void check_pieces(const char *text, size_t len, config_variable_fn variable,
                         const char *const *expected)
{
    static const size_t pieces[] = {1, 2, 7, 1000000};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        struct loaded loaded = load_pieces(text, len, pieces[i], variable);
        check_texts(&loaded.errors, expected);
        end(&loaded);
    }
}

static void check_line(const char *text, const char *expected)
{
    check_pieces(text, strlen(text), no_variable, (const char *const[]){expected, NULL});
}

static void test_comments_and_blanks(void **state)
{
    static const char text[] = "; a comment\n"
                               "# another\n"
                               "   ; a third\n"
                               "\n"
                               "[agent]   ; behind a section\n"
                               "  listen=127.0.0.1:1   ; behind a value\n"
                               "\tlisten\t=\tunix:/a;b\n"
                               "log-level = debug ;= no sign\r\n" GOOD "monitor = a#b #c\v\f\r\n"
                               "quorum: 2 ; a ':' where no '=' is\n"
                               "check-delay: 1s ;=\n";

    (void)state;
    struct loaded loaded = load_pieces(text, strlen(text), 1, no_variable);
    check_texts(&loaded.errors,
                (const char *const[]){"t.conf:16: '=' is missing behind 'quorum:'",
                                      "t.conf:17: '=' is missing behind 'check-delay:'", NULL});
    assert_int_equal(loaded.config->agent.listens.count, 2);
    assert_string_equal(loaded.config->agent.listens.list[1].addr.name, "/a;b");
    assert_int_equal(loaded.config->agent.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(loaded.config->groups[0].address_count, 3);
    assert_int_equal(loaded.config->groups[0].line, 9);
    assert_int_equal(loaded.config->services[0].server_count, 1);
    assert_string_equal(loaded.config->services[0].monitor, "a#b #c");
    end(&loaded);
}

/* As it was when another parser read the file. */
static void test_colon_before_equals(void **state)
{
    struct loaded loaded = load_good(GOOD "server: R2 10.0.0.2:6379 weight=5\n");

    (void)state;
    assert_int_equal(loaded.config->services[0].server_count, 2);
    assert_int_equal(loaded.config->services[0].servers[1].weight, 5);
    end(&loaded);
}

static void test_line_ends(void **state)
{
    static const char *const good[] = {
        "\xef\xbb\xbf" GOOD, "[sentinels]\r\naddress = s1:1\r\n[service m]\r\nserver = R1 h:1\r\n\r\n",
        "[sentinels]\naddress = s1:1\n[service m]\nserver = R1 h:1", /* no newline at the end */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        for (size_t piece = 1; piece < 5; piece++) {
            struct loaded loaded = load_pieces(good[i], strlen(good[i]), piece, no_variable);
            check_texts(&loaded.errors, (const char *const[]){NULL});
            assert_int_equal(loaded.config->services[0].server_count, 1);
            assert_string_equal(loaded.config->services[0].name, "m");
            end(&loaded);
        }
    /* Such bytes are a mark at the start of the file only. */
    check_line(GOOD "\xef\xbb\xbfquorum = 2\n",
               "t.conf:7: unknown key '\xef\xbb\xbfquorum' in [service m], did you mean 'quorum'?");
}

static void test_nothing_is_dropped(void **state)
{
    (void)state;
    check_line(GOOD "quorum\n", "t.conf:7: '=' is missing behind 'quorum'");
    check_line(GOOD "quorum ; = 2\n", "t.conf:7: '=' is missing behind 'quorum'");
    check_line(GOOD "  two = 2\n", "t.conf:7: unknown key 'two' in [service m]");
    check_line(GOOD "= 2\n", "t.conf:7: unknown key '' in [service m]");
    check_line("[agent] log-level = debug\r\n" GOOD,
               "t.conf:1: 'log-level = debug' stands behind ']': a key has a line of its own");
    check_line("[agent]]\n" GOOD, "t.conf:1: ']' stands behind ']': a key has a line of its own");
    check_line(GOOD "[agent\n", "t.conf:7: ']' is missing behind '[agent'");
    check_line("listen = 127.0.0.1:1\n" GOOD, "t.conf:1: key 'listen' stands before any section");
}

/* A line of `len` bytes behind GOOD, of which the value has most, and what follows it. To be freed. */
static char *make_long(size_t len, const char *behind)
{
    static const char key[] = "password = ";
    size_t start = strlen(GOOD);
    char *text = calloc(1, start + len + strlen(behind) + 1);

    assert_non_null(text);
    memset(text, 'x', start + len);
    memcpy(text, GOOD, start);
    memcpy(text + start, key, strlen(key));
    memcpy(text + start + len, behind, strlen(behind));
    return text;
}

static void check_long(size_t len, const char *behind, const char *const *expected)
{
    char *text = make_long(len, behind);

    check_pieces(text, strlen(text), no_variable, expected);
    free(text);
}

static void test_line_length(void **state)
{
    static const char *const newlines[] = {"\n", ""};
    static const char *const too_long[] = {"t.conf:7: the line is longer than 65536 bytes", NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(newlines) / sizeof(*newlines); i++) {
        char *text = make_long(CONFIG_LINE_MAX, newlines[i]);
        struct loaded loaded = load_pieces(text, strlen(text), 4096, no_variable);
        assert_int_equal(strlen(loaded.config->services[0].credentials.password),
                         CONFIG_LINE_MAX - strlen("password = "));
        end(&loaded);
        free(text);
        check_long(CONFIG_LINE_MAX + 1, newlines[i], too_long);
        check_long(CONFIG_LINE_MAX * 3, newlines[i], too_long);
    }
    /* It is one line, however long: the next has the next number. */
    check_long(CONFIG_LINE_MAX * 2, "\nquorun = 2\n",
               (const char *const[]){too_long[0],
                                     "t.conf:8: unknown key 'quorun' in [service m], did you mean 'quorum'?",
                                     NULL});
}

static void test_nul_byte(void **state)
{
    static const char text[] = GOOD "quorum = 2\0 \nquorun = 2\n";

    (void)state;
    check_pieces(
        text, sizeof(text) - 1, no_variable,
        (const char *const[]){"t.conf:7: the line has a NUL byte in it",
                              "t.conf:8: unknown key 'quorun' in [service m], did you mean 'quorum'?", NULL});
}

static char *variable(const char *name)
{
    static char a[] = "s3cret ;";
    static char b[] = "${A}";
    static char empty[] = "";
    static char quoted[] = "\"q\"";

    return strcmp(name, "A") == 0       ? a
           : strcmp(name, "B") == 0     ? b
           : strcmp(name, "EMPTY") == 0 ? empty
           : strcmp(name, "Q") == 0     ? quoted
                                        : NULL;
}

static void check_variable(const char *text, const char *expected)
{
    check_pieces(text, strlen(text), variable, (const char *const[]){expected, NULL});
}

static void test_environment(void **state)
{
    static const char text[] = "[sentinels]\naddress = s1:1\npassword = <${A}|${EMPTY}|${B}>$x\n" SERVICE;
    char line[256];

    (void)state;
    struct loaded loaded = load_pieces(text, strlen(text), 1, variable);
    /* What a variable holds is not looked at again. */
    assert_string_equal(loaded.config->groups[0].credentials.password, "<s3cret ;||${A}>$x");
    end(&loaded);
    check_variable(GOOD "monitor = a${NONE}b\n", "t.conf:7: the environment variable 'NONE' is not set");
    check_variable(GOOD "monitor = ${}\n", "t.conf:7: the environment variable '' is not set");
    check_variable(GOOD "monitor = ${EMPTY}\n", "t.conf:7: bad value '' for 'monitor': it takes a text");
    check_variable(GOOD "monitor = ${A\n", "t.conf:7: '}' is missing behind '${', or the name is too long");
    for (size_t len = 127; len < 130; len++) {
        char name[130] = {0};
        char expected[256];
        memset(name, 'n', len);
        snprintf(line, sizeof(line), GOOD "monitor = ${%s}\n", name);
        snprintf(expected, sizeof(expected), "t.conf:7: the environment variable '%s' is not set", name);
        check_variable(line, len == 127 ? expected
                                        : "t.conf:7: '}' is missing behind '${', or the name is too long");
    }
}

/* Two dollars are one, and what they stand before is not expanded. The dump says the same again. */
static void test_dollars(void **state)
{
    static const char *const forms[][2] = {
        {"a$$b", "a$b"}, {"$$", "$"},  {"$$$$", "$$"},  {"$${A}", "${A}"},
        {"a$b", "a$b"},  {"a$", "a$"}, {"$$$x", "$$x"}, {"${EMPTY}$${B}$$", "${B}$"},
        {"$}{", "$}{"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), GOOD "monitor = %s\npassword = %s\n", forms[i][0], forms[i][0]);
        struct loaded loaded = load_pieces(text, strlen(text), 3, variable);
        check_texts(&loaded.errors, (const char *const[]){NULL});
        assert_string_equal(loaded.config->services[0].monitor, forms[i][1]);
        assert_string_equal(loaded.config->services[0].credentials.password, forms[i][1]);
        char *dumped = dump(loaded.config);
        struct loaded again = load_pieces(dumped, strlen(dumped), 1000, no_variable);
        check_texts(&again.errors, (const char *const[]){NULL});
        assert_string_equal(again.config->services[0].monitor, forms[i][1]);
        end(&again);
        free(dumped);
        end(&loaded);
    }
}

/* Everything else that has a text: paths, accounts. */
static void test_dollars_in_addresses(void **state)
{
    struct loaded loaded = load_good("[agent]\nlisten = unix:/a$$b owner=$$o group=g$$\n"
                                     "[haproxy]\nruntime-api = master:/m$${x}\nbackend = be\n"
                                     "[sentinels]\naddress = unix:/s$$\n"
                                     "[service $${m}]\nserver = R1 unix:/r$$1\n");
    char *dumped = dump(loaded.config);
    struct loaded again = load_good(dumped);

    (void)state;
    assert_string_equal(loaded.config->agent.listens.list[0].addr.name, "/a$b");
    assert_string_equal(again.config->agent.listens.list[0].addr.name, "/a$b");
    assert_string_equal(again.config->agent.listens.list[0].owner, "$o");
    assert_string_equal(again.config->agent.listens.list[0].group, "g$");
    assert_string_equal(again.config->haproxy.runtime_apis[0].addr.name, "/m${x}");
    assert_string_equal(again.config->groups[0].addresses[0].name, "/s$");
    assert_string_equal(again.config->services[0].servers[0].addr.name, "/r$1");
    assert_string_equal(again.config->services[0].name, "$${m}"); /* only values are expanded */
    end(&again);
    free(dumped);
    end(&loaded);
}

/* What looks like a comment and is none, and the reverse. */
static void test_doubtful_comments(void **state)
{
    static const char *const hash = "t.conf:7: the value of 'monitor' has a '#' behind a blank, which begins "
                                    "no comment: it is part of the value";
    static const struct {
        const char *line;
        const char *warning;
    } lines[] = {
        {"monitor = m # the name", hash},
        {"monitor = m#1 #2", hash},
        {"monitor = m#1", NULL},
        {"monitor = m ; the name", NULL},
        {"monitor = m ; # the name", NULL},
        {"password = a ;b",
         "t.conf:7: 'password' ends before the ';' behind a blank, which begins a comment: write the "
         "comment into a line of its own, or the password into a file for 'password-file'"},
        {"password = a;b", NULL},
        {"password = a$$b", "t.conf:7: '$$' in 'password' is one '$'; it was two in former versions"},
        {"password = a$b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), GOOD "%s\n", lines[i].line);
        struct loaded loaded = load_good(text);
        check_texts(&loaded.config->warnings, (const char *const[]){lines[i].warning, NULL});
        end(&loaded);
    }
}

static void test_quotes(void **state)
{
    static const char *const taken[] = {"\"a", "a\"", "\"", "'a\"", "a'b'"};

    (void)state;
    check_line(GOOD "monitor = \"s3cret\"\n",
               "t.conf:7: the value of 'monitor' is in quotes: they would be part of it, leave them out");
    check_line(GOOD "monitor = ''  ; empty\n",
               "t.conf:7: the value of 'monitor' is in quotes: they would be part of it, leave them out");
    check_line(GOOD "password = '${s3cret'\n",
               "t.conf:7: the value of 'password' is in quotes: they would be part of it, leave them out");
    check_variable(GOOD "monitor = ${Q}\n",
                   "t.conf:7: bad value '\"q\"' for 'monitor': no control characters, ';' behind a blank "
                   "or quotes around it");
    check_line(
        GOOD "[service \"n\"]\nserver = R1 10.0.0.1:1\n",
        "t.conf:7: the name in [service \"n\"] is in quotes: they would be part of it, leave them out");
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
        char text[256];
        snprintf(text, sizeof(text), GOOD "monitor = %s\n", taken[i]);
        struct loaded loaded = load_good(text);
        assert_string_equal(loaded.config->services[0].monitor, taken[i]);
        end(&loaded);
    }
    /* A password that a variable holds may have them. */
    struct loaded loaded =
        load_pieces(GOOD "password = ${Q}\n", strlen(GOOD "password = ${Q}\n"), 1, variable);
    assert_string_equal(loaded.config->services[0].credentials.password, "\"q\"");
    end(&loaded);
}

/* Where the first password stands that can be read in the file itself; one of a variable cannot. */
static void test_line_of_a_password(void **state)
{
    static const struct {
        const char *lines;
        unsigned line;
    } cases[] = {
        {"password = x\n", 7},
        {"monitor = x\n", 0},
        {"password = ${A}\n", 0},
        {"password = ${A}x\n", 7},
        {"password = x${A}\n", 7},
        {"password = ${A}${B}\n", 7},
        {"password = {A}\n", 7},
        {"password-file = /x\n", 0},
        {"password = x\n" SENTINELS "password = y\n", 7},
        {"password = ${A}\n[service n]\nserver = R1 h:1\npassword = y\n", 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct loaded loaded = begin();
        struct config_reader reader;
        char text[512];
        (void)snprintf(text, sizeof(text), GOOD "%s", cases[i].lines);
        config_reader_init(&reader, loaded.config, FILE_NAME, variable, &loaded.errors);
        config_reader_feed(&reader, text, strlen(text));
        config_reader_end(&reader);
        assert_int_equal(reader.password_line, cases[i].line);
        assert_int_equal(loaded.errors.count, 0);
        end(&loaded);
    }
}

/* Nothing that may be a password is in a message. */
static void test_messages_keep_secrets(void **state)
{
    static const char *const texts[] = {
        SENTINELS "password s3cret\n",
        SENTINELS "password = ${s3cret\n",
        SENTINELS "pasword = s3cret\n",
        SENTINELS "password = a\npassword = s3cret\n",
        SENTINELS "password = \"s3cret\"\n",
        SENTINELS "pasword: s3cret=\n",
        "password = s3cret\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct loaded loaded = load(texts[i]);
        assert_true(loaded.errors.count > 0);
        for (size_t k = 0; k < loaded.errors.count; k++)
            assert_null(strstr(loaded.errors.texts[k], "s3cret"));
        end(&loaded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comments_and_blanks),
        cmocka_unit_test(test_colon_before_equals),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_nothing_is_dropped),
        cmocka_unit_test(test_line_length),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_dollars),
        cmocka_unit_test(test_dollars_in_addresses),
        cmocka_unit_test(test_doubtful_comments),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_line_of_a_password),
        cmocka_unit_test(test_messages_keep_secrets),
    };

    return cmocka_run_group_tests_name("config_reader", tests, NULL, NULL);
}
