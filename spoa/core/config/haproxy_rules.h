/*
 * What HAProxy's files must have so that clients reach the master that the agent names, and nobody else: the rules of
 * `check --haproxy`. Pure. haproxy-conf/README.md explains each line that is asked for here.
 */
#ifndef SPOA_CORE_CONFIG_HAPROXY_RULES_H
#define SPOA_CORE_CONFIG_HAPROXY_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/base/findings.h"

struct config;
struct config_service;
struct haproxy_file;
struct haproxy_line;
struct haproxy_section;

/* All is borrowed. */
struct haproxy_rules {
    const struct config *config;
    const char *config_file; /* its path, for places */
    const struct haproxy_file *haproxy;
    const char *haproxy_path;        /* the first that was read */
    const struct haproxy_file *spoe; /* the files that haproxy_rules_each_filter() told */
    bool hangs;                      /* a HAProxy may be one that haproxy_hangs() */
    struct findings *findings;
};

/* Calls `each` with the file of every `filter spoe`, as it is named there. */
void haproxy_rules_each_filter(const struct haproxy_file *haproxy,
                               void (*each)(void *context, const struct haproxy_section *section,
                                            const char *file),
                               void *context);

/* Adds what does not fit. */
void haproxy_rules_check(const struct haproxy_rules *rules);

/* The line `stats socket` that is this runtime API of ours; NULL if there is none. */
struct addr;
const struct haproxy_line *haproxy_rules_socket(const struct haproxy_file *haproxy, const struct addr *api,
                                                const struct haproxy_section **ret_section);

/* The word behind `key` in the line, or NULL: "haproxy" behind "user". */
const char *haproxy_line_value(const struct haproxy_line *line, const char *key);

#endif
