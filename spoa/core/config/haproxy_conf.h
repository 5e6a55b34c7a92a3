/* Writes HAProxy's two files for our configuration, like the recipes in haproxy-conf/. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONF_H
#define SPOA_CORE_CONFIG_HAPROXY_CONF_H

struct config;
struct text;

/* `version` is HAProxy's, as major * 100 + minor, 206 or later. */
void haproxy_conf_write(const struct config *config, unsigned version, struct text *out);
void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct text *out);

#endif
