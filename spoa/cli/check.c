#include "spoa/cli/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/alarms.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/haproxy/haproxy_sessions.h"
#include "spoa/cli/check_votes.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/redis_client.h"
#include "spoa/cli/runtime_client.h"
#include "spoa/cli/options.h"
#include "spoa/core/haproxy/haproxy_version.h"

/* What Sentinel needs to fail over, once it holds a master to be down. */
#define FAILOVER_MS 2000

/* A voter that is being asked. */
struct patient {
    const struct addr *addr;
    char name[ADDR_TEXT_MAX];
    char myid[DOCTOR_ID_LEN + 1]; /* "" where it would not say */
    struct redis_ask ask;
};

struct doctor {
    const struct config *config;
    unsigned findings;
    unsigned apis;  /* that said which version they are */
    bool any_hangs; /* haproxy_hangs() of one of them */
};

static void find(struct doctor *doctor, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void find(struct doctor *doctor, const char *format, ...)
{
    va_list args;

    doctor->findings++;
    fputs("  ! ", stdout);
    va_start(args, format);
    (void)vfprintf(stdout, format, args);
    va_end(args);
    fputc('\n', stdout);
}

/* ---- Sentinels ---- */

static void ask_myid(struct doctor *doctor, const struct config_sentinels *group, struct patient *patient)
{
    static const char *const needs[] = {
        [VOTER_SOURCE_SENTINEL] = "SENTINEL MYID of Redis 6.2 or later",
        [VOTER_SOURCE_REPLICATION] = "INFO",
        [VOTER_SOURCE_CLUSTER] = "CLUSTER MYID",
    };
    redisReply *reply = doctor_ask_identity(&patient->ask, group->source, patient->myid);

    if (patient->myid[0] == '\0')
        find(doctor, "%s does not say who it is: %s. It has no vote. It needs %s, and the right to it.",
             patient->name, reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : "no identity",
             needs[group->source]);
    freeReplyObject(reply);
}

static void ask_subscribe(struct doctor *doctor, const struct config_sentinels *group,
                          const struct patient *patient)
{
    static const char *const words[] = {"SUBSCRIBE", "+switch-master", NULL};
    struct redis_ask ask = redis_ask_open(patient->addr, &group->credentials, &group->tls);
    redisReply *reply = redis_ask(&ask, words);

    if (redis_ask_is_error(reply, "NOPERM"))
        find(doctor, "%s refuses SUBSCRIBE: %s. Without it a switch is seen with the next poll only.",
             patient->name, reply->str);
    freeReplyObject(reply);
    redis_ask_close(&ask);
}

static void open_voter(struct doctor *doctor, const struct config_sentinels *group, struct patient *patient)
{
    patient->ask = redis_ask_open(patient->addr, &group->credentials, &group->tls);
    if (patient->ask.reader == NULL) {
        find(doctor, "%s cannot be reached: %s", patient->name, patient->ask.error);
        return;
    }
    if (patient->ask.error[0] != '\0')
        find(doctor, "%s refuses the password: %s", patient->name, patient->ask.error);
    ask_myid(doctor, group, patient);
    if (group->subscribe && !group->is_nodes)
        ask_subscribe(doctor, group, patient);
    printf("    %-24s %s\n", patient->name, patient->myid[0] != '\0' ? patient->myid : "no identity");
}

static void check_identities(struct doctor *doctor, const struct config_sentinels *group,
                             const struct patient *patients)
{
    for (size_t i = 0; i < group->address_count; i++)
        for (size_t k = 0; k < i && patients[i].myid[0] != '\0'; k++)
            if (strcmp(patients[i].myid, patients[k].myid) == 0)
                find(doctor,
                     "%s and %s are one %s (its identity): one vote. Give each an address of its own, and "
                     "each "
                     "its own "
                     "configuration file.",
                     patients[k].name, patients[i].name, group->is_nodes ? "node" : "Sentinel");
}

/* ---- a service, as one Sentinel sees it ---- */

static const struct service_server *find_server(const struct config_service *service, const struct addr *addr)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (addr_equals(&service->servers[i].addr, addr))
            return &service->servers[i];
    return NULL;
}

static void check_settings(struct doctor *doctor, const struct config_service *service,
                           const struct config_sentinels *group, const struct patient *patient,
                           const redisReply *master)
{
    unsigned long down_after = strtoul(redis_ask_field(master, "down-after-milliseconds"), NULL, 10);
    unsigned long others = strtoul(redis_ask_field(master, "num-other-sentinels"), NULL, 10);
    unsigned long quorum = strtoul(redis_ask_field(master, "quorum"), NULL, 10);

    if (master != NULL && redis_ask_is_error(master, "NOPERM")) {
        find(doctor, "%s refuses SENTINEL MASTER: %s. A dead master is noticed later.", patient->name,
             master->str);
        return;
    }
    if (master == NULL || master->type != REDIS_REPLY_ARRAY)
        return;
    if (group->vote_life_ms >= down_after)
        find(doctor,
             "%s: down-after-milliseconds is %lu, 'vote-life' %u. Lower 'vote-life' (and 'poll') or raise "
             "the other.",
             patient->name, down_after, group->vote_life_ms);
    if (service->park_ms > 0 && service->park_ms < down_after + FAILOVER_MS)
        find(doctor,
             "%s: down-after-milliseconds is %lu, 'park' %u: set 'park' to %lu ms or more, and HAProxy's "
             "'timeout "
             "processing' longer than that, or lower the first.",
             patient->name, down_after, service->park_ms, down_after + FAILOVER_MS);
    if (others + 1 != group->address_count)
        find(doctor,
             "%s knows of %lu Sentinels, configured are %zu: list all of them, or SENTINEL RESET there.",
             patient->name, others + 1, group->address_count);
    if (quorum > group->address_count)
        find(doctor, "%s: its quorum is %lu of %zu Sentinels: it will never fail over.", patient->name,
             quorum, group->address_count);
}

/* Replicas that the map lacks: they could become the master, and would not be named. */
static void check_replicas(struct doctor *doctor, const struct config_service *service,
                           struct patient *patient)
{
    const char *const words[] = {"SENTINEL", "REPLICAS", service->monitor, NULL};
    redisReply *reply = redis_ask(&patient->ask, words);
    struct addr addr;

    if (redis_ask_is_error(reply, "NOPERM") && service->replicas)
        find(doctor, "%s refuses SENTINEL REPLICAS: %s. 'replicas' needs it.", patient->name, reply->str);
    for (size_t i = 0; reply != NULL && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const char *ip = redis_ask_field(reply->element[i], "ip");
        const char *port = redis_ask_field(reply->element[i], "port");
        if (!service->allow_any_address && addr_from_parts(span_of_text(ip), span_of_text(port), &addr) &&
            find_server(service, &addr) == NULL)
            find(doctor,
                 "%s knows a replica %s:%s that no 'server' of [service %s] has: as a master it would not be "
                 "named.",
                 patient->name, ip, port, service->name);
    }
    freeReplyObject(reply);
}

static void check_witness(struct doctor *doctor, const struct config_service *service,
                          struct patient *patient)
{
    const char *const words[] = {"SENTINEL", "CKQUORUM", service->monitor, NULL};

    if (!service->witness)
        return;
    redisReply *reply = redis_ask(&patient->ask, words);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        find(doctor, "%s: SENTINEL CKQUORUM says: %s", patient->name, reply->str);
    freeReplyObject(reply);
}

static bool ask_vote(struct doctor *doctor, const struct config_service *service,
                     const struct config_sentinels *group, struct patient *patient, struct addr *ret_addr)
{
    redisReply *reply = NULL;
    bool names = doctor_ask_vote(&patient->ask, group->source, service, patient->addr, ret_addr, &reply);

    if (reply != NULL && reply->type == REDIS_REPLY_NIL)
        find(doctor, "%s knows no master '%s': is 'monitor' right?", patient->name, service->monitor);
    else if (!names)
        find(doctor, "%s names nobody: %s", patient->name,
             reply == NULL                      ? "no reply"
             : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                : "no master in its reply");
    freeReplyObject(reply);
    return names;
}

/* What only a Sentinel knows. */
static void check_sentinel(struct doctor *doctor, const struct config_service *service,
                           const struct config_sentinels *group, struct patient *patient,
                           const redisReply *master)
{
    check_settings(doctor, service, group, patient, master);
    check_replicas(doctor, service, patient);
    check_witness(doctor, service, patient);
}

static bool check_vote(struct doctor *doctor, const struct config_service *service,
                       const struct config_sentinels *group, struct patient *patient, struct addr *ret_addr)
{
    const char *const words[] = {"SENTINEL", "MASTER", service->monitor, NULL};
    char text[ADDR_TEXT_MAX];

    if (patient->ask.reader == NULL || !ask_vote(doctor, service, group, patient, ret_addr))
        return false;
    redisReply *master = group->is_nodes ? NULL : redis_ask(&patient->ask, words);
    const struct service_server *server = find_server(service, ret_addr);
    printf("    %-24s names %-24s %-12s %s\n", patient->name, addr_format(ret_addr, text),
           server != NULL ? server->name : "not in map",
           master != NULL ? redis_ask_field(master, "flags") : "");
    if (!group->is_nodes)
        check_sentinel(doctor, service, group, patient, master);
    freeReplyObject(master);
    return patient->myid[0] != '\0';
}

/* The address that at least 'quorum' Sentinels name; NULL where there is none. */
static const struct addr *count_votes(const struct config_service *service, const struct patient *patients,
                                      const struct addr *votes, const bool *counts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned agreeing = 0;
        for (size_t k = 0; k < count; k++) {
            bool is_twin = false;
            for (size_t j = 0; j < k; j++)
                is_twin = is_twin || strcmp(patients[j].myid, patients[k].myid) == 0;
            agreeing += counts[i] && counts[k] && !is_twin && addr_equals(&votes[i], &votes[k]);
        }
        if (agreeing >= service->quorum)
            return &votes[i];
    }
    return NULL;
}

/* ---- nodes ---- */

static void check_node(struct doctor *doctor, const struct config_service *service,
                       const struct service_server *server, const struct addr *master)
{
    static const char *const words[] = {"ROLE", NULL};
    const struct config_sentinels *group = &doctor->config->groups[service->group];
    struct redis_ask ask = redis_ask_open(&server->addr, config_node_credentials(service, group),
                                          config_node_tls(service, group));
    bool is_master = master != NULL && addr_equals(&server->addr, master);
    char text[ADDR_TEXT_MAX];

    redisReply *reply = redis_ask(&ask, words);
    const char *role = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                               reply->element[0]->type == REDIS_REPLY_STRING
                           ? reply->element[0]->str
                           : "";
    printf("    %-12s %-24s %s\n", server->name, addr_format(&server->addr, text), role);
    if (ask.error[0] != '\0')
        find(doctor, "%s: %s", server->name, ask.error);
    else if (reply != NULL && reply->type == REDIS_REPLY_ERROR && service->role_check != ROLE_CHECK_OFF)
        find(doctor, "%s refuses ROLE: %s. 'role-check' does nothing without it.", server->name, reply->str);
    else if (is_master && role[0] != '\0' && strcmp(role, "master") != 0)
        find(doctor, "%s is named by a majority and says that it is no master", server->name);
    else if (!is_master && master != NULL && strcmp(role, "master") == 0)
        find(doctor, "%s says that it is a master too: writes there are lost", server->name);
    freeReplyObject(reply);
    redis_ask_close(&ask);
}

static void check_service(struct doctor *doctor, const struct config_service *service,
                          struct patient *patients)
{
    const struct config_sentinels *group = &doctor->config->groups[service->group];
    struct addr votes[QUORUM_VOTERS_MAX];
    bool counts[QUORUM_VOTERS_MAX] = {false};
    char text[ADDR_TEXT_MAX];

    printf("\n[service %s]\n", service->name);
    for (size_t i = 0; i < group->address_count; i++)
        counts[i] = check_vote(doctor, service, group, &patients[i], &votes[i]);
    const struct addr *master = count_votes(service, patients, votes, counts, group->address_count);
    if (master == NULL)
        find(doctor, "no %u %s name the same master: nobody will be named", service->quorum,
             group->is_nodes ? "nodes" : "Sentinels");
    else if (find_server(service, master) == NULL && !service->allow_any_address)
        find(doctor, "a majority names %s, which no 'server' has: add it, by the address that Sentinel says",
             addr_format(master, text));
    for (size_t i = 0; i < service->server_count; i++)
        check_node(doctor, service, &service->servers[i], master);
}

static void check_group(struct doctor *doctor, size_t index)
{
    const struct config_sentinels *group = &doctor->config->groups[index];
    struct patient *patients = calloc(group->address_count, sizeof(*patients));

    if (patients == NULL) {
        find(doctor, "out of memory");
        return;
    }
    printf("[%s%s%s]\n", config_voters_word(group), group->name[0] != '\0' ? " " : "", group->name);
    for (size_t i = 0; i < group->address_count; i++) {
        patients[i].addr = &group->addresses[i];
        (void)addr_format(patients[i].addr, patients[i].name);
        open_voter(doctor, group, &patients[i]);
    }
    check_identities(doctor, group, patients);
    for (size_t i = 0; i < doctor->config->service_count; i++)
        if (doctor->config->services[i].group == index)
            check_service(doctor, &doctor->config->services[i], patients);
    for (size_t i = 0; i < group->address_count; i++)
        redis_ask_close(&patients[i].ask);
    free(patients);
    fputc('\n', stdout);
}

/* ---- HAProxy ---- */

static void check_api_server(struct doctor *doctor, const struct addr *api, const char *backend,
                             const struct service_server *server)
{
    char reply[RUNTIME_ASK_MAX];
    char command[512];

    (void)snprintf(command, sizeof(command), "get weight %s/%s\n", backend, server->name);
    if (!runtime_ask(api, command, reply) || strstr(reply, "No such") != NULL) {
        char text[ADDR_TEXT_MAX];
        find(doctor, "%s has no server %s/%s: %s", addr_format(api, text), backend, server->name, reply);
    }
}

static void note_version(struct doctor *doctor, const char *info)
{
    unsigned version = haproxy_info_version(info);

    if (version == 0)
        return;
    printf("  HAProxy %u.%u\n", version / 100, version % 100);
    doctor->apis++;
    doctor->any_hangs = doctor->any_hangs || haproxy_hangs(version);
}

static void check_api(struct doctor *doctor, const struct addr *api)
{
    const struct config *config = doctor->config;
    char reply[RUNTIME_ASK_MAX];
    char text[ADDR_TEXT_MAX];

    printf("[haproxy] %s\n", addr_format(api, text));
    if (!runtime_ask(api, "show info\n", reply)) {
        find(doctor, "cannot be asked: %s", reply);
        return;
    }
    note_version(doctor, reply);
    /* A server that cannot be there: whoever may not cut sessions is told so first. */
    if (runtime_ask(api, "shutdown sessions server -/-\n", reply) &&
        strstr(reply, "Permission denied") != NULL)
        find(doctor, "the socket has no 'level admin': sessions cannot be cut");
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        const char *backend = service->backend != NULL ? service->backend : config->haproxy.backend;
        for (size_t k = 0; k < service->server_count; k++)
            check_api_server(doctor, api, backend, &service->servers[k]);
    }
}

/* What a HAProxy that hangs must not be told; all of them, where none could be asked. */
static void check_haproxy_file(struct doctor *doctor, const char *path)
{
    FILE *stream = fopen(path, "re");
    struct haproxy_file file;
    char *line = NULL;
    size_t size = 0;

    printf("\n[haproxy] %s\n", path);
    if (stream == NULL) {
        find(doctor, "cannot be read: %s", strerror(errno));
        return;
    }
    haproxy_file_init(&file);
    for (unsigned number = 1; getline(&line, &size, stream) != -1; number++)
        if (haproxy_file_take(&file, line) && (doctor->apis == 0 || doctor->any_hangs))
            find(doctor,
                 "%s:%u: 'check' with 'on-marked-down shutdown-sessions' leaves clients hanging on HAProxy "
                 "2.8 to 3.1: "
                 "leave out 'on-marked-down shutdown-sessions', and give the server lines 'tcp-ut 3s'",
                 path, number);
    if (ferror(stream))
        find(doctor, "cannot be read: %s", strerror(errno));
    free(line);
    (void)fclose(stream);
}

/* What only the agent that runs can know. One that does not run, or has no HTTP, is no finding. */
static void check_agent(struct doctor *doctor)
{
    static const char alarm[] = "gone-clients-unseen";
    const struct config_listens *webs = &doctor->config->agent.webs;
    struct page body = {.text = NULL};

    if (webs->count > 0 && http_client_get(&webs->list[0].addr, "/status.txt", &body) == 200 &&
        body.text != NULL && strstr(body.text, alarm) != NULL)
        find(doctor, "the agent has the alarm %s: %s", alarm, alarm_meaning(ALARM_GONE_CLIENTS_UNSEEN));
    page_finish(&body);
}

int doctor_check(const struct config *config, const char *haproxy_file)
{
    struct doctor doctor = {.config = config};

    for (size_t i = 0; i < config->group_count; i++)
        check_group(&doctor, i);
    for (size_t i = 0; i < config->haproxy.runtime_api_count; i++)
        check_api(&doctor, &config->haproxy.runtime_apis[i]);
    check_agent(&doctor);
    if (haproxy_file != NULL)
        check_haproxy_file(&doctor, haproxy_file);
    printf("%s%u findings\n", config->haproxy.runtime_api_count > 0 || haproxy_file != NULL ? "\n" : "",
           doctor.findings);
    return doctor.findings == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
