#include "spoa/core/decision/service.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/haproxy/answer.h"
#include "spoa/core/decision/doubt.h"
#include "spoa/core/decision/service_alarms.h"

struct service {
    /* What every answer looks at comes first and together: with thousands of services it is memory that takes time. */
    struct service_decision decision;
    struct service_counters counters;
    bool is_first_due; /* nobody was told of the last switch yet */
    uint8_t answer_len;
    uint8_t answer[ANSWER_MAX]; /* who is the master */
    const struct service_settings *settings;
    struct service_observer *observers;
    struct server_map map;
    struct quorum quorum;
    struct evidence evidence;
    struct policy policy;
    struct replicas *replicas; /* NULL: not enabled */
    struct alarms alarms;
    int32_t current; /* the candidate named last, QUORUM_NO_CANDIDATE before the first */
    int32_t subject; /* the candidate that the decision is about, or QUORUM_NO_CANDIDATE */
    struct doubt doubt;
    bool asks_all;
    uint8_t *replica_answer;                  /* with `replicas`: who is a replica, another one each time */
    struct sentinel_report *sentinel_reports; /* behind the votes, one per voter as well */
    struct quorum_vote votes[];
};

static void prepare_answer(struct service *service)
{
    const struct service_decision *decision = &service->decision;
    struct answer answer = {
        .state = service_state_text(decision->state),
        .server = decision->server,
        .addr = service_state_names(decision->state) ? decision->addr : NULL,
        .votes = decision->votes,
        .generation = decision->generation,
    };

    service->answer_len = (uint8_t)answer_encode(&answer, service->answer);
}

_Static_assert(ANSWER_MAX <= UINT8_MAX, "a length is a byte");
_Static_assert(_Alignof(struct sentinel_report) <= _Alignof(struct quorum_vote), "stands behind the votes");

struct service *service_create(const struct service_settings *settings, int64_t now_ms)
{
    unsigned voters = settings->quorum.voters;
    size_t votes_size = voters * sizeof(struct quorum_vote);
    struct service *service =
        calloc(1, sizeof(*service) + votes_size + voters * sizeof(struct sentinel_report));

    if (service == NULL)
        return NULL;
    service->settings = settings;
    service->current = QUORUM_NO_CANDIDATE;
    service->subject = QUORUM_NO_CANDIDATE;
    doubt_init(&service->doubt);
    service->sentinel_reports = (struct sentinel_report *)(void *)&service->votes[voters];
    /* Referred to by each voter's vote, report and view, the node's report, the decision, the master named last. */
    server_map_init(&service->map, settings->servers, settings->server_count, 3 * (size_t)voters + 4);
    quorum_init(&service->quorum, &settings->quorum, service->votes, now_ms);
    evidence_init(&service->evidence, service->sentinel_reports, voters, settings->quorum.vote_life_ms);
    policy_init(&service->policy, &settings->policy);
    service->decision =
        (struct service_decision){.state = SERVICE_STARTING, .t_switched_ms = INT64_MIN, .review_ms = now_ms};
    prepare_answer(service);
    if (!settings->replicas.is_enabled)
        return service;
    service->replicas =
        replicas_create(&settings->replicas, &settings->quorum, settings->servers, settings->server_count);
    service->replica_answer = malloc(ANSWER_MAX);
    if (service->replicas == NULL || service->replica_answer == NULL) {
        service_destroy(service);
        return NULL;
    }
    return service;
}

void service_destroy(struct service *service)
{
    if (service == NULL)
        return;
    server_map_finish(&service->map);
    replicas_destroy(service->replicas);
    free(service->replica_answer);
    free(service);
}

const char *service_last_server(const struct service *service)
{
    return server_map_server(&service->map, service->current);
}

void service_observe(struct service *service, struct service_observer *observer)
{
    observer->next = service->observers;
    service->observers = observer;
}

const struct service_settings *service_settings(const struct service *service)
{
    return service->settings;
}

const struct service_decision *service_decision(const struct service *service)
{
    return &service->decision;
}

const struct service_counters *service_counters(const struct service *service)
{
    return &service->counters;
}

const struct alarms *service_alarms(const struct service *service)
{
    return &service->alarms;
}

/* Whether a vote, a report, the decision or the master named last still refers to `candidate`. */
static bool is_referred(const void *context, int32_t candidate)
{
    const struct service *service = context;

    if (service->current == candidate || service->subject == candidate ||
        evidence_refer(&service->evidence, candidate) ||
        (service->replicas != NULL && replicas_refer(service->replicas, candidate)))
        return true;
    for (unsigned i = 0; i < service->settings->quorum.voters; i++)
        if (service->votes[i].ballot == QUORUM_NAMES && service->votes[i].candidate == candidate)
            return true;
    return false;
}

void service_inherit(struct service *service, const struct service *former)
{
    const struct addr *master = server_map_addr(&former->map, former->current);

    if (master != NULL)
        service->current = server_map_find(&service->map, master, is_referred, service);
    policy_inherit(&service->policy, &former->policy);
    service->decision.generation = former->decision.generation;
    service->decision.t_switched_ms = former->decision.t_switched_ms;
    service->counters = former->counters;
    prepare_answer(service);
}

/* ---- evaluation ---- */

/* Whether set-dst can use the address; with the unspecified one HAProxy would connect to itself. */
static bool is_numeric(const struct addr *addr)
{
    static const uint8_t unspecified[sizeof(addr->ip)] = {0};

    return (addr->kind == ADDR_IPV4 || addr->kind == ADDR_IPV6) &&
           memcmp(addr->ip, unspecified, sizeof(unspecified)) != 0;
}

/* What the map does not have is named only where that is allowed. */
static bool is_nameable(const void *context, int32_t candidate)
{
    const struct service *service = context;

    return server_map_is_mapped(&service->map, candidate) ||
           (service->settings->allow_any_address && is_numeric(server_map_addr(&service->map, candidate)));
}

/* Looks for a voter in reach that sees a majority, where all that are in reach name the same. */
static void find_witness(const struct service *service, const uint8_t *identities, int64_t now_ms,
                         struct policy_facts *facts)
{
    if (!service->settings->policy.witness || facts->quorum->sole == QUORUM_NO_CANDIDATE)
        return;
    for (unsigned i = 0; i < service->settings->quorum.voters; i++) {
        int64_t expiry_ms = INT64_MAX;
        if (identities[i] == QUORUM_NO_IDENTITY ||
            !quorum_names(&service->quorum, i, facts->quorum->sole, now_ms, &expiry_ms) ||
            !evidence_is_witness(&service->evidence, i, now_ms, &expiry_ms))
            continue;
        /* The one that stays longest: the others need not be looked at before. */
        if (!facts->is_witnessed || expiry_ms > facts->witness_expiry_ms)
            facts->witness_expiry_ms = expiry_ms;
        facts->is_witnessed = true;
    }
}

static struct policy_ruling rule(struct service *service, const struct quorum_result *quorum,
                                 const uint8_t *identities, int64_t now_ms)
{
    struct policy_facts facts = {
        .quorum = quorum,
        .threshold = service->settings->quorum.threshold,
        .identities = identities,
        .evidence = &service->evidence,
        .is_nameable = is_nameable,
        .context = service,
        .current = service->current,
    };

    find_witness(service, identities, now_ms, &facts);
    return policy_rule(&service->policy, &facts, now_ms);
}

static unsigned votes_behind(const struct quorum_result *quorum, const struct policy_ruling *ruling)
{
    if (quorum->verdict == QUORUM_WON)
        return quorum->votes;
    return ruling->candidate != QUORUM_NO_CANDIDATE && quorum->sole == ruling->candidate ? quorum->in_reach
                                                                                         : 0;
}

static struct service_decision decide(const struct service *service, const struct quorum_result *quorum,
                                      const struct policy_ruling *ruling, const uint8_t *identities,
                                      int64_t now_ms)
{
    bool names = service_state_names(ruling->state);
    bool doubtful = names && doubt_holds(&service->doubt, ruling->candidate, now_ms);
    int64_t review_ms = ruling->review_ms;
    uint64_t replicas = 0;

    if (doubtful && service->doubt.until_ms < review_ms)
        review_ms = service->doubt.until_ms;
    if (service->replicas != NULL)
        replicas = replicas_evaluate(service->replicas, names ? ruling->candidate : service->current,
                                     identities, now_ms, &review_ms);
    return (struct service_decision){
        .state = ruling->state,
        .reason = ruling->reason,
        .addr = server_map_addr(&service->map, ruling->candidate),
        .server = names ? server_map_server(&service->map, ruling->candidate) : NULL,
        .votes = votes_behind(quorum, ruling),
        .oldest_sent_ms = quorum->verdict == QUORUM_WON ? quorum->oldest_sent_ms : now_ms,
        .generation = service->decision.generation,
        .t_switched_ms = service->decision.t_switched_ms,
        .is_doubtful = doubtful,
        .is_fenced = ruling->is_fenced,
        .replicas = replicas,
        .review_ms = review_ms,
    };
}

static bool is_same(const struct service_decision *a, const struct service_decision *b)
{
    return a->state == b->state && a->reason == b->reason && a->addr == b->addr && a->votes == b->votes &&
           a->is_doubtful == b->is_doubtful && a->is_fenced == b->is_fenced && a->replicas == b->replicas;
}

static void notify_observers(const struct service *service, const struct service_change *change)
{
    struct service_observer *next;

    for (struct service_observer *observer = service->observers; observer != NULL; observer = next) {
        next = observer->next;
        observer->changed(observer, service, change);
    }
}

/* Takes a decision over and tells of it. */
static void adopt(struct service *service, struct service_decision *after, int32_t subject, int64_t now_ms)
{
    struct service_decision before = service->decision;
    int32_t previous = service->current;
    bool switched = service_state_names(after->state) && subject != previous;

    if (switched) {
        after->generation++;
        after->t_switched_ms = now_ms;
        service->current = subject;
        service->is_first_due = true;
        if (service->replicas != NULL)
            replicas_forget_offsets(service->replicas);
    }
    service->decision = *after;
    service->subject = subject;
    if (!switched && is_same(&before, after))
        return;
    prepare_answer(service);
    struct service_change change = {
        .before = &before,
        .after = &service->decision,
        .switched = switched,
        .replaced = switched ? server_map_addr(&service->map, previous) : NULL,
        .replaced_server = switched ? server_map_server(&service->map, previous) : NULL,
        .now_ms = now_ms,
    };
    notify_observers(service, &change);
}

void service_succeed(struct service *service, struct service *former, int64_t now_ms)
{
    const struct addr *told = server_map_addr(&former->map, former->current);
    const struct addr *named = server_map_addr(&service->map, service->current);
    bool names = named != NULL && service_state_names(service->decision.state);
    bool switched = names && (told == NULL || !addr_equals(told, named));
    uint64_t generation = former->decision.generation + switched;

    former->observers = NULL;
    if (service->decision.generation < generation)
        service->decision.generation = generation;
    prepare_answer(service);
    if (!switched)
        return;
    struct service_change change = {
        .before = &former->decision,
        .after = &service->decision,
        .switched = true,
        .replaced = told,
        .replaced_server =
            told != NULL ? server_map_server(&service->map, server_map_lookup(&service->map, told)) : NULL,
        .now_ms = now_ms,
    };
    notify_observers(service, &change);
}

void service_review(struct service *service, const uint8_t *identities, int64_t now_ms)
{
    service->asks_all = quorum_take_ask_again(&service->quorum, now_ms) || service->asks_all;
    struct quorum_result quorum = quorum_evaluate(&service->quorum, identities, now_ms);
    struct policy_ruling ruling = rule(service, &quorum, identities, now_ms);
    struct service_decision after = decide(service, &quorum, &ruling, identities, now_ms);

    if (quorum.verdict == QUORUM_WON || quorum.verdict == QUORUM_LOST)
        quorum_settle(&service->quorum);
    adopt(service, &after, ruling.candidate, now_ms);
    service_alarms_review(&service->alarms, service->settings, &service->decision, &quorum, now_ms);
}

/* ---- what is recorded ---- */

enum quorum_receipt service_vote(struct service *service, unsigned voter, const struct service_ballot *ballot,
                                 const uint8_t *identities, int64_t now_ms)
{
    struct quorum_vote vote = {
        .t_sent_ms = ballot->t_sent_ms,
        .candidate = QUORUM_NO_CANDIDATE,
        .ballot = ballot->ballot,
    };

    if (quorum_is_late(&service->settings->quorum, ballot->t_sent_ms, now_ms))
        return QUORUM_DROPPED;
    if (ballot->ballot == QUORUM_NAMES) {
        vote.candidate = server_map_find(&service->map, ballot->addr, is_referred, service);
        if (vote.candidate == QUORUM_NO_CANDIDATE)
            vote.ballot = QUORUM_INVALID;
    }
    enum quorum_receipt receipt = quorum_record(&service->quorum, voter, &vote, service->current, now_ms);
    if (receipt == QUORUM_DROPPED)
        return receipt;
    if (receipt == QUORUM_NEWS)
        service->asks_all = quorum_suspect(&service->quorum, now_ms) || service->asks_all;
    service_review(service, identities, now_ms);
    return receipt;
}

void service_facts(struct service *service, unsigned voter, const struct addr *addr,
                   const struct sentinel_facts *facts, int64_t t_sent_ms, const uint8_t *identities,
                   int64_t now_ms)
{
    int32_t candidate = server_map_find(&service->map, addr, is_referred, service);

    evidence_take_facts(&service->evidence, voter, candidate, facts, t_sent_ms);
    if (facts->is_failing_over && candidate != QUORUM_NO_CANDIDATE && candidate == service->current)
        policy_expect_failover(&service->policy, candidate, now_ms);
    service_alarms_facts(&service->alarms, service->settings, &service->evidence, now_ms);
    service_review(service, identities, now_ms);
}

void service_witness(struct service *service, unsigned voter, bool says_ok, int64_t t_sent_ms,
                     const uint8_t *identities, int64_t now_ms)
{
    evidence_take_witness(&service->evidence, voter, says_ok, t_sent_ms);
    service_review(service, identities, now_ms);
}

void service_note_sight(struct service *service, enum service_role role, enum service_sight sight,
                        int64_t now_ms)
{
    service_alarms_sight(&service->alarms, service->settings, role, sight, now_ms);
}

void service_role(struct service *service, const struct addr *addr, enum node_role role, int64_t t_sent_ms,
                  const uint8_t *identities, int64_t now_ms)
{
    struct node_report report = {
        .t_sent_ms = t_sent_ms,
        .candidate = server_map_lookup(&service->map, addr),
        .role = role,
    };

    if (report.candidate == QUORUM_NO_CANDIDATE)
        return;
    evidence_take_role(&service->evidence, &report);
    doubt_end(&service->doubt, report.candidate);
    service_review(service, identities, now_ms);
}

void service_doubt(struct service *service, const struct addr *addr, const uint8_t *identities,
                   int64_t now_ms)
{
    doubt_begin(&service->doubt, server_map_lookup(&service->map, addr), service->settings->park_ms, now_ms);
    service_review(service, identities, now_ms);
}

bool service_confirm_doubt(struct service *service, const struct addr *addr, int64_t until_ms,
                           const uint8_t *identities, int64_t now_ms)
{
    bool holds =
        doubt_confirm(&service->doubt, server_map_lookup(&service->map, addr), until_ms,
                      service->settings->park_ms, evidence_longest_down_after_ms(&service->evidence), now_ms);

    if (holds)
        service_review(service, identities, now_ms);
    return holds;
}

void service_replicas(struct service *service, unsigned voter, const struct addr *master, uint64_t up,
                      int64_t t_sent_ms, const uint8_t *identities, int64_t now_ms)
{
    struct replicas_view view = {
        .t_sent_ms = t_sent_ms,
        .master = server_map_find(&service->map, master, is_referred, service),
        .up = up,
    };

    if (service->replicas == NULL)
        return;
    replicas_take_view(service->replicas, voter, &view);
    service_review(service, identities, now_ms);
}

void service_offsets(struct service *service, const struct addr *master, int64_t offset,
                     const int64_t *offsets, int64_t t_sent_ms, const uint8_t *identities, int64_t now_ms)
{
    int32_t candidate = server_map_lookup(&service->map, master);

    if (service->replicas == NULL || candidate == QUORUM_NO_CANDIDATE || candidate != service->current)
        return;
    replicas_take_offsets(service->replicas, offset, offsets, t_sent_ms);
    service_review(service, identities, now_ms);
}

void service_expect_failover(struct service *service, const struct addr *addr, const uint8_t *identities,
                             int64_t now_ms)
{
    int32_t candidate = server_map_lookup(&service->map, addr);

    if (candidate == QUORUM_NO_CANDIDATE || candidate != service->current)
        return;
    policy_expect_failover(&service->policy, candidate, now_ms);
    service_review(service, identities, now_ms);
}

void service_refuse(struct service *service, unsigned voter, bool is_refusing, const uint8_t *identities,
                    int64_t now_ms)
{
    quorum_refuse(&service->quorum, voter, is_refusing);
    service_review(service, identities, now_ms);
}

void service_forget(struct service *service, unsigned voter, const uint8_t *identities, int64_t now_ms)
{
    quorum_forget(&service->quorum, voter);
    evidence_forget(&service->evidence, voter);
    if (service->replicas != NULL)
        replicas_forget(service->replicas, voter);
    service_review(service, identities, now_ms);
}

/* ---- what is asked for ---- */

bool service_take_ask_all(struct service *service)
{
    bool asks_all = service->asks_all;

    service->asks_all = false;
    return asks_all;
}

bool service_wants_facts(const struct service *service, unsigned voter)
{
    return service->sentinel_reports[voter].facts.is_o_down || service->decision.state == SERVICE_DOWN ||
           service->settings->policy.early_fence;
}

bool service_wants_witness(const struct service *service)
{
    return service->settings->policy.witness && service->decision.votes < service->settings->quorum.voters;
}

int service_find_server(const struct service *service, const struct addr *addr)
{
    int32_t candidate = server_map_lookup(&service->map, addr);

    return server_map_is_mapped(&service->map, candidate) ? candidate : -1;
}

struct service_voice service_voice(const struct service *service, unsigned voter)
{
    return (struct service_voice){
        .addr = service_named_by(service, voter),
        .ballot = service->votes[voter].ballot,
        .t_sent_ms = service->votes[voter].t_sent_ms,
    };
}

const struct addr *service_named_by(const struct service *service, unsigned voter)
{
    const struct quorum_vote *vote = &service->votes[voter];

    return vote->ballot == QUORUM_NAMES ? server_map_addr(&service->map, vote->candidate) : NULL;
}

/* ---- answers ---- */

static bool falls_back(const struct service *service)
{
    return service->settings->replicas.fall_back && service->decision.replicas == 0;
}

bool service_can_name(const struct service *service, enum service_role role)
{
    if (role == SERVICE_ROLE_REPLICA && !falls_back(service))
        return service->decision.replicas != 0;
    return service_state_names(service->decision.state);
}

bool service_is_open(const struct service *service, enum service_role role)
{
    bool is_of_replicas = role == SERVICE_ROLE_REPLICA && !falls_back(service);
    return service_can_name(service, role) && (is_of_replicas || !service->decision.is_doubtful);
}

static struct span answer_replica(struct service *service)
{
    const struct service_decision *decision = &service->decision;
    struct answer answer = {
        .state = decision->state == SERVICE_STARTING ? service_state_text(SERVICE_STARTING) : "no-replica",
        .is_replica = true,
        .generation = decision->generation,
    };

    if (decision->replicas != 0) {
        const struct service_server *server =
            &service->settings->servers[replicas_next(service->replicas, decision->replicas)];
        answer.state = service_state_text(SERVICE_OK);
        answer.server = server->name;
        answer.addr = &server->addr;
    } else if (falls_back(service) && service_state_names(decision->state)) {
        answer.state = service_state_text(decision->state);
        answer.server = decision->server;
        answer.addr = decision->addr;
        answer.votes = decision->votes;
    }
    return span_of(service->replica_answer, answer_encode(&answer, service->replica_answer));
}

struct span service_answer(struct service *service, enum service_role role, const uint8_t *identities,
                           int64_t now_ms)
{
    if (now_ms >= service->decision.review_ms)
        service_review(service, identities, now_ms);
    if (role == SERVICE_ROLE_REPLICA)
        return answer_replica(service);
    return span_of(service->answer, service->answer_len);
}

static void tell_first_answer(struct service *service, int64_t now_ms)
{
    struct service_change change = {
        .before = &service->decision,
        .after = &service->decision,
        .is_first_answer = true,
        .now_ms = now_ms,
    };

    service->is_first_due = false;
    notify_observers(service, &change);
}

void service_note_answer(struct service *service, enum service_role role, bool is_named, int64_t now_ms)
{
    if (role == SERVICE_ROLE_MASTER) {
        service->counters.answers[service->decision.state]++;
        if (service->is_first_due && is_named)
            tell_first_answer(service, now_ms);
    } else if (is_named) {
        service->counters.replicas_named++;
    } else {
        service->counters.replicas_unnamed++;
    }
}
