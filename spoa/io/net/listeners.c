#include "spoa/io/net/listeners.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/io/net/tls.h"

struct listener {
    struct acceptor acceptor;
    struct listener *next;
};

/* The certificate of an address, from the file as it was when the address was opened. */
struct listener_tls {
    const struct config_listen *listen; /* in the running configuration, or in the next one */
    struct tls *tls;
    struct listener_tls *next;
};

struct listeners {
    struct ev_loop *loop;
    const struct listeners_row *rows;
    size_t row_count;
    struct metrics *metrics;
    struct listener *list;
    struct listener_tls *tls;
};

/* An address in a configuration. */
struct place {
    const struct listeners_row *row;
    const struct config_listen *listen;
};

/*
 * The addresses that a configuration lists, numbered through all rows. False where `index` is beyond the
 * last.
 */
static bool place_at(const struct listeners *listeners, const struct config_agent *config, size_t index,
                     struct place *ret_place)
{
    for (size_t i = 0; i < listeners->row_count; i++) {
        const struct listeners_row *row = &listeners->rows[i];
        const struct config_listens *listens = (const void *)((const char *)config + row->list_offset);
        if (index < listens->count) {
            *ret_place = (struct place){.row = row, .listen = &listens->list[index]};
            return true;
        }
        index -= listens->count;
    }
    return false;
}

/*
 * By the address as bound, for the kernel's choice may have been written down since. Port 0 is another
 * address for each protocol.
 */
static bool is_at(const struct listener *listener, const struct place *place)
{
    const struct acceptor *acceptor = &listener->acceptor;

    return addr_equals(&acceptor->listening.addr, &place->listen->addr) ||
           (acceptor->protocol == &place->row->protocol &&
            addr_equals(&acceptor->wanted, &place->listen->addr));
}

/* Port 0 is another port for each socket. */
static bool is_wildcard(const struct addr *addr)
{
    return addr->port != 0 && addr_is_wildcard(addr);
}

/* Whether `all` is 0.0.0.0 or [::], and `addr` another address of its family on the same port. */
static bool includes(const struct addr *all, const struct addr *addr)
{
    return is_wildcard(all) && all->kind == addr->kind && all->port == addr->port && !addr_equals(all, addr);
}

/* Whether `all` is [::], and `addr` an IPv4 address on the same port. They are part of it where nobody lists 0.0.0.0. */
static bool includes_ipv4(const struct addr *all, const struct addr *addr)
{
    return all->kind == ADDR_IPV6 && is_wildcard(all) && addr->kind == ADDR_IPV4 && all->port == addr->port;
}

/* Whether a file can have only one of them. [::] and 0.0.0.0 can stand beside each other: each is for its family. */
static bool has_part(const struct addr *all, const struct addr *addr)
{
    return includes(all, addr) || (includes_ipv4(all, addr) && !is_wildcard(addr));
}

/*
 * The address in `config` that includes this one. False where none does. 0.0.0.0 comes before [::], as it does for the
 * kernel.
 */
static bool find_including(const struct listeners *listeners, const struct config_agent *config,
                           const struct addr *addr, struct place *ret_place)
{
    bool is_found = false;
    struct place place;

    for (size_t i = 0; place_at(listeners, config, i, &place); i++) {
        bool is_exact = includes(&place.listen->addr, addr);
        if (!is_exact && !includes_ipv4(&place.listen->addr, addr))
            continue;
        *ret_place = place;
        is_found = true;
        if (is_exact)
            break;
    }
    return is_found;
}

/* The address 0.0.0.0 on this port. */
static struct addr all_ipv4(uint16_t port)
{
    static const uint8_t any[4];

    return addr_from_ip(any, ADDR_IPV4, port);
}

/* Whether `config` lists 0.0.0.0 on the port of `addr`. */
static bool lists_all_ipv4(const struct listeners *listeners, const struct config_agent *config,
                           const struct addr *addr)
{
    const struct addr ipv4 = all_ipv4(addr->port);
    struct place place;

    for (size_t i = 0; addr->port != 0 && place_at(listeners, config, i, &place); i++)
        if (addr_equals(&place.listen->addr, &ipv4))
            return true;
    return false;
}

/* The address itself in `config`. False where that does not list it. */
static bool find_listed(const struct listeners *listeners, const struct config_agent *config,
                        const struct listener *listener, struct place *ret_place)
{
    for (size_t i = 0; place_at(listeners, config, i, ret_place); i++)
        if (is_at(listener, ret_place))
            return true;
    return false;
}

/* What an open socket is for in `config`: its own address there, or one that includes it. */
static bool find_place(const struct listeners *listeners, const struct config_agent *config,
                       const struct listener *listener, struct place *ret_place)
{
    return find_listed(listeners, config, listener, ret_place) ||
           find_including(listeners, config, &listener->acceptor.listening.addr, ret_place);
}

/* Whether it is open at [::] on this port, and takes IPv4 as well. */
static bool is_at_both_families(const struct listener *listener, uint16_t port)
{
    const struct listen_socket *listening = &listener->acceptor.listening;

    return listening->addr.kind == ADDR_IPV6 && is_wildcard(&listening->addr) &&
           listening->addr.port == port && !listening->is_ipv6_only;
}

/* Whether `next` wants the same for an open socket as for `place`: protocol, peers, TLS and token. */
static bool is_alike(const struct listeners *listeners, const struct config_agent *next,
                     const struct listener *listener, const struct place *place)
{
    struct place other;

    return find_listed(listeners, next, listener, &other) && other.row == place->row &&
           config_same_networks(config_allowed(next, other.listen), config_allowed(next, place->listen)) &&
           config_same_tls(&other.listen->tls, &place->listen->tls) &&
           config_same_text(other.listen->token.password, place->listen->token.password);
}

/*
 * Whether a socket for this address of `next` is open. 0.0.0.0 is also open where a socket at [::] takes IPv4, and
 * `next` wants the same for both addresses. No other address can be listed beside [::]: see check_conflicts().
 */
static bool is_open(const struct listeners *listeners, const struct config_agent *next,
                    const struct place *place)
{
    for (const struct listener *listener = listeners->list; listener != NULL; listener = listener->next)
        if (is_at(listener, place) || (is_at_both_families(listener, place->listen->addr.port) &&
                                       is_alike(listeners, next, listener, place)))
            return true;
    return false;
}

/*
 * Whether IPv4 on this port reaches us where [::] is open. The service manager's socket is as it wants it to be.
 */
static bool takes_ipv4(const struct listeners *listeners, uint16_t port)
{
    const struct addr ipv4 = all_ipv4(port);

    for (const struct listener *listener = listeners->list; listener != NULL; listener = listener->next) {
        const struct listen_socket *listening = &listener->acceptor.listening;
        if (is_at_both_families(listener, port) || addr_equals(&listening->addr, &ipv4) ||
            (listening->is_ipv6_only && listening->is_foreign && listening->addr.port == port))
            return true;
    }
    return false;
}

/*
 * Lets a new socket at `addr` share the port of those that `next` does not list, or that take IPv4 at [::]. Whether
 * there are any.
 */
static bool share_port(const struct listeners *listeners, const struct config_agent *next,
                       const struct addr *addr)
{
    bool is_found = false;
    struct place listed;

    /* The port of a UNIX socket is 0, and no port that is open is. */
    for (const struct listener *listener = listeners->list; listener != NULL; listener = listener->next) {
        const struct listen_socket *listening = &listener->acceptor.listening;
        bool takes_it = addr->kind == ADDR_IPV4 && is_at_both_families(listener, addr->port);
        if (listening->addr.kind == ADDR_UNIX || listening->addr.port != addr->port ||
            (!takes_it && find_listed(listeners, next, listener, &listed)))
            continue;
        listen_socket_share_port(listening);
        is_found = true;
    }
    return is_found;
}

/* ---- what an address asks of its peers ---- */

static const struct tls *find_tls(const struct listeners *listeners, const struct config_listen *listen)
{
    for (const struct listener_tls *one = listeners->tls; one != NULL; one = one->next)
        if (one->listen == listen)
            return one->tls;
    return NULL;
}

static bool load_one_tls(struct listeners *listeners, const struct config_listen *listen,
                         char error[LISTEN_SOCKET_ERROR_MAX])
{
    char reason[TLS_ERROR_MAX] = "out of memory";
    struct listener_tls *one = calloc(1, sizeof(*one));

    if (one != NULL)
        one->tls = tls_create_server(&listen->tls, reason);
    if (one == NULL || one->tls == NULL) {
        char text[ADDR_TEXT_MAX];
        (void)snprintf(error, LISTEN_SOCKET_ERROR_MAX, "no TLS at %s: %.160s",
                       addr_format(&listen->addr, text), reason);
        free(one);
        return false;
    }
    one->listen = listen;
    LL_PREPEND(listeners->tls, one);
    return true;
}

/* Reads the certificates of `config`. */
static bool load_tls(struct listeners *listeners, const struct config_agent *config,
                     char error[LISTEN_SOCKET_ERROR_MAX])
{
    struct place place;

    for (size_t i = 0; place_at(listeners, config, i, &place); i++)
        if (place.listen->tls.is_on && !load_one_tls(listeners, place.listen, error))
            return false;
    return true;
}

static bool is_listed(const struct listeners *listeners, const struct config_agent *config,
                      const struct config_listen *listen)
{
    struct place place;

    for (size_t i = 0; place_at(listeners, config, i, &place); i++)
        if (place.listen == listen)
            return true;
    return false;
}

/* Keeps only the certificates of `config`; NULL: none. No acceptor has one of the others. */
static void drop_tls(struct listeners *listeners, const struct config_agent *config)
{
    struct listener_tls *one;
    struct listener_tls *next;

    LL_FOREACH_SAFE (listeners->tls, one, next) {
        if (config != NULL && is_listed(listeners, config, one->listen))
            continue;
        LL_DELETE(listeners->tls, one);
        tls_destroy(one->tls);
        free(one);
    }
}

/* From now on the socket asks what `listen` says. */
static void guard(const struct listeners *listeners, struct acceptor *acceptor,
                  const struct config_agent *config, const struct config_listen *listen)
{
    acceptor->allowed = config_allowed(config, listen);
    acceptor->tls = find_tls(listeners, listen);
    acceptor->token = listen->token.password;
    assert(acceptor->tls != NULL || !listen->tls.is_on);
}

/* ---- open, settle, close; what opens is false where it cannot, with a text in `error` ---- */

/* Its connections are those of `place` in `config`. NULL: they wait until listeners_settle() says whose they are. */
static bool open_listener(struct listeners *listeners, const struct listen_socket_options *options,
                          const struct place *place, const struct config_agent *config,
                          char error[LISTEN_SOCKET_ERROR_MAX])
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (listener == NULL) {
        (void)snprintf(error, LISTEN_SOCKET_ERROR_MAX, "out of memory");
        return false;
    }
    if (acceptor_open(&listener->acceptor, listeners->loop, options, &place->row->protocol,
                      listeners->metrics, config == NULL, error) == -1) {
        free(listener);
        return false;
    }
    struct place found;
    if (config != NULL && find_place(listeners, config, listener, &found))
        guard(listeners, &listener->acceptor, config, found.listen);
    LL_PREPEND(listeners->list, listener);
    return true;
}

static bool open_place(struct listeners *listeners, const struct config_agent *running,
                       const struct config_agent *next, const struct place *place,
                       char error[LISTEN_SOCKET_ERROR_MAX])
{
    const struct addr *addr = &place->listen->addr;
    const struct listen_socket_options options = {
        .addr = addr,
        .mode = place->listen->mode,
        .owner = place->listen->owner,
        .group = place->listen->group,
        .user = running == NULL ? next->user : NULL, /* the process becomes it after the start */
        .is_ipv6_only = lists_all_ipv4(listeners, next, addr),
        .shares_port = share_port(listeners, next, addr),
    };
    struct place including;

    if (running == NULL)
        return open_listener(listeners, &options, place, next, error);
    /*
     * Connections to this address may be answered by a socket that includes it: they are, as before, until
     * the change.
     */
    if (find_including(listeners, running, addr, &including))
        return open_listener(listeners, &options, &including, running, error);
    /*
     * What is new to a running agent waits for the change-over: until then the rules are those of another
     * configuration.
     */
    return open_listener(listeners, &options, place, NULL, error);
}

/* [::] without 0.0.0.0 on its port is for IPv4, too: opens what is missing beside a socket for IPv6 only. */
static bool open_ipv4_part(struct listeners *listeners, const struct config_agent *running,
                           const struct config_agent *next, const struct place *place,
                           char error[LISTEN_SOCKET_ERROR_MAX])
{
    const struct addr *addr = &place->listen->addr;
    const struct config_listen ipv4 = {.addr = all_ipv4(addr->port)};
    const struct place part = {.row = place->row, .listen = &ipv4};

    if (lists_all_ipv4(listeners, next, addr) || takes_ipv4(listeners, addr->port))
        return true;
    return open_place(listeners, running, next, &part, error);
}

/* Whether two sockets would be needed for one address. */
static bool is_conflict(const struct place *one, const struct place *other)
{
    const struct addr *addr = &one->listen->addr;
    bool is_any_port = addr->kind != ADDR_UNIX && addr->port == 0;

    if (addr_equals(addr, &other->listen->addr))
        return one->row != other->row && !is_any_port;
    return has_part(addr, &other->listen->addr) || has_part(&other->listen->addr, addr);
}

/*
 * False, with a text in `error`, where there are any. The kernel says so at the start. A reload finds sockets open and
 * would not hear it, but leave a file that cannot be started.
 */
static bool check_conflicts(const struct listeners *listeners, const struct config_agent *config,
                            char error[LISTEN_SOCKET_ERROR_MAX])
{
    struct place one;
    struct place other;
    char one_text[ADDR_TEXT_MAX];
    char other_text[ADDR_TEXT_MAX];

    for (size_t i = 0; place_at(listeners, config, i, &one); i++)
        for (size_t k = 0; k < i && place_at(listeners, config, k, &other); k++)
            if (is_conflict(&one, &other)) {
                (void)snprintf(
                    error, LISTEN_SOCKET_ERROR_MAX, "'%s = %s' beside '%s = %s': Address already in use%s",
                    one.row->key, addr_format(&one.listen->addr, one_text), other.row->key,
                    addr_format(&other.listen->addr, other_text),
                    one.listen->addr.kind != other.listen->addr.kind ? ": [::] takes IPv4, too" : "");
                return false;
            }
    return true;
}

/* Opens the addresses at [::], or all others. */
static bool open_places(struct listeners *listeners, const struct config_agent *running,
                        const struct config_agent *next, bool at_both_families,
                        char error[LISTEN_SOCKET_ERROR_MAX])
{
    struct place place;

    for (size_t i = 0; place_at(listeners, next, i, &place); i++) {
        const struct addr *addr = &place.listen->addr;
        bool is_all_ipv6 = addr->kind == ADDR_IPV6 && is_wildcard(addr);
        if (is_all_ipv6 != at_both_families)
            continue;
        if (!is_open(listeners, next, &place) && !open_place(listeners, running, next, &place, error))
            return false;
        if (is_all_ipv6 && !open_ipv4_part(listeners, running, next, &place, error))
            return false;
    }
    return true;
}

int listeners_open(struct listeners *listeners, const struct config_agent *running,
                   const struct config_agent *next, char error[LISTEN_SOCKET_ERROR_MAX])
{
    /* Those of a configuration that was given up may lie where this one is. */
    drop_tls(listeners, running);
    if (!check_conflicts(listeners, next, error) || !load_tls(listeners, next, error))
        return -1;
    /* [::] first: 0.0.0.0 needs no socket where the service manager's at [::] is for both. */
    bool is_good = open_places(listeners, running, next, true, error) &&
                   open_places(listeners, running, next, false, error);
    return is_good ? 0 : -1;
}

/* Its socket is closed. */
static void remove_listener(struct listeners *listeners, struct listener *listener)
{
    LL_DELETE(listeners->list, listener);
    free(listener);
}

void listeners_settle(struct listeners *listeners, const struct config_agent *config)
{
    struct listener *listener;
    struct listener *next;

    LL_FOREACH_SAFE (listeners->list, listener, next) {
        struct place place;
        if (find_place(listeners, config, listener, &place)) {
            guard(listeners, &listener->acceptor, config, place.listen);
            acceptor_hand_to(&listener->acceptor, &place.row->protocol);
            continue;
        }
        acceptor_retire(&listener->acceptor);
        remove_listener(listeners, listener);
    }
    drop_tls(listeners, config);
}

void listeners_close(struct listeners *listeners, const struct acceptor_protocol *protocol)
{
    struct listener *listener;
    struct listener *next;

    LL_FOREACH_SAFE (listeners->list, listener, next) {
        if (listener->acceptor.protocol != protocol)
            continue;
        acceptor_close(&listener->acceptor);
        remove_listener(listeners, listener);
    }
}

void listeners_pause(struct listeners *listeners)
{
    struct listener *listener;

    LL_FOREACH (listeners->list, listener) {
        acceptor_pause(&listener->acceptor);
    }
}

void listeners_resume(struct listeners *listeners)
{
    struct listener *listener;

    LL_FOREACH (listeners->list, listener) {
        acceptor_resume(&listener->acceptor);
    }
}

bool listeners_lend(struct listeners *listeners, listeners_lend_fn lend, void *context)
{
    struct listener *listener;

    LL_FOREACH (listeners->list, listener) {
        if (!lend(context, &listener->acceptor.listening))
            return false;
        listener->acceptor.listening.is_lent = true;
    }
    return true;
}

void listeners_own(struct listeners *listeners)
{
    struct listener *listener;

    LL_FOREACH (listeners->list, listener) {
        listener->acceptor.listening.is_lent = false;
    }
}

static bool has_other_rights(const struct config_listen *one, const struct config_listen *other)
{
    return one->mode != other->mode || strcmp(one->owner, other->owner) != 0 ||
           strcmp(one->group, other->group) != 0;
}

void listeners_tell_rights(const struct listeners *listeners, const struct config_agent *old,
                           const struct config_agent *new)
{
    struct place now;
    struct place before;
    const char *told = NULL;

    for (size_t i = 0; place_at(listeners, new, i, &now); i++)
        for (size_t k = 0; place_at(listeners, old, k, &before); k++) {
            if (now.row->key == told || !addr_equals(&now.listen->addr, &before.listen->addr) ||
                !has_other_rights(now.listen, before.listen))
                continue;
            told = now.row->key;
            log_event(EVENT_RESTART_NEEDED, log_text("key", told));
        }
}

struct listeners *listeners_create(struct ev_loop *loop, const struct listeners_row *rows, size_t row_count,
                                   struct metrics *metrics)
{
    struct listeners *listeners = calloc(1, sizeof(*listeners));

    if (listeners == NULL)
        return NULL;
    listeners->loop = loop;
    listeners->rows = rows;
    listeners->row_count = row_count;
    listeners->metrics = metrics;
    return listeners;
}

void listeners_destroy(struct listeners *listeners)
{
    if (listeners == NULL)
        return;
    while (listeners->list != NULL) {
        acceptor_close(&listeners->list->acceptor);
        remove_listener(listeners, listeners->list);
    }
    drop_tls(listeners, NULL);
    free(listeners);
}
