/*
 * Questions that were met before: found by all their bytes, never another's, and never more than there is
 * room for.
 */
#include "spoa/core/haproxy/question_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/spop_data.h"
#include "spoa/core/haproxy/parking.h"

#define SERVICES 1000

static struct parking_queue queues[SERVICES];

/* What differs stands in the middle, as in what HAProxy sends. */
static struct span text_of(size_t number)
{
    static char text[64];
    int len = snprintf(text, sizeof(text), "%cfind-master%cservice%c%cs%05zu%crole%c%cmaster", 11, 7,
                       SPOP_STRING, 6, number, 4, SPOP_STRING, 6);

    return span_of(text, (size_t)len);
}

static struct parking_queue *find(struct question_cache *cache, struct span bytes)
{
    return question_cache_find(cache, bytes, QUESTION_WHOLE);
}

static void keep(struct question_cache *cache, struct span bytes, struct parking_queue *queue)
{
    question_cache_add(cache, bytes, QUESTION_WHOLE, queue);
}

static void what_is_kept_is_found(void **state)
{
    struct question_cache cache = {.slots = NULL};
    const uint8_t bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz";

    (void)state;
    assert_true(question_cache_reserve(&cache, 1));
    for (size_t len = 0; len < sizeof(bytes); len++) {
        struct span payload = span_of(bytes, len);
        assert_null(find(&cache, payload));
        keep(&cache, payload, &queues[len]);
        assert_ptr_equal(find(&cache, payload), &queues[len]);
    }
    question_cache_finish(&cache);
}

/* Of two questions that meet in one slot the newer one is there; nobody gets the other's answer. */
static void nobody_is_mistaken_for_another(void **state)
{
    struct question_cache cache = {.slots = NULL};
    size_t found = 0;

    (void)state;
    assert_true(question_cache_reserve(&cache, 1));
    size_t room = cache.slot_count;
    for (size_t i = 0; i < SERVICES; i++) {
        keep(&cache, text_of(i), &queues[i]);
        cache.latest = NULL; /* it is found by its place, also where all its places were taken */
        assert_ptr_equal(find(&cache, text_of(i)), &queues[i]);
    }
    for (size_t i = 0; i < SERVICES; i++) {
        const struct parking_queue *queue = find(&cache, text_of(i));
        assert_true(queue == NULL || queue == &queues[i]);
        found += queue != NULL;
    }
    assert_true(found > room / 2 && found <= room);
    assert_int_equal(cache.slot_count, room);
    question_cache_finish(&cache);
}

/*
 * A bad hash would make most questions meet in a few slots; with fewer ways than eight more than these would
 * have none.
 */
static void most_have_a_slot_of_their_own(void **state)
{
    struct question_cache cache = {.slots = NULL};
    size_t found = 0;

    (void)state;
    for (size_t i = 1; i <= SERVICES; i++)
        assert_true(question_cache_reserve(&cache, i));
    for (size_t i = 0; i < SERVICES; i++)
        keep(&cache, text_of(i), &queues[i]);
    for (size_t i = 0; i < SERVICES; i++)
        found += find(&cache, text_of(i)) != NULL;
    assert_true(found > SERVICES * 99 / 100);
    question_cache_finish(&cache);
}

static void another_service_empties_it(void **state)
{
    struct question_cache cache = {.slots = NULL};

    (void)state;
    assert_true(question_cache_reserve(&cache, 1));
    keep(&cache, text_of(1), &queues[1]);
    assert_true(question_cache_reserve(&cache, 2));
    assert_null(find(&cache, text_of(1)));
    keep(&cache, text_of(1), &queues[1]);
    assert_true(question_cache_reserve(&cache, SERVICES));
    assert_null(find(&cache, text_of(1)));
    question_cache_finish(&cache);
}

static void what_is_too_long_is_not_kept(void **state)
{
    struct question_cache cache = {.slots = NULL};
    const uint8_t bytes[QUESTION_CACHE_PAYLOAD_MAX + 1] = {0};
    struct span longest = span_of(bytes, QUESTION_CACHE_PAYLOAD_MAX);

    (void)state;
    keep(&cache, longest, &queues[0]); /* no room at all */
    assert_null(find(&cache, longest));
    assert_true(question_cache_reserve(&cache, 1));
    keep(&cache, longest, &queues[0]);
    assert_ptr_equal(find(&cache, longest), &queues[0]);
    keep(&cache, span_of(bytes, sizeof(bytes)), &queues[1]);
    assert_null(find(&cache, span_of(bytes, sizeof(bytes))));
    question_cache_finish(&cache);
}

/* The beginning of a question is no question. */
static void a_part_is_not_the_whole(void **state)
{
    struct question_cache cache = {.slots = NULL};

    (void)state;
    assert_true(question_cache_reserve(&cache, 1));
    question_cache_add(&cache, text_of(1), QUESTION_COMMON, &queues[1]);
    assert_null(find(&cache, text_of(1)));
    assert_ptr_equal(question_cache_find(&cache, text_of(1), QUESTION_COMMON), &queues[1]);
    question_cache_finish(&cache);
}

/* A question of so many letters, in capitals from `other` on; a client in the usual form follows. */
static struct span asked(size_t len, size_t other)
{
    static uint8_t bytes[QUESTION_CACHE_PAYLOAD_MAX + 64];
    struct sink out = sink_of(bytes + len, sizeof(bytes) - len);
    const struct spop_value addr = {.type = SPOP_IPV4, .ipv4 = {10, 0, 0, 9}};
    const struct spop_value port = spop_int64(40000);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)((i >= other ? 'A' : 'a') + i % 26);
    spop_kv_write(&out, "src", &addr);
    spop_kv_write(&out, "src_port", &port);
    spop_kv_write(&out, "dst", &addr);
    spop_kv_write(&out, "dst_port", &port);
    assert_false(out.full);
    return span_of(bytes, (size_t)(out.at - bytes));
}

/* Of each length: each byte counts, and so does what follows. */
static void the_same_for_another_client(void **state)
{
    struct question_cache cache = {.slots = NULL};

    (void)state;
    assert_true(question_cache_reserve(&cache, 1));
    for (size_t len = 1; len <= QUESTION_CACHE_PAYLOAD_MAX; len++) {
        question_cache_add(&cache, span_of(asked(len, len).data, len), QUESTION_COMMON, &queues[1]);
        assert_true(question_is_same(cache.latest, asked(len, len)));
        for (size_t other = 0; other < len; other++)
            assert_false(question_is_same(cache.latest, asked(len, other)));
        for (size_t cut = 0; cut < asked(len, len).len; cut++)
            assert_false(question_is_same(cache.latest, span_of(asked(len, len).data, cut)));
        keep(&cache, span_of(asked(len, len).data, len), &queues[1]);
        assert_int_equal(cache.latest->part, QUESTION_WHOLE);
        assert_false(question_is_same(cache.latest, asked(len, len)));
    }
    question_cache_finish(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_found),         cmocka_unit_test(nobody_is_mistaken_for_another),
        cmocka_unit_test(most_have_a_slot_of_their_own), cmocka_unit_test(another_service_empties_it),
        cmocka_unit_test(what_is_too_long_is_not_kept),  cmocka_unit_test(a_part_is_not_the_whole),
        cmocka_unit_test(the_same_for_another_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
