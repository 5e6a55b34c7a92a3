/* The checks that need the whole configuration. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/network.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/config_idle.h"
#include "spoa/core/config/config_keywords.h"
#include "spoa/core/config/config_voters.h"
#include "spoa/core/decision/replicas.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/observers/hook_request.h"

#define DEFAULT_LISTEN "127.0.0.1:9012"

/* sun_path of unix(7), and its end */
#define SYSLOG_PATH_MAX 107

bool config_same_networks(const struct config_networks *one, const struct config_networks *other)
{
    for (size_t i = 0; i < one->count && i < other->count; i++)
        if (one->list[i].bits != other->list[i].bits ||
            !addr_equals(&one->list[i].first, &other->list[i].first))
            return false;
    return one->count == other->count;
}

static bool is_same(const struct config_listen *one, const struct config_listen *other)
{
    return one->mode == other->mode && strcmp(one->owner, other->owner) == 0 &&
           strcmp(one->group, other->group) == 0 && config_same_networks(&one->allowed, &other->allowed) &&
           config_same_tls(&one->tls, &other->tls) &&
           config_same_text(one->token.password_file, other->token.password_file);
}

/* It is opened once, and nobody could tell which of them counts. */
static void check_twice(const struct config_listens *listens, const char *key,
                        const struct config_place *place, struct config_errors *errors)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < listens->count; i++)
        for (size_t k = 0; k < i; k++)
            if (addr_equals(&listens->list[i].addr, &listens->list[k].addr) &&
                !is_same(&listens->list[i], &listens->list[k]))
                config_error(errors, place, "'%s = %s' is listed twice, each with other options", key,
                             addr_format(&listens->list[i].addr, text));
}

/* The options that name files. */
static void check_files(const struct config_listen *listen, const char *key, const char *file,
                        struct config_errors *errors)
{
    const struct config_place place = config_at_line(file, listen->tls.line);
    const struct config_tls *tls = &listen->tls;

    if (strcmp(key, "listen") != 0 && (tls->is_on || tls->ca_file != NULL))
        config_error(errors, &place, "'tls-cert=', 'tls-key=' and 'tls-client-ca=' are for 'listen' only");
    else if ((tls->cert_file != NULL) != (tls->key_file != NULL))
        config_error(errors, &place, "'tls-cert=' and 'tls-key=' need each other");
    else if (tls->ca_file != NULL && !tls->is_on)
        config_error(errors, &place, "'tls-client-ca=' needs 'tls-cert=' and 'tls-key='");
    if (strcmp(key, "http") != 0 && listen->token.password_file != NULL)
        config_error(errors, &place, "'token-file=' is for 'http' only");
}

static void check_listens(const struct config_listens *listens, const char *key, const char *file,
                          struct config_errors *errors)
{
    struct config_place whole = config_at_line(file, 0);

    check_twice(listens, key, &whole, errors);
    for (size_t i = 0; i < listens->count; i++)
        check_files(&listens->list[i], key, file, errors);
}

static void check_agent(struct config *config, const char *file, struct config_errors *errors)
{
    struct config_place whole = config_at_line(file, 0);

    if (config->agent.syslog != NULL && strlen(config->agent.syslog) > SYSLOG_PATH_MAX)
        config_error(errors, &whole, "'syslog' is longer than %d bytes, as long as a path of a socket can be",
                     SYSLOG_PATH_MAX);
    if (config->agent.group != NULL && config->agent.user == NULL)
        config_error(errors, &whole, "'group' needs 'user'");
    if (config->agent.takeovers.count > 0 && config->agent.takeovers.list[0].addr.kind != ADDR_UNIX)
        config_error(errors, &whole, "'takeover' takes unix:/path only");
    check_listens(&config->agent.listens, "listen", file, errors);
    check_listens(&config->agent.checks, "check", file, errors);
    check_listens(&config->agent.web, "http", file, errors);
    if (config->agent.listens.count == 0 &&
        config_type_listens.read(&config->agent.listens, DEFAULT_LISTEN) != CONFIG_READ_OK)
        errors->out_of_memory = true;
}

/* Whether HAProxy accepts this as a server's name. */
static bool is_server_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("-_.:", name[i]) == NULL)
            return false;
    return len <= SERVER_NAME_MAX;
}

/* How many addresses a server has, and each of them: the main address is number 0. */
static size_t count_addresses(const struct service_server *server)
{
    return server->alias_count + 1;
}

static const struct addr *address_of(const struct service_server *server, size_t number)
{
    return number == 0 ? &server->addr : &server->aliases[number - 1];
}

/* Reports each address that the server has twice. */
static void check_own_addresses(const struct config_service *service, const struct service_server *server,
                                const struct config_place *place, struct config_errors *errors)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < count_addresses(server); i++)
        for (size_t k = 0; k < i; k++)
            if (addr_equals(address_of(server, i), address_of(server, k)))
                config_error(errors, place, "server '%s' of [service %s] has the address %s twice",
                             server->name, service->name, addr_format(address_of(server, i), text));
}

/* Reports each address that two servers have, because nobody could tell which of them is meant. */
static void check_shared_addresses(const struct config_service *service, const struct service_server *server,
                                   const struct service_server *other, const struct config_place *place,
                                   struct config_errors *errors)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < count_addresses(server); i++)
        if (service_server_has(other, address_of(server, i)))
            config_error(errors, place, "servers '%s' and '%s' of [service %s] have one address, %s",
                         other->name, server->name, service->name, addr_format(address_of(server, i), text));
}

static void check_servers(const struct config_service *service, const struct config_place *place,
                          struct config_errors *errors)
{
    if (service->server_count == 0 && !service->allow_any_address)
        config_error(errors, place, "[service %s] has no 'server' (and no 'allow-any-address = yes')",
                     service->name);
    for (size_t i = 0; i < service->server_count; i++) {
        const struct service_server *server = &service->servers[i];
        if (!is_server_name(server->name))
            config_error(errors, place,
                         "'%s' cannot be a server's name in HAProxy: at most %d of A-Z a-z 0-9 - _ . :",
                         server->name, SERVER_NAME_MAX);
        check_own_addresses(service, server, place, errors);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(server->name, service->servers[k].name) == 0)
                config_error(errors, place, "two servers of [service %s] are called '%s'", service->name,
                             server->name);
            check_shared_addresses(service, server, &service->servers[k], place, errors);
        }
    }
}

static void check_policy(struct config *config, const struct config_service *service,
                         const struct config_place *place, struct config_errors *errors)
{
    config_check_credentials(&service->credentials, place, errors);
    config_check_tls(&service->tls, place, errors);
    if (service->early_fence && park_limit_ms(service->park_ms, 0) < service->early_fence_max_ms)
        config_error(&config->warnings, place,
                     "'park' (%" PRId64
                     " ms) is shorter than 'early-fence-max' (%u ms): clients are refused meanwhile",
                     park_limit_ms(service->park_ms, 0), service->early_fence_max_ms);
    if (service->keep_ms > 0 && service->keep_when == KEEP_WHEN_UNREACHABLE)
        config_error(
            &config->warnings, place,
            "'keep' names the last master without a majority for %u ms: an agent that is cut off with "
            "the old master sends writes there which will be lost",
            service->keep_ms);
}

static void check_runtime_apis(const struct config_haproxy *haproxy, const char *file,
                               struct config_errors *errors)
{
    struct config_place whole = config_at_line(file, 0);
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < haproxy->runtime_api_count; i++)
        for (size_t k = 0; k < i; k++)
            if (haproxy->runtime_apis[i].is_master == haproxy->runtime_apis[k].is_master &&
                addr_equals(&haproxy->runtime_apis[i].addr, &haproxy->runtime_apis[k].addr))
                config_error(errors, &whole, "'runtime-api' has %s twice",
                             addr_format(&haproxy->runtime_apis[i].addr, text));
}

/* The name goes into HAProxy's commands. A text that is no name could be another command. */
static void check_backend(const struct config *config, const struct config_service *service,
                          const struct config_place *place, struct config_errors *errors)
{
    const struct config_names *backends = config_service_backends(config, service);

    if (backends->count == 0 && config->haproxy.runtime_api_count > 0)
        config_error(errors, place,
                     "[service %s] needs a 'backend', here or in [haproxy]: there is a 'runtime-api'",
                     service->name);
    for (size_t i = 0; i < backends->count; i++)
        if (!is_server_name(backends->list[i]))
            config_error(errors, place,
                         "'%s' cannot be a backend's name in HAProxy: at most %d of A-Z a-z 0-9 - _ . :",
                         backends->list[i], SERVER_NAME_MAX);
}

static void check_replicas(const struct config *config, const struct config_service *service,
                           const struct config_place *place, struct config_errors *errors)
{
    unsigned poll_ms = config->group_count > 0 ? config->groups[service->group].poll_ms : 0;

    if (service->server_count > REPLICAS_MAX)
        config_error(errors, place, "[service %s] has more than %d servers", service->name, REPLICAS_MAX);
    if (service->max_lag.unit != LAG_UNLIMITED && service->role_check == ROLE_CHECK_OFF)
        config_error(errors, place, "'max-lag' needs 'role-check': it is the master that knows");
    if (service->max_lag.unit == LAG_MS && service->max_lag.amount < 3 * (int64_t)poll_ms)
        config_error(errors, place,
                     "'max-lag' must be three times 'poll' (%u ms) or more: that is how well it can be known",
                     poll_ms);
    if (service->replicas && service->server_count == 0)
        config_error(errors, place,
                     "'replicas' needs a 'server' for each: addresses outside the map are not named");
}

static void check_hook(struct config *config, const struct config_service *service,
                       const struct config_place *place, struct config_errors *errors)
{
    if (service->on_switch != NULL && !hook_command_is_good(service->on_switch))
        config_error(errors, place,
                     "'on-switch' needs the whole path of a program, and not too many or too long arguments");
    if (service->on_switch != NULL && strpbrk(service->on_switch, "\"'") != NULL)
        config_error(
            &config->warnings, place,
            "'on-switch' is run without a shell: quotes do not hold words together, they are part of them");
}

/* Checks the keys that only one kind of voters uses. */
static void check_source(struct config *config, const struct config_service *service,
                         const struct config_place *place, struct config_errors *errors)
{
    enum voter_source source =
        config->group_count > 0 ? config->groups[service->group].source : VOTER_SOURCE_SENTINEL;

    if (service->slot.is_given != (source == VOTER_SOURCE_CLUSTER))
        config_error(errors, place, "'slot' and 'source = cluster' need each other");
    if (service->when_alone != WHEN_ALONE_REFUSE && source != VOTER_SOURCE_REPLICATION)
        config_error(errors, place, "'when-alone' needs 'source = replication'");
    if (source == VOTER_SOURCE_SENTINEL)
        return;
    if (service->witness || service->early_fence || service->replicas)
        config_error(errors, place, "'witness', 'early-fence' and 'replicas' need Sentinels");
    if (service->down_after_ms > 0 && source == VOTER_SOURCE_CLUSTER)
        config_error(errors, place, "'down-after' needs Sentinels or 'source = replication'");
    if (service->down_after_ms > 0 && service->quorum == config->groups[service->group].address_count)
        config_error(&config->warnings, place,
                     "'down-after' has no effect: it takes all nodes, and the master hears itself");
    if (service->when_alone == WHEN_ALONE_NAME)
        config_error(
            &config->warnings, place,
            "'when-alone = name' believes a master that no majority names: where the nodes are cut off from "
            "each other, agents on both sides may name different ones");
}

static bool is_mapped(const struct config_service *service, const struct addr *addr)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (service_server_has(&service->servers[i], addr))
            return true;
    return false;
}

/* Warns of nodes that vote and that no server has: promoted, they would not be named. */
static void warn_of_unmapped(struct config *config, const struct config_service *service,
                             const struct config_place *place)
{
    const struct config_voters *group = config->group_count > 0 ? &config->groups[service->group] : NULL;
    char text[ADDR_TEXT_MAX];

    if (group == NULL || group->source != VOTER_SOURCE_REPLICATION || service->allow_any_address)
        return;
    for (size_t i = 0; i < group->address_count; i++)
        if (!is_mapped(service, &group->addresses[i]))
            config_error(&config->warnings, place,
                         "node %s votes on [service %s], and no 'server' there has its address: if it is "
                         "promoted, nobody is named",
                         addr_format(&group->addresses[i], text), service->name);
}

static void check_service(struct config *config, size_t index, const char *file, struct config_errors *errors)
{
    struct config_service *service = &config->services[index];
    struct config_place place = config_at_line(file, service->line);

    if (service->monitor == NULL)
        service->monitor = strdup(service->name);
    if (service->monitor == NULL)
        errors->out_of_memory = true;
    else if (strlen(service->monitor) > CONFIG_NAME_MAX)
        config_error(errors, &place, "'monitor' is longer than %d characters", CONFIG_NAME_MAX);
    if (name_index_add(&config->service_names, config, index) != index)
        config_error(errors, &place, "a section [service %s] is there already", service->name);
    check_servers(service, &place, errors);
    check_policy(config, service, &place, errors);
    check_backend(config, service, &place, errors);
    config_join_group(config, service, &place, errors);
    check_replicas(config, service, &place, errors);
    check_source(config, service, &place, errors);
    warn_of_unmapped(config, service, &place);
    check_hook(config, service, &place, errors);
}

static const char *service_name(const void *list, size_t place)
{
    const struct config *config = list;

    return config->services[place].name;
}

/* All but the services. False if memory is short. */
static bool check_rest(struct config *config, const char *file, struct config_errors *errors)
{
    struct config_place whole = config_at_line(file, 0);

    check_agent(config, file, errors);
    if (!config_index_groups(config) || !config_gather_voters(config) ||
        !name_index_init(&config->service_names, service_name, config->service_count))
        return false;
    config_check_groups(config, file, errors);
    check_runtime_apis(&config->haproxy, file, errors);
    if (config->service_count == 0)
        config_error(errors, &whole, "no section [service NAME]: there is nothing to answer");
    return true;
}

/* Does the unit of this number. */
static void check_unit(struct config *config, size_t unit, const char *file, struct config_errors *errors)
{
    size_t count = config->service_count;

    if (unit == 0)
        errors->out_of_memory = !check_rest(config, file, errors) || errors->out_of_memory;
    else if (unit <= count)
        check_service(config, unit - 1, file, errors);
    else if (unit <= 2 * count)
        config_warn_of_idle_service(config, unit - 1 - count, file);
    else
        config_warn_of_idle(config, file);
}

enum progress config_finish_some(struct config *config, const char *file, struct config_errors *errors,
                                 size_t *io_budget)
{
    /* Where memory was short the checks would report keys that the file has. */
    for (; !errors->out_of_memory && config->checked < 2 * config->service_count + 2; config->checked++) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        check_unit(config, config->checked, file, errors);
    }
    name_index_finish(&config->group_names);
    name_index_finish(&config->service_names);
    return PROGRESS_DONE;
}

void config_finish(struct config *config, const char *file, struct config_errors *errors)
{
    size_t budget = PROGRESS_UNLIMITED;

    (void)config_finish_some(config, file, errors, &budget);
}
