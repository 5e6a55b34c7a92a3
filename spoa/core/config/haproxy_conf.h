/* HAProxy's two files for a configuration of ours, as the recipes in haproxy-conf/ have them. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONF_H
#define SPOA_CORE_CONFIG_HAPROXY_CONF_H

struct config;
struct text;

/* `version`: HAProxy's, as major * 100 + minor: 206 and later. */
void haproxy_conf_write(const struct config *config, unsigned version, struct text *out);
void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct text *out);

#endif
