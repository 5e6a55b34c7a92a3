/* What can only be said of the whole configuration. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/answer.h"
#include "spoa/core/config.h"
#include "spoa/core/config_keywords.h"
#include "spoa/core/quorum.h"

#define DEFAULT_LISTEN "127.0.0.1:9012"

static struct config_place at_line(const char *file, unsigned line)
{
    return (struct config_place){.file = file, .line = line};
}

static void check_agent(struct config *config, const char *file, struct config_errors *errors)
{
    struct config_place whole = at_line(file, 0);

    if (config->agent.group != NULL && config->agent.user == NULL)
        config_error(errors, &whole, "'group' needs 'user'");
    if (config->agent.listens.count == 0 &&
        config_type_listens.read(&config->agent.listens, DEFAULT_LISTEN) != CONFIG_READ_OK)
        errors->out_of_memory = true;
}

static void check_addresses(const struct config_sentinels *group, const struct config_place *place,
                            struct config_errors *errors)
{
    char text[ADDR_TEXT_MAX];

    if (group->address_count == 0)
        config_error(errors, place, "[sentinels%s%s] has no 'address'", group->name[0] != '\0' ? " " : "",
                     group->name);
    if (group->address_count > QUORUM_VOTERS_MAX)
        config_error(errors, place, "more than %d Sentinels in one group", QUORUM_VOTERS_MAX);
    for (size_t i = 0; i < group->address_count; i++)
        for (size_t k = 0; k < i; k++)
            if (addr_equals(&group->addresses[i], &group->addresses[k]))
                config_error(errors, place, "Sentinel %s is listed twice in one group: it has one vote",
                             addr_format(&group->addresses[i], text));
}

static void check_credentials(const struct config_credentials *credentials, const struct config_place *place,
                              struct config_errors *errors)
{
    bool has_password = credentials->password != NULL || credentials->password_file != NULL;

    if (credentials->password != NULL && credentials->password_file != NULL)
        config_error(errors, place, "'password' and 'password-file' exclude each other");
    if (credentials->username != NULL && !has_password)
        config_error(errors, place, "'username' needs a 'password' or a 'password-file'");
}

static void check_tls(const struct config_tls *tls, const struct config_place *place,
                      struct config_errors *errors)
{
    if (!tls->is_on &&
        (tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL || tls->server_name != NULL))
        config_error(errors, place, "'tls-ca' and its like do nothing without 'tls = yes'");
    if ((tls->cert_file != NULL) != (tls->key_file != NULL))
        config_error(errors, place, "'tls-cert' and 'tls-key' need each other");
}

static void check_group(const struct config_sentinels *group, const struct config_place *place,
                        struct config_errors *errors)
{
    check_addresses(group, place, errors);
    check_credentials(&group->credentials, place, errors);
    check_tls(&group->tls, place, errors);
    for (size_t i = 0; group->tls.is_on && i < group->address_count; i++)
        if (group->addresses[i].kind == ADDR_UNIX)
            config_error(errors, place, "there is no TLS to a UNIX socket");
    if (group->poll_ms == 0 || group->reply_timeout_ms == 0 || group->connect_timeout_ms == 0)
        config_error(errors, place, "'poll', 'reply-timeout' and 'connect-timeout' must be over 0");
    if (group->vote_life_ms <= group->poll_ms + group->reply_timeout_ms)
        config_error(
            errors, place,
            "'vote-life' (%u ms) must be longer than 'poll' + 'reply-timeout' (%u ms): votes would expire "
            "before they are renewed",
            group->vote_life_ms, group->poll_ms + group->reply_timeout_ms);
}

/* The longest vote-life that needs no second thought. */
#define VOTE_LIFE_WARN_MS 5000

static void warn_of_life(const struct config_sentinels *group, const struct config_place *place,
                         struct config_errors *warnings)
{
    if (group->vote_life_ms > VOTE_LIFE_WARN_MS)
        config_error(
            warnings, place,
            "'vote-life' is %u ms: an agent that is cut off names the old master for so long; it must be "
            "shorter than the Sentinels' down-after-milliseconds",
            group->vote_life_ms);
}

static void warn_of_count(const struct config_sentinels *group, const struct config_place *place,
                          struct config_errors *warnings)
{
    size_t n = group->address_count;

    if (n == 1)
        config_error(warnings, place, "one Sentinel only: nothing is named while it is down");
    else if (n > 0 && n % 2 == 0)
        config_error(warnings, place, "an even number of Sentinels (%zu) bears no more failures than %zu", n,
                     n - 1);
}

static void check_groups(struct config *config, const char *file, struct config_errors *errors)
{
    struct config_place whole = at_line(file, 0);

    if (config->group_count == 0)
        config_error(errors, &whole, "no section [sentinels]: nobody can name a master");
    for (size_t i = 0; i < config->group_count; i++) {
        struct config_place place = at_line(file, config->groups[i].line);
        check_group(&config->groups[i], &place, errors);
        warn_of_count(&config->groups[i], &place, &config->warnings);
        warn_of_life(&config->groups[i], &place, &config->warnings);
        for (size_t k = 0; k < i; k++)
            if (strcmp(config->groups[i].name, config->groups[k].name) == 0)
                config_error(errors, &place, "a section [sentinels%s%s] is there already",
                             config->groups[i].name[0] != '\0' ? " " : "", config->groups[i].name);
    }
}

/* What HAProxy takes for a server's name. */
static bool is_server_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("-_.:", name[i]) == NULL)
            return false;
    return len <= ANSWER_SERVER_MAX;
}

static void check_servers(const struct config_service *service, const struct config_place *place,
                          struct config_errors *errors)
{
    char text[ADDR_TEXT_MAX];

    if (service->server_count == 0 && !service->allow_any_address)
        config_error(errors, place, "[service %s] has no 'server' (and no 'allow-any-address = yes')",
                     service->name);
    for (size_t i = 0; i < service->server_count; i++) {
        const struct config_server *server = &service->servers[i];
        if (!is_server_name(server->name))
            config_error(errors, place,
                         "'%s' cannot be a server's name in HAProxy: at most %d of A-Z a-z 0-9 - _ . :",
                         server->name, ANSWER_SERVER_MAX);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(server->name, service->servers[k].name) == 0)
                config_error(errors, place, "two servers of [service %s] are called '%s'", service->name,
                             server->name);
            if (addr_equals(&server->addr, &service->servers[k].addr))
                config_error(errors, place, "servers '%s' and '%s' of [service %s] have one address, %s",
                             service->servers[k].name, server->name, service->name,
                             addr_format(&server->addr, text));
        }
    }
}

/* Half of it HAProxy may take to ask, at its shortest `agent-inter`. */
#define CHECK_PULSE_MIN_MS 100

static void check_policy(struct config *config, const struct config_service *service,
                         const struct config_place *place, struct config_errors *errors)
{
    check_credentials(&service->credentials, place, errors);
    check_tls(&service->tls, place, errors);
    if (service->check_pulse_ms < CHECK_PULSE_MIN_MS)
        config_error(errors, place, "'check-pulse' must be %d ms or more", CHECK_PULSE_MIN_MS);
    if (service->early_fence && service->early_fence_max_ms == 0)
        config_error(errors, place, "'early-fence-max' must be over 0");
    if (service->early_fence && service->park_ms < service->early_fence_max_ms)
        config_error(
            &config->warnings, place,
            "'park' (%u ms) is shorter than 'early-fence-max' (%u ms): clients are refused meanwhile",
            service->park_ms, service->early_fence_max_ms);
    if (service->keep_ms > 0 && service->keep_when == KEEP_WHEN_UNREACHABLE)
        config_error(
            &config->warnings, place,
            "'keep' names the last master without a majority for %u ms: an agent that is cut off with "
            "the old master sends writes there which will be lost",
            service->keep_ms);
    if (service->keep_when == KEEP_WHEN_REFUSED && service->keep_ms == 0)
        config_error(&config->warnings, place, "'keep-when' does nothing without 'keep'");
}

/* It goes into HAProxy's commands: what is no name there could be another command. */
static void check_backend(const struct config *config, const struct config_service *service,
                          const struct config_place *place, struct config_errors *errors)
{
    const char *backend = service->backend != NULL ? service->backend : config->haproxy.backend;

    if (backend == NULL && config->haproxy.runtime_api_count > 0)
        config_error(errors, place,
                     "[service %s] needs a 'backend', here or in [haproxy]: there is a 'runtime-api'",
                     service->name);
    if (backend != NULL && !is_server_name(backend))
        config_error(errors, place,
                     "'%s' cannot be a backend's name in HAProxy: at most %d of A-Z a-z 0-9 - _ . :", backend,
                     ANSWER_SERVER_MAX);
}

/* Finds the service's group and settles how many votes it takes. */
static void join_group(const struct config *config, struct config_service *service,
                       const struct config_place *place, struct config_errors *errors)
{
    const char *wanted = service->sentinels != NULL ? service->sentinels : "";

    for (size_t i = 0; i < config->group_count; i++) {
        if (strcmp(config->groups[i].name, wanted) != 0)
            continue;
        unsigned voters = (unsigned)config->groups[i].address_count;
        service->group = i;
        if (voters == 0)
            return; /* reported already */
        if (service->quorum == 0)
            service->quorum = quorum_majority(voters);
        if (service->quorum < quorum_majority(voters) || service->quorum > voters)
            config_error(errors, place, "quorum %u of [service %s]: with %u Sentinels it can be %u to %u",
                         service->quorum, service->name, voters, quorum_majority(voters), voters);
        return;
    }
    if (config->group_count > 0)
        config_error(errors, place, "[service %s]: there is no section [sentinels%s%s]", service->name,
                     wanted[0] != '\0' ? " " : "", wanted);
}

static void check_replicas(struct config *config, const struct config_service *service,
                           const struct config_place *place, struct config_errors *errors)
{
    unsigned poll_ms = config->group_count > 0 ? config->groups[service->group].poll_ms : 0;

    if (service->server_count > REPLICAS_MAX)
        config_error(errors, place, "[service %s] has more than %d servers", service->name, REPLICAS_MAX);
    if (!service->replicas &&
        (service->max_lag.unit != LAG_UNLIMITED || service->replica_fallback != REPLICA_FALLBACK_NONE))
        config_error(&config->warnings, place,
                     "'max-lag' and 'replica-fallback' do nothing without 'replicas = yes'");
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

static void check_services(struct config *config, const char *file, struct config_errors *errors)
{
    struct config_place whole = at_line(file, 0);

    if (config->service_count == 0)
        config_error(errors, &whole, "no section [service NAME]: there is nothing to answer");
    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        struct config_place place = at_line(file, service->line);
        if (service->monitor == NULL)
            service->monitor = strdup(service->name);
        if (service->monitor == NULL)
            errors->out_of_memory = true;
        else if (strlen(service->monitor) > CONFIG_NAME_MAX)
            config_error(errors, &place, "'monitor' is longer than %d characters", CONFIG_NAME_MAX);
        check_servers(service, &place, errors);
        check_policy(config, service, &place, errors);
        check_backend(config, service, &place, errors);
        join_group(config, service, &place, errors);
        check_replicas(config, service, &place, errors);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct config_service *const *left = a;
    const struct config_service *const *right = b;
    int order = strcmp((*left)->name, (*right)->name);

    return order != 0 ? order : (*left)->line < (*right)->line ? -1 : 1;
}

/* Sorted, because there may be thousands. */
static void check_service_names(const struct config *config, const char *file, struct config_errors *errors)
{
    const struct config_service **sorted = calloc(config->service_count + 1, sizeof(struct config_service *));

    if (sorted == NULL) {
        errors->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < config->service_count; i++)
        sorted[i] = &config->services[i];
    qsort(sorted, config->service_count, sizeof(*sorted), by_name);
    for (size_t i = 1; i < config->service_count; i++) {
        struct config_place place = at_line(file, sorted[i]->line);
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            config_error(errors, &place, "a section [service %s] is there already", sorted[i]->name);
    }
    free(sorted);
}

void config_finish(struct config *config, const char *file, struct config_errors *errors)
{
    if (errors->out_of_memory)
        return; /* what is missing is missing for that reason */
    check_agent(config, file, errors);
    check_groups(config, file, errors);
    check_services(config, file, errors);
    check_service_names(config, file, errors);
}
