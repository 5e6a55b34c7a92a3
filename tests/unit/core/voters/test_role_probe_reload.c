/* A probe at a reload: whether the next file's is like it, and what it goes by once it has moved. */
#include "tests/unit/core/voters/role_probe_fixture.h"

/* Every setting counts: a link that was made by others is not kept. */
static void test_what_is_alike(void **state)
{
    struct role_probe_settings other;
    char username[] = "probe";
    char password[] = "secret";

    (void)state;
    other = f.settings;
    assert_true(role_probe_is_alike(&f.settings, &other));
    f.settings.credentials = (struct redis_credentials){.username = "probe", .password = "secret"};
    assert_false(role_probe_is_alike(&f.settings, &other));
    assert_false(role_probe_is_alike(&other, &f.settings));
    other.credentials = (struct redis_credentials){.username = username, .password = password};
    assert_true(role_probe_is_alike(&f.settings, &other));
    other.credentials.username = NULL;
    assert_false(role_probe_is_alike(&f.settings, &other));
    other.credentials.username = "probe2";
    assert_false(role_probe_is_alike(&f.settings, &other));
    other.credentials = (struct redis_credentials){.username = username, .password = "secret2"};
    assert_false(role_probe_is_alike(&f.settings, &other));
    other.credentials.password = NULL;
    assert_false(role_probe_is_alike(&f.settings, &other));
    other = f.settings;
    other.interval_ms++;
    assert_false(role_probe_is_alike(&f.settings, &other));
    other = f.settings;
    other.reply_timeout_ms++;
    assert_false(role_probe_is_alike(&f.settings, &other));
    other = f.settings;
    other.conversation.connect_timeout_ms++;
    assert_false(role_probe_is_alike(&f.settings, &other));
}

/* It goes by the next file's settings: the former ones are gone soon. */
static void test_what_a_probe_goes_by(void **state)
{
    struct role_probe_settings other;

    (void)state;
    aim_and_connect(0);
    assert_string_equal(sent(), "CLIENT PING ROLE");
    reply(text_reply("OK"));
    reply(text_reply("PONG"));
    reply_role("master");
    other = f.settings;
    other.interval_ms = 2 * INTERVAL;
    other.credentials.password = "secret";
    other.conversation.connect_timeout_ms = 3 * CONNECT_TIMEOUT;
    assert_true(role_probe_move(&f.probe, &other, f.group, 0));
    memset(&f.settings, 0, sizeof(f.settings));
    f.now_ms += INTERVAL;
    name(0);
    assert_string_equal(sent(), "PING ROLE");
    reply(text_reply("PONG"));
    reply_role("master");
    assert_int_equal(f.probe.next_ms, f.now_ms + 2 * INTERVAL);
    conversation_lost(talk(), "closed", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    assert_int_equal(conversation_wake_ms(talk()), f.now_ms + 3 * CONNECT_TIMEOUT);
    conversation_connected(talk(), f.now_ms);
    assert_string_equal(sent(), "AUTH CLIENT PING ROLE");
}

/* A node that the next file does not have is asked no more; neither is one that was never aimed at. */
static void test_who_is_asked_no_more(void **state)
{
    (void)state;
    assert_false(role_probe_move(&f.probe, &f.settings, f.group, 0));
    aim_and_connect(0);
    assert_true(role_probe_serves(&f.probe, f.service));
    assert_true(addr_parse(span_of_text("10.0.0.3:6379"), &f.servers[0].addr));
    assert_false(role_probe_serves(&f.probe, f.service));
    assert_false(role_probe_move(&f.probe, &f.settings, f.group, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_what_is_alike),
        PROBE_TEST(test_what_a_probe_goes_by),
        PROBE_TEST(test_who_is_asked_no_more),
    };

    return cmocka_run_group_tests_name("role_probe_reload", tests, NULL, NULL);
}
