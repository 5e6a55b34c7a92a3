/* HAProxy's two files for a configuration of ours, as the recipes in haproxy-conf/ have them. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONF_H
#define SPOA_CORE_CONFIG_HAPROXY_CONF_H

#include "spoa/core/config/config.h"
#include "spoa/core/base/text.h"

/* `version`: HAProxy's, as major * 100 + minor: 206 and later. */
void haproxy_conf_write(const struct config *config, unsigned version, struct page *page);
void haproxy_conf_write_spoe(const struct config *config, unsigned version, struct page *page);

/* "3.2" or "3.2.1" as a version; 0 where it is none, or older than 2.6. */
unsigned haproxy_conf_version(const char *text);

#endif
