#include "spoa/io/redis/role_links.h"

#include <stdlib.h>

#include "spoa/core/base/container_of.h"

/* Enough for the reply of a master with a few replicas to ROLE. There may be thousands of these links. */
#define EVERYDAY_SIZE 1024

struct role_link {
    const struct service *service;
    struct service_observer observer;
    struct role_probe probe;
    struct redis_link *link;
};

struct role_links {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct role_links_options options;
    size_t count;              /* of links that are there */
    struct role_link *links[]; /* NULL if the service is not probed */
};

/* redis_link_pump() makes the next tick due, which continues the link. */
static void on_changed(struct service_observer *self, const struct service *service,
                       const struct service_change *change)
{
    struct role_link *link = container_of(self, struct role_link, observer);

    (void)service;
    if (change->after->addr == NULL)
        return;
    role_probe_aim(&link->probe, change->after->addr, change->now_ms);
    redis_link_pump(link->link);
}

static bool create_link(struct role_links *links, size_t index)
{
    const struct role_links_options *options = &links->options;
    struct service *service = options->services[index];

    if (service_settings(service)->policy.role_check == ROLE_CHECK_OFF)
        return true;
    struct role_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return false;
    links->links[index] = link;
    link->service = service;
    role_probe_init(&link->probe, &options->settings[index], options->group, index, options->metrics,
                    options->seed + index);
    struct redis_link_options link_options = {
        .peer = &link->probe.target,
        .tls = options->tls[index],
        .conversation = &link->probe.conversation,
        .everyday = EVERYDAY_SIZE,
        .stepped = options->stepped,
        .context = options->context,
    };
    link->link = redis_link_create(links->loop, links->resolver, &link_options);
    if (link->link == NULL)
        return false;
    link->observer.changed = on_changed;
    service_observe(service, &link->observer);
    return true;
}

struct role_links *role_links_create(struct ev_loop *loop, struct resolver *resolver,
                                     const struct role_links_options *options)
{
    struct role_links *links =
        calloc(1, sizeof(*links) + options->service_count * sizeof(struct role_link *));

    if (links == NULL)
        return NULL;
    links->loop = loop;
    links->resolver = resolver;
    links->options = *options;
    return links;
}

enum progress role_links_build(struct role_links *links, size_t *io_budget)
{
    while (links->count < links->options.service_count) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        if (!create_link(links, links->count))
            return PROGRESS_FAILED;
        links->count++;
    }
    return PROGRESS_DONE;
}

bool role_links_shed(struct role_links *links, size_t *io_budget)
{
    while (links->count > 0) {
        if (!progress_spend(io_budget))
            return true;
        struct role_link *link = links->links[--links->count];
        if (link != NULL)
            redis_link_destroy(link->link);
    }
    return false;
}

void role_links_catch_up(struct role_links *links, size_t index, int64_t now_ms)
{
    struct role_link *link = links->links[index];

    if (link == NULL)
        return;
    role_probe_catch_up(&link->probe, service_decision(link->service), now_ms);
    redis_link_pump(link->link);
}

void role_links_destroy(struct role_links *links)
{
    for (size_t i = 0; links != NULL && i < links->options.service_count; i++)
        free(links->links[i]);
    free(links);
}
