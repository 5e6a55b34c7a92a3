#include "spoa/io/net/address_race.h"

#include <netinet/in.h>
#include <string.h>

/* All that the look-ups found, and the address that worked last. */
#define CANDIDATES_MAX (2 * LOOKUP_ADDRESSES_MAX + 1)

struct candidates {
    const struct sockaddr_storage *list[CANDIDATES_MAX];
    size_t count;
};

static bool is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool contains(const struct sockaddr_storage *list, size_t count,
                     const struct sockaddr_storage *address)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(&list[i], address))
            return true;
    return false;
}

/* The look-up of both families has an answer. */
static bool is_answered(const struct address_race *race)
{
    enum address_state state = race->lists[ADDRESS_BOTH].state;

    return state == ADDRESS_FOUND || state == ADDRESS_DENIED;
}

static bool is_awaited(const struct address_race *race, enum address_source source)
{
    return race->lists[source].state == ADDRESS_AWAITED;
}

/* No look-up can add an address. (The families are asked as soon as the look-up of both has failed.) */
static bool is_settled(const struct address_race *race)
{
    return is_answered(race) || (race->lists[ADDRESS_BOTH].state == ADDRESS_FAILED &&
                                 !is_awaited(race, ADDRESS_IPV6) && !is_awaited(race, ADDRESS_IPV4));
}

/* The list that says whether `address` is still an address of the name. */
static const struct address_list *judge_of(const struct address_race *race,
                                           const struct sockaddr_storage *address)
{
    if (is_answered(race))
        return &race->lists[ADDRESS_BOTH];
    return &race->lists[address->ss_family == AF_INET6 ? ADDRESS_IPV6 : ADDRESS_IPV4];
}

/* Whether the address that worked last may be used. An answer without it means that it may be somebody
 * else's now. */
static bool is_good_usable(const struct address_race *race)
{
    const struct sockaddr_storage *good = &race->memory.good;

    if (good->ss_family == AF_UNSPEC)
        return false;
    const struct address_list *judge = judge_of(race, good);
    if (judge->state == ADDRESS_FOUND)
        return contains(judge->addresses, judge->count, good);
    return judge->state != ADDRESS_DENIED;
}

static void add_list(struct candidates *candidates, const struct address_list *list)
{
    for (size_t i = 0; list->state == ADDRESS_FOUND && i < list->count; i++)
        candidates->list[candidates->count++] = &list->addresses[i];
}

static void move_up(struct candidates *candidates, size_t to, size_t from)
{
    const struct sockaddr_storage *moved = candidates->list[from];

    for (size_t i = from; i > to; i--)
        candidates->list[i] = candidates->list[i - 1];
    candidates->list[to] = moved;
}

/* The families take turns. Otherwise the order stays. */
static void interleave(struct candidates *candidates)
{
    for (size_t to = 1; to < candidates->count; to++) {
        size_t from = to;
        while (from < candidates->count &&
               candidates->list[from]->ss_family == candidates->list[to - 1]->ss_family)
            from++;
        if (from < candidates->count)
            move_up(candidates, to, from);
    }
}

/* The first `count` go to the end. */
static void rotate(struct candidates *candidates, size_t count)
{
    const struct candidates before = *candidates;

    for (size_t i = 0; i < before.count; i++)
        candidates->list[i] = before.list[(i + count) % before.count];
}

/* First, unless the last connection to it did not work. */
static void place_good(struct candidates *candidates, const struct address_race *race)
{
    size_t at = 0;

    while (at < candidates->count && !is_same(candidates->list[at], &race->memory.good))
        at++;
    if (at == candidates->count)
        candidates->list[candidates->count++] = &race->memory.good;
    if (race->memory.stumbles == 0)
        move_up(candidates, 0, at);
}

static void find_candidates(const struct address_race *race, struct candidates *candidates)
{
    if (is_answered(race)) {
        add_list(candidates, &race->lists[ADDRESS_BOTH]);
    } else {
        add_list(candidates, &race->lists[ADDRESS_IPV6]);
        add_list(candidates, &race->lists[ADDRESS_IPV4]);
    }
    interleave(candidates);
    rotate(candidates, race->memory.stumbles);
    if (is_good_usable(race))
        place_good(candidates, race);
}

static const struct sockaddr_storage *first_untried(const struct address_race *race,
                                                    const struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count && race->tried_count < ADDRESS_RACE_TRIES_MAX; i++)
        if (!contains(race->tried, race->tried_count, candidates->list[i]))
            return candidates->list[i];
    return NULL;
}

/* Shorter if there are many addresses, so that the last of them has half of the limit. */
static int64_t stagger_ms(const struct address_race *race, size_t count)
{
    int64_t share_ms = race->limit_ms / 2 / (count > 1 ? (int64_t)count - 1 : 1);

    return share_ms < ADDRESS_RACE_STAGGER_MS ? share_ms : ADDRESS_RACE_STAGGER_MS;
}

static bool has_found_family(const struct address_race *race)
{
    return race->lists[ADDRESS_IPV6].state == ADDRESS_FOUND ||
           race->lists[ADDRESS_IPV4].state == ADDRESS_FOUND;
}

/* When the next address may be tried; INT64_MIN: at once. */
static int64_t due_ms(const struct address_race *race, size_t candidates)
{
    if (race->tried_count == 0)
        return is_settled(race) || has_found_family(race) ? INT64_MIN
                                                          : race->begin_ms + ADDRESS_RACE_PATIENCE_MS;
    return race->open == 0 ? INT64_MIN : race->last_try_ms + stagger_ms(race, candidates);
}

/* When the families are looked up by themselves. */
static int64_t ask_ms(const struct address_race *race)
{
    if (race->lists[ADDRESS_IPV4].state != ADDRESS_UNASKED || is_answered(race))
        return INT64_MAX;
    return race->lists[ADDRESS_BOTH].state == ADDRESS_FAILED ? INT64_MIN
                                                             : race->begin_ms + ADDRESS_RACE_FAMILIES_MS;
}

void address_race_begin(struct address_race *race, const struct address_memory *memory, uint32_t limit_ms,
                        int64_t now_ms)
{
    *race = (struct address_race){.memory = *memory,
                                  .limit_ms = limit_ms,
                                  .begin_ms = now_ms,
                                  .wake_ms = now_ms,
                                  .lists = {[ADDRESS_BOTH] = {.state = ADDRESS_AWAITED}}};
}

void address_race_answer(struct address_race *race, enum address_source source, enum address_state state,
                         const struct sockaddr_storage *addresses, size_t count)
{
    struct address_list *list = &race->lists[source];

    list->state = state;
    list->count = 0;
    for (size_t i = 0; state == ADDRESS_FOUND && i < count && i < LOOKUP_ADDRESSES_MAX; i++)
        list->addresses[list->count++] = addresses[i];
}

void address_race_lost(struct address_race *race)
{
    race->open--;
}

/*
 * When to give up if all known addresses were tried in vain. A look-up that is still open may go on for long. Its
 * answer is kept for the next attempt, and why the peer refused us must not wait for it.
 */
static int64_t gives_up_ms(const struct address_race *race)
{
    if (is_settled(race))
        return INT64_MIN;
    return race->tried_count > 0 ? race->begin_ms + ADDRESS_RACE_PATIENCE_MS : INT64_MAX;
}

enum address_action address_race_next(struct address_race *race, int64_t now_ms,
                                      const struct sockaddr_storage **ret_address)
{
    struct candidates candidates = {.count = 0};
    int64_t asks_ms = ask_ms(race);

    if (asks_ms <= now_ms) {
        race->lists[ADDRESS_IPV6].state = ADDRESS_AWAITED;
        race->lists[ADDRESS_IPV4].state = ADDRESS_AWAITED;
        return ADDRESS_ASK_FAMILIES;
    }
    find_candidates(race, &candidates);
    const struct sockaddr_storage *next = first_untried(race, &candidates);
    if (next == NULL && race->open == 0 && now_ms >= gives_up_ms(race))
        return ADDRESS_FAIL;
    int64_t tries_ms = next != NULL ? due_ms(race, candidates.count) : INT64_MAX;
    if (next == NULL && race->open == 0)
        tries_ms = gives_up_ms(race);
    if (tries_ms > now_ms) {
        race->wake_ms = asks_ms < tries_ms ? asks_ms : tries_ms;
        return ADDRESS_WAIT;
    }
    race->last_try_ms = now_ms;
    race->open++;
    race->tried[race->tried_count] = *next;
    *ret_address = &race->tried[race->tried_count++];
    return ADDRESS_TRY;
}
