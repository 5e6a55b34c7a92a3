/* The types of keywords that may be given several times. */
#include <stdlib.h>
#include <string.h>

#include "proto/addr.h"
#include "proto/network.h"
#include "proto/span.h"
#include "spoa/core/config/config_keywords.h"
#include "spoa/core/decision/server_map.h"

#define LISTEN_MODE_MAX 0777
#define WEIGHT_MAX 256

/* Adds an element at the end of a list and returns it: the caller writes it. NULL if memory is short. */
static void *grow(void **list, size_t *count, size_t size)
{
    char *larger = realloc(*list, (*count + 1) * size);

    if (larger == NULL)
        return NULL;
    *list = larger;
    return larger + (*count)++ * size;
}

/* A listener's port may be 0. addr_parse() refuses that, because nobody can connect to it. */
static bool read_listen_addr(struct span text, struct addr *addr)
{
    char copy[ADDR_TEXT_MAX];
    bool is_path = text.len >= 5 && memcmp(text.data, "unix:", 5) == 0; /* a path may end with ":0" */
    bool asks_kernel = !is_path && text.len > 2 && memcmp(text.data + text.len - 2, ":0", 2) == 0;

    if (!asks_kernel)
        return addr_parse(text, addr) && addr->kind != ADDR_NAME;
    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len - 1] = '1';
    bool is_good = addr_parse(span_of(copy, text.len), addr);
    addr->port = 0;
    return is_good && (addr->kind == ADDR_IPV4 || addr->kind == ADDR_IPV6);
}

/* Reads "KEY=VALUE". `key` includes the '='. The value must not be empty and must fit in its field. */
static bool read_option(struct span word, const char *key, char value[CONFIG_ACCOUNT_MAX])
{
    size_t prefix = strlen(key);

    if (word.len <= prefix || memcmp(word.data, key, prefix) != 0 || word.len - prefix >= CONFIG_ACCOUNT_MAX)
        return false;
    memcpy(value, word.data + prefix, word.len - prefix);
    value[word.len - prefix] = '\0';
    return true;
}

static bool read_mode(struct span word, int *mode)
{
    char text[CONFIG_ACCOUNT_MAX];
    char *rest;

    if (!read_option(word, "mode=", text))
        return false;
    unsigned long bits = strtoul(text, &rest, 8);
    if (*rest != '\0' || bits > LISTEN_MODE_MAX)
        return false;
    *mode = (int)bits;
    return true;
}

static enum config_reading append_network(struct config_networks *networks, struct span text)
{
    struct network network;

    if (network_parse(text, &network) != NETWORK_OK)
        return CONFIG_READ_BAD;
    void *list = networks->list;
    struct network *place = grow(&list, &networks->count, sizeof(*place));
    networks->list = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = network;
    return CONFIG_READ_OK;
}

/* Takes "allow=" away. Whether it was there. */
static bool take_allow(struct span *word)
{
    static const char key[] = "allow=";
    size_t prefix = strlen(key);

    if (word->len < prefix || memcmp(word->data, key, prefix) != 0)
        return false;
    *word = span_of(word->data + prefix, word->len - prefix);
    return true;
}

/* The files that an option of an address can name. */
#define LISTEN_FILES 4

struct listen_file {
    const char *key;
    char **path;
};

static void list_files(struct config_listen *listen, struct listen_file files[LISTEN_FILES])
{
    files[0] = (struct listen_file){"tls-cert=", &listen->tls.cert_file};
    files[1] = (struct listen_file){"tls-key=", &listen->tls.key_file};
    files[2] = (struct listen_file){"tls-client-ca=", &listen->tls.ca_file};
    files[3] = (struct listen_file){"token-file=", &listen->token.password_file};
}

/* Reads "KEY=FILE", each key at most once. */
static enum config_reading read_listen_file(struct span word, struct config_listen *listen)
{
    struct listen_file files[LISTEN_FILES];

    list_files(listen, files);
    for (size_t i = 0; i < LISTEN_FILES; i++) {
        size_t prefix = strlen(files[i].key);
        if (word.len <= prefix || memcmp(word.data, files[i].key, prefix) != 0 || *files[i].path != NULL)
            continue;
        *files[i].path = strndup((const char *)word.data + prefix, word.len - prefix);
        listen->tls.is_on = listen->tls.cert_file != NULL || listen->tls.key_file != NULL;
        return *files[i].path != NULL ? CONFIG_READ_OK : CONFIG_READ_NO_MEMORY;
    }
    return CONFIG_READ_BAD;
}

/* Networks and files are for TCP, accounts and a mode for UNIX sockets. */
static enum config_reading read_listen_option(struct span word, struct config_listen *listen)
{
    if (listen->addr.kind != ADDR_UNIX)
        return take_allow(&word) ? append_network(&listen->allowed, word) : read_listen_file(word, listen);
    return read_mode(word, &listen->mode) || read_option(word, "owner=", listen->owner) ||
                   read_option(word, "group=", listen->group)
               ? CONFIG_READ_OK
               : CONFIG_READ_BAD;
}

static enum config_reading read_listen(struct span rest, struct config_listen *listen)
{
    enum config_reading reading = CONFIG_READ_OK;

    if (!read_listen_addr(span_take_word(&rest), &listen->addr))
        return CONFIG_READ_BAD;
    for (struct span word = span_take_word(&rest); word.len > 0 && reading == CONFIG_READ_OK;
         word = span_take_word(&rest))
        reading = read_listen_option(word, listen);
    return reading;
}

static enum config_reading append_listen(struct config_listens *listens, const struct config_listen *listen)
{
    void *list = listens->list;
    struct config_listen *place = grow(&list, &listens->count, sizeof(*place));

    listens->list = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = *listen;
    return CONFIG_READ_OK;
}

static enum config_reading read_listens(void *field, const char *value)
{
    struct config_listen listen = {.mode = -1};
    enum config_reading reading = read_listen(span_of_text(value), &listen);

    if (reading == CONFIG_READ_OK)
        reading = append_listen(field, &listen);
    if (reading != CONFIG_READ_OK)
        config_listen_finish(&listen);
    return reading;
}

static const char *explain_network(struct span text)
{
    struct network network;

    return network_parse(text, &network) == NETWORK_TOO_FEW_BITS
               ? "an IPv4-mapped network has 96 bits or more; write it as IPv4, such as 10.0.0.0/8"
               : NULL;
}

const char *config_explain_network(const char *value)
{
    return explain_network(span_of_text(value));
}

const char *config_explain_listen(const char *value)
{
    struct span rest = span_of_text(value);
    const char *reason = NULL;

    for (struct span word = span_take_word(&rest); word.len > 0 && reason == NULL;
         word = span_take_word(&rest))
        if (take_allow(&word))
            reason = explain_network(word);
    return reason;
}

static void write_option(const char *key, const char *value, FILE *out)
{
    fputs(key, out);
    config_write_value(value, out);
}

static void write_listen_files(struct config_listen listen, FILE *out)
{
    struct listen_file files[LISTEN_FILES];

    list_files(&listen, files);
    for (size_t i = 0; i < LISTEN_FILES; i++)
        if (*files[i].path != NULL) {
            fputc(' ', out);
            write_option(files[i].key, *files[i].path, out);
        }
}

static void write_listens(const void *field, const char *key, FILE *out)
{
    const struct config_listens *listens = field;
    char text[ADDR_TEXT_MAX];
    char network[NETWORK_TEXT_MAX];

    for (size_t i = 0; i < listens->count; i++) {
        const struct config_listen *listen = &listens->list[i];
        fprintf(out, "%s = ", key);
        config_write_value(addr_format(&listen->addr, text), out);
        if (listen->mode != -1)
            fprintf(out, " mode=%o", (unsigned)listen->mode);
        if (listen->owner[0] != '\0')
            write_option(" owner=", listen->owner, out);
        if (listen->group[0] != '\0')
            write_option(" group=", listen->group, out);
        for (size_t k = 0; k < listen->allowed.count; k++)
            fprintf(out, " allow=%s", network_format(&listen->allowed.list[k], network));
        write_listen_files(*listen, out);
        fputc('\n', out);
    }
}

static enum config_reading read_networks(void *field, const char *value)
{
    return append_network(field, span_of_text(value));
}

static void write_networks(const void *field, const char *key, FILE *out)
{
    const struct config_networks *networks = field;
    char text[NETWORK_TEXT_MAX];

    for (size_t i = 0; i < networks->count; i++)
        fprintf(out, "%s = %s\n", key, network_format(&networks->list[i], text));
}

static enum config_reading append_name(struct config_names *names, struct span word)
{
    char *copy = strndup((const char *)word.data, word.len);
    void *list = names->list;
    char **place = copy != NULL ? grow(&list, &names->count, sizeof(*place)) : NULL;

    names->list = list;
    if (place == NULL) {
        free(copy);
        return CONFIG_READ_NO_MEMORY;
    }
    *place = copy;
    return CONFIG_READ_OK;
}

static enum config_reading read_names(void *field, const char *value)
{
    struct span rest = span_of_text(value);
    struct span word = span_take_word(&rest);
    enum config_reading reading = word.len > 0 ? CONFIG_READ_OK : CONFIG_READ_BAD;

    for (; reading == CONFIG_READ_OK && word.len > 0; word = span_take_word(&rest))
        reading = append_name(field, word);
    return reading;
}

static void write_names(const void *field, const char *key, FILE *out)
{
    const struct config_names *names = field;

    for (size_t i = 0; i < names->count; i++)
        fprintf(out, "%s = %s\n", key, names->list[i]);
}

static enum config_reading append_addr(struct addr **addresses, size_t *count, const struct addr *addr)
{
    void *list = *addresses;
    struct addr *place = grow(&list, count, sizeof(*place));

    *addresses = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = *addr;
    return CONFIG_READ_OK;
}

static enum config_reading read_addresses(void *field, const char *value)
{
    struct config_voters *group = field;
    struct addr addr;

    if (!addr_parse(span_of_text(value), &addr))
        return CONFIG_READ_BAD;
    return append_addr(&group->addresses, &group->address_count, &addr);
}

/* A path may omit "unix:", as in HAProxy. */
static enum config_reading read_runtime_apis(void *field, const char *value)
{
    static const char master[] = "master:";
    struct config_haproxy *haproxy = field;
    struct config_runtime_api api = {.is_master = strncmp(value, master, strlen(master)) == 0};
    const char *where = api.is_master ? value + strlen(master) : value;
    char text[ADDR_TEXT_MAX];

    if (snprintf(text, sizeof(text), "%s%s", where[0] == '/' ? "unix:" : "", where) >= (int)sizeof(text) ||
        !addr_parse(span_of_text(text), &api.addr) || api.addr.kind == ADDR_NAME)
        return CONFIG_READ_BAD;
    void *list = haproxy->runtime_apis;
    struct config_runtime_api *place = grow(&list, &haproxy->runtime_api_count, sizeof(*place));
    haproxy->runtime_apis = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = api;
    return CONFIG_READ_OK;
}

static void write_runtime_apis(const void *field, const char *key, FILE *out)
{
    const struct config_haproxy *haproxy = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < haproxy->runtime_api_count; i++) {
        const struct config_runtime_api *api = &haproxy->runtime_apis[i];
        fprintf(out, "%s = %s", key, api->is_master ? "master:" : "");
        config_write_value(addr_format(&api->addr, text), out);
        fputc('\n', out);
    }
}

static void write_addresses(const void *field, const char *key, FILE *out)
{
    const struct config_voters *group = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < group->address_count; i++) {
        fprintf(out, "%s = ", key);
        config_write_value(addr_format(&group->addresses[i], text), out);
        fputc('\n', out);
    }
}

static bool read_weight(struct span word, unsigned *weight)
{
    char text[CONFIG_ACCOUNT_MAX];
    uint64_t number;

    if (!read_option(word, "weight=", text) || !span_read_number(span_of_text(text), WEIGHT_MAX, &number))
        return false;
    *weight = (unsigned)number;
    return true;
}

/* Reads "alias=HOST:PORT" and appends it to the server's list. */
static enum config_reading read_alias(struct span word, struct addr **aliases, size_t *count)
{
    static const char key[] = "alias=";
    size_t prefix = strlen(key);
    struct addr addr;

    if (word.len < prefix || memcmp(word.data, key, prefix) != 0 ||
        !addr_parse(span_of(word.data + prefix, word.len - prefix), &addr))
        return CONFIG_READ_BAD;
    return append_addr(aliases, count, &addr);
}

/* Reads what follows the address: aliases, and a weight at most once. The caller frees `*aliases`. */
static enum config_reading read_server_options(struct span rest, struct service_server *server,
                                               struct addr **aliases)
{
    bool has_weight = false;

    server->weight = 1;
    for (struct span word = span_take_word(&rest); word.len > 0; word = span_take_word(&rest)) {
        if (!has_weight && read_weight(word, &server->weight)) {
            has_weight = true;
            continue;
        }
        enum config_reading reading = read_alias(word, aliases, &server->alias_count);
        server->aliases = *aliases;
        if (reading != CONFIG_READ_OK)
            return reading;
    }
    return CONFIG_READ_OK;
}

static enum config_reading append_server(struct config_service *service, const struct service_server *server)
{
    void *list = service->servers;
    struct service_server *place =
        server->name != NULL ? grow(&list, &service->server_count, sizeof(*place)) : NULL;

    service->servers = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = *server;
    return CONFIG_READ_OK;
}

static enum config_reading read_servers(void *field, const char *value)
{
    struct service_server server = {.name = NULL};
    struct addr *aliases = NULL;
    struct span rest = span_of_text(value);
    struct span name = span_take_word(&rest);
    struct span where = span_take_word(&rest);

    if (name.len == 0 || !addr_parse(where, &server.addr))
        return CONFIG_READ_BAD;
    enum config_reading reading = read_server_options(rest, &server, &aliases);
    char *copy = reading == CONFIG_READ_OK ? strndup((const char *)name.data, name.len) : NULL;
    server.name = copy;
    if (reading == CONFIG_READ_OK)
        reading = append_server(field, &server);
    if (reading != CONFIG_READ_OK) {
        free(copy);
        free(aliases);
    }
    return reading;
}

static void write_servers(const void *field, const char *key, FILE *out)
{
    const struct config_service *service = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < service->server_count; i++) {
        const struct service_server *server = &service->servers[i];
        fprintf(out, "%s = %s ", key, server->name);
        config_write_value(addr_format(&server->addr, text), out);
        for (size_t k = 0; k < server->alias_count; k++) {
            fputs(" alias=", out);
            config_write_value(addr_format(&server->aliases[k], text), out);
        }
        if (server->weight != 1)
            fprintf(out, " weight=%u", server->weight);
        fputc('\n', out);
    }
}

const struct config_type config_type_listens = {
    "IP:PORT or [IPv6]:PORT with allow=IP/BITS (several), tls-cert=FILE, tls-key=FILE, tls-client-ca=FILE "
    "and token-file=FILE, or unix:/path with mode=, owner= and group=",
    read_listens, write_listens, "address, options"};
const struct config_type config_type_networks = {"IP/BITS or IP", read_networks, write_networks, NULL};
const struct config_type config_type_names = {"one name or several, with blanks between them", read_names,
                                              write_names, "names"};
const struct config_type config_type_addresses = {"HOST:PORT, [IPv6]:PORT or unix:/path", read_addresses,
                                                  write_addresses, NULL};
const struct config_type config_type_runtime_apis = {
    "/path, unix:/path, IP:PORT or [IPv6]:PORT, with 'master:' in front of a master's", read_runtime_apis,
    write_runtime_apis, "path or address"};
const struct config_type config_type_servers = {
    "NAME HOST:PORT, and perhaps alias=HOST:PORT (several) and weight=0 to weight=256", read_servers,
    write_servers, "NAME HOST:PORT, options"};
