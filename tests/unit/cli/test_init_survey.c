/* Which addresses are those of this host. */
#include "spoa/cli/init_survey.h"

#include "tests/unit/cli/peer_fixture.h"

#include <sys/resource.h>
#include <unistd.h>

static bool is_own(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return init_is_own_host(&addr);
}

static void own_host(void **state)
{
    struct addr taken;
    int listener = peer_bind(8, &taken);
    size_t before = count_descriptors();

    (void)state;
    assert_true(is_own("127.0.0.1:1"));
    assert_true(is_own("127.0.0.9:65535"));
    assert_true(init_is_own_host(&taken)); /* whoever listens there */
    assert_false(is_own("192.0.2.1:1"));
    assert_false(is_own("[2001:db8::1]:1"));
    assert_false(is_own("localhost:1"));
    assert_false(is_own("unix:/tmp/sentinel-spoa-test-of-own-host"));
    assert_int_equal(access("/tmp/sentinel-spoa-test-of-own-host", F_OK), -1);
    assert_int_equal(count_descriptors(), before);
    close(listener);
}

/* Where it cannot be found out, it is another host. */
static void no_descriptor_is_left(void **state)
{
    struct rlimit kept;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = kept.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool was_own = is_own("127.0.0.1:1");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &kept), 0);
    assert_false(was_own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_host), cmocka_unit_test(no_descriptor_is_left)};

    return cmocka_run_group_tests_name("init_survey", tests, NULL, NULL);
}
