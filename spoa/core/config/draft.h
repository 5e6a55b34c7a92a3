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

/* An address of a node or a Sentinel. */
struct draft_address {
    struct addr addr;
    char id[DRAFT_ID_MAX + 1]; /* of who is there; "": not known */
    bool
        is_announced; /* by the Sentinel that was asked: it is in the file, also where nobody answers there */
    bool is_reached;  /* we have asked there ourselves */
    bool is_tried;    /* or have tried to */
};

struct draft_addresses {
    struct draft_address *list;
    size_t count;
};

struct draft_service {
    char *master; /* the master's name in Sentinel */
    struct draft_addresses nodes;
    bool is_left_out; /* of the text */
};

/* How the agent logs in. Both are borrowed. */
struct draft_login {
    const char *username;      /* or NULL */
    const char *password_file; /* or NULL */
};

/* All zero is an empty draft. */
struct draft {
    struct draft_addresses sentinels;
    struct draft_service *services;
    size_t service_count;
    struct draft_login sentinel_login;
    struct draft_login node_login;
};

/* Frees all and makes it empty. */
void draft_finish(struct draft *draft);

/* Adds a master of this name. NULL if memory is short. The service stays where it is until the next one is added. */
MUST_CHECK struct draft_service *draft_add_service(struct draft *draft, struct span master);

/* NULL if the address is not known. */
struct draft_address *draft_find_address(const struct draft_addresses *addresses, const struct addr *addr);

/* Adds an address; if it is known already, returns it as it is. NULL if memory is short. It stays where it is until the
 * next one is added. */
MUST_CHECK struct draft_address *draft_add_address(struct draft_addresses *addresses,
                                                   const struct addr *addr);

/* Keeps the identity, if it is one. */
void draft_set_id(struct draft_address *address, struct span id);

/* How many services are not left out. */
size_t draft_count_services(const struct draft *draft);

/* Whether a configuration file can have this name of a master. */
bool draft_takes_name(const char *master);

/*
 * Puts Sentinels and nodes in the order of their addresses. Addresses with one identity become one node, whose main
 * address is the first that was reached. An address that was not announced is left out, unless it is another one of a
 * node that was. So the text is the same whoever is asked, and whoever is the master.
 */
void draft_sort(struct draft *draft);

/* Adds the text of the file. `draft` must be sorted. */
void draft_write(const struct draft *draft, struct text *out);

#endif
