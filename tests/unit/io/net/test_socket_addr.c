/* Addresses of the socket calls and ours, there and back. */
#include "spoa/io/net/socket_addr.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
    struct addr addr;

    if (!addr_parse(span_of_text(text), &addr))
        fail_msg("%s is refused", text);
    return addr;
}

static void there_and_back(void **state)
{
    static const char *const texts[] = {"10.0.0.1:6379", "[2001:db8::1]:65535", "[::]:1", "0.0.0.0:9012"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct addr addr = addr_of(texts[i]);
        struct sockaddr_storage storage;
        socklen_t len;
        struct addr back;
        char text[ADDR_TEXT_MAX];
        assert_true(socket_addr_from(&addr, &storage, &len));
        assert_true(socket_addr_to(&storage, &back));
        assert_true(addr_equals(&addr, &back));
        assert_string_equal(addr_format(&back, text), texts[i]);
    }
}

/* So a peer looks that reaches [::] by IPv4. */
static void mapped_ipv4_is_ipv4(void **state)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6,
                                  .sin6_port = htons(4711),
                                  .sin6_addr = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3}}}};
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    struct addr expected = addr_of("10.1.2.3:4711");
    struct addr addr;
    char text[ADDR_TEXT_MAX];

    (void)state;
    memcpy(&storage, &mapped, sizeof(mapped));
    assert_true(socket_addr_to(&storage, &addr));
    assert_true(addr_equals(&addr, &expected));
    assert_string_equal(addr_format(&addr, text), "10.1.2.3:4711");
}

static void other_families(void **state)
{
    const struct sockaddr_storage local = {.ss_family = AF_UNIX};
    struct addr name = addr_of("redis.example.org:6379");
    struct sockaddr_storage storage;
    socklen_t len;
    struct addr addr;

    (void)state;
    assert_false(socket_addr_to(&local, &addr));
    assert_false(socket_addr_from(&name, &storage, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(mapped_ipv4_is_ipv4),
        cmocka_unit_test(other_families),
    };

    return cmocka_run_group_tests_name("socket_addr", tests, NULL, NULL);
}
