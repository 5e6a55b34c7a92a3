/* The configuration file: its bytes, the environment, password files, what cannot be read. */
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

static struct loaded load(const char *text)
{
    write_file(path, text, strlen(text));
    return load_path(path);
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

/*
 * Lines are test_config_reader.c. Here: all of a file that is longer than one read, and the true environment.
 */
static void test_good_file(void **state)
{
    char text[3 * 4096];
    size_t len = 0;

    (void)state;
    while (len < sizeof(text) - 256)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "# line after line\n");
    snprintf(text + len, sizeof(text) - len, GOOD "monitor = <${TEST_A}>");
    setenv("TEST_A", "a b", 1);
    struct loaded loaded = load_good(text);
    assert_int_equal(loaded.config->groups[0].address_count, 3);
    assert_string_equal(loaded.config->services[0].monitor, "<a b>");
    assert_int_equal(loaded.config->warnings.count, 0);
    end(&loaded);
    unsetenv("TEST_A");
    check_errors(GOOD "monitor = ${TEST_A}",
                 (const char *const[]){"7: the environment variable 'TEST_A' is not set", NULL});
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

/* Those of the first line, and of each other one. */
static void test_missing_files_of_lines(void **state)
{
    static const char *const expected[] = {
        "2: no certificate in 'tls-cert' '/nowhere/c': No such file or directory",
        "3: no certificate in 'tls-cert' '/nowhere/d': No such file or directory",
        "4: cannot read '/nowhere/t': No such file or directory",
        "5: cannot read '/nowhere/u': No such file or directory",
        NULL,
    };

    (void)state;
    check_errors("[agent]\nlisten = 127.0.0.1:1 tls-cert=/nowhere/c tls-key=/nowhere/k\n"
                 "listen = 127.0.0.1:2 tls-cert=/nowhere/d tls-key=/nowhere/k\n"
                 "http = 127.0.0.1:3 token-file=/nowhere/t\nhttp = 127.0.0.1:4 token-file=/nowhere/u\n"
                 "[sentinels]\naddress = s1:1\naddress = s2:1\naddress = s3:1\n"
                 "[service m]\nserver = R1 127.0.0.1:5\n",
                 expected);
}

/* Those of each section, and the program of a service, which may have arguments. */
static void test_missing_files_of_sections(void **state)
{
    static const char *const expected[] = {
        "2: no certificates in 'tls-ca' '/nowhere/a': No such file or directory",
        "7: [service m]: cannot run '/nowhere/p': No such file or directory",
        "10: no certificates in 'tls-ca' '/nowhere/b': No such file or directory",
        NULL,
    };

    (void)state;
    check_errors(
        "[sentinels]\ntls = yes\ntls-ca = /nowhere/a\naddress = s1:1\naddress = s2:1\naddress = s3:1\n"
        "[service m]\non-switch = /nowhere/p one two\nserver = R1 127.0.0.1:5\n"
        "tls = yes\ntls-ca = /nowhere/b\nrole-check = veto\n"
        "[service n]\non-switch = /bin/true one two\nserver = R1 127.0.0.1:5\n",
        expected);
}

static void test_key_for_everybody(void **state)
{
    static const mode_t modes[] = {0640, 0604};
    char text[300];
    char expected[160];

    (void)state;
    (void)snprintf(text, sizeof(text), "[agent]\nlisten = 127.0.0.1:1 tls-cert=/nowhere/c tls-key=%s\n" GOOD,
                   secret_path);
    (void)snprintf(expected, sizeof(expected), "2: everybody can read the key in '%s'", secret_path);
    write_file(secret_path, "x", 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(chmod(secret_path, modes[i]), 0);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.errors.count, 1);
        assert_int_equal(loaded.config->warnings.count, i);
        if (i == 1)
            check_text(loaded.config->warnings.texts[0], expected);
        end(&loaded);
    }
}

/* What the command line says, in place of a file. */
static void test_without_a_file(void **state)
{
    struct loaded loaded = {.config = config_create()};

    (void)state;
    assert_non_null(loaded.config);
    assert_false(config_file_finish("options", loaded.config, &loaded.errors));
    assert_true(loaded.errors.count > 0);
    assert_memory_equal(loaded.errors.texts[0], "options", strlen("options"));
    end(&loaded);
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

/* The file is `text`, with these rights; `expected` is the only warning, NULL: there is none. */
static void check_public(const char *text, mode_t mode, const char *expected)
{
    write_file(path, text, strlen(text));
    assert_int_equal(chmod(path, mode), 0);
    struct loaded loaded = load_path(path);
    assert_true(loaded.is_good);
    assert_int_equal(loaded.config->warnings.count, expected != NULL);
    if (expected != NULL) {
        char warning[160];
        (void)snprintf(warning, sizeof(warning), "%s '%s'", expected, path);
        check_text(loaded.config->warnings.texts[0], warning);
    }
    end(&loaded);
    assert_int_equal(unlink(path), 0);
}

/* The configuration itself. A password that a variable holds does not stand there. */
static void test_configuration_for_everybody(void **state)
{
    (void)state;
    setenv("TEST_PASSWORD", "s3cret", 1);
    check_public(GOOD, 0644, NULL);
    check_public(GOOD "password = s3cret\n", 0640, NULL);
    check_public(GOOD "password = s3cret\n", 0644, "7: everybody can read the password in");
    check_public(SENTINELS "password = a\n[service m]\nserver = R1 h:1\npassword = b\n", 0604,
                 "5: everybody can read the password in");
    check_public(GOOD "password = ${TEST_PASSWORD}\n", 0644, NULL);
    check_public(GOOD "password = ${TEST_PASSWORD}x\n", 0644, "7: everybody can read the password in");
    check_public(GOOD "password = x${TEST_PASSWORD}\n", 0644, "7: everybody can read the password in");
    unsetenv("TEST_PASSWORD");
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
    static const char bad_listen[] =
        "2: bad value 'nonsense' for 'listen': it takes IP:PORT or [IPv6]:PORT with "
        "allow=IP/BITS (several), tls-cert=FILE, tls-key=FILE, tls-client-ca=FILE and token-file=FILE, or "
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

/* The same in slices: each reads no more than its budget allows, and the errors are the same. */
static void test_slices(void **state)
{
    static const char service[] = "[service s%u]\nserver = R1 10.0.0.1:6379\nquorum = %u\n";
    enum { SERVICES = 200, SLICE = 5 };
    struct loaded loaded = {.config = config_create()};
    char text[SERVICES * sizeof(service) + sizeof(SENTINELS)] = SENTINELS;
    size_t slices = 0;
    size_t budget;

    (void)state;
    for (unsigned i = 0; i < SERVICES; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), service, i, i == 150 ? 7U : 2U);
    write_file(path, text, strlen(text));
    struct config_load *slow = config_load_begin(path, loaded.config, &loaded.errors);
    assert_non_null(slow);
    do {
        size_t most = loaded.config->service_count + SLICE * 1024 / 40;
        budget = SLICE;
        slices++;
        if (config_load_step(slow, &budget) == PROGRESS_DONE)
            break;
        assert_int_equal(budget, 0);
        assert_true(loaded.config->service_count <= most);
    } while (slices < 1000);
    assert_true(slices >= 3 * SERVICES / SLICE && slices < 1000);
    assert_int_equal(loaded.config->service_count, SERVICES);
    assert_false(config_load_is_good(slow));
    assert_int_equal(loaded.errors.count, 1);
    check_text(loaded.errors.texts[0], "455: quorum 7 of [service s150]: with 3 Sentinels it can be 2 to 3");
    config_load_destroy(slow);
    end(&loaded);
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
        cmocka_unit_test(test_password_file),
        cmocka_unit_test(test_bad_password_file),
        cmocka_unit_test(test_missing_password_file),
        cmocka_unit_test(test_missing_files_of_lines),
        cmocka_unit_test(test_missing_files_of_sections),
        cmocka_unit_test(test_key_for_everybody),
        cmocka_unit_test(test_without_a_file),
        cmocka_unit_test(test_password_for_everybody),
        cmocka_unit_test(test_configuration_for_everybody),
        cmocka_unit_test(test_unreadable_file),
        cmocka_unit_test(test_all_errors_sorted),
        cmocka_unit_test(test_slices),
    };

    return cmocka_run_group_tests_name("config_file", tests, make_directory, remove_directory);
}
