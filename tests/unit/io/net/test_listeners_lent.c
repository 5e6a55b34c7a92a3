/* Listeners that another process has as well, that pause, and whose files have other rights. */
#include "tests/unit/io/net/listeners_fixture.h"

#include <errno.h>
#include <sys/stat.h>

static char directory[64];
static char paths[2][96];
static struct addr addrs[2];

static int set_up_here(void **state)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/listeners-XXXXXX");
    assert_non_null(mkdtemp(directory));
    for (int i = 0; i < 2; i++) {
        char text[256];
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%d", directory, i);
        (void)snprintf(text, sizeof(text), "unix:%s", paths[i]);
        assert_true(addr_parse(span_of_text(text), &addrs[i]));
    }
    return set_up(state);
}

static int tear_down_here(void **state)
{
    int result = tear_down(state);

    return result != 0 || rmdir(directory) != 0;
}

static bool is_there(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

/* Both files, one for each protocol. */
static void start_with_both(struct file *file)
{
    add(&file->agent.listens, file->listens, addrs[0]);
    add(&file->agent.web, file->web, addrs[1]);
    start_with(file);
}

/* What was lent, and how many may be. */
struct borrower {
    unsigned asked;
    unsigned max;
    int fds[4];
};

static bool borrow(void *context, const struct listen_socket *listening)
{
    struct borrower *borrower = context;

    if (borrower->asked++ == borrower->max) {
        errno = EPIPE;
        return false;
    }
    assert_false(listening->is_lent);
    borrower->fds[borrower->asked - 1] = listening->fd;
    return true;
}

/* Who has borrowed them goes on with the files. */
static void files_that_are_lent_stay(void **state)
{
    struct borrower borrower = {.max = 4};
    const struct file none = NO_FILE;
    struct file file = NO_FILE;

    (void)state;
    start_with_both(&file);
    assert_true(listeners_lend(listeners, borrow, &borrower));
    assert_int_equal(borrower.asked, 2);
    assert_int_not_equal(borrower.fds[0], borrower.fds[1]);
    listeners_settle(listeners, &none.agent);
    for (int i = 0; i < 2; i++) {
        assert_true(is_there(paths[i]));
        assert_int_equal(unlink(paths[i]), 0);
    }
}

static void files_that_are_ours_again_go(void **state)
{
    struct borrower borrower = {.max = 4};
    const struct file none = NO_FILE;
    struct file file = NO_FILE;

    (void)state;
    start_with_both(&file);
    assert_true(listeners_lend(listeners, borrow, &borrower));
    listeners_own(listeners);
    listeners_settle(listeners, &none.agent);
    assert_false(is_there(paths[0]));
    assert_false(is_there(paths[1]));
}

/* Nothing more is offered then, and the one that was refused stays ours. */
static void a_borrower_that_breaks_off(void **state)
{
    struct borrower borrower = {.max = 1};
    const struct file none = NO_FILE;
    struct file file = NO_FILE;

    (void)state;
    start_with_both(&file);
    assert_false(listeners_lend(listeners, borrow, &borrower));
    assert_int_equal(errno, EPIPE);
    assert_int_equal(borrower.asked, 2);
    listeners_settle(listeners, &none.agent);
    assert_int_equal(is_there(paths[0]) + is_there(paths[1]), 1);
    (void)unlink(paths[0]);
    (void)unlink(paths[1]);
    borrower.max = 0;
    borrower.asked = 0;
    start_with(&file);
    assert_false(listeners_lend(listeners, borrow, &borrower));
    assert_int_equal(borrower.asked, 1);
}

static void all_pause(void **state)
{
    struct file file = NO_FILE;

    (void)state;
    start_with_both(&file);
    listeners_pause(listeners);
    assert_string_equal(who_takes_at(&addrs[0]), "queue");
    assert_string_equal(who_takes_at(&addrs[1]), "queue");
    listeners_resume(listeners);
    run_loop();
    assert_int_equal(spop.count, 1);
    assert_int_equal(http.count, 1);
    assert_string_equal(who_takes_at(&addrs[0]), "spop");
    assert_string_equal(who_takes_at(&addrs[1]), "http");
}

/* How many keys are told of; what was told before is dropped. */
static size_t count_told(const struct file *old, const struct file *new)
{
    log_capture_clear();
    listeners_tell_rights(listeners, &old->agent, &new->agent);
    return log_capture_count("restart-needed");
}

static void set_name(char name[CONFIG_ACCOUNT_MAX], const char *text)
{
    (void)snprintf(name, CONFIG_ACCOUNT_MAX, "%s", text);
}

/* Each of the three rights counts, once for each key, and only of a file that both have. */
static void other_rights(void **state)
{
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add(&old.agent.listens, old.listens, addrs[0]);
    add(&old.agent.web, old.web, addrs[1]);
    add(&new.agent.listens, new.listens, addrs[0]);
    assert_int_equal(count_told(&old, &new), 0);
    set_name(new.listens[0].owner, "an-owner");
    assert_int_equal(count_told(&old, &new), 1);
    assert_string_equal(log_capture_last("restart-needed"), "warning restart-needed key=listen");
    set_name(old.listens[0].owner, "an-owner");
    assert_int_equal(count_told(&old, &new), 0);
    set_name(new.listens[0].group, "a-group");
    assert_int_equal(count_told(&old, &new), 1);
    set_name(old.listens[0].group, "a-group");
    old.listens[0].mode = 0600;
    assert_int_equal(count_told(&old, &new), 1);
    new.listens[0].mode = 0600;
    assert_int_equal(count_told(&old, &new), 0);
    add(&new.agent.listens, new.listens, addrs[1]);
    new.listens[1].mode = 0660;
    new.listens[0].mode = 0660;
    assert_int_equal(count_told(&old, &new), 1);
    add(&new.agent.web, new.web, addrs[1]);
    assert_int_equal(count_told(&old, &new), 1);
    new.web[0].mode = 0660;
    assert_int_equal(count_told(&old, &new), 2);
    assert_string_equal(log_capture_last("restart-needed"), "warning restart-needed key=http");
}

/* Of the addresses only those of one protocol are closed, and their files go. */
static void the_end_of_one_protocol(void **state)
{
    struct file file = NO_FILE;

    (void)state;
    start_with_both(&file);
    listeners_close(listeners, &rows[1].protocol);
    assert_true(is_there(paths[0]));
    assert_false(is_there(paths[1]));
    assert_string_equal(who_takes_at(&addrs[0]), "spop");
    listeners_destroy(NULL); /* no harm */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_here, tear_down_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_that_are_lent_stay),
        TEST(files_that_are_ours_again_go),
        TEST(a_borrower_that_breaks_off),
        TEST(all_pause),
        TEST(other_rights),
        TEST(the_end_of_one_protocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
