/* The listeners of two protocols through changes of the configuration, on real sockets. */
#include "tests/unit/io/net/listeners_fixture.h"

#include "proto/network.h"
#include "spoa/io/net/socket_activation.h"

#include <sys/stat.h>

#define NOBODY 65534

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

/* Gives the address that was added last its own `allow`. */
static void allow(struct config_listens *listens, const char *text)
{
    static struct network networks[8];
    static size_t count;
    struct network *network = &networks[count++ % 8];

    assert_int_equal(network_parse(span_of_text(text), network), NETWORK_OK);
    listens->list[listens->count - 1].allowed = (struct config_networks){.list = network, .count = 1};
}

/* Each address has its own, or that of all. HTTP is also for the own host, limited. */
static void networks_of_an_address(void **state)
{
    uint16_t port = free_port();
    struct network network;
    struct file file = NO_FILE;

    (void)state;
    rows[1].protocol.takes_limited = true;
    assert_int_equal(network_parse(span_of_text("10.0.0.0/8"), &network), NETWORK_OK);
    file.agent.allowed = (struct config_networks){.list = &network, .count = 1};
    add_listen(&file, "127.0.0.1", port);
    allow(&file.agent.listens, "127.0.0.0/8");
    add_listen(&file, "127.0.0.2", port);
    add_web(&file, "127.0.0.3", port);
    add_web(&file, "127.0.0.4", port);
    allow(&file.agent.web, "127.0.0.0/8");
    start_with(&file);
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_string_equal(who_takes("127.0.0.2", port), "queue"); /* was closed */
    assert_int_equal(log_capture_count("connection-refused"), 1);
    assert_string_equal(who_takes("127.0.0.3", port), "http");
    assert_int_equal(http.limited, 1);
    assert_string_equal(who_takes("127.0.0.4", port), "http");
    assert_int_equal(http.limited, 1);
}

/* What a reload changes, also where it changes nothing else. Until then all is as before. */
static void networks_change(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    allow(&old.agent.listens, "127.0.0.0/8");
    add_listen(&new, "127.0.0.1", port);
    allow(&new.agent.listens, "10.0.0.0/8");
    start_with(&old);
    assert_true(opens(&old, &new));
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    listeners_settle(listeners, &new.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "queue");
    listeners_settle(listeners, &old.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_int_equal(log_capture_count("not-listening"), 0);
}

/* A socket at [::] that takes IPv4 is not enough for 0.0.0.0 where that has other networks. */
static void networks_of_each_family(void **state)
{
    uint16_t port = free_port();
    struct file one = NO_FILE;
    struct file both = NO_FILE;

    (void)state;
    add_listen(&one, "[::]", port);
    allow(&one.agent.listens, "::1");
    add_listen(&both, "[::]", port);
    allow(&both.agent.listens, "::1");
    add_listen(&both, "0.0.0.0", port);
    allow(&both.agent.listens, "127.0.0.0/8");
    start_with(&one);
    assert_string_equal(who_takes("[::1]", port), "spop");
    assert_string_equal(who_takes("127.0.0.1", port), "queue");
    assert_true(opens(&one, &both));
    assert_string_equal(who_takes("127.0.0.1", port), "queue"); /* as before */
    listeners_settle(listeners, &both.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "spop");
    assert_string_equal(who_takes("[::1]", port), "spop");
    assert_true(opens(&both, &one));
    listeners_settle(listeners, &one.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "queue");
    assert_string_equal(who_takes("[::1]", port), "spop");
}

/* IPv4 at a socket of its own, where [::] is for IPv6 only: the networks are those of [::] from the start. */
static void networks_of_the_ipv4_part(void **state)
{
    uint16_t port = free_port();
    const struct addr any = addr_of("[::]", port);
    const struct listen_socket_options options = {
        .addr = &any, .mode = -1, .owner = "", .group = "", .is_ipv6_only = true};
    struct listen_socket passed;
    struct file file = NO_FILE;

    (void)state;
    assert_int_equal(listen_socket_open(&options, &passed, error), 0);
    assert_true(socket_activation_add(passed.fd, false));
    add_listen(&file, "[::]", port);
    allow(&file.agent.listens, "10.0.0.0/8");
    assert_int_equal(listeners_open(listeners, NULL, &file.agent, error), 0);
    assert_string_equal(who_takes("127.0.0.1", port), "queue");
    assert_int_equal(log_capture_count("connection-refused"), 1);
    socket_activation_drop();
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

struct search {
    struct addr addr;
    int shares;
    uid_t owner;
};

static struct stat status_of(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status;
}

static bool note_sharing(void *context, const struct listen_socket *listening)
{
    struct search *search = context;
    int value = 0;
    socklen_t len = sizeof(value);

    if (addr_equals(&listening->addr, &search->addr)) {
        assert_int_equal(getsockopt(listening->fd, SOL_SOCKET, SO_REUSEPORT, &value, &len), 0);
        search->shares = value != 0;
        search->owner = status_of(listening->fd).st_uid;
    }
    return true;
}

/* Whether the socket at this address shares its port with others; -1: there is none. */
static int shares_port(const struct addr *addr)
{
    struct search search = {.addr = *addr, .shares = -1};

    assert_true(listeners_lend(listeners, note_sharing, &search));
    listeners_own(listeners);
    return search.shares;
}

/* What is opened at the start is for the user that the process is going to be. Later it is that user already. */
static void user_of_the_sockets(void **state)
{
    uint16_t port = free_port();
    char nobody[] = "nobody";
    struct file old = NO_FILE;
    struct file new = NO_FILE;
    struct search first = {.addr = addr_of("127.0.0.1", port)};
    struct search second = {.addr = addr_of("127.0.0.2", port)};

    (void)state;
    if (geteuid() != 0)
        skip();
    old.agent.user = new.agent.user = nobody;
    add_listen(&old, "127.0.0.1", port);
    add_listen(&new, "127.0.0.1", port);
    add_listen(&new, "127.0.0.2", port);
    start_with(&old);
    assert_true(opens(&old, &new));
    assert_true(listeners_lend(listeners, note_sharing, &first));
    assert_true(listeners_lend(listeners, note_sharing, &second));
    listeners_own(listeners);
    assert_int_equal(first.owner, NOBODY);
    assert_int_equal(second.owner, 0);
}

/* Whoever shares a port lets other processes of its user have it, too: so that is only for the need. */
static void ports_are_shared_where_they_must_be(void **state)
{
    uint16_t port = free_port();
    const struct addr addrs[] = {addr_of("127.0.0.1", port), addr_of("127.0.0.2", port),
                                 addr_of("0.0.0.0", port)};
    struct file one = NO_FILE;
    struct file two = NO_FILE;
    struct file all = NO_FILE;

    (void)state;
    add_listen(&one, "127.0.0.1", port);
    add_listen(&two, "127.0.0.1", port);
    add_web(&two, "127.0.0.2", port);
    add_listen(&all, "0.0.0.0", port);
    start_with(&one);
    assert_int_equal(shares_port(&addrs[0]), 0);
    assert_true(opens(&one, &two));
    listeners_settle(listeners, &two.agent);
    assert_int_equal(shares_port(&addrs[0]), 0);
    assert_int_equal(shares_port(&addrs[1]), 0);
    assert_true(opens(&two, &all));
    listeners_settle(listeners, &all.agent);
    assert_int_equal(shares_port(&addrs[0]), 1);
    assert_int_equal(shares_port(&addrs[1]), 1);
    assert_int_equal(shares_port(&addrs[2]), 1);
}

/* A UNIX socket that goes has no part in it, although both are of port 0. */
static void a_port_of_the_kernel_is_not_shared(void **state)
{
    char directory[] = "/tmp/listeners-XXXXXX";
    char text[64];
    struct addr addr;
    struct file local = NO_FILE;
    struct file tcp = NO_FILE;

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(text, sizeof(text), "unix:%s/socket", directory);
    assert_true(addr_parse(span_of_text(text), &addr));
    add(&local.agent.listens, local.listens, addr);
    add_listen(&tcp, "127.0.0.1", 0);
    start_with(&local);
    assert_true(opens(&local, &tcp));
    listeners_settle(listeners, &tcp.agent);
    const struct addr opened = opened_last();
    assert_int_equal(shares_port(&opened), 0);
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
        TEST(overlapping_addresses),
        TEST(port_zero),
        TEST(networks_of_an_address),
        TEST(networks_change),
        TEST(networks_of_each_family),
        TEST(networks_of_the_ipv4_part),
        TEST(one_protocol_ends),
        TEST(out_of_memory),
        TEST(rights),
        TEST(user_of_the_sockets),
        TEST(ports_are_shared_where_they_must_be),
        TEST(a_port_of_the_kernel_is_not_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
