/* Writes HAProxy's two files for our configuration. The recipes in haproxy-conf/ are such files. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONF_H
#define SPOA_CORE_CONFIG_HAPROXY_CONF_H

#include <stdbool.h>

struct addr;
struct config;
struct text;

/* Where HAProxy looks for its second file, unless the user says otherwise. */
#define HAPROXY_CONF_SPOE_PATH "/etc/haproxy/spoe.conf"

/* What a file depends on beside our configuration. */
struct haproxy_conf_options {
    unsigned version;      /* HAProxy's, as major * 100 + minor, 206 or later */
    const char *spoe_path; /* where the second file is */
    bool (*is_own_host)(
        const struct addr *addr); /* whether an address is HAProxy's own host; NULL: only loopback is */
};

void haproxy_conf_write(const struct config *config, const struct haproxy_conf_options *options,
                        struct text *out);
void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct text *out);

#endif
