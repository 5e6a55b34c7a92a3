/* The first configuration of somebody who has none: what Sentinels and nodes told of themselves, as the text of
 * sentinel-spoa.conf. Pure: spoa/cli/init_survey.c asks. */
#ifndef SPOA_CORE_CONFIG_DRAFT_H
#define SPOA_CORE_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "proto/span.h"

struct text;

/* The most bytes of an identity: a run_id, or SENTINEL MYID. */
#define DRAFT_ID_MAX 40

/* An address of a node. */
struct draft_address {
    struct addr addr;
    char id[DRAFT_ID_MAX + 1]; /* of the node that is there; "": not known */
    bool is_reached;           /* we have asked it ourselves */
};

struct draft_service {
    char *master; /* the master's name in Sentinel */
    struct draft_address *addresses;
    size_t count;
    bool is_left_out; /* of the text */
};

/* How the agent logs in. Both are borrowed. */
struct draft_login {
    const char *username;      /* or NULL */
    const char *password_file; /* or NULL */
};

/* All zero is an empty draft. */
struct draft {
    struct addr *sentinels;
    size_t sentinel_count;
    struct draft_service *services;
    size_t service_count;
    struct draft_login sentinel_login;
    struct draft_login node_login;
};

/* Frees all and makes it empty. */
void draft_finish(struct draft *draft);

/* False if memory is short. An address that is known already is not added again. */
MUST_CHECK bool draft_add_sentinel(struct draft *draft, const struct addr *addr);

bool draft_has_sentinel(const struct draft *draft, const struct addr *addr);

/* Adds a master of this name. NULL if memory is short. The service stays where it is until the next one is added. */
MUST_CHECK struct draft_service *draft_add_service(struct draft *draft, struct span master);

/* Adds an address; one that is known already is returned as it is. NULL if memory is short. It stays where it is until the
 * next one is added. */
MUST_CHECK struct draft_address *draft_add_address(struct draft_service *service, const struct addr *addr);

/* Whether a configuration file can have this name of a master. */
bool draft_takes_name(const char *master);

/*
 * Puts the Sentinels in the order of their addresses, and the nodes, too. Addresses with one identity become one node: the
 * first that was reached is its main address. So whoever is asked, and whoever is the master, the text is the same.
 */
void draft_sort(struct draft *draft);

/* Adds the text of the file. `draft` must be sorted. */
void draft_write(const struct draft *draft, struct text *out);

#endif
