#include "spoa/core/config/haproxy_conf.h"

#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"

#include <ctype.h>
#include <stdlib.h>

/* The first port for clients. Each further frontend gets the next port. */
#define FIRST_PORT 6379U
/* Since this version an agent's backend has `mode spop`, and two options of SPOE are gone. */
#define VERSION_SPOP 301U

/* Its first one; NULL where the name would not be the service's alone. */
static const char *backend_of(const struct config *config, const struct config_service *service)
{
    const struct config_names *backends = config_service_backends(config, service);
    bool is_its_own = config->service_count == 1 || service->backends.count > 0;

    return is_its_own && backends->count > 0 ? backends->list[0] : NULL;
}

static void add_backend_name(struct text *out, const struct config *config,
                             const struct config_service *service, const char *suffix)
{
    const char *backend = backend_of(config, service);

    if (backend != NULL) {
        text_add(out, backend);
    } else {
        text_add(out, "be_");
        text_add(out, service->name);
    }
    text_add(out, suffix);
}

/* ---- haproxy.cfg ---- */

static void add_runtime_api(struct text *out, const struct config_runtime_api *api)
{
    bool is_unix = api->addr.kind == ADDR_UNIX;
    char text[ADDR_TEXT_MAX];
    const char *where = is_unix ? api->addr.host : addr_format(&api->addr, text);

    text_add(out, "    # Whoever may write here rules this HAProxy: the agent's user alone.\n");
    if (api->is_master)
        text_printf(out, "    # It is the master's: haproxy -W -S %s%s\n", where, is_unix ? ",mode,600" : "");
    else
        text_printf(out, "    stats socket %s%s level admin\n", where, is_unix ? " mode 600" : "");
}

static void add_global(struct text *out, const struct config *config)
{
    text_add(out, "global\n    log stdout format raw local0 info\n    user haproxy\n    group haproxy\n"
                  "    maxconn 4000\n");
    if (config->agent.checks.count > 0 || config->haproxy.runtime_api_count > 0)
        text_add(out, "    # A reload leaves the old process behind with its sessions, which may not be cut: "
                      "bound that.\n"
                      "    hard-stop-after 30s\n");
    for (size_t i = 0; i < config->haproxy.runtime_api_count; i++)
        add_runtime_api(out, &config->haproxy.runtime_apis[i]);
    text_add(out, "\ndefaults\n    log global\n\n");
}

static bool routes_by_address(const struct config_service *service)
{
    return service->server_count == 0;
}

static void add_frontend(struct text *out, const struct config *config, const struct config_service *service,
                         unsigned port, bool is_for_replicas)
{
    const char *variable = is_for_replicas ? "replica" : routes_by_address(service) ? "addr" : "master";

    text_add(out, "frontend fe_");
    text_add(out, service->name);
    text_printf(out,
                "%s\n    mode tcp\n    option tcplog\n    timeout client 1h\n    bind 127.0.0.1:%u\n"
                "    tcp-request session set-var(sess.service) str(",
                is_for_replicas ? "_read" : "", port);
    text_add(out, service->name);
    text_printf(out, ")\n    filter spoe engine sentinel%s config /etc/haproxy/spoe.conf\n",
                is_for_replicas ? "-replica" : "");
    text_printf(out, "    tcp-request content reject unless { var(txn.redis.%s) -m found }\n", variable);
    if (routes_by_address(service))
        text_add(out, "    tcp-request content reject unless { var(txn.redis.port) -m found }\n"
                      "    tcp-request content set-dst var(txn.redis.addr)\n"
                      "    tcp-request content set-dst-port var(txn.redis.port)\n");
    text_add(out, "    default_backend ");
    add_backend_name(out, config, service, is_for_replicas ? "_read" : "");
    text_add(out, "\n\n");
}

static void add_server(struct text *out, const struct config *config, const struct config_service *service,
                       const struct service_server *server)
{
    struct addr addr = server->addr;
    char text[ADDR_TEXT_MAX];

    addr.is_absolute = false; /* HAProxy has no search list, and takes no final dot */
    text_add(out, "    server ");
    text_add(out, server->name);
    text_add(out, " ");
    text_add(out, addr_format(&addr, text));
    text_add(out, " tcp-ut 3s"); /* HAProxy ignores this in default-server */
    if (config->agent.checks.count > 0) {
        text_add(out, " agent-send \"");
        text_add(out, service->name);
        text_add(out, " ");
        text_add(out, server->name);
        text_add(out, "\\n\"");
    }
    text_add(out, "\n");
}

/* Whether HAProxy itself shuts sessions when the agent says that their server is down. */
static bool shuts_when_down(const struct config *config)
{
    return config->agent.checks.count > 0 && config->haproxy.runtime_api_count == 0;
}

/* Writes all that a backend needs, so that it can be pasted below the defaults of another file. */
static void add_times(struct text *out, const struct config *config)
{
    text_printf(out,
                "    mode tcp\n    timeout connect %s\n    timeout server 1h\n    retries 0\n"
                "    no option redispatch\n    no option persist\n    option srvtcpka\n    srvtcpka-idle 5s\n"
                "    srvtcpka-intvl 1s\n",
                shuts_when_down(config) ? "200ms" : "500ms");
}

/*
 * on-marked-down shuts sessions only if the agent has no other way to cut them. Then there is no health
 * check: only the agent's word marks a server down. HAProxy 2.8 to 3.1 never closes a session that is
 * connecting when its server is marked down, and a health check marks a server down while clients connect to
 * it.
 */
static void add_defaults(struct text *out, const struct config *config)
{
    const struct config_listens *checks = &config->agent.checks;

    if (shuts_when_down(config))
        text_add(
            out,
            "    # HAProxy 2.8 to 3.1: 'check-delay' of the service must be longer than 'timeout connect'.\n"
            "    default-server weight 0 on-marked-down shutdown-sessions");
    else
        text_add(out, "    default-server weight 0 check inter 1s fastinter 200ms fall 2 rise 1");
    if (checks->count > 0)
        text_printf(out, " agent-check agent-addr %s agent-port %u agent-inter 200ms",
                    checks->list[0].addr.host, checks->list[0].addr.port);
    text_add(out, "\n");
}

static void add_backend(struct text *out, const struct config *config, const struct config_service *service,
                        bool is_for_replicas)
{
    const char *variable = is_for_replicas ? "replica" : "master";

    text_add(out, "backend ");
    add_backend_name(out, config, service, is_for_replicas ? "_read" : "");
    text_add(out, "\n");
    add_times(out, config);
    if (routes_by_address(service)) {
        text_add(out, "    server any 0.0.0.0:0 tcp-ut 3s\n\n");
        return;
    }
    add_defaults(out, config);
    text_printf(out, "    use-server %%[var(txn.redis.%s)] if { var(txn.redis.%s) -m found }\n", variable,
                variable);
    for (size_t i = 0; i < service->server_count; i++)
        add_server(out, config, service, &service->servers[i]);
    text_add(out, "\n");
}

static void add_agent(struct text *out, const struct config *config, unsigned version)
{
    const struct addr *addr = &config->agent.listens.list[0].addr;
    char text[ADDR_TEXT_MAX];

    text_printf(
        out,
        "backend be_sentinel_spoa\n    mode %s\n    option spop-check\n    retries 0\n"
        "    no option redispatch\n    timeout connect 200ms\n"
        "    timeout check 500ms\n    timeout server 3m\n"
        "    default-server check inter 1s fastinter 100ms downinter 200ms fall 2 rise 1 observe layer4 "
        "error-limit 1 on-error mark-down\n    server agent1 ",
        version >= VERSION_SPOP ? "spop" : "tcp");
    text_add(out, addr->kind == ADDR_UNIX ? "unix@" : "");
    text_add(out, addr->kind == ADDR_UNIX ? addr->host : addr_format(addr, text));
    text_add(out, "\n");
}

void haproxy_conf_write(const struct config *config, unsigned version, struct text *out)
{
    unsigned port = FIRST_PORT;

    add_global(out, config);
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        add_frontend(out, config, service, port++, false);
        if (service->replicas)
            add_frontend(out, config, service, port++, true);
        add_backend(out, config, service, false);
        if (service->replicas)
            add_backend(out, config, service, true);
    }
    add_agent(out, config, version);
}

/* ---- spoe.conf ---- */

static unsigned longest_park(const struct config *config)
{
    unsigned longest_ms = 0;

    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].park_ms > longest_ms)
            longest_ms = config->services[i].park_ms;
    return longest_ms;
}

static void add_engine(struct text *out, const struct config *config, unsigned version, const char *suffix,
                       const char *role)
{
    text_printf(
        out,
        "[sentinel%s]\nspoe-agent sentinel%s\n    messages find-%s\n    use-backend be_sentinel_spoa\n"
        "    option var-prefix redis\n    option set-on-error error\n    option pipelining\n",
        suffix, suffix, role);
    if (version < VERSION_SPOP)
        text_add(out, "    no option async\n    no option send-frag-payload\n");
    text_printf(out,
                "    register-var-names state master replica addr port votes generation error\n"
                "    timeout hello 500ms\n    timeout idle 2m\n    timeout processing %us\n    log global\n"
                "    option dontlog-normal\n\n",
                longest_park(config) / 1000 + 2);
    text_printf(
        out,
        "spoe-message find-%s\n    args service=var(sess.service) role=str(%s) src=src src_port=src_port "
        "dst=dst dst_port=dst_port\n"
        "    event on-client-session if { nbsrv(be_sentinel_spoa) ge 1 }\n",
        role, role);
}

void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct text *out)
{
    bool any_replicas = false;

    for (size_t i = 0; i < config->service_count; i++)
        any_replicas = any_replicas || config->services[i].replicas;
    add_engine(out, config, version, "", "master");
    if (!any_replicas)
        return;
    text_add(out, "\n");
    add_engine(out, config, version, "-replica", "replica");
}
