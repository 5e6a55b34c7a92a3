/* What Sentinels and nodes told becomes a file, which is the same whoever was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/draft.h"
#include "tests/unit/core/config/config_fixture.h"

#define HEAD                                                                                                 \
    "; The agent's side of haproxy.cfg. \"sentinel-spoa init\" has written both, by what Sentinels and "     \
    "nodes said.\n; sentinel-spoa.conf(5) and sample.conf have all keys.\n\n"                                \
    "[agent]\nlisten = 127.0.0.1:9012\nhttp = 127.0.0.1:9912\n\n"                                            \
    "[haproxy]\nruntime-api = /run/haproxy/admin.sock\n"
#define NO_SENTINEL_PASSWORD                                                                                 \
    "; If the Sentinels ask for a password: a file whose first line is the password, readable by the "       \
    "agent's user alone.\n"                                                                                  \
    "; password-file = /etc/sentinel-spoa/sentinel-password\n"
#define NO_REDIS_PASSWORD                                                                                    \
    "; If Redis asks for a password: a file of the same kind. Without it a dead master is noticed late.\n"   \
    "; password-file = /etc/sentinel-spoa/redis-password\n"

static struct draft draft;
static struct text printed;

static int tear_down(void **state)
{
    (void)state;
    draft_finish(&draft);
    text_finish(&printed);
    return 0;
}

/* Adds an address. `node`: a letter, of which the identity is made, or ' ' for none. */
static struct draft_address *add(struct draft_addresses *addresses, const char *where, char node)
{
    struct addr addr;
    char id[DRAFT_ID_MAX];

    assert_true(addr_parse(span_of_text(where), &addr));
    struct draft_address *added = draft_add_address(addresses, &addr);
    assert_non_null(added);
    memset(id, node, sizeof(id));
    draft_set_id(added, span_of(id, sizeof(id)));
    return added;
}

static void announce(struct draft_addresses *addresses, const char *where, char node, bool is_reached)
{
    struct draft_address *added = add(addresses, where, node);

    added->is_announced = true;
    added->is_reached = is_reached;
}

static struct draft_service *add_service(const char *master)
{
    struct draft_service *service = draft_add_service(&draft, span_of_text(master));

    assert_non_null(service);
    return service;
}

/* The file, which is valid. */
static const char *written(void)
{
    draft_sort(&draft);
    draft_write(&draft, &printed);
    assert_false(printed.has_failed);
    struct loaded made = load_good(printed.data);
    end(&made);
    return printed.data;
}

static void has(const char *part)
{
    if (strstr(printed.data, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, printed.data);
}

static void test_one_master(void **state)
{
    (void)state;
    announce(&draft.sentinels, "10.0.0.12:26379", 'b', true);
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', true);
    announce(&draft.sentinels, "10.0.0.13:26379", 'c', false);
    struct draft_service *service = add_service("mymaster");
    announce(&service->nodes, "10.0.0.12:6379", 'b', true);
    announce(&service->nodes, "10.0.0.13:6379", ' ', false);
    announce(&service->nodes, "10.0.0.11:6379", 'a', true);
    announce(&service->nodes, "10.0.0.11:6379", 'a', true);
    assert_string_equal(written(),
                        HEAD "backend = be_redis\n\n[sentinels]\naddress = 10.0.0.11:26379\n"
                             "address = 10.0.0.12:26379\naddress = 10.0.0.13:26379\n" NO_SENTINEL_PASSWORD
                             "\n[service mymaster]\nserver = R1 10.0.0.11:6379\nserver = R2 10.0.0.12:6379\n"
                             "server = R3 10.0.0.13:6379\n" NO_REDIS_PASSWORD);
}

static void test_logins(void **state)
{
    (void)state;
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', true);
    announce(&add_service("m")->nodes, "10.0.0.11:6379", 'a', true);
    draft.sentinel_login = (struct draft_login){.password_file = "/etc/s"};
    draft.node_login = (struct draft_login){.username = "a$b", .password_file = "/etc/$r"};
    (void)written();
    has("address = 10.0.0.11:26379\npassword-file = /etc/s\n\n");
    has("\nusername = a$$b\npassword-file = /etc/$$r\n");
    assert_null(strstr(printed.data, "; If"));
}

/* One node at several addresses is one server; the address that was reached is the main one. */
static void test_aliases(void **state)
{
    (void)state;
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', false);
    announce(&draft.sentinels, "10.9.9.9:26379", 'a', true);
    struct draft_service *service = add_service("m");
    announce(&service->nodes, "10.0.0.13:6379", 'c', false);
    announce(&service->nodes, "10.0.0.12:6379", 'b', true);
    (void)add(&service->nodes, "redis-2:6379", 'b');
    add(&service->nodes, "10.0.0.10:6379", 'c')->is_reached = true;
    (void)add(&service->nodes, "[fd00::c]:6379", 'c');
    (void)written();
    has("[sentinels]\naddress = 10.9.9.9:26379\n;");
    has("\nserver = R1 10.0.0.10:6379 alias=10.0.0.13:6379 alias=[fd00::c]:6379\n"
        "server = R2 10.0.0.12:6379 alias=redis-2:6379\n;");
}

/* Of several addresses that were reached the first that was found is the main one; a name's kind has its own order. */
static void test_several_are_reached(void **state)
{
    (void)state;
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', true);
    struct draft_service *service = add_service("m");
    announce(&service->nodes, "10.0.0.14:6379", 'b', false);
    add(&service->nodes, "10.0.0.13:6379", 'b')->is_reached = true;
    add(&service->nodes, "10.0.0.12:6379", 'b')->is_reached = true;
    announce(&service->nodes, "unix:/b", 'c', true);
    announce(&service->nodes, "unix:/a", 'd', true);
    assert_ptr_equal(draft_add_address(&service->nodes, &service->nodes.list[1].addr),
                     &service->nodes.list[1]);
    assert_int_equal(service->nodes.count, 5);
    draft_sort(&draft);
    draft_write(&draft, &printed);
    has("\nserver = R1 10.0.0.13:6379 alias=10.0.0.14:6379 alias=10.0.0.12:6379\nserver = R2 unix:/a\n"
        "server = R3 unix:/b\n;");
}

/* An address that only others know is worth nothing, unless it is another one of a node that was announced. */
static void test_strangers(void **state)
{
    (void)state;
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', true);
    struct draft_service *service = add_service("m");
    (void)add(&service->nodes, "redis-9:6379", ' ');
    announce(&service->nodes, "10.0.0.12:6379", ' ', false);
    (void)add(&service->nodes, "10.0.0.9:6379", 'd');
    announce(&service->nodes, "10.0.0.11:6379", ' ', false);
    (void)written();
    has("\nserver = R1 10.0.0.11:6379\nserver = R2 10.0.0.12:6379\n;");
}

/* Each kind of address by itself, each in the order of its bytes. */
static void test_order(void **state)
{
    (void)state;
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', true);
    struct draft_service *service = add_service("m");
    announce(&service->nodes, "b:1", 'a', true);
    announce(&service->nodes, "a:2", 'b', true);
    announce(&service->nodes, "[fd00::1]:1", 'c', true);
    announce(&service->nodes, "10.0.0.2:1", 'd', true);
    announce(&service->nodes, "10.0.0.1:10", 'e', true);
    announce(&service->nodes, "10.0.0.1:9", 'f', true);
    (void)written();
    has("\nserver = R1 10.0.0.1:9\nserver = R2 10.0.0.1:10\nserver = R3 10.0.0.2:1\nserver = R4 [fd00::1]:1\n"
        "server = R5 a:2\nserver = R6 b:1\n");
}

/* Services have names that HAProxy takes, too, and backends that the agent knows. */
static void test_many_and_odd_names(void **state)
{
    static const char *const masters[] = {"cache", "a/b $1", "a_b__1", "gone"};

    (void)state;
    announce(&draft.sentinels, "10.0.0.11:26379", 'a', true);
    for (size_t i = 0; i < sizeof(masters) / sizeof(*masters); i++)
        announce(&add_service(masters[i])->nodes, "10.0.0.11:6379", 'a', true);
    draft.services[3].is_left_out = true;
    assert_int_equal(draft_count_services(&draft), 3);
    (void)written();
    has("admin.sock\n\n[sentinels]");
    has("\n[service cache]\nbackend = be_cache\nserver");
    has("\n[service a_b__1]\nmonitor = a/b $$1\nbackend = be_a_b__1\nserver");
    has("\n[service a_b__1-2]\nmonitor = a_b__1\nbackend = be_a_b__1-2\nserver");
    assert_null(strstr(printed.data, "gone"));
}

static void test_names_that_no_file_can_have(void **state)
{
    char longest[CONFIG_NAME_MAX + 2];

    (void)state;
    assert_true(draft_takes_name("my master;$"));
    assert_false(draft_takes_name(""));
    assert_false(draft_takes_name("'m'"));
    assert_false(draft_takes_name("m ;n"));
    assert_false(draft_takes_name("m "));
    assert_false(draft_takes_name("m\n"));
    memset(longest, 'm', sizeof(longest));
    longest[CONFIG_NAME_MAX] = '\0';
    assert_true(draft_takes_name(longest));
    longest[CONFIG_NAME_MAX] = 'm';
    longest[CONFIG_NAME_MAX + 1] = '\0';
    assert_false(draft_takes_name(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_one_master, tear_down),
        cmocka_unit_test_teardown(test_logins, tear_down),
        cmocka_unit_test_teardown(test_aliases, tear_down),
        cmocka_unit_test_teardown(test_several_are_reached, tear_down),
        cmocka_unit_test_teardown(test_strangers, tear_down),
        cmocka_unit_test_teardown(test_order, tear_down),
        cmocka_unit_test_teardown(test_many_and_odd_names, tear_down),
        cmocka_unit_test(test_names_that_no_file_can_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
