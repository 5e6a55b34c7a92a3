/* The table of services, and the answers that it gives out: encoded, whole, never too long for a frame. */
#include "spoa/core/haproxy/service_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/spop_frame.h"
#include "spoa/core/haproxy/actions.h"
#include "tests/lib/events.h"

#define START 100000

static const uint8_t identities[1] = {0};

static struct service_settings settings_of(const char *name)
{
    return (struct service_settings){.name = name,
                                     .monitor = name,
                                     .allow_any_address = true,
                                     .quorum = {.identities = identities,
                                                .voters = 1,
                                                .threshold = 1,
                                                .reply_timeout_ms = 500,
                                                .vote_life_ms = 2000,
                                                .hold_ms = QUORUM_HOLD_MS,
                                                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS}};
}

static void name_master(struct service *service)
{
    struct addr addr;
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = START};

    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &addr));
    (void)step_as(service, 0, &ballot, START);
}

/* As a session does: what is not known from before is read. */
static bool resolve(struct service_table *table, struct span payload, struct parking_queue **ret_queue)
{
    *ret_queue = service_table_recall(table, payload);
    return *ret_queue != NULL || service_table_resolve(table, payload, ret_queue);
}

/* The same question as a NOTIFY, asked twice: as a new one, and as one that is known by its bytes. */
static void check_resolved(struct service_table *table, const struct service_question *question,
                           const struct parking_queue *wanted)
{
    uint8_t space[100];
    struct sink payload = sink_of(space, sizeof(space));
    struct spop_value service = spop_text(question->service);
    struct spop_value role = spop_text(question->role);

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, (uint8_t)((question->service.data != NULL) + (question->role.data != NULL)));
    if (question->service.data != NULL)
        spop_kv_write(&payload, "service", &service);
    if (question->role.data != NULL)
        spop_kv_write(&payload, "role", &role);
    assert_false(payload.full);
    for (int i = 0; i < 2; i++) {
        struct parking_queue *queue = NULL;
        assert_true(resolve(table, span_of(space, (size_t)(payload.at - space)), &queue));
        assert_ptr_equal(queue, wanted);
    }
}

/* The state in the answer to a question; NULL: left out. */
static const char *ask(struct service_table *table, const char *service, const char *role)
{
    static char state[32];
    struct service_question question = {.service = {.data = NULL}};

    if (service != NULL)
        question.service = span_of_text(service);
    if (role != NULL)
        question.role = span_of_text(role);
    struct parking_queue *queue = service_table_find(table, &question);
    check_resolved(table, &question, queue);
    const struct answer_words *words = service_table_answer(table, queue, START);
    struct span actions = answer_actions(words);
    struct spop_value value = spop_text(span_of_text("?"));
    struct span head = value.text;
    struct span variable = value.text;
    assert_true(span_take(&actions, 3, &head) && spop_name_read(&actions, &variable));
    assert_true(span_equals_text(variable, "state") && spop_value_read(&actions, &value));
    snprintf(state, sizeof(state), "%.*s", (int)value.text.len, (const char *)value.text.data);
    assert_int_equal(words->is_named, strcmp(state, "ok") == 0);
    return state;
}

static void test_questions(void **state)
{
    struct service_settings settings[] = {settings_of("one"), settings_of("two")};
    struct service *one = service_create(&settings[0], START);
    struct service *two = service_create(&settings[1], START);
    struct service_table *table = service_table_create(NULL);

    (void)state;
    assert_true(service_table_is_ready(table));
    assert_string_equal(ask(table, NULL, NULL), "unknown-service");
    assert_true(service_table_add(table, one));
    assert_false(service_table_is_ready(table));
    assert_string_equal(ask(table, NULL, NULL), "starting");
    name_master(one);
    assert_true(service_table_is_ready(table));
    assert_string_equal(ask(table, NULL, NULL), "ok");
    assert_string_equal(ask(table, "one", "master"), "ok");
    assert_string_equal(ask(table, "one", "replica"), "unknown-service");
    assert_string_equal(ask(table, "", NULL), "unknown-service");
    assert_true(service_table_add(table, two));
    assert_string_equal(ask(table, NULL, NULL), "unknown-service"); /* which of the two? */
    assert_string_equal(ask(table, "one", NULL), "ok");
    assert_string_equal(ask(table, "two", NULL), "starting");
    assert_string_equal(ask(table, "on", NULL), "unknown-service");
    assert_string_equal(ask(table, "one\n", NULL), "unknown-service");
    service_table_destroy(table);
    service_table_destroy(NULL);
    service_destroy(one);
    service_destroy(two);
}

/* The value of a text variable that is set in an answer, "" where it is not. */
static const char *text_set(struct span actions, const char *name)
{
    static char text[SERVER_NAME_MAX + 1];
    char head[32];
    int len = snprintf(head, sizeof(head), "\x01\x03\x02%c%s\x08", (char)strlen(name), name);
    const uint8_t *at = memmem(actions.data, actions.len, head, (size_t)len);

    if (at == NULL)
        return "";
    snprintf(text, sizeof(text), "%.*s", at[len], (const char *)at + len + 1);
    return text;
}

/* What is said to one who asks for a replica: the variables state, replica and master. */
static void check_replica(struct service_table *table, const char *state, const char *replica)
{
    struct service_question question = {.service = {.data = NULL}, .role = span_of_text("replica")};
    const struct answer_words *words =
        service_table_answer(table, service_table_find(table, &question), START);
    struct span actions = answer_actions(words);

    assert_string_equal(text_set(actions, "state"), state);
    assert_string_equal(text_set(actions, "replica"), replica);
    assert_string_equal(text_set(actions, "master"), "");
    assert_int_equal(words->is_named, replica[0] != '\0');
}

static void say_up(struct service *service, const struct service_server *servers, uint64_t up)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = START, .addr = &servers[0].addr, .servers = up};

    (void)service_step(service, &event, START);
}

static void test_replicas(void **state)
{
    struct service_server servers[] = {
        {.name = "A", .weight = 1}, {.name = "B", .weight = 1}, {.name = "C", .weight = 1}};
    struct service_settings settings = settings_of("one");
    static const char *const addresses[] = {"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_true(addr_parse(span_of_text(addresses[i]), &servers[i].addr));
    settings.servers = servers;
    settings.server_count = 3;
    settings.replicas.is_enabled = true;
    struct service *service = service_create(&settings, START);
    struct service_table *table = service_table_create(NULL);
    assert_true(service_table_add(table, service));
    check_replica(table, "starting", "");
    name_master(service);
    check_replica(table, "no-replica", "");
    assert_string_equal(ask(table, NULL, "master"), "ok");
    say_up(service, servers, 0x6);
    check_replica(table, "ok", "B");
    check_replica(table, "ok", "C");
    check_replica(table, "ok", "B");
    say_up(service, servers, 0x4);
    check_replica(table, "ok", "C");
    settings.replicas.fall_back = true;
    check_replica(table, "ok", "C");
    say_up(service, servers, 0);
    check_replica(table, "ok", "A"); /* the master itself */
    assert_string_equal(ask(table, NULL, "slave"), "unknown-service");
    service_table_destroy(table);
    service_destroy(service);
}

/* The longest of everything still fits the smallest frame that HAProxy may ask for. */
static void test_the_longest_answer_fits(void **state)
{
    char server[SERVER_NAME_MAX + 1];
    uint8_t actions[ACTIONS_MAX];
    uint8_t out[SPOP_FRAME_SIZE_MIN + SPOP_LEN_BYTES];
    struct addr addr;
    struct sink sink = sink_of(out, sizeof(out));

    (void)state;
    memset(server, 'x', sizeof(server) - 1);
    server[sizeof(server) - 1] = '\0';
    assert_true(addr_parse(span_of_text("[2001:db8:1:2:3:4:5:6]:65535"), &addr));
    struct actions longest = {.state = "unknown-address",
                              .is_replica = true,
                              .server = server,
                              .addr = &addr,
                              .votes = QUORUM_VOTERS_MAX,
                              .generation = UINT64_MAX};
    size_t len = actions_encode(&longest, actions);
    assert_true(len <= ACTIONS_MAX);
    spop_ack_write(&sink, UINT64_MAX, UINT64_MAX, span_of(actions, len));
    assert_false(sink.full);
    longest.is_replica = false;
    assert_int_equal(actions_encode(&longest, actions), len - 1); /* "master" and "replica" */
}

/* Nobody is named: all that could be left from a look-up before is unset. */
static void test_no_name_unsets(void **state)
{
    static const char *const unset[] = {"master", "addr", "port", "votes", "generation"};
    struct actions nobody = {.state = "no-quorum", .server = "R1"};
    uint8_t out[ACTIONS_MAX];
    size_t len = actions_encode(&nobody, out);

    (void)state;
    for (size_t i = 0; i < sizeof(unset) / sizeof(*unset); i++) {
        char action[32];
        int size = snprintf(action, sizeof(action), "\x02\x02\x02%c%s", (char)strlen(unset[i]), unset[i]);
        assert_non_null(memmem(out, len, action, (size_t)size));
    }
    nobody.is_replica = true; /* the other role's name is left alone */
    len = actions_encode(&nobody, out);
    assert_non_null(memmem(out, len, "replica", 7));
    assert_null(memmem(out, len, "master", 6));
}

static bool is_idle(struct service_table *table)
{
    size_t budget = PROGRESS_UNLIMITED;

    return service_table_is_idle(table, &budget);
}

static void ignore_wake(void *context)
{
    (void)context;
}

/* Streams that wait stay with their service. Those of a service that is gone are told so at once. */
static void test_change_over(void **state)
{
    static const char *const names[] = {"stays", "goes"};
    struct parking *parking = parking_create(10, ignore_wake, NULL);
    struct service_table *table = service_table_create(parking);
    struct service_table *next = service_table_create(parking);
    struct service_settings settings[3];
    struct service *services[3];
    struct parking_client clients[2] = {{.count = 0}};
    struct parking_answer answer;

    (void)state;
    assert_true(parking != NULL && table != NULL && next != NULL);
    for (size_t i = 0; i < 3; i++) {
        settings[i] = settings_of(names[i % 2]);
        settings[i].park_ms = 1000;
        services[i] = service_create(&settings[i], START);
        assert_non_null(services[i]);
        assert_true(service_table_add(i < 2 ? table : next, services[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        struct service_question question = {.service = span_of_text(names[i])};
        struct parking_queue *queue = service_table_find(table, &question);
        check_resolved(table, &question, queue);
        assert_true(
            parking_park(queue, &clients[i], &(struct client){.kind = CLIENT_NOT_GIVEN}, i, i, START));
    }
    service_table_change_over(table, next, START);
    for (size_t i = 0; i < 2; i++) {
        struct service_question question = {.service = span_of_text(names[i])};
        struct parking_queue *queue = service_table_find(table, &question);
        assert_ptr_equal(queue != NULL ? queue->service : NULL, i == 0 ? services[2] : NULL);
        check_resolved(table, &question, queue);
    }
    assert_false(is_idle(next));
    assert_false(parking_next(&clients[0], START, &answer));
    name_master(services[1]); /* it lives on for a while, but nobody is sent to its master */
    assert_true(parking_next(&clients[1], START, &answer));
    assert_false(answer.is_named);
    assert_non_null(memmem(answer.actions.data, answer.actions.len, "unknown-service", 15));
    assert_null(answer.queue);
    assert_true(is_idle(next));
    name_master(services[2]);
    assert_true(parking_next(&clients[0], START, &answer));
    assert_true(answer.is_named);
    assert_int_equal(answer.stream_id, 0);
    assert_int_equal(parking_count(parking), 0);
    service_table_destroy(table);
    service_table_destroy(next);
    for (size_t i = 0; i < 3; i++)
        service_destroy(services[i]);
    parking_destroy(parking);
}

/* Whether somebody waits is found out in slices. Each goes on where the last one ended. */
static void test_idle_in_slices(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct service_table *table = service_table_create(NULL);
    struct service_settings settings[3];
    struct service *services[3];
    size_t budget = 2;

    (void)state;
    assert_non_null(table);
    for (size_t i = 0; i < 3; i++) {
        settings[i] = settings_of(names[i]);
        services[i] = service_create(&settings[i], START);
        assert_true(services[i] != NULL && service_table_add(table, services[i]));
    }
    assert_false(service_table_is_idle(table, &budget));
    assert_int_equal(budget, 0);
    assert_false(service_table_is_idle(table, &budget));
    budget = 2;
    assert_true(service_table_is_idle(table, &budget));
    assert_int_equal(budget, 1);
    assert_true(service_table_is_idle(table, &budget));
    assert_int_equal(budget, 1);
    service_table_destroy(table);
    for (size_t i = 0; i < 3; i++)
        service_destroy(services[i]);
}

/* The queue of a service by its name; NULL: it is not known. */
static struct parking_queue *find(struct service_table *table, const char *service, const char *role)
{
    const struct service_question question = {.service = span_of_text(service), .role = span_of_text(role)};

    return service_table_find(table, &question);
}

static const struct service *find_service(struct service_table *table, const char *service)
{
    const struct parking_queue *queue = find(table, service, "master");

    return queue != NULL ? queue->service : NULL;
}

/* Services move one by one: each is asked where it is, and what does not move is asked until the end. */
static void test_change_over_in_steps(void **state)
{
    static const char *const names[] = {"stays", "goes", "stays", "comes"};
    struct service_table *table = service_table_create(NULL);
    struct service_table *next = service_table_create(NULL);
    struct service_settings settings[4];
    struct service *services[4];

    (void)state;
    assert_true(table != NULL && next != NULL);
    for (size_t i = 0; i < 4; i++) {
        settings[i] = settings_of(names[i]);
        services[i] = service_create(&settings[i], START);
        assert_true(service_table_add(i < 2 ? table : next, services[i]));
    }
    service_table_begin(table, next);
    assert_ptr_equal(find_service(table, "stays"), services[0]);
    assert_null(find_service(table, "comes"));
    service_table_move(table, "stays", START);
    assert_ptr_equal(find_service(table, "stays"), services[2]);
    assert_ptr_equal(find_service(table, "goes"), services[1]);
    assert_null(find_service(table, "comes"));
    service_table_move(table, "comes", START);
    assert_ptr_equal(find_service(table, "comes"), services[3]);
    assert_string_equal(ask(table, "stays", NULL), "starting");
    assert_null(service_table_latest(table)); /* nothing is kept for repeats meanwhile */
    service_table_end(table, START);
    assert_ptr_equal(find_service(table, "stays"), services[2]);
    assert_ptr_equal(find_service(table, "comes"), services[3]);
    assert_null(find_service(table, "goes"));
    assert_string_equal(ask(table, "stays", NULL), "starting");
    assert_non_null(service_table_latest(table));
    service_table_destroy(next);
    assert_null(find_service(table, "goes"));
    service_table_destroy(table);
    for (size_t i = 0; i < 4; i++)
        service_destroy(services[i]);
}

/* Who waits for a replica stays with the service, too, and is told where it is gone. */
static void test_change_over_of_replicas(void **state)
{
    static const char *const names[] = {"stays", "goes", "stays"};
    struct parking *parking = parking_create(10, ignore_wake, NULL);
    struct service_table *table = service_table_create(parking);
    struct service_table *next = service_table_create(parking);
    struct service_settings settings[3];
    struct service *services[3];
    struct parking_client clients[2] = {{.count = 0}};
    struct parking_answer answer;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        settings[i] = settings_of(names[i]);
        settings[i].park_ms = 1000;
        settings[i].replicas.is_enabled = true;
        services[i] = service_create(&settings[i], START);
        assert_true(service_table_add(i < 2 ? table : next, services[i]));
    }
    for (size_t i = 0; i < 2; i++)
        assert_true(parking_park(find(table, names[i], "replica"), &clients[i],
                                 &(struct client){.kind = CLIENT_NOT_GIVEN}, i, i, START));
    assert_false(is_idle(table));
    assert_true(is_idle(next));
    service_table_change_over(table, next, START);
    assert_false(parking_next(&clients[0], START, &answer));
    assert_int_equal(find(table, "stays", "replica")->count, 1);
    assert_true(parking_next(&clients[1], START, &answer));
    assert_non_null(memmem(answer.actions.data, answer.actions.len, "unknown-service", 15));
    assert_true(is_idle(next));
    service_table_destroy(next); /* nobody looks at the former queues any more */
    parking_tick(parking, START + 1000);
    assert_true(parking_next(&clients[0], START + 1000, &answer));
    assert_int_equal(answer.stream_id, 0);
    assert_int_equal(parking_count(parking), 0);
    service_table_destroy(table);
    for (size_t i = 0; i < 3; i++)
        service_destroy(services[i]);
    parking_destroy(parking);
}

/* A table is freed piece by piece. */
static void test_shed(void **state)
{
    struct service_settings settings[] = {settings_of("one"), settings_of("two")};
    struct service *services[] = {service_create(&settings[0], START), service_create(&settings[1], START)};
    struct service_table *table = service_table_create(NULL);
    size_t budget = 1;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_true(service_table_add(table, services[i]));
    for (size_t i = 0; i < 2; i++)
        service_destroy(services[i]);
    assert_true(service_table_shed(table, &budget));
    budget = 2;
    assert_false(service_table_shed(table, &budget));
    assert_int_equal(budget, 1);
    assert_false(service_table_shed(NULL, &budget));
    service_table_destroy(table);
}

/* A NOTIFY without any argument but the service. */
static struct spop_frame frame_for(uint8_t *space, size_t size, const char *service)
{
    struct sink out = sink_of(space, size);
    struct spop_value name = spop_text(span_of_text(service));

    spop_name_write(&out, span_of_text("find-master"));
    sink_put_byte(&out, 1);
    spop_kv_write(&out, "service", &name);
    return (struct spop_frame){.payload = span_of(space, (size_t)(out.at - space))};
}

/* What says whether questions are looked up one by one, or many at once. */
static void test_mixed_questions(void **state)
{
    struct service_settings settings[] = {settings_of("one"), settings_of("two")};
    struct service *services[] = {service_create(&settings[0], START), service_create(&settings[1], START)};
    struct service_table *table = service_table_create(NULL);
    uint8_t space[3][64];
    struct spop_frame frames[3];
    struct parking_queue *queues[3];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_true(service_table_add(table, services[i]));
    for (size_t i = 0; i < 3; i++)
        frames[i] = frame_for(space[i], sizeof(space[i]), i < 2 ? settings[i].name : "nobody");
    const struct spop_frame by_turns[] = {frames[0], frames[0], frames[1]};
    const struct spop_frame alike[] = {frames[1], frames[1]};
    for (size_t i = 0; i < 2; i++)
        assert_true(service_table_resolve(table, frames[i].payload, &queues[i]));
    service_table_recall_all(table, by_turns, 3, queues);
    assert_ptr_equal(queues[1]->service, services[0]);
    assert_ptr_equal(queues[2]->service, services[1]);
    assert_true(service_table_is_mixed(table));
    service_table_recall_all(table, alike, 1, queues); /* one alone proves nothing */
    assert_true(service_table_is_mixed(table));
    service_table_recall_all(table, alike, 2, queues);
    assert_false(service_table_is_mixed(table));
    service_table_recall_all(table, frames + 1, 2, queues); /* one that is not known */
    assert_null(queues[1]);
    assert_true(service_table_is_mixed(table));
    (void)service_table_recall(table, frames[0].payload);
    (void)service_table_recall(table, frames[0].payload);
    assert_false(service_table_is_mixed(table));
    (void)service_table_recall(table, frames[1].payload);
    assert_true(service_table_is_mixed(table));
    (void)service_table_recall(table, frames[1].payload);
    assert_false(service_table_is_mixed(table));
    service_table_destroy(table);
    for (size_t i = 0; i < 2; i++)
        service_destroy(services[i]);
}

/* A name is meant if it differs in half of its letters or fewer. What is no question is not counted. */
static void test_what_is_meant(void **state)
{
    struct service_settings settings[] = {settings_of("abcd"), settings_of("abcdwxyz")};
    struct service *services[] = {service_create(&settings[0], START), service_create(&settings[1], START)};
    struct service_table *table = service_table_create(NULL);
    const struct unknown_service *unknown = service_table_unknown(table);
    uint8_t space[64];
    struct spop_frame frame = frame_for(space, sizeof(space), "abXX");

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_true(service_table_add(table, services[i]));
    service_table_note_unknown(table, span_of(space, frame.payload.len - 1), START);
    assert_int_equal(unknown->asked, 0);
    service_table_note_unknown(table, frame.payload, START);
    assert_int_equal(unknown->asked, 1);
    assert_string_equal(unknown->detail, "'abXX' is asked for: did you mean 'abcd'?");
    frame = frame_for(space, sizeof(space), "aXXX");
    service_table_note_unknown(table, frame.payload, START + UNKNOWN_SERVICE_HOLD_MS);
    assert_string_equal(unknown->detail, "'aXXX' is asked for");
    frame = frame_for(space, sizeof(space), "abcdwXXX");
    service_table_note_unknown(table, frame.payload, START + 2 * UNKNOWN_SERVICE_HOLD_MS);
    assert_string_equal(unknown->detail, "'abcdwXXX' is asked for: did you mean 'abcdwxyz'?");
    service_table_destroy(table);
    for (size_t i = 0; i < 2; i++)
        service_destroy(services[i]);
}

/* The NOTIFY of a client at this port; the bytes are in `space`. */
static struct span with_client(uint8_t *space, size_t size, const char *service, int64_t src_port)
{
    struct sink out = sink_of(space, size);
    struct spop_value name = spop_text(span_of_text(service));
    struct spop_value addr = {.type = SPOP_IPV4, .ipv4 = {10, 0, 0, 1}};
    struct spop_value port = spop_int64(src_port);
    struct spop_value dst_port = spop_int64(6379);

    spop_name_write(&out, span_of_text("find-master"));
    sink_put_byte(&out, 5);
    spop_kv_write(&out, "service", &name);
    spop_kv_write(&out, "src", &addr);
    spop_kv_write(&out, "src_port", &port);
    spop_kv_write(&out, "dst", &addr);
    spop_kv_write(&out, "dst_port", &dst_port);
    return span_of(space, (size_t)(out.at - space));
}

/*
 * Questions that differ in the client only are known by what they have in common, and by no less and no more.
 */
static void test_clients_of_a_known_question(void **state)
{
    struct service_settings settings[2] = {settings_of("m"), settings_of("n")};
    struct service *services[2] = {service_create(&settings[0], START), service_create(&settings[1], START)};
    struct service_table *table = service_table_create(NULL);
    uint8_t space[256];
    struct parking_queue *queue;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_true(service_table_add(table, services[i]));
    for (int64_t port = 1; port < 60000; port += 7919) {
        for (size_t i = 0; i < 2; i++) {
            struct span payload = with_client(space, sizeof(space), i == 0 ? "m" : "n", port);
            assert_true(resolve(table, payload, &queue));
            assert_ptr_equal(queue->service, services[i]);
            struct client client = question_client(payload);
            assert_int_equal(client.kind, CLIENT_TCP);
            assert_int_equal(client.src_port, port);
        }
    }
    /* Behind a beginning that is known: cut off anywhere, or something more. */
    struct span payload = with_client(space, sizeof(space), "m", 40000);
    for (size_t len = 1; len < payload.len; len++)
        assert_false(resolve(table, span_of(space, len), &queue));
    space[payload.len] = 0;
    assert_false(resolve(table, span_of(space, payload.len + 1), &queue));
    assert_true(resolve(table, payload, &queue));
    service_table_destroy(table);
    for (size_t i = 0; i < 2; i++)
        service_destroy(services[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_the_longest_answer_fits),
        cmocka_unit_test(test_no_name_unsets),
        cmocka_unit_test(test_change_over),
        cmocka_unit_test(test_idle_in_slices),
        cmocka_unit_test(test_change_over_in_steps),
        cmocka_unit_test(test_change_over_of_replicas),
        cmocka_unit_test(test_shed),
        cmocka_unit_test(test_mixed_questions),
        cmocka_unit_test(test_what_is_meant),
        cmocka_unit_test(test_clients_of_a_known_question),
    };

    return cmocka_run_group_tests_name("service_table", tests, NULL, NULL);
}
