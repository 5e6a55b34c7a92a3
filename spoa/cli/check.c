#include "spoa/cli/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/cli/check_votes.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/options.h"
#include "spoa/cli/redis_client.h"
#include "spoa/cli/runtime_client.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/decision/choices.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_alarms.h"
#include "spoa/core/haproxy/haproxy_version.h"
#include "spoa/core/haproxy/runtime_reply.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"
#include "spoa/io/net/socket_addr.h"

/* How long Sentinel needs to fail over after it found the master down. */
#define FAILOVER_MS 2000

/* The two arguments of "%.*s". */
#define PRINTED(span) (int)(span).len, (const char *)(span).data

/* A voter that is checked. */
struct checked_voter {
    const struct addr *addr;
    char name[ADDR_TEXT_MAX];
    char myid[CHECK_ID_LEN + 1]; /* "" if it did not tell */
    struct redis_client client;
};

struct check {
    const struct config *config;
    unsigned findings;
    uint32_t down_after_ms; /* the longest that a Sentinel told of the service that is checked; 0: none did */
    unsigned apis;          /* HAProxys that told their version */
    bool any_hangs;         /* haproxy_hangs() is true for one of them */
};

static void report(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report(struct check *check, const char *format, ...)
{
    va_list args;

    check->findings++;
    fputs("  ! ", stdout);
    va_start(args, format);
    (void)vfprintf(stdout, format, args);
    va_end(args);
    fputc('\n', stdout);
}

/* The peer's error, or `other` if it sent none. */
static struct span error_of(const struct reply *reply, const char *other)
{
    return reply != NULL && reply->kind == REPLY_ERROR ? reply->text : span_of_text(other);
}

/* Whether the reply is an error. That the Sentinel knows no master of that name is reported with its vote. */
static bool is_refused(const struct reply *reply)
{
    return reply != NULL && reply->kind == REPLY_ERROR && !sentinel_reply_is_unknown_name(reply);
}

/* ---- Sentinels ---- */

static void ask_myid(struct check *check, const struct config_voters *group, struct checked_voter *voter)
{
    static const char *const needs[] = {
        [VOTER_SOURCE_SENTINEL] = "SENTINEL MYID of Redis 6.2 or later",
        [VOTER_SOURCE_REPLICATION] = "INFO",
        [VOTER_SOURCE_CLUSTER] = "CLUSTER MYID",
    };
    const struct reply *reply = check_ask_identity(&voter->client, group->source, voter->myid);

    if (reply == NULL)
        report(check, "%s does not answer: %s", voter->name, voter->client.error);
    else if (voter->myid[0] == '\0')
        report(check, "%s does not say who it is: %.*s. It has no vote. It needs %s, and the right to it.",
               voter->name, PRINTED(error_of(reply, check_why_no_identity(group->source))),
               needs[group->source]);
}

static void ask_subscribe(struct check *check, const struct config_voters *group,
                          const struct checked_voter *voter)
{
    static const char *const words[] = {"SUBSCRIBE", "+switch-master", NULL};
    struct redis_client client = redis_client_open(voter->addr, &group->credentials, &group->tls);
    const struct reply *reply = redis_client_ask(&client, words);

    if (is_refused(reply))
        report(check, "%s refuses SUBSCRIBE: %.*s. Without it a switch is seen with the next poll only.",
               voter->name, PRINTED(reply->text));
    redis_client_close(&client);
}

static void open_voter(struct check *check, const struct config_voters *group, struct checked_voter *voter)
{
    voter->client = redis_client_open(voter->addr, &group->credentials, &group->tls);
    if (voter->client.parser == NULL) {
        report(check, "%s cannot be reached: %s", voter->name, voter->client.error);
        return;
    }
    if (voter->client.error[0] != '\0')
        report(check, "%s refuses the password: %s", voter->name, voter->client.error);
    ask_myid(check, group, voter);
    if (group->subscribe && !group->is_nodes)
        ask_subscribe(check, group, voter);
    printf("    %-24s %s\n", voter->name, voter->myid[0] != '\0' ? voter->myid : "no identity");
}

static void check_identities(struct check *check, const struct config_voters *group,
                             const struct checked_voter *voters)
{
    for (size_t i = 0; i < group->address_count; i++)
        for (size_t k = 0; k < i && voters[i].myid[0] != '\0'; k++)
            if (strcmp(voters[i].myid, voters[k].myid) == 0)
                report(check,
                       "%s and %s are one %s (its identity): one vote. Give each an address of its own, and "
                       "each "
                       "its own "
                       "configuration file.",
                       voters[k].name, voters[i].name, group->is_nodes ? "node" : "Sentinel");
}

/* ---- a service, as one Sentinel sees it ---- */

static const struct service_server *find_server(const struct config_service *service, const struct addr *addr)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (service_server_has(&service->servers[i], addr))
            return &service->servers[i];
    return NULL;
}

/* Whether both are addresses of one node, as the agent sees it. */
static bool is_same_node(const struct config_service *service, const struct addr *a, const struct addr *b)
{
    const struct service_server *server = find_server(service, a);

    return addr_equals(a, b) || (server != NULL && server == find_server(service, b));
}

/* What the Sentinel knows of the master's silence, and whether `down-after` can make use of it. */
static void check_silence(struct check *check, const struct config_service *service,
                          const struct checked_voter *voter, const struct sentinel_facts *facts)
{
    if (facts->silent_ms >= SERVICE_WATCH_MS)
        report(check, "%s has not heard the master for %" PRIu32 " ms.", voter->name, facts->silent_ms);
    if (service->down_after_ms > 0 && service->down_after_ms >= facts->down_after_ms)
        report(check,
               "%s: down-after-milliseconds is %" PRIu32 ", 'down-after' %u has no effect: make it shorter.",
               voter->name, facts->down_after_ms, service->down_after_ms);
}

static void check_settings(struct check *check, const struct config_service *service,
                           const struct config_voters *group, const struct checked_voter *voter,
                           const struct reply *master)
{
    struct sentinel_facts facts;
    struct addr addr;

    if (is_refused(master)) {
        report(check, "%s refuses SENTINEL MASTER: %.*s. A dead master is noticed later.", voter->name,
               PRINTED(master->text));
        return;
    }
    if (master == NULL || sentinel_reply_read_facts(master, &addr, &facts) != REPLY_READ_OK)
        return;
    if (group->vote_life_ms >= facts.down_after_ms)
        report(check,
               "%s: down-after-milliseconds is %" PRIu32
               ", 'vote-life' %u. Lower 'vote-life' (and 'poll') or "
               "raise the other.",
               voter->name, facts.down_after_ms, group->vote_life_ms);
    int64_t park_ms = park_limit_ms(service->park_ms, facts.down_after_ms);
    if (park_ms > 0 && park_ms < (int64_t)facts.down_after_ms + FAILOVER_MS)
        report(check,
               "%s: down-after-milliseconds is %" PRIu32 ", 'park' %" PRId64 ": set 'park' to %" PRIu64
               " ms or more, and HAProxy's 'timeout processing' longer than that, or lower the first.",
               voter->name, facts.down_after_ms, park_ms, (uint64_t)facts.down_after_ms + FAILOVER_MS);
    check_silence(check, service, voter, &facts);
    if (facts.down_after_ms > check->down_after_ms)
        check->down_after_ms = facts.down_after_ms;
    if (facts.other_sentinels + 1 != group->address_count)
        report(check,
               "%s knows of %" PRIu32
               " Sentinels, configured are %zu: list all of them, or SENTINEL RESET there.",
               voter->name, facts.other_sentinels + 1, group->address_count);
    if (facts.quorum > group->address_count)
        report(check, "%s: its quorum is %" PRIu32 " of %zu Sentinels: it will never fail over.", voter->name,
               facts.quorum, group->address_count);
}

/* Reports a replica that is not in the map: as a master it would not be named. */
static void check_mapped(struct check *check, const struct config_service *service,
                         const struct checked_voter *voter, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];

    if (service->allow_any_address || find_server(service, addr) != NULL)
        return;
    (void)addr_format(addr, text);
    report(check,
           "%s knows a replica %s that no 'server' of [service %s] has: as a master it would not be named. "
           "Write "
           "'server = NAME %s', or 'alias=%s' behind the server that it is.",
           voter->name, text, service->name, text, text);
}

/* Reports a server that is not named as a replica, because it follows an address that the map lacks. */
static void check_leader(struct check *check, const struct config_service *service,
                         const struct checked_voter *voter, const struct sentinel_replica *replica)
{
    const struct service_server *server = find_server(service, &replica->addr);
    char text[ADDR_TEXT_MAX];

    if (!service->replicas || server == NULL || find_server(service, &replica->master) != NULL)
        return;
    (void)addr_format(&replica->master, text);
    report(
        check,
        "%s: %s follows %s, which no 'server' has, so it is not named as a replica. If this is the master, "
        "write 'alias=%s' behind its server.",
        voter->name, server->name, text, text);
}

static void check_replicas(struct check *check, const struct config_service *service,
                           struct checked_voter *voter)
{
    const char *const words[] = {"SENTINEL", "REPLICAS", service->monitor, NULL};
    const struct reply *reply = redis_client_ask(&voter->client, words);
    struct sentinel_replica replica;
    struct addr addr;

    if (is_refused(reply) && service->replicas)
        report(check, "%s refuses SENTINEL REPLICAS: %.*s. 'replicas' needs it.", voter->name,
               PRINTED(reply->text));
    for (size_t i = 0; reply != NULL && i < reply->count; i++) {
        const struct reply *element = &reply->elements[i];
        if (addr_from_parts(redis_client_field(element, "ip"), redis_client_field(element, "port"), &addr))
            check_mapped(check, service, voter, &addr);
        if (sentinel_reply_read_replica(element, &replica) == REPLY_READ_OK)
            check_leader(check, service, voter, &replica);
    }
}

static void check_witness(struct check *check, const struct config_service *service,
                          struct checked_voter *voter)
{
    const char *const words[] = {"SENTINEL", "CKQUORUM", service->monitor, NULL};

    if (!service->witness)
        return;
    const struct reply *reply = redis_client_ask(&voter->client, words);
    if (reply != NULL && reply->kind == REPLY_ERROR)
        report(check, "%s: SENTINEL CKQUORUM says: %.*s", voter->name, PRINTED(reply->text));
}

static bool ask_vote(struct check *check, const struct config_service *service,
                     const struct config_voters *group, struct checked_voter *voter, struct addr *ret_addr)
{
    const struct reply *reply = NULL;
    bool names = check_ask_vote(&voter->client, group->source, service, voter->addr, ret_addr, &reply);

    if (reply != NULL && reply->kind == REPLY_NIL)
        report(check, "%s knows no master '%s': is 'monitor' right?", voter->name, service->monitor);
    else if (!names)
        report(check, "%s names nobody: %.*s", voter->name,
               PRINTED(error_of(reply, reply == NULL ? voter->client.error
                                                     : check_why_no_vote(group->source, reply))));
    return names;
}

/* Checks what only a Sentinel knows. */
static void check_sentinel(struct check *check, const struct config_service *service,
                           const struct config_voters *group, struct checked_voter *voter,
                           const struct reply *master)
{
    check_settings(check, service, group, voter, master);
    check_replicas(check, service, voter);
    check_witness(check, service, voter);
}

/* Here a loopback address leads to this host, and HAProxy would send the clients there. */
static void check_loopback(struct check *check, const struct config_service *service,
                           const struct checked_voter *voter, const struct addr *named)
{
    const struct service_server *server = find_server(service, named);

    if (!socket_is_remote(voter->client.fd) || !addr_is_loopback(named) ||
        (server != NULL && !addr_is_loopback(&server->addr)))
        return;
    char text[ADDR_TEXT_MAX];
    report(
        check,
        "%s is on another host and names %s, which leads to this host here: let it monitor the master by an "
        "address that all hosts reach, and write this address in 'server'.",
        voter->name, addr_format(named, text));
}

static bool check_vote(struct check *check, const struct config_service *service,
                       const struct config_voters *group, struct checked_voter *voter, struct addr *ret_addr)
{
    const char *const words[] = {"SENTINEL", "MASTER", service->monitor, NULL};
    char text[ADDR_TEXT_MAX];

    if (voter->client.parser == NULL || !ask_vote(check, service, group, voter, ret_addr))
        return false;
    const struct reply *master = group->is_nodes ? NULL : redis_client_ask(&voter->client, words);
    const struct service_server *server = find_server(service, ret_addr);
    printf("    %-24s names %-24s %-12s %.*s\n", voter->name, addr_format(ret_addr, text),
           server != NULL ? server->name : "not in map", PRINTED(redis_client_field(master, "flags")));
    check_loopback(check, service, voter, ret_addr);
    if (!group->is_nodes)
        check_sentinel(check, service, group, voter, master);
    return voter->myid[0] != '\0';
}

/* The address that at least 'quorum' voters name, or NULL. */
static const struct addr *count_votes(const struct config_service *service,
                                      const struct checked_voter *voters, const struct addr *votes,
                                      const bool *counts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned agreeing = 0;
        for (size_t k = 0; k < count; k++) {
            bool is_twin = false;
            for (size_t j = 0; j < k; j++)
                is_twin = is_twin || strcmp(voters[j].myid, voters[k].myid) == 0;
            agreeing += counts[i] && counts[k] && !is_twin && is_same_node(service, &votes[i], &votes[k]);
        }
        if (agreeing >= service->quorum)
            return &votes[i];
    }
    return NULL;
}

/* ---- nodes ---- */

/* Reports a node that does not say whether it is a master. */
static void check_no_role(struct check *check, const struct config_service *service,
                          const struct service_server *server, const struct reply *reply)
{
    enum refusal refusal = refusal_of(reply);

    if (service->role_check == ROLE_CHECK_OFF)
        return;
    if (refusal != REFUSAL_NONE)
        report(check, "%s refuses ROLE: %.*s (%s). 'role-check' does nothing without it.", server->name,
               PRINTED(reply->text), refusal_meaning(refusal));
    else
        report(check, "%s: %s. 'role-check' does nothing there.", server->name,
               node_reply_role_meaning(reply));
}

/* Asks the master whether it refuses writes while too few replicas follow it, where nothing else bounds the loss. */
static void check_loss(struct check *check, const struct config_service *service,
                       const struct service_server *server, struct redis_client *client)
{
    static const char *const words[] = {"INFO", "replication", NULL};
    bool is_set = false;

    if (service->down_after_ms > 0 || check->down_after_ms <= SERVICE_ALARMS_LOSS_MS)
        return;
    const struct reply *reply = redis_client_ask(client, words);
    if (reply == NULL || node_reply_read_min_replicas(reply, &is_set) != REPLY_READ_OK || is_set)
        return;
    report(
        check,
        "%s: down-after-milliseconds is %" PRIu32
        ", and nothing bounds what is lost if the master is cut off from the Sentinels: set 'down-after', or "
        "min-replicas-to-write in Redis.",
        server->name, check->down_after_ms);
}

static void check_node(struct check *check, const struct config_service *service,
                       const struct service_server *server, const struct addr *master)
{
    static const char *const words[] = {"ROLE", NULL};
    const struct config_voters *group = &check->config->groups[service->group];
    struct redis_client client = redis_client_open(&server->addr, config_node_credentials(service, group),
                                                   config_node_tls(service, group));
    bool is_master = master != NULL && service_server_has(server, master);
    char text[ADDR_TEXT_MAX];

    const struct reply *reply = redis_client_ask(&client, words);
    struct span word = reply != NULL ? node_reply_role_word(reply) : span_of("", 0);
    enum node_role role = reply != NULL ? node_reply_role(reply) : NODE_ROLE_UNKNOWN;
    bool says_master = role == NODE_ROLE_MASTER;
    printf("    %-12s %-24s %.*s\n", server->name, addr_format(&server->addr, text), PRINTED(word));
    if (reply == NULL || client.error[0] != '\0')
        report(check, "%s: %s", server->name, client.error);
    else if (role == NODE_ROLE_UNKNOWN)
        check_no_role(check, service, server, reply);
    else if (is_master && says_master && service->max_lag.amount > 0 && reply->count < 3)
        report(check, "%s does not say how far its replicas are, as with Dragonfly: 'max-lag' cannot be met",
               server->name);
    else if (is_master && !says_master)
        report(check, "%s is named by a majority and says that it is no master", server->name);
    else if (!is_master && master != NULL && says_master)
        report(check, "%s says that it is a master too: writes there are lost", server->name);
    if (is_master && says_master)
        check_loss(check, service, server, &client);
    redis_client_close(&client);
}

static void check_service(struct check *check, const struct config_service *service,
                          struct checked_voter *voters)
{
    const struct config_voters *group = &check->config->groups[service->group];
    struct addr votes[QUORUM_VOTERS_MAX];
    bool counts[QUORUM_VOTERS_MAX] = {false};
    char text[ADDR_TEXT_MAX];

    printf("\n[service %s]\n", service->name);
    check->down_after_ms = 0;
    for (size_t i = 0; i < group->address_count; i++)
        counts[i] = check_vote(check, service, group, &voters[i], &votes[i]);
    const struct addr *master = count_votes(service, voters, votes, counts, group->address_count);
    if (master == NULL)
        report(check, "no %u %s name the same master: nobody will be named", service->quorum,
               group->is_nodes ? "nodes" : "Sentinels");
    else if (find_server(service, master) == NULL && !service->allow_any_address)
        report(
            check,
            "a majority names %s, which no 'server' has: write 'server = NAME %s', or 'alias=%s' behind the "
            "server that it is",
            addr_format(master, text), text, text);
    for (size_t i = 0; i < service->server_count; i++)
        check_node(check, service, &service->servers[i], master);
}

static void check_group(struct check *check, size_t index)
{
    const struct config_voters *group = &check->config->groups[index];
    struct checked_voter *voters = calloc(group->address_count, sizeof(*voters));

    if (voters == NULL) {
        report(check, "out of memory");
        return;
    }
    printf("[%s%s%s]\n", config_voters_word(group), group->name[0] != '\0' ? " " : "", group->name);
    for (size_t i = 0; i < group->address_count; i++) {
        voters[i].addr = &group->addresses[i];
        (void)addr_format(voters[i].addr, voters[i].name);
        open_voter(check, group, &voters[i]);
    }
    check_identities(check, group, voters);
    for (size_t i = 0; i < check->config->service_count; i++)
        if (check->config->services[i].group == index)
            check_service(check, &check->config->services[i], voters);
    for (size_t i = 0; i < group->address_count; i++)
        redis_client_close(&voters[i].client);
    free(voters);
    fputc('\n', stdout);
}

/* ---- HAProxy ---- */

/* A HAProxy, and the worker of it that is asked. */
struct checked_api {
    const struct addr *addr;
    unsigned pid; /* 0: it is asked itself, not by way of its master */
    char name[ADDR_TEXT_MAX];
};

static void check_api_server(struct check *check, const struct checked_api *api, const char *backend,
                             const struct service_server *server)
{
    char reply[RUNTIME_ASK_MAX];
    char command[512];
    unsigned weight = 0;

    (void)snprintf(command, sizeof(command), "get weight %s/%s", backend, server->name);
    if (!runtime_client_ask(api->addr, api->pid, command, reply) || !reply_weight_read(reply, &weight))
        report(check, "%s has no server %s/%s: %s", api->name, backend, server->name, reply);
    else if (weight != 0)
        report(check,
               "%s: the server %s/%s has weight %u: HAProxy sends clients there that nobody sent there. Set "
               "'default-server weight 0'.",
               api->name, backend, server->name, weight);
}

static void note_version(struct check *check, const char *info)
{
    unsigned version = haproxy_info_version(info);

    if (version == 0)
        return;
    printf("  HAProxy %u.%u\n", version / 100, version % 100);
    check->apis++;
    check->any_hangs = check->any_hangs || haproxy_hangs(version);
}

static void check_api(struct check *check, const struct config_runtime_api *runtime_api)
{
    static const char haproxy[] = "Name: HAProxy";
    const struct config *config = check->config;
    struct checked_api api = {.addr = &runtime_api->addr};
    char reply[RUNTIME_ASK_MAX];

    printf("[haproxy] %s%s\n", runtime_api->is_master ? "master:" : "", addr_format(api.addr, api.name));
    if ((runtime_api->is_master && !runtime_client_find_worker(api.addr, &api.pid, reply)) ||
        !runtime_client_ask(api.addr, api.pid, "show info", reply)) {
        report(check, "cannot be asked: %s", reply);
        return;
    }
    if (strncmp(reply, haproxy, strlen(haproxy)) != 0)
        report(check, "this is no HAProxy: it says '%.80s'", reply);
    note_version(check, reply);
    /* No server is called that. HAProxy checks our right first, so the reply tells whether we may cut
     * sessions. */
    if (runtime_client_ask(api.addr, api.pid, "shutdown sessions server -/-", reply) &&
        strstr(reply, "Permission denied") != NULL)
        report(check, "the socket has no 'level admin': sessions cannot be cut");
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        const struct config_names *backends = config_service_backends(config, service);
        for (size_t b = 0; b < backends->count; b++)
            for (size_t k = 0; k < service->server_count; k++)
                check_api_server(check, &api, backends->list[b], &service->servers[k]);
    }
}

/* Reports server lines that leave clients hanging, if one of the HAProxys does that (haproxy_hangs()) or
 * none told its version. */
static void check_haproxy_file(struct check *check, const char *path)
{
    FILE *stream = fopen(path, "re");
    struct haproxy_file file;
    char *line = NULL;
    size_t size = 0;

    printf("\n[haproxy] %s\n", path);
    if (stream == NULL) {
        report(check, "cannot be read: %s", strerror(errno));
        return;
    }
    haproxy_file_init(&file);
    for (unsigned number = 1; getline(&line, &size, stream) != -1; number++)
        if (haproxy_file_take(&file, line) && (check->apis == 0 || check->any_hangs))
            report(check,
                   "%s:%u: 'check' with 'on-marked-down shutdown-sessions' leaves clients hanging on HAProxy "
                   "2.8 to 3.1: "
                   "leave out 'on-marked-down shutdown-sessions', and give the server lines 'tcp-ut 3s'",
                   path, number);
    if (ferror(stream))
        report(check, "cannot be read: %s", strerror(errno));
    free(line);
    (void)fclose(stream);
}

/* Checks what only a running agent knows. An agent that does not run, or has no HTTP, is no finding. */
static void check_agent(struct check *check)
{
    static const char alarm[] = "gone-clients-unseen";
    const struct config_listens *web = &check->config->agent.web;
    struct text body = {.data = NULL};

    if (web->count > 0 && http_client_get(&web->list[0], "/status.txt", &body) == 200 && body.data != NULL &&
        strstr(body.data, alarm) != NULL)
        report(check, "the agent has the alarm %s: %s", alarm, alarm_meaning(ALARM_GONE_CLIENTS_UNSEEN));
    text_finish(&body);
}

int check_run(const struct config *config, const char *haproxy_file)
{
    struct check check = {.config = config};

    for (size_t i = 0; i < config->group_count; i++)
        check_group(&check, i);
    for (size_t i = 0; i < config->haproxy.runtime_api_count; i++)
        check_api(&check, &config->haproxy.runtime_apis[i]);
    check_agent(&check);
    if (haproxy_file != NULL)
        check_haproxy_file(&check, haproxy_file);
    printf("%s%u findings\n", config->haproxy.runtime_api_count > 0 || haproxy_file != NULL ? "\n" : "",
           check.findings);
    return check.findings == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
