#include "spoa/core/config/haproxy_conf_spoe.h"

#include <inttypes.h>
#include <stddef.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_conf.h"
#include "spoa/core/config/haproxy_names.h"
#include "spoa/core/config/haproxy_words.h"
#include "spoa/core/decision/park.h"

bool haproxy_conf_any_replicas(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].replicas)
            return true;
    return false;
}

bool haproxy_conf_has_one_name(const struct config *config)
{
    return config->service_count == 1 && haproxy_is_plain(config->services[0].name);
}

static int64_t longest_park_ms(const struct config *config)
{
    int64_t longest_ms = 0;

    for (size_t i = 0; i < config->service_count; i++) {
        int64_t park_ms = park_limit_ms(config->services[i].park_ms, 0);
        if (park_ms > longest_ms)
            longest_ms = park_ms;
    }
    return longest_ms;
}

static void add_agent(struct text *out, const struct config *config, const char *backend, unsigned version,
                      bool is_for_replicas)
{
    const char *suffix = is_for_replicas ? "-replica" : "";
    int64_t patience_s = longest_park_ms(config) / 1000 + 2;

    text_printf(out,
                "[sentinel%s]\nspoe-agent sentinel%s\n    messages find-%s\n    use-backend %s\n"
                "    option var-prefix redis\n    option set-on-error error\n    option pipelining\n",
                suffix, suffix, is_for_replicas ? "replica" : "master", backend);
    if (version < HAPROXY_CONF_SPOP)
        text_add(out, "    no option async\n    no option send-frag-payload\n");
    text_printf(out,
                "    register-var-names state master replica addr port votes generation error\n"
                "    timeout hello 500ms\n    timeout idle 2m\n    timeout processing %" PRId64
                "s\n    log global\n"
                "    option dontlog-normal\n\n",
                patience_s);
}

static void add_message(struct text *out, const struct config *config, const char *backend, const char *role)
{
    text_printf(out, "spoe-message find-%s\n    args service=", role);
    if (haproxy_conf_has_one_name(config))
        haproxy_add_sample(out, config->services[0].name);
    else
        text_add(out, "var(sess.service)");
    text_printf(out,
                " role=str(%s) src=src src_port=src_port dst=dst dst_port=dst_port\n"
                "    event on-client-session if { nbsrv(%s) ge 1 } or { stopping }\n",
                role, backend);
}

void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct text *out)
{
    struct haproxy_names *names = haproxy_names_create(config);

    if (names == NULL) {
        out->has_failed = true;
        return;
    }
    const char *backend = haproxy_names_agent(names);
    text_add(out, "# What HAProxy asks sentinel-spoa, once per client connection.\n");
    if (haproxy_conf_any_replicas(config))
        text_add(out,
                 "# There are two questions, one for each frontend: the name behind \"engine\" chooses.\n");
    text_add(out, "# The README.md of haproxy-conf/ explains every line.\n\n");
    add_agent(out, config, backend, version, false);
    add_message(out, config, backend, "master");
    if (haproxy_conf_any_replicas(config)) {
        text_add(out, "\n");
        add_agent(out, config, backend, version, true);
        add_message(out, config, backend, "replica");
    }
    haproxy_names_destroy(names);
}
