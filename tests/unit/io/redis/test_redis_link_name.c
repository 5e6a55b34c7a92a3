/* The link to a peer that has a name: looked up for every attempt, its addresses tried beside each other. */
#include "tests/unit/io/redis/redis_link_fixture.h"

#include <errno.h>

#include "tests/unit/io/net/name_service.h"

static struct resolver *open_resolver(void)
{
    name_service_reset();
    struct resolver *resolver = resolver_create(loop);
    assert_non_null(resolver);
    addr.kind = ADDR_NAME;
    addr.name = "sentinel.test";
    return resolver;
}

/* The link first: it may have a query open. */
static void close_resolver(struct resolver *resolver)
{
    redis_link_destroy(redis_link);
    redis_link = NULL;
    resolver_destroy(resolver);
    name_service_reset();
    name_service_await_idle();
}

static unsigned asked(void)
{
    return name_service_count(&name_service.asked);
}

/* The first address refuses: bound, not listening. The second one is used in the same attempt. */
static void name_of_two_addresses(void **state)
{
    uint16_t port = 0;
    struct resolver *resolver = open_resolver();

    (void)state;
    int refusing = bind_loopback("127.0.0.2", addr.port, &port);
    name_service.ipv4[0] = "127.0.0.2";
    name_service.ipv4[1] = "127.0.0.1";
    talk.commands = 1;
    peer_says("+named\r\n");
    peer_listen(4);
    start_link(resolver);
    AWAIT(talk.replies == 1);
    assert_int_equal(talk.lost, 0);
    close(refusing);
    close_resolver(resolver);
}

static void name_whose_addresses_all_refuse(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service.ipv4[0] = "127.0.0.2";
    name_service.ipv4[1] = "127.0.0.1";
    name_service.ipv6[0] = "::1";
    start_link(resolver);
    AWAIT(talk.lost == 1);
    assert_string_equal(talk.reasons[0], strerror(ECONNREFUSED));
    close_resolver(resolver);
}

static void name_that_is_unknown(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service.code = EAI_NONAME;
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    start_link(resolver);
    AWAIT(talk.lost >= 3);
    assert_string_equal(talk.reasons[0], gai_strerror(EAI_NONAME));
    assert_string_equal(talk.reasons[2], gai_strerror(EAI_NONAME));
    assert_true(asked() >= 3);
    close_resolver(resolver);
}

/* A name server that ignores questions for IPv6. Within the time that connecting may take. */
static void name_server_that_drops_one_family(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service.ipv4[0] = "127.0.0.1";
    name_service.only_family = AF_INET;
    peer_listen(4);
    int64_t begun_ms = clock_ms();
    start_link(resolver);
    AWAIT(talk.connected == 1);
    print_message("connected after %lld ms\n", (long long)(clock_ms() - begun_ms));
    assert_int_equal(talk.lost, 0);
    close_resolver(resolver);
}

/* The look-up may take longer than connecting. */
static void slow_look_up(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service_hold("");
    name_service.ipv4[0] = "127.0.0.1";
    settings.connect_timeout_ms = 50;
    peer_listen(4);
    start_link(resolver);
    ev_run(loop, EVRUN_ONCE);
    name_service_await_held(1);
    ev_sleep(0.2);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(talk.lost, 0);
    name_service_hold(NULL);
    AWAIT(talk.connected == 1);
    close_resolver(resolver);
}

/* The answer that comes after the attempt was given up is for the next one. */
static void look_up_timeout(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service_hold("");
    name_service.ipv4[0] = "127.0.0.1";
    settings.connect_timeout_ms = 2;
    peer_listen(4);
    start_link(resolver);
    ev_run(loop, EVRUN_ONCE);
    name_service_await_held(1);
    AWAIT(talk.lost > 0);
    assert_string_equal(talk.reasons[0], "look-up timeout");
    name_service_hold(NULL);
    name_service_await_idle();
    settings.connect_timeout_ms = NEVER_MS;
    conversation.wake_ms = 0;
    redis_link_pump(redis_link);
    AWAIT(talk.connected == 1);
    assert_int_equal(talk.lost, 1);
    AWAIT(peer.accepted == 1);
    close_resolver(resolver);
}

/* Connects once, so that there is an address that works; then the name service is silent. */
static struct resolver *connect_and_lose_dns(void)
{
    struct resolver *resolver = open_resolver();

    name_service.ipv4[0] = "127.0.0.1";
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    talk.commands = 1;
    peer_says("+named\r\n");
    peer.closes = true;
    peer_listen(4);
    start_link(resolver);
    AWAIT(talk.replies == 1);
    name_service_hold("");
    return resolver;
}

static void last_address_where_nobody_answers(void **state)
{
    struct resolver *resolver = connect_and_lose_dns();

    (void)state;
    AWAIT(talk.connected == 3);
    close_resolver(resolver);
}

/* A probe is aimed at another node: what the former one's address says would be taken for its word. */
static void not_the_address_of_another_name(void **state)
{
    struct resolver *resolver = connect_and_lose_dns();

    (void)state;
    AWAIT(talk.lost == 1);
    addr.name = "other.test";
    unsigned before = talk.connected;
    settings.connect_timeout_ms = 20;
    AWAIT(talk.lost >= 3);
    assert_int_equal(talk.connected, before);
    close_resolver(resolver);
}

static void destroyed_while_looking_up(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service_hold("");
    start_link(resolver);
    ev_run(loop, EVRUN_ONCE);
    name_service_await_held(1);
    close_resolver(resolver);
    assert_int_equal(talk.lost, 0);
}

/* Likewise where it is aimed while the connection to the former one is being made. */
static void not_the_address_of_the_attempt_before(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    name_service.ipv4[0] = "127.0.0.1";
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    talk.commands = 1;
    peer_says("+named\r\n");
    peer.closes = true;
    peer_listen(4);
    name_service_hold("");
    start_link(resolver);
    ev_run(loop, EVRUN_ONCE);
    name_service_await_held(1);
    addr.name = "other.test";
    name_service_hold(NULL);
    AWAIT(talk.connected == 1);
    name_service_hold("");
    settings.connect_timeout_ms = 20;
    AWAIT(talk.lost >= 3);
    assert_int_equal(talk.connected, 1);
    close_resolver(resolver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(name_of_two_addresses),
        TEST(name_whose_addresses_all_refuse),
        TEST(name_that_is_unknown),
        TEST(name_server_that_drops_one_family),
        TEST(slow_look_up),
        TEST(look_up_timeout),
        TEST(destroyed_while_looking_up),
        TEST(last_address_where_nobody_answers),
        TEST(not_the_address_of_another_name),
        TEST(not_the_address_of_the_attempt_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
