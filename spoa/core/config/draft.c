#include "spoa/core/config/draft.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"

/* ---- what was found ---- */

void draft_finish(struct draft *draft)
{
    for (size_t i = 0; i < draft->service_count; i++) {
        free(draft->services[i].master);
        free(draft->services[i].addresses);
    }
    free(draft->services);
    free(draft->sentinels);
    *draft = (struct draft){.sentinels = NULL};
}

/* Makes room for one more element of a list, all zero. NULL if memory is short. */
static void *grow(void *list, size_t *count, size_t size)
{
    char *larger = realloc(list, (*count + 1) * size);

    if (larger != NULL)
        memset(larger + (*count)++ * size, 0, size);
    return larger;
}

bool draft_has_sentinel(const struct draft *draft, const struct addr *addr)
{
    for (size_t i = 0; i < draft->sentinel_count; i++)
        if (addr_equals(&draft->sentinels[i], addr))
            return true;
    return false;
}

bool draft_add_sentinel(struct draft *draft, const struct addr *addr)
{
    if (draft_has_sentinel(draft, addr))
        return true;
    struct addr *larger = grow(draft->sentinels, &draft->sentinel_count, sizeof(*larger));
    if (larger == NULL)
        return false;
    draft->sentinels = larger;
    larger[draft->sentinel_count - 1] = *addr;
    return true;
}

struct draft_service *draft_add_service(struct draft *draft, struct span master)
{
    char *name = strndup((const char *)master.data, master.len);
    struct draft_service *larger =
        name != NULL ? grow(draft->services, &draft->service_count, sizeof(*larger)) : NULL;

    if (larger == NULL) {
        free(name);
        return NULL;
    }
    draft->services = larger;
    larger[draft->service_count - 1].master = name;
    return &larger[draft->service_count - 1];
}

struct draft_address *draft_add_address(struct draft_service *service, const struct addr *addr)
{
    for (size_t i = 0; i < service->count; i++)
        if (addr_equals(&service->addresses[i].addr, addr))
            return &service->addresses[i];
    struct draft_address *larger = grow(service->addresses, &service->count, sizeof(*larger));
    if (larger == NULL)
        return NULL;
    service->addresses = larger;
    larger[service->count - 1].addr = *addr;
    return &larger[service->count - 1];
}

bool draft_takes_name(const char *master)
{
    size_t len = strlen(master);

    return len > 0 && len <= CONFIG_NAME_MAX && config_reader_can_give(master) && master[len - 1] != ' ';
}

/* ---- the order ---- */

/* IPv4, IPv6, names. */
static int compare_addrs(const void *a, const void *b)
{
    const struct addr *one = a;
    const struct addr *other = b;
    int order = one->kind != other->kind ? (one->kind < other->kind ? -1 : 1)
                                         : memcmp(one->ip, other->ip, sizeof(one->ip));

    if (order == 0)
        order = strcmp(one->host, other->host);
    return order != 0 ? order : (one->port > other->port) - (one->port < other->port);
}

static bool is_same_node(const struct draft_address *one, const struct draft_address *other)
{
    return one->id[0] != '\0' && strcmp(one->id, other->id) == 0;
}

/* How many addresses from `first` on are of one node. */
static size_t count_node(const struct draft_service *service, size_t first)
{
    size_t count = 1;

    while (first + count < service->count &&
           is_same_node(&service->addresses[first], &service->addresses[first + count]))
        count++;
    return count;
}

static void move(struct draft_service *service, size_t from, size_t to)
{
    struct draft_address moved = service->addresses[from];

    for (; from > to; from--)
        service->addresses[from] = service->addresses[from - 1];
    service->addresses[to] = moved;
}

/* Puts the addresses of each node behind its main one. */
static void gather_nodes(struct draft_service *service)
{
    for (size_t first = 0; first < service->count; first += count_node(service, first)) {
        size_t end = first + 1;
        for (size_t i = end; i < service->count; i++)
            if (is_same_node(&service->addresses[first], &service->addresses[i]))
                move(service, i, end++);
        for (size_t i = first; i < end; i++)
            if (service->addresses[i].is_reached) {
                move(service, i, first);
                break;
            }
    }
}

/* Puts the node whose main address is the least of all from `first` on there. */
static void pull_least(struct draft_service *service, size_t first)
{
    size_t least = first;

    for (size_t i = first; i < service->count; i += count_node(service, i))
        if (compare_addrs(&service->addresses[i].addr, &service->addresses[least].addr) < 0)
            least = i;
    size_t count = count_node(service, least);
    for (size_t i = 0; i < count; i++)
        move(service, least + i, first + i);
}

void draft_sort(struct draft *draft)
{
    if (draft->sentinel_count > 0)
        qsort(draft->sentinels, draft->sentinel_count, sizeof(*draft->sentinels), compare_addrs);
    for (size_t i = 0; i < draft->service_count; i++) {
        struct draft_service *service = &draft->services[i];
        gather_nodes(service);
        for (size_t first = 0; first < service->count; first += count_node(service, first))
            pull_least(service, first);
    }
}

/* ---- the text ---- */

/* Room for the name, a number behind it and the NUL. */
#define SERVICE_NAME_SIZE (CONFIG_NAME_MAX + 24)

/* Makes a name that HAProxy takes in names of sections, too. */
static void make_plain(const char *master, char ret_name[SERVICE_NAME_SIZE])
{
    (void)snprintf(ret_name, SERVICE_NAME_SIZE, "%s", master);
    for (char *c = ret_name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("-_.:", *c) == NULL)
            *c = '_';
}

/* The name of the service number `index`: the master's, if it is plain. Two masters may become one plain name. */
static void name_service(const struct draft *draft, size_t index, char ret_name[SERVICE_NAME_SIZE])
{
    char other[SERVICE_NAME_SIZE];
    unsigned number = 1;

    make_plain(draft->services[index].master, ret_name);
    for (size_t i = 0; i < index; i++) {
        make_plain(draft->services[i].master, other);
        number += strcmp(other, ret_name) == 0;
    }
    size_t len = strlen(ret_name);
    if (number > 1)
        (void)snprintf(ret_name + len, SERVICE_NAME_SIZE - len, "-%u", number);
}

/* Adds `KEY = VALUE`, with two dollars for each. */
static void add_key(struct text *out, const char *key, const char *value)
{
    text_printf(out, "%s = ", key);
    for (; *value != '\0'; value++)
        text_add_bytes(out, *value == '$' ? "$$" : value, *value == '$' ? 2 : 1);
    text_add(out, "\n");
}

/* `who` asks for the password; `what` is the file's name in the line that is to be filled in. */
static void add_login(struct text *out, const struct draft_login *login, const char *who, const char *what)
{
    if (login->username != NULL)
        add_key(out, "username", login->username);
    if (login->password_file != NULL)
        add_key(out, "password-file", login->password_file);
    else
        text_printf(
            out,
            "; If %s for a password: a file whose first line is the password, readable by the agent's "
            "user alone.\n"
            "; password-file = /etc/sentinel-spoa/%s\n",
            who, what);
}

static void add_servers(struct text *out, const struct draft_service *service)
{
    char text[ADDR_TEXT_MAX];
    unsigned number = 0;
    size_t count;

    for (size_t first = 0; first < service->count; first += count) {
        text_printf(out, "server = R%u %s", ++number, addr_format(&service->addresses[first].addr, text));
        count = count_node(service, first);
        for (size_t i = 1; i < count; i++)
            text_printf(out, " alias=%s", addr_format(&service->addresses[first + i].addr, text));
        text_add(out, "\n");
    }
}

static void add_service(struct text *out, const struct draft *draft, size_t index, bool is_only)
{
    const struct draft_service *service = &draft->services[index];
    char name[SERVICE_NAME_SIZE];

    name_service(draft, index, name);
    text_printf(out, "\n[service %s]\n", name);
    if (strcmp(name, service->master) != 0)
        add_key(out, "monitor", service->master);
    if (!is_only)
        text_printf(out, "backend = be_%s\n", name);
    add_servers(out, service);
    add_login(out, &draft->node_login, "Redis asks", "redis-password");
}

void draft_write(const struct draft *draft, struct text *out)
{
    char text[ADDR_TEXT_MAX];
    size_t services = 0;

    for (size_t i = 0; i < draft->service_count; i++)
        services += !draft->services[i].is_left_out;
    text_printf(
        out,
        "; The agent's side of haproxy.cfg. \"sentinel-spoa init\" has written both, by what Sentinels "
        "and nodes said.\n\n"
        "[agent]\nlisten = 127.0.0.1:9012\nhttp = 127.0.0.1:9912\n\n"
        "[haproxy]\nruntime-api = /run/haproxy/admin.sock\n%s\n[sentinels]\n",
        services == 1 ? "backend = be_redis\n" : "");
    for (size_t i = 0; i < draft->sentinel_count; i++)
        text_printf(out, "address = %s\n", addr_format(&draft->sentinels[i], text));
    add_login(out, &draft->sentinel_login, "the Sentinels ask", "sentinel-password");
    for (size_t i = 0; i < draft->service_count; i++)
        if (!draft->services[i].is_left_out)
            add_service(out, draft, i, services == 1);
}
