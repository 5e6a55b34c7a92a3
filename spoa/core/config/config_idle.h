/* Keys that have no effect where they stand. Private to the configuration. */
#ifndef SPOA_CORE_CONFIG_CONFIG_IDLE_H
#define SPOA_CORE_CONFIG_CONFIG_IDLE_H

#include <stddef.h>

struct config;

/* Adds to config->warnings, once the groups of all services are known. A key with its default is not reported. */
void config_warn_of_idle_service(struct config *config, size_t service, const char *file);

/* The same for all other sections. */
void config_warn_of_idle(struct config *config, const char *file);

#endif
