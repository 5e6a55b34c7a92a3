#include "spoa/io/redis/role_links.h"

#include <stdlib.h>

#include "spoa/core/base/container_of.h"

/* Enough for the reply of a master with a few replicas to ROLE. There may be thousands of these links. */
#define EVERYDAY_SIZE 1024

struct role_slot;

struct role_link {
    struct role_slot *slot; /* that it is of */
    struct role_probe probe;
    struct redis_link *link;
};

/* One per service. */
struct role_slot {
    struct role_links *links;
    struct service_observer observer;
    struct role_link *link; /* NULL: the service is not probed */
    bool is_kept;           /* `link` is another slot's still, and perhaps gone after role_links_give_up() */
};

struct role_links {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct role_links_options options;
    size_t count; /* of slots that are in use */
    bool has_given_up;
    struct role_slot slots[];
};

static size_t index_of(const struct role_slot *slot)
{
    return (size_t)(slot - slot->links->slots);
}

static struct service *service_of(const struct role_slot *slot)
{
    return slot->links->options.services[index_of(slot)];
}

static bool has_own_link(const struct role_slot *slot)
{
    return slot->link != NULL && !slot->is_kept;
}

static void init_probe(const struct role_slot *slot, struct role_probe *probe)
{
    const struct role_links_options *options = &slot->links->options;
    size_t index = index_of(slot);

    role_probe_init(probe, &options->settings[index], options->group, index, options->metrics,
                    options->seed + index);
}

/* False if memory is short: nothing changes then. */
static bool create_link(struct role_slot *slot)
{
    const struct role_links *links = slot->links;
    struct role_link *link = calloc(1, sizeof(*link));

    if (link == NULL)
        return false;
    link->slot = slot;
    init_probe(slot, &link->probe);
    const struct redis_link_options options = {
        .peer = &link->probe.target,
        .tls = links->options.tls[index_of(slot)],
        .conversation = &link->probe.conversation,
        .everyday = EVERYDAY_SIZE,
        .is_patient = true,
        .stepped = links->options.stepped,
        .context = links->options.context,
    };
    link->link = redis_link_create(links->loop, links->resolver, &options);
    if (link->link == NULL) {
        free(link);
        return false;
    }
    slot->link = link;
    slot->is_kept = false;
    return true;
}

/* redis_link_pump() makes the next tick due, which continues the link. */
static void aim(struct role_slot *slot, const struct addr *target, int64_t now_ms)
{
    role_probe_aim(&slot->link->probe, target, now_ms);
    redis_link_pump(slot->link->link);
}

/* If memory is short the slot goes on with the kept link, which does not ask this node. */
static void follow(struct role_slot *slot, const struct addr *target, int64_t now_ms)
{
    bool needs_own = slot->is_kept && !role_probe_serves(&slot->link->probe, service_of(slot));

    if (needs_own && !create_link(slot))
        return;
    if (has_own_link(slot))
        aim(slot, target, now_ms);
}

static void on_changed(struct service_observer *self, const struct service *service,
                       const struct service_change *change)
{
    struct role_slot *slot = container_of(self, struct role_slot, observer);

    (void)service;
    if (change->after->addr != NULL && !slot->links->has_given_up)
        follow(slot, change->after->addr, change->now_ms);
}

static bool build_slot(struct role_links *links, size_t index)
{
    const struct role_links_options *options = &links->options;
    struct service *service = options->services[index];
    struct role_slot *slot = &links->slots[index];

    slot->links = links;
    if (service_settings(service)->policy.role_check == ROLE_CHECK_OFF)
        return true;
    slot->link = options->kept != NULL ? options->kept[index] : NULL;
    slot->is_kept = slot->link != NULL;
    if (slot->link == NULL && !create_link(slot))
        return false;
    slot->observer.changed = on_changed;
    service_observe(service, &slot->observer);
    return true;
}

struct role_links *role_links_create(struct ev_loop *loop, struct resolver *resolver,
                                     const struct role_links_options *options)
{
    struct role_links *links = calloc(1, sizeof(*links) + options->service_count * sizeof(struct role_slot));

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
        if (!build_slot(links, links->count))
            return PROGRESS_FAILED;
        links->count++;
    }
    return PROGRESS_DONE;
}

void role_links_look(struct role_links *links, size_t index, int64_t now_ms)
{
    struct role_slot *slot = &links->slots[index];

    if (!slot->is_kept)
        return;
    if (role_probe_serves(&slot->link->probe, service_of(slot)))
        role_probe_tell(&slot->link->probe, links->options.group, index, now_ms);
    else
        follow(slot, service_decision(service_of(slot))->addr, now_ms);
}

/* The kept link becomes the slot's own. One that is down is tried at once: the certificates may be others now. */
static void take_link(struct role_slot *slot, int64_t now_ms)
{
    const struct role_links_options *options = &slot->links->options;
    struct role_link *link = slot->link;
    size_t index = index_of(slot);

    link->slot->link = NULL;
    link->slot = slot;
    slot->is_kept = false;
    redis_link_move(link->link, options->tls[index], options->stepped, options->context);
    if (role_probe_move(&link->probe, &options->settings[index], options->group, index)) {
        conversation_hurry(&link->probe.conversation, now_ms);
        return;
    }
    redis_link_reset(link->link);
    init_probe(slot, &link->probe);
}

void role_links_catch_up(struct role_links *links, size_t index, int64_t now_ms)
{
    struct role_slot *slot = &links->slots[index];

    if (slot->link == NULL)
        return;
    if (slot->is_kept)
        take_link(slot, now_ms);
    role_probe_catch_up(&slot->link->probe, service_decision(service_of(slot)), now_ms);
    redis_link_pump(slot->link->link);
}

void role_links_give_up(struct role_links *links)
{
    if (links != NULL)
        links->has_given_up = true;
}

bool role_links_shed(struct role_links *links, size_t *io_budget)
{
    for (; links->count > 0; links->count--) {
        struct role_slot *slot = &links->slots[links->count - 1];
        if (!progress_spend(io_budget))
            return true;
        if (has_own_link(slot)) {
            redis_link_destroy(slot->link->link);
            free(slot->link);
        }
        slot->link = NULL;
    }
    return false;
}

void role_links_destroy(struct role_links *links)
{
    free(links);
}

struct role_link *role_links_find(const struct role_links *links, size_t index)
{
    const struct role_slot *slot = &links->slots[index];

    return has_own_link(slot) ? slot->link : NULL;
}
