/* What a condition in HAProxy's files says of the agent's variables, and to which clients a rule applies. */
#include "spoa/core/config/haproxy_conditions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"

#define FOUND "{ var(txn.redis.master) -m found }"
#define NET "{ src 10.0.0.0/8 }"
#define NAMED "frontend f\n acl named var(txn.redis.master) -m found\n"

struct condition {
    const char *above; /* the rule; "" is a frontend without a line */
    const char *rule;
    enum haproxy_mention mention;
    /* To whom it applies: a client without a name, with any name, sent to R1, sent to R2. `N`ever, `P`erhaps, `A`lways. */
    const char *truths;
};

static char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static void check_condition(const struct condition *condition, const char *variable)
{
    static const char *const names[] = {NULL, HAPROXY_ANY_NAME, "R1", "R2"};
    const struct haproxy_route route = {.prefix = "redis", .variable = variable};
    struct haproxy_file file = {.sections = NULL};
    char truths[sizeof(names) / sizeof(*names) + 1] = "";
    char text[512];

    int len = snprintf(text, sizeof(text), "%s %s\n",
                       condition->above[0] != '\0' ? condition->above : "frontend f\n", condition->rule);
    haproxy_file_read(&file, "haproxy.cfg", "haproxy.cfg", text, (size_t)len, no_variable);
    assert_false(file.out_of_memory);
    const struct haproxy_section *section = file.sections[file.count - 1];
    const struct haproxy_line *line = &section->lines[section->count - 1];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        truths[i] = "NPA"[haproxy_applies(&route, section, line, names[i])];
    if (strcmp(truths, condition->truths) != 0 ||
        haproxy_mentions(&route, section, line) != condition->mention)
        fail_msg("%s: mention %d, applies %s", text, (int)haproxy_mentions(&route, section, line), truths);
    haproxy_file_finish(&file);
}

#define CHECK_ALL(cases, variable)                                                                           \
    for (size_t i = 0; i < sizeof(cases) / sizeof(*(cases)); i++)                                            \
    check_condition(&(cases)[i], variable)

/* One test of a variable. */
static void test_variables(void **state)
{
    static const struct condition cases[] = {
        {"", "use_backend b", HAPROXY_MENTION_NONE, "AAAA"},
        {"", "use_backend b if " FOUND, HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b unless " FOUND, HAPROXY_MENTION_OURS, "ANNN"},
        {"", "use_backend b if { var(txn.redis.master) -m str R1 }", HAPROXY_MENTION_OURS, "NPAN"},
        {"", "use_backend b if { var(txn.redis.master) -m str R3 R2 }", HAPROXY_MENTION_OURS, "NPNA"},
        {"", "use_backend b if { var(txn.redis.master) -m str -i R1 }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.master) -m str }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.master) -m beg R1 }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.master) -m }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.master) -i found }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.master) R1 }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.master) }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.replica) -m found }", HAPROXY_MENTION_OURS, "NNNN"},
        {"", "use_backend b if { var(txn.redis.addr) -m found }", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if { var(txn.redis.addr) -m str R1 }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.port) -m found }", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if { var(txn.redis.port) -m str 6379 }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.state) -m str ok }", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b unless { var(txn.redis.state) -m str ok }", HAPROXY_MENTION_OURS, "ANNN"},
        {"", "use_backend b if { var(txn.redis.state) -m str ok parked }", HAPROXY_MENTION_OURS, "PPPP"},
        {"", "use_backend b if { var(txn.redis.state) -m str no-quorum }", HAPROXY_MENTION_OURS, "PPPP"},
        {"", "use_backend b if { var(txn.redis.state) -m found }", HAPROXY_MENTION_OURS, "PPPP"},
        {"", "use_backend b if " NET, HAPROXY_MENTION_NONE, "PPPP"},
        {"", "use_backend b if { }", HAPROXY_MENTION_NONE, "PPPP"},
        {"", "dispatch if FALSE", HAPROXY_MENTION_NONE, "NNNN"},
    };

    (void)state;
    CHECK_ALL(cases, "master");
}

/* A server may be called as a word of the condition is, and by one letter. */
static void test_odd_names_of_servers(void **state)
{
    static const struct {
        const char *rule;
        const char *name;
        enum haproxy_truth truth;
    } cases[] = {
        {"use_backend b if { var(txn.redis.master) -m str R1 }", "str", HAPROXY_NEVER},
        {"use_backend b if { var(txn.redis.master) -m str R1 }", "-m", HAPROXY_NEVER},
        {"use_backend b if { var(txn.redis.master) -m str R1 str }", "str", HAPROXY_ALWAYS},
        {"use_backend b if { var(txn.redis.master) -m str A }", "A", HAPROXY_ALWAYS},
        {"use_backend b if { var(txn.redis.master) -m str A }", "B", HAPROXY_NEVER},
        {"use_backend b if { var(txn.redis.master) -m str R- }", "R-", HAPROXY_ALWAYS},
    };
    const struct haproxy_route route = {.prefix = "redis", .variable = "master"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct haproxy_file file = {.sections = NULL};
        char text[128];
        int len = snprintf(text, sizeof(text), "frontend f\n %s\n", cases[i].rule);
        haproxy_file_read(&file, "h.cfg", "h.cfg", text, (size_t)len, no_variable);
        assert_int_equal(
            haproxy_applies(&route, file.sections[0], &file.sections[0]->lines[0], cases[i].name),
            cases[i].truth);
        haproxy_file_finish(&file);
    }
}

/* Where clients are sent to an address, the name of a server says nothing of them. */
static void test_variables_of_other_routes(void **state)
{
    static const struct condition addr[] = {
        {"", "use_backend b if { var(txn.redis.addr) -m found }", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if { var(txn.redis.addr) -m str R1 }", HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if { var(txn.redis.port) -m found }", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if " FOUND, HAPROXY_MENTION_OURS, "NPPP"},
    };
    static const struct condition replica[] = {
        {"", "use_backend b if { var(txn.redis.replica) -m str R1 }", HAPROXY_MENTION_OURS, "NPAN"},
        {"", "use_backend b if " FOUND, HAPROXY_MENTION_OURS, "NNNN"},
    };

    (void)state;
    CHECK_ALL(addr, "addr");
    CHECK_ALL(replica, "replica");
}

/* Other variables, and those of another engine. */
static void test_other_names(void **state)
{
    static const struct condition cases[] = {
        {"", "use_backend b if { var(txn.redis.votes) -m found }", HAPROXY_MENTION_NONE, "PPPP"},
        {"", "use_backend b if { var(txn.redis.xmaster) -m found }", HAPROXY_MENTION_NONE, "PPPP"},
        {"", "use_backend b if { var(txn.redis.mastex) -m found }", HAPROXY_MENTION_NONE, "PPPP"},
        {"", "use_backend b if { var(sess.redis.master) -m found }", HAPROXY_MENTION_NONE, "PPPP"},
        {"", "use_backend b if { var(txn.other.master) -m found }", HAPROXY_MENTION_FOREIGN, "PPPP"},
        {"", "use_backend b if { var(txn.redi.master) -m found }", HAPROXY_MENTION_FOREIGN, "PPPP"},
        {"", "use_backend b if { var(txn.redis2.master) -m found }", HAPROXY_MENTION_FOREIGN, "PPPP"},
        {"", "use_backend b if { var(txn.master) -m found }", HAPROXY_MENTION_FOREIGN, "PPPP"},
        {"", "use_backend b if { var(txn.redis.master,lower) -m found }", HAPROXY_MENTION_OURS, "PPPP"},
        {"", "use_backend %[var(txn.redis.votes)]%[var(txn.redis.port)]", HAPROXY_MENTION_OURS, "AAAA"},
        {"", "use_backend %[var(txn.redis.port)] if { var(txn.other.port) -m found }", HAPROXY_MENTION_OURS,
         "PPPP"},
        {"", "use_backend %[var(txn.other.port)] if { var(txn.redis.port) -m found }", HAPROXY_MENTION_OURS,
         "NAAA"},
    };

    (void)state;
    CHECK_ALL(cases, "master");
}

static void test_acls(void **state)
{
    static const struct condition cases[] = {
        {NAMED, "use_backend b if named", HAPROXY_MENTION_OURS, "NAAA"},
        {NAMED, "use_backend b if !named", HAPROXY_MENTION_OURS, "ANNN"},
        {NAMED, "use_backend b if other", HAPROXY_MENTION_NONE, "PPPP"},
        {NAMED " acl named src 10.0.0.0/8\n", "use_backend b if named", HAPROXY_MENTION_OURS, "PAAA"},
        {"frontend f\n acl named src 10.0.0.0/8\n acl named var(txn.redis.master) -m found\n",
         "use_backend b if named", HAPROXY_MENTION_OURS, "PAAA"},
        {"defaults\n acl named var(txn.redis.master) -m found\nfrontend f\n", "use_backend b if named",
         HAPROXY_MENTION_OURS, "NAAA"},
        {"defaults\n acl named src 10.0.0.0/8\n" NAMED, "use_backend b if named", HAPROXY_MENTION_OURS,
         "PAAA"},
        {"frontend f\n acl named\n", "use_backend b if named", HAPROXY_MENTION_NONE, "PPPP"},
        {"frontend f\n use-server named if " FOUND "\n", "use_backend b if named", HAPROXY_MENTION_NONE,
         "PPPP"},
        {"frontend f\n acl named var(txn.other.master) -m found\n acl named src 10.0.0.0/8\n",
         "use_backend b if named", HAPROXY_MENTION_FOREIGN, "PPPP"},
        {"frontend f\n acl named var(txn.redis.master) -m found\n acl named var(txn.other.master) -m found\n",
         "use_backend b if named", HAPROXY_MENTION_OURS, "PAAA"},
        {"frontend f\n acl named var(txn.other.master) -m found\n", "use_backend b if " NET " named",
         HAPROXY_MENTION_FOREIGN, "PPPP"},
        {NAMED, "use_backend %[var(txn.other.port)] if named", HAPROXY_MENTION_OURS, "NAAA"},
        {NAMED " acl other var(txn.other.master) -m found\n", "use_backend b if named other",
         HAPROXY_MENTION_OURS, "NPPP"},
    };

    (void)state;
    CHECK_ALL(cases, "master");
}

/* How terms are joined. */
static void test_terms(void **state)
{
    static const struct condition cases[] = {
        {"", "use_backend b if TRUE", HAPROXY_MENTION_NONE, "AAAA"},
        {"", "use_backend b if FALSE", HAPROXY_MENTION_NONE, "NNNN"},
        {"", "use_backend b if !" NET, HAPROXY_MENTION_NONE, "PPPP"},
        {"", "use_backend b if ! " FOUND, HAPROXY_MENTION_OURS, "ANNN"},
        {"", "use_backend b if !! " FOUND, HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if !" FOUND " TRUE", HAPROXY_MENTION_OURS, "ANNN"},
        {"", "use_backend b if TRUE !" FOUND, HAPROXY_MENTION_OURS, "ANNN"},
        {"", "use_backend b if " NET " " FOUND, HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if " FOUND " " NET, HAPROXY_MENTION_OURS, "NPPP"},
        {"", "use_backend b if " NET " or " FOUND, HAPROXY_MENTION_OURS, "PAAA"},
        {"", "use_backend b if " FOUND " || " NET, HAPROXY_MENTION_OURS, "PAAA"},
        {"", "use_backend b if " FOUND " or FALSE", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if FALSE or TRUE or FALSE", HAPROXY_MENTION_NONE, "AAAA"},
        {"", "use_backend b if TRUE FALSE or FALSE TRUE", HAPROXY_MENTION_NONE, "NNNN"},
        {"", "use_backend b unless " NET " or " FOUND, HAPROXY_MENTION_OURS, "PNNN"},
        {"", "use_backend b if { var(txn.redis.master) -m found", HAPROXY_MENTION_OURS, "NAAA"},
        {"", "use_backend b if { var(txn.redis.master) -m str R3", HAPROXY_MENTION_OURS, "NPNN"},
    };

    (void)state;
    CHECK_ALL(cases, "master");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables),   cmocka_unit_test(test_variables_of_other_routes),
        cmocka_unit_test(test_other_names), cmocka_unit_test(test_acls),
        cmocka_unit_test(test_terms),       cmocka_unit_test(test_odd_names_of_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
