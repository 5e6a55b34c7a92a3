#include "spoa/core/config/haproxy_conf.h"

#include <stdint.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_conf_spoe.h"
#include "spoa/core/config/haproxy_names.h"
#include "spoa/core/config/haproxy_words.h"
#include "spoa/core/decision/server_map.h"

/* The first port for clients. Each further frontend gets the next port. */
#define FIRST_PORT 6379U

/* What is written, and how this HAProxy reaches the agent. */
struct writer {
    struct text *out;
    const struct config *config;
    const struct haproxy_conf_options *options;
    struct haproxy_names *names;
    const struct config_listen *agent;    /* NULL: none of the addresses can be written */
    const struct config_listen *check;    /* for agent-checks, or NULL */
    const struct config_runtime_api *api; /* of this HAProxy, or NULL */
    uint8_t used_ports[(UINT16_MAX + 1) / 8];
    unsigned port; /* for the next frontend */
};

/* ---- what there is to choose from ---- */

/* The first address where a HAProxy can connect; NULL where there is none. */
static const struct config_listen *first_reachable(const struct config_listens *listens, bool is_tcp_only)
{
    for (size_t i = 0; i < listens->count; i++) {
        const struct addr *addr = &listens->list[i].addr;
        if (haproxy_takes_address(addr) && !(is_tcp_only && addr->kind == ADDR_UNIX))
            return &listens->list[i];
    }
    return NULL;
}

/* The file is one HAProxy's, and so is its runtime API: the first that is not a master's, a UNIX socket before others. */
static const struct config_runtime_api *own_api(const struct config_haproxy *haproxy)
{
    const struct config_runtime_api *found = NULL;

    for (size_t i = 0; i < haproxy->runtime_api_count; i++) {
        const struct config_runtime_api *api = &haproxy->runtime_apis[i];
        if (api->is_master || !haproxy_takes_address(&api->addr))
            continue;
        if (api->addr.kind == ADDR_UNIX)
            return api;
        found = found != NULL ? found : api;
    }
    return found;
}

/* Marks the port as used on this host, where the address leads to it. */
static void note_port(struct writer *writer, const struct addr *addr)
{
    bool (*is_own_host)(const struct addr *) = writer->options->is_own_host;

    if (addr_is_loopback(addr) || (is_own_host != NULL && is_own_host(addr)))
        writer->used_ports[addr->port / 8] |= (uint8_t)(1U << addr->port % 8);
}

static void note_ports(struct writer *writer)
{
    const struct config *config = writer->config;
    const struct config_listens *lists[] = {&config->agent.listens, &config->agent.checks,
                                            &config->agent.web};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (size_t k = 0; k < lists[i]->count; k++)
            note_port(writer, &lists[i]->list[k].addr);
    for (size_t i = 0; i < config->group_count; i++)
        for (size_t k = 0; k < config->groups[i].address_count; k++)
            note_port(writer, &config->groups[i].addresses[k]);
    for (size_t i = 0; i < config->service_count; i++)
        for (size_t k = 0; k < config->services[i].server_count; k++)
            note_port(writer, &config->services[i].servers[k].addr);
    for (size_t i = 0; i < config->haproxy.runtime_api_count; i++)
        note_port(writer, &config->haproxy.runtime_apis[i].addr);
}

/* The next port that nothing in the configuration has on this host; over UINT16_MAX where none is left. */
static unsigned take_port(struct writer *writer)
{
    while (writer->port <= UINT16_MAX && (writer->used_ports[writer->port / 8] >> writer->port % 8 & 1) != 0)
        writer->port++;
    return writer->port <= UINT16_MAX ? writer->port++ : writer->port;
}

static bool has_host_names(const struct config_service *service)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (service->servers[i].addr.kind == ADDR_NAME)
            return true;
    return false;
}

/* ---- the head, global and defaults ---- */

/* Who names the masters. */
static const char *voters_word(const struct config *config)
{
    bool any_nodes = false;
    bool any_sentinels = false;

    for (size_t i = 0; i < config->group_count; i++) {
        any_nodes = any_nodes || config->groups[i].is_nodes;
        any_sentinels = any_sentinels || !config->groups[i].is_nodes;
    }
    return !any_nodes ? "Sentinels" : !any_sentinels ? "the nodes" : "Sentinels or nodes";
}

/* How the agent has old sessions cut; NULL: it has not. */
static const char *cutter_word(const struct writer *writer)
{
    if (writer->config->haproxy.runtime_api_count > 0)
        return "the runtime API";
    return writer->check != NULL ? "agent-checks" : NULL;
}

static void add_head(const struct writer *writer)
{
    size_t count = writer->config->service_count;
    const char *cutter = cutter_word(writer);
    struct text *out = writer->out;

    if (count == 1)
        text_add(out, "# HAProxy in front of a Redis master");
    else
        text_printf(out, "# HAProxy in front of %zu Redis masters, each with a port of its own,", count);
    text_printf(out, " that a majority of %s names.\n", voters_word(writer->config));
    if (haproxy_conf_any_replicas(writer->config))
        text_add(out, "# One more port leads to the replicas, by turns.\n");
    if (cutter != NULL)
        text_printf(out, "# At a switch the agent has the sessions to the old master cut by way of %s.\n",
                    cutter);
    text_printf(out,
                "# Valid on HAProxy %s and later. The README.md of haproxy-conf/ explains every line, and\n"
                "# \"sentinel-spoa haproxy-conf\" prints this file for your own sentinel-spoa.conf.\n\n",
                writer->options->version >= HAPROXY_CONF_SPOP ? "3.1" : "2.6");
}

static void add_socket_path(struct text *out, const struct addr *addr)
{
    if (addr->kind == ADDR_UNIX && addr->name[0] == '/')
        haproxy_add_word(out, addr->name);
    else
        haproxy_add_address(out, addr);
}

static void add_runtime_api(const struct writer *writer, const struct config_runtime_api *api)
{
    const char *rights = api->is_master ? ",group,haproxy,mode,660" : " user haproxy group haproxy mode 660";
    bool is_unix = api->addr.kind == ADDR_UNIX;
    struct text *out = writer->out;

    if (api == writer->api || api->is_master)
        text_printf(out, "    # A program that may write here rules this HAProxy.%s\n",
                    is_unix ? " The agent's user must be in the group." : "");
    else if (haproxy_takes_address(&api->addr))
        text_add(out, "    # Another HAProxy's, which has a file of its own:\n");
    else
        text_add(out, "    # HAProxy cannot take this path: a shorter one, without ',' and '$'.\n");
    if (api->is_master)
        text_add(out, "    # It is the master's: haproxy -W -S ");
    else
        text_add(out, api == writer->api ? "    stats socket " : "    # stats socket ");
    add_socket_path(out, &api->addr);
    text_add(out, is_unix ? rights : "");
    text_add(out, api->is_master ? "\n" : " level admin\n");
}

static void add_resolvers(const struct writer *writer)
{
    bool any_names = false;

    for (size_t i = 0; i < writer->config->service_count; i++)
        any_names = any_names || has_host_names(&writer->config->services[i]);
    if (any_names)
        text_add(writer->out,
                 "# HAProxy does not go through the search list of resolv.conf: servers need whole names.\n"
                 "resolvers system\n    parse-resolv-conf\n    hold valid 1s\n    hold nx 1s\n"
                 "    hold obsolete 1s\n    accepted_payload_size 4096\n\n");
}

static void add_global(const struct writer *writer)
{
    const struct config_haproxy *haproxy = &writer->config->haproxy;
    struct text *out = writer->out;

    text_add(out, "global\n    log stdout format raw local0 info\n    user haproxy\n    group haproxy\n"
                  "    maxconn 4000\n");
    if (writer->check != NULL || haproxy->runtime_api_count > 0)
        text_add(out,
                 "    # A reload leaves the old process with its sessions, and no switch reaches them there: "
                 "end them.\n"
                 "    hard-stop-after 30s\n");
    for (size_t i = 0; i < haproxy->runtime_api_count; i++)
        add_runtime_api(writer, &haproxy->runtime_apis[i]);
    text_add(out, "\n");
    add_resolvers(writer);
    text_add(out, "defaults\n    log global\n\n");
}

static bool routes_by_address(const struct config_service *service)
{
    return service->server_count == 0;
}

/* On the loopback, of IPv6 where the agent is there. */
static void add_bind(struct writer *writer)
{
    bool is_ipv6 = writer->agent != NULL && writer->agent->addr.kind == ADDR_IPV6 &&
                   !addr_is_wildcard(&writer->agent->addr);
    unsigned port = take_port(writer);

    if (port <= UINT16_MAX)
        text_printf(writer->out, "    bind %s:%u\n", is_ipv6 ? "[::1]" : "127.0.0.1", port);
    else
        text_add(writer->out, "    # No port is left: give it a 'bind'.\n");
}

/* The log has all that the agent said. */
static void add_log_format(const struct writer *writer, const char *role)
{
    text_add(writer->out, "    log-format \"%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %U/%B %ts %ac/%fc/%bc/%sc/%rc "
                          "state=%[var(txn.redis.state)] ");
    text_printf(writer->out, "%s=%%[var(txn.redis.%s)] ", role, role);
    text_add(writer->out, "addr=%[var(txn.redis.addr)] port=%[var(txn.redis.port)] "
                          "votes=%[var(txn.redis.votes)] generation=%[var(txn.redis.generation)] "
                          "error=%[var(txn.redis.error)]\"\n");
}

static void add_reject(const struct writer *writer, const struct config_service *service, const char *role)
{
    if (routes_by_address(service))
        text_add(
            writer->out,
            "    # No address, no connection: without this rule HAProxy would connect to itself, in a loop.\n"
            "    tcp-request content reject unless { var(txn.redis.addr) -m found } { var(txn.redis.port) -m "
            "found }\n"
            "    tcp-request content set-dst var(txn.redis.addr)\n"
            "    tcp-request content set-dst-port var(txn.redis.port)\n");
    else
        text_printf(writer->out,
                    "    # No name, no connection: this rule is not optional.\n"
                    "    tcp-request content reject unless { var(txn.redis.%s) -m found }\n",
                    role);
}

static void add_frontend(struct writer *writer, size_t index, bool is_for_replicas)
{
    const struct config_service *service = &writer->config->services[index];
    const char *role = is_for_replicas ? "replica" : "master";
    struct text *out = writer->out;

    text_printf(out, "frontend %s\n", haproxy_names_frontend(writer->names, index, is_for_replicas));
    text_add(out, "    mode tcp\n    timeout client 1h\n"
                  "    # A client whose host is gone without a word is given up after 90 s.\n"
                  "    option clitcpka\n    clitcpka-idle 1m\n    clitcpka-intvl 10s\n    clitcpka-cnt 3\n");
    add_bind(writer);
    if (!haproxy_conf_has_one_name(writer->config)) {
        text_add(out, "    tcp-request session set-var(sess.service) ");
        haproxy_add_sample(out, service->name);
        text_add(out, "\n");
    }
    text_printf(out, "    filter spoe engine sentinel%s config ", is_for_replicas ? "-replica" : "");
    haproxy_add_word(out, writer->options->spoe_path);
    text_add(out, "\n");
    add_log_format(writer, role);
    add_reject(writer, service, role);
    text_printf(out, "    default_backend %s\n\n",
                haproxy_names_backend(writer->names, index, is_for_replicas));
}

/* ---- backends ---- */

static void add_server(const struct writer *writer, const struct config_service *service,
                       const struct service_server *server)
{
    struct text *out = writer->out;
    struct addr addr = server->addr;

    addr.is_absolute = false; /* HAProxy has no search list, and takes no final dot */
    if (addr.kind == ADDR_UNIX && !haproxy_takes_address(&addr))
        text_add(out, "    # HAProxy cannot take this path: a shorter one, without '$'.\n    # server ");
    else
        text_add(out, "    server ");
    text_add(out, server->name);
    text_add(out, " ");
    haproxy_add_address(out, &addr);
    if (addr.kind != ADDR_UNIX)
        text_add(out, " tcp-ut 3s"); /* HAProxy ignores this in default-server */
    if (writer->check != NULL) {
        text_add(out, " agent-send \"");
        haproxy_add_quoted(out, service->name);
        text_add(out, " ");
        text_add(out, server->name);
        text_add(out, "\\n\"");
    }
    text_add(out, "\n");
}

/* Whether HAProxy itself shuts sessions when the agent says that their server is down. */
static bool shuts_when_down(const struct writer *writer)
{
    return writer->check != NULL && writer->config->haproxy.runtime_api_count == 0;
}

/* Writes all that a backend needs, so that it can be pasted below the defaults of another file. */
static void add_times(const struct writer *writer)
{
    const char *connect = shuts_when_down(writer) ? "200ms" : "500ms";
    struct text *out = writer->out;

    text_add(out, "    mode tcp\n");
    if (shuts_when_down(writer))
        text_add(out, "    # Shorter than 'check-delay' of the service, which HAProxy 2.8 to 3.1 need.\n");
    text_printf(out,
                "    timeout connect %s\n"
                "    # A client that waits for one of `maxconn` must not get to a master that was replaced "
                "meanwhile.\n"
                "    timeout queue %s\n    timeout server 1h\n",
                connect, connect);
    text_add(
        out,
        "    # Never another try, never another server, never one that is down: these lines are not "
        "optional.\n"
        "    retries 0\n    no option redispatch\n    no option persist\n"
        "    # With tcp-ut, which must stand on the server lines: sessions to a host that is gone without a "
        "word end within seconds.\n"
        "    option srvtcpka\n    srvtcpka-idle 5s\n    srvtcpka-intvl 1s\n");
}

/*
 * on-marked-down shuts sessions only if the agent has no other way to cut them. Then there is no health
 * check: only the agent's word marks a server down. HAProxy 2.8 to 3.1 never closes a session that is
 * connecting when its server is marked down, and a health check marks a server down while clients connect to
 * it.
 */
static void add_defaults(const struct writer *writer, const struct config_service *service)
{
    struct text *out = writer->out;

    if (writer->check != NULL)
        text_add(out, "    # What the agent says of a server goes to the log, with the reason.\n"
                      "    option log-health-checks\n");
    text_add(out,
             "    # weight 0: a server is used when use-server names it, and never otherwise. Neither is "
             "optional.\n");
    text_add(out, shuts_when_down(writer)
                      ? "    default-server weight 0 on-marked-down shutdown-sessions"
                      : "    default-server weight 0 check inter 1s fastinter 200ms fall 2 rise 1");
    if (has_host_names(service))
        text_add(out, " resolvers system init-addr last,libc,none");
    if (writer->check != NULL) {
        struct addr check = haproxy_reaches(&writer->check->addr);
        char host[ADDR_IP_TEXT_MAX];
        text_printf(out, " agent-check agent-addr %s agent-port %u agent-inter 200ms",
                    addr_host(&check, host), check.port);
    }
    text_add(out, "\n");
}

/* The agent cuts sessions in the backends that its configuration names. */
static void add_backend_remark(const struct writer *writer, size_t index)
{
    const struct config_service *service = &writer->config->services[index];
    const struct config_names *backends = config_service_backends(writer->config, service);
    const char *name = haproxy_names_backend(writer->names, index, false);

    for (size_t i = 0; i < backends->count; i++)
        if (strcmp(backends->list[i], name) == 0)
            return;
    if (writer->config->haproxy.runtime_api_count == 0)
        return;
    text_add(writer->out, "# The agent cuts sessions here only with 'backend = ");
    text_add(writer->out, name);
    text_add(writer->out, "' in [service ");
    text_add(writer->out, service->name);
    text_add(writer->out, "].\n");
}

static void add_backend(struct writer *writer, size_t index, bool is_for_replicas)
{
    const struct config_service *service = &writer->config->services[index];
    const char *variable = is_for_replicas ? "replica" : "master";
    struct text *out = writer->out;

    if (is_for_replicas)
        text_add(out, "# The same nodes: the agent knows which of them is a replica.\n");
    else
        add_backend_remark(writer, index);
    text_printf(out, "backend %s\n", haproxy_names_backend(writer->names, index, is_for_replicas));
    add_times(writer);
    if (routes_by_address(service)) {
        text_add(out, "    server any 0.0.0.0:0 tcp-ut 3s\n\n");
        return;
    }
    add_defaults(writer, service);
    text_printf(out, "    use-server %%[var(txn.redis.%s)] if { var(txn.redis.%s) -m found }\n", variable,
                variable);
    for (size_t i = 0; i < service->server_count; i++)
        add_server(writer, service, &service->servers[i]);
    text_add(out, "\n");
}

/* The agent's server, with a remark where the address cannot be that of its configuration. */
static void add_agent_server(const struct writer *writer)
{
    struct text *out = writer->out;

    if (writer->agent == NULL) {
        text_add(out, "    # HAProxy cannot connect to what 'listen' has: give it a port, or a shorter path "
                      "without ',' "
                      "and '$'.\n"
                      "    server agent1 127.0.0.1:9012\n");
        return;
    }
    const struct config_tls *tls = &writer->agent->tls;
    struct addr reached = haproxy_reaches(&writer->agent->addr);
    if (addr_is_wildcard(&writer->agent->addr))
        text_add(out, "    # Where the agent is on another host: its address there.\n");
    if (tls->is_on)
        text_add(out, "    # ca.crt: who has signed the agent's certificate. Add 'verifyhost NAME' "
                      "where it signs for others, too.\n");
    if (tls->ca_file != NULL)
        text_add(out, "    # haproxy.pem: HAProxy's own certificate and key.\n");
    if (writer->agent->addr.kind != ADDR_UNIX)
        text_add(out,
                 "    # An agent on a UNIX socket: \"server agent1 unix@/run/sentinel-spoa/spop.sock\"\n");
    text_add(out, "    server agent1 ");
    haproxy_add_address(out, &reached);
    text_add(out, tls->is_on ? " ssl verify required ca-file /etc/haproxy/ca.crt" : "");
    text_add(out, tls->ca_file != NULL ? " crt /etc/haproxy/haproxy.pem" : "");
    text_add(out, "\n");
}

static void add_agent(const struct writer *writer)
{
    struct text *out = writer->out;

    text_printf(out, "backend %s\n", haproxy_names_agent(writer->names));
    if (writer->options->version >= HAPROXY_CONF_SPOP)
        text_add(out, "    mode spop\n");
    else
        text_add(out,
                 "    # mode tcp on every version: HAProxy 3.1 and later make it \"mode spop\" themselves, "
                 "older ones refuse that.\n"
                 "    mode tcp\n");
    text_add(out,
             "    retries 0\n    no option redispatch\n    option spop-check\n    timeout connect 200ms\n"
             "    timeout check 500ms\n    timeout server 3m\n"
             "    # The first refused connection marks the agent down, so that clients are refused at once "
             "and do not wait.\n"
             "    default-server check inter 1s fastinter 100ms downinter 200ms fall 2 rise 1 observe "
             "layer4 error-limit 1 on-error mark-down\n");
    add_agent_server(writer);
}

/* Calls `add` for the sections of each service, those for the master first. */
static void add_sections(struct writer *writer,
                         void (*add)(struct writer *writer, size_t index, bool is_for_replicas))
{
    const struct config *config = writer->config;

    for (size_t i = 0; i < config->service_count; i++) {
        add(writer, i, false);
        if (config->services[i].replicas)
            add(writer, i, true);
    }
}

static void write_all(struct writer *writer)
{
    add_head(writer);
    add_global(writer);
    add_sections(writer, add_frontend);
    add_sections(writer, add_backend);
    add_agent(writer);
}

void haproxy_conf_write(const struct config *config, const struct haproxy_conf_options *options,
                        struct text *out)
{
    struct writer writer = {
        .out = out,
        .config = config,
        .options = options,
        .names = haproxy_names_create(config),
        .agent = first_reachable(&config->agent.listens, false),
        .check = first_reachable(&config->agent.checks, true),
        .api = own_api(&config->haproxy),
        .port = FIRST_PORT,
    };

    if (writer.names == NULL) {
        out->has_failed = true;
        return;
    }
    note_ports(&writer);
    write_all(&writer);
    haproxy_names_destroy(writer.names);
}
