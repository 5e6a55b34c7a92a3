/* The command line of `sentinel-spoa init`. */
#ifndef SPOA_CLI_INIT_OPTIONS_H
#define SPOA_CLI_INIT_OPTIONS_H

#include <stdbool.h>

#include "proto/addr.h"
#include "proto/must_check.h"

struct init_options {
    struct addr sentinel;
    const char *password_file;       /* of the Sentinels, or NULL */
    const char *redis_password_file; /* or NULL */
    const char *user;                /* or NULL */
    unsigned haproxy;                /* see haproxy_version() */
    const char *directory;           /* or NULL */
    bool is_forced;                  /* files that exist are replaced */
    bool help;
};

/* `argv[0]` is the word "init". Returns false, with a sentence on stderr, if the command line is wrong. */
MUST_CHECK bool init_options_parse(int argc, char *const *argv, struct init_options *ret_options);

#endif
