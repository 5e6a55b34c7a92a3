/*
 * The quorum rule: which candidate a majority of the configured voters names now. Pure: votes, configuration and time in, a
 * result out. Candidates are small integers; server_map.h gives them a meaning. The rule stands at the head of quorum.c.
 *
 * What the rule, and all that stands on it, promises. The simulation (tests/sim/ghost.c) and the model (tests/model/) check
 * this, and the code cites these numbers where it keeps the promise.
 *   I1  Every answer with a name is backed by the views of a majority, none of them older than F.
 *   I2  Two agents differ only while views change.
 *   I3  A master that was replaced does not come back.
 *   I4  Without a majority within F there is no name.
 *   I5  A name stands in the server map.
 *   I6  A node that said within F that it is no master, and nothing newer, is not named.
 *   I7  A majority in reach is named within a round trip (push), or within P + T (poll).
 *   I8  After a switch no older session lives on at another server.
 *   I9  A change of our own (reload, restart, HAProxy's reload) breaks none of these.
 */
#ifndef SPOA_CORE_DECISION_QUORUM_H
#define SPOA_CORE_DECISION_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#define QUORUM_VOTERS_MAX 63
#define QUORUM_NO_CANDIDATE (-1)
/* The identity of a voter that has not told its MYID: its votes do not count. */
#define QUORUM_NO_IDENTITY UINT8_MAX
#define QUORUM_NEVER INT64_MAX

/* What a voter said last. */
enum quorum_ballot {
    QUORUM_SILENT = 0,   /* nothing yet, or forgotten */
    QUORUM_NAMES,        /* it names a candidate */
    QUORUM_UNKNOWN_NAME, /* it does not know a master of that name */
    QUORUM_INVALID,      /* an error, an empty host, port 0: no vote, but it is there */
};

struct quorum_vote {
    int64_t t_sent_ms; /* just before the request was written; monotonic */
    int32_t candidate; /* with QUORUM_NAMES */
    enum quorum_ballot ballot;
};

/* Shared by all services of a group but for `threshold`. All times in ms. */
struct quorum_config {
    /*
     * One for each voter, borrowed; the group of voters keeps it up to date. It is equal for voters that are
     * the same Sentinel (the newest of their votes counts, once), QUORUM_NO_IDENTITY for a voter that has not
     * said who it is, and below `voters` for the others.
     */
    const uint8_t *identities;
    unsigned voters;             /* n: distinct voters configured, 1 to QUORUM_VOTERS_MAX */
    unsigned threshold;          /* Q: more than n/2 */
    int64_t reply_timeout_ms;    /* T: a reply later than this is dropped */
    int64_t vote_life_ms;        /* F: a vote of this age has expired */
    int64_t hold_ms;             /* HOLD: how long a suspicion keeps older votes from counting */
    int64_t suspect_interval_ms; /* at most one suspicion in this time */
};

/* Defaults of design and configuration, ms. */
#define QUORUM_HOLD_MS 150
#define QUORUM_SUSPECT_INTERVAL_MS 50

struct quorum {
    const struct quorum_config *config; /* borrowed */
    struct quorum_vote *votes;          /* one per voter; the caller's memory */
    int64_t t_start_ms;
    int64_t t_suspect_ms; /* INT64_MIN: never */
    uint64_t refusing;    /* a bit per voter: its host refuses connections */
    uint64_t refusing_us; /* a bit per voter: it lives, and refuses what we ask in words of its own */
    bool asks_again;      /* somebody disagreed soon after t_suspect_ms: all are to be asked once more */
    bool is_settled;      /* a majority was found or missed before: it is not starting any more */
};

enum quorum_verdict {
    QUORUM_STARTING, /* never settled, not all voters were heard, and a vote's life has not passed */
    QUORUM_PENDING,  /* a suspicion is being cleared up */
    QUORUM_LOST,     /* no majority */
    QUORUM_WON,
};

/* Why there is no majority. */
enum quorum_reason {
    QUORUM_REASON_NONE,
    QUORUM_UNREACHABLE, /* fewer than Q voters answered within F */
    QUORUM_REFUSED,     /* the same, and all that did not refuse connections: dead, not cut off */
    QUORUM_REFUSED_US,  /* the same, but with those that answer with an error there would be Q */
    QUORUM_DISAGREE,    /* Q voters answered, but name different candidates */
    QUORUM_UNKNOWN,     /* too many voters know no master of that name */
};

struct quorum_result {
    enum quorum_verdict verdict;
    enum quorum_reason reason; /* with QUORUM_LOST */
    int32_t winner;            /* with QUORUM_WON, else QUORUM_NO_CANDIDATE */
    unsigned votes;            /* for the winner */
    int64_t oldest_sent_ms;    /* t_sent of the oldest vote counted for the winner */
    unsigned in_reach; /* identities that answered within F, suspicion or not, and not with an error */
    int32_t sole;      /* the one candidate that all these name, or QUORUM_NO_CANDIDATE */
    int64_t review_ms; /* from this time on the result no longer stands: evaluate again */
};

/* What became of a reply. */
enum quorum_receipt {
    QUORUM_DROPPED,   /* late, or older than the vote that is there */
    QUORUM_CONFIRMED, /* recorded; an error, what this voter said before, or the current master */
    QUORUM_NEWS,      /* recorded; names another than the current one, and did not before: suspect */
};

/* The majority of n voters. */
static inline unsigned quorum_majority(unsigned voters)
{
    return voters / 2 + 1;
}

/* `config` is borrowed. `votes` has room for config->voters and stays the caller's; it is cleared. */
void quorum_init(struct quorum *quorum, const struct quorum_config *config, struct quorum_vote *votes,
                 int64_t now_ms);

/* Whether a reply to a request sent at `t_sent_ms` comes too late to be a vote. */
bool quorum_is_late(const struct quorum_config *config, int64_t t_sent_ms, int64_t now_ms);

/* Records a reply of `voter`. `current` is the candidate named now, or QUORUM_NO_CANDIDATE. */
enum quorum_receipt quorum_note_vote(struct quorum *quorum, unsigned voter, const struct quorum_vote *vote,
                                     int32_t current, int64_t now_ms);

/*
 * Whether `voter` has a fresh vote for `candidate`; if so `*ret_expiry_ms` becomes the time at which it
 * expires.
 */
bool quorum_has_vote(const struct quorum *quorum, unsigned voter, int32_t candidate, int64_t now_ms,
                     int64_t *ret_expiry_ms);

/* Whether `voter` has answered within the life of a vote. */
bool quorum_is_heard(const struct quorum *quorum, unsigned voter, int64_t now_ms);

/* How many identities name a candidate in a fresh vote, the same one or not. */
unsigned quorum_count_naming(const struct quorum *quorum, int64_t now_ms);

/* Drops what `voter` said: it turned out to be another Sentinel than before. */
void quorum_forget(struct quorum *quorum, unsigned voter);

/* Whether the host of `voter` refuses connections: it is there, but no Sentinel runs on it. */
void quorum_note_refusal(struct quorum *quorum, unsigned voter, bool is_refusing);

/* Whether `voter` lives and refuses us: it answers with an error, or said why it closed our connection. */
void quorum_note_refusal_of_us(struct quorum *quorum, unsigned voter, bool refuses_us);

/*
 * A voter disagrees. Until HOLD has passed, or until every voter has answered again, only votes that are
 * asked for from now on count. The caller must ask all voters at once. False where the last suspicion is
 * younger than suspect_interval_ms: then quorum_take_ask_again() is true once that time has passed.
 */
bool quorum_suspect(struct quorum *quorum, int64_t now_ms);

/*
 * True once where all voters are to be asked again: a dissent came too soon for a suspicion of its own. Does
 * not start a new HOLD: most such dissents answer the previous question.
 */
bool quorum_take_ask_again(struct quorum *quorum, int64_t now_ms);

/* The quorum is not starting any more: to be called when a result says WON or LOST. */
void quorum_note_settled(struct quorum *quorum);

/* The rule: see the head of quorum.c. */
struct quorum_result quorum_evaluate(const struct quorum *quorum, int64_t now_ms);

#endif
