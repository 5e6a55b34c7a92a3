/* A call that cannot be made leaves nothing behind. */
#include "spoa/io/effects/runtime_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

static size_t never_say(void *context, char line[RUNTIME_LINE_MAX])
{
    (void)context;
    (void)line;
    fail();
    return 0;
}

static void never_read(void *context, const char *bytes, size_t len)
{
    (void)context;
    (void)bytes;
    (void)len;
    fail();
}

static void never_ended(void *context, const char *reason)
{
    (void)context;
    (void)reason;
    fail();
}

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static void nobody_listens(void **state)
{
    static const char *const addresses[] = {"unix:/nowhere/haproxy.sock", "redis-1.test:9999"};
    static const int codes[] = {ENOENT, EINVAL};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct addr addr;

    (void)state;
    assert_non_null(loop);
    size_t before = count_descriptors();
    for (size_t i = 0; i < 2; i++) {
        assert_true(addr_parse(span_of_text(addresses[i]), &addr));
        assert_null(runtime_call_begin(loop, &addr, never_say, never_read, never_ended, NULL));
        assert_int_equal(errno, codes[i]);
    }
    assert_int_equal(count_descriptors(), before);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_listens)};

    return cmocka_run_group_tests_name("runtime_call", tests, NULL, NULL);
}
