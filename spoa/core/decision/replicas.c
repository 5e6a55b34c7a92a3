#include "spoa/core/decision/replicas.h"

#include <stdlib.h>

#include "spoa/core/decision/review.h"

/* One server of the map. */
struct replica {
    bool is_known;          /* the master told how far it is, when it was asked last */
    int64_t t_told_ms;      /* with `is_known`: when that was asked */
    int64_t behind;         /* bytes, then */
    int64_t target;         /* an offset that the master had reached at t_target_ms */
    int64_t t_target_ms;    /* with `target` */
    int64_t t_caught_up_ms; /* all that the master had at this time it has; INT64_MIN: not known */
};

struct replicas {
    const struct replicas_config *config;
    const struct service_server *map;
    size_t server_count;
    const struct quorum_config *quorum;
    struct replica *servers; /* behind the views, one per server of the map */
    struct replicas_view views[];
};

_Static_assert(_Alignof(struct replica) <= _Alignof(struct replicas_view), "stands behind the views");

struct replicas *replicas_create(const struct replicas_config *config, const struct quorum_config *quorum,
                                 const struct service_server *servers, size_t server_count)
{
    size_t views_size = quorum->voters * sizeof(struct replicas_view);
    struct replicas *replicas =
        calloc(1, sizeof(*replicas) + views_size + server_count * sizeof(struct replica));

    if (replicas == NULL)
        return NULL;
    replicas->config = config;
    replicas->map = servers;
    replicas->server_count = server_count;
    replicas->quorum = quorum;
    replicas->servers = (struct replica *)(void *)&replicas->views[quorum->voters];
    for (unsigned i = 0; i < quorum->voters; i++)
        replicas_forget(replicas, i);
    replicas_forget_offsets(replicas);
    return replicas;
}

void replicas_destroy(struct replicas *replicas)
{
    free(replicas);
}

bool replicas_is_about(const struct replicas *replicas, int32_t candidate)
{
    for (unsigned i = 0; i < replicas->quorum->voters; i++)
        if (replicas->views[i].master == candidate)
            return true;
    return false;
}

void replicas_forget(struct replicas *replicas, unsigned voter)
{
    replicas->views[voter] = (struct replicas_view){.t_sent_ms = INT64_MIN, .master = QUORUM_NO_CANDIDATE};
}

void replicas_forget_offsets(struct replicas *replicas)
{
    for (size_t i = 0; i < replicas->server_count; i++) {
        replicas->servers[i].is_known = false;
        replicas->servers[i].t_caught_up_ms = INT64_MIN;
    }
}

void replicas_note_view(struct replicas *replicas, unsigned voter, const struct replicas_view *view)
{
    if (view->t_sent_ms >= replicas->views[voter].t_sent_ms)
        replicas->views[voter] = *view;
}

uint64_t replicas_translate(uint64_t former, const struct succession *succession)
{
    uint64_t set = 0;

    for (size_t i = 0; i < REPLICAS_MAX; i++) {
        int server = (former >> i & 1) != 0 ? succession->server(succession->context, i) : -1;
        if (server != -1)
            set |= (uint64_t)1 << server;
    }
    return set;
}

static void inherit_server(struct replica *server, const struct replica *former)
{
    if (!server->is_known || (former->is_known && former->t_told_ms > server->t_told_ms))
        *server = *former;
    else if (former->t_caught_up_ms > server->t_caught_up_ms)
        server->t_caught_up_ms = former->t_caught_up_ms; /* that takes longer to learn */
}

static void inherit_views(struct replicas *replicas, const struct replicas *former,
                          const struct succession *succession)
{
    for (unsigned i = 0; i < replicas->quorum->voters; i++) {
        const struct replicas_view *told =
            succession->voters[i] != -1 ? &former->views[succession->voters[i]] : NULL;
        if (told == NULL || told->t_sent_ms <= replicas->views[i].t_sent_ms)
            continue;
        replicas->views[i] = (struct replicas_view){
            .t_sent_ms = told->t_sent_ms,
            .master = succession->candidate(succession->context, told->master),
            .up = replicas_translate(told->up, succession),
        };
    }
}

void replicas_inherit(struct replicas *replicas, const struct replicas *former,
                      const struct succession *succession)
{
    inherit_views(replicas, former, succession);
    for (size_t i = 0; i < former->server_count; i++) {
        int server = succession->server(succession->context, i);
        if (server != -1)
            inherit_server(&replicas->servers[server], &former->servers[i]);
    }
}

/* ---- lag ---- */

/*
 * Nobody says how old a replica's data are. But when a replica has reached `target`, it has all that the
 * master had at t_target_ms. This gives an upper bound: it may be some probes too high, and is never too low.
 */
static void note_progress(struct replica *server, int64_t master_offset, int64_t offset, int64_t t_sent_ms)
{
    /* A master that has restarted counts from the beginning. */
    bool is_first = !server->is_known || master_offset < server->target;

    server->is_known = true;
    server->t_told_ms = t_sent_ms;
    server->behind = master_offset > offset ? master_offset - offset : 0;
    if (server->behind == 0)
        server->t_caught_up_ms = t_sent_ms;
    else if (!is_first && offset >= server->target && server->t_target_ms > server->t_caught_up_ms)
        server->t_caught_up_ms = server->t_target_ms;
    else if (!is_first && offset < server->target)
        return;
    server->target = master_offset;
    server->t_target_ms = t_sent_ms;
}

void replicas_note_offsets(struct replicas *replicas, int64_t offset, const int64_t *offsets,
                           int64_t t_sent_ms)
{
    for (size_t i = 0; i < replicas->server_count; i++) {
        struct replica *server = &replicas->servers[i];
        if (offsets[i] == REPLICA_NOT_CONNECTED) {
            server->is_known = false;
            server->t_caught_up_ms = INT64_MIN;
        } else {
            note_progress(server, offset, offsets[i], t_sent_ms);
        }
    }
}

/*
 * Lag in bytes says nothing of a replica whose master has not been heard since: it counts as long as a vote.
 */
static bool is_near_by_bytes(const struct replicas *replicas, const struct replica *server, int64_t now_ms,
                             int64_t *ret_review_ms)
{
    int64_t expiry_ms = server->t_told_ms + replicas->quorum->vote_life_ms;

    if (!server->is_known || server->behind > replicas->config->max_lag.amount || now_ms >= expiry_ms)
        return false;
    review_by(ret_review_ms, expiry_ms);
    return true;
}

static bool is_near(const struct replicas *replicas, const struct replica *server, int64_t now_ms,
                    int64_t *ret_review_ms)
{
    const struct lag_limit *limit = &replicas->config->max_lag;

    switch (limit->unit) {
    case LAG_UNLIMITED:
        return true;
    case LAG_BYTES:
        return is_near_by_bytes(replicas, server, now_ms, ret_review_ms);
    case LAG_MS:
        break;
    }
    if (server->t_caught_up_ms == INT64_MIN || now_ms - server->t_caught_up_ms > limit->amount)
        return false;
    review_by(ret_review_ms, server->t_caught_up_ms + limit->amount + 1);
    return true;
}

/* ---- who may be named ---- */

/*
 * How many identities hold the server to be an up replica of `master`; the first of these views to expire
 * sets the review.
 */
static unsigned count_views(const struct replicas *replicas, size_t server, int32_t master, int64_t now_ms,
                            int64_t *ret_review_ms)
{
    const uint8_t *identities = replicas->quorum->identities;
    int64_t life_ms = replicas->quorum->vote_life_ms;
    bool is_counted[QUORUM_VOTERS_MAX] = {false};
    unsigned count = 0;

    for (unsigned i = 0; i < replicas->quorum->voters; i++) {
        const struct replicas_view *view = &replicas->views[i];
        if (identities[i] == QUORUM_NO_IDENTITY || is_counted[identities[i]] || view->master != master ||
            (view->up >> server & 1) == 0 || now_ms - view->t_sent_ms >= life_ms)
            continue;
        is_counted[identities[i]] = true;
        count++;
        review_by(ret_review_ms, view->t_sent_ms + life_ms);
    }
    return count;
}

uint64_t replicas_evaluate(const struct replicas *replicas, int32_t master, int64_t now_ms,
                           int64_t *ret_review_ms)
{
    uint64_t set = 0;

    if (master == QUORUM_NO_CANDIDATE)
        return 0;
    for (size_t i = 0; i < replicas->server_count; i++) {
        const struct replica *server = &replicas->servers[i];
        if (replicas->map[i].weight == 0 || (int32_t)i == master)
            continue;
        if (count_views(replicas, i, master, now_ms, ret_review_ms) >= replicas->quorum->threshold &&
            is_near(replicas, server, now_ms, ret_review_ms))
            set |= (uint64_t)1 << i;
    }
    return set;
}

int replicas_find_unlisted(const struct replicas *replicas, int32_t master, int64_t now_ms)
{
    int64_t review_ms = INT64_MAX;

    if (replicas->config->max_lag.unit == LAG_UNLIMITED)
        return -1;
    for (size_t i = 0; i < replicas->server_count; i++)
        if (replicas->map[i].weight != 0 && (int32_t)i != master && !replicas->servers[i].is_known &&
            count_views(replicas, i, master, now_ms, &review_ms) >= replicas->quorum->threshold)
            return (int)i;
    return -1;
}
