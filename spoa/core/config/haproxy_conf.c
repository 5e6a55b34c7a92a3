#include "spoa/core/config/haproxy_conf.h"

#include <ctype.h>
#include <stdlib.h>

/* The first port that clients connect to; one more for each further frontend. */
#define FIRST_PORT 6379U
/* From here on an agent's backend can say what it is, and two options of SPOE are gone. */
#define VERSION_SPOP 301U

static const char *backend_of(const struct config *config, const struct config_service *service)
{
    const char *backend = service->backend != NULL ? service->backend : config->haproxy.backend;

    return config->service_count == 1 || service->backend != NULL ? backend : NULL;
}

static void add_backend_name(struct page *page, const struct config *config,
                             const struct config_service *service, const char *suffix)
{
    const char *backend = backend_of(config, service);

    if (backend != NULL) {
        page_add(page, backend);
    } else {
        page_add(page, "be_");
        page_add(page, service->name);
    }
    page_add(page, suffix);
}

/* ---- haproxy.cfg ---- */

static void add_global(struct page *page, const struct config *config)
{
    char text[ADDR_TEXT_MAX];

    page_add(page, "global\n    log stdout format raw local0 info\n    user haproxy\n    group haproxy\n"
                   "    maxconn 4000\n");
    for (size_t i = 0; i < config->haproxy.runtime_api_count; i++) {
        const struct addr *api = &config->haproxy.runtime_apis[i];
        page_add(
            page,
            "    # Whoever may write here rules this HAProxy: the agent's user alone.\n    stats socket ");
        if (api->kind == ADDR_UNIX) {
            page_add(page, api->host);
            page_add(page, " mode 600 level admin\n");
        } else {
            page_add(page, addr_format(api, text));
            page_add(page, " level admin\n");
        }
    }
    page_add(page, "\ndefaults\n    log global\n\n");
}

static bool routes_by_address(const struct config_service *service)
{
    return service->server_count == 0;
}

static void add_frontend(struct page *page, const struct config *config, const struct config_service *service,
                         unsigned port, bool is_for_replicas)
{
    const char *variable = is_for_replicas ? "replica" : routes_by_address(service) ? "addr" : "master";

    page_add(page, "frontend fe_");
    page_add(page, service->name);
    page_printf(page,
                "%s\n    mode tcp\n    option tcplog\n    timeout client 1h\n    bind 127.0.0.1:%u\n"
                "    tcp-request session set-var(sess.service) str(",
                is_for_replicas ? "_read" : "", port);
    page_add(page, service->name);
    page_printf(page, ")\n    filter spoe engine sentinel%s config /etc/haproxy/spoe.conf\n",
                is_for_replicas ? "-replica" : "");
    page_printf(page, "    tcp-request content reject unless { var(txn.redis.%s) -m found }\n", variable);
    if (routes_by_address(service))
        page_add(page, "    tcp-request content reject unless { var(txn.redis.port) -m found }\n"
                       "    tcp-request content set-dst var(txn.redis.addr)\n"
                       "    tcp-request content set-dst-port var(txn.redis.port)\n");
    page_add(page, "    default_backend ");
    add_backend_name(page, config, service, is_for_replicas ? "_read" : "");
    page_add(page, "\n\n");
}

static void add_server(struct page *page, const struct config *config, const struct config_service *service,
                       const struct service_server *server)
{
    char text[ADDR_TEXT_MAX];

    page_add(page, "    server ");
    page_add(page, server->name);
    page_add(page, " ");
    page_add(page, addr_format(&server->addr, text));
    page_add(page, " tcp-ut 3s"); /* HAProxy ignores it in default-server */
    if (config->agent.checks.count > 0) {
        page_add(page, " agent-send \"");
        page_add(page, service->name);
        page_add(page, " ");
        page_add(page, server->name);
        page_add(page, "\\n\"");
    }
    page_add(page, "\n");
}

/* Whether HAProxy shuts sessions itself, when the agent says that their server is down. */
static bool shuts_when_down(const struct config *config)
{
    return config->agent.checks.count > 0 && config->haproxy.runtime_api_count == 0;
}

/* All that a backend needs, so that it can be pasted below the defaults of another file. */
static void add_times(struct page *page, const struct config *config)
{
    page_printf(page,
                "    mode tcp\n    timeout connect %s\n    timeout server 1h\n    retries 0\n"
                "    no option redispatch\n    no option persist\n    option srvtcpka\n    srvtcpka-idle 5s\n"
                "    srvtcpka-intvl 1s\n",
                shuts_when_down(config) ? "200ms" : "500ms");
}

/*
 * Sessions are shut by on-marked-down only where the agent has no other way, and then by the agent's word alone: HAProxy
 * 2.8 to 3.1 never closes a session that is connecting when its server is marked down, and a health check marks a server
 * down while clients connect to it.
 */
static void add_defaults(struct page *page, const struct config *config)
{
    const struct config_listens *checks = &config->agent.checks;

    if (shuts_when_down(config))
        page_add(
            page,
            "    # HAProxy 2.8 to 3.1: 'check-delay' of the service must be longer than 'timeout connect'.\n"
            "    default-server weight 0 on-marked-down shutdown-sessions");
    else
        page_add(page, "    default-server weight 0 check inter 1s fastinter 200ms fall 2 rise 1");
    if (checks->count > 0)
        page_printf(page, " agent-check agent-addr %s agent-port %u agent-inter 200ms",
                    checks->list[0].addr.host, checks->list[0].addr.port);
    page_add(page, "\n");
}

static void add_backend(struct page *page, const struct config *config, const struct config_service *service,
                        bool is_for_replicas)
{
    const char *variable = is_for_replicas ? "replica" : "master";

    page_add(page, "backend ");
    add_backend_name(page, config, service, is_for_replicas ? "_read" : "");
    page_add(page, "\n");
    add_times(page, config);
    if (routes_by_address(service)) {
        page_add(page, "    server any 0.0.0.0:0 tcp-ut 3s\n\n");
        return;
    }
    add_defaults(page, config);
    page_printf(page, "    use-server %%[var(txn.redis.%s)] if { var(txn.redis.%s) -m found }\n", variable,
                variable);
    for (size_t i = 0; i < service->server_count; i++)
        add_server(page, config, service, &service->servers[i]);
    page_add(page, "\n");
}

static void add_agent(struct page *page, const struct config *config, unsigned version)
{
    const struct addr *addr = &config->agent.listens.list[0].addr;
    char text[ADDR_TEXT_MAX];

    page_printf(
        page,
        "backend be_sentinel_spoa\n    mode %s\n    option spop-check\n    retries 0\n"
        "    no option redispatch\n    timeout connect 200ms\n"
        "    timeout check 500ms\n    timeout server 3m\n"
        "    default-server check inter 1s fastinter 100ms downinter 200ms fall 2 rise 1 observe layer4 "
        "error-limit 1 on-error mark-down\n    server agent1 ",
        version >= VERSION_SPOP ? "spop" : "tcp");
    page_add(page, addr->kind == ADDR_UNIX ? "unix@" : "");
    page_add(page, addr->kind == ADDR_UNIX ? addr->host : addr_format(addr, text));
    page_add(page, "\n");
}

void haproxy_conf_write(const struct config *config, unsigned version, struct page *page)
{
    unsigned port = FIRST_PORT;

    add_global(page, config);
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        add_frontend(page, config, service, port++, false);
        if (service->replicas)
            add_frontend(page, config, service, port++, true);
        add_backend(page, config, service, false);
        if (service->replicas)
            add_backend(page, config, service, true);
    }
    add_agent(page, config, version);
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

static void add_engine(struct page *page, const struct config *config, unsigned version, const char *suffix,
                       const char *role)
{
    page_printf(
        page,
        "[sentinel%s]\nspoe-agent sentinel%s\n    messages find-%s\n    use-backend be_sentinel_spoa\n"
        "    option var-prefix redis\n    option set-on-error error\n    option pipelining\n",
        suffix, suffix, role);
    if (version < VERSION_SPOP)
        page_add(page, "    no option async\n    no option send-frag-payload\n");
    page_printf(page,
                "    register-var-names state master replica addr port votes generation error\n"
                "    timeout hello 500ms\n    timeout idle 2m\n    timeout processing %us\n    log global\n"
                "    option dontlog-normal\n\n",
                longest_park(config) / 1000 + 2);
    page_printf(
        page,
        "spoe-message find-%s\n    args service=var(sess.service) role=str(%s) src=src src_port=src_port "
        "dst=dst dst_port=dst_port\n"
        "    event on-client-session if { nbsrv(be_sentinel_spoa) ge 1 }\n",
        role, role);
}

void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct page *page)
{
    bool any_replicas = false;

    for (size_t i = 0; i < config->service_count; i++)
        any_replicas = any_replicas || config->services[i].replicas;
    add_engine(page, config, version, "", "master");
    if (!any_replicas)
        return;
    page_add(page, "\n");
    add_engine(page, config, version, "-replica", "replica");
}
