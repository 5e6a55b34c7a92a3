/* The link to a peer that has a name: looked up for every attempt, its addresses by turns. */
#include "tests/unit/io/redis/redis_link_fixture.h"

#include <errno.h>

#include "tests/unit/io/net/dns_peer.h"

static struct resolver *open_resolver(void)
{
    assert_true(dns_peer_open(loop));
    struct resolver *resolver = resolver_create(loop);
    assert_non_null(resolver);
    addr.kind = ADDR_NAME;
    snprintf(addr.host, sizeof(addr.host), "sentinel.test");
    return resolver;
}

/* The link first: it may have a query open. */
static void close_resolver(struct resolver *resolver)
{
    redis_link_destroy(redis_link);
    redis_link = NULL;
    resolver_destroy(resolver);
    dns_peer_close(loop);
}

static void name_of_two_addresses(void **state)
{
    uint16_t port = 0;
    struct resolver *resolver = open_resolver();

    (void)state;
    /* The first address refuses: bound, not listening. */
    int refusing = peer.accepting.fd;
    ev_io_set(&peer.accepting, bind_loopback("127.0.0.2", addr.port, &port), EV_READ);
    dns_peer.ipv4[0] = "127.0.0.2";
    dns_peer.ipv4[1] = "127.0.0.1";
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    talk.commands = 1;
    peer_says("+named\r\n");
    peer_listen(4);
    start_link(resolver);
    AWAIT(talk.replies == 1);
    assert_int_equal(talk.lost, 1);
    assert_string_equal(talk.reasons[0], strerror(ECONNREFUSED));
    /* Looked up anew, A and AAAA each time. */
    assert_true(dns_peer.queries >= 4); /* on a slow machine it asks again */
    close(refusing);
    close_resolver(resolver);
}

static void name_that_is_unknown(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    dns_peer.rcode = 3;
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    start_link(resolver);
    AWAIT(talk.lost >= 3);
    assert_non_null(strstr(talk.reasons[0], "not found"));
    assert_non_null(strstr(talk.reasons[2], "not found"));
    close_resolver(resolver);
}

/* Refused by c-ares before the look-up returns: `stepped` is called once for it all the same. */
static void name_that_is_impossible(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    snprintf(addr.host, sizeof(addr.host), "a..b");
    start_link(resolver);
    AWAIT(talk.lost > 0);
    assert_int_equal(talk.lost, 1);
    assert_int_equal(talk.stepped, 1);
    close_resolver(resolver);
}

/* The answer that comes after the attempt was given up is for nobody. */
static void look_up_timeout(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    dns_peer.is_holding = true;
    dns_peer.ipv4[0] = "127.0.0.1";
    settings.connect_timeout_ms = 5;
    peer_listen(4);
    start_link(resolver);
    AWAIT(talk.lost > 0 && dns_peer.held_count > 0);
    assert_string_equal(talk.reasons[0], "connect timeout");
    dns_peer_release();
    unsigned before = dns_peer.queries;
    settings.connect_timeout_ms = NEVER_MS;
    conversation.wake_ms = 0;
    redis_link_pump(redis_link);
    AWAIT(talk.connected == 1);
    assert_true(dns_peer.queries > before);
    assert_int_equal(talk.lost, 1);
    AWAIT(peer.accepted == 1);
    close_resolver(resolver);
}

/* Connects once, so that there is an address that works; then no name server answers any more. */
static struct resolver *connect_and_lose_dns(void)
{
    struct resolver *resolver = open_resolver();

    dns_peer.ipv4[0] = "127.0.0.1";
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    talk.commands = 1;
    peer_says("+named\r\n");
    peer.closes = true;
    peer_listen(4);
    start_link(resolver);
    AWAIT(talk.replies == 1);
    dns_peer.is_holding = true;
    return resolver;
}

static void last_address_where_nobody_answers(void **state)
{
    struct resolver *resolver = connect_and_lose_dns();

    (void)state;
    AWAIT(talk.connected == 3);
    assert_true(dns_peer.held_count > 0);
    close_resolver(resolver);
}

/* A probe is aimed at another node: what the former one's address says would be taken for its word. */
static void not_the_address_of_another_name(void **state)
{
    struct resolver *resolver = connect_and_lose_dns();
    unsigned before = 0;

    (void)state;
    AWAIT(talk.lost == 1);
    snprintf(addr.host, sizeof(addr.host), "other.test");
    before = talk.connected;
    AWAIT(talk.lost >= 3);
    assert_int_equal(talk.connected, before);
    close_resolver(resolver);
}

static void destroyed_while_looking_up(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    dns_peer.is_holding = true;
    start_link(resolver);
    AWAIT(dns_peer.held_count > 0);
    close_resolver(resolver);
    assert_int_equal(talk.lost, 0);
}

/* Likewise where it is aimed while the connection to the former one is being made. */
static void not_the_address_of_the_attempt_before(void **state)
{
    struct resolver *resolver = open_resolver();

    (void)state;
    dns_peer.ipv4[0] = "127.0.0.1";
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    talk.commands = 1;
    peer_says("+named\r\n");
    peer.closes = true;
    peer_listen(4);
    dns_peer.is_holding = true;
    start_link(resolver);
    AWAIT(dns_peer.held_count > 0);
    snprintf(addr.host, sizeof(addr.host), "other.test");
    dns_peer_release();
    AWAIT(talk.connected == 1);
    dns_peer.is_holding = true;
    AWAIT(talk.lost >= 3);
    assert_int_equal(talk.connected, 1);
    close_resolver(resolver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(name_of_two_addresses),           TEST(name_that_is_unknown),
        TEST(name_that_is_impossible),         TEST(look_up_timeout),
        TEST(destroyed_while_looking_up),      TEST(last_address_where_nobody_answers),
        TEST(not_the_address_of_another_name), TEST(not_the_address_of_the_attempt_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
