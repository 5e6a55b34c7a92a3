/* When the link does what is due. */
#include "tests/unit/io/clock_fixture.h"

#include "tests/unit/io/redis/redis_link_fixture.h"

static void start_talking(void)
{
    talk.commands = 1;
    peer_says("+a\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.replies == 1);
}

static void what_is_due_is_done_then(void **state)
{
    (void)state;
    start_talking();
    talk.due_ms = clock_ms() + 10;
    redis_link_pump(redis_link);
    unsigned stepped = talk.stepped;
    skip_time(loop, 8);
    assert_int_equal(talk.stepped, stepped);
    skip_time(loop, 4);
    assert_true(talk.stepped > stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_due_is_done_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
