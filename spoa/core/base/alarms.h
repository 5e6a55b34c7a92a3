/*
 * What an operator should look into, even while clients get answers. An alarm is logged when it is raised and
 * when it is cleared, and the status shows those that are raised. Pure: time is an argument.
 */
#ifndef SPOA_CORE_BASE_ALARMS_H
#define SPOA_CORE_BASE_ALARMS_H

#include <stdbool.h>
#include <stdint.h>

/* name, text, how many ms the condition must hold before the alarm is raised, meaning */
#define ALARMS(X)                                                                                            \
    X(VOTER_COUNT, "voter-count", 0,                                                                         \
      "one Sentinel is configured, or an even number of them: the last one may fail, and adds no safety. "   \
      "Configure three or five")                                                                             \
    X(SAME_SENTINEL, "same-sentinel", 0,                                                                     \
      "two configured Sentinels have one MYID: one address leads to another's Sentinel, or a file was "      \
      "copied. Correct the address; or remove the line 'sentinel myid' from the copy, and restart that "     \
      "Sentinel")                                                                                            \
    X(SENTINEL_PASSWORD, "sentinel-password", 0,                                                             \
      "a Sentinel, or a node that votes, refuses our password or wants one: it has no vote. Set 'password' " \
      "in its group")                                                                                        \
    X(NODE_PASSWORD, "node-password", 0,                                                                     \
      "the master refuses our password or wants one: 'role-check' has no effect (with 'require' it is not "  \
      "named), and a dead master is noticed late. Set 'password' in the service")                            \
    X(NODE_REFUSES, "node-refuses", 5000,                                                                    \
      "the master refuses ROLE: 'role-check' has no effect, and a dead master is noticed late. Often the "   \
      "right +role is missing")                                                                              \
    X(VOTE_LIFE, "vote-life", 0,                                                                             \
      "'vote-life' is not below Sentinel's down-after-milliseconds: an agent that is cut off could still "   \
      "name the old master when the new one is in use. Lower 'vote-life', or raise down-after-milliseconds") \
    X(SENTINEL_COUNT, "sentinel-count", 30000,                                                               \
      "a Sentinel knows of more or fewer Sentinels than are configured: one is missing here, or a dead one " \
      "was never forgotten there (SENTINEL RESET)")                                                          \
    X(SENTINEL_QUORUM, "sentinel-quorum", 0,                                                                 \
      "Sentinel's own quorum is larger than the number of Sentinels: it will never fail over. Lower it: "    \
      "SENTINEL SET NAME quorum N")                                                                          \
    X(DISAGREEMENT, "disagreement", 5000,                                                                    \
      "the Sentinels, or the nodes that vote, name different masters: the network is split, or an address "  \
      "leads to another cluster. 'sentinel-spoa status' shows who names whom")                               \
    X(PARK, "park", 0,                                                                                       \
      "'park' is shorter than Sentinel's down-after-milliseconds and 2 s: when the master dies, clients "    \
      "are refused although they could wait. Raise 'park' and HAProxy's 'timeout processing', or lower "     \
      "down-after-milliseconds")                                                                             \
    X(DOWN_AFTER, "down-after", 0,                                                                           \
      "'down-after' is not below Sentinel's down-after-milliseconds: it has no effect. Lower it, or remove " \
      "it")                                                                                                  \
    X(UNBOUNDED_LOSS, "unbounded-loss", 0,                                                                   \
      "down-after-milliseconds of the Sentinels is over 10 s, and the master takes writes while no replica " \
      "follows it: if it is cut off from the Sentinels, all that clients write meanwhile is lost. Set "      \
      "'down-after', or min-replicas-to-write in Redis, or lower down-after-milliseconds")                   \
    X(UNKNOWN_ADDRESS, "unknown-address", 0,                                                                 \
      "a majority names an address that no 'server' has: it is not named, not asked for its role, and gets " \
      "no password. Write a 'server' for it, or its address as 'alias=HOST:PORT' behind the server that it " \
      "is")                                                                                                  \
    X(UNMAPPED_NODE, "unmapped-node", 0,                                                                     \
      "a node that no 'server' has may be promoted: clients would then be refused. Write a 'server' for "    \
      "it, or its address as 'alias=HOST:PORT' behind the server that it is")                                \
    X(UNMAPPED_LEADER, "unmapped-leader", 10000,                                                             \
      "a server follows an address that no 'server' has, so it is not named as a replica. If this is the "   \
      "master, write the address as 'alias=HOST:PORT' behind its server")                                    \
    X(UNLISTED_REPLICA, "unlisted-replica", 5000,                                                            \
      "the master lists a replica by an address that no 'server' has, so its lag is not known and it is "    \
      "not named. Write the address as 'alias=HOST:PORT' behind the server that it is")                      \
    X(LOOPBACK, "loopback-address", 0,                                                                       \
      "a Sentinel on another host names a loopback address: here it leads to this host, not to the master. " \
      "Let Sentinel monitor the master by an address that all hosts reach, and write this one in 'server'")  \
    X(GONE_CLIENTS_UNSEEN, "gone-clients-unseen", 0,                                                         \
      "it cannot be seen whether a waiting client is still there: what it sent before it gave up may be "    \
      "executed later. Send src, src_port, dst and dst_port in spoe.conf and run the agent in HAProxy's "    \
      "network namespace; or keep 'park' below the clients' reply time limit; or set 'option abortonclose' " \
      "in HAProxy 3.2")                                                                                      \
    X(RUNTIME_API, "runtime-api", 3000,                                                                      \
      "the agent cannot make this HAProxy cut the sessions to an old master, or this HAProxy may send "      \
      "clients to a server that is not named: HAProxy does not answer, or the socket has no 'level admin', " \
      "or HAProxy does not know a backend or a server, or a server's weight is not 0")                       \
    X(UNKNOWN_SERVICE, "unknown-service", 0,                                                                 \
      "HAProxy asks for a service or a role that is not configured: its clients are refused. Correct "       \
      "'service' or 'role' in spoe.conf, or add the section [service NAME]")                                 \
    X(PARK_TIMEOUT, "park-timeout", 0,                                                                       \
      "HAProxy gives up clients that wait here before 'park' is over, so they are refused although they "    \
      "could wait. Set 'timeout processing' in spoe.conf above 'park', and 'timeout client', too")

enum alarm_kind {
#define X(name, text, hold_ms, meaning) ALARM_##name,
    ALARMS(X)
#undef X
        ALARM_KINDS
};

/*
 * Room for the details of the alarms that are raised. There may be thousands of sets, so it is small: what was told
 * first makes place for what is told last.
 */
#define ALARM_DETAILS_MAX 320

struct alarm_details {
    uint16_t len;
    /* Entries, the oldest first: the kind, a byte, and the text with its NUL. */
    char entries[ALARM_DETAILS_MAX];
};

/* One per service, per group of voters and so on. All zero is an empty set. It must not be copied. */
struct alarms {
    int64_t since_ms[ALARM_KINDS]; /* when the condition began; valid while it holds */
    uint32_t holding;              /* a bit per kind: the condition holds */
    uint32_t raised;               /* a bit per kind: it has held for long enough */
    /* NULL: there are none. Most sets have none for years, so the room is made for the first one. */
    struct alarm_details *details;
    const char *lasting;          /* a detail that is borrowed, see alarms_note_lasting(); or NULL */
    enum alarm_kind lasting_kind; /* of which alarm */
    uint8_t unseen_roles;         /* a bit per role of a service whose clients cannot be seen */
    uint8_t given_up_roles;       /* a bit per role whose waiting clients HAProxy gives up */
    bool is_answering;            /* a question is being answered: nothing is allocated */
};

/* Frees the details. */
void alarms_finish(struct alarms *alarms);

/* What a set of alarms is about, for the log. The key is "service", "sentinels" or "api". */
struct alarm_subject {
    const char *key;
    const char *name;
};

/*
 * Records whether the condition behind `kind` holds. The alarm is raised when the condition has held for the
 * kind's time, and cleared when it no longer holds; both are logged. There is no timer: the alarm changes
 * only in this function. `detail` is for the log and the status; it may be NULL. The last one of an alarm that is
 * raised is kept, as far as there is room and memory.
 */
void alarms_note(struct alarms *alarms, enum alarm_kind kind, bool holds, const struct alarm_subject *subject,
                 const char *detail, int64_t now_ms);

/*
 * The same for a detail that stays valid and may change: it is borrowed until the alarm is cleared. A set has one such
 * alarm at a time. Allocates nothing.
 */
void alarms_note_lasting(struct alarms *alarms, enum alarm_kind kind, bool holds,
                         const struct alarm_subject *subject, const char *detail, int64_t now_ms);

/* This alarm goes on as it was in `former`. Nothing is logged. */
void alarms_inherit(struct alarms *alarms, const struct alarms *former, enum alarm_kind kind);

static inline bool alarms_is_raised(const struct alarms *alarms, enum alarm_kind kind)
{
    return (alarms->raised >> kind & 1) != 0;
}

/* The last detail of an alarm that is raised; NULL if there is none. */
const char *alarms_detail(const struct alarms *alarms, enum alarm_kind kind);

/* The name of the alarm, for example "vote-life", and its meaning. */
const char *alarm_text(enum alarm_kind kind);
const char *alarm_meaning(enum alarm_kind kind);

#endif
