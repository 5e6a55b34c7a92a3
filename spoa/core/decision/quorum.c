/*
 * The rule, as this file carries it out. s is a voter, m a service; the names in capitals are those of struct quorum_config.
 *
 *   1  reply(s, m, addr, t_sent):                                              quorum_note_vote()
 *   2      now - t_sent > T, or older than vote[s][m]: drop                    quorum_is_late()
 *   3      vote[s][m] = (addr, t_sent)
 *   4      news (not what s said before, not the current master): suspect(m)
 *   5  suspect(m): ask all voters at once, at most once per 50 ms              quorum_suspect()
 *   6      t_suspect[m] = now
 *   7  link down: nothing. Votes stay until they expire
 *   8  evaluate(m):                                                            quorum_evaluate()
 *   9      tally the votes younger than F, one for each identity: the newest   box_collect()
 *  10      within HOLD of t_suspect, until every voter has answered:           is_held()
 *          tally only votes with t_sent >= t_suspect
 *  11      W = the address with at least Q votes                               box_winner()
 *  12      no W: lost, pending or starting
 *
 * What else may keep W from being named is policy.c's.
 */
#include "spoa/core/decision/quorum.h"

#include <assert.h>
#include <string.h>

#include "spoa/core/decision/review.h"

void quorum_init(struct quorum *quorum, const struct quorum_config *config, struct quorum_vote *votes,
                 int64_t now_ms)
{
    memset(votes, 0, config->voters * sizeof(*votes));
    *quorum = (struct quorum){
        .config = config,
        .votes = votes,
        .t_start_ms = now_ms,
        .t_suspect_ms = INT64_MIN,
    };
}

bool quorum_is_late(const struct quorum_config *config, int64_t t_sent_ms, int64_t now_ms)
{
    return now_ms - t_sent_ms > config->reply_timeout_ms;
}

static bool is_fresh(const struct quorum *quorum, const struct quorum_vote *vote, int64_t now_ms)
{
    return vote->ballot != QUORUM_SILENT && now_ms - vote->t_sent_ms < quorum->config->vote_life_ms;
}

enum quorum_receipt quorum_note_vote(struct quorum *quorum, unsigned voter, const struct quorum_vote *vote,
                                     int32_t current, int64_t now_ms)
{
    struct quorum_vote *slot = &quorum->votes[voter];

    /* Line 2, for I1 and I4: a vote is dated by its request, never by its arrival. */
    if (quorum_is_late(quorum->config, vote->t_sent_ms, now_ms))
        return QUORUM_DROPPED;
    if (slot->ballot != QUORUM_SILENT && vote->t_sent_ms < slot->t_sent_ms)
        return QUORUM_DROPPED;

    /*
     * Line 4. A repeated dissent is no news. Else one stale Sentinel could keep the service pending for good,
     * where a round trip takes longer than the suspect interval.
     */
    bool repeats = is_fresh(quorum, slot, now_ms) && slot->ballot == vote->ballot &&
                   (vote->ballot != QUORUM_NAMES || slot->candidate == vote->candidate);
    bool agrees = vote->ballot == QUORUM_NAMES && vote->candidate == current;
    bool says_nothing = vote->ballot == QUORUM_INVALID;

    *slot = *vote;
    return repeats || agrees || says_nothing ? QUORUM_CONFIRMED : QUORUM_NEWS;
}

bool quorum_has_vote(const struct quorum *quorum, unsigned voter, int32_t candidate, int64_t now_ms,
                     int64_t *ret_expiry_ms)
{
    const struct quorum_vote *vote = &quorum->votes[voter];

    if (!is_fresh(quorum, vote, now_ms) || vote->ballot != QUORUM_NAMES || vote->candidate != candidate)
        return false;
    *ret_expiry_ms = vote->t_sent_ms + quorum->config->vote_life_ms;
    return true;
}

bool quorum_is_heard(const struct quorum *quorum, unsigned voter, int64_t now_ms)
{
    return is_fresh(quorum, &quorum->votes[voter], now_ms);
}

unsigned quorum_count_naming(const struct quorum *quorum, int64_t now_ms)
{
    uint64_t naming = 0;

    for (unsigned i = 0; i < quorum->config->voters; i++)
        if (quorum->votes[i].ballot == QUORUM_NAMES && is_fresh(quorum, &quorum->votes[i], now_ms) &&
            quorum->config->identities[i] != QUORUM_NO_IDENTITY)
            naming |= (uint64_t)1 << quorum->config->identities[i];
    return (unsigned)__builtin_popcountll(naming);
}

void quorum_forget(struct quorum *quorum, unsigned voter)
{
    quorum->votes[voter] = (struct quorum_vote){.ballot = QUORUM_SILENT};
}

void quorum_note_refusal(struct quorum *quorum, unsigned voter, bool is_refusing)
{
    uint64_t bit = (uint64_t)1 << voter;

    quorum->refusing = is_refusing ? quorum->refusing | bit : quorum->refusing & ~bit;
}

void quorum_note_refusal_of_us(struct quorum *quorum, unsigned voter, bool refuses_us)
{
    uint64_t bit = (uint64_t)1 << voter;

    quorum->refusing_us = refuses_us ? quorum->refusing_us | bit : quorum->refusing_us & ~bit;
}

bool quorum_suspect(struct quorum *quorum, int64_t now_ms)
{
    quorum->asks_again = quorum->t_suspect_ms != INT64_MIN &&
                         now_ms - quorum->t_suspect_ms < quorum->config->suspect_interval_ms;
    if (quorum->asks_again)
        return false;
    quorum->t_suspect_ms = now_ms;
    return true;
}

bool quorum_take_ask_again(struct quorum *quorum, int64_t now_ms)
{
    bool is_due = quorum->asks_again && now_ms - quorum->t_suspect_ms >= quorum->config->suspect_interval_ms;

    quorum->asks_again = quorum->asks_again && !is_due;
    return is_due;
}

/*
 * Line 10, for I3: an old majority must not win once a voter has seen a change. True while HOLD has not
 * passed and some voter has not answered.
 */
static bool is_held(const struct quorum *quorum, int64_t now_ms)
{
    if (quorum->t_suspect_ms == INT64_MIN || now_ms - quorum->t_suspect_ms >= quorum->config->hold_ms)
        return false;
    for (unsigned i = 0; i < quorum->config->voters; i++)
        if (quorum->votes[i].ballot == QUORUM_SILENT || quorum->votes[i].t_sent_ms < quorum->t_suspect_ms)
            return true;
    return false;
}

/* Line 9, for I1: the votes that count, the newest of each identity. */
struct ballot_box {
    const struct quorum_vote *votes[QUORUM_VOTERS_MAX];
    unsigned count;
    int64_t earliest_expiry_ms;
};

static void box_collect(const struct quorum *quorum, int64_t since_ms, int64_t now_ms, struct ballot_box *box)
{
    const uint8_t *identities = quorum->config->identities;
    const struct quorum_vote *by_identity[QUORUM_VOTERS_MAX];

    box->count = 0;
    box->earliest_expiry_ms = QUORUM_NEVER;
    for (unsigned i = 0; i < quorum->config->voters; i++)
        by_identity[i] = NULL;
    for (unsigned i = 0; i < quorum->config->voters; i++) {
        const struct quorum_vote *vote = &quorum->votes[i];
        if (identities[i] == QUORUM_NO_IDENTITY || !is_fresh(quorum, vote, now_ms) ||
            vote->t_sent_ms < since_ms)
            continue;
        assert(identities[i] < quorum->config->voters);
        const struct quorum_vote **slot = &by_identity[identities[i]];
        if (*slot == NULL || (*slot)->t_sent_ms < vote->t_sent_ms)
            *slot = vote;
    }
    for (unsigned i = 0; i < quorum->config->voters; i++) {
        if (by_identity[i] == NULL)
            continue;
        box->votes[box->count++] = by_identity[i];
        int64_t expiry_ms = by_identity[i]->t_sent_ms + quorum->config->vote_life_ms;
        review_by(&box->earliest_expiry_ms, expiry_ms);
    }
}

/* Line 11, for I1 and I2. At most one candidate can win, because the threshold is more than half of n. */
static bool box_winner(const struct ballot_box *box, unsigned threshold, struct quorum_result *result)
{
    for (unsigned i = 0; i < box->count; i++) {
        if (box->votes[i]->ballot != QUORUM_NAMES)
            continue;
        unsigned votes = 0;
        int64_t oldest_ms = INT64_MAX;
        for (unsigned k = 0; k < box->count; k++) {
            if (box->votes[k]->ballot != QUORUM_NAMES || box->votes[k]->candidate != box->votes[i]->candidate)
                continue;
            votes++;
            if (box->votes[k]->t_sent_ms < oldest_ms)
                oldest_ms = box->votes[k]->t_sent_ms;
        }
        if (votes >= threshold) {
            result->winner = box->votes[i]->candidate;
            result->votes = votes;
            result->oldest_sent_ms = oldest_ms;
            return true;
        }
    }
    return false;
}

/* What the voters in reach have in common. An error counts as silence. */
static void box_survey(const struct ballot_box *box, struct quorum_result *result)
{
    bool agree = true;

    for (unsigned i = 0; i < box->count; i++) {
        if (box->votes[i]->ballot == QUORUM_INVALID)
            continue;
        int32_t candidate =
            box->votes[i]->ballot == QUORUM_NAMES ? box->votes[i]->candidate : QUORUM_NO_CANDIDATE;
        agree =
            agree && candidate != QUORUM_NO_CANDIDATE && (result->in_reach == 0 || candidate == result->sole);
        result->sole = candidate;
        result->in_reach++;
    }
    if (!agree)
        result->sole = QUORUM_NO_CANDIDATE;
}

static bool says_something(const struct quorum *quorum, unsigned voter, int64_t now_ms)
{
    const struct quorum_vote *vote = &quorum->votes[voter];

    return is_fresh(quorum, vote, now_ms) && vote->ballot != QUORUM_INVALID;
}

/* Whether all voters that say nothing of use refuse connections. */
static bool are_silent_refusing(const struct quorum *quorum, int64_t now_ms)
{
    for (unsigned i = 0; i < quorum->config->voters; i++)
        if (!says_something(quorum, i, now_ms) && (quorum->refusing >> i & 1) == 0)
            return false;
    return true;
}

/* Whether there would be a threshold of voters in reach if those that refuse us did not. */
static bool are_missing_refusing_us(const struct quorum *quorum, int64_t now_ms)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < quorum->config->voters; i++)
        alive += says_something(quorum, i, now_ms) || (quorum->refusing_us >> i & 1) != 0;
    return quorum->refusing_us != 0 && alive >= quorum->config->threshold;
}

/* Says more of too few voters in reach. */
static enum quorum_reason reason_out_of_reach(const struct quorum *quorum, int64_t now_ms)
{
    if (are_missing_refusing_us(quorum, now_ms))
        return QUORUM_REFUSED_US;
    return are_silent_refusing(quorum, now_ms) ? QUORUM_REFUSED : QUORUM_UNREACHABLE;
}

static enum quorum_reason box_reason(const struct ballot_box *box, unsigned threshold)
{
    unsigned named = 0;
    unsigned unknown = 0;

    for (unsigned i = 0; i < box->count; i++) {
        named += box->votes[i]->ballot == QUORUM_NAMES;
        unknown += box->votes[i]->ballot == QUORUM_UNKNOWN_NAME;
    }
    if (named + unknown < threshold)
        return QUORUM_UNREACHABLE;
    return named >= threshold ? QUORUM_DISAGREE : QUORUM_UNKNOWN;
}

/* At the start a silent voter may be about to answer. After the life of a vote it counts as silent. */
static bool is_starting(const struct quorum *quorum, int64_t now_ms)
{
    if (quorum->is_settled || now_ms - quorum->t_start_ms >= quorum->config->vote_life_ms)
        return false;
    for (unsigned i = 0; i < quorum->config->voters; i++)
        if (quorum->votes[i].ballot == QUORUM_SILENT)
            return true;
    return false;
}

void quorum_note_settled(struct quorum *quorum)
{
    quorum->is_settled = true;
}

struct quorum_result quorum_evaluate(const struct quorum *quorum, int64_t now_ms)
{
    bool held = is_held(quorum, now_ms);
    struct ballot_box box;
    struct quorum_result result = {.winner = QUORUM_NO_CANDIDATE, .sole = QUORUM_NO_CANDIDATE};

    box_collect(quorum, INT64_MIN, now_ms, &box);
    box_survey(&box, &result);
    if (held)
        box_collect(quorum, quorum->t_suspect_ms, now_ms, &box);
    result.review_ms = box.earliest_expiry_ms;
    if (box_winner(&box, quorum->config->threshold, &result)) {
        result.verdict = QUORUM_WON;
    } else if (is_starting(quorum, now_ms)) {
        result.verdict = QUORUM_STARTING;
        review_by(&result.review_ms, quorum->t_start_ms + quorum->config->vote_life_ms);
        if (held)
            review_by(&result.review_ms, quorum->t_suspect_ms + quorum->config->hold_ms);
    } else if (held) {
        result.verdict = QUORUM_PENDING;
        result.review_ms = quorum->t_suspect_ms + quorum->config->hold_ms;
    } else {
        result.verdict = QUORUM_LOST;
        result.reason = box_reason(&box, quorum->config->threshold);
        if (result.reason == QUORUM_UNREACHABLE)
            result.reason = reason_out_of_reach(quorum, now_ms);
    }
    if (quorum->asks_again)
        review_by(&result.review_ms, quorum->t_suspect_ms + quorum->config->suspect_interval_ms);
    return result;
}
