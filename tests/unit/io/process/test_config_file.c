/* The configuration file: lines, comments, ${ENV}, password files; nothing is passed over in silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/core/config/config.h"
#include "spoa/io/process/config_file.h"

#define SENTINELS "[sentinels]\naddress = s1:26379\naddress = s2:26379\naddress = s3:26379\n"
#define GOOD SENTINELS "[service m]\nserver = R1 10.0.0.1:6379\n"
#define LINE_MAX_BYTES 198
#define SECRET_MAX_BYTES 512

static char directory[] = "/tmp/test_config_file.XXXXXX";
static char path[64];        /* of the configuration */
static char secret_path[64]; /* of a password */

struct loaded {
    struct config *config;
    struct config_errors errors;
    bool is_good;
};

static void write_file(const char *name, const void *data, size_t len)
{
    FILE *out = fopen(name, "we");

    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

/* To be ended by end(). */
static struct loaded load_path(const char *name)
{
    struct loaded loaded = {.config = config_create()};

    assert_non_null(loaded.config);
    loaded.is_good = config_file_load(name, loaded.config, &loaded.errors);
    assert_false(loaded.errors.out_of_memory);
    assert_int_equal(loaded.is_good, loaded.errors.count == 0);
    return loaded;
}

static struct loaded load_bytes(const char *text, size_t len)
{
    write_file(path, text, len);
    return load_path(path);
}

static struct loaded load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static struct loaded load_good(const char *text)
{
    struct loaded loaded = load(text);

    if (!loaded.is_good)
        fail_msg("%s", loaded.errors.texts[0]);
    return loaded;
}

static void end(struct loaded *loaded)
{
    config_errors_finish(&loaded->errors);
    config_destroy(loaded->config);
}

/* `expected` without the path and the colon in front. */
static void check_text(const char *text, const char *expected)
{
    assert_memory_equal(text, path, strlen(path));
    assert_int_equal(text[strlen(path)], ':');
    assert_string_equal(text + strlen(path) + 1, expected);
}

static void check_loaded(const struct loaded *loaded, const char *const *expected)
{
    size_t count = 0;

    for (; count < loaded->errors.count && expected[count] != NULL; count++)
        check_text(loaded->errors.texts[count], expected[count]);
    if (expected[count] != NULL)
        fail_msg("missing: %s", expected[count]);
    if (loaded->errors.count > count)
        fail_msg("not expected: %s", loaded->errors.texts[count]);
}

static void check_errors(const char *text, const char *const *expected)
{
    struct loaded loaded = load(text);

    check_loaded(&loaded, expected);
    end(&loaded);
}

static void check_error(const char *text, const char *expected)
{
    check_errors(text, (const char *const[]){expected, NULL});
}

static void test_good_file(void **state)
{
    struct loaded loaded = load_good("; a comment\n"
                                     "# another\n"
                                     "   ; a third\n"
                                     "\n"
                                     "[agent]   ; behind a section\n"
                                     "  listen=127.0.0.1:1   ; behind a value\n"
                                     "\tlisten\t=\tunix:/a;b\n"
                                     "log-level = debug ;= no sign\r\n" GOOD);

    (void)state;
    assert_int_equal(loaded.config->agent.listens.count, 2);
    assert_string_equal(loaded.config->agent.listens.list[1].addr.host, "/a;b");
    assert_int_equal(loaded.config->agent.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(loaded.config->groups[0].address_count, 3);
    assert_int_equal(loaded.config->groups[0].line, 9);
    assert_int_equal(loaded.config->services[0].server_count, 1);
    assert_int_equal(loaded.config->warnings.count, 0);
    end(&loaded);
}

static void test_line_ends(void **state)
{
    static const char *const good[] = {
        "\xef\xbb\xbf" GOOD, "[sentinels]\r\naddress = s1:1\r\n[service m]\r\nserver = R1 h:1\r\n\r\n",
        "[sentinels]\naddress = s1:1\n[service m]\nserver = R1 h:1", /* no newline at the end */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct loaded loaded = load_good(good[i]);
        assert_int_equal(loaded.config->services[0].server_count, 1);
        assert_string_equal(loaded.config->services[0].name, "m");
        end(&loaded);
    }
}

/* A line that inih would drop, or take for more of the value before it, is an error like any other. */
static void test_nothing_is_dropped(void **state)
{
    (void)state;
    check_error(GOOD "quorum\n", "7: '=' is missing behind 'quorum'");
    check_error(GOOD "quorum ; = 2\n", "7: '=' is missing behind 'quorum'");
    check_error(GOOD "  two = 2\n", "7: unknown key 'two' in [service m]");
    check_error(GOOD "= 2\n", "7: unknown key '' in [service m]");
    check_error("[agent] log-level = debug\n" GOOD,
                "1: 'log-level = debug' stands behind ']': a key has a line of its own");
    check_error("[agent]]\n" GOOD, "1: ']' stands behind ']': a key has a line of its own");
    check_error(GOOD "[agent\n", "7: ']' is missing behind '[agent'");
    check_error("listen = 127.0.0.1:1\n" GOOD, "1: key 'listen' stands before any section");
}

/* inih cuts section names at 49 bytes: two that differ behind that are two. */
static void test_long_section_names(void **state)
{
#define LONG "a-name-of-a-service-that-is-longer-than-inih-allows-for-"
    struct loaded loaded =
        load_good(GOOD "[service " LONG "1]\nserver = R1 h:1\n[service " LONG "2]\nserver = R1 h:1\n");

    (void)state;
    assert_int_equal(loaded.config->service_count, 3);
    assert_string_equal(loaded.config->services[1].name, LONG "1");
    assert_string_equal(loaded.config->services[2].name, LONG "2");
    end(&loaded);
}

/* A value that `len` bytes of line hold, behind GOOD. */
static void load_long(struct loaded *ret_loaded, size_t len, const char *newline)
{
    char text[16384] = GOOD "monitor = ";
    size_t line_start = strlen(GOOD);
    size_t at = strlen(text);

    assert_true(line_start + len + 1 < sizeof(text));
    memset(text + at, 'x', line_start + len - at);
    snprintf(text + line_start + len, sizeof(text) - line_start - len, "%s", newline);
    *ret_loaded = load(text);
}

static void test_line_length(void **state)
{
    static const char *const newlines[] = {"\n", ""};
    struct loaded loaded;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        load_long(&loaded, LINE_MAX_BYTES, newlines[i]);
        assert_true(loaded.is_good);
        assert_int_equal(strlen(loaded.config->services[0].monitor), LINE_MAX_BYTES - strlen("monitor = "));
        end(&loaded);
        for (size_t len = LINE_MAX_BYTES + 1; len < LINE_MAX_BYTES + 5; len++) {
            load_long(&loaded, len, newlines[i]);
            check_loaded(&loaded, (const char *const[]){"7: the line is longer than 198 bytes", NULL});
            end(&loaded);
        }
    }
    /* It is one line, however long: the next has the next number. */
    load_long(&loaded, 10000, "\nquorun = 2\n");
    check_loaded(&loaded, (const char *const[]){
                              "7: the line is longer than 198 bytes",
                              "8: unknown key 'quorun' in [service m], did you mean 'quorum'?", NULL});
    end(&loaded);
}

static void test_nul_byte(void **state)
{
    static const char text[] = GOOD "quorum = 2\0 \nquorun = 2\n";
    struct loaded loaded = load_bytes(text, sizeof(text) - 1);

    (void)state;
    check_loaded(&loaded, (const char *const[]){
                              "7: the line has a NUL byte in it",
                              "8: unknown key 'quorun' in [service m], did you mean 'quorum'?", NULL});
    end(&loaded);
}

static void test_environment(void **state)
{
    (void)state;
    setenv("TEST_A", "s3cret ;", 1);
    setenv("TEST_B", "${TEST_A}", 1);
    setenv("TEST_EMPTY", "", 1);
    unsetenv("TEST_NONE");
    struct loaded loaded =
        load_good("[sentinels]\naddress = s1:1\npassword = <${TEST_A}|${TEST_EMPTY}|${TEST_B}>$x\n"
                  "[service m]\nserver = R1 h:1\n");
    /* What a variable holds is not looked at again. */
    assert_string_equal(loaded.config->groups[0].credentials.password, "<s3cret ;||${TEST_A}>$x");
    end(&loaded);
    check_error(GOOD "monitor = a${TEST_NONE}b\n", "7: the environment variable 'TEST_NONE' is not set");
    check_error(GOOD "monitor = ${}\n", "7: the environment variable '' is not set");
    check_error(GOOD "monitor = ${TEST_EMPTY}\n", "7: bad value '' for 'monitor': it takes a text");
}

/* Nothing that may be a password is in a message. */
static void test_messages_keep_secrets(void **state)
{
    static const char *const texts[] = {
        SENTINELS "password s3cret\n",  SENTINELS "password = ${s3cret\n",
        SENTINELS "pasword = s3cret\n", SENTINELS "password = a\npassword = s3cret\n",
        "password = s3cret\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct loaded loaded = load(texts[i]);
        assert_false(loaded.is_good);
        for (size_t k = 0; k < loaded.errors.count; k++)
            assert_null(strstr(loaded.errors.texts[k], "s3cret"));
        end(&loaded);
    }
    check_error(GOOD "monitor = ${TEST_A\n", "7: '}' is missing behind '${', or the name is too long");
}

/* Loads a configuration whose password-file, in line 3, is secret_path. */
static struct loaded load_secret(void)
{
    char text[256];

    snprintf(text, sizeof(text),
             "[sentinels]\naddress = s1:1\npassword-file = %s\naddress = s2:1\naddress = s3:1\n"
             "[service m]\nserver = R1 h:1\n",
             secret_path);
    return load(text);
}

static struct loaded load_secret_of(const void *data, size_t len, mode_t mode)
{
    write_file(secret_path, data, len);
    assert_int_equal(chmod(secret_path, mode), 0);
    return load_secret();
}

static void test_password_file(void **state)
{
    static const char *const good[] = {"a secret", "a secret\n", "a secret\r\n", "a secret\nsecond line\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct loaded loaded = load_secret_of(good[i], strlen(good[i]), 0600);
        assert_true(loaded.is_good);
        assert_string_equal(loaded.config->groups[0].credentials.password, "a secret");
        assert_int_equal(loaded.config->warnings.count, 0);
        end(&loaded);
    }
}

static void check_bad_secret(const void *data, size_t len)
{
    struct loaded loaded = load_secret_of(data, len, 0600);
    char expected[160];

    snprintf(expected, sizeof(expected), "3: '%s' has no password of 1 to %d bytes in its first line",
             secret_path, SECRET_MAX_BYTES);
    check_loaded(&loaded, (const char *const[]){expected, NULL});
    assert_null(loaded.config->groups[0].credentials.password);
    end(&loaded);
}

static void test_bad_password_file(void **state)
{
    char longest[SECRET_MAX_BYTES + 4];

    (void)state;
    check_bad_secret("", 0);
    check_bad_secret("\n", 1);
    check_bad_secret("\r\nx\n", 4);
    check_bad_secret("a\0b\n", 4); /* a password cut short would be the wrong one */
    memset(longest, 'x', sizeof(longest));
    check_bad_secret(longest, SECRET_MAX_BYTES + 1);
    check_bad_secret(longest, sizeof(longest));
    memcpy(longest + SECRET_MAX_BYTES, "\r\n", 2);
    for (size_t len = SECRET_MAX_BYTES; len <= sizeof(longest); len++) {
        struct loaded loaded = load_secret_of(longest, len, 0600);
        assert_true(loaded.is_good);
        assert_int_equal(strlen(loaded.config->groups[0].credentials.password), SECRET_MAX_BYTES);
        end(&loaded);
    }
}

static void test_missing_password_file(void **state)
{
    char expected[160];

    (void)state;
    unlink(secret_path);
    struct loaded loaded = load_secret();
    snprintf(expected, sizeof(expected), "3: cannot read '%s': %s", secret_path, strerror(ENOENT));
    check_loaded(&loaded, (const char *const[]){expected, NULL});
    end(&loaded);
    assert_int_equal(mkdir(secret_path, 0700), 0);
    loaded = load_secret();
    snprintf(expected, sizeof(expected), "3: cannot read '%s': %s", secret_path, strerror(EISDIR));
    check_loaded(&loaded, (const char *const[]){expected, NULL});
    end(&loaded);
    assert_int_equal(rmdir(secret_path), 0);
}

static void test_password_for_everybody(void **state)
{
    static const mode_t modes[] = {0600, 0640, 0644, 0604};
    char expected[160];

    (void)state;
    snprintf(expected, sizeof(expected), "3: everybody can read the password in '%s'", secret_path);
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        struct loaded loaded = load_secret_of("x\n", 2, modes[i]);
        assert_true(loaded.is_good);
        assert_int_equal(loaded.config->warnings.count, (modes[i] & S_IROTH) != 0);
        if (loaded.config->warnings.count > 0)
            check_text(loaded.config->warnings.texts[0], expected);
        end(&loaded);
    }
}

/* One message, and none of what a file that was not read lacks. */
static void test_unreadable_file(void **state)
{
    struct loaded loaded;
    char expected[160];

    (void)state;
    unlink(path);
    loaded = load_path(path);
    snprintf(expected, sizeof(expected), " cannot open: %s", strerror(ENOENT));
    check_loaded(&loaded, (const char *const[]){expected, NULL});
    end(&loaded);
    assert_int_equal(mkdir(path, 0700), 0);
    loaded = load_path(path);
    snprintf(expected, sizeof(expected), " cannot read: %s", strerror(EISDIR));
    check_loaded(&loaded, (const char *const[]){expected, NULL});
    end(&loaded);
    assert_int_equal(rmdir(path), 0);
}

static void test_all_errors_sorted(void **state)
{
    static const char bad_listen[] = "2: bad value 'nonsense' for 'listen': it takes IP:PORT, [IPv6]:PORT or "
                                     "unix:/path with mode=, owner= and group=";

    (void)state;
    check_errors(
        "[agent]\n"
        "listen = nonsense\n"
        "[sentinels]\n"
        "address = a:1\n"
        "address = a:1\n"
        "password-file = /nowhere/at/all\n"
        "[servise x]\n"
        "quorum = 1\n"
        "[service m]\n"
        "quorun = 2\n",
        (const char *const[]){bad_listen, "3: Sentinel a:1 is listed twice in one group: it has one vote",
                              "6: cannot read '/nowhere/at/all': No such file or directory",
                              "7: unknown section [servise x], did you mean [service x]?",
                              "9: [service m] has no 'server' (and no 'allow-any-address = yes')",
                              "10: unknown key 'quorun' in [service m], did you mean 'quorum'?", NULL});
}

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/a.conf", directory);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    unlink(secret_path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_nothing_is_dropped),
        cmocka_unit_test(test_long_section_names),
        cmocka_unit_test(test_line_length),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_messages_keep_secrets),
        cmocka_unit_test(test_password_file),
        cmocka_unit_test(test_bad_password_file),
        cmocka_unit_test(test_missing_password_file),
        cmocka_unit_test(test_password_for_everybody),
        cmocka_unit_test(test_unreadable_file),
        cmocka_unit_test(test_all_errors_sorted),
    };

    return cmocka_run_group_tests_name("config_file", tests, make_directory, remove_directory);
}
