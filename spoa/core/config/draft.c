#include "spoa/core/config/draft.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/core/redis/redis_id.h"

/* ---- what was found ---- */

void draft_finish(struct draft *draft)
{
    for (size_t i = 0; i < draft->service_count; i++) {
        free(draft->services[i].master);
        free(draft->services[i].nodes.list);
    }
    free(draft->services);
    free(draft->sentinels.list);
    *draft = (struct draft){.services = NULL};
}

/* Makes room for one more element of a list, all zero. NULL if memory is short. */
static void *grow(void *list, size_t *count, size_t size)
{
    char *larger = realloc(list, (*count + 1) * size);

    if (larger != NULL)
        memset(larger + (*count)++ * size, 0, size);
    return larger;
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

struct draft_address *draft_find_address(const struct draft_addresses *addresses, const struct addr *addr)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (addr_equals(&addresses->list[i].addr, addr))
            return &addresses->list[i];
    return NULL;
}

struct draft_address *draft_add_address(struct draft_addresses *addresses, const struct addr *addr)
{
    struct draft_address *known = draft_find_address(addresses, addr);

    if (known != NULL)
        return known;
    struct draft_address *larger = grow(addresses->list, &addresses->count, sizeof(*larger));
    if (larger == NULL)
        return NULL;
    addresses->list = larger;
    larger[addresses->count - 1].addr = *addr;
    return &larger[addresses->count - 1];
}

void draft_set_id(struct draft_address *address, struct span id)
{
    if (redis_is_id(id))
        memcpy(address->id, id.data, id.len);
}

size_t draft_count_services(const struct draft *draft)
{
    size_t count = 0;

    for (size_t i = 0; i < draft->service_count; i++)
        count += !draft->services[i].is_left_out;
    return count;
}

bool draft_takes_name(const char *master)
{
    size_t len = strlen(master);

    return len > 0 && len <= CONFIG_NAME_MAX && config_reader_can_give(master) && master[len - 1] != ' ';
}

/* ---- the order ---- */

/* IPv4, IPv6, names. */
static int compare_addrs(const struct addr *one, const struct addr *other)
{
    bool is_name = one->kind == ADDR_NAME || one->kind == ADDR_UNIX;
    int order = one->kind != other->kind ? (one->kind < other->kind ? -1 : 1)
                : is_name                ? strcmp(one->name, other->name)
                                         : memcmp(one->ip, other->ip, sizeof(one->ip));

    return order != 0 ? order : (one->port > other->port) - (one->port < other->port);
}

static bool is_same_node(const struct draft_address *one, const struct draft_address *other)
{
    return one->id[0] != '\0' && strcmp(one->id, other->id) == 0;
}

/* How many addresses from `first` on are of one node. */
static size_t count_node(const struct draft_addresses *addresses, size_t first)
{
    size_t count = 1;

    while (first + count < addresses->count &&
           is_same_node(&addresses->list[first], &addresses->list[first + count]))
        count++;
    return count;
}

static void move(struct draft_addresses *addresses, size_t from, size_t to)
{
    struct draft_address moved = addresses->list[from];

    for (; from > to; from--)
        addresses->list[from] = addresses->list[from - 1];
    addresses->list[to] = moved;
}

/* Whether it was announced, or is another address of a node that was. */
static bool is_wanted(const struct draft_addresses *addresses, const struct draft_address *address)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (addresses->list[i].is_announced && is_same_node(&addresses->list[i], address))
            return true;
    return address->is_announced;
}

static void drop_unwanted(struct draft_addresses *addresses)
{
    for (size_t i = addresses->count; i > 0; i--)
        if (!is_wanted(addresses, &addresses->list[i - 1])) {
            for (size_t k = i; k < addresses->count; k++)
                addresses->list[k - 1] = addresses->list[k];
            addresses->count--;
        }
}

/* Puts the addresses of each node one behind the other, its main one first. */
static void gather_nodes(struct draft_addresses *addresses)
{
    for (size_t first = 0; first < addresses->count; first += count_node(addresses, first)) {
        size_t end = first + 1;
        for (size_t i = end; i < addresses->count; i++)
            if (is_same_node(&addresses->list[first], &addresses->list[i]))
                move(addresses, i, end++);
        for (size_t i = first; i < end; i++)
            if (addresses->list[i].is_reached) {
                move(addresses, i, first);
                break;
            }
    }
}

/* Of the nodes from `first` on, puts that with the least main address there. */
static void pull_least(struct draft_addresses *addresses, size_t first)
{
    size_t least = first;

    for (size_t i = first; i < addresses->count; i += count_node(addresses, i))
        if (compare_addrs(&addresses->list[i].addr, &addresses->list[least].addr) < 0)
            least = i;
    size_t count = count_node(addresses, least);
    for (size_t i = 0; i < count; i++)
        move(addresses, least + i, first + i);
}

static void sort_addresses(struct draft_addresses *addresses)
{
    drop_unwanted(addresses);
    gather_nodes(addresses);
    for (size_t first = 0; first < addresses->count; first += count_node(addresses, first))
        pull_least(addresses, first);
}

void draft_sort(struct draft *draft)
{
    sort_addresses(&draft->sentinels);
    for (size_t i = 0; i < draft->service_count; i++)
        sort_addresses(&draft->services[i].nodes);
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

/* `remark` is what to do if there is a password after all. */
static void add_login(struct text *out, const struct draft_login *login, const char *remark)
{
    if (login->username != NULL)
        add_key(out, "username", login->username);
    if (login->password_file != NULL)
        add_key(out, "password-file", login->password_file);
    else
        text_add(out, remark);
}

static void add_servers(struct text *out, const struct draft_addresses *nodes)
{
    char text[ADDR_TEXT_MAX];
    unsigned number = 0;
    size_t count;

    for (size_t first = 0; first < nodes->count; first += count) {
        text_printf(out, "server = R%u %s", ++number, addr_format(&nodes->list[first].addr, text));
        count = count_node(nodes, first);
        for (size_t i = 1; i < count; i++)
            text_printf(out, " alias=%s", addr_format(&nodes->list[first + i].addr, text));
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
    add_servers(out, &service->nodes);
    add_login(
        out, &draft->node_login,
        "; If Redis asks for a password: a file of the same kind. Without it a dead master is noticed late.\n"
        "; password-file = /etc/sentinel-spoa/redis-password\n");
}

void draft_write(const struct draft *draft, struct text *out)
{
    char text[ADDR_TEXT_MAX];
    size_t services = draft_count_services(draft);

    text_printf(
        out,
        "; The agent's side of haproxy.cfg. \"sentinel-spoa init\" has written both, by what Sentinels "
        "and nodes said.\n; sentinel-spoa.conf(5) and sample.conf have all keys.\n\n"
        "[agent]\nlisten = 127.0.0.1:9012\nhttp = 127.0.0.1:9912\n\n"
        "[haproxy]\nruntime-api = /run/haproxy/admin.sock\n%s\n[sentinels]\n",
        services == 1 ? "backend = be_redis\n" : "");
    for (size_t i = 0; i < draft->sentinels.count; i += count_node(&draft->sentinels, i))
        text_printf(out, "address = %s\n", addr_format(&draft->sentinels.list[i].addr, text));
    add_login(out, &draft->sentinel_login,
              "; If the Sentinels ask for a password: a file whose first line is the password, readable by "
              "the agent's "
              "user alone.\n"
              "; password-file = /etc/sentinel-spoa/sentinel-password\n");
    for (size_t i = 0; i < draft->service_count; i++)
        if (!draft->services[i].is_left_out)
            add_service(out, draft, i, services == 1);
}
