/*
 * The words in which the status speaks to people: what clients of a service feel and why, durations and times. The status
 * page in a browser, the text and the terminal all show these. Pure: times are arguments.
 */
#ifndef SPOA_CORE_STATUS_SENTENCES_H
#define SPOA_CORE_STATUS_SENTENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/decision/service_state.h"

struct history_outage;
struct history_switch;
struct outage;
struct runtime_health;
struct service;
struct status;
struct text;
struct voter_group;

/* How a service or one of its parts is, from good to bad. */
enum tone {
    TONE_GOOD,
    TONE_WAIT, /* clients wait, or somebody should look at it */
    TONE_BAD,  /* clients are refused */
};

/* The mark in front of a line of this tone: "●", "▲" or "✖". */
const char *tone_mark(enum tone tone);

/* "good", "wait" or "bad". */
const char *tone_text(enum tone tone);

/* Whether a voter is heard. One that has not answered yet, and failed in nothing, is waited for. */
enum tone voter_tone(const struct voter_group *group, unsigned voter, int64_t now_ms);

/* What the service is like at `now_ms`. */
enum tone service_tone(const struct service *service, int64_t now_ms);

/* Whether its clients cannot be sent to a master at once. An alarm alone is no trouble. */
bool service_is_in_trouble(const struct service *service);

/* "Sentinels" or "nodes": whom the services of the group ask. */
const char *sentences_voters(const struct voter_group *group);

/* What a state is for this reason. '%' stands for the node that the state is about, '#' for sentences_voters(). */
const char *sentences_state_text(enum service_state state, enum service_reason reason);

/* "R2 is the master", "R1 is down": no number is in it, so it stays while the state stays. */
void sentences_add_state(struct text *out, const struct voter_group *group, const struct service *service);

/* The same of the state with which an outage of the service began. It stays through the outage. */
void sentences_add_beginning(struct text *out, const struct voter_group *group, const struct service *service,
                             const struct outage *outage);

/* What clients feel: "2 clients wait, the first for 4.2 s; each is refused after 8.0 s". Nothing without a trouble. */
void sentences_add_feeling(struct text *out, const struct service *service, int64_t now_ms);

/* Both: "R2 is the master", or "R1 is down: 2 clients wait, the first for 4.2 s; each is refused after 8.0 s". */
void sentences_add_headline(struct text *out, const struct voter_group *group, const struct service *service,
                            int64_t now_ms);

/* What stands behind it: address, votes, refusals, since when. */
void sentences_add_reasons(struct text *out, const struct status *status, const struct service *service);

/* Whether a HAProxy can be made to cut sessions: "sessions can be cut", "2 cuts owed", or why it cannot. */
enum tone api_tone(const struct runtime_health *api);
void sentences_add_api(struct text *out, const struct runtime_health *api);

/* How a switch went. `outage`: what clients felt of it, or NULL. */
void sentences_add_switch(struct text *out, const struct history_switch *entry,
                          const struct history_outage *outage);

/* What clients felt of an outage that ended without a switch. */
void sentences_add_outage(struct text *out, const struct history_outage *entry);

/*
 * How many outages were felt: "no outage in 24 hours", or since the agent started. `running` go on. Also whether clients
 * were refused without one.
 */
void sentences_add_day(struct text *out, const struct status *status, size_t running);

/* "1 client", "2 clients"; with a verb "1 client waits", "2 clients wait". `verb` is "" or ends in "s". */
void sentences_add_count(struct text *out, uint64_t count, const char *noun, const char *verb);

/* "840 ms", "4.2 s", "12 min", "3 h" or "4 days". */
void sentences_add_duration(struct text *out, int64_t ms);

/* "06:43:32 UTC, 12 min ago" on the same day (UTC), else "24 Nov 06:43:32 UTC". `t_ms` is of the loop's clock. */
void sentences_add_time(struct text *out, const struct status *status, int64_t t_ms);

#endif
