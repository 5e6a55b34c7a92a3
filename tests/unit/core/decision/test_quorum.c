#include "spoa/core/decision/quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Two candidates, and the times of design.md. */
enum { A = 0, B = 1 };
enum { T = 500, F = 2000, HOLD = 150 };
#define START 100000

/* A quorum of n voters, each with an identity of its own. */
struct fixture {
    struct quorum quorum;
    struct quorum_vote votes[QUORUM_VOTERS_MAX];
    uint8_t identities[QUORUM_VOTERS_MAX];
    struct quorum_config config;
    int32_t current;
};

static void begin(struct fixture *f, unsigned voters)
{
    f->config = (struct quorum_config){
        .identities = f->identities,
        .voters = voters,
        .threshold = quorum_majority(voters),
        .reply_timeout_ms = T,
        .vote_life_ms = F,
        .hold_ms = HOLD,
        .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS,
    };

    quorum_init(&f->quorum, &f->config, f->votes, START);
    for (unsigned i = 0; i < QUORUM_VOTERS_MAX; i++)
        f->identities[i] = (uint8_t)i;
    f->current = QUORUM_NO_CANDIDATE;
}

static enum quorum_receipt say(struct fixture *f, unsigned voter, enum quorum_ballot ballot,
                               int32_t candidate, int64_t sent_ms, int64_t now_ms)
{
    const struct quorum_vote vote = {.t_sent_ms = sent_ms, .candidate = candidate, .ballot = ballot};

    return quorum_note_vote(&f->quorum, voter, &vote, f->current, now_ms);
}

static enum quorum_receipt name(struct fixture *f, unsigned voter, int32_t candidate, int64_t at_ms)
{
    return say(f, voter, QUORUM_NAMES, candidate, at_ms, at_ms);
}

static struct quorum_result judge(const struct fixture *f, int64_t now_ms)
{
    return quorum_evaluate(&f->quorum, now_ms);
}

static void assert_won(const struct fixture *f, int64_t now_ms, int32_t winner, unsigned votes)
{
    struct quorum_result result = judge(f, now_ms);

    assert_int_equal(result.verdict, QUORUM_WON);
    assert_int_equal(result.winner, winner);
    assert_int_equal(result.votes, votes);
}

static void assert_lost(const struct fixture *f, int64_t now_ms, enum quorum_reason reason)
{
    struct quorum_result result = judge(f, now_ms);

    assert_int_equal(result.verdict, QUORUM_LOST);
    assert_int_equal(result.reason, reason);
    assert_int_equal(result.winner, QUORUM_NO_CANDIDATE);
}

/* For every n: one vote less than the majority of the configured names nobody, however few answer. */
static void test_majority_of_the_configured(void **state)
{
    static const unsigned sizes[] = {1, 2, 3, 4, 5, 63};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct fixture f;
        unsigned majority = sizes[i] / 2 + 1;
        begin(&f, sizes[i]);
        quorum_note_settled(&f.quorum);
        for (unsigned k = 0; k + 1 < majority; k++)
            name(&f, k, A, START);
        assert_lost(&f, START, QUORUM_UNREACHABLE);
        name(&f, majority - 1, A, START);
        assert_won(&f, START, A, majority);
    }
}

static void test_raised_threshold(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    f.config.threshold = 3;
    quorum_note_settled(&f.quorum);
    name(&f, 0, A, START);
    name(&f, 1, A, START);
    assert_int_equal(judge(&f, START).verdict, QUORUM_LOST);
    name(&f, 2, A, START);
    assert_won(&f, START, A, 3);
}

static void test_late_replies_are_dropped(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1);
    assert_int_equal(say(&f, 0, QUORUM_NAMES, A, START, START + T + 1), QUORUM_DROPPED);
    assert_int_not_equal(judge(&f, START + T + 1).verdict, QUORUM_WON);
    assert_int_not_equal(say(&f, 0, QUORUM_NAMES, A, START, START + T), QUORUM_DROPPED);
    assert_won(&f, START + T, A, 1);
}

/* The age counts from the moment of asking, not of the answer. */
static void test_votes_expire_by_the_time_of_asking(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1);
    say(&f, 0, QUORUM_NAMES, A, START, START + T);
    quorum_note_settled(&f.quorum);
    assert_won(&f, START + F - 1, A, 1);
    assert_int_equal(judge(&f, START + T).review_ms, START + F);
    assert_lost(&f, START + F, QUORUM_UNREACHABLE);
    assert_int_equal(judge(&f, START + F).review_ms, QUORUM_NEVER);
}

/* A vote for a candidate, and until when it counts. */
static void test_whose_vote_it_is(void **state)
{
    struct fixture f;
    int64_t expiry_ms = 0;

    (void)state;
    begin(&f, 2);
    name(&f, 0, A, START + 10);
    assert_true(quorum_has_vote(&f.quorum, 0, A, START + 20, &expiry_ms));
    assert_int_equal(expiry_ms, START + 10 + F);
    assert_true(quorum_has_vote(&f.quorum, 0, A, START + 10 + F - 1, &expiry_ms));
    assert_false(quorum_has_vote(&f.quorum, 0, A, START + 10 + F, &expiry_ms));
    assert_false(quorum_has_vote(&f.quorum, 0, B, START + 20, &expiry_ms));
    assert_false(quorum_has_vote(&f.quorum, 1, A, START + 20, &expiry_ms));
}

static void test_older_replies_never_replace_newer_ones(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1);
    name(&f, 0, B, START + 100);
    assert_int_equal(say(&f, 0, QUORUM_NAMES, A, START + 99, START + 101), QUORUM_DROPPED);
    assert_won(&f, START + 101, B, 1);
}

static void test_review_is_the_first_expiry(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    name(&f, 0, A, START + 30);
    name(&f, 1, A, START + 10);
    name(&f, 2, A, START + 20);
    struct quorum_result result = judge(&f, START + 30);
    assert_int_equal(result.review_ms, START + 10 + F);
    assert_int_equal(result.oldest_sent_ms, START + 10);
}

static void test_one_vote_per_identity(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    quorum_note_settled(&f.quorum);
    f.identities[1] = 0; /* two entries, one Sentinel */
    name(&f, 0, A, START);
    name(&f, 1, A, START);
    assert_lost(&f, START, QUORUM_UNREACHABLE);
    name(&f, 2, A, START);
    assert_won(&f, START, A, 2);
    name(&f, 1, B, START + 1); /* its newest word counts */
    assert_lost(&f, START + 1, QUORUM_DISAGREE);
}

static void test_no_identity_no_vote(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    quorum_note_settled(&f.quorum);
    f.identities[0] = QUORUM_NO_IDENTITY;
    name(&f, 0, A, START);
    name(&f, 1, A, START);
    assert_lost(&f, START, QUORUM_UNREACHABLE);
}

static void test_a_forgotten_vote_does_not_count(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    quorum_note_settled(&f.quorum);
    name(&f, 0, A, START);
    name(&f, 1, A, START);
    quorum_forget(&f.quorum, 1);
    assert_lost(&f, START, QUORUM_UNREACHABLE);
}

static void test_reasons(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    quorum_note_settled(&f.quorum);
    assert_lost(&f, START, QUORUM_UNREACHABLE);
    name(&f, 0, A, START);
    name(&f, 1, B, START);
    assert_lost(&f, START, QUORUM_DISAGREE);
    say(&f, 1, QUORUM_UNKNOWN_NAME, 0, START + 1, START + 1);
    assert_lost(&f, START + 1, QUORUM_UNKNOWN);
    say(&f, 1, QUORUM_INVALID, 0, START + 2, START + 2);
    assert_lost(&f, START + 2, QUORUM_UNREACHABLE);
}

/* A majority lives, but some of it refuses us: a password is missing, say. */
static void test_refused_us(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    quorum_note_settled(&f.quorum);
    name(&f, 0, A, START);
    quorum_note_refusal_of_us(&f.quorum, 1, true);
    assert_lost(&f, START, QUORUM_REFUSED_US);
    say(&f, 1, QUORUM_INVALID, 0, START, START);
    assert_lost(&f, START, QUORUM_REFUSED_US);
    assert_lost(&f, START + F, QUORUM_UNREACHABLE); /* one of three */
    quorum_note_refusal_of_us(&f.quorum, 0, true);
    assert_lost(&f, START + F, QUORUM_REFUSED_US);
    quorum_note_refusal_of_us(&f.quorum, 1, false);
    assert_lost(&f, START + F, QUORUM_UNREACHABLE);
    quorum_note_refusal(&f.quorum, 1, true);
    quorum_note_refusal(&f.quorum, 2, true);
    assert_lost(&f, START + 1, QUORUM_REFUSED);
    assert_lost(&f, START + F, QUORUM_UNREACHABLE); /* who refuses us lives: it may fail over */
}

static void test_starting_ends(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    assert_int_equal(judge(&f, START).verdict, QUORUM_STARTING);
    assert_int_equal(judge(&f, START + F - 1).verdict, QUORUM_STARTING);
    assert_lost(&f, START + F, QUORUM_UNREACHABLE);
    name(&f, 0, A, START);
    name(&f, 1, B, START);
    assert_int_equal(judge(&f, START).verdict, QUORUM_STARTING);
    say(&f, 2, QUORUM_UNKNOWN_NAME, 0, START, START); /* all were heard */
    assert_lost(&f, START, QUORUM_DISAGREE);
    begin(&f, 3);
    quorum_note_settled(&f.quorum);
    assert_lost(&f, START, QUORUM_UNREACHABLE);
}

/* After a dissent, what was said before it does not count: until all have answered anew, or HOLD is over. */
static void test_barrier(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    f.current = A;
    for (unsigned i = 0; i < 3; i++)
        name(&f, i, A, START);
    quorum_note_settled(&f.quorum);
    assert_int_equal(name(&f, 0, B, START + 10), QUORUM_NEWS);
    assert_true(quorum_suspect(&f.quorum, START + 10));
    assert_int_equal(judge(&f, START + 10).verdict, QUORUM_PENDING);
    assert_int_equal(judge(&f, START + 10).review_ms, START + 10 + HOLD);
    say(&f, 1, QUORUM_NAMES, A, START + 9, START + 11); /* asked before */
    assert_int_equal(judge(&f, START + 11).verdict, QUORUM_PENDING);
    name(&f, 1, A, START + 12);
    assert_int_equal(judge(&f, START + 12).verdict, QUORUM_PENDING);
    assert_won(&f, START + 10 + HOLD, A, 2); /* over: 1 and 2 count again */
    name(&f, 2, B, START + 13);
    assert_won(&f, START + 13, B, 2);
}

static void test_barrier_falls_when_all_have_answered(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    f.current = A;
    quorum_note_settled(&f.quorum);
    assert_true(quorum_suspect(&f.quorum, START));
    name(&f, 0, A, START + 1);
    name(&f, 1, B, START + 1);
    assert_int_equal(judge(&f, START + 1).verdict, QUORUM_PENDING);
    say(&f, 2, QUORUM_INVALID, 0, START + 1, START + 1);
    assert_lost(&f, START + 1, QUORUM_DISAGREE);
}

static void test_suspicions_are_limited(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    assert_true(quorum_suspect(&f.quorum, START));
    assert_false(quorum_suspect(&f.quorum, START + QUORUM_SUSPECT_INTERVAL_MS - 1));
    assert_true(quorum_suspect(&f.quorum, START + QUORUM_SUSPECT_INTERVAL_MS));
}

/* One stale Sentinel that repeats itself must not make the service pending again and again. */
static void test_what_is_news(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    f.current = A;
    assert_int_equal(name(&f, 0, A, START), QUORUM_CONFIRMED);
    assert_int_equal(name(&f, 0, B, START + 1), QUORUM_NEWS);
    assert_int_equal(name(&f, 0, B, START + 2), QUORUM_CONFIRMED);
    assert_int_equal(say(&f, 0, QUORUM_INVALID, 0, START + 3, START + 3), QUORUM_CONFIRMED);
    assert_int_equal(name(&f, 0, B, START + 4), QUORUM_NEWS);
    assert_int_equal(name(&f, 0, B, START + 4 + F), QUORUM_NEWS); /* its last word had expired */
    assert_int_equal(say(&f, 0, QUORUM_UNKNOWN_NAME, 0, START + 5 + F, START + 5 + F), QUORUM_NEWS);
    assert_int_equal(say(&f, 0, QUORUM_UNKNOWN_NAME, 0, START + 6 + F, START + 6 + F), QUORUM_CONFIRMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_majority_of_the_configured),
        cmocka_unit_test(test_raised_threshold),
        cmocka_unit_test(test_late_replies_are_dropped),
        cmocka_unit_test(test_votes_expire_by_the_time_of_asking),
        cmocka_unit_test(test_whose_vote_it_is),
        cmocka_unit_test(test_older_replies_never_replace_newer_ones),
        cmocka_unit_test(test_review_is_the_first_expiry),
        cmocka_unit_test(test_one_vote_per_identity),
        cmocka_unit_test(test_no_identity_no_vote),
        cmocka_unit_test(test_a_forgotten_vote_does_not_count),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_refused_us),
        cmocka_unit_test(test_starting_ends),
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_barrier_falls_when_all_have_answered),
        cmocka_unit_test(test_suspicions_are_limited),
        cmocka_unit_test(test_what_is_news),
    };

    return cmocka_run_group_tests_name("quorum", tests, NULL, NULL);
}
