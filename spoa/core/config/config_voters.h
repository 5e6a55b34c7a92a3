/* The part of config_finish() for voters. Private to the configuration. */
#ifndef SPOA_CORE_CONFIG_CONFIG_VOTERS_H
#define SPOA_CORE_CONFIG_CONFIG_VOTERS_H

#include <stdbool.h>

#include "proto/must_check.h"
#include "spoa/core/config/config_errors.h"

struct config;
struct config_credentials;
struct config_service;
struct config_tls;

struct config_place config_at_line(const char *file, unsigned line);

void config_check_credentials(const struct config_credentials *credentials, const struct config_place *place,
                              struct config_errors *errors);
void config_check_tls(const struct config_tls *tls, const struct config_place *place,
                      struct config_errors *errors);

/* Makes config->group_names; of groups with one name it has the first. False if memory is short. */
MUST_CHECK bool config_index_groups(struct config *config);

/* Gives each [nodes NAME] without an address the servers of the services that refer to it. False if memory
 * is short. */
MUST_CHECK bool config_gather_voters(struct config *config);

void config_check_groups(struct config *config, const char *file, struct config_errors *errors);

/* Finds the service's group and sets how many votes a master needs. */
void config_join_group(struct config *config, struct config_service *service,
                       const struct config_place *place, struct config_errors *errors);

#endif
