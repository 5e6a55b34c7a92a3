#include "spoa/core/config/config.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/words.h"
#include "spoa/core/config/config_keywords.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/core/decision/server_map.h"

/* The section word of a group of nodes. */
#define NODES "nodes"

/* The section to which keys go now. */
struct config_cursor {
    enum config_section_kind kind; /* CONFIG_SECTIONS: none, or an unknown one */
    size_t index;                  /* of the group or service */
    bool is_begun;                 /* a section has begun, even an unknown one */
    /* Bits of the keywords that were given, for each section. */
    uint64_t agent_seen;
    uint64_t haproxy_seen;
    uint64_t *group_seen;
    uint64_t *service_seen;
};

static bool apply_presets(enum config_section_kind kind, void *section)
{
    for (size_t i = 0; i < config_keyword_count; i++) {
        const struct config_keyword *keyword = &config_keywords[i];
        if (keyword->section == kind && keyword->preset != NULL &&
            keyword->type->read((char *)section + keyword->offset, keyword->preset) != CONFIG_READ_OK)
            return false;
    }
    return true;
}

struct config *config_create(void)
{
    struct config *config = calloc(1, sizeof(*config));

    if (config == NULL)
        return NULL;
    config->cursor = calloc(1, sizeof(*config->cursor));
    if (config->cursor == NULL || !apply_presets(CONFIG_AGENT, &config->agent)) {
        config_destroy(config);
        return NULL;
    }
    config->cursor->kind = CONFIG_SECTIONS;
    return config;
}

/* Overwrites the text first: it may be a password. */
static void free_secret(char *secret)
{
    if (secret == NULL)
        return;
    explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void finish_credentials(struct config_credentials *credentials)
{
    free(credentials->username);
    free_secret(credentials->password);
    free(credentials->password_file);
}

static void finish_tls(struct config_tls *tls)
{
    free(tls->ca_file);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls->server_name);
}

static void finish_names(struct config_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static void finish_group(struct config_voters *group)
{
    free(group->name);
    free(group->addresses);
    finish_credentials(&group->credentials);
    finish_tls(&group->tls);
}

static void finish_service(struct config_service *service)
{
    for (size_t i = 0; i < service->server_count; i++) {
        free((char *)service->servers[i].name);
        free((struct addr *)service->servers[i].aliases);
    }
    free(service->servers);
    free(service->name);
    free(service->monitor);
    free(service->sentinels);
    free(service->nodes);
    free(service->on_switch);
    finish_names(&service->backends);
    finish_credentials(&service->credentials);
    finish_tls(&service->tls);
}

void config_listen_finish(struct config_listen *listen)
{
    free(listen->allowed.list);
    finish_tls(&listen->tls);
    finish_credentials(&listen->token);
}

static void finish_listens(struct config_listens *listens)
{
    for (size_t i = 0; i < listens->count; i++)
        config_listen_finish(&listens->list[i]);
    free(listens->list);
}

/* Gives back the memory of the services that are gone. That of 10,000 takes milliseconds in one go. */
static void shrink_services(struct config *config)
{
    struct config_service *rest = realloc(config->services, config->service_count * sizeof(*rest));

    if (rest != NULL)
        config->services = rest;
}

bool config_shed(struct config *config, size_t *io_budget)
{
    while (config->service_count > 0) {
        if (!progress_spend(io_budget)) {
            shrink_services(config);
            return true;
        }
        finish_service(&config->services[--config->service_count]);
    }
    while (config->group_count > 0) {
        if (!progress_spend(io_budget))
            return true;
        finish_group(&config->groups[--config->group_count]);
    }
    return false;
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    free(config->agent.syslog);
    finish_listens(&config->agent.listens);
    finish_listens(&config->agent.checks);
    finish_listens(&config->agent.web);
    finish_listens(&config->agent.takeovers);
    free(config->agent.allowed.list);
    free(config->agent.user);
    free(config->agent.group);
    free(config->haproxy.runtime_apis);
    finish_names(&config->haproxy.backends);
    size_t budget = PROGRESS_UNLIMITED;
    (void)config_shed(config, &budget);
    free(config->groups);
    free(config->services);
    name_index_finish(&config->group_names);
    name_index_finish(&config->service_names);
    config_errors_finish(&config->warnings);
    config_lines_finish(&config->lines);
    if (config->cursor != NULL) {
        free(config->cursor->group_seen);
        free(config->cursor->service_seen);
    }
    free(config->cursor);
    free(config);
}

/* Makes room for one more element at the end of both lists. */
static bool grow_pair(void **list, size_t size, uint64_t **seen, size_t count)
{
    void *larger = realloc(*list, (count + 1) * size);

    if (larger == NULL)
        return false;
    *list = larger;
    uint64_t *larger_seen = realloc(*seen, (count + 1) * sizeof(**seen));
    if (larger_seen == NULL)
        return false;
    *seen = larger_seen;
    (*seen)[count] = 0;
    return true;
}

static bool add_group(struct config *config, const struct config_place *place, const char *name,
                      bool is_nodes)
{
    void *list = config->groups;
    bool has_room =
        grow_pair(&list, sizeof(*config->groups), &config->cursor->group_seen, config->group_count);

    config->groups = list;
    if (!has_room)
        return false;
    struct config_voters group = {.name = strdup(name), .line = place->line, .is_nodes = is_nodes};
    if (group.name == NULL || !apply_presets(CONFIG_SENTINELS, &group)) {
        finish_group(&group);
        return false;
    }
    config->cursor->index = config->group_count;
    config->groups[config->group_count++] = group;
    return true;
}

static bool add_service(struct config *config, const struct config_place *place, const char *name)
{
    void *list = config->services;
    bool has_room =
        grow_pair(&list, sizeof(*config->services), &config->cursor->service_seen, config->service_count);

    config->services = list;
    if (!has_room)
        return false;
    struct config_service service = {.name = strdup(name), .line = place->line};
    if (service.name == NULL || !apply_presets(CONFIG_SERVICE, &service)) {
        finish_service(&service);
        return false;
    }
    config->cursor->index = config->service_count;
    config->services[config->service_count++] = service;
    return true;
}

/* Names go into log lines, metrics and messages: so they must be printable, without blanks and brackets. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (!isgraph((unsigned char)name[i]) || name[i] == '[' || name[i] == ']')
            return false;
    return len <= CONFIG_NAME_MAX;
}

static enum config_section_kind section_kind(const char *word, size_t len)
{
    for (enum config_section_kind kind = CONFIG_AGENT; kind < CONFIG_SECTIONS; kind++)
        if (strlen(config_section_names[kind]) == len && memcmp(config_section_names[kind], word, len) == 0)
            return kind;
    return CONFIG_SECTIONS;
}

static void report_unknown_section(const struct config_place *place, const char *text, size_t word_len,
                                   struct config_errors *errors)
{
    char word[16] = {0};

    memcpy(word, text, word_len < sizeof(word) ? word_len : sizeof(word) - 1);
    for (enum config_section_kind kind = CONFIG_AGENT; kind < CONFIG_SECTIONS; kind++)
        if (words_distance(word, config_section_names[kind]) < WORDS_FAR) {
            config_error(errors, place, "unknown section [%s], did you mean [%s%s]?", text,
                         config_section_names[kind], text + word_len);
            return;
        }
    config_error(
        errors, place,
        "unknown section [%s]: there are [agent], [haproxy], [sentinels], [nodes NAME] and [service NAME]",
        text);
}

static bool begin_section(struct config *config, const struct config_place *place,
                          enum config_section_kind kind, const char *name, bool is_nodes,
                          struct config_errors *errors)
{
    bool is_added = true;

    if (config_reader_is_quoted(name)) {
        config_error(errors, place,
                     "the name in [%s %s] is in quotes: they would be part of it, leave them out",
                     is_nodes ? NODES : config_section_names[kind], name);
        return false;
    }
    if (!is_name(name)) {
        config_error(errors, place, "bad section name '%s': at most %d printable characters without blanks",
                     name, CONFIG_NAME_MAX);
        return false;
    }
    if ((kind == CONFIG_AGENT || kind == CONFIG_HAPROXY) && name[0] != '\0') {
        config_error(errors, place, "[%s] has no name", config_section_names[kind]);
        return false;
    }
    if (kind == CONFIG_SERVICE && name[0] == '\0') {
        config_error(errors, place, "[service NAME] needs a name");
        return false;
    }
    if (is_nodes && name[0] == '\0') {
        config_error(errors, place, "[nodes NAME] needs a name");
        return false;
    }
    if (kind == CONFIG_SENTINELS)
        is_added = add_group(config, place, name, is_nodes);
    else if (kind == CONFIG_SERVICE)
        is_added = add_service(config, place, name);
    if (!is_added)
        errors->out_of_memory = true;
    return is_added;
}

/* Remembers where the key of the current section stands; where the section begins for "". */
static void note_place(struct config *config, const char *key, const struct config_place *place,
                       struct config_errors *errors)
{
    const struct config_cursor *cursor = config->cursor;
    size_t index = cursor->kind == CONFIG_SENTINELS || cursor->kind == CONFIG_SERVICE ? cursor->index : 0;

    if (!config_lines_note(&config->lines, config_section_names[cursor->kind], index, key, place->line))
        errors->out_of_memory = true;
}

void config_section(struct config *config, const struct config_place *place, const char *text,
                    struct config_errors *errors)
{
    size_t word_len = strcspn(text, " \t");
    const char *name = text + word_len + strspn(text + word_len, " \t");
    /* A group of nodes has the keys of [sentinels]. */
    bool is_nodes = word_len == strlen(NODES) && memcmp(text, NODES, word_len) == 0;
    enum config_section_kind kind = is_nodes ? CONFIG_SENTINELS : section_kind(text, word_len);

    config->cursor->is_begun = true;
    config->cursor->kind = CONFIG_SECTIONS;
    if (kind == CONFIG_SECTIONS) {
        report_unknown_section(place, text, word_len, errors);
    } else if (begin_section(config, place, kind, name, is_nodes, errors)) {
        config->cursor->kind = kind;
        note_place(config, "", place, errors);
    }
}

static void report_bad_value(const struct config_keyword *keyword, const struct config_place *place,
                             const char *value, struct config_errors *errors)
{
    const struct config_type *type = keyword->type;
    const char *reason = type == &config_type_networks  ? config_explain_network(value)
                         : type == &config_type_listens ? config_explain_listen(value)
                                                        : NULL;
    const char *shown = type == &config_type_password ? "***" : value;

    if (reason != NULL) {
        config_error(errors, place, "bad value '%s' for '%s': %s", shown, keyword->key, reason);
    } else {
        char range[CONFIG_RANGE_MAX];
        config_error(errors, place, "bad value '%s' for '%s': it takes %s%s", shown, keyword->key, type->form,
                     config_keyword_range(keyword, range));
    }
}

static void set_value(const struct config_keyword *keyword, void *section, const struct config_place *place,
                      const char *value, struct config_errors *errors)
{
    bool is_secret = keyword->type == &config_type_password;

    /*
     * A value from the environment may be one that no line can give: --dump-config would write another value.
     */
    if (!is_secret && !config_reader_can_give(value)) {
        config_error(errors, place,
                     "bad value '%s' for '%s': no control characters, ';' behind a blank or quotes around it",
                     value, keyword->key);
        return;
    }
    switch (keyword->type->read((char *)section + keyword->offset, value)) {
    case CONFIG_READ_OK:
        if (!config_keyword_allows(keyword, section))
            report_bad_value(keyword, place, value, errors);
        break;
    case CONFIG_READ_BAD:
        report_bad_value(keyword, place, value, errors);
        break;
    case CONFIG_READ_NO_MEMORY:
        errors->out_of_memory = true;
        break;
    }
}

/*
 * Returns the struct of the current section, the bits of its given keys, and its name. NULL if there is none.
 */
static void *current_section(struct config *config, uint64_t **ret_seen, const char **ret_name)
{
    struct config_cursor *cursor = config->cursor;

    switch (cursor->kind) {
    case CONFIG_AGENT:
        *ret_seen = &cursor->agent_seen;
        *ret_name = "";
        return &config->agent;
    case CONFIG_HAPROXY:
        *ret_seen = &cursor->haproxy_seen;
        *ret_name = "";
        return &config->haproxy;
    case CONFIG_SENTINELS:
        *ret_seen = &cursor->group_seen[cursor->index];
        *ret_name = config->groups[cursor->index].name;
        return &config->groups[cursor->index];
    case CONFIG_SERVICE:
        *ret_seen = &cursor->service_seen[cursor->index];
        *ret_name = config->services[cursor->index].name;
        return &config->services[cursor->index];
    case CONFIG_SECTIONS:
        break;
    }
    return NULL;
}

/* The word of the current section in the file. */
static const char *section_word(const struct config *config)
{
    enum config_section_kind kind = config->cursor->kind;

    return kind == CONFIG_SENTINELS ? config_voters_word(&config->groups[config->cursor->index])
                                    : config_section_names[kind];
}

/* As note_line(), for the address that was read last; where none was, the last one has its line. */
static void note_line_of_listen(const struct config_listens *listens, unsigned line)
{
    struct config_listen *last = listens->count > 0 ? &listens->list[listens->count - 1] : NULL;

    if (last == NULL || last->tls.line != 0)
        return;
    last->tls.line = line;
    last->token.password_file_line = line;
}

/* Remembers the line of a key that leads to files that are read later. That of `tls` also tells whether a service has its
 * own. */
static void note_line(struct config *config, const struct config_keyword *keyword, const void *section,
                      unsigned line)
{
    const char *key = keyword->key;
    bool is_group = config->cursor->kind == CONFIG_SENTINELS;
    size_t index = config->cursor->index;

    if (keyword->type == &config_type_listens)
        note_line_of_listen((const void *)((const char *)section + keyword->offset), line);
    else if (strcmp(key, "password-file") == 0)
        (is_group ? &config->groups[index].credentials : &config->services[index].credentials)
            ->password_file_line = line;
    else if (strcmp(key, "tls") == 0)
        (is_group ? &config->groups[index].tls : &config->services[index].tls)->line = line;
}

static void report_unknown_key(const struct config *config, const struct config_place *place,
                               const char *name, const char *key, struct config_errors *errors)
{
    const char *nearest = config_keyword_nearest(config->cursor->kind, key);
    const char *word = section_word(config);
    const char *blank = name[0] != '\0' ? " " : "";

    if (nearest != NULL)
        config_error(errors, place, "unknown key '%s' in [%s%s%s], did you mean '%s'?", key, word, blank,
                     name, nearest);
    else
        config_error(errors, place, "unknown key '%s' in [%s%s%s]", key, word, blank, name);
}

void config_set(struct config *config, const struct config_place *place, const char *key, const char *value,
                struct config_errors *errors)
{
    uint64_t *seen = NULL;
    const char *name = "";
    void *section = current_section(config, &seen, &name);
    enum config_section_kind kind = config->cursor->kind;

    if (section == NULL) {
        if (!config->cursor->is_begun)
            config_error(errors, place, "key '%s' stands before any section", key);
        /* An unknown section is already reported. */
        return;
    }
    const struct config_keyword *keyword = config_keyword_find(kind, key);
    if (keyword == NULL) {
        report_unknown_key(config, place, name, key, errors);
        return;
    }
    uint64_t bit = config_keyword_bit(keyword);
    if ((*seen & bit) != 0 && !keyword->repeatable) {
        config_error(errors, place, "'%s' is given twice in [%s%s%s]", key, section_word(config),
                     name[0] != '\0' ? " " : "", name);
        return;
    }
    *seen |= bit;
    note_place(config, keyword->key, place, errors);
    set_value(keyword, section, place, value, errors);
    note_line(config, keyword, section, place->line);
}

const char *config_voters_word(const struct config_voters *group)
{
    return group->is_nodes ? NODES : config_section_names[CONFIG_SENTINELS];
}

const struct config_networks *config_allowed(const struct config_agent *agent,
                                             const struct config_listen *listen)
{
    return listen->allowed.count > 0 ? &listen->allowed : &agent->allowed;
}

const struct config_names *config_service_backends(const struct config *config,
                                                   const struct config_service *service)
{
    return service->backends.count > 0 ? &service->backends : &config->haproxy.backends;
}

const struct service_server *config_service_find_server(const struct config_service *service,
                                                        const struct addr *addr)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (service_server_has(&service->servers[i], addr))
            return &service->servers[i];
    return NULL;
}

bool config_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool config_same_tls(const struct config_tls *one, const struct config_tls *other)
{
    return config_same_text(one->ca_file, other->ca_file) &&
           config_same_text(one->cert_file, other->cert_file) &&
           config_same_text(one->key_file, other->key_file) &&
           config_same_text(one->server_name, other->server_name);
}

static void each_secret(const struct config_credentials *credentials, const struct config_tls *tls,
                        void (*each)(void *context, const char *path), void *context)
{
    const char *const paths[] = {credentials->password_file, tls->ca_file, tls->cert_file, tls->key_file};

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (paths[i] != NULL)
            each(context, paths[i]);
}

void config_each_file(const struct config *config, void (*each)(void *context, const char *path),
                      void *context)
{
    const struct config_listens *lists[] = {&config->agent.listens, &config->agent.web};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (size_t k = 0; k < lists[i]->count; k++)
            each_secret(&lists[i]->list[k].token, &lists[i]->list[k].tls, each, context);
    for (size_t i = 0; i < config->group_count; i++)
        each_secret(&config->groups[i].credentials, &config->groups[i].tls, each, context);
    for (size_t i = 0; i < config->service_count; i++)
        each_secret(&config->services[i].credentials, &config->services[i].tls, each, context);
}
