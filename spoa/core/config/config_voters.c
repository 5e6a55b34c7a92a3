/* The checks of the groups of voters: Sentinels or nodes. */
#include "spoa/core/config/config_voters.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/config/config.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/server_map.h"

struct config_place config_at_line(const char *file, unsigned line)
{
    return (struct config_place){.file = file, .line = line};
}

void config_check_credentials(const struct config_credentials *credentials, const struct config_place *place,
                              struct config_errors *errors)
{
    bool has_password = credentials->password != NULL || credentials->password_file != NULL;

    if (credentials->password != NULL && credentials->password_file != NULL)
        config_error(errors, place, "'password' and 'password-file' exclude each other");
    if (credentials->username != NULL && !has_password)
        config_error(errors, place, "'username' needs a 'password' or a 'password-file'");
}

void config_check_tls(const struct config_tls *tls, const struct config_place *place,
                      struct config_errors *errors)
{
    if (!tls->is_on &&
        (tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL || tls->server_name != NULL))
        config_error(errors, place, "'tls-ca' and its like do nothing without 'tls = yes'");
    if ((tls->cert_file != NULL) != (tls->key_file != NULL))
        config_error(errors, place, "'tls-cert' and 'tls-key' need each other");
}

/* ---- groups ---- */

static const char *noun_of(const struct config_voters *group)
{
    return group->is_nodes ? "node" : "Sentinel";
}

static const char *blank_of(const struct config_voters *group)
{
    return group->name[0] != '\0' ? " " : "";
}

static const char *group_name(const void *list, size_t place)
{
    const struct config *config = list;

    return config->groups[place].name;
}

bool config_index_groups(struct config *config)
{
    if (!name_index_init(&config->group_names, group_name, config->group_count))
        return false;
    for (size_t i = 0; i < config->group_count; i++)
        (void)name_index_add(&config->group_names, config, i);
    return true;
}

/* NULL if there is none. */
static struct config_voters *find_group(const struct config *config, const char *name)
{
    size_t place = name_index_find(&config->group_names, config, name);

    if (place == NAME_INDEX_NONE)
        return NULL;
    assert(config->groups != NULL);
    return &config->groups[place];
}

static void check_addresses(const struct config_voters *group, const struct config_place *place,
                            struct config_errors *errors)
{
    char text[ADDR_TEXT_MAX];

    if (group->address_count == 0)
        config_error(errors, place,
                     group->is_nodes ? "[%s%s%s] has no 'address', and no service refers to it"
                                     : "[%s%s%s] has no 'address'",
                     config_voters_word(group), blank_of(group), group->name);
    if (group->address_count > QUORUM_VOTERS_MAX)
        config_error(errors, place, "more than %d %ss in one group", QUORUM_VOTERS_MAX, noun_of(group));
    for (size_t i = 0; i < group->address_count; i++)
        for (size_t k = 0; k < i; k++)
            if (addr_equals(&group->addresses[i], &group->addresses[k]))
                config_error(errors, place, "%s %s is listed twice in one group: it has one vote",
                             noun_of(group), addr_format(&group->addresses[i], text));
}

static void check_group(const struct config_voters *group, const struct config_place *place,
                        struct config_errors *errors)
{
    if (group->is_nodes == (group->source == VOTER_SOURCE_SENTINEL))
        config_error(errors, place,
                     "'source' is replication or cluster in [nodes NAME], and nothing else in [sentinels]");
    check_addresses(group, place, errors);
    config_check_credentials(&group->credentials, place, errors);
    config_check_tls(&group->tls, place, errors);
    for (size_t i = 0; group->tls.is_on && i < group->address_count; i++)
        if (group->addresses[i].kind == ADDR_UNIX)
            config_error(errors, place, "there is no TLS to a UNIX socket");
    if (group->vote_life_ms <= group->poll_ms + group->reply_timeout_ms)
        config_error(
            errors, place,
            "'vote-life' (%u ms) must be longer than 'poll' + 'reply-timeout' (%u ms): votes would expire "
            "before they are renewed",
            group->vote_life_ms, group->poll_ms + group->reply_timeout_ms);
}

/* A longer vote-life gets a warning. */
#define VOTE_LIFE_WARN_MS 5000

static void warn_of_life(const struct config_voters *group, const struct config_place *place,
                         struct config_errors *warnings)
{
    if (!group->is_nodes && group->vote_life_ms > VOTE_LIFE_WARN_MS)
        config_error(
            warnings, place,
            "'vote-life' is %u ms: an agent that is cut off names the old master for so long; it must be "
            "shorter than the Sentinels' down-after-milliseconds",
            group->vote_life_ms);
}

static void warn_of_count(const struct config_voters *group, const struct config_place *place,
                          struct config_errors *warnings)
{
    size_t n = group->address_count;

    if (n == 1)
        config_error(warnings, place, "one %s only: nothing is named while it is down", noun_of(group));
    else if (!group->is_nodes && n > 0 && n % 2 == 0)
        config_error(warnings, place, "an even number of Sentinels (%zu) bears no more failures than %zu", n,
                     n - 1);
}

void config_check_groups(struct config *config, const char *file, struct config_errors *errors)
{
    struct config_place whole = config_at_line(file, 0);

    if (config->group_count == 0)
        config_error(errors, &whole, "no section [sentinels]: nobody can name a master");
    for (size_t i = 0; i < config->group_count; i++) {
        struct config_place place = config_at_line(file, config->groups[i].line);
        check_group(&config->groups[i], &place, errors);
        warn_of_count(&config->groups[i], &place, &config->warnings);
        warn_of_life(&config->groups[i], &place, &config->warnings);
        const struct config_voters *same = find_group(config, config->groups[i].name);
        if (same != NULL && same != &config->groups[i])
            config_error(errors, &place, "a section [%s%s%s] is there already", config_voters_word(same),
                         blank_of(same), same->name);
    }
}

/* The group has addresses. */
static void check_quorum(struct config_service *service, const struct config_voters *group,
                         const struct config_place *place, struct config_errors *errors)
{
    unsigned voters = (unsigned)group->address_count;

    if (service->quorum == 0)
        service->quorum = quorum_majority(voters);
    if (service->quorum < quorum_majority(voters) || service->quorum > voters)
        config_error(errors, place, "quorum %u of [service %s]: with %u %ss it can be %u to %u",
                     service->quorum, service->name, voters, noun_of(group), quorum_majority(voters), voters);
}

void config_join_group(struct config *config, struct config_service *service,
                       const struct config_place *place, struct config_errors *errors)
{
    bool is_nodes = service->nodes != NULL;
    const char *wanted = is_nodes ? service->nodes : service->sentinels != NULL ? service->sentinels : "";
    struct config_voters *group = find_group(config, wanted);

    if (is_nodes && service->sentinels != NULL)
        config_error(errors, place, "'nodes' and 'sentinels' exclude each other");
    if (group != NULL && group->is_nodes == is_nodes) {
        group->is_referred_to = true;
        service->group = (size_t)(group - config->groups);
        service->tls.is_inherited = is_nodes && group->tls.is_on && service->tls.line == 0;
        if (group->address_count > 0) /* else already reported */
            check_quorum(service, group, place, errors);
    } else if (config->group_count > 0) {
        config->groups[service->group].is_referred_to = true; /* as far as anybody can tell */
        config_error(errors, place, "[service %s]: there is no section [%s%s%s]", service->name,
                     is_nodes ? "nodes" : "sentinels", wanted[0] != '\0' ? " " : "", wanted);
    }
}

/* ---- nodes that vote and are probed, too ---- */

const struct config_credentials *config_node_credentials(const struct config_service *service,
                                                         const struct config_voters *group)
{
    return group->is_nodes && service->credentials.password == NULL ? &group->credentials
                                                                    : &service->credentials;
}

const struct config_tls *config_node_tls(const struct config_service *service,
                                         const struct config_voters *group)
{
    return service->tls.is_inherited ? &group->tls : &service->tls;
}

/* ---- voters that are not listed ---- */

static bool has_address(const struct config_voters *group, const struct addr *addr)
{
    for (size_t i = 0; i < group->address_count; i++)
        if (addr_equals(&group->addresses[i], addr))
            return true;
    return false;
}

static bool add_address(struct config_voters *group, const struct addr *addr)
{
    struct addr *larger = realloc(group->addresses, (group->address_count + 1) * sizeof(*larger));

    if (larger == NULL)
        return false;
    group->addresses = larger;
    group->addresses[group->address_count++] = *addr;
    return true;
}

static bool gather_servers(struct config_voters *group, const struct config_service *service)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (!has_address(group, &service->servers[i].addr) && !add_address(group, &service->servers[i].addr))
            return false;
    return true;
}

bool config_gather_voters(struct config *config)
{
    for (size_t i = 0; i < config->group_count; i++)
        config->groups[i].is_gathered = config->groups[i].is_nodes && config->groups[i].address_count == 0;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        struct config_voters *group = service->nodes != NULL ? find_group(config, service->nodes) : NULL;
        if (group != NULL && group->is_gathered && !gather_servers(group, service))
            return false;
    }
    return true;
}
