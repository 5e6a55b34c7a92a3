/* The table of services, and the answers that it gives out: encoded, whole, never too long for a frame. */
#include "tests/unit/core/haproxy/service_table_fixture.h"

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
    service_table_recall_all(table, frames + 1, 2, queues); /* the last service is not known */
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
        cmocka_unit_test(test_mixed_questions),
        cmocka_unit_test(test_what_is_meant),
        cmocka_unit_test(test_clients_of_a_known_question),
    };

    return cmocka_run_group_tests_name("service_table", tests, NULL, NULL);
}
