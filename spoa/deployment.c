#include "spoa/deployment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "spoa/core/base/log.h"
#include "spoa/deployment_parts.h"
#include "spoa/io/net/loop.h"

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

static const struct config_tls *tls_of(const struct config *config, const struct config_service *service)
{
    return config_node_tls(service, &config->groups[service->group]);
}

static bool is_same_tls(const struct config_tls *one, const struct config_tls *other)
{
    return one->is_on == other->is_on && (!one->is_on || config_same_tls(one, other));
}

/* The link to the node of the former service, if this one would have the same. */
static struct role_link *find_kept(const struct deployment *deployment, size_t index,
                                   const struct role_probe_settings *probe)
{
    const struct deployment *former = deployment->options.former;
    const struct config *config = deployment->options.config;
    const struct deployment_service *same = deployment_find_service(former, config->services[index].name);

    if (same == NULL)
        return NULL;
    const struct config *former_config = former->options.config;
    const struct config_service *former_service = &former_config->services[same - former->services];
    const struct deployment_group *group = &former->groups[former_service->group];
    if (!role_probe_is_alike(probe, &group->probes[same->place]) ||
        !is_same_tls(tls_of(config, &config->services[index]), tls_of(former_config, former_service)))
        return NULL;
    return voter_links_find_role(group->links, same->place);
}

/* The services of a group stand in the order of the configuration. */
static bool join_group(struct deployment *deployment, size_t index)
{
    const struct config *config = deployment->options.config;
    const struct config_service *service = &config->services[index];
    const struct config_voters *voters = &config->groups[service->group];
    struct deployment_group *group = &deployment->groups[service->group];
    size_t place = group->service_count;

    if (!find_tls(deployment, config_node_tls(service, voters), &group->node_tls[place]))
        return false;
    group->probes[place] = probe_settings(service, voters);
    if (group->kept != NULL)
        group->kept[place] = find_kept(deployment, index, &group->probes[place]);
    group->services[place] = deployment->services[index].service;
    group->early = group->early || service->early_fence;
    group->service_count++;
    deployment->services[index].place = place;
    return true;
}

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
    deployment->service_count++;
    HASH_ADD_KEYPTR(hh, deployment->by_name, config->name, strlen(config->name), service);
    return HASH_COUNT(deployment->by_name) == index + 1 && join_group(deployment, index);
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

    if (!find_tls(deployment, &config->tls, &tls))
        return false;
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
                .early = group->early,
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
        .kept = group->kept,
        .service_count = group->service_count,
        .identities = group->identities,
    };
    group->links = voter_links_create(deployment->options.loop, deployment->options.resolver, &options,
                                      deployment->options.metrics, random_seed());
    if (group->links == NULL)
        return false;
    deployment->voters[index] = voter_links_group(group->links);
    HASH_ADD_KEYPTR(hh, deployment->groups_by_name, config->name, strlen(config->name), group);
    return HASH_COUNT(deployment->groups_by_name) == index + 1;
}

struct deployment_service *deployment_find_service(const struct deployment *deployment, const char *name)
{
    struct deployment_service *service = NULL;

    if (deployment != NULL)
        HASH_FIND(hh, deployment->by_name, name, strlen(name), service);
    return service;
}

/* Room for the services of each group. */
static bool create_lists(struct deployment *deployment)
{
    const struct config *config = deployment->options.config;
    size_t *counts = calloc(config->group_count, sizeof(*counts));
    bool is_good = counts != NULL;

    for (size_t i = 0; is_good && i < config->service_count; i++)
        counts[config->services[i].group]++;
    for (size_t i = 0; is_good && i < config->group_count; i++) {
        struct deployment_group *group = &deployment->groups[i];
        group->services = calloc(counts[i] + 1, sizeof(*group->services));
        group->probes = calloc(counts[i] + 1, sizeof(*group->probes));
        group->node_tls = calloc(counts[i] + 1, sizeof(const struct tls *));
        is_good = group->services != NULL && group->probes != NULL && group->node_tls != NULL;
        if (deployment->options.former == NULL)
            continue;
        group->kept = calloc(counts[i] + 1, sizeof(struct role_link *));
        is_good = is_good && group->kept != NULL;
    }
    free(counts);
    return is_good;
}

static bool create_parts(struct deployment *deployment)
{
    const struct config *config = deployment->options.config;

    deployment->services = calloc(config->service_count, sizeof(*deployment->services));
    deployment->groups = calloc(config->group_count, sizeof(*deployment->groups));
    deployment->voters = calloc(config->group_count, sizeof(const struct voter_group *));
    deployment->tls = calloc(config->group_count + config->service_count, sizeof(*deployment->tls));
    if (config->agent.checks.count > 0)
        deployment->checks = agent_checks_create();
    return deployment->tls != NULL && deployment->services != NULL && deployment->groups != NULL &&
           deployment->voters != NULL && (deployment->checks != NULL || config->agent.checks.count == 0) &&
           create_lists(deployment);
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

static enum progress build_services(struct deployment *deployment, size_t *io_budget)
{
    size_t count = deployment->options.config->service_count;
    int64_t now_ms = clock_ms();

    while (deployment->service_count < count) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        if (!create_service(deployment, deployment->service_count, now_ms))
            return PROGRESS_FAILED;
    }
    return PROGRESS_DONE;
}

static enum progress build_group(struct deployment *deployment, size_t index, size_t *io_budget)
{
    struct deployment_group *group = &deployment->groups[index];

    if (group->links == NULL) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        if (!create_group(deployment, index))
            return PROGRESS_FAILED;
    }
    return voter_links_build(group->links, io_budget);
}

enum progress deployment_build(struct deployment *deployment, size_t *io_budget)
{
    enum progress progress = build_services(deployment, io_budget);

    while (progress == PROGRESS_DONE && deployment->group_count < deployment->options.config->group_count) {
        progress = build_group(deployment, deployment->group_count, io_budget);
        if (progress == PROGRESS_DONE)
            deployment->group_count++;
    }
    return progress;
}

/* ---- the end ---- */

void deployment_give_up(struct deployment *deployment)
{
    for (size_t i = 0; i < deployment->options.config->group_count; i++)
        voter_links_give_up(deployment->groups[i].links);
}

bool deployment_unlink(struct deployment *deployment, size_t *io_budget)
{
    size_t count =
        deployment != NULL && deployment->groups != NULL ? deployment->options.config->group_count : 0;

    for (; deployment != NULL && deployment->unlinked < count; deployment->unlinked++) {
        struct deployment_group *group = &deployment->groups[deployment->unlinked];
        if (!progress_spend(io_budget) || voter_links_shed(group->links, io_budget))
            return true;
        voter_links_destroy(group->links);
        group->links = NULL;
        free(group->services);
        free(group->probes);
        free(group->node_tls);
        free(group->kept);
    }
    return false;
}

bool deployment_shed(struct deployment *deployment, size_t *io_budget)
{
    while (deployment != NULL && deployment->service_count > 0) {
        if (!progress_spend(io_budget))
            return true;
        service_destroy(deployment->services[--deployment->service_count].service);
    }
    return deployment != NULL && config_shed(deployment->options.config, io_budget);
}

void deployment_destroy(struct deployment *deployment)
{
    size_t budget = PROGRESS_UNLIMITED;

    if (deployment == NULL)
        return;
    (void)deployment_unlink(deployment, &budget);
    for (size_t i = 0; i < deployment->tls_count; i++)
        tls_destroy(deployment->tls[i].tls);
    free(deployment->tls);
    session_cutter_destroy(deployment->cutter);
    agent_checks_destroy(deployment->checks);
    HASH_CLEAR(hh, deployment->groups_by_name);
    HASH_CLEAR(hh, deployment->by_name);
    (void)deployment_shed(deployment, &budget);
    free(deployment->voters);
    free(deployment->groups);
    free(deployment->services);
    config_destroy(deployment->options.config);
    free(deployment);
}

/* ---- what it has ---- */

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
