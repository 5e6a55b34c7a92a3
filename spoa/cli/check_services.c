/* The part of `check` that asks about services: votes, the Sentinels' settings, the nodes' roles. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/span.h"
#include "spoa/cli/check_state.h"
#include "spoa/core/base/text.h"
#include "spoa/core/base/words.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/park.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_alarms.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"
#include "spoa/io/net/socket_addr.h"

/* How long Sentinel needs to fail over after it found the master down. */
#define FAILOVER_MS 2000

/* The line of a key of the service, or of its section. */
static struct finding_place service_place(const struct check *check, const struct checked_service *service,
                                          const char *key)
{
    return check_place(check, "service", service->index, key, 0);
}

/* Whether both are addresses of one node, as the agent sees it. */
static bool is_same_node(const struct config_service *service, const struct addr *a, const struct addr *b)
{
    const struct service_server *server = config_service_find_server(service, a);

    return addr_equals(a, b) || (server != NULL && server == config_service_find_server(service, b));
}

/* ---- what a Sentinel is set to ---- */

/* What the Sentinel knows of the master's silence, and whether `down-after` can make use of it. */
static void check_silence(struct check *check, const struct checked_service *service,
                          const struct checked_voter *voter, const struct sentinel_facts *facts)
{
    unsigned down_after_ms = service->service->down_after_ms;

    if (facts->silent_ms >= SERVICE_WATCH_MS)
        findings_add(&check->findings, FINDING_SILENT_MASTER, service_place(check, service, ""), voter->name,
                     NULL, "the master has not been heard for more than %d ms", SERVICE_WATCH_MS);
    if (down_after_ms > 0 && down_after_ms >= facts->down_after_ms)
        findings_add(&check->findings, FINDING_IDLE_DOWN_AFTER, service_place(check, service, "down-after"),
                     voter->name, "make 'down-after' shorter than that",
                     "down-after-milliseconds is %" PRIu32 ", so 'down-after' %u has no effect",
                     facts->down_after_ms, down_after_ms);
}

static void check_times(struct check *check, const struct checked_service *service,
                        const struct checked_voter *voter, uint32_t down_after_ms)
{
    const struct config_voters *group = service->group->group;
    int64_t park_ms = park_limit_ms(service->service->park_ms, down_after_ms);
    int64_t wanted_ms = (int64_t)down_after_ms + FAILOVER_MS;
    char fix[CHECK_FIX_MAX];

    if (group->vote_life_ms >= down_after_ms)
        findings_add(
            &check->findings, FINDING_LONG_VOTE_LIFE, check_group_place(check, service->group, "vote-life"),
            voter->name, "lower 'vote-life' (and 'poll'), or raise down-after-milliseconds",
            "down-after-milliseconds is %" PRIu32 ", and 'vote-life' %u", down_after_ms, group->vote_life_ms);
    if (park_ms == 0 || park_ms >= wanted_ms)
        return;
    (void)snprintf(fix, sizeof(fix),
                   "write `park = %" PRId64
                   "ms` in [service %s], and a `timeout processing` that is longer in HAProxy's "
                   "spoe.conf; or lower down-after-milliseconds",
                   wanted_ms, service->service->name);
    findings_add(&check->findings, FINDING_SHORT_PARK, service_place(check, service, "park"), voter->name,
                 fix,
                 "down-after-milliseconds is %" PRIu32 ", and 'park' %" PRId64
                 ": clients are refused before the new master is "
                 "named",
                 down_after_ms, park_ms);
}

/* ---- Sentinels that the file lacks ---- */

static bool is_listed(const struct checked_group *group, const struct addr *addr, struct span id)
{
    for (size_t i = 0; i < group->group->address_count; i++)
        if (addr_equals(&group->group->addresses[i], addr) || span_equals_text(id, group->voters[i].myid))
            return true;
    return false;
}

/* Names those of the reply that the file lacks. Returns how many they are. */
static unsigned name_unlisted(struct check *check, const struct checked_service *service,
                              const struct reply *reply)
{
    const struct checked_group *group = service->group;
    const struct finding_place place = check_group_place(check, service->group, "");
    unsigned count = 0;
    char text[ADDR_TEXT_MAX];
    char fix[CHECK_FIX_MAX];
    struct addr addr;

    for (size_t i = 0; reply != NULL && i < reply->count; i++) {
        const struct reply *element = &reply->elements[i];
        if (!addr_from_parts(redis_client_field(element, "ip"), redis_client_field(element, "port"), &addr) ||
            is_listed(group, &addr, redis_client_field(element, "runid")))
            continue;
        (void)snprintf(fix, sizeof(fix), "write `address = %s` in [%s%s%s] (%s:%u)", addr_format(&addr, text),
                       config_voters_word(group->group), group->group->name[0] != '\0' ? " " : "",
                       group->group->name, place.file, place.line);
        findings_add(&check->findings, FINDING_UNLISTED_SENTINEL, place, text, fix,
                     "the other Sentinels know this one, and it is not listed: its vote is missing");
        count++;
    }
    return count;
}

static void check_fellows(struct check *check, const struct checked_service *service,
                          struct checked_voter *voter, uint32_t known)
{
    const char *const words[] = {"SENTINEL", "SENTINELS", service->service->monitor, NULL};
    const struct checked_group *group = service->group;
    size_t listed = group->group->address_count;

    for (size_t i = 0; i < group->group->address_count; i++)
        listed -= group->voters[i].is_misplaced;
    /* The missing Sentinel may be listed with a wrong address, which is a finding already. */
    if (known == listed || known == group->group->address_count)
        return;
    const struct reply *reply = redis_client_ask(voter->client, words);
    (void)check_is_refused(check, group, voter, reply, "SENTINEL SENTINELS", "+sentinel|sentinels");
    if (name_unlisted(check, service, reply) == 0)
        findings_add(&check->findings, FINDING_SENTINEL_COUNT, check_group_place(check, service->group, ""),
                     voter->name, "list all of them, or say SENTINEL RESET there",
                     "it knows of %" PRIu32 " Sentinels, configured are %zu", known, listed);
}

static void check_settings(struct check *check, struct checked_service *service, struct checked_voter *voter,
                           const struct reply *master)
{
    size_t count = service->group->group->address_count;
    struct sentinel_facts facts;
    struct addr addr;

    if (check_is_refused(check, service->group, voter, master, "SENTINEL MASTER", "+sentinel|master") ||
        master == NULL || sentinel_reply_read_facts(master, &addr, &facts) != REPLY_READ_OK)
        return;
    check_times(check, service, voter, facts.down_after_ms);
    check_silence(check, service, voter, &facts);
    if (facts.down_after_ms > service->down_after_ms)
        service->down_after_ms = facts.down_after_ms;
    if (facts.quorum > count)
        findings_add(&check->findings, FINDING_SENTINEL_QUORUM, check_group_place(check, service->group, ""),
                     voter->name, NULL, "its quorum is %" PRIu32 " of %zu Sentinels: it will never fail over",
                     facts.quorum, count);
    check_fellows(check, service, voter, facts.other_sentinels + 1);
}

/* ---- replicas, as a Sentinel knows them ---- */

/* A replica that is not in the map: as a master it would not be named. */
static void check_mapped(struct check *check, const struct checked_service *service, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    char fix[CHECK_FIX_MAX];

    if (service->service->allow_any_address || config_service_find_server(service->service, addr) != NULL)
        return;
    (void)addr_format(addr, text);
    (void)snprintf(fix, sizeof(fix),
                   "write `server = NAME %s` in [service %s], or `alias=%s` behind the server that it is",
                   text, service->service->name, text);
    findings_add(&check->findings, FINDING_UNMAPPED_REPLICA, service_place(check, service, ""), text, fix,
                 "this is a replica that no 'server' has: as a master it would not be named");
}

/* A server that is not named as a replica, because it follows an address that the map lacks. */
static void check_leader(struct check *check, const struct checked_service *service,
                         const struct sentinel_replica *replica)
{
    const struct service_server *server = config_service_find_server(service->service, &replica->addr);
    char text[ADDR_TEXT_MAX];
    char fix[CHECK_FIX_MAX];

    if (!service->service->replicas || server == NULL ||
        config_service_find_server(service->service, &replica->master) != NULL)
        return;
    (void)addr_format(&replica->master, text);
    (void)snprintf(fix, sizeof(fix), "if this is the master, write `alias=%s` behind its server", text);
    findings_add(&check->findings, FINDING_UNMAPPED_LEADER, service_place(check, service, ""), server->name,
                 fix, "it follows %s, which no 'server' has: it is not named as a replica", text);
}

static void check_replicas(struct check *check, const struct checked_service *service,
                           struct checked_voter *voter)
{
    const char *const words[] = {"SENTINEL", "REPLICAS", service->service->monitor, NULL};
    const struct reply *reply = redis_client_ask(voter->client, words);
    struct sentinel_replica replica;
    struct addr addr;

    if (service->service->replicas)
        (void)check_is_refused(check, service->group, voter, reply, "SENTINEL REPLICAS",
                               "+sentinel|replicas");
    for (size_t i = 0; reply != NULL && i < reply->count; i++) {
        const struct reply *element = &reply->elements[i];
        if (addr_from_parts(redis_client_field(element, "ip"), redis_client_field(element, "port"), &addr))
            check_mapped(check, service, &addr);
        if (sentinel_reply_read_replica(element, &replica) == REPLY_READ_OK)
            check_leader(check, service, &replica);
    }
}

static void check_witness(struct check *check, const struct checked_service *service,
                          struct checked_voter *voter)
{
    const char *const words[] = {"SENTINEL", "CKQUORUM", service->service->monitor, NULL};

    if (!service->service->witness)
        return;
    const struct reply *reply = redis_client_ask(voter->client, words);
    enum refusal refusal = reply != NULL ? refusal_of(reply) : REFUSAL_NONE;
    if (refusal == REFUSAL_OTHER)
        findings_add(&check->findings, FINDING_SENTINEL_MAJORITY, service_place(check, service, ""),
                     voter->name, NULL, "SENTINEL CKQUORUM says: %.*s", SPAN_PRINTED(reply->text));
    else
        (void)check_is_refused(check, service->group, voter, reply, "SENTINEL CKQUORUM",
                               "+sentinel|ckquorum");
}

/* Here a loopback address leads to this host, and HAProxy would send the clients there. */
static void check_loopback(struct check *check, const struct checked_service *service,
                           const struct checked_voter *voter, const struct addr *named)
{
    const struct service_server *server = config_service_find_server(service->service, named);
    char text[ADDR_TEXT_MAX];

    if (!socket_is_remote(voter->client->fd) || !addr_is_loopback(named) ||
        (server != NULL && !addr_is_loopback(&server->addr)))
        return;
    findings_add(
        &check->findings, FINDING_LOOPBACK_ADDRESS, service_place(check, service, ""), voter->name,
        "let it monitor the master by an address that all hosts reach, and write this address in 'server'",
        "it is on another host and names %s, which leads to this host here", addr_format(named, text));
}

/* ---- votes ---- */

/* The master of this Sentinel whose name is most like this one; "NAME" if it has none. */
static void find_nearest(struct checked_voter *voter, const char *wanted, char nearest[CHECK_RIGHTS_MAX])
{
    static const char *const words[] = {"SENTINEL", "MASTERS", NULL};
    const struct reply *reply = redis_client_ask(voter->client, words);

    (void)snprintf(nearest, CHECK_RIGHTS_MAX, "NAME");
    for (size_t i = 0; reply != NULL && i < reply->count; i++) {
        char name[CHECK_RIGHTS_MAX];
        struct span text = redis_client_field(&reply->elements[i], "name");
        (void)snprintf(name, sizeof(name), "%.*s", SPAN_PRINTED(text));
        if (i == 0 || words_distance(wanted, name) < words_distance(wanted, nearest))
            memcpy(nearest, name, sizeof(name));
    }
}

static void report_unknown_monitor(struct check *check, const struct checked_service *service,
                                   struct checked_voter *voter)
{
    char nearest[CHECK_RIGHTS_MAX];
    char fix[CHECK_FIX_MAX];

    find_nearest(voter, service->service->monitor, nearest);
    (void)snprintf(fix, sizeof(fix), "write `monitor = %s` in [service %s]", nearest, service->service->name);
    findings_add(&check->findings, FINDING_UNKNOWN_MONITOR, service_place(check, service, "monitor"),
                 voter->name, fix, "no master is known there by the name '%s'", service->service->monitor);
}

static void report_no_vote(struct check *check, const struct checked_service *service,
                           struct checked_voter *voter, const struct reply *reply)
{
    static const char *const rights[] = {
        [VOTER_SOURCE_SENTINEL] = "+sentinel|get-master-addr-by-name",
        [VOTER_SOURCE_REPLICATION] = "+role",
        [VOTER_SOURCE_CLUSTER] = "+cluster|slots",
    };
    enum voter_source source = service->group->group->source;

    if (reply != NULL && reply->kind == REPLY_NIL) {
        report_unknown_monitor(check, service, voter);
        return;
    }
    if (reply != NULL && refusal_of(reply) == REFUSAL_RIGHT) {
        (void)check_is_refused(check, service->group, voter, reply, "", rights[source]);
        return;
    }
    struct span words = reply == NULL                ? span_of_text(voter->client->error)
                        : reply->kind == REPLY_ERROR ? reply->text
                                                     : span_of_text(check_why_no_vote(source, reply));
    findings_add(&check->findings, FINDING_NO_VOTE, service_place(check, service, ""), voter->name, NULL,
                 "it names nobody: %.*s", SPAN_PRINTED(words));
}

static void ask_vote(struct check *check, struct checked_service *service, struct checked_voter *voter,
                     struct checked_vote *vote)
{
    const char *const words[] = {"SENTINEL", "MASTER", service->service->monitor, NULL};
    const struct config_voters *group = service->group->group;
    const struct reply *reply = NULL;

    vote->is_given =
        check_ask_vote(voter->client, group->source, service->service, voter->addr, &vote->addr, &reply);
    vote->counts = vote->is_given && voter->myid[0] != '\0' && !voter->is_misplaced;
    if (!vote->is_given) {
        report_no_vote(check, service, voter, reply);
        return;
    }
    check_loopback(check, service, voter, &vote->addr);
    if (group->is_nodes)
        return;
    const struct reply *master = redis_client_ask(voter->client, words);
    struct span flags = redis_client_field(master, "flags");
    (void)snprintf(vote->flags, sizeof(vote->flags), "%.*s", SPAN_PRINTED(flags));
    check_settings(check, service, voter, master);
    check_replicas(check, service, voter);
    check_witness(check, service, voter);
}

/* The address that at least 'quorum' voters name, or NULL. `*ret_count`: how many votes count. */
static const struct addr *count_votes(const struct checked_service *service, unsigned *ret_count)
{
    const struct checked_vote *votes = service->votes;
    size_t count = service->group->group->address_count;

    *ret_count = 0;
    for (size_t i = 0; i < count; i++)
        *ret_count += votes[i].counts;
    for (size_t i = 0; i < count; i++) {
        unsigned agreeing = 0;
        for (size_t k = 0; k < count; k++)
            agreeing += votes[i].counts && votes[k].counts &&
                        is_same_node(service->service, &votes[i].addr, &votes[k].addr);
        if (agreeing >= service->service->quorum)
            return &votes[i].addr;
    }
    return NULL;
}

static void check_majority(struct check *check, struct checked_service *service)
{
    const struct config_service *config = service->service;
    unsigned count = 0;
    char text[ADDR_TEXT_MAX];
    char fix[CHECK_FIX_MAX];

    service->master = count_votes(service, &count);
    /* Where too few votes count, the cause of each that does not is found already. */
    if (service->master == NULL && count >= config->quorum)
        findings_add(&check->findings, FINDING_NO_MAJORITY, service_place(check, service, ""), config->name,
                     NULL, "no %u %s name the same master: nobody will be named", config->quorum,
                     service->group->group->is_nodes ? "nodes" : "Sentinels");
    if (service->master == NULL || config_service_find_server(config, service->master) != NULL ||
        config->allow_any_address)
        return;
    (void)snprintf(fix, sizeof(fix),
                   "write `server = NAME %s` in [service %s], or `alias=%s` behind the server that it is",
                   addr_format(service->master, text), config->name, text);
    findings_add(&check->findings, FINDING_UNMAPPED_MASTER, service_place(check, service, ""), text, fix,
                 "a majority names this address, which no 'server' has: nobody will be named");
}

/* ---- nodes ---- */

/* Whether the node is a voter as well, whose fault is found already. */
static bool is_lost_voter(const struct checked_service *service, const struct addr *addr)
{
    const struct checked_group *group = service->group;

    for (size_t i = 0; group->group->is_nodes && i < group->group->address_count; i++)
        if (group->voters[i].is_lost && addr_equals(group->voters[i].addr, addr))
            return true;
    return false;
}

static void report_password(struct check *check, const struct checked_service *service,
                            const struct checked_node *node)
{
    bool has_password = config_node_credentials(service->service, service->group->group)->password != NULL;
    bool is_file = config_lines_have(&check->config->lines, "service", service->index, "password-file");
    const struct finding_place place = service_place(check, service, is_file ? "password-file" : "password");
    char fix[CHECK_FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "%s `password` or `password-file` in [service %s] (%s:%u)",
                   has_password ? "correct" : "set", service->service->name, place.file, place.line);
    findings_add(&check->findings, FINDING_NODE_PASSWORD, place, node->server->name, fix,
                 has_password ? "the password is refused, so 'role-check' does nothing: %s"
                              : "a password is asked for, and without it 'role-check' does nothing: %s",
                 node->client->error);
}

/* A node that does not say whether it is a master. */
static void report_no_role(struct check *check, const struct checked_service *service,
                           const struct checked_node *node, const struct reply *reply)
{
    const struct finding_place place = service_place(check, service, "");
    const char *user = config_node_credentials(service->service, service->group->group)->username;
    enum refusal refusal = refusal_of(reply);
    char fix[CHECK_FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "there: `ACL SETUSER %s +role`", user != NULL ? user : "default");
    if (refusal == REFUSAL_RIGHT)
        findings_add(&check->findings, FINDING_NODE_RIGHTS, place, node->server->name, fix,
                     "the user lacks the right +role: 'role-check' does nothing");
    else if (refusal != REFUSAL_NONE)
        findings_add(&check->findings, FINDING_NO_ROLE, place, node->server->name, NULL,
                     "ROLE is refused, so 'role-check' does nothing: %.*s (%s)", SPAN_PRINTED(reply->text),
                     refusal_meaning(refusal));
    else if (span_equals_text(node_reply_role_word(reply), "sentinel"))
        findings_add(&check->findings, FINDING_NOT_A_NODE,
                     check_place(check, "service", service->index, "server",
                                 (size_t)(node->server - service->service->servers)),
                     node->server->name, "write the address of the Redis there: its port is 6379 as a rule",
                     "this is a Sentinel, not a Redis");
    else
        findings_add(&check->findings, FINDING_NO_ROLE, place, node->server->name, NULL,
                     "%s: 'role-check' does nothing there", node_reply_role_meaning(reply));
}

/* Asks the master whether it refuses writes while too few replicas follow it, where nothing else bounds the loss. */
static void check_loss(struct check *check, const struct checked_service *service,
                       const struct checked_node *node)
{
    static const char *const words[] = {"INFO", "replication", NULL};
    bool is_set = false;

    if (service->service->down_after_ms > 0 || service->down_after_ms <= SERVICE_ALARMS_LOSS_MS)
        return;
    const struct reply *reply = redis_client_ask(node->client, words);
    if (reply == NULL || node_reply_read_min_replicas(reply, &is_set) != REPLY_READ_OK || is_set)
        return;
    findings_add(&check->findings, FINDING_UNBOUNDED_LOSS, service_place(check, service, ""),
                 node->server->name, "set 'down-after', or min-replicas-to-write in Redis",
                 "down-after-milliseconds is %" PRIu32
                 ", and nothing bounds what is lost if the master is cut off from the Sentinels",
                 service->down_after_ms);
}

/* What the node says, against whom the majority names. */
static void check_role(struct check *check, const struct checked_service *service, struct checked_node *node,
                       const struct reply *reply)
{
    const struct finding_place place = service_place(check, service, "");
    bool is_named = service->master != NULL && service_server_has(node->server, service->master);
    bool is_master = node_reply_role(reply) == NODE_ROLE_MASTER;
    size_t parts = reply->count;

    if (is_named && is_master && service->service->max_lag.amount > 0 && parts < 3)
        findings_add(&check->findings, FINDING_NO_LAG, place, node->server->name, NULL,
                     "it does not say how far its replicas are, as with Dragonfly: 'max-lag' cannot be met");
    else if (is_named && !is_master)
        findings_add(&check->findings, FINDING_NOT_A_MASTER, place, node->server->name, NULL,
                     "a majority names it, and it says that it is no master");
    else if (!is_named && service->master != NULL && is_master)
        findings_add(&check->findings, FINDING_SECOND_MASTER, place, node->server->name, NULL,
                     "it says that it is a master too: writes there are lost");
    if (is_named && is_master)
        check_loss(check, service, node);
}

static void check_node(struct check *check, const struct checked_service *service, struct checked_node *node)
{
    static const char *const words[] = {"ROLE", NULL};
    bool is_probed = service->service->role_check != ROLE_CHECK_OFF;

    if (is_lost_voter(service, &node->server->addr))
        return;
    if (node->client->parser != NULL && node->client->wants_password) {
        if (is_probed)
            report_password(check, service, node);
        return;
    }
    const struct reply *reply = redis_client_ask(node->client, words);
    if (reply == NULL) {
        findings_add(&check->findings, FINDING_NODE_UNREACHABLE, service_place(check, service, ""),
                     node->server->name, NULL, "it cannot be reached: %s", node->client->error);
        return;
    }
    struct span word = node_reply_role_word(reply);
    (void)snprintf(node->role, sizeof(node->role), "%.*s", SPAN_PRINTED(word));
    if (node_reply_role(reply) != NODE_ROLE_UNKNOWN)
        check_role(check, service, node, reply);
    else if (is_probed)
        report_no_role(check, service, node, reply);
}

void check_services(struct check *check)
{
    for (size_t i = 0; i < check->config->service_count; i++) {
        struct checked_service *service = &check->services[i];
        for (size_t k = 0; k < service->group->group->address_count; k++)
            if (!service->group->voters[k].is_lost)
                ask_vote(check, service, &service->group->voters[k], &service->votes[k]);
        check_majority(check, service);
        for (size_t k = 0; k < service->service->server_count; k++)
            check_node(check, service, &service->nodes[k]);
    }
}
