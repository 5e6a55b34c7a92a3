#include "spoa/core/status/rehearsal.h"

#include <stdlib.h>

#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"

/* A session that lives longer after the switch is worth a sentence. */
#define LONG_SESSION_MS 2000

bool rehearsal_init(struct rehearsal *rehearsal, const char *const *servers, int old, unsigned sentinels)
{
    *rehearsal = (struct rehearsal){
        .servers = servers,
        .sentinels = sentinels,
        .old = old,
        .new = REHEARSAL_NOBODY,
        .t_ordered_ms = REHEARSAL_NEVER,
        .t_first_ms = REHEARSAL_NEVER,
        .t_majority_ms = REHEARSAL_NEVER,
        .t_all_ms = REHEARSAL_NEVER,
        .t_cut_ms = REHEARSAL_NEVER,
        .t_followed_ms = REHEARSAL_NEVER,
        .writes = calloc(REHEARSAL_WRITES_MAX, sizeof(struct rehearsal_write)),
    };
    return rehearsal->writes != NULL;
}

void rehearsal_finish(struct rehearsal *rehearsal)
{
    free(rehearsal->writes);
    rehearsal->writes = NULL;
}

static const char *server_name(const struct rehearsal *rehearsal, int server)
{
    return server != REHEARSAL_NOBODY ? rehearsal->servers[server] : "nobody";
}

/* ---- what has happened ---- */

/* A line is `before`, the name of a server, `after`. */
static void add_event(const struct rehearsal *rehearsal, struct text *out, int64_t t_ms, const char *before,
                      int server, const char *after)
{
    text_printf(out, "%+8lld ms  ", (long long)(t_ms - rehearsal->t_ordered_ms));
    text_add(out, before);
    text_add(out, server_name(rehearsal, server));
    text_add(out, after);
    text_add(out, "\n");
}

static bool is_taken_by(const struct rehearsal_write *write, int server)
{
    return write->outcome == REHEARSAL_ACKNOWLEDGED && server != REHEARSAL_NOBODY && write->server == server;
}

static void count_for_new(struct rehearsal *rehearsal, const struct rehearsal_write *write, struct text *out)
{
    if (is_taken_by(write, rehearsal->new) && rehearsal->new_count++ == 0)
        add_event(rehearsal, out, write->t_ended_ms, "first write acknowledged by ", rehearsal->new, "");
}

static void add_failure(const struct rehearsal *rehearsal, int64_t t_ms, const char *what, const char *error,
                        struct text *out)
{
    if (rehearsal->t_ordered_ms != REHEARSAL_NEVER)
        text_printf(out, "%+8lld ms  ", (long long)(t_ms - rehearsal->t_ordered_ms));
    text_add(out, what);
    text_add(out, error);
    text_add(out, "\n");
}

void rehearsal_note_write(struct rehearsal *rehearsal, const struct rehearsal_write *write, const char *error,
                          struct text *out)
{
    if (rehearsal->count == REHEARSAL_WRITES_MAX)
        return;
    rehearsal->writes[rehearsal->count++] = *write;
    if (write->outcome == REHEARSAL_REFUSED && rehearsal->refused++ == 0)
        add_failure(rehearsal, write->t_ended_ms, "first write refused: ", error, out);
    if (write->outcome == REHEARSAL_ASTRAY && rehearsal->astray++ == 0)
        add_failure(rehearsal, write->t_ended_ms, "first write answered with an error: ", error, out);
    count_for_new(rehearsal, write, out);
}

void rehearsal_note_order(struct rehearsal *rehearsal, int64_t t_ms)
{
    rehearsal->t_ordered_ms = t_ms;
}

/* The writes that it has taken already are counted now. */
static void choose_new(struct rehearsal *rehearsal, const int *votes, struct text *out)
{
    for (unsigned i = 0; i < rehearsal->sentinels && rehearsal->new == REHEARSAL_NOBODY; i++)
        if (votes[i] != rehearsal->old)
            rehearsal->new = votes[i];
    for (unsigned i = 0; rehearsal->new != REHEARSAL_NOBODY &&i < rehearsal->count; i++)
        count_for_new(rehearsal, &rehearsal->writes[i], out);
}

static void reach(const struct rehearsal *rehearsal, int64_t *t_ms, int64_t now_ms, const char *who,
                  struct text *out)
{
    if (*t_ms != REHEARSAL_NEVER)
        return;
    *t_ms = now_ms;
    add_event(rehearsal, out, now_ms, who, rehearsal->new, "");
}

void rehearsal_note_votes(struct rehearsal *rehearsal, const int *votes, int64_t t_ms, struct text *out)
{
    unsigned naming = 0;

    if (rehearsal->new == REHEARSAL_NOBODY)
        choose_new(rehearsal, votes, out);
    for (unsigned i = 0; rehearsal->new != REHEARSAL_NOBODY &&i < rehearsal->sentinels; i++)
        naming += votes[i] == rehearsal->new;
    if (naming > 0)
        reach(rehearsal, &rehearsal->t_first_ms, t_ms, "a first Sentinel names ", out);
    if (naming >= quorum_majority(rehearsal->sentinels))
        reach(rehearsal, &rehearsal->t_majority_ms, t_ms, "a majority of the Sentinels names ", out);
    if (naming == rehearsal->sentinels)
        reach(rehearsal, &rehearsal->t_all_ms, t_ms, "all Sentinels name ", out);
}

void rehearsal_note_cut(struct rehearsal *rehearsal, int64_t t_ms, struct text *out)
{
    if (rehearsal->t_cut_ms != REHEARSAL_NEVER)
        return;
    rehearsal->t_cut_ms = t_ms;
    add_event(rehearsal, out, t_ms, "the old session to ", rehearsal->old, " is cut");
}

void rehearsal_note_followed(struct rehearsal *rehearsal, int64_t t_ms, struct text *out)
{
    if (rehearsal->t_followed_ms != REHEARSAL_NEVER)
        return;
    rehearsal->t_followed_ms = t_ms;
    add_event(rehearsal, out, t_ms, "", rehearsal->old, " follows the new master");
}

bool rehearsal_is_over(const struct rehearsal *rehearsal, unsigned writes)
{
    return rehearsal->t_all_ms != REHEARSAL_NEVER && rehearsal->t_cut_ms != REHEARSAL_NEVER &&
           rehearsal->t_followed_ms != REHEARSAL_NEVER && rehearsal->new_count >= writes;
}

/* ---- the sums ---- */

static bool is_found(const struct rehearsal_found *found, unsigned number)
{
    return number / 8 < found->len && (found->bits[number / 8] >> (7 - number % 8) & 1) != 0;
}

static void sum_lost(struct rehearsal_sums *sums, const struct rehearsal *rehearsal,
                     const struct rehearsal_write *write)
{
    if (sums->lost++ == 0)
        sums->t_lost_first_ms = write->t_ended_ms;
    sums->t_lost_last_ms = write->t_ended_ms;
    sums->lost_old += write->server == rehearsal->old;
}

static void sum_gap(struct rehearsal_sums *sums, int64_t from_ms, int64_t to_ms)
{
    if (to_ms - from_ms <= sums->gap_ms)
        return;
    sums->gap_ms = to_ms - from_ms;
    sums->t_gap_ms = from_ms;
}

struct rehearsal_sums rehearsal_sum(const struct rehearsal *rehearsal, const struct rehearsal_found *found)
{
    struct rehearsal_sums sums = {.gap_ms = -1};
    int64_t last_ms = 0;
    bool is_replaced = false;

    for (unsigned i = 0; i < rehearsal->count; i++) {
        const struct rehearsal_write *write = &rehearsal->writes[i];
        bool is_new = is_taken_by(write, rehearsal->new);
        bool is_right = is_new || (is_taken_by(write, rehearsal->old) && !is_replaced);
        sums.misrouted += write->outcome != REHEARSAL_REFUSED && !is_right;
        is_replaced = is_replaced || is_new;
        if (write->outcome != REHEARSAL_ACKNOWLEDGED)
            continue;
        if (sums.acknowledged++ > 0)
            sum_gap(&sums, last_ms, write->t_ended_ms);
        last_ms = write->t_ended_ms;
        if (found->bits != NULL && !is_found(found, i))
            sum_lost(&sums, rehearsal, write);
    }
    return sums;
}

/* ---- the report ---- */

static void add_sums(const struct rehearsal *rehearsal, const struct rehearsal_sums *sums, bool is_known,
                     struct text *out)
{
    long long from_ms = (long long)(sums->t_gap_ms - rehearsal->t_ordered_ms);

    text_add(out, "\n");
    if (sums->gap_ms >= 0)
        text_printf(out, "  gap            %lld ms without a write, from %+lld to %+lld ms\n",
                    (long long)sums->gap_ms, from_ms, from_ms + (long long)sums->gap_ms);
    text_printf(out, "  refused        %u of %u attempts\n", rehearsal->refused, rehearsal->count);
    text_printf(out, "  misrouted      %u (to a node that was not the master)\n", sums->misrouted);
    if (is_known)
        text_printf(out, "  lost           %u of %u acknowledged writes are not on ", sums->lost,
                    sums->acknowledged);
    else
        text_add(out, "  lost           not known: the writes could not be read from ");
    text_add(out, is_known || rehearsal->new != REHEARSAL_NOBODY ? server_name(rehearsal, rehearsal->new)
                                                                 : "a new master");
    text_add(out, "\n");
    if (rehearsal->t_cut_ms == REHEARSAL_NEVER)
        text_add(out, "  sessions cut   never\n");
    else
        text_printf(out, "  sessions cut   %+lld ms\n",
                    (long long)(rehearsal->t_cut_ms - rehearsal->t_ordered_ms));
    text_add(out, "  new master     ");
    text_add(out, server_name(rehearsal, rehearsal->new));
    text_add(out, "\n\n");
}

static void add_lost(const struct rehearsal *rehearsal, const struct rehearsal_sums *sums, struct text *out)
{
    text_printf(out, "Writes were lost, from %+lld to %+lld ms.",
                (long long)(sums->t_lost_first_ms - rehearsal->t_ordered_ms),
                (long long)(sums->t_lost_last_ms - rehearsal->t_ordered_ms));
    if (sums->lost_old == sums->lost) {
        text_add(out, " The old master took them when the new one was promoted already, and not named yet. "
                      "'early-fence' in the service prevents that.");
    }
    text_add(out, "\n");
}

/* Not wrong by itself: it depends on what that client does. */
static void add_long_session(const struct rehearsal *rehearsal, struct text *out)
{
    int64_t named_ms = rehearsal->t_majority_ms;

    if (named_ms == REHEARSAL_NEVER || rehearsal->t_cut_ms == REHEARSAL_NEVER ||
        rehearsal->t_cut_ms - named_ms < LONG_SESSION_MS)
        return;
    text_printf(out,
                "The old session stayed at the old master for %lld ms after the new one was named. What such "
                "a client "
                "writes is lost. 'runtime-api' cuts its session at once.\n",
                (long long)(rehearsal->t_cut_ms - named_ms));
}

/* What has not happened. */
static bool add_missing(const struct rehearsal *rehearsal, struct text *out)
{
    size_t before = out->len;

    if (rehearsal->new == REHEARSAL_NOBODY)
        text_add(out, "No Sentinel named a new master in time. The log of the Sentinel says why.\n");
    else if (rehearsal->t_all_ms == REHEARSAL_NEVER)
        text_add(out, "Not all Sentinels named the new master in time.\n");
    if (rehearsal->new != REHEARSAL_NOBODY && rehearsal->new_count == 0)
        text_add(out, "No write reached the new master through HAProxy.\n");
    if (rehearsal->t_followed_ms == REHEARSAL_NEVER)
        text_add(out, "The old master did not follow the new one in time.\n");
    if (rehearsal->t_cut_ms == REHEARSAL_NEVER)
        text_add(out,
                 "The session that was open before was not cut: its client would go on at the old master. "
                 "See 'runtime-api'.\n");
    return out->len > before;
}

bool rehearsal_report(const struct rehearsal *rehearsal, const struct rehearsal_found *found,
                      struct text *out)
{
    const struct rehearsal_sums sums = rehearsal_sum(rehearsal, found);
    bool is_known = found->bits != NULL;

    add_sums(rehearsal, &sums, is_known, out);
    bool is_bad = add_missing(rehearsal, out);
    add_long_session(rehearsal, out);
    if (rehearsal->refused > 0)
        text_add(
            out,
            "Clients were refused. 'park', and HAProxy's 'timeout processing', say how long they wait.\n");
    if (sums.misrouted > 0)
        text_add(out, "Clients reached a node that was not the master.\n");
    if (sums.lost > 0)
        add_lost(rehearsal, &sums, out);
    is_bad = is_bad || rehearsal->refused > 0 || sums.misrouted > 0 || sums.lost > 0 || !is_known;
    if (!is_bad) {
        text_add(out, "OK: all writes ended on ");
        text_add(out, server_name(rehearsal, rehearsal->new));
        text_add(out, ".\n");
    }
    return !is_bad;
}
