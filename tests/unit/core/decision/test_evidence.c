/* What voters and nodes say beside the votes: which report counts, for how long, and what a reload keeps of it. */
#include "spoa/core/decision/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { VOTERS = 3, SERVERS = 2, F = 2000, LIMIT = 1500 };
#define START 100000
#define OUTSIDE SERVERS /* the first candidate outside the map */

static uint8_t identities[VOTERS];
static struct quorum_config config;

/* An evidence with its memory. */
struct room {
    struct sentinel_report sentinels[VOTERS];
    struct node_report nodes[SERVERS + 1];
    struct evidence evidence;
};

static struct room now, former;
static struct evidence *const evidence = &now.evidence;

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = (uint8_t)i;
    config = (struct quorum_config){.identities = identities,
                                    .voters = VOTERS,
                                    .threshold = 2,
                                    .reply_timeout_ms = 500,
                                    .vote_life_ms = F};
    evidence_init(&now.evidence, now.sentinels, now.nodes, SERVERS, &config);
    evidence_init(&former.evidence, former.sentinels, former.nodes, SERVERS, &config);
    return 0;
}

static void say_silent(unsigned voter, uint32_t silent_ms, uint32_t owed_ms, int64_t t_sent_ms)
{
    const struct sentinel_facts facts = {.silent_ms = silent_ms, .owed_ms = owed_ms};

    evidence_note_facts(evidence, voter, 0, &facts, t_sent_ms);
}

static void say_down(struct room *room, unsigned voter, int32_t candidate, int64_t t_sent_ms)
{
    const struct sentinel_facts facts = {.is_o_down = true};

    evidence_note_facts(&room->evidence, voter, candidate, &facts, t_sent_ms);
}

static void say_link_down(struct room *room, unsigned voter, uint32_t silent_ms, int64_t t_sent_ms)
{
    const struct sentinel_facts facts = {.is_link_down = true, .silent_ms = silent_ms, .owed_ms = silent_ms};

    evidence_note_facts(&room->evidence, voter, 0, &facts, t_sent_ms);
}

/* Of two replies the one that was asked for later counts; of two that were asked for at once the last one. */
static void test_an_older_reply_changes_nothing(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    say_silent(0, 10, 0, START);
    say_silent(0, 20, 0, START - 1);
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START), 10);
    say_silent(0, 30, 0, START);
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START), 30);
    evidence_note_witness(evidence, 0, true, START);
    evidence_note_witness(evidence, 0, false, START - 1);
    assert_true(evidence_is_witness(evidence, 0, 0, START, &review_ms));
    evidence_note_peers(evidence, 0, 100, START);
    evidence_note_peers(evidence, 0, UINT32_MAX, START - 1);
    assert_true(evidence_is_witness(evidence, 0, LIMIT, START, &review_ms));
    evidence_note_peers(evidence, 0, UINT32_MAX, START);
    assert_false(evidence_is_witness(evidence, 0, LIMIT, START, &review_ms));
    evidence_note_witness(evidence, 0, false, START);
    assert_false(evidence_is_witness(evidence, 0, 0, START, &review_ms));
}

/* Each identity counts once, with what it says of this candidate, for the life of a vote. */
static void test_down_is_counted(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_int_equal(evidence_count_down(evidence, 0, START, &review_ms), 0);
    say_down(&now, 0, 0, START);
    say_down(&now, 1, 0, START + 100);
    say_down(&now, 2, 1, START + 50);
    assert_int_equal(evidence_count_down(evidence, 0, START + F - 1, &review_ms), 2);
    assert_int_equal(review_ms, START + F);
    review_ms = INT64_MAX;
    assert_int_equal(evidence_count_down(evidence, 0, START + F, &review_ms), 1);
    assert_int_equal(review_ms, START + 100 + F);
    identities[1] = 0;
    assert_int_equal(evidence_count_down(evidence, 0, START + 100, &review_ms), 1);
    identities[1] = QUORUM_NO_IDENTITY;
    assert_int_equal(evidence_count_down(evidence, 0, START + F, &review_ms), 0);
    assert_true(evidence_is_down(evidence, 1, 0, START + 99 + F));
    assert_false(evidence_is_down(evidence, 1, 0, START + 100 + F));
    assert_false(evidence_is_down(evidence, 1, 1, START + 100));
    say_silent(1, 0, 0, START + 200);
    assert_false(evidence_is_down(evidence, 1, 0, START + 200));
    evidence_forget(evidence, 0);
    assert_false(evidence_is_down(evidence, 0, 0, START + 100));
}

/* The age alone is no alarm: the answer must also have been owed. */
static void test_silence_has_two_limits(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START), -1);
    say_silent(0, LIMIT, LIMIT - EVIDENCE_OWED_SLACK_MS, START);
    assert_true(evidence_is_silent(evidence, 0, 0, LIMIT, START));
    assert_int_equal(evidence_count_silent(evidence, 0, LIMIT, START, &review_ms), 1);
    say_silent(0, LIMIT - 1, LIMIT, START);
    assert_false(evidence_is_silent(evidence, 0, 0, LIMIT, START));
    say_silent(0, LIMIT, LIMIT - EVIDENCE_OWED_SLACK_MS - 1, START);
    assert_false(evidence_is_silent(evidence, 0, 0, LIMIT, START));
    assert_int_equal(evidence_count_silent(evidence, 0, LIMIT, START, &review_ms), 0);
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START + F - 1), LIMIT);
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START + F), -1);
    assert_int_equal(evidence_silence_ms(evidence, 0, 1, START), -1);
}

/* A node's link is down. While report follows report, its silence goes on. */
static void test_the_silence_of_a_broken_link_goes_on(void **state)
{
    (void)state;
    say_link_down(&now, 0, 300, START);
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START), 300); /* it is the first report */
    say_link_down(&now, 0, 0, START + F - 1);
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START + F - 1), 300 + F - 1);
    assert_true(evidence_is_silent(evidence, 0, 0, 300 + F - 1, START + F - 1));
    assert_int_equal(now.sentinels[0].facts.owed_ms, 300 + F - 1);
    say_link_down(&now, 0, 7, START + 2 * F - 1); /* too far apart */
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START + 2 * F - 1), 7);
    say_silent(0, 5, 0, START + 2 * F); /* the link is up */
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START + 2 * F), 5);
}

/* It is no news of this master what was said of another one. The sum of two times stays within its bounds. */
static void test_a_broken_link_to_another_master(void **state)
{
    const struct sentinel_facts facts = {.is_link_down = true, .silent_ms = 900, .owed_ms = 900};

    (void)state;
    say_link_down(&now, 0, 300, START);
    evidence_note_facts(evidence, 0, 1, &facts, START + 100);
    assert_int_equal(evidence_silence_ms(evidence, 0, 1, START + 100), 0);
    say_link_down(&now, 1, UINT32_MAX - 10, START);
    say_link_down(&now, 1, 0, START + 100);
    assert_int_equal(evidence_silence_ms(evidence, 1, 0, START + 100), UINT32_MAX);
}

/* A witness counts for the life of a vote. With a limit it must have heard its fellows, whose age goes on growing. */
static void test_how_long_a_witness_counts(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_false(evidence_is_witness(evidence, 0, 0, START, &review_ms));
    evidence_note_witness(evidence, 0, true, START);
    assert_false(
        evidence_is_witness(evidence, 0, LIMIT, START, &review_ms)); /* nothing is known of fellows */
    evidence_note_peers(evidence, 0, 500, START - 200);
    review_ms = INT64_MAX;
    assert_true(evidence_is_witness(evidence, 0, 0, START + F - 1, &review_ms));
    assert_int_equal(review_ms, START + F);
    assert_false(evidence_is_witness(evidence, 0, 0, START + F, &review_ms));
    review_ms = INT64_MAX;
    assert_true(evidence_is_witness(evidence, 0, LIMIT, START + 799, &review_ms));
    assert_int_equal(review_ms, START + 800);
    assert_false(evidence_is_witness(evidence, 0, LIMIT, START + 800, &review_ms));
    evidence_note_peers(evidence, 0, LIMIT, START);
    assert_false(evidence_is_witness(evidence, 0, LIMIT, START, &review_ms));
}

static void say_role(struct room *room, int32_t candidate, enum node_role role, int64_t t_sent_ms)
{
    const struct node_report report = {.t_sent_ms = t_sent_ms, .candidate = candidate, .role = role};

    evidence_note_role(&room->evidence, &report);
}

/* Each server has a place. All addresses outside the map have one. */
static void test_what_a_node_says_of_itself(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    assert_null(evidence_node(evidence, 0));
    assert_int_equal(evidence_role(evidence, 0, START, &review_ms), NODE_ROLE_UNKNOWN);
    say_role(&now, 0, NODE_ROLE_MASTER, START);
    say_role(&now, SERVERS - 1, NODE_ROLE_REPLICA, START);
    say_role(&now, 0, NODE_ROLE_REPLICA, START - 1);
    assert_int_equal(evidence_role(evidence, 0, START + F - 1, &review_ms), NODE_ROLE_MASTER);
    assert_int_equal(review_ms, START + F);
    assert_int_equal(evidence_role(evidence, 0, START + F, &review_ms), NODE_ROLE_UNKNOWN);
    assert_int_equal(evidence_node(evidence, 0)->role, NODE_ROLE_MASTER); /* however long ago */
    say_role(&now, 0, NODE_ROLE_REPLICA, START);
    assert_int_equal(evidence_role(evidence, 0, START, &review_ms), NODE_ROLE_REPLICA);
    say_role(&now, OUTSIDE, NODE_ROLE_MASTER, START);
    assert_int_equal(evidence_role(evidence, OUTSIDE, START, &review_ms), NODE_ROLE_MASTER);
    assert_int_equal(evidence_role(evidence, SERVERS - 1, START, &review_ms), NODE_ROLE_REPLICA);
    say_role(&now, OUTSIDE + 1, NODE_ROLE_REPLICA,
             START - 50); /* another node, so it is no older word of this one */
    assert_int_equal(evidence_role(evidence, OUTSIDE + 1, START, &review_ms), NODE_ROLE_REPLICA);
    assert_null(evidence_node(evidence, OUTSIDE));
    assert_null(evidence_node(evidence, QUORUM_NO_CANDIDATE));
}

static void test_whom_reports_are_about(void **state)
{
    (void)state;
    assert_false(evidence_is_about(evidence, 0));
    say_role(&now, 0, NODE_ROLE_MASTER, START);
    assert_true(evidence_is_about(evidence, 0));
    assert_false(evidence_is_about(evidence, 1));
    say_down(&now, VOTERS - 1, 1, START);
    assert_true(evidence_is_about(evidence, 1));
    now.sentinels[1].strangers.node = OUTSIDE;
    now.sentinels[2].strangers.leader = OUTSIDE + 1;
    assert_true(evidence_is_about(evidence, OUTSIDE));
    assert_true(evidence_is_about(evidence, OUTSIDE + 1));
    assert_false(evidence_is_about(evidence, OUTSIDE + 2));
}

/* The next file has the two servers in the other order, and room for one address outside the map. */
static int32_t swapped(void *context, int32_t candidate)
{
    (void)context;
    if (candidate == OUTSIDE)
        return OUTSIDE;
    return candidate == 0 || candidate == 1 ? 1 - candidate : QUORUM_NO_CANDIDATE;
}

static void inherit(int one, int two, int other)
{
    const int voters[VOTERS] = {one, two, other};
    const struct succession succession = {.voters = voters, .candidate = swapped};

    evidence_inherit(evidence, &former.evidence, &succession);
}

static void test_a_reload_keeps_what_is_newer(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    say_down(&former, 0, 0, START + 10);
    say_down(&former, 1, 0, START + 20);
    say_down(&former, 2, 0, START + 30);
    say_silent(0, 1, 0, START + 20); /* newer than what the former said, which was voter 1 there */
    say_silent(1, 1, 0, START + 9);  /* older */
    inherit(1, 0, -1);
    assert_false(evidence_is_down(evidence, 0, 1, START + 30));
    assert_int_equal(evidence_silence_ms(evidence, 0, 0, START + 30), 1);
    assert_true(evidence_is_down(evidence, 1, 1, START + 30));
    assert_int_equal(evidence_silence_ms(evidence, 1, 1, START + 9 + F), 0);
    assert_int_equal(evidence_silence_ms(evidence, 1, 1, START + 10 + F), -1);
    assert_int_equal(evidence_silence_ms(evidence, 2, 1, START + 30), -1); /* nobody was this voter before */
    assert_int_equal(evidence_count_down(evidence, 1, START + 30, &review_ms), 1);
}

/* A link that broke before the reload is silent for as long as both say together. */
static void test_a_reload_keeps_how_long_a_link_is_down(void **state)
{
    const struct sentinel_facts facts = {.is_link_down = true, .silent_ms = 0};

    (void)state;
    say_link_down(&former, 0, 400, START);
    evidence_note_facts(evidence, 0, 1, &facts, START + 100);
    inherit(0, 1, 2);
    assert_int_equal(evidence_silence_ms(evidence, 0, 1, START + 100), 500);
}

/* A witness is taken over. Its fellows are, where the majority that they made is large enough for the next file. */
static void test_a_reload_keeps_witnesses(void **state)
{
    struct quorum_config smaller = config;
    int64_t review_ms = INT64_MAX;

    (void)state;
    evidence_note_witness(&former.evidence, 0, true, START);
    evidence_note_peers(&former.evidence, 0, 100, START);
    inherit(0, 1, 2);
    assert_true(evidence_is_witness(evidence, 0, LIMIT, START, &review_ms));
    assert_false(evidence_is_witness(evidence, 1, 0, START, &review_ms));
    evidence_forget(evidence, 0);
    smaller.threshold = config.threshold - 1;
    former.evidence.config = &smaller;
    inherit(0, 1, 2);
    assert_true(evidence_is_witness(evidence, 0, 0, START, &review_ms));
    assert_false(evidence_is_witness(evidence, 0, LIMIT, START, &review_ms));
}

static void test_a_reload_keeps_roles(void **state)
{
    int64_t review_ms = INT64_MAX;

    (void)state;
    say_role(&former, 0, NODE_ROLE_MASTER, START);
    say_role(&former, 1, NODE_ROLE_REPLICA, START);
    say_role(&former, OUTSIDE + 1, NODE_ROLE_MASTER, START); /* the next file has no room for it */
    say_role(&now, 0, NODE_ROLE_LOADING, START);             /* not older than the former's */
    inherit(0, 1, 2);
    assert_int_equal(evidence_role(evidence, 1, START, &review_ms), NODE_ROLE_MASTER);
    assert_int_equal(evidence_role(evidence, 0, START, &review_ms), NODE_ROLE_LOADING);
    assert_null(evidence_node(evidence, OUTSIDE));
    say_role(&former, 1, NODE_ROLE_REPLICA, START + 1);
    say_role(&former, OUTSIDE, NODE_ROLE_MASTER, START);
    inherit(0, 1, 2);
    assert_int_equal(evidence_role(evidence, OUTSIDE, START, &review_ms), NODE_ROLE_MASTER);
    assert_int_equal(evidence_role(evidence, 0, START, &review_ms), NODE_ROLE_REPLICA);
}

/* The longest time counts. Voters that are forgotten or silent do not count. */
static void test_the_longest_down_after(void **state)
{
    struct quorum_vote votes[VOTERS];
    struct quorum quorum;

    (void)state;
    quorum_init(&quorum, &config, votes, START);
    for (unsigned i = 0; i < VOTERS; i++) {
        const struct quorum_vote vote = {.ballot = QUORUM_NAMES, .t_sent_ms = START + i};
        const struct sentinel_facts facts = {.down_after_ms = 3000 - 1000 * i};
        (void)quorum_note_vote(&quorum, i, &vote, 0, START + i);
        evidence_note_facts(evidence, i, 0, &facts, START);
    }
    assert_int_equal(evidence_longest_down_after_ms(evidence, &quorum, START + F - 1), 3000);
    assert_int_equal(evidence_longest_down_after_ms(evidence, &quorum, START + F), 2000);
    assert_int_equal(evidence_longest_down_after_ms(evidence, &quorum, START + F + 1), 1000);
    assert_int_equal(evidence_longest_down_after_ms(evidence, &quorum, START + F + 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_older_reply_changes_nothing, set_up),
        cmocka_unit_test_setup(test_down_is_counted, set_up),
        cmocka_unit_test_setup(test_silence_has_two_limits, set_up),
        cmocka_unit_test_setup(test_the_silence_of_a_broken_link_goes_on, set_up),
        cmocka_unit_test_setup(test_a_broken_link_to_another_master, set_up),
        cmocka_unit_test_setup(test_how_long_a_witness_counts, set_up),
        cmocka_unit_test_setup(test_what_a_node_says_of_itself, set_up),
        cmocka_unit_test_setup(test_whom_reports_are_about, set_up),
        cmocka_unit_test_setup(test_a_reload_keeps_what_is_newer, set_up),
        cmocka_unit_test_setup(test_a_reload_keeps_how_long_a_link_is_down, set_up),
        cmocka_unit_test_setup(test_a_reload_keeps_witnesses, set_up),
        cmocka_unit_test_setup(test_a_reload_keeps_roles, set_up),
        cmocka_unit_test_setup(test_the_longest_down_after, set_up),
    };

    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
