/* Links to nodes over a reload: those that the next configuration would make as well are kept, the others are not. */
#include "spoa/io/redis/role_links.h"

#include <stdio.h>

#include "spoa/core/base/log.h"
#include "spoa/core/decision/handover.h"
#include "spoa/io/net/loop.h"
#include "tests/unit/io/node_fixture.h"

#define INTERVAL_MS 40
#define TIMEOUT_MS 5000
/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000
#define IDENTITY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* What a configuration comes to: one voter, one service, the link to its node. */
struct side {
    struct service_server servers[2];
    struct service_settings service_settings;
    struct service *service;
    uint8_t identities[1];
    struct voter_group *group;
    struct role_probe_settings settings;
    struct role_link *kept[1];
    const struct tls *tls[1];
    struct role_links *links;
};

struct fixture {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct metrics metrics;
    struct scripted_node nodes[2];
    struct side former;
    struct side next;
};

static struct fixture f;

static void on_stepped(void *context)
{
    (void)context;
}

static void create_service(struct side *side, unsigned first, unsigned count)
{
    static const char *const names[] = {"R1", "R2"};
    static const char *const voter_names[] = {"s0"};

    for (unsigned i = 0; i < count; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "127.0.0.1:%u", f.nodes[first + i].port);
        side->servers[i].name = names[first + i];
        assert_true(addr_parse(span_of_text(text), &side->servers[i].addr));
    }
    side->service_settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = side->servers,
        .server_count = count,
        .quorum = {.identities = side->identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = TIMEOUT_MS,
                   .vote_life_ms = 60000,
                   .hold_ms = 150},
        .policy = {.role_check = ROLE_CHECK_VETO},
    };
    side->service = service_create(&side->service_settings, clock_ms());
    const struct voter_group_options options = {.name = "",
                                                .voter_count = 1,
                                                .voter_names = voter_names,
                                                .services = &side->service,
                                                .service_count = 1,
                                                .identities = side->identities,
                                                .metrics = &f.metrics};
    side->group = voter_group_create(&options, clock_ms());
    voter_group_identify(side->group, 0, span_of_text(IDENTITY), clock_ms());
}

/* Of the servers from `first` on. `kept`: a link to be kept, or NULL. */
static void begin(struct side *side, unsigned first, unsigned count, struct role_link *kept)
{
    size_t budget = 1;

    *side = (struct side){.kept = {kept}};
    create_service(side, first, count);
    side->settings = (struct role_probe_settings){
        .interval_ms = INTERVAL_MS,
        .reply_timeout_ms = TIMEOUT_MS,
        .conversation = peer_times(TIMEOUT_MS, INTERVAL_MS, TIMEOUT_MS),
    };
    const struct role_links_options options = {.group = side->group,
                                               .services = &side->service,
                                               .settings = &side->settings,
                                               .tls = side->tls,
                                               .kept = side->kept,
                                               .service_count = 1,
                                               .metrics = &f.metrics,
                                               .stepped = on_stepped,
                                               .seed = 1};
    side->links = role_links_create(f.loop, f.resolver, &options);
    assert_non_null(side->links);
    assert_int_equal(role_links_build(side->links, &budget), PROGRESS_DONE);
}

static void end(struct side *side)
{
    size_t budget = 1;

    assert_false(role_links_shed(side->links, &budget));
    role_links_destroy(side->links);
    voter_group_destroy(side->group);
    service_destroy(side->service);
}

/* The voter names this node. */
static void name(const struct side *side, unsigned node)
{
    struct addr addr;
    char text[32];

    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", f.nodes[node].port);
    assert_true(addr_parse(span_of_text(text), &addr));
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = clock_ms()};
    (void)voter_group_step(side->group, 0, &ballot, clock_ms());
}

/* Runs until the node was asked for its role so often. */
static void wait_roles(const struct scripted_node *node, unsigned count)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (node->roles < count && clock_ms() < deadline_ms)
        ev_run(f.loop, EVRUN_ONCE);
    assert_true(node->roles >= count);
}

static void wait_open(const struct scripted_node *node, unsigned count)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (node->open != count && clock_ms() < deadline_ms)
        ev_run(f.loop, EVRUN_ONCE);
    assert_int_equal(node->open, count);
}

/* Runs until the answer to what was asked has come: it is asked again. */
static void hear(const struct scripted_node *node)
{
    wait_roles(node, node->roles + 2);
}

static enum handover_lack lack(void)
{
    role_links_look(f.next.links, 0, clock_ms());
    return handover_lack(f.next.service, f.former.service, clock_ms());
}

static void take_over(void)
{
    static const int voters[] = {0};

    handover(f.next.service, f.former.service, voters, clock_ms());
    role_links_catch_up(f.next.links, 0, clock_ms());
}

static int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    f.loop = ev_loop_new(EVFLAG_AUTO);
    f.resolver = resolver_create(f.loop);
    for (size_t i = 0; i < 2; i++)
        node_start(&f.nodes[i], f.loop);
    begin(&f.former, 0, 2, NULL);
    name(&f.former, 0);
    hear(&f.nodes[0]);
    assert_int_equal(f.nodes[0].accepted, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        node_stop(&f.nodes[i]);
    resolver_destroy(f.resolver);
    ev_loop_destroy(f.loop);
    return 0;
}

/* The next one relies on what the former one is told, and goes on with its connection. */
static void test_kept(void **state)
{
    (void)state;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    assert_null(role_links_find(f.next.links, 0));
    name(&f.next, 0);
    assert_int_equal(handover_lack(f.next.service, f.former.service, clock_ms()), HANDOVER_UNPROBED);
    assert_int_equal(lack(), HANDOVER_READY);
    take_over();
    assert_null(role_links_find(f.former.links, 0));
    end(&f.former);
    hear(&f.nodes[0]);
    assert_int_equal(f.nodes[0].accepted, 1);
    assert_int_equal(f.nodes[0].open, 1);
    /* It follows the next one's decisions. */
    name(&f.next, 1);
    hear(&f.nodes[1]);
    wait_open(&f.nodes[0], 0);
    end(&f.next);
}

/* What was asked for the former one is answered to the next one. */
static void test_moved_while_a_reply_is_awaited(void **state)
{
    char byte;

    (void)state;
    f.nodes[0].is_silent = true;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    name(&f.next, 0);
    assert_int_equal(lack(), HANDOVER_READY);
    uint64_t asked = f.metrics.role_probes_total;
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;
    while (recv(f.nodes[0].talking[0].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1 && clock_ms() < deadline_ms)
        ev_run(f.loop, EVRUN_ONCE);
    take_over();
    end(&f.former);
    f.nodes[0].is_silent = false;
    while (f.metrics.role_probes_total < asked + 2 && clock_ms() < deadline_ms)
        ev_run(f.loop, EVRUN_ONCE);
    assert_true(f.metrics.role_probes_total >= asked + 2);
    assert_int_equal(f.nodes[0].accepted, 1);
    end(&f.next);
}

/* The link closes after it has moved: that is a doubt of the next service. */
static void test_closed_after_the_move(void **state)
{
    (void)state;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    name(&f.next, 0);
    assert_int_equal(lack(), HANDOVER_READY);
    take_over();
    end(&f.former);
    node_hang_up(&f.nodes[0], &f.nodes[0].talking[0]);
    wait_open(&f.nodes[0], 1);
    hear(&f.nodes[0]);
    assert_int_equal(f.nodes[0].accepted, 2);
    assert_int_equal(f.metrics.role_probe_failures_total, 1);
    end(&f.next);
}

/* Each names another node: each has its link. */
static void test_another_node(void **state)
{
    (void)state;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    name(&f.next, 1);
    assert_non_null(role_links_find(f.next.links, 0));
    hear(&f.nodes[1]);
    assert_int_equal(lack(), HANDOVER_READY);
    take_over();
    assert_non_null(role_links_find(f.former.links, 0));
    end(&f.former);
    wait_open(&f.nodes[0], 0);
    hear(&f.nodes[1]);
    assert_int_equal(f.nodes[1].accepted, 1);
    end(&f.next);
}

/* The former service goes away from the node that the next one names. */
static void test_the_former_one_leaves(void **state)
{
    (void)state;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    name(&f.next, 0);
    assert_int_equal(lack(), HANDOVER_READY);
    name(&f.former, 1);
    wait_open(&f.nodes[0], 0);
    (void)lack();
    assert_non_null(role_links_find(f.next.links, 0));
    wait_open(&f.nodes[0], 1);
    hear(&f.nodes[0]);
    end(&f.former);
    end(&f.next);
}

/* A reload that is abandoned has moved nothing, and the next service uses the link no more. */
static void test_abandoned(void **state)
{
    (void)state;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    name(&f.next, 0);
    assert_int_equal(lack(), HANDOVER_READY);
    role_links_give_up(f.next.links);
    name(&f.next, 1);
    assert_null(role_links_find(f.next.links, 0));
    end(&f.next);
    hear(&f.nodes[0]);
    assert_int_equal(f.nodes[0].accepted, 1);
    assert_int_equal(f.nodes[1].accepted, 0);
    end(&f.former);
}

/* The former one is ended first: what is abandoned may have a long way to its end, and does not touch its link. */
static void test_abandoned_and_outlived(void **state)
{
    (void)state;
    begin(&f.next, 0, 2, role_links_find(f.former.links, 0));
    name(&f.next, 0);
    assert_int_equal(lack(), HANDOVER_READY);
    role_links_give_up(f.next.links);
    end(&f.former);
    assert_null(role_links_find(f.next.links, 0));
    end(&f.next);
    wait_open(&f.nodes[0], 0);
}

/* The next map does not have the node: the link ends, and nobody calls there. */
static void test_not_in_the_next_map(void **state)
{
    (void)state;
    begin(&f.next, 1, 1, role_links_find(f.former.links, 0));
    take_over();
    end(&f.former);
    wait_open(&f.nodes[0], 0);
    name(&f.next, 1);
    hear(&f.nodes[1]);
    assert_int_equal(f.nodes[0].accepted, 1);
    end(&f.next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kept),
        TEST(test_moved_while_a_reply_is_awaited),
        TEST(test_closed_after_the_move),
        TEST(test_another_node),
        TEST(test_the_former_one_leaves),
        TEST(test_abandoned),
        TEST(test_abandoned_and_outlived),
        TEST(test_not_in_the_next_map),
    };

    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("role_links", tests, NULL, NULL);
}
