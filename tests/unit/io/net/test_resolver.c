/* The resolver and its threads against a name service of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "tests/unit/io/net/name_service.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_S 20.0

/* An answer that nobody waited for is kept for so long. */
#define KEPT_MS 6000

/* Earlier ones had no stat() whose place a program could take. */
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 33)
#define HAS_OWN_STAT false
#else
#define HAS_OWN_STAT true
#endif

static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"};
#define FILES (sizeof(files) / sizeof(*files))

static struct stat stats[FILES]; /* what they look like */
static bool is_missing[FILES];

/* In place of the C library's. NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int stat(const char *restrict path, struct stat *restrict found)
{
    for (size_t i = 0; i < FILES; i++) {
        if (strcmp(path, files[i]) != 0)
            continue;
        *found = stats[i];
        return is_missing[i] ? -1 : 0;
    }
    return fstatat(AT_FDCWD, path, found, 0);
}

static int64_t set_ms; /* the resolver's clock says this; 0: the true time */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_BOOTTIME || set_ms == 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    *now = (struct timespec){.tv_sec = set_ms / 1000, .tv_nsec = set_ms % 1000 * 1000000};
    return 0;
}

struct answer {
    unsigned calls;
    size_t count;
    bool is_denied;
    char reason[128];
    char text[512]; /* "127.0.0.1:26379 ::1:26379" */
    bool asks_again;
};

static struct ev_loop *loop;
static struct resolver *resolver;
static ev_timer deadline;
static bool is_late;

static void on_deadline(struct ev_loop *ended, ev_timer *timer, int events)
{
    (void)ended;
    (void)timer;
    (void)events;
    is_late = true;
}

static int open_resolver(void **state)
{
    (void)state;
    name_service_reset();
    memset(stats, 0, sizeof(stats));
    memset(is_missing, 0, sizeof(is_missing));
    set_ms = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    is_late = false;
    ev_timer_init(&deadline, on_deadline, DEADLINE_S, 0.0);
    ev_timer_start(loop, &deadline);
    resolver = resolver_create(loop);
    return resolver != NULL ? 0 : -1;
}

static int close_resolver(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    resolver = NULL;
    name_service_reset();
    name_service_await_idle();
    ev_timer_stop(loop, &deadline);
    /* Everything was stopped: nothing keeps the loop. */
    int is_alive = ev_run(loop, EVRUN_NOWAIT) ? -1 : 0;
    ev_loop_destroy(loop);
    return is_alive;
}

static void on_done(void *context, const struct resolver_answer *got);

static struct resolver_query *look_up_family(const char *name, int family, bool is_slow,
                                             struct answer *answer)
{
    struct addr addr;
    const struct resolver_options options = {
        .name = &addr, .family = family, .is_slow = is_slow, .done = on_done, .context = answer};

    assert_true(addr_from_parts(span_of_text(name), span_of_text("26379"), &addr));
    struct resolver_query *query = resolver_lookup(resolver, &options);
    assert_non_null(query);
    return query;
}

static struct resolver_query *look_up(const char *name, struct answer *answer)
{
    return look_up_family(name, AF_UNSPEC, false, answer);
}

static void on_done(void *context, const struct resolver_answer *got)
{
    struct answer *answer = context;

    answer->calls++;
    answer->count = got->count;
    answer->is_denied = got->is_denied;
    answer->text[0] = '\0';
    snprintf(answer->reason, sizeof(answer->reason), "%s", got->reason);
    for (size_t i = 0; i < got->count; i++) {
        char host[INET6_ADDRSTRLEN] = "";
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        memcpy(&ipv4, &got->addresses[i], sizeof(ipv4));
        memcpy(&ipv6, &got->addresses[i], sizeof(ipv6));
        bool is_ipv4 = got->addresses[i].ss_family == AF_INET;
        inet_ntop(got->addresses[i].ss_family, is_ipv4 ? (void *)&ipv4.sin_addr : (void *)&ipv6.sin6_addr,
                  host, sizeof(host));
        size_t len = strlen(answer->text);
        snprintf(answer->text + len, sizeof(answer->text) - len, "%s%s:%u", i > 0 ? " " : "", host,
                 (unsigned)ntohs(is_ipv4 ? ipv4.sin_port : ipv6.sin6_port));
    }
    if (answer->asks_again) {
        answer->asks_again = false;
        (void)look_up("sentinel.test", answer);
    }
}

static void await_calls(const struct answer *answer, unsigned calls)
{
    while (answer->calls < calls && !is_late)
        ev_run(loop, EVRUN_ONCE);
    assert_false(is_late);
    assert_int_equal(answer->calls, calls);
}

static void await(const struct answer *answer)
{
    await_calls(answer, 1);
}

static void check_lookup(const char *name, const char *expected)
{
    struct answer answer = {.calls = 0};

    (void)look_up(name, &answer);
    assert_int_equal(answer.calls, 0);
    await(&answer);
    assert_string_equal(answer.text, expected);
    assert_false(answer.is_denied);
}

static unsigned asked(void)
{
    return name_service_count(&name_service.asked);
}

static void in_the_order_of_the_name_service(void **state)
{
    (void)state;
    name_service.ipv4[0] = "127.0.0.9";
    name_service.ipv4[1] = "127.0.0.2";
    name_service.ipv6[0] = "::7";
    check_lookup("sentinel.test", "::7:26379 127.0.0.9:26379 127.0.0.2:26379");
    name_service.ipv4[0] = "127.0.0.8";
    name_service.ipv4[1] = NULL;
    name_service.ipv6[0] = NULL;
    check_lookup("sentinel.test", "127.0.0.8:26379");
    assert_int_equal(asked(), 2);
}

static void no_address_twice(void **state)
{
    (void)state;
    name_service.ipv4[0] = "127.0.0.1";
    name_service.ipv4[1] = "127.0.0.1";
    check_lookup("localhost", "127.0.0.1:26379");
}

static void check_failure(int code, bool is_denied)
{
    struct answer answer = {.calls = 0};

    name_service.code = code;
    (void)look_up("nobody.test", &answer);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.is_denied, is_denied);
    assert_string_equal(answer.reason, gai_strerror(code));
}

static void failures(void **state)
{
    (void)state;
    check_failure(EAI_NONAME, true);
    check_failure(EAI_NODATA, true);
    check_failure(EAI_AGAIN, false);
    check_failure(EAI_FAIL, false);
}

static void no_address(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    (void)look_up("empty.test", &answer);
    await(&answer);
    assert_int_equal(answer.count, 0);
    assert_true(answer.is_denied);
}

static void idle_resolver_leaves_the_loop(void **state)
{
    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    check_lookup("sentinel.test", "127.0.0.2:26379");
    ev_timer_stop(loop, &deadline);
    assert_false(ev_run(loop, EVRUN_NOWAIT));
}

static void one_look_up_for_all_who_ask(void **state)
{
    struct answer answers[5] = {{.calls = 0}};
    struct answer other = {.calls = 0};

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("one");
    for (size_t i = 0; i < 5; i++)
        (void)look_up("one.test", &answers[i]);
    (void)look_up_family("one.test", AF_INET, false, &other);
    name_service_await_held(2);
    assert_int_equal(asked(), 2);
    name_service_hold(NULL);
    for (size_t i = 0; i < 5; i++)
        await(&answers[i]);
    await(&other);
    assert_int_equal(asked(), 2);
}

static void who_asks_while_it_is_told_is_told_later(void **state)
{
    struct answer answer = {.asks_again = true};

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    (void)look_up("sentinel.test", &answer);
    await(&answer);
    await_calls(&answer, 2);
    assert_int_equal(asked(), 2);
}

static void held_names_do_not_delay_others(void **state)
{
    struct answer slow[LOOKUP_THREADS_SLOW_MAX + 20] = {{.calls = 0}};
    struct resolver_query *queries[LOOKUP_THREADS_SLOW_MAX + 20];
    char name[32];

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("slow");
    for (unsigned i = 0; i < LOOKUP_THREADS_SLOW_MAX + 20; i++) {
        snprintf(name, sizeof(name), "slow-%u.test", i);
        queries[i] = look_up_family(name, AF_UNSPEC, true, &slow[i]);
    }
    name_service_await_held(LOOKUP_THREADS_SLOW_MAX);
    check_lookup("quick.test", "127.0.0.2:26379");
    /* What waits for a thread ends at once. The rest follows. */
    resolver_cancel(queries[LOOKUP_THREADS_SLOW_MAX + 19]);
    assert_int_equal(name_service_count(&name_service.held), LOOKUP_THREADS_SLOW_MAX);
    name_service_hold(NULL);
    for (unsigned i = 0; i < LOOKUP_THREADS_SLOW_MAX + 19; i++)
        await(&slow[i]);
    assert_int_equal(slow[LOOKUP_THREADS_SLOW_MAX + 19].calls, 0);
    assert_int_equal(asked(), LOOKUP_THREADS_SLOW_MAX + 20);
}

static void threads_are_bounded(void **state)
{
    static struct answer answers[3 * LOOKUP_THREADS_MAX];
    char name[32];

    (void)state;
    memset(answers, 0, sizeof(answers));
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("");
    int64_t begun_us = clock_us();
    for (unsigned i = 0; i < 3 * LOOKUP_THREADS_MAX; i++) {
        snprintf(name, sizeof(name), "many-%u.test", i);
        (void)look_up(name, &answers[i]);
    }
    print_message("%d look-ups begun in %lld us\n", 3 * LOOKUP_THREADS_MAX,
                  (long long)(clock_us() - begun_us));
    name_service_await_held(LOOKUP_THREADS_MAX);
    name_service_hold(NULL);
    for (unsigned i = 0; i < 3 * LOOKUP_THREADS_MAX; i++)
        await(&answers[i]);
    assert_int_equal(name_service_count(&name_service.most_running), LOOKUP_THREADS_MAX);
}

/* Its look-up goes on until name_service_hold(NULL). */
static struct resolver_query *begin_one(struct answer *answer)
{
    name_service.ipv4[0] = "127.0.0.2";
    name_service_hold("one");
    struct resolver_query *query = look_up("one.test", answer);
    name_service_await_held(1);
    return query;
}

static void cancelled_query_is_silent(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    resolver_cancel(begin_one(&cancelled));
    name_service_hold(NULL);
    check_lookup("two.test", "127.0.0.2:26379");
    assert_int_equal(cancelled.calls, 0);
}

/* The query for "one" gives up before the slow name server answers. */
static void begin_and_cancel(void)
{
    struct answer cancelled = {.calls = 0};

    resolver_cancel(begin_one(&cancelled));
    name_service_hold(NULL);
    name_service_await_idle();
}

/* There is an answer that nobody waits for. */
static void keep_answer(void)
{
    begin_and_cancel();
    check_lookup("two.test", "127.0.0.2:26379");
}

/* The next one has it. */
static void answer_that_came_too_late_is_used(void **state)
{
    (void)state;
    keep_answer();
    unsigned before = asked();
    check_lookup("one.test", "127.0.0.2:26379");
    assert_int_equal(asked(), before);
    /* Once. */
    check_lookup("one.test", "127.0.0.2:26379");
    assert_int_equal(asked(), before + 1);
}

/* Whether the next look-up of "one" asks, or has the answer that is kept. */
static bool asks_again(void)
{
    unsigned before = asked();

    check_lookup("one.test", "127.0.0.2:26379");
    return asked() > before;
}

static void answer_is_kept_for_a_while(void **state)
{
    (void)state;
    set_ms = 1000000;
    keep_answer();
    set_ms += KEPT_MS - 1;
    assert_false(asks_again());
    keep_answer();
    set_ms += KEPT_MS;
    assert_true(asks_again());
}

/* It is freed then, although nobody asks. Nothing keeps the loop any more. */
static void answer_is_dropped_after_a_while(void **state)
{
    (void)state;
    set_ms = 1000000;
    keep_answer();
    set_ms += KEPT_MS;
    ev_unref(loop); /* the deadline counts no more */
    ev_run(loop, 0);
    ev_ref(loop);
    assert_false(is_late);
}

/* ---- the files of the C library ---- */

static void change(size_t file, unsigned what)
{
    struct stat *changed = &stats[file];

    if (what == 0)
        changed->st_dev++;
    else if (what == 1)
        changed->st_ino++;
    else if (what == 2)
        changed->st_size++;
    else if (what == 3)
        changed->st_mtim.tv_sec++;
    else if (what == 4)
        changed->st_mtim.tv_nsec++;
    else
        is_missing[file] = !is_missing[file];
}

/* Whatever changes of any of them: what was found before does not count any more. */
static void answer_of_former_files_is_not_used(void **state)
{
    (void)state;
    if (!HAS_OWN_STAT)
        skip();
    for (size_t file = 0; file < FILES; file++) {
        for (unsigned what = 0; what < 7; what++) {
            stats[file].st_ino = 7;
            keep_answer();
            change(file, what);
            assert_true(asks_again());
            assert_true(asks_again());
        }
    }
    keep_answer();
    assert_false(asks_again());
    /* What a file that is not there looks like does not matter. */
    is_missing[0] = true;
    keep_answer();
    change(0, 1);
    assert_false(asks_again());
}

/* The query gets the answer of the new files. The answer of the former look-up is dropped. */
static void look_up_begins_again(void **state)
{
    struct answer answer = {.calls = 0};
    struct answer other = {.calls = 0};

    (void)state;
    if (!HAS_OWN_STAT)
        skip();
    (void)begin_one(&answer);
    (void)look_up("one.test", &other);
    (void)look_up("one.test", &other);
    assert_int_equal(asked(), 1);
    change(1, 1);
    check_lookup("two.test", "127.0.0.2:26379");
    name_service_await_held(2);
    assert_int_equal(asked(), 3);
    name_service_hold(NULL);
    await(&answer);
    await_calls(&other, 2);
    name_service_await_idle();
    check_lookup("two.test", "127.0.0.2:26379");
    assert_int_equal(answer.calls, 1);
    assert_int_equal(other.calls, 2);
    /* Neither is kept. */
    assert_true(asks_again());
}

/* Nobody waits for it: what it finds with the former files is not kept. */
static void cancelled_look_up_is_forgotten(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    if (!HAS_OWN_STAT)
        skip();
    resolver_cancel(begin_one(&cancelled));
    change(1, 1);
    check_lookup("two.test", "127.0.0.2:26379");
    assert_int_equal(asked(), 2);
    name_service_hold(NULL);
    name_service_await_idle();
    check_lookup("two.test", "127.0.0.2:26379");
    assert_true(asks_again());
}

/* The files are looked at while a look-up goes on, although nobody else asks. */
static void files_are_looked_at(void **state)
{
    struct answer answer = {.calls = 0};

    (void)state;
    if (!HAS_OWN_STAT)
        skip();
    (void)begin_one(&answer);
    change(2, 3);
    while (asked() < 2 && !is_late)
        ev_run(loop, EVRUN_ONCE);
    assert_false(is_late);
    name_service_hold(NULL);
    await(&answer);
}

static void failure_that_came_too_late_is_not_used(void **state)
{
    (void)state;
    name_service.code = EAI_AGAIN;
    begin_and_cancel();
    name_service.code = 0;
    check_lookup("two.test", "127.0.0.2:26379");
    check_lookup("one.test", "127.0.0.2:26379");
}

/* The leak check looks on: the thread frees what it has. */
static void destroyed_while_it_runs(void **state)
{
    struct answer cancelled = {.calls = 0};

    (void)state;
    name_service_hold("");
    struct resolver_query *query = look_up("one.test", &cancelled);
    name_service_await_held(1);
    resolver_cancel(query);
    resolver_destroy(resolver);
    resolver = NULL;
    assert_int_equal(cancelled.calls, 0);
}

static void many_addresses_are_bounded(void **state)
{
    static char texts[LOOKUP_ADDRESSES_MAX + 4][16];
    struct answer answer = {.calls = 0};

    (void)state;
    for (size_t i = 0; i < LOOKUP_ADDRESSES_MAX + 4; i++) {
        snprintf(texts[i], sizeof(texts[i]), "127.0.0.%zu", i + 1);
        name_service.ipv4[i] = texts[i];
    }
    (void)look_up("many.test", &answer);
    await(&answer);
    assert_int_equal(answer.count, LOOKUP_ADDRESSES_MAX);
}

static void nothing_to_free(void **state)
{
    (void)state;
    resolver_destroy(NULL);
    resolver_cancel(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_resolver, close_resolver)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_the_order_of_the_name_service),
        TEST(no_address_twice),
        TEST(failures),
        TEST(no_address),
        TEST(idle_resolver_leaves_the_loop),
        TEST(one_look_up_for_all_who_ask),
        TEST(who_asks_while_it_is_told_is_told_later),
        TEST(held_names_do_not_delay_others),
        TEST(threads_are_bounded),
        TEST(cancelled_query_is_silent),
        TEST(answer_that_came_too_late_is_used),
        TEST(answer_is_kept_for_a_while),
        TEST(answer_is_dropped_after_a_while),
        TEST(answer_of_former_files_is_not_used),
        TEST(look_up_begins_again),
        TEST(cancelled_look_up_is_forgotten),
        TEST(files_are_looked_at),
        TEST(failure_that_came_too_late_is_not_used),
        TEST(destroyed_while_it_runs),
        TEST(many_addresses_are_bounded),
        cmocka_unit_test(nothing_to_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
