/* The command line of `init`: what is taken, and what is not. */
#include "spoa/cli/init_options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spoa/core/haproxy/haproxy_version.h"

#define SENTINEL "--sentinel 10.0.0.9:26379 "

static struct init_options options;
static char said[512]; /* on stderr */
static char *words[16];
static char line[512];

/* Reads a command line whose words have a blank between them; an empty word is written '~'. */
static bool parse(const char *text)
{
    int count = 1;
    int ends[2];
    int kept = dup(STDERR_FILENO);

    assert_true(strlen(text) < sizeof(line));
    memcpy(line, text, strlen(text) + 1);
    words[0] = (char[]){"init"};
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = strcmp(word, "~") == 0 ? word + 1 : word;
    words[count] = NULL;
    memset(&options, 0x55, sizeof(options));
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) != -1);
    /* getopt_long() forgets the words of before. */
    optind = 0;
    (void)getopt_long(1, words, "", (struct option[]){{NULL, 0, NULL, 0}}, NULL);
    optind = 2;
    bool is_parsed = init_options_parse(count, words, &options);
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) != -1);
    close(kept);
    close(ends[1]);
    ssize_t len = read(ends[0], said, sizeof(said) - 1);
    said[len > 0 ? len : 0] = '\0';
    close(ends[0]);
    return is_parsed;
}

static void is_wrong(const char *text, const char *reason)
{
    struct init_options untouched;

    assert_false(parse(text));
    assert_string_equal(said, reason);
    memset(&untouched, 0x55, sizeof(untouched));
    assert_memory_equal(&options, &untouched, sizeof(options));
}

static void is_right(const char *text)
{
    assert_true(parse(text));
    assert_string_equal(said, "");
}

static void what_is_taken(void **state)
{
    (void)state;
    is_right(SENTINEL);
    assert_int_equal(options.sentinel.port, 26379);
    assert_null(options.password_file);
    assert_null(options.redis_password_file);
    assert_null(options.user);
    assert_null(options.directory);
    assert_int_equal(options.haproxy, HAPROXY_OLDEST);
    assert_false(options.is_forced);
    assert_false(options.help);
    is_right(SENTINEL
             "--password-file /p --redis-password-file /q --user u --haproxy 3.2 --output d --force");
    assert_string_equal(options.password_file, "/p");
    assert_string_equal(options.redis_password_file, "/q");
    assert_string_equal(options.user, "u");
    assert_int_equal(options.haproxy, 302);
    assert_string_equal(options.directory, "d");
    assert_true(options.is_forced);
    assert_false(options.help);
    is_right(SENTINEL "-o d --user u --redis-password-file /q");
    assert_string_equal(options.directory, "d");
    is_right(SENTINEL "--user u --password-file /p");
    is_right("--help");
    assert_true(options.help);
    assert_false(options.is_forced);
    is_right("-h");
    assert_true(options.help);
}

static void what_is_not(void **state)
{
    static const char bad_value[] = "init: '': a configuration file cannot have this value\n";

    (void)state;
    is_wrong("", "init: '--sentinel HOST:PORT': is needed; see --help\n");
    is_wrong("--sentinel 10.0.0.9",
             "init: '10.0.0.9': --sentinel takes HOST:PORT, such as 10.0.0.11:26379\n");
    is_wrong(SENTINEL "--haproxy 2.5", "init: '2.5': --haproxy takes a version of HAProxy, 2.6 or later\n");
    is_wrong(SENTINEL "--user u", "init: '--user': needs --password-file or --redis-password-file\n");
    is_wrong(SENTINEL "--password-file ~", bad_value);
    is_wrong(SENTINEL "--redis-password-file ~", bad_value);
    is_wrong(SENTINEL "--password-file /p --user ~", bad_value);
    is_wrong(SENTINEL "--password-file /a\nb",
             "init: '/a\nb': a configuration file cannot have this value\n");
    is_wrong(SENTINEL "more", "init: 'more': unexpected argument\n");
    is_wrong(SENTINEL "--what", "init: '--what': unknown option\n");
    is_wrong(SENTINEL "-x", "init: '-x': unknown option\n");
    is_wrong(SENTINEL "-o", "init: '-o': needs a value\n");
    is_wrong("--sentinel", "init: '--sentinel': needs a value\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(what_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
