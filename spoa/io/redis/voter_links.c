#include "spoa/io/redis/voter_links.h"

#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/redis/redis_link.h"
#include "spoa/io/redis/role_links.h"

/* In one turn of the loop: 1,024 looks, which take a tenth of a millisecond, or 64 reviews, which take up to one. */
#define TICK_BUDGET ((size_t)64 * VOTER_REVIEW_COST)

/* One voter. The group's source says which member of the union is used. */
struct voter_link {
    union {
        struct sentinel_voter sentinel;
        struct node_voter node;
    };
    struct redis_link *query;
    struct redis_link *hints; /* Sentinels only; NULL without `subscribe` */
    char name[ADDR_TEXT_MAX];
};

struct voter_links {
    struct ev_loop *loop;
    struct voter_links_options options;
    struct voter_group *group;
    struct role_links *roles;
    struct resolver *resolver;
    struct metrics *metrics;
    uint64_t seed;
    unsigned built; /* voters that have their links */
    bool is_ending;
    ev_timer review;
    struct voter_link voters[];
};

/* One voter's reply may make the group ask all voters. It also moves the time of the next review. */
static void on_stepped(void *context)
{
    struct voter_links *links = context;

    if (links->is_ending)
        return;
    for (unsigned i = 0; i < links->options.count; i++)
        if (links->voters[i].query != NULL && voter_group_wants(links->group, i))
            redis_link_pump(links->voters[i].query);
    loop_arm(links->loop, &links->review, voter_group_wake_ms(links->group));
}

static void on_review(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct voter_links *links = container_of(timer, struct voter_links, review);

    (void)loop;
    (void)events;
    voter_group_tick(links->group, clock_ms(), TICK_BUDGET);
    on_stepped(links);
}

static bool create_group(struct voter_links *links)
{
    const struct voter_links_options *options = &links->options;
    const char *names[QUORUM_VOTERS_MAX];

    for (unsigned i = 0; i < options->count; i++)
        names[i] = addr_format(&options->addresses[i], links->voters[i].name);
    struct voter_group_options group = {
        .name = options->name,
        .source = options->source,
        .voter_count = options->count,
        .voter_names = names,
        .services = options->services,
        .service_count = options->service_count,
        .identities = options->identities,
        .metrics = links->metrics,
    };
    links->group = voter_group_create(&group, clock_ms());
    return links->group != NULL;
}

static bool create_roles(struct voter_links *links)
{
    struct role_links_options options = {
        .group = links->group,
        .services = links->options.services,
        .settings = links->options.probes,
        .tls = links->options.node_tls,
        .kept = links->options.kept,
        .service_count = links->options.service_count,
        .metrics = links->metrics,
        .stepped = on_stepped,
        .context = links,
        .seed = links->seed,
    };

    links->roles = role_links_create(links->loop, links->resolver, &options);
    return links->roles != NULL;
}

/* Returns the conversation that asks the questions. */
static struct conversation *init_voter(struct voter_links *links, unsigned index)
{
    const struct voter_links_options *options = &links->options;
    struct voter_link *voter = &links->voters[index];

    if (options->source == VOTER_SOURCE_SENTINEL) {
        sentinel_voter_init(&voter->sentinel, &options->sentinel, links->group, index, voter->name,
                            links->metrics, links->seed + index, clock_ms());
        return &voter->sentinel.query;
    }
    node_voter_init(&voter->node, &options->node, links->group, index, &options->addresses[index],
                    voter->name, links->metrics, links->seed + index, clock_ms());
    return &voter->node.conversation;
}

/* Enough for the reply to SENTINEL MASTER. */
#define EVERYDAY_SIZE 4096

static bool create_links(struct voter_links *links, unsigned index, struct conversation *query)
{
    struct voter_link *voter = &links->voters[index];
    struct redis_link_options options = {
        .peer = &links->options.addresses[index],
        .tls = links->options.tls,
        .conversation = query,
        .everyday = EVERYDAY_SIZE,
        .stepped = on_stepped,
        .context = links,
    };
    bool listens = links->options.subscribe && links->options.source == VOTER_SOURCE_SENTINEL;

    voter->query = redis_link_create(links->loop, links->resolver, &options);
    options.conversation = &voter->sentinel.hints;
    if (listens)
        voter->hints = redis_link_create(links->loop, links->resolver, &options);
    return voter->query != NULL && (voter->hints != NULL || !listens);
}

struct voter_links *voter_links_create(struct ev_loop *loop, struct resolver *resolver,
                                       const struct voter_links_options *options, struct metrics *metrics,
                                       uint64_t seed)
{
    struct voter_links *links = calloc(1, sizeof(*links) + options->count * sizeof(struct voter_link));

    if (links == NULL)
        return NULL;
    links->loop = loop;
    links->options = *options;
    links->resolver = resolver;
    links->metrics = metrics;
    links->seed = seed;
    ev_timer_init(&links->review, on_review, 0.0, 0.0);
    if (!create_group(links) || !create_roles(links)) {
        voter_links_destroy(links);
        return NULL;
    }
    return links;
}

enum progress voter_links_build(struct voter_links *links, size_t *io_budget)
{
    enum progress roles = role_links_build(links->roles, io_budget);

    if (roles != PROGRESS_DONE)
        return roles;
    for (; links->built < links->options.count; links->built++) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        if (!create_links(links, links->built, init_voter(links, links->built)))
            return PROGRESS_FAILED;
    }
    on_stepped(links);
    return PROGRESS_DONE;
}

void voter_links_look(struct voter_links *links, size_t service, int64_t now_ms)
{
    role_links_look(links->roles, service, now_ms);
}

struct role_link *voter_links_find_role(const struct voter_links *links, size_t service)
{
    return role_links_find(links->roles, service);
}

void voter_links_give_up(struct voter_links *links)
{
    if (links == NULL)
        return;
    ev_timer_stop(links->loop, &links->review);
    links->is_ending = true;
    role_links_give_up(links->roles);
}

bool voter_links_shed(struct voter_links *links, size_t *io_budget)
{
    if (links == NULL)
        return false;
    voter_links_give_up(links);
    for (unsigned i = 0; i < links->options.count; i++) {
        struct voter_link *voter = &links->voters[i];
        if (voter->query == NULL && voter->hints == NULL)
            continue;
        if (!progress_spend(io_budget))
            return true;
        redis_link_destroy(voter->query);
        redis_link_destroy(voter->hints);
        voter->query = NULL;
        voter->hints = NULL;
    }
    return links->roles != NULL && role_links_shed(links->roles, io_budget);
}

void voter_links_destroy(struct voter_links *links)
{
    if (links == NULL)
        return;
    size_t budget = PROGRESS_UNLIMITED;
    (void)voter_links_shed(links, &budget);
    role_links_destroy(links->roles);
    voter_group_destroy(links->group);
    free(links);
}

void voter_links_inherit(struct voter_links *links, const struct voter_links *former)
{
    voter_group_inherit(links->group, former->group);
}

void voter_links_catch_up(struct voter_links *links, size_t service, int64_t now_ms)
{
    role_links_catch_up(links->roles, service, now_ms);
    voter_group_catch_up(links->group, service);
    on_stepped(links);
}

const struct voter_group *voter_links_group(const struct voter_links *links)
{
    return links->group;
}
