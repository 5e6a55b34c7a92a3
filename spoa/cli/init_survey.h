/* For init.c: asks one Sentinel for all that it knows, then the Sentinels and nodes that it names. */
#ifndef SPOA_CLI_INIT_SURVEY_H
#define SPOA_CLI_INIT_SURVEY_H

#include <stdbool.h>

#include "proto/must_check.h"

struct addr;
struct config_credentials;
struct draft;

/* Prints a line that begins with '!': what is not known, or will not work. */
void init_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the address is one of this host. False for a name. */
bool init_is_own_host(const struct addr *addr);

/*
 * Fills in the draft and prints what is found. A user that is not needed with the password is taken out of the
 * credentials, which are for Sentinels and for nodes. Returns false, with a sentence on stderr, if nothing can be made of
 * what is told.
 */
MUST_CHECK bool init_survey(const struct addr *sentinel, struct config_credentials *sentinel_login,
                            struct config_credentials *node_login, struct draft *draft);

#endif
