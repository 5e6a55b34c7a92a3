/* One service `m` with servers R1 and R2 and one voter, for targets that need something to answer from. */
#ifndef TESTS_FUZZ_FUZZ_WORLD_H
#define TESTS_FUZZ_FUZZ_WORLD_H

#include <string.h>

#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/fuzz/fuzz.h"

#define WORLD_START_MS 1000000
#define WORLD_PARK_MAX 100

struct world {
    uint8_t identities[1];
    int64_t now_ms;
    struct service_server servers[2];
    struct service_settings settings;
    struct service *service;
    struct voter_group *group;
    struct parking *parking;
    struct service_table *table;
    struct metrics metrics;
};

static inline void world_ignore_wake(void *context)
{
    (void)context;
}

static inline void world_make(struct world *world)
{
    static const char *const names[] = {"s0"};

    memset(world, 0, sizeof(*world));
    world->now_ms = WORLD_START_MS;
    world->servers[0] = (struct service_server){.name = "R1", .weight = 1};
    world->servers[1] = (struct service_server){.name = "R2", .weight = 1};
    CHECK(addr_parse(span_of_text("127.0.0.1:7001"), &world->servers[0].addr));
    CHECK(addr_parse(span_of_text("127.0.0.1:7002"), &world->servers[1].addr));
    world->settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = world->servers,
        .server_count = 2,
        .park_ms = 1000,
        .quorum = {.identities = world->identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000,
                   .hold_ms = QUORUM_HOLD_MS,
                   .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS},
        .replicas = {.is_enabled = true},
    };
    world->service = service_create(&world->settings, world->now_ms);
    const struct voter_group_options options = {.name = "",
                                                .voter_count = 1,
                                                .voter_names = names,
                                                .services = &world->service,
                                                .service_count = 1,
                                                .identities = world->identities,
                                                .metrics = &world->metrics};
    world->group = voter_group_create(&options, world->now_ms);
    world->parking = parking_create(WORLD_PARK_MAX, world_ignore_wake, NULL);
    world->table = service_table_create(world->parking);
    CHECK(world->service != NULL && world->group != NULL && world->table != NULL);
    CHECK(service_table_add(world->table, world->service));
}

/* The one voter names a server, or nobody. */
static inline void world_vote(struct world *world, const struct service_server *server)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = server != NULL ? QUORUM_NAMES : QUORUM_UNKNOWN_NAME,
                                         .addr = server != NULL ? &server->addr : NULL,
                                         .t_sent_ms = world->now_ms};

    voter_group_identify(world->group, 0, span_of_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                         world->now_ms);
    (void)voter_group_step(world->group, 0, &ballot, world->now_ms);
}

static inline void world_end(struct world *world)
{
    service_table_destroy(world->table);
    voter_group_destroy(world->group);
    service_destroy(world->service);
    parking_destroy(world->parking);
}

#endif
