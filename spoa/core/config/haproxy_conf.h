/* Writes HAProxy's two files for our configuration. The recipes in haproxy-conf/ are such files. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONF_H
#define SPOA_CORE_CONFIG_HAPROXY_CONF_H

struct config;
struct text;

/* Where HAProxy looks for its second file, unless the user says otherwise. */
#define HAPROXY_CONF_SPOE_PATH "/etc/haproxy/spoe.conf"

/* `version` is HAProxy's, as major * 100 + minor, 206 or later. `spoe_path`: where the second file is. */
void haproxy_conf_write(const struct config *config, unsigned version, const char *spoe_path,
                        struct text *out);
void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct text *out);

#endif
