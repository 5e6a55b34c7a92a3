/* A change-over of tables. Clients that wait stay with the service. The former table ends in slices. */
#include "tests/unit/core/haproxy/service_table_fixture.h"

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

/* Clients that wait for a replica stay with the service, too. If the service is gone they are told so. */
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

/* No service is in both files. A client that waits is told that its service is gone. */
static void test_nothing_moves(void **state)
{
    struct parking *parking = parking_create(1, ignore_wake, NULL);
    struct service_table *table = service_table_create(parking);
    struct service_table *next = service_table_create(parking);
    struct service_settings settings[] = {settings_of("goes"), settings_of("comes")};
    struct service *services[2];
    struct parking_client client = {.count = 0};
    struct parking_answer answer;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        settings[i].park_ms = 1000;
        services[i] = service_create(&settings[i], START);
        assert_true(service_table_add(i == 0 ? table : next, services[i]));
    }
    assert_true(parking_park(find(table, "goes", "master"), &client,
                             &(struct client){.kind = CLIENT_NOT_GIVEN}, 1, 1, START));
    service_table_begin(table, next);
    service_table_end(table, START);
    assert_true(parking_next(&client, START, &answer));
    assert_non_null(memmem(answer.actions.data, answer.actions.len, "unknown-service", 15));
    assert_true(is_idle(next));
    service_table_destroy(table);
    service_table_destroy(next);
    for (size_t i = 0; i < 2; i++)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_over),          cmocka_unit_test(test_idle_in_slices),
        cmocka_unit_test(test_change_over_in_steps), cmocka_unit_test(test_change_over_of_replicas),
        cmocka_unit_test(test_nothing_moves),        cmocka_unit_test(test_shed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
