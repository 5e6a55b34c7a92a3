#include "spoa/core/config/config_idle.h"

#include <string.h>

#include "spoa/core/config/config.h"
#include "spoa/core/config/config_keywords.h"
#include "spoa/core/config/config_voters.h"
#include "spoa/core/decision/server_map.h"

#define CUTTER "a 'runtime-api' in [haproxy] or a 'check' in [agent]"
#define CHECKS "a 'check' in [agent]"
#define REPLICAS "'replicas = yes'"

/* Whether a number is another than the keyword's default. */
static bool is_changed(enum config_section_kind section, const char *key, unsigned number)
{
    const struct config_keyword *keyword = config_keyword_find(section, key);
    unsigned preset = 0;

    return keyword->type->read(&preset, keyword->preset) == CONFIG_READ_OK && number != preset;
}

static bool has_weights(const struct config_service *service)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (service->servers[i].weight != 1)
            return true;
    return false;
}

static bool has_credentials(const struct config_service *service)
{
    return service->credentials.password != NULL || service->credentials.password_file != NULL;
}

static void warn_of_service(struct config *config, const struct config_service *service,
                            const struct config_place *place)
{
    const struct config_agent *agent = &config->agent;
    bool has_checks = agent->checks.count > 0;
    bool can_cut = has_checks || config->haproxy.runtime_api_count > 0;
    bool is_probed = service->role_check != ROLE_CHECK_OFF;
    bool is_monitored = service->nodes == NULL;
    const struct {
        const char *key;
        bool is_given;
        bool has_effect;
        const char *effect;
        const char *needs;
    } keys[] = {
        {"fence", service->fence_ms > 0, can_cut, "cuts no sessions", CUTTER},
        {"down-after", service->down_after_ms > 0, can_cut, "cuts no sessions", CUTTER},
        {"early-fence", service->early_fence, can_cut, "cuts no sessions", CUTTER},
        {"early-fence-max", is_changed(CONFIG_SERVICE, "early-fence-max", service->early_fence_max_ms),
         service->early_fence, "does nothing", "'early-fence = yes'"},
        {"check-mode", service->check_mode != CHECK_MODE_PULSE, has_checks, "does nothing", CHECKS},
        {"check-pulse", is_changed(CONFIG_SERVICE, "check-pulse", service->check_pulse_ms), has_checks,
         "does nothing", CHECKS},
        {"check-delay", service->check_delay_ms > 0, has_checks, "does nothing", CHECKS},
        {"keep-when", service->keep_when != KEEP_WHEN_UNREACHABLE, service->keep_ms > 0, "does nothing",
         "'keep'"},
        {"max-lag", service->max_lag.unit != LAG_UNLIMITED, service->replicas, "does nothing", REPLICAS},
        {"replica-fallback", service->replica_fallback != REPLICA_FALLBACK_NONE, service->replicas,
         "does nothing", REPLICAS},
        {"weight=", has_weights(service), service->replicas, "does nothing", REPLICAS},
        {"gone-clients", service->gone_clients != GONE_CLIENTS_REFUSE, service->park_ms != 0, "does nothing",
         "'park'"},
        {"on-switch-timeout", is_changed(CONFIG_SERVICE, "on-switch-timeout", service->on_switch_timeout_ms),
         service->on_switch != NULL, "does nothing", "'on-switch'"},
        {"on-switch-retry", is_changed(CONFIG_SERVICE, "on-switch-retry", service->on_switch_retry_ms),
         service->on_switch != NULL, "does nothing", "'on-switch'"},
        {"password", has_credentials(service), is_probed, "does nothing", "'role-check'"},
        {"tls", service->tls.is_on, is_probed, "does nothing", "'role-check'"},
        {"monitor", service->monitor != NULL && strcmp(service->monitor, service->name) != 0, is_monitored,
         "does nothing", "Sentinels"},
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (keys[i].is_given && !keys[i].has_effect)
            config_error(&config->warnings, place, "'%s' %s without %s", keys[i].key, keys[i].effect,
                         keys[i].needs);
}

static void warn_of_group(struct config *config, size_t index, const struct config_place *place)
{
    const struct config_voters *group = &config->groups[index];

    if (!group->is_referred_to)
        config_error(&config->warnings, place, "no service refers to [%s%s%s]", config_voters_word(group),
                     group->name[0] != '\0' ? " " : "", group->name);
    if (group->is_nodes && !group->subscribe)
        config_error(&config->warnings, place, "'subscribe' does nothing without Sentinels");
}

/* Whether it has a TCP address. With `without_own` only those count that have no `allow=` of their own. */
static bool has_tcp(const struct config_listens *listens, bool without_own)
{
    for (size_t i = 0; i < listens->count; i++)
        if (listens->list[i].addr.kind != ADDR_UNIX && !(without_own && listens->list[i].allowed.count > 0))
            return true;
    return false;
}

static bool agent_has_tcp(const struct config_agent *agent, bool without_own)
{
    return has_tcp(&agent->listens, without_own) || has_tcp(&agent->checks, without_own) ||
           has_tcp(&agent->web, without_own);
}

static void warn_of_agent(struct config *config, const struct config_place *place)
{
    const struct config_agent *agent = &config->agent;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < agent->checks.count; i++)
        if (agent->checks.list[i].addr.kind == ADDR_UNIX)
            config_error(&config->warnings, place,
                         "'check = %s': HAProxy's agent-checks connect by TCP only, write IP:PORT",
                         addr_format(&agent->checks.list[i].addr, text));
    if (agent->allowed.count > 0 && !agent_has_tcp(agent, false))
        config_error(&config->warnings, place,
                     "'allow' does nothing without a TCP address: who may use a UNIX socket is said by its "
                     "mode=, owner= and group=");
    else if (agent->allowed.count > 0 && !agent_has_tcp(agent, true))
        config_error(&config->warnings, place, "'allow' does nothing: each TCP address has its own 'allow='");
}

static bool all_have_backends(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].backends.count == 0)
            return false;
    return true;
}

static bool any_parks(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].park_ms != 0)
            return true;
    return false;
}

void config_warn_of_idle_service(struct config *config, size_t service, const char *file)
{
    struct config_place place = config_at_line(file, config->services[service].line);

    warn_of_service(config, &config->services[service], &place);
}

void config_warn_of_idle(struct config *config, const char *file)
{
    struct config_place whole = config_at_line(file, 0);

    for (size_t i = 0; i < config->group_count; i++) {
        struct config_place place = config_at_line(file, config->groups[i].line);
        warn_of_group(config, i, &place);
    }
    warn_of_agent(config, &whole);
    if (is_changed(CONFIG_AGENT, "park-max", config->agent.park_max) && !any_parks(config))
        config_error(&config->warnings, &whole, "'park-max' does nothing without a service that has 'park'");
    if (config->haproxy.backends.count > 0 && all_have_backends(config))
        config_error(&config->warnings, &whole,
                     "'backend' in [haproxy] does nothing: each service has its own");
}
