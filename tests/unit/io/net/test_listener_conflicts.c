/* Which two addresses a file can have. */
#include "tests/unit/io/net/listeners_fixture.h"

static char directory[64];
static uint16_t one_port;
static uint16_t other_port;

static int set_up_here(void **state)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/listeners-XXXXXX");
    assert_non_null(mkdtemp(directory));
    one_port = free_port();
    other_port = free_port();
    return set_up(state);
}

static int tear_down_here(void **state)
{
    int result = tear_down(state);

    return result != 0 || rmdir(directory) != 0;
}

/* "HOST:P" and "HOST:Q" have two ports that are free, "HOST:0" lets the kernel choose, and "a" is a UNIX socket. */
static struct addr addr_for(const char *text)
{
    char host[32];
    const char *colon = strrchr(text, ':');
    struct addr addr;

    if (colon == NULL) {
        char path[256];
        (void)snprintf(path, sizeof(path), "unix:%s/%s", directory, text);
        assert_true(addr_parse(span_of_text(path), &addr));
        return addr;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    return addr_of(host, colon[1] == 'P' ? one_port : colon[1] == 'Q' ? other_port : 0);
}

struct pair {
    const char *one;
    const char *other;
    size_t opened; /* sockets; 0: they are in each other's way */
};

/* Of two protocols. */
static const struct pair of_two[] = {
    {"127.0.0.1:P", "127.0.0.1:P", 0},
    {"127.0.0.1:P", "127.0.0.1:Q", 2},
    {"127.0.0.1:P", "127.0.0.2:P", 2},
    {"127.0.0.1:0", "127.0.0.1:0", 2},
    {"0.0.0.0:P", "0.0.0.0:P", 0},
    {"0.0.0.0:P", "127.0.0.1:P", 0},
    {"0.0.0.0:P", "127.0.0.1:Q", 2},
    {"0.0.0.0:0", "127.0.0.1:0", 2},
    {"0.0.0.0:0", "0.0.0.0:0", 2},
    {"0.0.0.0:P", "[::1]:P", 2},
    {"[::1]:P", "127.0.0.1:P", 2},
    {"[::1]:P", "[::1]:Q", 2},
    {"[::]:P", "[::]:P", 0},
    {"[::]:P", "[::1]:P", 0},
    {"[::]:P", "[::1]:Q", 2},
    {"[::]:P", "127.0.0.1:P", 0},
    {"[::]:P", "127.0.0.1:Q", 2},
    {"[::]:P", "0.0.0.0:P", 2},
    {"[::]:P", "0.0.0.0:Q", 2},
    {"[::]:0", "[::1]:0", 2},
    {"[::]:0", "127.0.0.1:0", 2},
    {"[::]:0", "0.0.0.0:0", 2},
    {"a", "a", 0},
    {"a", "b", 2},
    {"a", "127.0.0.1:0", 2},
};

/* Of one protocol an address may be listed twice: it is opened once. */
static const struct pair of_one[] = {
    {"127.0.0.1:P", "127.0.0.1:P", 1}, {"127.0.0.1:P", "127.0.0.2:P", 2}, {"127.0.0.1:0", "127.0.0.1:0", 1},
    {"0.0.0.0:P", "127.0.0.1:P", 0},   {"[::]:P", "[::]:P", 1},           {"[::]:0", "[::]:0", 1},
    {"[::]:P", "127.0.0.1:P", 0},      {"[::]:P", "0.0.0.0:P", 2},        {"a", "a", 1},
};

static void check_error(const struct file *file, const char *later_key)
{
    const struct addr *one = &file->listens[0].addr;
    const struct addr *other = later_key[0] == 'h' ? &file->web[0].addr : &file->listens[1].addr;
    char text[ADDR_TEXT_MAX];
    char other_text[ADDR_TEXT_MAX];
    char expected[2 * LISTEN_SOCKET_ERROR_MAX];

    (void)snprintf(expected, sizeof(expected),
                   "'%s = %.90s' beside 'listen = %.90s': Address already in use%s", later_key,
                   addr_format(other, other_text), addr_format(one, text),
                   one->kind != other->kind ? ": [::] takes IPv4, too" : "");
    assert_string_equal(error, expected);
}

/* At the start, and in a reload that finds nothing open. */
static void check_pair(const char *one, const char *other, bool is_one_protocol, size_t opened)
{
    const struct file none = NO_FILE;

    for (int i = 0; i < 2; i++) {
        struct file file = NO_FILE;
        const struct config_agent *running = i == 0 ? NULL : &none.agent;
        log_capture_clear();
        add(&file.agent.listens, file.listens, addr_for(one));
        if (is_one_protocol)
            add(&file.agent.listens, file.listens, addr_for(other));
        else
            add(&file.agent.web, file.web, addr_for(other));
        assert_int_equal(listeners_open(listeners, running, &file.agent, error), opened == 0 ? -1 : 0);
        if (opened == 0)
            check_error(&file, is_one_protocol ? "listen" : "http");
        else
            listeners_settle(listeners, &file.agent);
        assert_int_equal(log_capture_count("listening"), opened);
        listeners_settle(listeners, &none.agent);
        assert_int_equal(log_capture_count("not-listening"), opened);
    }
}

static void addresses_of_two_protocols(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(of_two) / sizeof(*of_two); i++) {
        check_pair(of_two[i].one, of_two[i].other, false, of_two[i].opened);
        check_pair(of_two[i].other, of_two[i].one, false, of_two[i].opened);
    }
}

static void addresses_of_one_protocol(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(of_one) / sizeof(*of_one); i++) {
        check_pair(of_one[i].one, of_one[i].other, true, of_one[i].opened);
        check_pair(of_one[i].other, of_one[i].one, true, of_one[i].opened);
    }
}

/* The kernel's choices are two ports, so that neither address has a part of the other. */
static void all_families_at_a_port_of_the_kernel(void **state)
{
    struct file file = NO_FILE;

    (void)state;
    add(&file.agent.listens, file.listens, addr_for("0.0.0.0:0"));
    add(&file.agent.web, file.web, addr_for("[::]:0"));
    start_with(&file);
    struct addr opened = opened_last();
    assert_int_equal(opened.kind, ADDR_IPV6);
    assert_string_equal(who_takes("[::1]", opened.port), "http");
    assert_string_equal(who_takes("127.0.0.1", opened.port), "http");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_here, tear_down_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_of_two_protocols),
        TEST(addresses_of_one_protocol),
        TEST(all_families_at_a_port_of_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
