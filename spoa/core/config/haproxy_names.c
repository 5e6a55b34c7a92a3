#include "spoa/core/config/haproxy_names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hash table that finds no memory tells so: the program goes on. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "spoa/core/config/config.h"

/* Room for a prefix, the longest name, a suffix and a number. */
#define NAME_MAX_LEN (CONFIG_NAME_MAX + 40)

/* What the sections of a service are called after, where it is the only one. */
#define ONLY_SERVICE "redis"

struct taken {
    UT_hash_handle hh;
    struct taken *next; /* in the list of all */
    char name[NAME_MAX_LEN];
};

struct of_service {
    const char *frontends[2]; /* for the master and for replicas */
    const char *backends[2];
};

struct haproxy_names {
    struct taken *taken; /* by name */
    struct taken *list;
    const char *agent;
    struct of_service *services;
    bool out_of_memory;
};

static bool is_taken(const struct haproxy_names *names, const char *name)
{
    struct taken *found = NULL;

    HASH_FIND_STR(names->taken, name, found);
    return found != NULL;
}

/* Keeps a name that nobody has. "", which is noted, if memory is short. */
static const char *keep(struct haproxy_names *names, const char *name)
{
    unsigned before = HASH_COUNT(names->taken);
    struct taken *entry = calloc(1, sizeof(*entry));

    if (entry == NULL) {
        names->out_of_memory = true;
        return "";
    }
    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    HASH_ADD_STR(names->taken, name, entry);
    if (HASH_COUNT(names->taken) == before) {
        free(entry);
        names->out_of_memory = true;
        return "";
    }
    LL_PREPEND(names->list, entry);
    return entry->name;
}

/* Gives away "PREFIX NAME SUFFIX", with a number behind it where that is taken. HAProxy does not take other
 * characters than these. */
static const char *give(struct haproxy_names *names, const char *prefix, const char *name, const char *suffix)
{
    char made[NAME_MAX_LEN];
    int len = snprintf(made, sizeof(made), "%s%s%s", prefix, name, suffix);

    for (char *c = made; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("-_.:", *c) == NULL)
            *c = '_';
    for (unsigned number = 2; is_taken(names, made); number++)
        (void)snprintf(made + len, sizeof(made) - (size_t)len, "-%u", number);
    return keep(names, made);
}

/* The service's own backend, or that of [haproxy] where there is one service. NULL where there is none, or where another
 * service has it already: then HAProxy needs a second one. */
static const char *configured_backend(const struct haproxy_names *names, const struct config *config,
                                      const struct config_service *service)
{
    const struct config_names *backends = config_service_backends(config, service);
    bool is_its_own = config->service_count == 1 || service->backends.count > 0;

    return is_its_own && backends->count > 0 && !is_taken(names, backends->list[0]) ? backends->list[0]
                                                                                    : NULL;
}

/* Backends of the configuration come first: the agent calls them so when it cuts sessions. */
static void keep_configured(struct haproxy_names *names, const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const char *backend = configured_backend(names, config, &config->services[i]);
        names->services[i].backends[0] = backend != NULL ? keep(names, backend) : NULL;
    }
}

/* `name` is what the names of its sections are made of. */
static void give_service(struct haproxy_names *names, struct of_service *service, const char *name)
{
    if (service->backends[0] == NULL)
        service->backends[0] = give(names, "be_", name, "");
    service->backends[1] = give(names, "", service->backends[0], "_read");
    service->frontends[0] = give(names, "fe_", name, "");
    service->frontends[1] = give(names, "fe_", name, "_read");
}

static bool give_all(struct haproxy_names *names, const struct config *config)
{
    names->services = calloc(config->service_count, sizeof(*names->services));
    if (names->services == NULL)
        return false;
    keep_configured(names, config);
    names->agent = give(names, "", "be_sentinel_spoa", "");
    for (size_t i = 0; i < config->service_count; i++)
        give_service(names, &names->services[i],
                     config->service_count == 1 ? ONLY_SERVICE : config->services[i].name);
    return !names->out_of_memory;
}

struct haproxy_names *haproxy_names_create(const struct config *config)
{
    struct haproxy_names *names = calloc(1, sizeof(*names));

    if (names != NULL && !give_all(names, config)) {
        haproxy_names_destroy(names);
        return NULL;
    }
    return names;
}

void haproxy_names_destroy(struct haproxy_names *names)
{
    struct taken *entry;

    if (names == NULL)
        return;
    HASH_CLEAR(hh, names->taken);
    while ((entry = names->list) != NULL) {
        names->list = entry->next;
        free(entry);
    }
    free(names->services);
    free(names);
}

const char *haproxy_names_agent(const struct haproxy_names *names)
{
    return names->agent;
}

const char *haproxy_names_frontend(const struct haproxy_names *names, size_t service, bool is_for_replicas)
{
    return names->services[service].frontends[is_for_replicas];
}

const char *haproxy_names_backend(const struct haproxy_names *names, size_t service, bool is_for_replicas)
{
    return names->services[service].backends[is_for_replicas];
}
