/* What nodes say: whose replica they are, who owns a slot, who they are. */
#include "spoa/core/voters/node_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789ABCDEF01234567"

static struct reply text(const char *words)
{
    return (struct reply){.kind = REPLY_TEXT, .text = span_of_text(words)};
}

static struct reply number(int64_t value)
{
    return (struct reply){.kind = REPLY_INTEGER, .number = value};
}

static struct reply array(const struct reply *elements, size_t count)
{
    return (struct reply){.kind = REPLY_ARRAY, .elements = elements, .count = count};
}

static struct addr addr_of(const char *words)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(words), &addr));
    return addr;
}

static void test_run_id(void **state)
{
    const struct reply good = text("# Server\r\nredis_version:7.0.15\r\nrun_id:" ID "\r\ntcp_port:6379\r\n");
    const struct reply last = text("run_id:" ID);
    const struct reply without[] = {
        text(""),
        text("run_id:"),
        text("run_id:0123\r\n"),
        text("xrun_id:" ID "\r\n"),
        text("run_id:" ID "0\r\n"),
        text("run_id:g123456789abcdef0123456789ABCDEF01234567\r\n"),
        number(3),
    };
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("run_id:" ID)};
    struct span id;

    (void)state;
    assert_int_equal(node_reply_read_run_id(&good, &id), REPLY_READ_OK);
    assert_true(span_equals_text(id, ID));
    id = span_of(NULL, 0);
    assert_int_equal(node_reply_read_run_id(&last, &id), REPLY_READ_OK);
    assert_true(span_equals_text(id, ID));
    id = span_of(NULL, 0);
    for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
        assert_int_equal(node_reply_read_run_id(&without[i], &id), REPLY_READ_NONSENSE);
    assert_int_equal(node_reply_read_run_id(&error, &id), REPLY_READ_ERROR);
    assert_int_equal(id.len, 0);
}

static void test_cluster_state(void **state)
{
    const struct reply up = text("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n");
    const struct reply down = text("cluster_state:fail\r\ncluster_slots_ok:0\r\n");
    const struct reply odd = text("cluster_state:okay\r\n");
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("cluster_state:ok")};
    const struct reply integer = number(1);
    bool is_up = false;

    (void)state;
    assert_int_equal(node_reply_read_cluster_state(&up, &is_up), REPLY_READ_OK);
    assert_true(is_up);
    assert_int_equal(node_reply_read_cluster_state(&down, &is_up), REPLY_READ_OK);
    assert_false(is_up);
    is_up = true;
    assert_int_equal(node_reply_read_cluster_state(&odd, &is_up), REPLY_READ_OK);
    assert_false(is_up);
    assert_int_equal(node_reply_read_cluster_state(&error, &is_up), REPLY_READ_ERROR);
    assert_int_equal(node_reply_read_cluster_state(&integer, &is_up), REPLY_READ_NONSENSE);
    assert_false(is_up);
}

static void test_role(void **state)
{
    const struct addr self = addr_of("10.0.0.1:6379");
    const struct addr other = addr_of("10.0.0.2:6380");
    const struct reply none = array(NULL, 0);
    const struct reply master[] = {text("master"), number(7), none};
    const struct reply replica[] = {text("slave"), text("10.0.0.2"), number(6380), text("connect"),
                                    number(-1)};
    const struct {
        struct reply elements[3];
        enum reply_reading reading;
    } bad[] = {
        {{text("sentinel"), none, none}, REPLY_READ_NONSENSE},
        {{text("slave"), text(""), number(1)}, REPLY_READ_BAD_ADDRESS},
        {{text("slave"), text("h"), number(0)}, REPLY_READ_BAD_ADDRESS},
        {{text("slave"), text("h"), number(65536)}, REPLY_READ_BAD_ADDRESS},
        {{text("slave"), text("h"), text("0")}, REPLY_READ_BAD_ADDRESS},
        {{text("slave"), text("h"), none}, REPLY_READ_NONSENSE},
        {{text("active-replica"), text("h"), number(6379)}, REPLY_READ_NONSENSE},
        {{number(1), number(2), number(3)}, REPLY_READ_NONSENSE},
    };
    struct addr addr;
    bool is_self = false;

    (void)state;
    const struct reply one = array(master, 3);
    assert_int_equal(node_reply_read_role(&one, &self, &addr, &is_self), REPLY_READ_OK);
    assert_true(is_self && addr_equals(&addr, &self));
    const struct reply two = array(replica, 5);
    assert_int_equal(node_reply_read_role(&two, &self, &addr, &is_self), REPLY_READ_OK);
    assert_true(!is_self && addr_equals(&addr, &other));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct reply reply = array(bad[i].elements, 3);
        assert_int_equal(node_reply_read_role(&reply, &self, &addr, &is_self), bad[i].reading);
    }
    const struct reply brief = array(replica, 2);
    assert_int_equal(node_reply_read_role(&brief, &self, &addr, &is_self), REPLY_READ_NONSENSE);
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("NOPERM")};
    assert_int_equal(node_reply_read_role(&error, &self, &addr, &is_self), REPLY_READ_ERROR);
    assert_true(!is_self && addr_equals(&addr, &other)); /* untouched */
}

/* Dragonfly: a master without an offset, a replica's port as a text and "replica". */
static void test_role_in_dragonflys_words(void **state)
{
    const struct addr self = addr_of("10.0.0.1:6379");
    const struct addr other = addr_of("10.0.0.2:6380");
    const struct reply master[] = {text("master"), array(NULL, 0)};
    const struct reply replica[] = {text("replica"), text("10.0.0.2"), text("6380"), text("stable_sync")};
    const struct reply one = array(master, 2);
    const struct reply two = array(replica, 4);
    struct addr addr;
    bool is_self = false;

    (void)state;
    assert_int_equal(node_reply_read_role(&one, &self, &addr, &is_self), REPLY_READ_OK);
    assert_true(is_self && addr_equals(&addr, &self));
    assert_int_equal(node_reply_role(&one), NODE_ROLE_MASTER);
    assert_int_equal(node_reply_read_role(&two, &self, &addr, &is_self), REPLY_READ_OK);
    assert_true(!is_self && addr_equals(&addr, &other));
    assert_int_equal(node_reply_role(&two), NODE_ROLE_REPLICA);
}

/* KeyDB: a node that takes writes and follows another one, or several. */
static void test_roles_that_are_none(void **state)
{
    const struct reply active[] = {text("active-replica"), text("10.0.0.2"), number(6380), text("connected"),
                                   number(9)};
    const struct reply several[] = {array(active, 5), array(active, 5)};
    const struct reply sentinel[] = {text("sentinel"), array(NULL, 0)};
    const struct reply role = text("slave");
    const struct {
        struct reply reply;
        const char *word;
        const char *meaning;
    } cases[] = {
        {array(active, 5), "active-replica", "active-replica): no node is the master"},
        {array(several, 2), "", "multi-master): no node is the master"},
        {array(sentinel, 2), "sentinel", "a Sentinel"},
        {number(1), "", "neither master nor replica"},
        {array(&role, 0), "", "neither master nor replica"}, /* what stood there before is not read */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(node_reply_role(&cases[i].reply), NODE_ROLE_UNKNOWN);
        assert_true(span_equals_text(node_reply_role_word(&cases[i].reply), cases[i].word));
        assert_non_null(strstr(node_reply_role_meaning(&cases[i].reply), cases[i].meaning));
    }
}

static void test_slots(void **state)
{
    const struct reply first[] = {text("10.0.0.1"), number(7001), text(ID)};
    const struct reply second[] = {text("10.0.0.2"), number(7002), text(ID)};
    const struct reply nobody[] = {{.kind = REPLY_NIL}, number(7003), text(ID)};
    const struct reply low[] = {number(0), number(100), array(first, 3), array(second, 3)};
    const struct reply high[] = {number(101), number(16000), array(second, 3)};
    const struct reply odd[] = {number(16001), number(16001), array(nobody, 3)};
    const struct reply ranges[] = {array(low, 4), array(high, 3), array(odd, 3)};
    const struct reply reply = array(ranges, 3);
    const struct addr one = addr_of("10.0.0.1:7001");
    const struct addr two = addr_of("10.0.0.2:7002");
    const struct addr asked = addr_of("10.0.0.9:7003");
    const struct addr self = addr_of("10.0.0.9:7009");
    struct addr addr;

    (void)state;
    assert_int_equal(node_reply_read_owner(&reply, 0, &self, &addr), REPLY_READ_OK);
    assert_true(addr_equals(&addr, &one));
    assert_int_equal(node_reply_read_owner(&reply, 100, &self, &addr), REPLY_READ_OK);
    assert_true(addr_equals(&addr, &one));
    assert_int_equal(node_reply_read_owner(&reply, 101, &self, &addr), REPLY_READ_OK);
    assert_true(addr_equals(&addr, &two));
    assert_int_equal(node_reply_read_owner(&reply, 16001, &self, &addr), REPLY_READ_OK);
    assert_true(addr_equals(&addr, &asked)); /* no host: that of the node that was asked */
    assert_int_equal(node_reply_read_owner(&reply, 16002, &self, &addr), REPLY_READ_NONE);
}

/* cluster-preferred-endpoint-type: NULL and "" mean the address that was asked, "?" a host that is not known. */
static void test_owners_without_a_host(void **state)
{
    const struct addr self = addr_of("redis-1:7009");
    const struct addr asked = addr_of("redis-1:7001");
    const struct addr socket = addr_of("unix:/run/redis.sock");
    const struct reply hosts[] = {{.kind = REPLY_NIL}, text(""), text("?")};
    struct addr addr;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const struct reply node[] = {hosts[i], i == 1 ? text("7001") : number(7001), text(ID)};
        const struct reply range[] = {number(0), number(9), array(node, 3)};
        const struct reply ranges[] = {array(range, 3)};
        const struct reply reply = array(ranges, 1);
        memset(&addr, 0, sizeof(addr));
        if (i == 2) {
            assert_int_equal(node_reply_read_owner(&reply, 5, &self, &addr), REPLY_READ_BAD_ADDRESS);
            continue;
        }
        assert_int_equal(node_reply_read_owner(&reply, 5, &self, &addr), REPLY_READ_OK);
        assert_true(addr_equals(&addr, &asked));
        assert_int_equal(node_reply_read_owner(&reply, 5, &socket, &addr), REPLY_READ_BAD_ADDRESS);
    }
}

/* Only ranges with a slot that somebody asks for are kept, and what is no range. */
static void test_needed_ranges(void **state)
{
    const struct reply pair[] = {text("10.0.0.1"), number(7001)};
    uint64_t slots[NODE_REPLY_SLOTS / 64] = {0};
    const struct {
        int64_t first;
        int64_t last;
        bool is_needed;
    } cases[] = {
        {0, 0, true},         {1, 62, false}, {60, 63, true}, {64, 16382, false}, {0, 16383, true},
        {16383, 16383, true}, {9, 3, false},  {-1, 3, true},  {3, 16384, true},
    };

    (void)state;
    slots[0] = 1 | (uint64_t)1 << 63;
    slots[NODE_REPLY_SLOTS / 64 - 1] = (uint64_t)1 << 63;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct reply elements[] = {number(cases[i].first), number(cases[i].last), array(pair, 2)};
        const struct reply range = array(elements, 3);
        assert_int_equal(node_reply_needs_range(&range, slots), cases[i].is_needed);
    }
    const struct reply other = text("0");
    assert_true(node_reply_needs_range(&other, slots));
}

static void test_replicas_of_a_slot(void **state)
{
    const struct reply master[] = {text("10.0.0.1"), number(7001)};
    const struct reply first[] = {text("10.0.0.2"), number(7002), text(ID)};
    const struct reply odd[] = {text("10.0.0.3")};
    const struct reply bad[] = {text(""), number(7003)};
    const struct reply range[] = {number(0),       number(9),     array(master, 2),
                                  array(first, 3), array(odd, 1), array(bad, 2)};
    const struct reply alone[] = {number(10), number(19), array(master, 2)};
    const struct reply ranges[] = {array(range, 6), array(alone, 3)};
    const struct reply reply = array(ranges, 2);
    const struct addr expected = addr_of("10.0.0.2:7002");
    struct addr addr;

    (void)state;
    assert_int_equal(node_reply_read_replica(&reply, 5, 0, &addr), REPLY_READ_OK);
    assert_true(addr_equals(&addr, &expected));
    assert_int_equal(node_reply_read_replica(&reply, 5, 1, &addr), REPLY_READ_NONSENSE);
    assert_int_equal(node_reply_read_replica(&reply, 5, 2, &addr), REPLY_READ_BAD_ADDRESS);
    assert_int_equal(node_reply_read_replica(&reply, 5, 3, &addr), REPLY_READ_NONE);
    assert_int_equal(node_reply_read_replica(&reply, 15, 0, &addr), REPLY_READ_NONE);
    assert_int_equal(node_reply_read_replica(&reply, 25, 0, &addr), REPLY_READ_NONE);
    assert_true(addr_equals(&addr, &expected)); /* untouched */
}

static void test_slots_of_another_shape(void **state)
{
    const struct reply pair[] = {text("10.0.0.1"), number(7001)};
    const struct reply half[] = {text("10.0.0.1")};
    const struct reply shapes[][3] = {
        {number(0), number(9), text("10.0.0.1")},
        {number(0), text("9"), array(pair, 2)},
        {text("0"), number(9), array(pair, 2)},
        {number(0), number(9), array(half, 1)},
    };
    const struct addr self = addr_of("10.0.0.9:7009");
    struct addr addr;

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        const struct reply range = array(shapes[i], 3);
        const struct reply reply = array(&range, 1);
        assert_int_equal(node_reply_read_owner(&reply, 5, &self, &addr), REPLY_READ_NONSENSE);
    }
    const struct reply range = array(shapes[0], 2);
    const struct reply brief = array(&range, 1);
    assert_int_equal(node_reply_read_owner(&brief, 5, &self, &addr), REPLY_READ_NONSENSE);
    const struct reply none = array(NULL, 0);
    assert_int_equal(node_reply_read_owner(&none, 5, &self, &addr), REPLY_READ_NONE);
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("ERR cluster support disabled")};
    assert_int_equal(node_reply_read_owner(&error, 5, &self, &addr), REPLY_READ_ERROR);
}

#define REPLICA "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.2\r\nmaster_port:6380\r\n"
#define UP(seconds)                                                                                          \
    REPLICA "master_link_status:up\r\nmaster_last_io_seconds_ago:" seconds "\r\nmaster_sync_in_progress:"    \
            "0\r\n"
#define DOWN(io, seconds, sync)                                                                              \
    REPLICA "master_link_status:down\r\nmaster_last_io_seconds_ago:" io "\r\nmaster_sync_in_progress:" sync  \
            "\r\nmaster_sync_last_io_seconds_ago:9"                                                          \
            "\r\nmaster_link_down_since_seconds:" seconds "\r\n"

/* A difference of n whole seconds may be little more than n - 1. */
static void test_link(void **state)
{
    static const struct {
        const char *text;
        uint32_t silent_ms;
        bool is_link_down;
    } links[] = {
        {UP("0"), 0, false},
        {UP("1"), 0, false},
        {UP("2"), 1000, false},
        {UP("61"), 60000, false},
        {UP("4294967"), 4294966000, false},
        {DOWN("-1", "0", "0"), 0, true},
        {DOWN("-1", "1", "0"), 0, true},
        {DOWN("-1", "5", "0"), 4000, true},
        /* It is being synchronized, or loads what it got. */
        {DOWN("-1", "5", "1"), 0, false},
        {DOWN("-1", "-1", "1"), 0, false},
    };
    const struct addr self = addr_of("10.0.0.1:6379");
    const struct addr other = addr_of("10.0.0.2:6380");

    (void)state;
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
        const struct reply reply = text(links[i].text);
        struct sentinel_facts facts = {.quorum = 7};
        struct addr addr = self;
        assert_int_equal(node_reply_read_link(&reply, &self, &addr, &facts), REPLY_READ_OK);
        assert_true(addr_equals(&addr, &other));
        assert_int_equal(facts.silent_ms, links[i].silent_ms);
        assert_int_equal(facts.owed_ms, links[i].silent_ms);
        assert_int_equal(facts.is_link_down, links[i].is_link_down);
        assert_int_equal(facts.quorum, 0);
    }
}

static void test_a_master_hears_itself(void **state)
{
    const struct reply reply = text("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n");
    const struct addr self = addr_of("10.0.0.1:6379");
    struct sentinel_facts facts = {.silent_ms = 7};
    struct addr addr;

    (void)state;
    assert_int_equal(node_reply_read_link(&reply, &self, &addr, &facts), REPLY_READ_OK);
    assert_true(addr_equals(&addr, &self));
    assert_int_equal(facts.silent_ms, 0);
    assert_false(facts.is_link_down);
}

static void test_links_that_say_nothing(void **state)
{
    const struct {
        struct reply reply;
        enum reply_reading reading;
    } links[] = {
        {text(DOWN("-1", "-1", "0")), REPLY_READ_NONE},         /* never connected */
        {text(DOWN("-1", "1732600000", "0")), REPLY_READ_NONE}, /* the same, as older servers write it */
        {text(UP("-1")), REPLY_READ_NONE},
        {text(UP("4294968")), REPLY_READ_NONE},
        {text(REPLICA), REPLY_READ_NONE},
        {text("role:slave\r\nmaster_host:\r\nmaster_port:6379\r\n"), REPLY_READ_BAD_ADDRESS},
        {text(""), REPLY_READ_BAD_ADDRESS},
        {number(1), REPLY_READ_NONSENSE},
        {{.kind = REPLY_ERROR, .text = span_of_text("NOPERM")}, REPLY_READ_ERROR},
    };
    const struct addr self = addr_of("10.0.0.1:6379");

    (void)state;
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
        struct sentinel_facts facts = {.silent_ms = 7};
        struct addr addr = self;
        assert_int_equal(node_reply_read_link(&links[i].reply, &self, &addr, &facts), links[i].reading);
        assert_true(addr_equals(&addr, &self)); /* untouched */
        assert_int_equal(facts.silent_ms, 7);
    }
}

static void test_min_replicas(void **state)
{
    const struct reply set =
        text("# Replication\r\nrole:master\r\nmin_slaves_good_slaves:0\r\nslave0:ip=10.0.0.2\r\n");
    const struct reply not_set = text("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n");
    const struct reply replica = text("# Replication\r\nrole:slave\r\nmin_slaves_good_slaves:0\r\n");
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text("NOPERM")};
    bool is_set = false;

    (void)state;
    assert_int_equal(node_reply_read_min_replicas(&set, &is_set), REPLY_READ_OK);
    assert_true(is_set);
    assert_int_equal(node_reply_read_min_replicas(&not_set, &is_set), REPLY_READ_OK);
    assert_false(is_set);
    assert_int_equal(node_reply_read_min_replicas(&replica, &is_set), REPLY_READ_NONE);
    assert_int_equal(node_reply_read_min_replicas(&error, &is_set), REPLY_READ_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_id),
        cmocka_unit_test(test_cluster_state),
        cmocka_unit_test(test_min_replicas),
        cmocka_unit_test(test_role),
        cmocka_unit_test(test_role_in_dragonflys_words),
        cmocka_unit_test(test_roles_that_are_none),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_a_master_hears_itself),
        cmocka_unit_test(test_links_that_say_nothing),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_replicas_of_a_slot),
        cmocka_unit_test(test_owners_without_a_host),
        cmocka_unit_test(test_needed_ranges),
        cmocka_unit_test(test_slots_of_another_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
