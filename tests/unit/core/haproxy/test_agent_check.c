/* What agent-checks are told: pulses, the master alone, names that are not known. */
#include "spoa/core/haproxy/agent_check.h"
#include "tests/lib/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define START 100000
#define PULSE 5000
#define FENCE 3000

static const uint8_t identities[1] = {0};

/* One Sentinel, three servers. */
struct fixture {
    struct service_server servers[3];
    struct service_settings settings;
    struct service *service;
    struct agent_checks *checks;
};

static struct fixture begin_delayed(enum check_mode mode, int64_t delay_ms)
{
    static struct fixture fixture;
    static const char *const names[] = {"R1", "R2", "R3"};
    static const char *const addresses[] = {"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"};
    struct agent_check_settings settings = {.mode = mode, .delay_ms = delay_ms, .pulse_ms = PULSE};

    for (size_t i = 0; i < 3; i++) {
        fixture.servers[i].name = names[i];
        assert_true(addr_parse(span_of_text(addresses[i]), &fixture.servers[i].addr));
    }
    fixture.settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = fixture.servers,
        .server_count = 3,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000},
        .policy = {.fence_ms = FENCE},
    };
    fixture.service = service_create(&fixture.settings, START);
    fixture.checks = agent_checks_create();
    assert_non_null(fixture.service);
    assert_non_null(fixture.checks);
    assert_true(agent_checks_add(fixture.checks, fixture.service, &settings));
    return fixture;
}

static struct fixture begin(enum check_mode mode)
{
    return begin_delayed(mode, 0);
}

static void end(const struct fixture *fixture)
{
    service_destroy(fixture->service);
    agent_checks_destroy(fixture->checks);
}

/* The Sentinel names a server, 0 to 2. */
static void name_server(const struct fixture *fixture, size_t server, int64_t now_ms)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &fixture->settings.servers[server].addr,
                                         .t_sent_ms = now_ms};

    (void)step_as(fixture->service, 0, &ballot, now_ms);
}

/* The first letters of the answers for R1, R2 and R3: 'u'p, 'd'own or '#'. */
static const char *ask_all(const struct fixture *fixture, int64_t now_ms)
{
    static char letters[4];
    static const char *const questions[] = {"m R1\n", "m R2\n", "m R3\n"};
    bool is_known = false;

    for (size_t i = 0; i < 3; i++) {
        letters[i] =
            (char)agent_checks_answer(fixture->checks, span_of_text(questions[i]), now_ms, &is_known).data[0];
        assert_true(is_known);
    }
    return letters;
}

static const char *answer_to(const struct fixture *fixture, const char *question, int64_t now_ms)
{
    static char text[64];
    bool is_known = false;
    struct span said = agent_checks_answer(fixture->checks, span_of_text(question), now_ms, &is_known);

    (void)snprintf(text, sizeof(text), "%.*s", (int)said.len, (const char *)said.data);
    return text;
}

static void test_pulse(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);

    (void)state;
    assert_string_equal(ask_all(&f, START), "uuu");
    name_server(&f, 0, START);
    assert_string_equal(ask_all(&f, START), "uuu"); /* the first master replaces nobody */
    name_server(&f, 1, START + 100);
    assert_string_equal(ask_all(&f, START + 100), "duu");
    assert_string_equal(ask_all(&f, START + 100 + PULSE - 1), "duu");
    assert_string_equal(ask_all(&f, START + 100 + PULSE), "uuu");
    end(&f);
}

/* A server that is down goes on being down over a reload, wherever it stands in the next file. */
static void test_pulse_over_a_reload(void **state)
{
    struct fixture former = begin(CHECK_MODE_PULSE);
    const struct agent_check_settings pulse = {.mode = CHECK_MODE_PULSE, .pulse_ms = PULSE};
    const struct service_server servers[] = {former.servers[2], former.servers[0]};
    struct fixture next = former;

    (void)state;
    name_server(&former, 0, START);
    name_server(&former, 1, START + 100);
    next.settings.servers = servers;
    next.settings.server_count = 2;
    next.service = service_create(&next.settings, START + 200);
    next.checks = agent_checks_create();
    assert_non_null(next.service);
    assert_non_null(next.checks);
    assert_true(agent_checks_add(next.checks, next.service, &pulse));
    agent_checks_inherit(next.checks, former.checks, "m");
    agent_checks_inherit(next.checks, former.checks, "new");
    assert_string_equal(answer_to(&next, "m R1\n", START + 200), "down #its sessions are to be cut\n");
    assert_string_equal(answer_to(&next, "m R3\n", START + 200), "up\n");
    assert_string_equal(answer_to(&next, "m R1\n", START + 100 + PULSE), "up\n");
    end(&next);
    end(&former);
}

/* A service that only one of the files has: nothing is known of it. */
static void test_a_service_of_one_file(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);
    struct agent_checks *none = agent_checks_create();

    (void)state;
    assert_non_null(none);
    name_server(&f, 0, START);
    name_server(&f, 1, START + 100);
    agent_checks_inherit(f.checks, none, "m");
    assert_string_equal(ask_all(&f, START + 100), "duu");
    agent_checks_inherit(none, f.checks, "m");
    agent_checks_destroy(none);
    end(&f);
}

/* A node outside the map has no pulse, and it changes none. */
static void test_a_master_outside_the_map(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);
    struct addr addr;
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = START};

    (void)state;
    end(&f);
    assert_true(addr_parse(span_of_text("10.0.0.9:6379"), &addr));
    f.settings.allow_any_address = true;
    f.service = service_create(&f.settings, START);
    f.checks = agent_checks_create();
    assert_non_null(f.service);
    assert_non_null(f.checks);
    assert_true(agent_checks_add(f.checks, f.service, &(struct agent_check_settings){.pulse_ms = PULSE}));
    (void)step_as(f.service, 0, &ballot, START);
    assert_int_equal(service_decision(f.service)->generation, 1);
    assert_string_equal(ask_all(&f, START), "uuu");
    name_server(&f, 1, START + 100);
    assert_int_equal(service_decision(f.service)->generation, 2);
    assert_string_equal(ask_all(&f, START + 100), "uuu");
    end(&f);
}

/* Until nobody is connecting any more the old master is up, in both modes. */
static void test_delay(void **state)
{
    static const enum check_mode modes[] = {CHECK_MODE_PULSE, CHECK_MODE_MASTER};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = begin_delayed(modes[i], 300);
        char others = modes[i] == CHECK_MODE_PULSE ? 'u' : 'd';
        name_server(&f, 0, START);
        name_server(&f, 1, START + 100);
        assert_int_equal(ask_all(&f, START + 100)[0], 'u');
        assert_int_equal(ask_all(&f, START + 399)[0], 'u');
        assert_int_equal(ask_all(&f, START + 400)[0], 'd');
        assert_int_equal(ask_all(&f, START + 400)[1], 'u');
        assert_int_equal(ask_all(&f, START + 399 + PULSE)[0], 'd');
        assert_int_equal(ask_all(&f, START + 400 + PULSE)[0], others);
        name_server(&f, 2, START + 9000);
        name_server(&f, 1, START + 9100); /* named again within the delay: it is never down */
        assert_int_equal(ask_all(&f, START + 9300)[1], 'u');
        end(&f);
    }
}

/* One that is fenced off is down already, and stays down when it is replaced. */
static void test_delay_after_a_fence(void **state)
{
    struct fixture f = begin_delayed(CHECK_MODE_MASTER, 300);
    int64_t fenced_ms = START + 2000 + FENCE;

    (void)state;
    name_server(&f, 0, START);
    service_review(f.service, START + 2000);
    service_review(f.service, fenced_ms);
    assert_string_equal(ask_all(&f, fenced_ms + 299), "udd");
    assert_string_equal(ask_all(&f, fenced_ms + 300), "ddd");
    name_server(&f, 1, fenced_ms + 400);
    assert_string_equal(ask_all(&f, fenced_ms + 400), "dud");
    assert_string_equal(ask_all(&f, fenced_ms + 600), "dud");
    end(&f);
}

/* The checks are younger than the fence, as after a reload: there is no earlier beginning to keep. */
static void test_delay_after_a_fence_that_was_not_seen(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);
    const struct agent_check_settings settings = {
        .mode = CHECK_MODE_PULSE, .delay_ms = 300, .pulse_ms = PULSE};
    struct agent_checks *late = agent_checks_create();
    int64_t fenced_ms = START + 2000 + FENCE;

    (void)state;
    assert_non_null(late);
    name_server(&f, 0, START);
    service_review(f.service, START + 2000);
    service_review(f.service, fenced_ms);
    assert_true(agent_checks_add(late, f.service, &settings));
    const struct fixture second = {.checks = late};
    name_server(&f, 1, fenced_ms + 400);
    assert_string_equal(ask_all(&second, fenced_ms + 699), "uuu");
    assert_string_equal(ask_all(&second, fenced_ms + 700), "duu");
    end(&f);
    agent_checks_destroy(late);
}

static void test_second_switch_within_a_pulse(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);

    (void)state;
    name_server(&f, 0, START);
    name_server(&f, 1, START + 100);
    name_server(&f, 2, START + 200);
    assert_string_equal(ask_all(&f, START + 200), "ddu");
    name_server(&f, 0, START + 300); /* the master again: HAProxy must not hold it down */
    assert_string_equal(ask_all(&f, START + 300), "udd");
    assert_string_equal(ask_all(&f, START + 100 + PULSE), "udd");
    assert_string_equal(ask_all(&f, START + 300 + PULSE), "uuu");
    end(&f);
}

static void test_fence_is_a_pulse(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);
    int64_t fenced_ms = START + 2000 + FENCE;

    (void)state;
    name_server(&f, 0, START);
    service_review(f.service, START + 2000);
    assert_string_equal(ask_all(&f, START + 2000), "uuu");
    service_review(f.service, fenced_ms);
    assert_true(service_decision(f.service)->is_fenced);
    assert_string_equal(ask_all(&f, fenced_ms), "duu");
    assert_string_equal(ask_all(&f, fenced_ms + PULSE), "uuu");
    end(&f);
}

static void test_a_fence_that_ends_gives_the_master_back(void **state)
{
    struct fixture f = begin(CHECK_MODE_PULSE);
    int64_t fenced_ms = START + 2000 + FENCE;

    (void)state;
    name_server(&f, 0, START);
    service_review(f.service, START + 2000);
    service_review(f.service, fenced_ms);
    name_server(&f, 0, fenced_ms + 10);
    assert_string_equal(ask_all(&f, fenced_ms + 10), "uuu");
    end(&f);
}

static void test_master_mode(void **state)
{
    struct fixture f = begin(CHECK_MODE_MASTER);

    (void)state;
    assert_string_equal(ask_all(&f, START), "###"); /* starting: HAProxy changes nothing */
    name_server(&f, 0, START);
    assert_string_equal(ask_all(&f, START), "udd");
    name_server(&f, 1, START + 100);
    assert_string_equal(ask_all(&f, START + 100), "dud");
    service_review(f.service, START + 2100); /* no majority: sessions live on until the fence */
    assert_string_equal(ask_all(&f, START + 2100), "dud");
    service_review(f.service, START + 2100 + FENCE);
    assert_string_equal(ask_all(&f, START + 2100 + FENCE), "ddd");
    assert_string_equal(ask_all(&f, START + 2100 + FENCE + 2 * PULSE), "ddd");
    name_server(&f, 1, START + 60000);
    assert_string_equal(ask_all(&f, START + 60000), "dud");
    end(&f);
}

/* `down` and the reason are words of their own, for HAProxy reads by words. */
static void test_wording(void **state)
{
    struct fixture f = begin(CHECK_MODE_MASTER);
    bool is_known = false;

    (void)state;
    name_server(&f, 0, START);
    struct span up = agent_checks_answer(f.checks, span_of_text("m R1\n"), START, &is_known);
    assert_true(span_equals_text(up, "up\n"));
    struct span down = agent_checks_answer(f.checks, span_of_text("m\tR2 \r\n"), START, &is_known);
    assert_true(span_equals_text(down, "down #not the master\n"));
    end(&f);
}

static void test_unknown_names(void **state)
{
    static const struct {
        const char *question;
        const char *answer;
    } cases[] = {
        {"x R1\n", "fail #unknown service\n"}, {"m R4\n", "fail #unknown server\n"},
        {"m\n", "fail #unknown server\n"},     {"\n", "fail #unknown service\n"},
        {"mR1\n", "fail #unknown service\n"},  {"m R\n", "fail #unknown server\n"},
        {"m R11\n", "fail #unknown server\n"}, {"R1 m\n", "fail #unknown service\n"},
    };
    struct fixture f = begin(CHECK_MODE_PULSE);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool is_known = true;
        struct span answer = agent_checks_answer(f.checks, span_of_text(cases[i].question), START, &is_known);
        assert_false(is_known);
        if (!span_equals_text(answer, cases[i].answer))
            fail_msg("'%s' was answered otherwise than '%s'", cases[i].question, cases[i].answer);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pulse),
        cmocka_unit_test(test_pulse_over_a_reload),
        cmocka_unit_test(test_a_service_of_one_file),
        cmocka_unit_test(test_a_master_outside_the_map),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_delay_after_a_fence),
        cmocka_unit_test(test_delay_after_a_fence_that_was_not_seen),
        cmocka_unit_test(test_second_switch_within_a_pulse),
        cmocka_unit_test(test_fence_is_a_pulse),
        cmocka_unit_test(test_a_fence_that_ends_gives_the_master_back),
        cmocka_unit_test(test_master_mode),
        cmocka_unit_test(test_wording),
        cmocka_unit_test(test_unknown_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
