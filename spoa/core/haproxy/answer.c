#include "spoa/core/haproxy/answer.h"

#include <stdlib.h>

#include "spoa/core/base/container_of.h"

/* The answers for the role replica. They name the replicas in turn. */
struct answer_replicas {
    struct answer_words words;
    int64_t turns[]; /* one per server, for smooth weighted round robin: the largest is next */
};

_Static_assert(ACTIONS_MAX <= UINT16_MAX, "a length has two bytes");

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct answer *answer = container_of(self, struct answer, observer);

    (void)service;
    answer->is_stale = true;
    answer->is_first_due = answer->is_first_due || change->switched;
}

bool answer_init(struct answer *answer, struct service *service)
{
    const struct service_settings *settings = service_settings(service);

    *answer = (struct answer){
        .observer = {.changed = decision_changed},
        .service = service,
        .decision = service_decision(service),
        .is_stale = true,
    };
    if (settings->replicas.is_enabled) {
        size_t turns_size = settings->server_count * sizeof(int64_t);
        answer->replicas = calloc(1, sizeof(*answer->replicas) + turns_size);
        if (answer->replicas == NULL)
            return false;
    }
    service_observe(service, &answer->observer);
    return true;
}

void answer_finish(struct answer *answer)
{
    free(answer->replicas);
    answer->replicas = NULL;
}

void answer_inherit(struct answer *answer, const struct answer *former)
{
    answer->counters = former->counters;
    answer->is_first_due = answer->is_first_due || former->is_first_due;
}

/* ---- what is said ---- */

static void say_master(const struct service_decision *decision, struct actions *actions)
{
    actions->state = service_state_text(decision->state);
    actions->server = decision->server;
    actions->addr = service_state_names(decision->state) ? decision->addr : NULL;
    actions->votes = decision->votes;
    actions->generation = decision->generation;
}

static void write_words(const struct service *service, enum service_role role, const struct actions *actions,
                        struct answer_words *words)
{
    words->is_named = service_has_name(service, role);
    words->is_open = service_is_open(service, role);
    words->len = (uint16_t)actions_encode(actions, words->actions);
}

static void write_master(struct answer *answer)
{
    struct actions actions = {0};

    say_master(answer->decision, &actions);
    write_words(answer->service, SERVICE_ROLE_MASTER, &actions, &answer->master);
    answer->is_stale = false;
}

/* Takes the next server of `set`, which is not empty. Each server comes as often as its weight says. */
static size_t take_turn(const struct service_settings *settings, int64_t *turns, uint64_t set)
{
    int64_t total = 0;
    size_t next = 0;
    int64_t highest = INT64_MIN;

    for (size_t i = 0; i < settings->server_count; i++) {
        if ((set >> i & 1) == 0)
            continue;
        turns[i] += settings->servers[i].weight;
        total += settings->servers[i].weight;
        if (turns[i] > highest) {
            highest = turns[i];
            next = i;
        }
    }
    turns[next] -= total;
    return next;
}

static const struct answer_words *give_replica(struct answer *answer)
{
    const struct service_settings *settings = service_settings(answer->service);
    const struct service_decision *decision = answer->decision;
    struct answer_replicas *replicas = answer->replicas;
    struct actions actions = {
        .state = decision->state == SERVICE_STARTING ? service_state_text(SERVICE_STARTING) : "no-replica",
        .is_replica = true,
        .generation = decision->generation,
    };

    if (decision->replicas != 0) {
        size_t server = take_turn(settings, replicas->turns, decision->replicas);
        actions.state = service_state_text(SERVICE_OK);
        actions.server = settings->servers[server].name;
        actions.addr = &settings->servers[server].addr;
    } else if (service_has_name(answer->service, SERVICE_ROLE_REPLICA)) {
        say_master(decision, &actions); /* replica-fallback = master */
    }
    write_words(answer->service, SERVICE_ROLE_REPLICA, &actions, &replicas->words);
    return &replicas->words;
}

/* A function of its own, so that the rest of answer_give() is small enough to be inlined. */
__attribute__((cold, noinline)) static const struct answer_words *
renew(struct answer *answer, enum service_role role, int64_t now_ms)
{
    if (now_ms >= answer->decision->review_ms)
        service_review_to_answer(answer->service, now_ms);
    if (role == SERVICE_ROLE_REPLICA)
        return give_replica(answer);
    if (answer->is_stale)
        write_master(answer);
    return &answer->master;
}

const struct answer_words *answer_give(struct answer *answer, enum service_role role, int64_t now_ms)
{
    if (role != SERVICE_ROLE_MASTER || answer->is_stale || now_ms >= answer->decision->review_ms)
        return renew(answer, role, now_ms);
    return &answer->master;
}

/* ---- what went out ---- */

void answer_tell_first(struct answer *answer, int64_t now_ms)
{
    answer->is_first_due = false;
    service_note_first_answer(answer->service, now_ms);
}
