/* The listeners at [::] and 0.0.0.0 on one port, through changes of the configuration, on real sockets. */
#include "spoa/io/net/socket_activation.h"
#include "tests/unit/io/net/listeners_fixture.h"

/* A file with the addresses of both families on one port: the protocol of each, NULL where it is not listed. */
struct families {
    const char *all_ipv6; /* [::] */
    const char *all_ipv4; /* 0.0.0.0 */
    const char *one_ipv4; /* 127.0.0.1 */
};

static const struct families families[] = {
    {.all_ipv6 = "spop"},
    {.all_ipv6 = "http"},
    {.all_ipv4 = "spop"},
    {.all_ipv4 = "http"},
    {.one_ipv4 = "spop"},
    {.all_ipv6 = "spop", .all_ipv4 = "spop"},
    {.all_ipv6 = "http", .all_ipv4 = "spop"},
    {.all_ipv6 = "spop", .all_ipv4 = "http"},
};
#define FAMILIES (sizeof(families) / sizeof(*families))

static void add_family(struct file *file, const char *protocol, const char *host, uint16_t port)
{
    if (protocol == NULL)
        return;
    if (strcmp(protocol, "spop") == 0)
        add_listen(file, host, port);
    else
        add_web(file, host, port);
}

static void add_families(struct file *file, const struct families *wanted, uint16_t port)
{
    add_family(file, wanted->all_ipv4, "0.0.0.0", port);
    add_family(file, wanted->all_ipv6, "[::]", port);
    add_family(file, wanted->one_ipv4, "127.0.0.1", port);
}

/* Who is to take a connection to this host; "" if nobody. */
static const char *wanted_at(const struct families *wanted, const char *host)
{
    bool is_ipv6 = host[0] == '[';
    const char *taker = is_ipv6 ? wanted->all_ipv6 : wanted->all_ipv4;

    if (taker == NULL && !is_ipv6)
        taker = wanted->all_ipv6; /* [::] without 0.0.0.0 is for both */
    if (taker == NULL && strcmp(host, "127.0.0.1") == 0)
        taker = wanted->one_ipv4;
    return taker != NULL ? taker : "";
}

static const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "[::1]"};

/* Who takes connections once this file is in force. */
static void check_families(const struct families *wanted, uint16_t port)
{
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        assert_string_equal(who_takes(hosts[i], port), wanted_at(wanted, hosts[i]));
}

static void each_family_has_its_listener(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAMILIES; i++) {
        uint16_t port = free_port();
        struct file file = NO_FILE;
        struct file none = NO_FILE;
        log_capture_clear(); /* it has no room for all */
        add_families(&file, &families[i], port);
        start_with(&file);
        check_families(&families[i], port);
        listeners_settle(listeners, &none.agent);
    }
}

/* Every change from one of these files to another, and back: nobody who was served is refused meanwhile. */
static void changes_between_families(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAMILIES * FAMILIES; i++) {
        const struct families *before = &families[i / FAMILIES];
        const struct families *after = &families[i % FAMILIES];
        uint16_t port = free_port();
        struct file old = NO_FILE;
        struct file new = NO_FILE;
        struct file none = NO_FILE;
        log_capture_clear(); /* it has no room for all */
        add_families(&old, before, port);
        add_families(&new, after, port);
        start_with(&old);
        assert_true(opens(&old, &new));
        for (size_t k = 0; k < sizeof(hosts) / sizeof(*hosts); k++)
            if (wanted_at(before, hosts[k])[0] != '\0')
                assert_string_equal(who_takes(hosts[k], port), wanted_at(before, hosts[k]));
        listeners_settle(listeners, &new.agent);
        check_families(after, port);
        assert_true(opens(&new, &old));
        listeners_settle(listeners, &old.agent);
        check_families(before, port);
        listeners_settle(listeners, &none.agent);
    }
}

/* A socket at [::] that is open already, as the service manager's or another agent's. Returns its port. */
static uint16_t pass_socket(bool is_ipv6_only, bool is_managed)
{
    const struct addr any = addr_of("[::]", 0);
    const struct listen_socket_options options = {
        .addr = &any, .mode = -1, .owner = "", .group = "", .is_ipv6_only = is_ipv6_only};
    struct listen_socket passed;

    assert_int_equal(listen_socket_open(&options, &passed, error), 0);
    assert_int_equal(passed.is_ipv6_only, is_ipv6_only);
    assert_true(socket_activation_add(passed.fd, is_managed));
    return passed.addr.port;
}

static void check_passed(bool is_ipv6_only, bool is_managed, const struct families *wanted,
                         const char *at_ipv4)
{
    uint16_t port = pass_socket(is_ipv6_only, is_managed);
    struct file file = NO_FILE;
    struct file none = NO_FILE;

    add_families(&file, wanted, port);
    start_with(&file);
    socket_activation_drop();
    assert_string_equal(who_takes("[::1]", port), wanted->all_ipv6);
    assert_string_equal(who_takes("127.0.0.1", port), at_ipv4);
    listeners_settle(listeners, &none.agent);
}

/* They are taken as they are: the service manager's unit says which families they take. */
static void passed_sockets(void **state)
{
    const struct families six = {.all_ipv6 = "spop"};
    const struct families both = {.all_ipv6 = "spop", .all_ipv4 = "spop"};
    const struct families apart = {.all_ipv6 = "spop", .all_ipv4 = "http"};

    (void)state;
    check_passed(false, true, &six, "spop");
    check_passed(false, true, &both, "spop");
    check_passed(true, true, &both, "spop");
    check_passed(true, true, &apart, "http");
    check_passed(true, true, &six, ""); /* BindIPv6Only=ipv6-only */
    /* Another agent's, after a reload there had taken 0.0.0.0 away: what is in the file is open here. */
    check_passed(true, false, &six, "spop");
}

/* What cannot be opened is a reason to fail, whichever part of [::] it is. */
static void another_process_has_one_family(void **state)
{
    static const char *const hosts_of_others[] = {"[::]", "0.0.0.0"};
    char expected[64];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint16_t port = i == 0 ? free_port() : pass_socket(true, false);
        const struct addr addr = addr_of(hosts_of_others[i], port);
        const struct listen_socket_options options = {
            .addr = &addr, .mode = -1, .owner = "", .group = "", .is_ipv6_only = true};
        struct listen_socket other;
        struct file file = NO_FILE;
        struct file none = NO_FILE;
        assert_int_equal(listen_socket_open(&options, &other, error), 0);
        add_listen(&file, "[::]", port);
        assert_int_equal(listeners_open(listeners, NULL, &file.agent, error), -1);
        (void)snprintf(expected, sizeof(expected), "cannot bind to %s:%u: ", hosts_of_others[i],
                       (unsigned)port);
        assert_memory_equal(error, expected, strlen(expected));
        listeners_settle(listeners, &none.agent);
        listen_socket_close(&other);
    }
}

static void one_ipv4_address_beside_all(void **state)
{
    uint16_t port = free_port();
    struct file both = NO_FILE;
    char expected[LISTEN_SOCKET_ERROR_MAX];

    (void)state;
    add_listen(&both, "[::]", port);
    add_web(&both, "127.0.0.1", port);
    assert_int_equal(listeners_open(listeners, NULL, &both.agent, error), -1);
    (void)snprintf(
        expected, sizeof(expected),
        "'http = 127.0.0.1:%u' beside 'listen = [::]:%u': Address already in use: [::] takes IPv4, too",
        (unsigned)port, (unsigned)port);
    assert_string_equal(error, expected);
}

/* How often it is told that a socket listens, once that at [::] is open for both families and `next` follows. */
static size_t count_more(uint16_t port, const struct file *next)
{
    struct file six = NO_FILE;
    struct file none = NO_FILE;

    log_capture_clear();
    add_listen(&six, "[::]", port);
    start_with(&six);
    assert_true(opens(&six, next));
    listeners_settle(listeners, &next->agent);
    size_t count = log_capture_count("listening") - 1;
    assert_string_equal(who_takes("127.0.0.1", port), next->agent.web.count == 0 ? "spop" : "http");
    listeners_settle(listeners, &none.agent);
    return count;
}

/* One socket is enough where both addresses ask the same of their peers. */
static void one_socket_for_both_families(void **state)
{
    uint16_t port = free_port();
    char secret[] = "secret";
    struct file alike = NO_FILE;
    struct file other_token = NO_FILE;
    struct file other_protocol = NO_FILE;
    struct file only_ipv4 = NO_FILE;

    (void)state;
    add_listen(&alike, "[::]", port);
    add_listen(&alike, "0.0.0.0", port);
    assert_int_equal(count_more(port, &alike), 0);
    add_listen(&other_token, "[::]", port);
    add_listen(&other_token, "0.0.0.0", port);
    other_token.listens[1].token.password = secret;
    spop.token = NULL;
    assert_int_equal(count_more(port, &other_token), 1);
    assert_ptr_equal(spop.token, secret);
    add_listen(&other_protocol, "[::]", port);
    add_web(&other_protocol, "0.0.0.0", port);
    assert_int_equal(count_more(port, &other_protocol), 2); /* by the rules of [::] until it is handed over */
    add_listen(&only_ipv4, "0.0.0.0", port);
    assert_int_equal(count_more(port, &only_ipv4), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_family_has_its_listener),
        TEST(changes_between_families),
        TEST(passed_sockets),
        TEST(another_process_has_one_family),
        TEST(one_ipv4_address_beside_all),
        TEST(one_socket_for_both_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
