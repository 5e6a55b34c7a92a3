#include "spoa/core/decision/service_alarms.h"

#include <stdio.h>

#include "spoa/core/base/log.h"

static struct alarm_subject subject_of(const struct service_settings *settings)
{
    return (struct alarm_subject){.key = "service", .name = settings->name};
}

/* Room for an address three times, and the words around it. */
#define ADVICE_MAX (3 * ADDR_TEXT_MAX + 160)

/* What to write where the map lacks an address. */
static const char *advise(const struct addr *addr, char out[ADVICE_MAX])
{
    char text[ADDR_TEXT_MAX];

    (void)addr_format(addr, text);
    (void)snprintf(out, ADVICE_MAX, "%s: write 'server = NAME %s', or 'alias=%s' behind its server", text,
                   text, text);
    return out;
}

void service_alarms_review(struct alarms *alarms, const struct service_settings *settings,
                           const struct service_decision *decision, const struct quorum_result *quorum,
                           int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    bool is_outside = decision->state == SERVICE_UNKNOWN_ADDRESS;
    bool disagree = quorum->in_reach > 1 && quorum->sole == QUORUM_NO_CANDIDATE;
    char text[ADVICE_MAX];

    alarms_note(alarms, ALARM_UNKNOWN_ADDRESS, is_outside, &subject,
                is_outside ? advise(decision->addr, text) : NULL, now_ms);
    alarms_note(alarms, ALARM_DISAGREEMENT, disagree, &subject, NULL, now_ms);
}

/* Room for what is said of a setting. */
#define FACTS_MAX 160

/* What the Sentinels' settings come to: the worst of each. */
struct extremes {
    uint32_t down_after_ms; /* the least; 0 where nobody said */
    uint32_t quorum;        /* the largest */
    uint32_t known; /* of Sentinels, by one that knows of another number than configured, if there is one */
};

static struct extremes find_extremes(const struct evidence *evidence, const struct quorum *quorum,
                                     int64_t now_ms)
{
    struct extremes worst = {.known = evidence->config->voters};

    for (unsigned i = 0; i < evidence->config->voters; i++) {
        const struct sentinel_facts *facts = &evidence->sentinels[i].facts;
        bool is_told = facts->quorum > 0; /* by a Sentinel */
        if (!is_told || !quorum_is_heard(quorum, i, now_ms))
            continue;
        if (worst.down_after_ms == 0 || facts->down_after_ms < worst.down_after_ms)
            worst.down_after_ms = facts->down_after_ms;
        if (facts->quorum > worst.quorum)
            worst.quorum = facts->quorum;
        if (facts->other_sentinels + 1 != evidence->config->voters)
            worst.known = facts->other_sentinels + 1;
    }
    return worst;
}

/* With `auto` the operator has two ways out: a shorter failover, or more patience of HAProxy. */
static void note_park(struct alarms *alarms, const struct service_settings *settings, uint32_t down_after_ms,
                      int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    int64_t park_ms = park_limit_ms(settings->park_ms, down_after_ms);
    int64_t needed_ms = (int64_t)down_after_ms + EVIDENCE_FAILOVER_MS;
    char text[FACTS_MAX];

    if (settings->park_ms == PARK_AUTO)
        (void)snprintf(
            text, sizeof(text),
            "park auto (%lld ms at most), down-after-milliseconds %u: lower it to %d, or set 'park' to "
            "%lld ms",
            (long long)park_ms, down_after_ms, PARK_AUTO_MAX_MS - EVIDENCE_FAILOVER_MS, (long long)needed_ms);
    else
        (void)snprintf(text, sizeof(text), "park %lld ms, down-after-milliseconds %u", (long long)park_ms,
                       down_after_ms);
    alarms_note(alarms, ALARM_PARK, down_after_ms > 0 && park_ms > 0 && park_ms < needed_ms, &subject, text,
                now_ms);
}

void service_alarms_facts(struct alarms *alarms, const struct service_settings *settings,
                          const struct evidence *evidence, const struct quorum *quorum, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    struct extremes worst = find_extremes(evidence, quorum, now_ms);
    uint32_t longest_down_after_ms = evidence_longest_down_after_ms(evidence, quorum, now_ms);
    int64_t life_ms = settings->quorum.vote_life_ms;
    char text[FACTS_MAX];

    (void)snprintf(text, sizeof(text), "vote-life %lld ms, down-after-milliseconds %u", (long long)life_ms,
                   worst.down_after_ms);
    alarms_note(alarms, ALARM_VOTE_LIFE, worst.down_after_ms > 0 && life_ms >= worst.down_after_ms, &subject,
                text, now_ms);
    note_park(alarms, settings, longest_down_after_ms, now_ms);
    (void)snprintf(text, sizeof(text), "down-after %lld ms, down-after-milliseconds %u",
                   (long long)settings->policy.down_after_ms, worst.down_after_ms);
    alarms_note(alarms, ALARM_DOWN_AFTER,
                worst.down_after_ms > 0 && settings->policy.down_after_ms >= worst.down_after_ms, &subject,
                text, now_ms);
    (void)snprintf(text, sizeof(text), "%u configured, a Sentinel knows of %u", evidence->config->voters,
                   worst.known);
    alarms_note(alarms, ALARM_SENTINEL_COUNT, worst.known != evidence->config->voters, &subject, text,
                now_ms);
    (void)snprintf(text, sizeof(text), "quorum %u of %u", worst.quorum, evidence->config->voters);
    alarms_note(alarms, ALARM_SENTINEL_QUORUM, worst.quorum > evidence->config->voters, &subject, text,
                now_ms);
}

void service_alarms_loss(struct alarms *alarms, const struct service_settings *settings,
                         const struct evidence *evidence, const struct quorum *quorum, bool takes_lone_writes,
                         int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    uint32_t down_after_ms = evidence_longest_down_after_ms(evidence, quorum, now_ms);
    bool holds =
        takes_lone_writes && settings->policy.down_after_ms == 0 && down_after_ms > SERVICE_ALARMS_LOSS_MS;
    char text[96];

    (void)snprintf(text, sizeof(text), "down-after-milliseconds %u", down_after_ms);
    alarms_note(alarms, ALARM_UNBOUNDED_LOSS, holds, &subject, text, now_ms);
}

void service_alarms_refusal(struct alarms *alarms, const struct service_settings *settings,
                            const struct span *words, bool wants_password, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    char text[160] = "";

    if (words != NULL)
        (void)snprintf(text, sizeof(text), "%.*s", (int)words->len, (const char *)words->data);
    alarms_note(alarms, ALARM_NODE_PASSWORD, words != NULL && wants_password, &subject, text, now_ms);
    alarms_note(alarms, ALARM_NODE_REFUSES, words != NULL && !wants_password, &subject, text, now_ms);
}

/* ---- addresses ---- */

void service_alarms_loopback(struct alarms *alarms, const struct service_settings *settings,
                             const struct addr *addr, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    char text[ADDR_TEXT_MAX];

    alarms_note(alarms, ALARM_LOOPBACK, addr != NULL, &subject, addr != NULL ? addr_format(addr, text) : NULL,
                now_ms);
}

/*
 * A report of a majority in which `has` finds an address outside the map; NULL where there is no such
 * majority.
 */
static const struct sentinel_strangers *find_majority(const struct evidence *evidence,
                                                      const struct quorum *quorum,
                                                      bool (*has)(const struct sentinel_strangers *strangers),
                                                      int64_t now_ms)
{
    const uint8_t *identities = evidence->config->identities;
    const struct sentinel_strangers *found = NULL;
    uint64_t told = 0;

    for (unsigned i = 0; i < evidence->config->voters; i++) {
        const struct sentinel_strangers *strangers = &evidence->sentinels[i].strangers;
        if (identities[i] == QUORUM_NO_IDENTITY || !has(strangers) || !quorum_is_heard(quorum, i, now_ms))
            continue;
        told |= (uint64_t)1 << identities[i];
        found = strangers;
    }
    return (unsigned)__builtin_popcountll(told) >= evidence->config->threshold ? found : NULL;
}

static bool has_node(const struct sentinel_strangers *strangers)
{
    return strangers->node != QUORUM_NO_CANDIDATE;
}

static bool has_leader(const struct sentinel_strangers *strangers)
{
    return strangers->leader != QUORUM_NO_CANDIDATE;
}

void service_alarms_strangers(struct alarms *alarms, const struct service_settings *settings,
                              const struct server_map *map, const struct evidence *evidence,
                              const struct quorum *quorum, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    const struct sentinel_strangers *told = find_majority(evidence, quorum, has_node, now_ms);
    char text[ADVICE_MAX] = "";

    alarms_note(alarms, ALARM_UNMAPPED_NODE, told != NULL, &subject,
                told != NULL ? advise(server_map_addr(map, told->node), text) : NULL, now_ms);
    told = find_majority(evidence, quorum, has_leader, now_ms);
    if (told != NULL) {
        char addr[ADDR_TEXT_MAX];
        (void)addr_format(server_map_addr(map, told->leader), addr);
        (void)snprintf(text, sizeof(text), "%s follows %s: write 'alias=%s' behind the master's server",
                       settings->servers[told->follower].name, addr, addr);
    }
    alarms_note(alarms, ALARM_UNMAPPED_LEADER, told != NULL, &subject, text, now_ms);
}

void service_alarms_offsets(struct alarms *alarms, const struct service_settings *settings, int server,
                            const struct addr *unlisted, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    bool holds = server != -1 && unlisted != NULL;
    char text[ADVICE_MAX] = "";

    if (holds) {
        char addr[ADDR_TEXT_MAX];
        (void)addr_format(unlisted, addr);
        (void)snprintf(text, sizeof(text),
                       "the master lists %s and not %s: write 'alias=%s' behind the server that it is", addr,
                       settings->servers[server].name, addr);
    }
    alarms_note(alarms, ALARM_UNLISTED_REPLICA, holds, &subject, text, now_ms);
}

/* ---- clients ---- */

static const char *sight_text(enum service_sight sight)
{
    static const char *const texts[] = {
        [SERVICE_SIGHT_UNKNOWN] = "unknown",
        [SERVICE_SIGHT_SEEN] = "seen",
        [SERVICE_SIGHT_NOT_GIVEN] = "HAProxy does not send src, src_port, dst and dst_port",
        [SERVICE_SIGHT_ABSENT] = "no such connection in this network namespace",
        [SERVICE_SIGHT_IMPOSSIBLE] = "the kernel does not say",
    };
    return texts[sight];
}

/* The roles that something holds for, a bit each. */
static void note_role(uint8_t *roles, enum service_role role, bool holds)
{
    unsigned bit = 1U << role;

    *roles = (uint8_t)(holds ? *roles | bit : *roles & ~bit);
}

void service_alarms_sight(struct alarms *alarms, const struct service_settings *settings,
                          enum service_role role, enum service_sight sight, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);

    note_role(&alarms->unseen_roles, role, sight != SERVICE_SIGHT_SEEN && sight != SERVICE_SIGHT_UNKNOWN);
    if (sight == SERVICE_SIGHT_SEEN)
        log_event(EVENT_CLIENTS_SEEN, log_text("service", settings->name),
                  log_text("role", role == SERVICE_ROLE_MASTER ? "master" : "replica"));
    alarms_note_lasting(alarms, ALARM_GONE_CLIENTS_UNSEEN, alarms->unseen_roles != 0, &subject,
                        sight_text(sight), now_ms);
}

/* By so much HAProxy's own time limits should be longer than `park`. */
#define HAPROXY_SLACK_MS 2000

void service_alarms_given_up(struct alarms *alarms, const struct service_settings *settings,
                             enum service_role role, int64_t after_ms, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);
    int64_t park_ms = park_limit_ms(settings->park_ms, 0);
    bool holds = after_ms != SERVICE_NOT_GIVEN_UP;
    char text[160];

    note_role(&alarms->given_up_roles, role, holds);
    (void)snprintf(
        text, sizeof(text),
        "after about %lld ms, 'park' may be %lld ms: set 'timeout processing' and 'timeout client' "
        "to %lldms or more",
        (long long)after_ms, (long long)park_ms, (long long)park_ms + HAPROXY_SLACK_MS);
    alarms_note(alarms, ALARM_PARK_TIMEOUT, alarms->given_up_roles != 0, &subject, holds ? text : NULL,
                now_ms);
}

void service_alarms_inherit(struct alarms *alarms, const struct service_settings *settings,
                            const struct alarms *former, int64_t now_ms)
{
    struct alarm_subject subject = subject_of(settings);

    alarms_inherit(alarms, former, ALARM_PARK_TIMEOUT);
    alarms->given_up_roles = former->given_up_roles;
    if (!settings->replicas.is_enabled)
        note_role(&alarms->given_up_roles, SERVICE_ROLE_REPLICA, false);
    alarms_note(alarms, ALARM_PARK_TIMEOUT, alarms->given_up_roles != 0, &subject, NULL, now_ms);
}
