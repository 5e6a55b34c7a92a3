/* The listeners of two protocols through changes of the configuration, on real sockets. */
#include "spoa/core/base/metrics.h"
#include "spoa/io/net/listeners.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spoa/io/net/socket_activation.h"
#include "spoa/io/net/socket_addr.h"
#include "tests/lib/log_capture.h"

#define ADDRESSES_MAX 4
#define TURNS 20

/* What a protocol was given, and whether it has no memory for more. */
struct taker {
    unsigned count;
    bool is_full;
};

/* A configuration with its lists. */
struct file {
    struct config_agent agent;
    struct config_listen listens[ADDRESSES_MAX];
    struct config_listen web[ADDRESSES_MAX];
};

#define NO_FILE                                                                                              \
    {                                                                                                        \
        .agent = {.user = NULL }                                                                             \
    }

static struct ev_loop *loop;
static struct metrics metrics;
static const struct acceptor_rules rules = {.metrics = &metrics};
static struct taker spop;
static struct taker http;
static struct listeners_row rows[2];
static struct listeners *listeners;
static char error[LISTEN_SOCKET_ERROR_MAX];

static bool take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct taker *taker = context;

    assert_true(peer->len >= sizeof(sa_family_t) && peer->len <= sizeof(peer->addr));
    if (taker->is_full)
        return false;
    taker->count++;
    close(fd);
    return true;
}

static int set_up(void **state)
{
    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    error[0] = '\0';
    spop = http = (struct taker){.count = 0};
    rows[0] = (struct listeners_row){"listen", offsetof(struct config_agent, listens), {"spop", take, &spop}};
    rows[1] = (struct listeners_row){"http", offsetof(struct config_agent, web), {"http", take, &http}};
    loop = ev_loop_new(EVFLAG_AUTO);
    listeners = listeners_create(loop, rows, 2, &rules);
    return loop == NULL || listeners == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    listeners_destroy(listeners);
    ev_loop_destroy(loop);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

/* A port that is free on all addresses. */
static uint16_t free_port(void)
{
    const struct addr any = {.kind = ADDR_IPV4, .host = "0.0.0.0"};
    const struct listen_socket_options options = {.addr = &any, .mode = -1, .owner = "", .group = ""};
    struct listen_socket probe;

    assert_int_equal(listen_socket_open(&options, &probe, error), 0);
    uint16_t port = probe.addr.port;
    listen_socket_close(&probe);
    return port;
}

static struct addr addr_of(const char *host, uint16_t port)
{
    char text[64];
    struct addr addr;

    (void)snprintf(text, sizeof(text), "%s:%u", host, port != 0 ? port : 1U);
    assert_true(addr_parse(span_of_text(text), &addr));
    addr.port = port;
    return addr;
}

static void add(struct config_listens *listens, struct config_listen *list, struct addr addr)
{
    assert_true(listens->count < ADDRESSES_MAX);
    list[listens->count++] = (struct config_listen){.addr = addr, .mode = -1};
    listens->list = list;
}

/* Adds an address for SPOP, or for HTTP. */
static void add_listen(struct file *file, const char *host, uint16_t port)
{
    add(&file->agent.listens, file->listens, addr_of(host, port));
}

static void add_web(struct file *file, const char *host, uint16_t port)
{
    add(&file->agent.web, file->web, addr_of(host, port));
}

static void start_with(const struct file *file)
{
    assert_int_equal(listeners_open(listeners, NULL, &file->agent, error), 0);
    listeners_settle(listeners, &file->agent);
}

static bool opens(const struct file *running, const struct file *next)
{
    return listeners_open(listeners, &running->agent, &next->agent, error) == 0;
}

static bool connects_to(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len;

    assert_true(socket_addr_from(addr, &storage, &len));
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    bool is_connected = connect(fd, (const struct sockaddr *)&storage, len) == 0;
    close(fd);
    return is_connected;
}

static bool connects(const char *host, uint16_t port)
{
    struct addr addr = addr_of(host, port);

    return connects_to(&addr);
}

static void run_loop(void)
{
    for (int i = 0; i < TURNS; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* Who takes a connection: "spop", "http", "queue" if nobody does yet, or "" if it is refused. */
static const char *who_takes_at(const struct addr *addr)
{
    run_loop(); /* takes what has waited in a queue */
    unsigned spop_before = spop.count;
    unsigned http_before = http.count;

    if (!connects_to(addr))
        return "";
    for (int i = 0; i < TURNS && spop.count == spop_before && http.count == http_before; i++)
        ev_run(loop, EVRUN_NOWAIT);
    if (spop.count + http.count == spop_before + http_before)
        return "queue";
    assert_int_equal(spop.count + http.count, spop_before + http_before + 1);
    return spop.count > spop_before ? "spop" : "http";
}

static const char *who_takes(const char *host, uint16_t port)
{
    struct addr addr = addr_of(host, port);

    return who_takes_at(&addr);
}

/* The address of the listener that was opened last, as bound. */
static struct addr opened_last(void)
{
    const char *key = "address=";
    const char *text = strstr(log_capture_last("listening"), key);
    struct addr addr;

    assert_non_null(text);
    assert_true(addr_parse(span_of_text(text + strlen(key)), &addr));
    return addr;
}

static void addresses_come_and_go(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    add_web(&old, "127.0.0.2", port);
    add_listen(&new, "127.0.0.1", port);
    add_listen(&new, "127.0.0.3", port);
    start_with(&old);
    assert_true(opens(&old, &new));
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_string_equal(who_takes("127.0.0.2", port), "http");  /* those of both */
    assert_string_equal(who_takes("127.0.0.3", port), "queue"); /* the rules for it are not in force yet */
    listeners_settle(listeners, &new.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_string_equal(who_takes("127.0.0.2", port), "");
    assert_string_equal(who_takes("127.0.0.3", port), "spop");
    assert_int_equal(log_capture_count("listening"), 3);
    assert_int_equal(log_capture_count("not-listening"), 1);
}

/* One cannot be opened: what the running configuration has is what is open. */
static void abandoned(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;
    struct addr taken = addr_of("127.0.0.3", port);
    const struct listen_socket_options options = {.addr = &taken, .mode = -1, .owner = "", .group = ""};
    struct listen_socket other;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    add_listen(&new, "127.0.0.2", port);
    add_web(&new, "127.0.0.3", port);
    start_with(&old);
    assert_int_equal(listen_socket_open(&options, &other, error), 0);
    assert_false(opens(&old, &new));
    assert_non_null(strstr(error, "cannot bind to 127.0.0.3:"));
    assert_non_null(strstr(error, "Address already in use"));
    assert_string_equal(who_takes("127.0.0.2", port), "queue");
    unsigned before = spop.count;
    listeners_settle(listeners, &old.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_string_equal(who_takes("127.0.0.2", port), "");
    assert_int_equal(spop.count, before + 1); /* the connection in its queue was not taken */
    assert_int_equal(log_capture_count("not-listening"), 0);
    listen_socket_close(&other);
}

/* The sockets are not closed in between: what waited in their queues is taken, by the new protocol. */
static void protocols_change_places(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    add_web(&old, "127.0.0.2", port);
    add_listen(&new, "127.0.0.2", port);
    add_web(&new, "127.0.0.1", port);
    start_with(&old);
    assert_true(opens(&old, &new));
    assert_string_equal(who_takes("127.0.0.1", port), "spop"); /* not yet */
    assert_true(connects("127.0.0.1", port));
    listeners_settle(listeners, &new.agent);
    for (int i = 0; i < TURNS && http.count == 0; i++)
        ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(http.count, 1);
    assert_string_equal(who_takes("127.0.0.1", port), "http");
    assert_string_equal(who_takes("127.0.0.2", port), "spop");
    assert_int_equal(log_capture_count("listening"), 4);
    assert_int_equal(log_capture_count("not-listening"), 2);
}

static void from_one_address_to_all(void **state)
{
    uint16_t port = free_port();
    struct file one = NO_FILE;
    struct file all = NO_FILE;

    (void)state;
    add_listen(&one, "127.0.0.1", port);
    add_web(&all, "0.0.0.0", port);
    start_with(&one);
    assert_true(opens(&one, &all));
    assert_string_equal(who_takes("127.0.0.1", port), "spop"); /* as before */
    assert_string_equal(who_takes("127.0.0.2", port), "queue");
    assert_true(connects("127.0.0.1", port)); /* waits in the queue of the first socket */
    listeners_settle(listeners, &all.agent);
    run_loop();
    assert_int_equal(http.count, 2);
    assert_string_equal(who_takes("127.0.0.1", port), "http");
    assert_string_equal(who_takes("127.0.0.2", port), "http");
    assert_true(opens(&all, &one)); /* and back: the first socket is still there */
    listeners_settle(listeners, &one.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_string_equal(who_takes("127.0.0.2", port), "");
}

static void from_all_addresses_to_one(void **state)
{
    uint16_t port = free_port();
    struct file one = NO_FILE;
    struct file all = NO_FILE;

    (void)state;
    add_listen(&all, "0.0.0.0", port);
    add_web(&one, "127.0.0.1", port);
    start_with(&all);
    assert_true(opens(&all, &one));
    assert_string_equal(who_takes("127.0.0.1", port),
                        "spop"); /* as before, though another socket is nearer */
    assert_string_equal(who_takes("127.0.0.2", port), "spop");
    assert_true(connects("127.0.0.2", port)); /* waits in the queue of the socket that goes */
    unsigned before = spop.count;
    listeners_settle(listeners, &one.agent);
    assert_int_equal(spop.count, before + 1);
    assert_string_equal(who_takes("127.0.0.1", port), "http");
    assert_string_equal(who_takes("127.0.0.2", port), "");
}

/* The socket of the first stays open, as a part of the second. */
static void from_one_family_to_the_other(void **state)
{
    uint16_t port = free_port();
    struct file four = NO_FILE;
    struct file six = NO_FILE;

    (void)state;
    add_listen(&four, "0.0.0.0", port);
    add_web(&six, "[::]", port);
    start_with(&four);
    assert_true(opens(&four, &six));
    assert_string_equal(who_takes("127.0.0.1", port), "spop"); /* as before */
    listeners_settle(listeners, &six.agent);
    assert_int_equal(log_capture_count("not-listening"), 1);
    assert_string_equal(who_takes("[::1]", port), "http");
}

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

/* At the start, and also where a reload would find both open. */
static void overlapping_addresses(void **state)
{
    uint16_t port = free_port();
    struct file one = NO_FILE;
    struct file all = NO_FILE;
    struct file both = NO_FILE;
    struct file twice = NO_FILE;
    char expected[LISTEN_SOCKET_ERROR_MAX];

    (void)state;
    add_listen(&one, "127.0.0.1", port);
    add_listen(&all, "0.0.0.0", port);
    add_listen(&both, "127.0.0.1", port);
    add_listen(&both, "0.0.0.0", port);
    add_listen(&twice, "127.0.0.1", port);
    add_web(&twice, "127.0.0.1", port);
    assert_int_equal(listeners_open(listeners, NULL, &both.agent, error), -1);
    start_with(&one);
    assert_true(opens(&one, &all));
    listeners_settle(listeners, &all.agent);
    assert_false(opens(&all, &both));
    (void)snprintf(expected, sizeof(expected),
                   "'listen = 0.0.0.0:%u' beside 'listen = 127.0.0.1:%u': Address already in use", port,
                   port);
    assert_string_equal(error, expected);
    assert_false(opens(&all, &twice));
    (void)snprintf(expected, sizeof(expected),
                   "'http = 127.0.0.1:%u' beside 'listen = 127.0.0.1:%u': Address already in use", port,
                   port);
    assert_string_equal(error, expected);
}

/*
 * An address that is listed twice for one protocol is opened once. Port 0 is another one for each protocol,
 * and stays what the kernel chose, also where the file says its number later.
 */
static void port_zero(void **state)
{
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", 0);
    add_listen(&old, "127.0.0.1", 0);
    add_web(&old, "127.0.0.1", 0);
    start_with(&old);
    struct addr web = opened_last();
    assert_int_equal(log_capture_count("listening"), 2);
    assert_string_equal(who_takes_at(&web), "http");
    add_listen(&new, "127.0.0.1", 0);
    add_web(&new, "127.0.0.1", web.port);
    assert_true(opens(&old, &new));
    listeners_settle(listeners, &new.agent);
    assert_true(opens(&new, &old));
    listeners_settle(listeners, &old.agent);
    assert_int_equal(log_capture_count("listening"), 2);
    assert_int_equal(log_capture_count("not-listening"), 0);
    assert_string_equal(who_takes_at(&web), "http");
}

static void one_protocol_ends(void **state)
{
    uint16_t port = free_port();
    struct file file = NO_FILE;

    (void)state;
    add_listen(&file, "127.0.0.1", port);
    add_listen(&file, "127.0.0.2", port);
    add_web(&file, "127.0.0.3", port);
    start_with(&file);
    listeners_close(listeners, &rows[0].protocol);
    assert_string_equal(who_takes("127.0.0.1", port), "");
    assert_string_equal(who_takes("127.0.0.2", port), "");
    assert_string_equal(who_takes("127.0.0.3", port), "http");
}

/* A socket whose connections nobody has memory for can be closed: it does not try for ever. */
static void out_of_memory(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    const struct file none = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    start_with(&old);
    spop.is_full = true;
    assert_true(connects("127.0.0.1", port));
    assert_true(connects("127.0.0.1", port));
    listeners_settle(listeners, &none.agent);
    assert_int_equal(log_capture_count("accept-failed"), 1);
    assert_false(connects("127.0.0.1", port));
}

/* A UNIX socket changes its protocol, too, but not its rights: that is said once a key. */
static void rights(void **state)
{
    char directory[] = "/tmp/listeners-XXXXXX";
    char text[64];
    struct addr addr;
    struct file old = NO_FILE;
    struct file new = NO_FILE;
    const struct file none = NO_FILE;

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(text, sizeof(text), "unix:%s/socket", directory);
    assert_true(addr_parse(span_of_text(text), &addr));
    add(&old.agent.listens, old.listens, addr);
    add(&new.agent.web, new.web, addr);
    start_with(&old);
    listeners_tell_rights(listeners, &old.agent, &new.agent);
    assert_int_equal(log_capture_count("restart-needed"), 0);
    new.web[0].mode = 0660;
    listeners_tell_rights(listeners, &old.agent, &new.agent);
    assert_string_equal(log_capture_last("restart-needed"), "warning restart-needed key=http");
    (void)snprintf(old.listens[0].group, sizeof(old.listens[0].group), "a-group");
    new.web[0].mode = -1;
    listeners_tell_rights(listeners, &old.agent, &new.agent);
    assert_int_equal(log_capture_count("restart-needed"), 2);
    assert_true(opens(&old, &new));
    listeners_settle(listeners, &new.agent);
    assert_string_equal(who_takes_at(&addr), "http");
    listeners_settle(listeners, &none.agent);
    assert_int_equal(rmdir(directory), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_come_and_go),
        TEST(abandoned),
        TEST(protocols_change_places),
        TEST(from_one_address_to_all),
        TEST(from_all_addresses_to_one),
        TEST(from_one_family_to_the_other),
        TEST(each_family_has_its_listener),
        TEST(changes_between_families),
        TEST(passed_sockets),
        TEST(one_ipv4_address_beside_all),
        TEST(overlapping_addresses),
        TEST(port_zero),
        TEST(one_protocol_ends),
        TEST(out_of_memory),
        TEST(rights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
