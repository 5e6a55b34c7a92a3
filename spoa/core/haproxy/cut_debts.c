#include "spoa/core/haproxy/cut_debts.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/log.h"
#include "spoa/core/base/name_index.h"

#define NOWHERE SIZE_MAX

enum debt_state {
    DEBT_UNKNOWN, /* the agent has named no master yet */
    DEBT_NONE,
    DEBT_OWED,
};

/* The state of one server at one HAProxy. */
struct debt {
    enum debt_state state;
    bool is_under_way;
    bool was_cut;      /* HAProxy has cut at least once since this is owed */
    unsigned failures; /* in a row, without those of the first CUT_HASTE_MS */
    int64_t t_owed_ms;
    int64_t t_cut_ms; /* with `was_cut`: the first time */
    int64_t t_begun_ms;
    int64_t due_ms;
};

/* A server of a backend. */
struct place {
    const char *service;
    const char *backend;
    const char *server;
    size_t owner; /* NOWHERE: the configuration no longer has it, and `copy` holds the texts */
    char *copy;
};

/* A service and the range of its places. */
struct owner {
    const char *name;
    size_t first;
    size_t count;
    bool has_named; /* a master */
    bool is_fenced;
    const char *named; /* the last one; NULL: a node outside the map */
};

struct cut_debts {
    const char **apis;
    size_t api_count;
    struct metrics *metrics;
    struct owner *owners;
    size_t owner_count;
    struct name_index names; /* of the owners */
    struct place *places;    /* those of the owners, then those that the configuration no longer has */
    size_t place_count;
    struct debt *debts; /* `api_count` for each place */
    /* For each place of the debts before: where it is here, or NOWHERE. NULL: nothing was inherited. */
    size_t *inherited;
};

struct cut_debts *cut_debts_create(const char *const *apis, size_t api_count, struct metrics *metrics)
{
    struct cut_debts *debts = calloc(1, sizeof(*debts));

    if (debts == NULL)
        return NULL;
    debts->apis = calloc(api_count + 1, sizeof(*debts->apis));
    if (debts->apis == NULL) {
        free(debts);
        return NULL;
    }
    memcpy(debts->apis, apis, api_count * sizeof(*apis));
    debts->api_count = api_count;
    debts->metrics = metrics;
    return debts;
}

void cut_debts_destroy(struct cut_debts *debts)
{
    if (debts == NULL)
        return;
    for (size_t i = 0; i < debts->place_count; i++)
        free(debts->places[i].copy);
    free(debts->places);
    free(debts->debts);
    free(debts->inherited);
    name_index_finish(&debts->names);
    free(debts->owners);
    free(debts->apis);
    free(debts);
}

static struct debt *debt_at(const struct cut_debts *debts, size_t place, size_t api)
{
    return &debts->debts[place * debts->api_count + api];
}

/* Makes room for `more` places. */
static bool grow(struct cut_debts *debts, size_t more)
{
    size_t count = debts->place_count + more;
    struct place *places = realloc(debts->places, (count + 1) * sizeof(*places));

    if (places == NULL)
        return false;
    debts->places = places;
    struct debt *list = realloc(debts->debts, (count * debts->api_count + 1) * sizeof(*list));
    if (list == NULL)
        return false;
    debts->debts = list;
    memset(debt_at(debts, debts->place_count, 0), 0, more * debts->api_count * sizeof(*list));
    return true;
}

static const char *owner_name(const void *list, size_t place)
{
    const struct cut_debts *debts = list;

    return debts->owners[place].name;
}

bool cut_debts_add(struct cut_debts *debts, const struct cut_service *service)
{
    size_t count = service->backend_count * service->server_count;
    struct owner *owners = realloc(debts->owners, (debts->owner_count + 1) * sizeof(*owners));

    if (owners == NULL)
        return false;
    debts->owners = owners;
    if (!name_index_reserve(&debts->names, owner_name, debts, debts->owner_count + 1) || !grow(debts, count))
        return false;
    for (size_t i = 0; i < count; i++)
        debts->places[debts->place_count + i] = (struct place){
            .service = service->name,
            .backend = service->backends[i / service->server_count],
            .server = service->servers[i % service->server_count].name,
            .owner = debts->owner_count,
        };
    owners[debts->owner_count] =
        (struct owner){.name = service->name, .first = debts->place_count, .count = count};
    (void)name_index_add(&debts->names, debts, debts->owner_count++);
    debts->place_count += count;
    return true;
}

/* ---- what is owed ---- */

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void log_begun(const struct place *place, const char *cause)
{
    log_event(EVENT_CUTTING_SESSIONS, log_text("service", place->service),
              log_text("backend", place->backend), log_text("server", place->server),
              log_text("cause", cause));
}

/* A debt to every HAProxy begins. */
static void owe(struct cut_debts *debts, size_t place, const char *cause, int64_t now_ms)
{
    for (size_t api = 0; api < debts->api_count; api++)
        *debt_at(debts, place, api) =
            (struct debt){.state = DEBT_OWED, .t_owed_ms = now_ms, .due_ms = now_ms};
    log_begun(&debts->places[place], cause);
}

/* The same, but only to a HAProxy of which nothing is known. */
static void owe_unknown(struct cut_debts *debts, size_t place, int64_t now_ms)
{
    bool is_any = false;

    for (size_t api = 0; api < debts->api_count; api++) {
        struct debt *debt = debt_at(debts, place, api);
        if (debt->state != DEBT_UNKNOWN)
            continue;
        *debt = (struct debt){.state = DEBT_OWED, .t_owed_ms = now_ms, .due_ms = now_ms};
        is_any = true;
    }
    if (is_any)
        log_begun(&debts->places[place], "start");
}

static void drop(struct cut_debts *debts, size_t place)
{
    for (size_t api = 0; api < debts->api_count; api++)
        *debt_at(debts, place, api) = (struct debt){.state = DEBT_NONE};
}

void cut_debts_spare(struct cut_debts *debts, const char *service, const char *server)
{
    const struct place *places = debts->places;

    for (size_t i = debts->place_count; i > 0 && places[i - 1].owner == NOWHERE; i--)
        if (is_same(places[i - 1].server, server) && is_same(places[i - 1].service, service))
            drop(debts, i - 1);
}

void cut_debts_name(struct cut_debts *debts, size_t service, const char *server, int64_t now_ms)
{
    struct owner *owner = &debts->owners[service];
    const char *replaced = is_same(owner->named, server) ? NULL : owner->named;

    if (owner->has_named && !owner->is_fenced && is_same(owner->named, server))
        return;
    owner->has_named = true;
    owner->is_fenced = false;
    owner->named = server;
    for (size_t i = owner->first; i < owner->first + owner->count; i++) {
        if (is_same(debts->places[i].server, server))
            drop(debts, i);
        else if (is_same(debts->places[i].server, replaced))
            owe(debts, i, "switch", now_ms);
        else
            owe_unknown(debts, i, now_ms);
    }
    cut_debts_spare(debts, owner->name, server);
}

void cut_debts_name_again(struct cut_debts *debts, size_t service, int64_t now_ms)
{
    const struct owner *owner = &debts->owners[service];

    if (owner->has_named)
        cut_debts_name(debts, service, owner->named, now_ms);
}

void cut_debts_fence(struct cut_debts *debts, size_t service, int64_t now_ms)
{
    struct owner *owner = &debts->owners[service];

    if (owner->named == NULL || owner->is_fenced)
        return;
    owner->is_fenced = true;
    for (size_t i = owner->first; i < owner->first + owner->count; i++)
        if (is_same(debts->places[i].server, owner->named))
            owe(debts, i, "fence", now_ms);
}

bool cut_debts_is_last(const struct cut_debts *debts, size_t service, const char *server)
{
    const struct owner *owner = &debts->owners[service];

    return owner->has_named && is_same(owner->named, server);
}

int64_t cut_debts_due_ms(const struct cut_debts *debts, size_t api)
{
    int64_t due_ms = INT64_MAX;

    for (size_t i = 0; i < debts->place_count; i++) {
        const struct debt *debt = debt_at(debts, i, api);
        if (debt->state == DEBT_OWED && !debt->is_under_way && debt->due_ms < due_ms)
            due_ms = debt->due_ms;
    }
    return due_ms;
}

size_t cut_debts_owed(const struct cut_debts *debts, size_t api)
{
    size_t owed = 0;

    for (size_t i = 0; i < debts->place_count; i++)
        owed += debt_at(debts, i, api)->state == DEBT_OWED;
    return owed;
}

/* ---- from one configuration to the next ---- */

bool cut_debts_find(const struct cut_debts *debts, const char *name, size_t *ret_service)
{
    if (debts->owner_count == 0)
        return false;
    *ret_service = name_index_find(&debts->names, debts, name);
    return *ret_service != NAME_INDEX_NONE;
}

/* NULL: there is no such service. */
static struct owner *find_owner(const struct cut_debts *debts, const char *name)
{
    size_t service;

    return cut_debts_find(debts, name, &service) ? &debts->owners[service] : NULL;
}

/* Finds a place of the same backend and server among those of a service, which may be NULL. */
static size_t find_place(const struct cut_debts *debts, const struct owner *owner, const struct place *same)
{
    for (size_t i = 0; owner != NULL && i < owner->count; i++) {
        const struct place *place = &debts->places[owner->first + i];
        if (is_same(place->backend, same->backend) && is_same(place->server, same->server))
            return owner->first + i;
    }
    return NOWHERE;
}

/* Lists, for each HAProxy, its place in `former`; NOWHERE: it is new. The caller frees the list. NULL if
 * memory is short. */
static size_t *find_apis(const struct cut_debts *debts, const struct cut_debts *former)
{
    size_t *apis = calloc(debts->api_count + 1, sizeof(*apis));

    for (size_t i = 0; apis != NULL && i < debts->api_count; i++) {
        apis[i] = NOWHERE;
        for (size_t k = 0; k < former->api_count; k++)
            if (is_same(debts->apis[i], former->apis[k]))
                apis[i] = k;
    }
    return apis;
}

/* Of a place that the configuration did not have, only what is owed is known. */
static void copy_debts(struct cut_debts *debts, size_t place, const struct cut_debts *former,
                       size_t former_place, const size_t *apis)
{
    bool is_known = former->places[former_place].owner != NOWHERE || debts->places[place].owner == NOWHERE;

    for (size_t i = 0; i < debts->api_count; i++) {
        if (apis[i] == NOWHERE)
            continue;
        const struct debt *debt = debt_at(former, former_place, apis[i]);
        if (is_known || debt->state == DEBT_OWED)
            *debt_at(debts, place, i) = *debt;
    }
}

static bool is_owed(const struct cut_debts *debts, const struct cut_debts *former, size_t former_place,
                    const size_t *apis)
{
    for (size_t i = 0; i < debts->api_count; i++)
        if (apis[i] != NOWHERE && debt_at(former, former_place, apis[i])->state == DEBT_OWED)
            return true;
    return false;
}

/* Adds a place that the configuration no longer has. Nothing is owed to a new HAProxy. */
static bool add_stray(struct cut_debts *debts, const struct place *place, size_t *ret_place)
{
    const char *const texts[] = {place->service, place->backend, place->server};
    const char *copies[3];
    char *copy = calloc(1, strlen(texts[0]) + strlen(texts[1]) + strlen(texts[2]) + 3);

    if (copy == NULL || !grow(debts, 1)) {
        free(copy);
        return false;
    }
    char *at = copy;
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(texts[i]) + 1;
        copies[i] = memcpy(at, texts[i], len);
        at += len;
    }
    for (size_t i = 0; i < debts->api_count; i++)
        debt_at(debts, debts->place_count, i)->state = DEBT_NONE;
    debts->places[debts->place_count] = (struct place){
        .service = copies[0], .backend = copies[1], .server = copies[2], .owner = NOWHERE, .copy = copy};
    *ret_place = debts->place_count++;
    return true;
}

static bool inherit_places(struct cut_debts *debts, const struct cut_debts *former, const size_t *apis)
{
    const struct owner *owner = NULL;

    for (size_t i = 0; i < former->place_count; i++) {
        const struct place *place = &former->places[i];
        if (i == 0 || !is_same(place->service, former->places[i - 1].service))
            owner = find_owner(debts, place->service);
        size_t here = find_place(debts, owner, place);
        if (here == NOWHERE && !is_owed(debts, former, i, apis))
            continue;
        if (here == NOWHERE && !add_stray(debts, place, &here))
            return false;
        debts->inherited[i] = here;
        copy_debts(debts, here, former, i, apis);
    }
    return true;
}

/* Takes over who was named last. Debts for what is new in this configuration begin. */
static void inherit_name(struct cut_debts *debts, struct owner *owner, const struct owner *former,
                         int64_t now_ms)
{
    owner->has_named = former->has_named;
    owner->is_fenced = former->is_fenced;
    for (size_t i = owner->first; former->has_named && i < owner->first + owner->count; i++) {
        bool is_named = is_same(debts->places[i].server, former->named);
        if (is_named)
            owner->named = debts->places[i].server;
        if (!is_named || owner->is_fenced)
            owe_unknown(debts, i, now_ms);
    }
}

/* Nothing is inherited yet. False if memory is short. */
static bool begin_inheritance(struct cut_debts *debts, const struct cut_debts *former)
{
    free(debts->inherited);
    debts->inherited = calloc(former->place_count + 1, sizeof(*debts->inherited));
    for (size_t i = 0; debts->inherited != NULL && i < former->place_count; i++)
        debts->inherited[i] = NOWHERE;
    return debts->inherited != NULL;
}

bool cut_debts_inherit(struct cut_debts *debts, const struct cut_debts *former, int64_t now_ms)
{
    size_t *apis = find_apis(debts, former);
    bool is_done = apis != NULL && begin_inheritance(debts, former) && inherit_places(debts, former, apis);

    for (size_t i = 0; is_done && i < former->owner_count; i++) {
        struct owner *owner = find_owner(debts, former->owners[i].name);
        if (owner != NULL)
            inherit_name(debts, owner, &former->owners[i], now_ms);
    }
    free(apis);
    return is_done;
}

void cut_debts_adopt(const struct cut_debts *debts, struct cut_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        struct cut_item *item = &items->list[i];
        /* Once it is NOWHERE, a reload before this one has found that it is no longer owed. */
        if (item->place != NOWHERE)
            item->place = debts->inherited != NULL ? debts->inherited[item->place] : NOWHERE;
        if (item->place != NOWHERE)
            item->may_be_gone = debts->places[item->place].owner == NOWHERE;
    }
}

/* ---- telling HAProxy ---- */

/* Makes an item for each of the first `count` places that `is_wanted` accepts; NULL accepts all. */
static bool list_places(const struct cut_debts *debts, size_t count,
                        bool (*is_wanted)(const struct debt *debt, int64_t now_ms), size_t api,
                        int64_t now_ms, struct cut_items *ret_items)
{
    struct cut_items items = {.list = calloc(count + 1, sizeof(*items.list))};

    if (items.list == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct place *place = &debts->places[i];
        if (is_wanted == NULL || is_wanted(debt_at(debts, i, api), now_ms))
            items.list[items.count++] = (struct cut_item){.place = i,
                                                          .backend = place->backend,
                                                          .server = place->server,
                                                          .may_be_gone = place->owner == NOWHERE};
    }
    if (!cut_items_keep(&items)) {
        cut_items_finish(&items);
        return false;
    }
    cut_items_sort(&items);
    *ret_items = items;
    return true;
}

static bool is_due(const struct debt *debt, int64_t now_ms)
{
    return debt->state == DEBT_OWED && !debt->is_under_way && debt->due_ms <= now_ms;
}

bool cut_debts_take(struct cut_debts *debts, size_t api, int64_t now_ms, struct cut_items *ret_items)
{
    if (!list_places(debts, debts->place_count, is_due, api, now_ms, ret_items))
        return false;
    for (size_t i = 0; i < ret_items->count; i++) {
        struct debt *debt = debt_at(debts, ret_items->list[i].place, api);
        debt->is_under_way = true;
        debt->t_begun_ms = now_ms;
    }
    return true;
}

bool cut_debts_is_owed(const struct cut_debts *debts, size_t api, size_t place)
{
    return place != NOWHERE && debt_at(debts, place, api)->is_under_way;
}

static void settle(struct cut_debts *debts, size_t api, const struct place *place, struct debt *debt,
                   int64_t now_ms)
{
    debt->state = DEBT_NONE;
    debts->metrics->cuts_total++;
    log_event(EVENT_SESSIONS_CUT, log_text("service", place->service), log_text("backend", place->backend),
              log_text("server", place->server), log_text("api", debts->apis[api]),
              log_number("ms", now_ms - debt->t_owed_ms),
              log_number("first-ms", debt->t_cut_ms - debt->t_owed_ms));
}

static void confirm(struct cut_debts *debts, size_t api, size_t place, int64_t now_ms)
{
    struct debt *debt = debt_at(debts, place, api);
    int64_t age_ms = debt->t_begun_ms - debt->t_owed_ms;

    debt->failures = 0;
    if (!debt->was_cut)
        debt->t_cut_ms = now_ms;
    debt->was_cut = true;
    if (age_ms >= CUT_SETTLE_MS)
        settle(debts, api, &debts->places[place], debt, now_ms);
    else
        debt->due_ms = debt->t_owed_ms + (age_ms / CUT_INTERVAL_MS + 1) * CUT_INTERVAL_MS;
}

/*
 * A HAProxy that reloads itself is away for a moment, and a session that is connecting will soon be
 * established or gone. So the waits grow only after CUT_HASTE_MS. The wait counts from the beginning of the
 * attempt, so that a long attempt is not followed by a long wait.
 */
static void postpone(struct debt *debt)
{
    int64_t wait_ms = CUT_INTERVAL_MS;

    for (unsigned i = 0; i < debt->failures && wait_ms < CUT_BACKOFF_MAX_MS; i++)
        wait_ms *= 2;
    if (debt->t_begun_ms - debt->t_owed_ms >= CUT_HASTE_MS)
        debt->failures++;
    debt->due_ms = debt->t_begun_ms + wait_ms;
}

void cut_debts_end(struct cut_debts *debts, size_t api, const struct cut_items *items, int64_t now_ms)
{
    for (size_t i = 0; i < items->count; i++) {
        const struct cut_item *item = &items->list[i];
        if (!cut_debts_is_owed(debts, api, item->place))
            continue;
        struct debt *debt = debt_at(debts, item->place, api);
        debt->is_under_way = false;
        if (item->outcome == CUT_CONFIRMED)
            confirm(debts, api, item->place, now_ms);
        else
            postpone(debt);
    }
}

static bool is_cut_everywhere(const struct cut_debts *debts, size_t place)
{
    for (size_t api = 0; api < debts->api_count; api++) {
        const struct debt *debt = debt_at(debts, place, api);
        if (debt->state != DEBT_NONE && !debt->was_cut)
            return false;
    }
    return true;
}

bool cut_debts_is_cut(const struct cut_debts *debts, size_t place, const char **ret_service,
                      const char **ret_server)
{
    if (place == NOWHERE)
        return false;
    const struct place *one = &debts->places[place];
    const struct owner itself = {.first = place, .count = 1};
    const struct owner *owner = one->owner != NOWHERE ? &debts->owners[one->owner] : &itself;

    for (size_t i = owner->first; i < owner->first + owner->count; i++)
        if (is_same(debts->places[i].server, one->server) && !is_cut_everywhere(debts, i))
            return false;
    *ret_service = one->service;
    *ret_server = one->server;
    return true;
}

bool cut_debts_list(const struct cut_debts *debts, struct cut_items *ret_items)
{
    size_t count = 0;

    for (size_t i = 0; i < debts->owner_count; i++)
        count += debts->owners[i].count;
    return list_places(debts, count, NULL, 0, 0, ret_items);
}
