/*
 * Doubt of a node: our own link to it worked, and broke or fell silent. The node may be dead long before the
 * Sentinels say so. A doubt delays answers for a while. It changes none. Pure: time comes in.
 */
#ifndef SPOA_CORE_DECISION_DOUBT_H
#define SPOA_CORE_DECISION_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "spoa/core/decision/succession.h"

/* What happened to our link. */
enum doubt_cause {
    DOUBT_CLOSED, /* it was closed or reset */
    DOUBT_SILENT, /* it is there, and what we asked was not answered in time */
};

struct doubt {
    int32_t candidate; /* QUORUM_NO_CANDIDATE: of nobody */
    enum doubt_cause cause;
    int64_t since_ms;
    int64_t until_ms; /* goes on with each attempt to connect that is refused */
};

void doubt_init(struct doubt *doubt);

/*
 * Our link to `candidate` broke or fell silent: that is a doubt for `park_ms`. Silence adds nothing to a doubt
 * about `candidate` that there is already.
 */
void doubt_begin(struct doubt *doubt, int32_t candidate, enum doubt_cause cause, int64_t park_ms,
                 int64_t now_ms);

/*
 * `candidate` refused our attempt to connect. A doubt about it goes on until `until_ms` at least. It ends
 * when the Sentinels have had the time to replace a dead master, by their longest down-after-milliseconds (0:
 * not known, `park_ms` stands for it), and not before `park_ms`: after that time the node refuses only us.
 * False if there is no doubt: a refusal begins none.
 */
bool doubt_confirm(struct doubt *doubt, int32_t candidate, int64_t until_ms, int64_t park_ms,
                   uint32_t down_after_ms, int64_t now_ms);

/*
 * Takes over the doubt of `former`, if it has a doubt and ours is not newer. It lasts until `until_ms` at
 * least, so that an attempt to connect that begins now can confirm it.
 */
void doubt_inherit(struct doubt *doubt, const struct doubt *former, const struct succession *succession,
                   int64_t until_ms, int64_t now_ms);

/* `candidate` was heard. */
void doubt_end(struct doubt *doubt, int32_t candidate);

bool doubt_is_about(const struct doubt *doubt, int32_t candidate, int64_t now_ms);

/* For the log: "closed" or "silent". */
const char *doubt_cause_text(enum doubt_cause cause);

#endif
