/* The files of `init` are written all, or none; what was there is kept once. */
#include "spoa/cli/init_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 3

static char folder[] = "/tmp/test_init_files.XXXXXX";
static struct init_file files[FILES];
static mode_t former_mask;

static char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    static const char *const names[FILES] = {"one", "two", "three"};

    (void)state;
    former_mask = umask(077); /* it must not change the rights of the files */
    if (mkdtemp(strcpy(folder, "/tmp/test_init_files.XXXXXX")) == NULL)
        return -1;
    for (size_t i = 0; i < FILES; i++) {
        files[i] = (struct init_file){.path = strdup(path_of(names[i])), .is_agents = i == 1};
        text_printf(&files[i].text, "new %s\n", names[i]);
    }
    return 0;
}

static int count_entries(void)
{
    int count = -2; /* "." and ".." */
    DIR *stream = opendir(folder);

    assert_non_null(stream);
    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count;
}

static int tear_down(void **state)
{
    static const char *const all[] = {"one", "two", "three", "one.bak", "two.bak", "three.bak"};

    (void)state;
    umask(former_mask);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        (void)remove(path_of(all[i]));
    for (size_t i = 0; i < FILES; i++) {
        free(files[i].path);
        text_finish(&files[i].text);
    }
    return rmdir(folder);
}

static void make(const char *name, const char *text)
{
    FILE *stream = fopen(path_of(name), "w");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static void has(const char *name, const char *text)
{
    char found[64] = "";
    FILE *stream = fopen(path_of(name), "r");

    assert_non_null(stream);
    (void)!fread(found, 1, sizeof(found) - 1, stream);
    fclose(stream);
    assert_string_equal(found, text);
}

static void all_are_written(void **state)
{
    static const mode_t modes[FILES] = {0644, 0640, 0644};
    struct stat status;

    (void)state;
    assert_true(init_files_are_free(files, FILES, false));
    assert_true(init_files_write(files, FILES));
    has("one", "new one\n");
    has("two", "new two\n");
    has("three", "new three\n");
    assert_int_equal(count_entries(), FILES);
    for (size_t i = 0; i < FILES; i++) {
        assert_int_equal(stat(files[i].path, &status), 0);
        assert_int_equal(status.st_mode & 07777, modes[i]);
    }
}

static void what_is_in_the_way(void **state)
{
    (void)state;
    make("two", "old");
    assert_false(init_files_are_free(files, FILES, false));
    assert_true(init_files_are_free(files, FILES, true));
    assert_true(init_files_are_free(files, 1, false));
    assert_int_equal(symlink("/nowhere", path_of("one")), 0);
    assert_false(init_files_are_free(files, 1, false));
    assert_true(init_files_are_free(files, 1, true));
    assert_int_equal(mkdir(path_of("three"), 0700), 0);
    assert_false(init_files_are_free(files, FILES, true));
    assert_true(init_files_are_free(files, 2, true));
}

static void what_was_there_is_kept_once(void **state)
{
    (void)state;
    make("two", "old");
    make("two.bak", "older");
    assert_true(init_files_write(files, FILES));
    has("two", "new two\n");
    has("two.bak", "old");
    assert_int_equal(count_entries(), FILES + 1);
    assert_true(init_files_write(files, FILES));
    has("two.bak", "new two\n");
    assert_int_equal(count_entries(), 2 * FILES);
}

/* The folder of the last one is missing: nothing is written, nor left. */
static void none_is_written(void **state)
{
    (void)state;
    free(files[2].path);
    files[2].path = strdup(path_of("missing/three"));
    make("one", "old");
    assert_false(init_files_write(files, FILES));
    has("one", "old");
    assert_int_equal(count_entries(), 1);
}

/* What is kept cannot be put there: the file stays as it was, and nothing else is left. */
static void one_that_cannot_be_kept(void **state)
{
    (void)state;
    make("one", "old");
    assert_int_equal(mkdir(path_of("one.bak"), 0700), 0);
    assert_false(init_files_write(files, FILES));
    has("one", "old");
    assert_int_equal(count_entries(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_there_is_kept_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_kept, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
