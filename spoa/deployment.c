#include "spoa/deployment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What cannot be added is not there. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "spoa/core/base/log.h"
#include "spoa/core/decision/handover.h"
#include "spoa/core/observers/decision_log.h"
#include "spoa/io/effects/session_cutter.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/tls.h"

/* A service with all that hangs on it. */
struct deployment_service {
    struct service_settings settings;
    struct service *service;
    struct decision_log log;
    struct history_watch history;
    struct hook_watch hook;
    UT_hash_handle hh; /* by its name */
};

/* A group of Sentinels and the services that it monitors. */
struct deployment_group {
    struct service **services;
    struct role_probe_settings *probes; /* one per service */
    const struct tls **node_tls;        /* one per service */
    size_t service_count;
    struct voter_links *links;
    uint8_t identities[QUORUM_VOTERS_MAX]; /* of its voters */
};

/* TLS as some sections want it, all in the same way. */
struct deployment_tls {
    struct config_tls settings; /* borrowed, but for the struct itself */
    struct tls *tls;
};

struct deployment {
    struct deployment_options options;
    struct deployment_service *services;
    struct deployment_service *by_name; /* a hash: a reload looks for each of them */
    struct deployment_group *groups;
    const struct voter_group **voters; /* of the groups */
    struct deployment_tls *tls;
    size_t tls_count;
    struct session_cutter *cutter; /* NULL: no runtime API, or not active */
    struct agent_checks *checks;
};

/* Nodes tell no down-after-milliseconds: their `auto` is known from the start. */
static int64_t park_of(const struct config_service *service, const struct config_voters *group)
{
    return group->source == VOTER_SOURCE_SENTINEL ? service->park_ms
                                                  : park_limit_ms(service->park_ms, service->down_after_ms);
}

static bool create_service(struct deployment *deployment, size_t index, int64_t now_ms)
{
    const struct config_service *config = &deployment->options.config->services[index];
    const struct config_voters *group = &deployment->options.config->groups[config->group];
    struct deployment_service *service = &deployment->services[index];

    service->settings = (struct service_settings){
        .name = config->name,
        .monitor = config->monitor,
        .slot = config->slot.number,
        .servers = config->servers,
        .server_count = config->server_count,
        .allow_any_address = config->allow_any_address,
        .park_ms = park_of(config, group),
        .refuses_gone = config->gone_clients == GONE_CLIENTS_REFUSE,
        .quorum =
            {
                .identities = deployment->groups[config->group].identities,
                .voters = (unsigned)group->address_count,
                .threshold = config->quorum,
                .reply_timeout_ms = group->reply_timeout_ms,
                .vote_life_ms = group->vote_life_ms,
                .hold_ms = QUORUM_HOLD_MS,
                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS,
            },
        .policy =
            {
                .role_check = config->role_check,
                .keep_when = config->keep_when,
                /* Of nodes, a master bears witness to itself. */
                .witness = config->witness || config->when_alone == WHEN_ALONE_NAME,
                .keep_ms = config->keep_ms,
                .fence_ms = config->fence_ms,
                .down_after_ms = config->down_after_ms,
                .witness_age_ms = group->source == VOTER_SOURCE_SENTINEL ? config->down_after_ms : 0,
                .early_fence = config->early_fence,
                .early_fence_max_ms = config->early_fence_max_ms,
                .debounce_ms = config->debounce_ms,
                .confirm_ms = group->connect_timeout_ms + group->reply_timeout_ms,
            },
    };
    service->settings.replicas = (struct replicas_config){
        .is_enabled = config->replicas,
        .max_lag = config->max_lag,
        .fall_back = config->replica_fallback == REPLICA_FALLBACK_MASTER,
    };
    service->service = service_create(&service->settings, now_ms);
    if (service->service == NULL)
        return false;
    HASH_ADD_KEYPTR(hh, deployment->by_name, config->name, strlen(config->name), service);
    return HASH_COUNT(deployment->by_name) == index + 1;
}

/*
 * One for all that want the same: thousands of services would else read and keep the certificates each.
 * `ret_tls` is NULL for plain. False where it cannot be had, which is logged.
 */
static bool find_tls(struct deployment *deployment, const struct config_tls *settings,
                     const struct tls **ret_tls)
{
    char error[TLS_ERROR_MAX];

    *ret_tls = NULL;
    if (!settings->is_on)
        return true;
    for (size_t i = 0; i < deployment->tls_count; i++) {
        const struct config_tls *other = &deployment->tls[i].settings;
        *ret_tls = deployment->tls[i].tls;
        if (config_same_tls(other, settings))
            return true;
    }
    struct deployment_tls one = {.settings = *settings, .tls = tls_create(settings, error)};
    if (one.tls == NULL) {
        log_event(EVENT_TLS_FAILED, log_text("error", error));
        return false;
    }
    deployment->tls[deployment->tls_count++] = one;
    *ret_tls = one.tls;
    return true;
}

static struct role_probe_settings probe_settings(const struct config_service *service,
                                                 const struct config_voters *group)
{
    const struct config_credentials *credentials = config_node_credentials(service, group);

    return (struct role_probe_settings){
        .credentials = {.username = credentials->username, .password = credentials->password},
        .interval_ms = group->poll_ms,
        .reply_timeout_ms = group->reply_timeout_ms,
        .conversation = peer_times(group->connect_timeout_ms, group->poll_ms, group->reply_timeout_ms),
    };
}

/* The services of a group, in the order of the configuration. */
static bool collect_services(struct deployment *deployment, size_t index)
{
    const struct config *config = deployment->options.config;
    struct deployment_group *group = &deployment->groups[index];

    group->services = calloc(config->service_count, sizeof(*group->services));
    group->probes = calloc(config->service_count, sizeof(*group->probes));
    group->node_tls = calloc(config->service_count, sizeof(const struct tls *));
    if (group->services == NULL || group->probes == NULL || group->node_tls == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++) {
        if (config->services[i].group != index)
            continue;
        const struct config_tls *tls = config_node_tls(&config->services[i], &config->groups[index]);
        if (!find_tls(deployment, tls, &group->node_tls[group->service_count]))
            return false;
        group->probes[group->service_count] = probe_settings(&config->services[i], &config->groups[index]);
        group->services[group->service_count++] = deployment->services[i].service;
    }
    return true;
}

static uint64_t random_seed(void)
{
    uint64_t seed;

    /* Only keeps agents out of step: the clock will do where there is no randomness. */
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = (uint64_t)clock_us();
    return seed;
}

static bool create_group(struct deployment *deployment, size_t index)
{
    const struct config_voters *config = &deployment->options.config->groups[index];
    struct deployment_group *group = &deployment->groups[index];

    const struct redis_credentials credentials = {.username = config->credentials.username,
                                                  .password = config->credentials.password};
    const struct tls *tls = NULL;

    if (!collect_services(deployment, index) || !find_tls(deployment, &config->tls, &tls))
        return false;
    bool early = false;
    for (size_t i = 0; i < group->service_count; i++)
        early = early || service_settings(group->services[i])->policy.early_fence;
    struct voter_links_options options = {
        .name = config->name,
        .source = config->source,
        .addresses = config->addresses,
        .count = (unsigned)config->address_count,
        .tls = tls,
        .subscribe = config->subscribe,
        .sentinel =
            {
                .credentials = credentials,
                .poll_ms = config->poll_ms,
                .early = early,
                .query = peer_times(config->connect_timeout_ms, config->poll_ms, config->reply_timeout_ms),
                .hints = peer_times_of_listener(config->connect_timeout_ms, config->reply_timeout_ms),
            },
        .node =
            {
                .source = config->source,
                .credentials = credentials,
                .poll_ms = config->poll_ms,
                .conversation =
                    peer_times(config->connect_timeout_ms, config->poll_ms, config->reply_timeout_ms),
            },
        .services = group->services,
        .probes = group->probes,
        .node_tls = group->node_tls,
        .service_count = group->service_count,
        .identities = group->identities,
    };
    group->links = voter_links_create(deployment->options.loop, deployment->options.resolver, &options,
                                      deployment->options.metrics, random_seed());
    if (group->links == NULL)
        return false;
    deployment->voters[index] = voter_links_group(group->links);
    return true;
}

/* NULL where `deployment`, which may be NULL, has no such service. */
static struct deployment_service *find_service(const struct deployment *deployment, const char *name)
{
    struct deployment_service *service = NULL;

    if (deployment != NULL)
        HASH_FIND(hh, deployment->by_name, name, strlen(name), service);
    return service;
}

static bool create_parts(struct deployment *deployment)
{
    const struct config *config = deployment->options.config;
    int64_t now_ms = clock_ms();

    deployment->services = calloc(config->service_count, sizeof(*deployment->services));
    deployment->groups = calloc(config->group_count, sizeof(*deployment->groups));
    deployment->voters = calloc(config->group_count, sizeof(const struct voter_group *));
    deployment->tls = calloc(config->group_count + config->service_count, sizeof(*deployment->tls));
    deployment->checks = agent_checks_create();
    if (deployment->tls == NULL || deployment->services == NULL || deployment->groups == NULL ||
        deployment->voters == NULL || deployment->checks == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++)
        if (!create_service(deployment, i, now_ms))
            return false;
    for (size_t i = 0; i < config->group_count; i++)
        if (!create_group(deployment, i))
            return false;
    return true;
}

struct deployment *deployment_create(const struct deployment_options *options)
{
    struct deployment *deployment = calloc(1, sizeof(*deployment));

    if (deployment == NULL) {
        config_destroy(options->config);
        return NULL;
    }
    deployment->options = *options;
    if (!create_parts(deployment)) {
        deployment_destroy(deployment);
        return NULL;
    }
    return deployment;
}

void deployment_destroy(struct deployment *deployment)
{
    if (deployment == NULL)
        return;
    struct config *config = deployment->options.config;
    for (size_t i = 0; deployment->groups != NULL && i < config->group_count; i++) {
        voter_links_destroy(deployment->groups[i].links);
        free(deployment->groups[i].services);
        free(deployment->groups[i].probes);
        free(deployment->groups[i].node_tls);
    }
    for (size_t i = 0; i < deployment->tls_count; i++)
        tls_destroy(deployment->tls[i].tls);
    free(deployment->tls);
    session_cutter_destroy(deployment->cutter);
    agent_checks_destroy(deployment->checks);
    for (size_t i = 0; deployment->services != NULL && i < config->service_count; i++)
        service_destroy(deployment->services[i].service);
    HASH_CLEAR(hh, deployment->by_name);
    free(deployment->voters);
    free(deployment->groups);
    free(deployment->services);
    free(deployment);
    config_destroy(config);
}

/* ---- acting on changes ---- */

static bool activate_cutter(struct deployment *deployment, const struct deployment *former)
{
    const struct config *config = deployment->options.config;

    if (config->haproxy.runtime_api_count == 0)
        return true;
    deployment->cutter = session_cutter_create(deployment->options.loop, &config->haproxy,
                                               deployment->options.metrics, deployment->options.history);
    if (deployment->cutter == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_names *backends = config_service_backends(config, &config->services[i]);
        if (!session_cutter_watch(deployment->cutter, deployment->services[i].service, backends))
            return false;
    }
    return former == NULL || session_cutter_inherit(deployment->cutter, former->cutter);
}

static bool activate_hooks(struct deployment *deployment)
{
    const struct config *config = deployment->options.config;

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        const struct hook_program program = {
            .command = service->on_switch,
            .timeout_ms = service->on_switch_timeout_ms,
            .retry_ms = service->on_switch_retry_ms,
        };
        if (program.command != NULL && !hooks_watch(deployment->options.hooks, &deployment->services[i].hook,
                                                    deployment->services[i].service, &program))
            return false;
    }
    return true;
}

static bool activate_checks(struct deployment *deployment)
{
    const struct config *config = deployment->options.config;

    for (size_t i = 0; i < config->service_count; i++) {
        struct agent_check_settings settings = {
            .mode = config->services[i].check_mode,
            .delay_ms = config->services[i].check_delay_ms,
            .pulse_ms = config->services[i].check_pulse_ms,
        };
        if (!agent_checks_add(deployment->checks, deployment->services[i].service, &settings))
            return false;
    }
    return true;
}

/* The group of voters of one of the services. */
static const struct voter_group *voters_of(const struct deployment *deployment,
                                           const struct deployment_service *service)
{
    size_t index = (size_t)(service - deployment->services);

    return deployment->voters[deployment->options.config->services[index].group];
}

/* The links of its group of voters of this name; NULL if there is no such group. */
static const struct voter_links *find_links(const struct deployment *deployment, const char *name)
{
    for (size_t i = 0; deployment != NULL && i < deployment->options.config->group_count; i++)
        if (strcmp(voter_group_name(deployment->voters[i]), name) == 0)
            return deployment->groups[i].links;
    return NULL;
}

static void hand_over(struct deployment *deployment, const struct deployment *former)
{
    for (size_t i = 0; i < deployment->options.config->service_count; i++) {
        struct deployment_service *service = &deployment->services[i];
        struct deployment_service *same = find_service(former, service->settings.name);
        int voters[QUORUM_VOTERS_MAX];
        if (former != NULL && same != NULL)
            voter_group_match(voters_of(deployment, service), voters_of(former, same), voters);
        handover(service->service, same != NULL ? same->service : NULL, voters, clock_ms());
    }
    for (size_t i = 0; i < deployment->options.config->group_count; i++) {
        const struct voter_links *same = find_links(former, voter_group_name(deployment->voters[i]));
        if (same != NULL)
            voter_links_inherit(deployment->groups[i].links, same);
        voter_links_catch_up(deployment->groups[i].links, clock_ms());
    }
}

bool deployment_activate(struct deployment *deployment, const struct deployment *former)
{
    for (size_t i = 0; i < deployment->options.config->service_count; i++) {
        struct deployment_service *service = &deployment->services[i];
        const struct deployment_service *same = find_service(former, service->settings.name);
        decision_log_watch(&service->log, deployment->options.metrics, service->service,
                           same != NULL ? &same->log : NULL);
        history_watch_service(&service->history, deployment->options.history, service->service);
    }
    if (!activate_cutter(deployment, former) || !activate_checks(deployment) || !activate_hooks(deployment))
        return false;
    if (former != NULL)
        agent_checks_inherit(deployment->checks, former->checks);
    hand_over(deployment, former);
    session_cutter_begin(deployment->cutter, former != NULL ? former->cutter : NULL);
    return true;
}

static enum handover_lack service_lack(const struct deployment_service *service,
                                       const struct deployment *former, int64_t now_ms)
{
    const struct deployment_service *same = find_service(former, service->settings.name);

    return handover_lack(service->service, same != NULL ? same->service : NULL, now_ms);
}

enum handover_lack deployment_lack(const struct deployment *deployment, const struct deployment *former,
                                   size_t *io_lacking)
{
    size_t count = deployment->options.config->service_count;
    int64_t now_ms = clock_ms();

    for (size_t i = 0; i < count; i++, (*io_lacking)++) {
        *io_lacking %= count; /* it may be of another deployment */
        enum handover_lack lack = service_lack(&deployment->services[*io_lacking], former, now_ms);
        if (lack != HANDOVER_READY)
            return lack;
    }
    return HANDOVER_READY;
}

bool deployment_fill(const struct deployment *deployment, struct service_table *table)
{
    for (size_t i = 0; i < deployment->options.config->group_count; i++) {
        const struct deployment_group *group = &deployment->groups[i];
        for (size_t k = 0; k < group->service_count; k++)
            if (!service_table_add(table, group->services[k]))
                return false;
    }
    return true;
}

const struct agent_checks *deployment_checks(const struct deployment *deployment)
{
    return deployment->checks;
}

const struct runtime_health *deployment_runtime_apis(const struct deployment *deployment, size_t *ret_count)
{
    return session_cutter_health(deployment->cutter, ret_count);
}

const struct voter_group *const *deployment_groups(const struct deployment *deployment, size_t *ret_count)
{
    *ret_count = deployment->options.config->group_count;
    return deployment->voters;
}

const struct config *deployment_config(const struct deployment *deployment)
{
    return deployment->options.config;
}
