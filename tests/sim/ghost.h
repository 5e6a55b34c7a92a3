/*
 * The ghost knows what the agents cannot: every Sentinel's view at every time, and what each agent was told.
 * Against that it checks every answer. The invariants are those of the design:
 *
 *   I1 backed         the answer was the view of a majority of the Sentinels at instants in [t-F, t]
 *   I2 agreement      two agents that answer differently: some view changed in [t-F, t]
 *   I3 resurrection   what a majority has named throughout [t-F, t] is not contradicted
 *   I4 votes          Q Sentinels told this agent so, in reply to requests sent in (t-F, t], each within T
 *   barrier           shortly after a voter began to contradict, only what was asked for since counts
 *   I5 map            the answer is a server of the map
 *   I6 veto           the last that the named node said of itself, within F, is not that it is no master; with
 *                     `require` a new one said that it is; and no majority says within F that it is down, or
 *                     that it is silent for longer than `down-after`
 *   witnessed, kept   only where configured, within their bounds, and not against anybody who is in reach
 *   fence             only after so long without a name, or of a silent master, which is fenced until somebody
 *                     is named
 *   generation        rises with every switch, and with nothing else
 *   early             a master that is about to be replaced is not named for a while, where configured
 *   doubt             a node to which our link has broken or, as two PINGs show, is silent, is named only where
 *                     the answer cannot wait, and with the state "doubted". No other has that state
 *   trust             for nothing else, and no longer than `park` and what refusals add, a known name is held back
 *   parked            who waits is answered when somebody is named, or when its time is over, and not before
 *   outage            runs exactly while new clients cannot be sent to a master at once, but for the start
 *   told              the observers were told once of each switch and fence, and of the first answer after a switch
 *   ready             a set takes over where it names somebody, or nobody was named before
 *   counters          of answers never fall
 *   I8-gone sessions  to a former master, or one that is fenced, are cut once HAProxy's runtime API is in reach
 *   I8-spared         sessions to the master that is named are not
 *   I7-poll progress  a majority that is in reach and agrees is named within P+T (and HOLD),
 *   I7-push progress  a few round trips after the change, where the Sentinels could publish it;
 *   I7-link progress  and a link comes back
 *
 * I1 to I4 and the barrier are about the answers with state `ok`. Votes, reports and their ages are told by the
 * clock of the agent, which may jump ahead of the world's; views by the world's.
 *
 * Whatever these are called in a violation begins with the first word here; --only takes that word.
 */
#ifndef TESTS_SIM_GHOST_H
#define TESTS_SIM_GHOST_H

#include "tests/sim/ack.h"
#include "tests/sim/world.h"

/* A Sentinel's view changed. `published`: its subscribers were told. */
void ghost_view(struct world *world, unsigned sentinel, unsigned service, int8_t view, bool published);

/* Something happened to the world that may keep every agent from progress until `until_ms`. */
void ghost_shaken(struct world *world, int64_t until_ms);
void ghost_shaken_agent(struct world *world, unsigned agent, int64_t until_ms);

/* The link came or went. */
void ghost_disturbed(struct world *world, const struct sim_link *link);

/* The agent has no such service yet, or any more. */
void ghost_forget_service(struct world *world, unsigned agent, unsigned service);

/* There is a new set. */
void ghost_set_created(struct world *world, const struct sim_set *set);

/* Whom a set names now, or would name. */
void ghost_note_names(struct world *world, const struct sim_set *set);

/* `next` was told of a service's nodes what `former` knows. */
void ghost_shares_roles(struct world *world, const struct sim_set *former, const struct sim_set *next,
                        unsigned service);

/*
 * A service is about to move from `former` to `next`: checks that it may, unless it must (`by_force`). What one of the
 * two was told of it, both were from now on.
 */
void ghost_moves(struct world *world, const struct sim_set *former, const struct sim_set *next,
                 unsigned service, bool by_force);

/* It has done so. */
void ghost_has_moved(struct world *world, const struct sim_set *next, unsigned service);

/* Begins to observe the services of a set that is to answer, and checks what the observers are told. */
void ghost_watch(struct world *world, struct sim_set *set);

/* Checks that the observers know what a service says now, and how often it has said something. */
void ghost_check_told(struct world *world, unsigned agent, unsigned service);
void ghost_check_counters(struct world *world, unsigned agent);

/* A service tells its observers what it says now: which sessions may stay, and which must go. */
void ghost_note_cuts(struct world *world, unsigned agent, unsigned service,
                     const struct service_change *change);

/* The agent begins to cut sessions. It does not know what was before. Of a service that has named nobody yet
 * it owes nothing. */
void ghost_begin_cuts(struct world *world, unsigned agent);

/* HAProxy was told to cut the sessions to this server. */
void ghost_told_to_shut(struct world *world, unsigned agent, unsigned service, unsigned address);

/* Checks that all sessions are gone that must be. */
void ghost_check_cuts(struct world *world);

/* A reply reached the agent, to a request that it sent at `sent_ms`. */
void ghost_heard(struct world *world, const struct sim_link *link, unsigned service, int8_t view,
                 int64_t sent_ms);

/* What else a Sentinel told it. */
void ghost_told(struct world *world, const struct sim_link *link, const struct event_item *item,
                int64_t sent_ms);

/* While a node's link is down its silence goes on from the report before, if that is younger by less than `life_ms`. */
void ghost_go_on(const struct ghost_facts *before, int64_t life_ms, struct ghost_facts *facts);

/* The node that a set probes for a service told what it is: enum node_role. */
void ghost_role(struct world *world, const struct sim_set *set, unsigned service, uint8_t address,
                int8_t role, int64_t sent_ms);

/* What a node has told a set within F; NULL: nothing. */
const struct ghost_role *ghost_role_of(const struct world *world, const struct sim_set *set, unsigned service,
                                       int8_t address);

/* A set's link to that node, which had told what it is, was closed or is silent. */
void ghost_doubted(struct world *world, const struct sim_set *set, unsigned service, uint8_t address,
                   enum doubt_cause cause);

/* That node refuses a connection; or it has said something. */
void ghost_refused(struct world *world, const struct sim_set *set, unsigned service, uint8_t address);
void ghost_present(struct world *world, const struct sim_set *set, unsigned service, uint8_t address);

/* A set was told that the master at that address is about to be replaced. */
void ghost_expect_failover(struct world *world, const struct sim_set *set, unsigned service, int8_t address);

/* Something beside the votes speaks against a node, or no longer. */
void ghost_node_changed(struct world *world, unsigned service);

/* The agent says, or would say, a service's state (enum service_state). */
void ghost_note_state(struct world *world, unsigned agent, unsigned service, int state);

/* `park = auto`, once a Sentinel has told its down-after-milliseconds: at least. */
#define GHOST_PARK_MS (SIM_DOWN_AFTER_MS + 2000)

/*
 * Checks what `park = auto` is for a set. It follows the Sentinels once one that is heard has told its time, and stays
 * so, whoever falls silent.
 */
void ghost_check_park(struct world *world, const struct sim_set *set, unsigned service, int64_t park_ms);

/* Whether a majority told a set lately that it has not heard that node for `down-after`, for all that the agent may
 * know. */
bool ghost_may_be_silent(const struct world *world, const struct sim_set *set, unsigned service,
                         int8_t address);

/* The agent fences a service. */
void ghost_fenced(struct world *world, unsigned agent, unsigned service);

/* Checks an answer; and that it was right to give none yet. */
void ghost_check_silence(struct world *world, unsigned agent, unsigned service);
void ghost_check(struct world *world, unsigned agent, unsigned service, const struct sim_answer *answer);

/* Whether the set knows who answers at this entry, and that nobody else does: else its vote may not count. */
bool ghost_has_voice(const struct sim_set *set, unsigned voter);

/* Checks answers that two agents gave at one moment. */
void ghost_compare(struct world *world, unsigned service, const struct sim_answer *a,
                   const struct sim_answer *b);

/* An invariant does not hold: a violation, unless another one alone is to be checked. */
__attribute__((format(printf, 3, 4))) void ghost_broken(struct world *world, const char *invariant,
                                                        const char *format, ...);

/* Prints the violation, what the agent was told and how the views changed; the first of a script only. */
__attribute__((format(printf, 3, 4))) void ghost_violation(struct world *world, const char *invariant,
                                                           const char *format, ...);

#endif
