#include "spoa/io/voter_links.h"

#include <stdlib.h>

#include "spoa/io/loop.h"
#include "spoa/io/redis_link.h"
#include "spoa/io/role_links.h"

struct sentinel_links {
    struct sentinel_voter voter;
    struct redis_link *query;
    struct redis_link *hints; /* NULL without subscribe */
    char name[ADDR_TEXT_MAX];
};

struct voter_links {
    struct ev_loop *loop;
    struct voter_links_options options;
    struct voter_group *group;
    struct role_links *roles;
    ev_timer review;
    struct sentinel_links sentinels[];
};

/* What one voter said may make all be asked, and moves the time of the next review. */
static void on_stepped(void *context)
{
    struct voter_links *links = context;

    for (unsigned i = 0; i < links->options.count; i++)
        if (links->sentinels[i].query != NULL && voter_group_wants(links->group, i))
            redis_link_pump(links->sentinels[i].query);
    loop_arm(links->loop, &links->review, voter_group_wake_ms(links->group));
}

static void on_review(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct voter_links *links = container_of(timer, struct voter_links, review);

    (void)loop;
    (void)events;
    voter_group_tick(links->group, loop_now_ms());
    on_stepped(links);
}

static bool create_group(struct voter_links *links, struct metrics *metrics)
{
    const struct voter_links_options *options = &links->options;
    const char *names[QUORUM_VOTERS_MAX];

    for (unsigned i = 0; i < options->count; i++)
        names[i] = addr_format(&options->sentinels[i], links->sentinels[i].name);
    struct voter_group_options group = {
        .name = options->name,
        .voter_count = options->count,
        .voter_names = names,
        .services = options->services,
        .service_count = options->service_count,
        .metrics = metrics,
    };
    links->group = voter_group_create(&group, loop_now_ms());
    return links->group != NULL;
}

static bool create_roles(struct voter_links *links, struct resolver *resolver, struct metrics *metrics,
                         uint64_t seed)
{
    struct role_links_options options = {
        .group = links->group,
        .services = links->options.services,
        .settings = links->options.probes,
        .tls = links->options.node_tls,
        .service_count = links->options.service_count,
        .metrics = metrics,
        .stepped = on_stepped,
        .context = links,
        .seed = seed,
    };

    links->roles = role_links_create(links->loop, resolver, &options);
    return links->roles != NULL;
}

static bool create_links(struct voter_links *links, struct resolver *resolver, unsigned index)
{
    struct sentinel_links *sentinel = &links->sentinels[index];
    struct redis_link_options options = {
        .peer = &links->options.sentinels[index],
        .tls = links->options.tls,
        .conversation = &sentinel->voter.query,
        .stepped = on_stepped,
        .context = links,
    };

    sentinel->query = redis_link_create(links->loop, resolver, &options);
    options.conversation = &sentinel->voter.hints;
    if (links->options.subscribe)
        sentinel->hints = redis_link_create(links->loop, resolver, &options);
    return sentinel->query != NULL && (sentinel->hints != NULL || !links->options.subscribe);
}

struct voter_links *voter_links_create(struct ev_loop *loop, struct resolver *resolver,
                                       const struct voter_links_options *options, struct metrics *metrics,
                                       uint64_t seed)
{
    struct voter_links *links = calloc(1, sizeof(*links) + options->count * sizeof(struct sentinel_links));

    if (links == NULL)
        return NULL;
    links->loop = loop;
    links->options = *options;
    ev_timer_init(&links->review, on_review, 0.0, 0.0);
    bool is_complete = create_group(links, metrics) && create_roles(links, resolver, metrics, seed);
    for (unsigned i = 0; is_complete && i < options->count; i++) {
        sentinel_voter_init(&links->sentinels[i].voter, &links->options.settings, links->group, i,
                            links->sentinels[i].name, metrics, seed + i, loop_now_ms());
        is_complete = create_links(links, resolver, i);
    }
    if (!is_complete) {
        voter_links_destroy(links);
        return NULL;
    }
    on_stepped(links);
    return links;
}

void voter_links_destroy(struct voter_links *links)
{
    if (links == NULL)
        return;
    ev_timer_stop(links->loop, &links->review);
    for (unsigned i = 0; i < links->options.count; i++) {
        redis_link_destroy(links->sentinels[i].query);
        redis_link_destroy(links->sentinels[i].hints);
    }
    role_links_destroy(links->roles);
    voter_group_destroy(links->group);
    free(links);
}

const struct voter_group *voter_links_group(const struct voter_links *links)
{
    return links->group;
}

const uint8_t *voter_links_identities(const struct voter_links *links)
{
    return voter_group_identities(links->group);
}
